"""The one training loop: epochs, batches, callbacks, Ctrl-C, and where a run stands.

``Model.fit`` and every method of ``minienc.pretraining`` run it; what a step does is the
learner's matter (``step.py``).

A run is fixed by its seed: the order of the samples in epoch e and the noise in it come from
generators made of (seed, e). So where a run stands is a few numbers, and a run that is resumed
from them ends in the same bits as one that was never stopped.
"""

from __future__ import annotations

import functools
import itertools
import secrets
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import Array, Scalar, on_device, rows_of, to_numpy
from minienc.data.batching import batch_indices
from minienc.data.epochs import Epoch, open_epochs
from minienc.devices import Pipeline, workspace
from minienc.training.callbacks import Callback, History
from minienc.training.optimizer import Optimizer
from minienc.training.ranks import ranks_here
from minienc.training.standing import resume_standing, save_standing
from minienc.training.step import Learner, NonFiniteError

if TYPE_CHECKING:
    from minienc.models.model import Model


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
        model: Model,
        learners: dict[str, Learner],
        step: Callable[..., dict[str, Scalar]],
        data: Any,
        *,
        n_samples: int,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        callbacks: Sequence[Callback],
        pipeline: Pipeline,
        validate: Callable[[], dict[str, float]] | None = None,
        initial_epoch: int = 0,
    ) -> None:
        self.model, self.learners, self.step, self.data = model, learners, step, data
        self.n_samples, self.validate, self.pipeline = n_samples, validate, pipeline
        self.epochs, self.batch_size, self.shuffle = epochs, batch_size, shuffle
        self.ranks = ranks_here()
        self.seed = secrets.randbits(63) if seed is None else int(seed)
        if self.ranks is not None:
            self.seed = self.ranks.first(self.seed)
        self.epoch, self.batch = initial_epoch, 0
        self.stop_training = False
        self.arrays: tuple = ()  # that batches of this epoch are cut from
        self.reading: list[Epoch] = []  # of shards: this epoch
        self.is_resumed = False
        self.looks: list[list[float]] | None = None  # of some samples, once somebody has asked
        self.logs: dict[str, float] = {}  # of the last epoch that is done
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
    def optimizers(self) -> list[Optimizer]:
        """Of all learners that have one."""
        return [one.optimizer for one in self.learners.values() if one.optimizer is not None]

    @property
    def log_names(self) -> list[str]:
        """What is known before training of the names in the logs."""
        objectives = [one.objective for one in self.learners.values() if one.objective is not None]
        names = dict.fromkeys(name for objective in objectives for name in objective.names)
        return [*names, *(f"val_{name}" for name in names if self.validate is not None)]

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

    def _tell(self, hook: str, *args: object) -> None:
        for callback in self._told():
            getattr(callback, hook)(*args)

    def _told(self) -> list[Callback]:
        """The callbacks that hear of anything here."""
        return self.callbacks if self.ranks is None else self.ranks.told(self.callbacks)

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
            if self.ranks is not None:
                self.ranks.check_alike(self._in_numbers())
                for learner in self.learners.values():
                    self.ranks.begin(learner)
                self.ranks.pressed = interrupts
            while self.epoch < self.epochs and not self.stop_training:
                parts, batches = self._begin_epoch()
                logs, sums, told = self.means(), self.sums, self._told_of_batches()
                for part, batch in zip(parts, batches, strict=True):
                    if self.ranks is not None:
                        self.ranks.begin_batch(len(part))
                    numbers, n = self.step(batch, self.noise), len(part)
                    self.batch += 1
                    self.n_seen += n
                    for name, number in numbers.items():
                        sums[name] = sums.get(name, 0.0) + n * float(number)
                    for callback in told:
                        for name, total in sums.items():
                            logs[name] = total / self.n_seen
                        callback.on_train_batch_end(self.batch - 1, logs)
                    if not told:  # nobody looks between the next steps
                        self._make_some_ahead(parts, n)
                    if interrupts if self.ranks is None else self.ranks.stopping:
                        self._tell("on_interrupt")
                        raise KeyboardInterrupt
                logs |= self.means()
                self._end_epoch(logs)
            self._tell("on_train_end", logs)
        return self.history

    def _in_numbers(self) -> dict[str, float | list[float]]:
        """What must be the same on all ranks, as far as few numbers say it."""
        found: dict[str, float | list[float]] = {
            "numbers of samples": self.n_samples,
            "numbers of epochs": self.epochs,
            "batch sizes": self.batch_size,
            "numbers of weights": [
                one.network.parameters.vector.size for one in self.learners.values()
            ],
        }
        n, in_shards = self.n_samples, any(hasattr(a, "epoch") for a in self.data.arrays)
        some = np.unique([0] if in_shards else [0, n // 2, n - 1])  # a shard is read as a whole
        rows = rows_of(self.data.arrays, self.data.dtypes, some)
        arrays = [to_numpy(a).astype("float64") for a in rows]
        found["contents of samples"] = [float(np.abs(a).sum()) for a in arrays]
        return found

    def _make_some_ahead(self, parts: Iterator[np.ndarray], n: int) -> None:
        """Let the pipeline make the next steps, of n samples each, as far as it can."""
        made = 0
        for name, numbers in self.pipeline.ahead(self.arrays).items():
            total, made = self.sums.get(name, 0.0), len(numbers)
            for number in numbers:
                total += n * number
            self.sums[name] = total
        for _ in range(made):
            next(parts)
        self.batch += made
        self.n_seen += made * n

    def _begin_epoch(self) -> tuple[Iterator[np.ndarray], Iterator[tuple]]:
        """The indices of each batch that is still to come in this epoch, and the batches."""
        if self.batch == 0:
            self.sums, self.n_seen, self.noise = {}, 0, self.generator("noise")
            self._tell("on_epoch_begin", self.epoch, {})
        self.arrays, mine, parts = self._cut()
        take: Callable = functools.partial(rows_of, self.arrays, self.data.dtypes)
        if self.ranks is not None:
            take = self.ranks.taking(take)
        return mine, self.pipeline.batches(take, parts)

    def _cut(self) -> tuple[tuple, Iterator[np.ndarray], Iterable[np.ndarray]]:
        """What is cut, and the indices of each batch still to come, twice; of shards, an epoch."""
        order = lambda: self.generator("order") if self.shuffle else None  # noqa: E731
        arrays, self.reading = open_epochs(self.data.arrays, self.batch_size, order, self.n_samples)
        if not self.reading:
            all_parts = [*batch_indices(self.n_samples, self.batch_size, order())]
            return arrays, iter(all_parts[self.batch :]), all_parts[self.batch :]
        left = itertools.islice(self.reading[0], self.batch, None)
        mine, parts = itertools.tee(left)
        return arrays, mine, parts

    def _close_epoch(self) -> None:
        """Hold no shards, and no thread that reads them ahead."""
        for epoch in self.reading:
            epoch.close()
        self.arrays, self.reading = (), []

    def _end_epoch(self, logs: dict[str, float]) -> None:
        self._close_epoch()
        if self.ranks is not None:
            self.ranks.end_batches()
        if self.validate is not None:
            logs.update({f"val_{name}": value for name, value in self.validate().items()})
        if self.ranks is not None:
            logs.update(self.ranks.first(logs))
        done, self.epoch, self.batch, self.logs = self.epoch, self.epoch + 1, 0, logs
        self._tell("on_epoch_end", done, logs)
        if self.ranks is not None:
            self.stop_training = self.ranks.first(self.stop_training)

    @contextmanager
    def _nonfinite_gets_its_place(self) -> Iterator[None]:
        try:
            yield
        except NonFiniteError as error:
            where = f"epoch {self.epoch + 1}, batch {self.batch + 1}"
            raise NonFiniteError(f"training stopped in {where}: {error}") from None

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        """At the end, hold no samples and no plans: callbacks keep their run, and the model its
        history, and perhaps small plans for the next run."""
        try:
            yield
        finally:
            self.history.steps = self.step.says() if hasattr(self.step, "says") else None
            self.pipeline.close()
            self._close_epoch()
            for array in self.data.arrays:
                if hasattr(array, "let_go"):
                    array.let_go()
            if self.ranks is not None:
                self.ranks.end_batches()
            self.data = self.validate = self.step = self.pipeline = None  # type: ignore[assignment]

    def _told_of_batches(self) -> list[Callback]:
        """The callbacks that want to hear of each batch."""
        return [
            callback
            for callback in self._told()
            if callback.wants_batches
            and (
                type(callback).on_train_batch_end is not Callback.on_train_batch_end
                or "on_train_batch_end" in vars(callback)
            )
        ]

    def means(self) -> dict[str, float]:
        """Each log's mean over the samples of the epoch so far."""
        return {name: total / self.n_seen for name, total in self.sums.items()}

    # -- what callbacks keep and give back

    def weights(self) -> dict[str, dict[str, Array]]:
        """A copy of what every learner has learned."""
        return {name: learner.weights() for name, learner in self.learners.items()}

    def set_weights(self, weights: dict[str, dict[str, Array]]) -> None:
        """Take back what ``weights`` gave."""
        for name, learner in self.learners.items():
            learner.set_weights(weights[name])

    # -- saving and going on

    def save(self, path: str | Path) -> None:
        """Write where training stands; see ``ModelCheckpoint``."""
        save_standing(self, path)

    def resume(self, path: str | Path, seed: int | None) -> None:
        """Go on from what ``save`` wrote."""
        resume_standing(self, path, seed)


@contextmanager
def _interrupts_wait() -> Iterator[list[bool]]:
    """Let Ctrl-C wait until the batch under way is done; a second one does not wait.

    The list that the block gets holds something once it was pressed.
    """
    pressed: list[bool] = []

    def note(_signal: int, _frame: object) -> None:
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
