"""What any training by steps shares: epochs, batches, callbacks, Ctrl-C, and where a run stands.

A run is fixed by its seed: the order of the samples in epoch e and the noise in it come from
generators made of (seed, e). So where a run stands is a few numbers, and a run that is resumed
from them ends in the same bits as one that was never stopped.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import is_array, on_device
from minienc.data.batching import batch_indices
from minienc.primitive import workspace
from minienc.training.callbacks import Callback, History
from minienc.training.checkpoints import read_archive, write_archive

FORMAT = "minienc training state"


class TrainingLoop:
    """A run over epochs and batches; a subclass says what a step is, and what it changes.

    It gives

        _take(indices)           the batch of these samples
        _step(taken, after)      one step on it: ends with ``self.log(n, values)``, and returns the
                                 batch of the indices in ``after`` (one, or none), taken
        _state()                 what steps change: {name: {name: number or array}}
        _load_state(path, state) takes it back

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
        train_indices: np.ndarray,
        validate: Callable[[], dict[str, float]] | None,
        *,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        callbacks: Sequence[Callback],
        initial_epoch: int,
    ) -> None:
        self.model, self.validate = model, validate
        self.train_indices = train_indices
        self.epochs, self.batch_size, self.shuffle = epochs, batch_size, shuffle
        self.seed = secrets.randbits(63) if seed is None else int(seed)
        self.epoch, self.batch = initial_epoch, 0
        self.stop_training = False
        self.sums: dict[str, float] = {}  # of each log over the epoch's samples so far
        self.n_seen = 0
        self.noise: np.random.Generator = self._generator("noise")
        self.history = History()
        self.history.seed = self.seed
        self.callbacks = sorted([*callbacks, self.history], key=lambda c: c.order)
        for callback in self.callbacks:
            callback.trainer = self

    @property
    def n_batches(self) -> int:
        return -(-len(self.train_indices) // self.batch_size)

    @property
    def batches_done(self) -> int:
        return self.epoch * self.n_batches + self.batch

    def _generator(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch, ("order", "noise").index(purpose)])

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    # -- training

    def run(self) -> History:
        """Train until ``epochs`` epochs are done or a callback stops it."""
        logs: dict[str, float] = {}
        # a number that overflows is found by its loss and refused with its place, not warned of
        quiet = np.errstate(over="ignore", invalid="ignore")
        device = on_device(self.model.device)
        with _interrupts_wait() as interrupted, quiet, workspace(), device:
            self._tell("on_train_begin", logs)
            while self.epoch < self.epochs and not self.stop_training:
                logs = self._run_epoch(interrupted)
            self._tell("on_train_end", logs)
        return self.history

    def _run_epoch(self, interrupted: Callable[[], bool]) -> dict[str, float]:
        if self.batch == 0:
            self.sums, self.n_seen = {}, 0
            self.noise = self._generator("noise")
            self._tell("on_epoch_begin", self.epoch, {})
        order = self._generator("order") if self.shuffle else None
        batches = [
            self.train_indices[part]
            for part in batch_indices(len(self.train_indices), self.batch_size, order)
        ]
        taken: Any = self._take(batches[self.batch]) if self.batch < self.n_batches else None
        while self.batch < self.n_batches:
            taken = self._step(taken, batches[self.batch + 1 : self.batch + 2])
            self.batch += 1
            self._tell("on_train_batch_end", self.batch - 1, self._means())
            if interrupted():
                self._tell("on_interrupt")
                raise KeyboardInterrupt
        logs = self._means()
        if self.validate is not None:
            logs.update({f"val_{name}": value for name, value in self.validate().items()})
        done, self.epoch, self.batch = self.epoch, self.epoch + 1, 0
        self._tell("on_epoch_end", done, logs)
        return logs

    def log(self, n: int, values: dict[str, float]) -> None:
        """Note what a step on n samples found; an epoch's log is the mean over its samples."""
        self.n_seen += n
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + n * value

    def _means(self) -> dict[str, float]:
        return {name: total / self.n_seen for name, total in self.sums.items()}

    # -- what a subclass gives

    def _take(self, indices: np.ndarray) -> Any:
        raise NotImplementedError

    def _step(self, taken: Any, after: Sequence[np.ndarray] = ()) -> Any:
        raise NotImplementedError

    def _state(self) -> dict[str, dict[str, Any]]:
        raise NotImplementedError

    def _load_state(self, path: str | Path, state: dict[str, dict[str, Any]]) -> None:
        raise NotImplementedError

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

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a resumed run to be the same run."""
        return {
            "seed": self.seed,
            "n_samples": len(self.train_indices),
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
        states = {
            name: {**header.get(name, {}), **_part(arrays, f"{name}/")} for name in self._state()
        }
        with on_device(self.model.device):
            self._load_state(path, states)
        saved = header["callbacks"]
        if [c["class"] for c in saved] != [type(c).__name__ for c in self.callbacks]:
            raise ValueError(
                f"{path}: its run had the callbacks {', '.join(c['class'] for c in saved)}, this "
                f"one has {', '.join(type(c).__name__ for c in self.callbacks)}"
            )
        for i, (callback, state) in enumerate(zip(self.callbacks, saved, strict=True)):
            state = {k: v for k, v in state.items() if k != "class"}
            callback.load_state_dict({**state, **_part(arrays, f"callback/{i}/")})
        position = header["position"]
        self.epoch, self.batch = position["epoch"], position["batch"]
        self.sums, self.n_seen = position["sums"], position["n_seen"]
        self.stop_training = position["stop_training"]
        self.noise = self._generator("noise")
        self.noise.bit_generator.state = position["noise"]


def _split(prefix: str, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A state's plain values, and its arrays under prefixed names."""
    plain = {k: v for k, v in state.items() if not is_array(v)}
    return plain, {f"{prefix}/{k}": v for k, v in state.items() if is_array(v)}


def _part(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


@contextmanager
def _interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C wait until the batch under way is done; a second one does not wait."""
    pressed: list[bool] = []

    def note(_signal: int, _frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals reach the main thread alone
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
