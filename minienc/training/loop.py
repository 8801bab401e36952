"""The one training loop: epochs, batches, callbacks, Ctrl-C, and where a run stands.

``Model.fit`` and every method of ``minienc.pretraining`` run it; what a step does is the
learner's matter (``step.py``).

A run is fixed by its seed: the order of the samples in epoch e and the noise in it come from
generators made of (seed, e). So where a run stands is a few numbers, and a run that is resumed
from them ends in the same bits as one that was never stopped.
"""

from __future__ import annotations

import functools
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import is_array, on_device, rows_of
from minienc.data.batching import batch_indices
from minienc.devices import workspace
from minienc.training.callbacks import Callback, History
from minienc.training.checkpoints import read_archive, write_archive
from minienc.training.step import Learner, NonFiniteError

FORMAT = "minienc training state"


class Trainer:
    """One run of training.

    Parameters
    ----------
    model : Model
        What callbacks are shown.
    learners : dict of Learner
        All that learns, by names.
    step : function (batch, rng) -> {name of a number: number}
        Makes one step on a batch: of the one learner, or of several in turn.
    data : Batches
        ``data.arrays`` and ``data.dtypes`` make a batch.
    n_samples : int
        The first so many samples are trained on.
    validate : function () -> logs, or None
        Called after each epoch.
    pipeline : Pipeline
        How batches come to the device that computes.

    Attributes
    ----------
    epoch, batch : int
        What comes next: batch ``batch`` of epoch ``epoch``, both from 0.
    noise : numpy.random.Generator
        What steps of this epoch draw from.
    stop_training : bool
        Set by a callback to end training after this epoch.
    history : History
    """

    def __init__(
        self,
        model: Any,
        learners: dict[str, Learner],
        step: Callable[..., dict[str, Any]],
        data: Any,
        *,
        n_samples: int,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        callbacks: Sequence[Callback],
        pipeline: Any,
        validate: Callable[[], dict[str, float]] | None = None,
        initial_epoch: int = 0,
    ) -> None:
        self.model, self.learners, self.step, self.data = model, learners, step, data
        self.n_samples, self.validate, self.pipeline = n_samples, validate, pipeline
        self.epochs, self.batch_size, self.shuffle = epochs, batch_size, shuffle
        self.seed = secrets.randbits(63) if seed is None else int(seed)
        self.epoch, self.batch = initial_epoch, 0
        self.stop_training = False
        self.is_resumed = False
        self.sums: dict[str, float] = {}  # of each log over the epoch's samples so far
        self.n_seen = 0
        self.noise: np.random.Generator = self.generator("noise")
        self.history = History()
        self.history.seed = self.seed
        self.callbacks = sorted([*callbacks, self.history], key=lambda c: c.order)
        for callback in self.callbacks:
            callback.trainer = self

    @property
    def n_batches(self) -> int:
        return -(-self.n_samples // self.batch_size)

    @property
    def batches_done(self) -> int:
        return self.epoch * self.n_batches + self.batch

    @property
    def optimizers(self) -> list[Any]:
        """Of all learners that have one."""
        return [one.optimizer for one in self.learners.values() if one.optimizer is not None]

    def greater_is_better(self, log: str) -> bool | None:
        """Which way a log is better; None where nobody says."""
        name = log.removeprefix("val_")
        if name.endswith("loss"):
            return False
        for learner in self.learners.values():
            known = getattr(learner.objective, "greater_is_better", {})
            if name in known:
                return known[name]
        return None

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator for this epoch's "order", its "noise", or the noise of its "validation"."""
        number = ("order", "noise", "validation").index(purpose)
        return np.random.default_rng([self.seed, self.epoch, number])

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    # -- training

    def run(self) -> History:
        """Train until ``epochs`` epochs are done or a callback stops it."""
        logs: dict[str, float] = {}
        # a number that overflows is found by its loss and refused with its place, not warned of
        quiet = np.errstate(over="ignore", invalid="ignore")
        device, place = on_device(self.model.device), self._nonfinite_gets_its_place()
        with _interrupts_wait() as interrupts, quiet, workspace(), device, place, self._let_go():
            if not self.is_resumed:
                self._tell("reset")
            self._tell("on_train_begin", logs)
            while self.epoch < self.epochs and not self.stop_training:
                parts, batches = self._begin_epoch()
                logs, told = self.means(), self._told_of_batches()
                for part, batch in zip(parts, batches, strict=True):
                    numbers = self.step(batch, self.noise)
                    self.batch += 1
                    self.n_seen += len(part)
                    for name, number in numbers.items():
                        self.sums[name] = self.sums.get(name, 0.0) + len(part) * float(number)
                        logs[name] = self.sums[name] / self.n_seen
                    for callback in told:
                        callback.on_train_batch_end(self.batch - 1, logs)
                    if interrupts:
                        self._tell("on_interrupt")
                        raise KeyboardInterrupt
                self._end_epoch(logs)
            self._tell("on_train_end", logs)
        return self.history

    def _begin_epoch(self) -> tuple[list[np.ndarray], Iterator[tuple]]:
        """The indices of each batch that is still to come in this epoch, and the batches."""
        if self.batch == 0:
            self.sums, self.n_seen, self.noise = {}, 0, self.generator("noise")
            self._tell("on_epoch_begin", self.epoch, {})
        order = self.generator("order") if self.shuffle else None
        parts = [*batch_indices(self.n_samples, self.batch_size, order)][self.batch :]
        take = functools.partial(rows_of, self.data.arrays, self.data.dtypes)
        return parts, self.pipeline.batches(map(take, parts))

    def _end_epoch(self, logs: dict[str, float]) -> None:
        if self.validate is not None:
            logs.update({f"val_{name}": value for name, value in self.validate().items()})
        done, self.epoch, self.batch = self.epoch, self.epoch + 1, 0
        self._tell("on_epoch_end", done, logs)

    @contextmanager
    def _nonfinite_gets_its_place(self) -> Iterator[None]:
        try:
            yield
        except NonFiniteError as error:
            where = f"epoch {self.epoch + 1}, batch {self.batch + 1}"
            raise NonFiniteError(f"training stopped in {where}: {error}") from None

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        """At the end, hold no samples: callbacks keep their run, and the model its history."""
        try:
            yield
        finally:
            self.data = self.validate = None

    def _told_of_batches(self) -> list[Callback]:
        """The callbacks that want to hear of each batch."""
        return [
            callback
            for callback in self.callbacks
            if type(callback).on_train_batch_end is not Callback.on_train_batch_end
            or "on_train_batch_end" in vars(callback)
        ]

    def means(self) -> dict[str, float]:
        """Each log's mean over the samples of the epoch so far."""
        return {name: total / self.n_seen for name, total in self.sums.items()}

    # -- what callbacks keep and give back

    def weights(self) -> dict[str, dict[str, Any]]:
        """A copy of what every learner has learned."""
        return {name: learner.weights() for name, learner in self.learners.items()}

    def set_weights(self, weights: dict[str, dict[str, Any]]) -> None:
        """Take back what ``weights`` gave."""
        for name, learner in self.learners.items():
            learner.set_weights(weights[name])

    # -- saving and going on

    def save(self, path: str | Path) -> None:
        """Write where training stands; see ``ModelCheckpoint``."""
        header: dict[str, Any] = {"format": FORMAT, "run": self._settings()}
        arrays: dict[str, Any] = {}
        for name, state in self._state().items():
            header[name], parts = _split(name, state)
            arrays.update(parts)
        callback_headers = []
        for i, callback in enumerate(self.callbacks):
            plain, parts = _split(f"callback/{i}", callback.state_dict())
            callback_headers.append({"class": type(callback).__name__, **plain})
            arrays.update(parts)
        header["callbacks"] = callback_headers
        header["position"] = {
            "epoch": self.epoch,
            "batch": self.batch,
            "sums": self.sums,
            "n_seen": self.n_seen,
            "noise": self.noise.bit_generator.state,
            "stop_training": self.stop_training,
        }
        write_archive(path, header, arrays)

    def _state(self) -> dict[str, dict[str, Any]]:
        """{"weights of generator": {name: array}, "optimizer of generator": ..., ...}."""
        return {
            f"{part} of {name}": state
            for name, learner in self.learners.items()
            for part, state in learner.state().items()
        }

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a resumed run to be the same run."""
        return {
            "seed": self.seed,
            "n_samples": self.n_samples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
        }

    def resume(self, path: str | Path, seed: int | None) -> None:
        """Go on from what ``save`` wrote."""
        header, arrays = read_archive(path)
        if header.get("format") != FORMAT:
            raise ValueError(f"{path}: not a checkpoint of training (ModelCheckpoint writes those)")
        if seed is None:
            self.seed = self.history.seed = header["run"]["seed"]
        for name, value in self._settings().items():
            if header["run"][name] != value:
                raise ValueError(
                    f"{path}: its run had {name}={header['run'][name]}, this one has {value}; "
                    f"resuming needs the same"
                )
        self._load_learners(str(path), header, arrays)
        self._load_callbacks(path, header["callbacks"], arrays)
        self.is_resumed = True
        position = header["position"]
        self.epoch, self.batch = position["epoch"], position["batch"]
        self.sums, self.n_seen = position["sums"], position["n_seen"]
        self.stop_training = position["stop_training"]
        self.noise = self.generator("noise")
        self.noise.bit_generator.state = position["noise"]

    def _load_learners(self, path: str, header: dict, arrays: dict[str, Any]) -> None:
        with on_device(self.model.device):
            for name, learner in self.learners.items():
                state = {
                    part: {**header.get(key := f"{part} of {name}", {}), **_part(arrays, key + "/")}
                    for part in learner.state()
                }
                learner.load_state(path, state)

    def _load_callbacks(self, path: str | Path, saved: list, arrays: dict[str, Any]) -> None:
        if [c["class"] for c in saved] != [type(c).__name__ for c in self.callbacks]:
            raise ValueError(
                f"{path}: its run had the callbacks {', '.join(c['class'] for c in saved)}, this "
                f"one has {', '.join(type(c).__name__ for c in self.callbacks)}"
            )
        for i, (callback, state) in enumerate(zip(self.callbacks, saved, strict=True)):
            state = {k: v for k, v in state.items() if k != "class"}
            callback.load_state_dict({**state, **_part(arrays, f"callback/{i}/")})


def _split(prefix: str, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A state's plain values, and its arrays under prefixed names."""
    plain = {k: v for k, v in state.items() if not is_array(v)}
    return plain, {f"{prefix}/{k}": v for k, v in state.items() if is_array(v)}


def _part(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


@contextmanager
def _interrupts_wait() -> Iterator[list[bool]]:
    """Let Ctrl-C wait until the batch under way is done; a second one does not wait.

    The list that the block gets holds something once it was pressed.
    """
    pressed: list[bool] = []

    def note(_signal: int, _frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)

    if threading.current_thread() is not threading.main_thread():
        yield pressed  # signals reach the main thread alone
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
