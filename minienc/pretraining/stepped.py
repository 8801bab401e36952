"""Methods that write their training step themselves.

    logs = self._step(x, rng)       forward, loss, backward, update, on one page

A method whose loss is more than ``compile`` can say (two networks against each other, a penalty
that needs a gradient of its own, statistics instead of gradients) subclasses ``SteppedPretrainer``.
Everything else is the same for all of them and stands here: epochs, batches, the history, Ctrl-C,
and checkpoints from which a run that was killed goes on to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import Array, beside, on_device, rows_at, to_device
from minienc.models import Model
from minienc.pretraining.base import Pretrainer, check_counts
from minienc.training.callbacks import CSVLogger, ModelCheckpoint
from minienc.training.loop import load_optimizer, load_parameters
from minienc.training.step import NonFiniteError
from minienc.training.optimizers import Optimizer
from minienc.training.progress import ProgressBar
from minienc.training.steps import TrainingLoop


class SteppedPretrainer(Pretrainer):
    """A method gives ``_build`` and ``_step``, and may give ``_losses``.

    ``_build(n_features, rng)`` makes what learns, all drawn from ``rng``, and names it:

        self.networks_ = {"generator": Model, "critic": Model}   (model_, encoder_ beside them)
        self.optimizers_ = {"generator": Adam(...), ...}
        self.arrays_ = {"centroids": array}                      what is learned beside networks

    ``_step(x, rng)`` learns from one batch x (B, D), floats on the method's device, and returns
    its logs: a dict of numbers, the first of which must be "loss".

    ``_losses(x, rng)`` returns the same logs of a batch without learning from it, for validation.
    """

    networks_: dict[str, Model]
    optimizers_: dict[str, Optimizer]
    arrays_: dict[str, Array]

    def _build(self, n_features: int, rng: np.random.Generator) -> None:
        raise NotImplementedError

    def _step(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        raise NotImplementedError

    def _losses(self, x: Array, rng: np.random.Generator) -> dict[str, Any]:
        return {}

    # -- what that makes

    def _fit(self, X: Any) -> None:
        self.check_params(X.shape[1])
        self._make(X.shape[1], self.random_state_)
        for network in self.networks_.values():
            network.to(self._device(X))
        with on_device(self.model_.device):
            self._start(X)
        self.history_ = self._run_steps(X, "checkpoint", self.epochs)

    def check_params(self, n_features: int) -> None:
        """Refuse parameters that ``fit`` would refuse, by building what it would train."""
        super().check_params(n_features)
        check_counts(type(self).__name__, epochs=self.epochs, batch_size=self.batch_size)
        type(self)(**self.get_params())._make(n_features, 0)

    def _make(self, n_features: int, seed: int) -> None:
        self.networks_, self.optimizers_, self.arrays_ = {}, {}, {}
        self._build(n_features, np.random.default_rng(seed))

    def _start(self, X: Any) -> None:
        """What is begun from the samples (centroids, biases), before the first step.

        It is called where the networks are.
        """

    def _run_steps(self, X: Any, stage: str, epochs: int) -> dict[str, list[float]]:
        """Take steps over epochs; one stage, with a checkpoint of its own."""
        run = self._run
        callbacks = [*run.callbacks, *([ProgressBar(int(self.verbose))] if self.verbose else [])]
        state = None
        if run.folder is not None:
            state = run.folder / f"{stage}.npz"
            callbacks += [CSVLogger(run.folder / f"{stage}.csv"), ModelCheckpoint(state)]
        loop = _Steps(self, X, run.validation, epochs=epochs, callbacks=callbacks)
        if run.resume and state is not None and state.exists():
            loop.resume(state, self.random_state_)
        return loop.run().history


class _Steps(TrainingLoop):
    """The loop over a method's steps."""

    def __init__(
        self,
        method: SteppedPretrainer,
        X: Any,
        validation: Any,
        *,
        epochs: int,
        callbacks: Sequence[Any],
    ) -> None:
        self.method, self.X = method, X
        self.validation = validation
        super().__init__(
            method.model_,
            np.arange(len(X)),
            None if validation is None else self._validate,
            epochs=epochs,
            batch_size=min(method.batch_size, len(X)),
            shuffle=True,
            seed=method.random_state_,
            callbacks=callbacks,
            initial_epoch=0,
        )

    def _samples(self, X: Any, indices: Any) -> Array:
        return to_device(rows_at(X, indices, self.method.dtype), self.method.model_.device)

    def _take(self, indices: np.ndarray) -> Array:
        return self._samples(self.X, indices)

    def _step(self, taken: Array, after: Sequence[np.ndarray] = ()) -> Any:
        logs = {k: float(v) for k, v in self.method._step(taken, self.noise).items()}
        for name, value in logs.items():
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"training stopped in epoch {self.epoch + 1}, batch {self.batch + 1}: {name} "
                    f"is {value}. The last checkpoint stays as it was; try a smaller learning rate"
                )
        self.log(len(taken), logs)
        return self._take(after[0]) if after else None

    def _validate(self) -> dict[str, float]:
        rng = np.random.default_rng([self.seed, self.epoch, 2])
        sums: dict[str, float] = {}
        for start in range(0, len(self.validation), 1000):
            x = self._samples(self.validation, slice(start, start + 1000))
            for name, value in self.method._losses(x, rng).items():
                sums[name] = sums.get(name, 0.0) + len(x) * float(value)
        return {name: total / len(self.validation) for name, total in sums.items()}

    def _state(self) -> dict[str, dict[str, Any]]:
        method = self.method
        state: dict[str, dict[str, Any]] = {"arrays": dict(method.arrays_)}
        for name, network in method.networks_.items():
            state[f"weights of {name}"] = dict(network.parameters.items())
        for name, optimizer in method.optimizers_.items():
            state[f"optimizer of {name}"] = optimizer.state_dict()
        return state

    def _load_state(self, path: str | Path, state: dict[str, dict[str, Any]]) -> None:
        method = self.method
        for name, array in state["arrays"].items():
            old = method.arrays_.get(name)
            method.arrays_[name] = array if old is None else beside(array, old)
        for name, network in method.networks_.items():
            load_parameters(network.parameters, state[f"weights of {name}"], str(path))
        for name, optimizer in method.optimizers_.items():
            parameters = method.networks_[name].parameters
            load_optimizer(optimizer, state[f"optimizer of {name}"], parameters)
