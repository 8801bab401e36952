"""What may happen beside training: stopping early, saving, logging, changing the learning rate.

Every callback can put what it knows into a checkpoint (``state_dict``) and take it back, so that
a resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minienc.arrays import Array, to_numpy
from minienc.files import write_text
from minienc.notebook import html_table
from minienc.shapes import kind_of
from minienc.training.archives import take_all
from minienc.training.filenames import fields_of, filled

if TYPE_CHECKING:
    from minienc.models.model import Model
    from minienc.training.loop import Trainer


class Callback:
    """Hooks of a run; override those you need. ``self.trainer`` is the run, ``self.model`` its
    model. ``logs`` holds the loss, the metrics and, at the end of an epoch, the validation's."""

    trainer: Trainer
    order = 0  # of the hooks: 0 those that act, 1 the history, 2 those that show, 3 those that save
    belongs_to_run = True  # False: it only shows, and a resumed run may go on without it
    wants_batches = True  # False: on_train_batch_end need not be called, though there is one

    @property
    def model(self) -> Model:
        return self.trainer.model

    def __getstate__(self) -> dict[str, Any]:
        """A copy belongs to no run."""
        return {name: value for name, value in vars(self).items() if name != "trainer"}

    def reset(self) -> None:
        """Forget what an earlier run has left; called before a run that is not a resumed one."""

    def on_train_begin(self, logs: dict[str, float]) -> None: ...
    def on_train_end(self, logs: dict[str, float]) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None: ...
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None: ...
    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None: ...

    def on_interrupt(self) -> None:
        """Ctrl-C was pressed; the batch under way has been finished."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint shall keep: numbers, strings and arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def as_callbacks(callbacks: Sequence[Callback] | None) -> list[Callback]:
    """``callbacks`` as a list; None is an empty one."""
    if callbacks is not None and not isinstance(callbacks, (list, tuple)):
        raise TypeError(f"callbacks is {kind_of(callbacks)}, expected a list: callbacks=[...]")
    for callback in callbacks or ():
        if not isinstance(callback, Callback):
            came, mend = f"{kind_of(callback)}", ""
            if isinstance(callback, type):
                came, mend = f"the class {callback.__name__}", f": {callback.__name__}(...)"
            raise TypeError(f"callbacks has {came}, expected objects of class Callback{mend}")
    return list(callbacks or ())


class History(Callback):
    """The logs of every epoch: ``history.history["val_loss"]`` is a list; ``epoch`` their numbers.

    ``fit`` returns it. ``seed`` is what fixed the order of the samples and the noise; ``steps``
    says, with a compiled kernel, how they were made (``training/planned.py``)."""

    order = 1

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}
        self.seed: int | None = None
        self.steps: str | None = None

    def _repr_html_(self) -> str:
        """In a notebook, a table of the epochs; of many, some twenty."""
        every = -(-len(self.epoch) // 20)
        rows = [
            (epoch + 1, *[f"{values[i]:.5g}" for values in self.history.values()])
            for i, epoch in enumerate(self.epoch)
            if (i + 1) % every == 0 or i + 1 == len(self.epoch)
        ]
        return html_table(("epoch", *self.history), rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "history": self.history}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        epochs = take_all(state, "epoch", int, "the history")
        for name in state["history"]:
            values = take_all(state["history"], name, float, "the history")
            if len(values) > len(epochs):
                raise ValueError(f"{name!r} has {len(values)} values in {len(epochs)} epochs")
        self.epoch, self.history = epochs, state["history"]


class LambdaCallback(Callback):
    """Functions in place of the hooks: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``."""

    def __init__(self, **hooks: Callable) -> None:
        for name, hook in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = ", ".join(n for n in dir(Callback) if n.startswith("on_"))
                raise TypeError(f"LambdaCallback has no hook {name!r}, expected one of {known}")
            setattr(self, name, hook)


class _Monitor(Callback):
    """What callbacks that watch one number share: the best value so far."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'mode is {mode!r}, expected "auto", "min" or "max"')
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(min_delta)
        self.reset()

    def reset(self) -> None:
        self.best = -math.inf  # of the value, or of minus the value where less is better

    def value(self, logs: dict[str, float]) -> float:
        if self.monitor not in logs:
            hint = "; give fit validation_data" if self.monitor.startswith("val_") else ""
            raise ValueError(
                f"{type(self).__name__} watches {self.monitor!r}, but the epoch logged only "
                f"{', '.join(logs)}{hint}"
            )
        return logs[self.monitor] if self._wants_more() else -logs[self.monitor]

    def _wants_more(self) -> bool:
        """Whether greater is better: as the mode says, or for "auto", the metric."""
        if self.mode != "auto":
            return self.mode == "max"
        greater = self.trainer.greater_is_better(self.monitor)
        if greater is None and "acc" not in self.monitor:
            raise ValueError(
                f"{type(self).__name__} watches {self.monitor!r}, and nothing says which way that "
                f'is better: give mode="max" or mode="min", or mark the metric with '
                f"minienc.training.metrics.better"
            )
        return greater is not False

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


class EarlyStopping(_Monitor):
    """Stop when ``monitor`` has not improved by ``min_delta`` for ``patience`` epochs.

    With ``restore_best_weights`` the model ends with the weights of its best epoch.

    Source: Prechelt 1998, "Early stopping - but when?".
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best_weights = restore_best_weights

    def reset(self) -> None:
        super().reset()
        self.wait = 0
        self.best_epoch = -1
        self.best_weights: dict[str, dict[str, Array]] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        value = self.value(logs)
        if value - self.min_delta > self.best:
            self.best, self.best_epoch, self.wait = value, epoch, 0
            if self.restore_best_weights:
                self.best_weights = self.trainer.weights()
        else:
            self.wait += 1
            if self.wait >= max(self.patience, 1):
                self.trainer.stop_training = True

    def on_train_end(self, logs: dict[str, float]) -> None:
        if self.best_weights is not None:
            self.trainer.set_weights(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
        }
        for learner, weights in (self.best_weights or {}).items():
            for name, array in weights.items():
                state[f"best_weights/{learner}/{name}"] = to_numpy(array)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.wait = state["best"], state["best_epoch"], state["wait"]
        kept = {key: a for key, a in state.items() if key.startswith("best_weights/")}
        now = self.trainer.weights() if kept else {}
        self.best_weights = {learner: {} for learner in now} or None
        for learner, weights in now.items():
            for name, array in weights.items():
                best = kept.pop(f"best_weights/{learner}/{name}", None)
                if best is None or best.shape != array.shape or best.dtype.kind != array.dtype.kind:
                    raise ValueError(f"the best weights of {learner!r} are not this model's")
                self.best_weights[learner][name] = best  # type: ignore[index]
        if kept:
            raise ValueError(f"it has {', '.join(kept)} of another model")


class ModelCheckpoint(_Monitor):
    """Keep the state of training in a file, from which ``fit(resume_from=...)`` goes on.

    The file holds the weights, the optimiser, the position in the epoch, the generators' states
    and every callback's: the resumed run ends with the same bits. It is replaced atomically, so
    that a kill at any moment leaves the last whole one.

    Parameters
    ----------
    filepath : str or Path
        In the name of the file ``{epoch}`` is replaced by the number of epochs done, and
        ``{val_loss:.2f}`` by a number of the logs, formatted as Python does. The folder's name
        stays as it is.
    save_freq : "epoch" or int
        After each epoch, or after every so many batches (and each epoch).
    save_best_only : bool
        Only when ``monitor`` is better than ever before.
    """

    order = 3

    def __init__(
        self,
        filepath: str | Path,
        save_freq: str | int = "epoch",
        save_best_only: bool = False,
        monitor: str = "val_loss",
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq >= 1):
            raise ValueError(f'save_freq is {save_freq!r}, expected "epoch" or a number of batches')
        self.filepath = os.fspath(filepath)
        self.folder, self.name = os.path.split(self.filepath)
        self.fields = fields_of(self.name)
        self.save_freq, self.save_best_only = save_freq, save_best_only

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.wants_batches = self.save_freq != "epoch"
        known = ["epoch", *self.trainer.log_names]
        if unknown := [text for name, text in self.fields.items() if name not in known]:
            what = f"{unknown[0]} in {self.name!r}"
            raise ValueError(f"ModelCheckpoint: {what} is none of {', '.join(known)}")

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if self.save_freq != "epoch" and (batch + 1) % int(self.save_freq) == 0:
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if not value > self.best:
                return
            self.best = value
        self.save()

    def on_interrupt(self) -> None:
        if not self.save_best_only:
            self.save()

    def save(self) -> None:
        trainer = self.trainer
        last = {k: v[-1] for k, v in trainer.history.history.items() if v}
        numbers = last | trainer.means() | trainer.logs | {"epoch": trainer.epoch}
        trainer.save(Path(self.folder, filled(self.name, self.fields, numbers)))


class CSVLogger(Callback):
    """Write the history to a CSV file after each epoch: a column for each log, a row an epoch."""

    order = 2

    def __init__(self, filename: str | Path, separator: str = ",") -> None:
        self.filename, self.separator = filename, separator
        self.reset()

    def reset(self) -> None:
        self.rows: list[dict[str, float]] = []  # an epoch may lack a log that another one has

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.rows.append({"epoch": epoch, **logs})
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self.rows for name in row)
        writer = csv.DictWriter(text, columns, delimiter=self.separator, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.filename, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = take_all(state, "rows", dict, "the state of CSVLogger")


class LearningRateScheduler(Callback):
    """Before each epoch, set the learning rate to ``schedule(epoch, current)``: of each optimiser,
    where there are several."""

    def __init__(self, schedule: Callable[[int, float], float]) -> None:
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        for optimizer in self.trainer.optimizers:
            optimizer.learning_rate = float(self.schedule(epoch, optimizer.current_learning_rate))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        _log_learning_rate(self.trainer, logs)


class ReduceLROnPlateau(_Monitor):
    """Multiply the learning rate by ``factor`` when ``monitor`` stood still for ``patience``
    epochs, down to ``min_lr``; then wait ``cooldown`` epochs before counting again."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}, expected between 0 and 1")
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr

    def reset(self) -> None:
        super().reset()
        self.wait = 0
        self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        _log_learning_rate(self.trainer, logs)
        value = self.value(logs)
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if value - self.min_delta > self.best:
            self.best, self.wait = value, 0
        elif not self.cooling:
            self.wait += 1
            high = [o for o in self.trainer.optimizers if o.current_learning_rate > self.min_lr]
            if self.wait >= self.patience and high:
                for optimizer in high:
                    lower = optimizer.current_learning_rate * self.factor
                    optimizer.learning_rate = max(lower, self.min_lr)
                self.wait, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooling": self.cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.wait, self.cooling = state["best"], state["wait"], state["cooling"]


def _log_learning_rate(trainer: Trainer, logs: dict[str, float]) -> None:
    """Log the learning rate of the first optimiser, where there is one."""
    for optimizer in trainer.optimizers[:1]:
        logs["learning_rate"] = float(optimizer.current_learning_rate)
