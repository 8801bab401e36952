"""Methods whose loss is more than ``compile`` can say.

Two networks against each other, a penalty that needs a gradient of its own, statistics in the place
of a gradient: such a method writes its ``Objective``, forward and backward side by side, and gives
it to a ``Learner``, or several. Epochs, batches, the history, Ctrl-C and checkpoints are those of
every training (``training/loop.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from minienc.arrays import DTypeLike, Rng, on_device, rows_at, to_device
from minienc.data import pixels
from minienc.devices import Pipeline
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import Pretrainer, save_freq
from minienc.training.callbacks import CSVLogger, ModelCheckpoint
from minienc.training.computed import ComputedObjective
from minienc.training.loop import Trainer
from minienc.training.losses import get_loss
from minienc.training.planned import PlannedPipeline
from minienc.training.progress import ProgressBar
from minienc.training.step import Cache, Learner, Scalar


class SteppedPretrainer(Pretrainer):
    """A method gives ``build``, which names beside ``model_`` and ``encoder_`` what learns:

        self.learners_ = {"critic": Learner(critic, objective, optimizer), "generator": ...}

    A batch is ``(x,)``, x (B, D) floats on the method's device. Each learner makes a step on it, in
    their order; a method whose turns are others gives ``_step``.
    """

    learners_: dict[str, Learner]
    steps_: Mapping[str, Callable[..., dict[str, Scalar]]] = MappingProxyType({})  # of a run

    def _fit(self, X: pixels.Samples) -> None:
        self.build(X.shape[1:], np.random.default_rng(self.random_state_))
        for model in (self.model_, *[learner.network for learner in self.learners_.values()]):
            model.to(self._device(X))
        with on_device(self.model_.device):
            self._start(X)
        self.history_ = self._run_steps(X, "checkpoint", self.epochs)

    def _start(self, X: pixels.Samples) -> None:
        """What is begun from the samples (centroids, biases), before the first step.

        It is called where the networks are.
        """

    def _data(self, X: pixels.Samples) -> Samples:
        """What batches are cut from: ``arrays`` and ``dtypes``."""
        return Samples(X, self.dtype)

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        """Learn from a batch; return the numbers to be logged, the loss first."""
        numbers: dict[str, Scalar] = {}
        for name in self.learners_:
            numbers |= self._learn(name, batch, rng)
        return numbers

    def _learn(self, name: str, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        """A step of one learner: by a plan (``training/planned.py``), where there can be one."""
        return self.steps_.get(name, self.learners_[name].step)(batch, rng)

    def _numbers(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        """The same numbers, without learning from the batch: for validation."""
        numbers: dict[str, Scalar] = {}
        for learner in self.learners_.values():
            values, _ = learner.objective.forward(batch, rng)
            numbers |= dict(zip(learner.objective.names, values, strict=True))
        return numbers

    def _run_steps(self, X: pixels.Samples, stage: str, epochs: int) -> dict[str, list[float]]:
        """Take steps over epochs; one stage, with a checkpoint of its own."""
        run, state = self._run, None
        callbacks = [*run.callbacks, *([ProgressBar(int(self.verbose))] if self.verbose else [])]
        if run.folder is not None:
            state = run.folder / f"{stage}.npz"
            often = save_freq(X, self.batch_size)
            callbacks += [CSVLogger(run.folder / f"{stage}.csv"), ModelCheckpoint(state, often)]
        trainer = Trainer(
            self.model_,
            self.learners_,
            self._step,
            self._data(X),
            n_samples=len(X),
            epochs=epochs,
            batch_size=min(self.batch_size, len(X)),
            shuffle=True,
            seed=self.random_state_,
            callbacks=callbacks,
            pipeline=Pipeline(self.model_.device),
            validate=None if run.validation is None else lambda: self._validate(trainer),
        )
        if run.resume and state is not None and state.exists():
            trainer.resume(state, self.random_state_)
        self.history_ = trainer.history.history  # of a run that is interrupted, too
        self.steps_ = {
            name: PlannedPipeline("cpu").step_of(learner)
            for name, learner in self.learners_.items()
            if self.model_.device == "cpu" and isinstance(learner.objective, ComputedObjective)
        }
        try:
            return trainer.run().history
        finally:
            del self.steps_

    def _validate(self, trainer: Trainer) -> dict[str, float]:
        rng, X = trainer.generator("validation"), self._run.validation
        sums: dict[str, float] = {}
        for start in range(0, len(X), 1000):
            x = rows_at(X, slice(start, start + 1000), self.dtype)
            numbers = self._numbers((to_device(x, self.model_.device),), rng)
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0.0) + len(x) * float(value)
        return {name: total / len(X) for name, total in sums.items()}


class Restoring(ComputedObjective):
    """A network shall restore its input: l(x_hat, x) of a batch (x,)."""

    uses_rng = False
    settings = ("loss",)

    def __init__(self, network: Model, loss: str) -> None:
        self.network, self.loss = network, get_loss(loss)

    @property
    def graphs(self) -> list[Graph]:
        return [self.network.graph]

    def compute(self, arrays: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        (x,) = arrays
        x_hat, cache = self.network.forward(x)  # (1)
        loss, loss_cache = self.loss.forward(x_hat, x)  # (2)
        return (loss,), (cache, loss_cache)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, loss_cache = cache
        dx_hat = self.loss.backward(dloss, loss_cache)  # (2)
        self.network.backward(dx_hat, cache, grads, need_dx=False)  # (1)


class Samples:
    """What a batch is made of: the samples alone, or with the number of each behind them."""

    def __init__(self, X: pixels.Samples, dtype: DTypeLike, numbered: bool = False) -> None:
        self.arrays: tuple[Any, ...] = (X,)
        self.dtypes: tuple[np.dtype, ...] = (np.dtype(dtype),)
        if numbered:
            self.arrays, self.dtypes = (X, np.arange(len(X))), (*self.dtypes, np.dtype(int))
