"""What ``Model.fit`` runs, batches of samples and a step on each; ``evaluate`` and ``predict``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import (
    beside,
    device_of,
    get_array_module,
    is_array,
    on_device,
    rows_at,
    to_device,
)
from minienc.data.checks import check_data
from minienc.primitive import device_loop
from minienc.training.callbacks import Callback, History
from minienc.training.checkpoints import check_fit
from minienc.training.objective import NonFiniteError
from minienc.training.progress import ProgressBar
from minienc.training.steps import TrainingLoop


class Batches:
    """Inputs, targets and sample weights of a run, cut into batches.

    Anything with ``shape``, ``dtype``, ``len`` and indexing by an index array serves: an
    ndarray, a memory map, ``minienc.data.Pixels``. What is taken becomes the model's dtype, batch
    by batch.
    """

    def __init__(self, model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        self.xs = as_tuple(x)
        self.ys = () if y is None else as_tuple(y, "y")
        self.weights = () if sample_weight is None else as_tuple(sample_weight, "sample_weight")
        self.dtypes = [t.dtype for t in model.inputs]
        self.float_dtype = model.dtype
        self.y_dtypes: list[Any] = []
        _check_arrays(
            model, "x", self.xs, len(model.inputs), [t.sample_shape for t in model.inputs]
        )
        self.n = len(self.xs[0])
        lengths = [len(a) for a in (*self.xs, *self.ys, *self.weights)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"x, y and sample_weight have {', '.join(map(str, lengths))} samples, expected "
                f"the same number"
            )
        if y is not None:
            self._check_targets(model)
        for w in self.weights:
            check_data(w, name="sample_weight", domain=(0, math.inf), minimum=1)
            if len(w.shape) != 1:
                raise ValueError(
                    f"sample_weight is {tuple(w.shape)}, expected ({self.n},): a number a sample"
                )

    def _check_targets(self, model: Any) -> None:
        if len(self.ys) != len(model.outputs):
            raise ValueError(
                f"y has {len(self.ys)} arrays, expected one for each of the model's "
                f"{len(model.outputs)} outputs"
            )
        seen = {id(x) for x in self.xs}
        for i, (y, loss, out) in enumerate(zip(self.ys, model.losses, model.outputs, strict=True)):
            name = "y" if len(self.ys) == 1 else f"y[{i}]"
            if not hasattr(y, "shape"):
                raise TypeError(f"{name} is a {type(y).__name__}, expected an array")
            if id(y) not in seen and y.dtype.kind == "f" and isinstance(y, np.ndarray):
                check_data(y, name=name, minimum=1)
            loss.check_targets(y, name, out.sample_shape)
            self.y_dtypes.append(y.dtype if loss.takes_labels else self.float_dtype)

    def take(self, indices: np.ndarray) -> tuple[tuple, tuple, tuple]:
        """(inputs, targets, weights) of the samples ``indices``; the same array comes once."""
        taken: dict[int, Any] = {}

        def pick(a: Any, dtype: Any) -> Any:
            if id(a) not in taken:
                taken[id(a)] = rows_at(a, indices, dtype)
            return taken[id(a)]

        xs = tuple(pick(x, d) for x, d in zip(self.xs, self.dtypes, strict=True))
        ys = tuple(pick(y, d) for y, d in zip(self.ys, self.y_dtypes, strict=True))
        return xs, ys, tuple(pick(w, self.float_dtype) for w in self.weights)


def as_tuple(x: Any, name: str = "x") -> tuple:
    """Several arrays come as a list or tuple; a list of numbers is no array."""
    if not isinstance(x, (list, tuple)):
        return (x,)
    if not all(hasattr(a, "shape") for a in x):
        raise TypeError(
            f"{name} is a {type(x).__name__} of numbers, expected an array: np.asarray({name}); a "
            f"list is for the arrays of a model with several"
        )
    return tuple(x)


def _check_arrays(model: Any, name: str, arrays: tuple, n: int, shapes: list) -> None:
    if len(arrays) != n:
        raise ValueError(f"{name} has {len(arrays)} arrays, expected one for each of {n} inputs")
    for i, (a, shape) in enumerate(zip(arrays, shapes, strict=True)):
        which = name if n == 1 else f"{name}[{i}]"
        if not hasattr(a, "shape") or not hasattr(a, "dtype"):
            raise TypeError(
                f"{which} is a {type(a).__name__}, expected an array of samples of shape {shape}"
            )
        if tuple(a.shape[1:]) != shape:
            raise ValueError(
                f"{which} is {tuple(a.shape)}, expected (N, {', '.join(map(str, shape))}): "
                f"samples of shape {shape} in rows"
            )
        if len(a) == 0:
            raise ValueError(f"{which} has no samples")
        if is_array(a) and model.device == "cpu" != device_of(a):
            raise TypeError(
                f"{which} lives on {device_of(a)} and the model on cpu; move one of them: "
                f"model.to({device_of(a)!r}) or minienc.arrays.to_numpy({name})"
            )
        if isinstance(a, np.ndarray):
            check_data(a, name=which, minimum=1)


# -------------------------------------------------------------------------------------- one run


class Trainer(TrainingLoop):
    """One call of ``fit``: the model, its data, and where training stands."""

    def __init__(self, model: Any, data: Batches, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        self.data = data
        self.grads = model.new_gradients()
        self.draws_noise = model.uses_rng
        self.device_loop = None if model.device == "cpu" else device_loop(model.device)

    def _take(self, indices: np.ndarray) -> tuple[tuple, tuple, tuple]:
        """The inputs, targets and weights of a batch, where the model computes."""
        xs, ys, weights = self.data.take(indices)
        if self.device_loop is None:
            return xs, ys, weights
        arrays = self.device_loop.upload((*xs, *ys, *weights))
        return arrays[: len(xs)], arrays[len(xs) : len(xs) + len(ys)], arrays[len(xs) + len(ys) :]

    def _step(self, taken: tuple[tuple, tuple, tuple], after: Sequence[np.ndarray] = ()) -> Any:
        """One step: forward, loss, backward, update; return the batch ``after`` it, taken.

        A device computes while the next batch is on its way to it, so that is fetched before
        anybody looks at the loss.
        """
        model, following = self.model, None
        before = self.noise.bit_generator.state if self.draws_noise else None
        numbers = model.optimizer.next_step()
        if self.device_loop is None:
            values = self._compute(taken, numbers, self.noise)
        else:
            settings = numbers, self.noise, self._bound_to()
            pending = self.device_loop.compute(self._compute, taken, *settings)
            following = self._take(after[0]) if after else None
            values = _looked_at(pending)
        if not math.isfinite(values["loss"]):
            model.optimizer.iterations -= 1  # the step that was counted was not made
            self._refuse(taken[0], values["loss"], before)
        model.parameters.touch()
        self.log(taken[0][0].shape[0], values)
        return self._take(after[0]) if after and following is None else following

    def _bound_to(self) -> tuple:
        """What ``_compute`` uses beside its arguments: each is another object once it is not what
        it was (weights that another model gathered, layers frozen, an optimiser's state loaded)."""
        model = self.model
        parameters, optimizer = model.parameters, model.optimizer
        return (
            *(self.grads, model.objective, optimizer, optimizer.remembered),
            *(parameters.vector, parameters.segments()),
        )

    def _compute(
        self, taken: tuple[tuple, tuple, tuple], numbers: tuple, noise: np.random.Generator
    ) -> dict[str, Any]:
        """The arithmetic of a step. Where the loss is not finite, the weights stay as they are."""
        model, (step, rate) = self.model, numbers
        values, cache = model.objective.forward(*taken, rng=noise)
        loss, is_made = values["loss"], True
        if self.device_loop is not None and self.device_loop.replays:
            xp = get_array_module(loss)  # nobody looks: a rate that is no number leaves all alone
            is_made = xp.isfinite(loss)
            rate = xp.where(is_made, rate, math.nan)
        elif not math.isfinite(loss):
            return values
        grads = self.grads.zero()
        model.objective.backward(cache, grads)
        model.optimizer.move(model.parameters, grads, step, rate)
        model.objective.graph.update_state(cache.layers, is_made)
        return values

    def _refuse(self, xs: tuple, loss: float, noise_state: Any) -> None:
        if noise_state is not None:
            self.noise.bit_generator.state = noise_state
        where = self.model.objective.find_nonfinite(xs, self.noise)
        raise NonFiniteError(
            f"training stopped in epoch {self.epoch + 1}, batch {self.batch + 1}: the loss is "
            f"{loss}; {where}. The last checkpoint stays as it was; try a smaller learning rate "
            f"(it is {self.model.optimizer.current_learning_rate:g}) or global_clipnorm=1"
        )

    # -- saving and going on

    def set_vector(self, values: Any) -> None:
        """Give the model these weights."""
        parameters = self.model.parameters
        parameters.vector[...] = values
        parameters.touch()

    def _state(self) -> dict[str, dict[str, Any]]:
        model = self.model
        weights = dict(model.parameters.items())
        return {"weights": weights, "optimizer": model.optimizer.state_dict()}

    def _load_state(self, path: str | Path, state: dict[str, dict[str, Any]]) -> None:
        load_parameters(self.model.parameters, state["weights"], str(path))
        load_optimizer(self.model.optimizer, state["optimizer"], self.model.parameters)


def _looked_at(values: dict[str, Any]) -> dict[str, float]:
    """The numbers themselves: waits for the device that computes them."""
    return {name: float(value) for name, value in values.items()}


def load_parameters(parameters: Any, weights: dict[str, Any], what: str) -> None:
    """Write saved weights into a model's parameters, which must have the same names and shapes."""
    check_fit(
        what,
        {name: a.shape for name, a in weights.items()},
        {name: tuple(view.shape) for name, view in parameters.items()},
    )
    for name, view in parameters.items():
        view[...] = beside(weights[name], view)
    parameters.touch()


def load_optimizer(optimizer: Any, state: dict[str, Any], parameters: Any) -> None:
    """Give an optimiser back what its ``state_dict`` gave, beside the parameters."""
    optimizer.load_state_dict(
        {k: beside(v, parameters.vector) if is_array(v) else v for k, v in state.items()}
    )


# ----------------------------------------------------------- what Model.fit and its sisters call


def fit(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int | str = "auto",
    callbacks: Sequence[Callback] = (),
    validation_split: float = 0.0,
    validation_data: tuple | None = None,
    shuffle: bool = True,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    seed: int | None = None,
    resume_from: str | Path | None = None,
) -> History:
    """Train ``model``; see ``Model.fit``."""
    data = Batches(model, x, y, sample_weight)
    n_train = _n_train(data.n, validation_split, validation_data)
    batch_size = min(32, n_train) if batch_size is None else batch_size
    _check_counts(epochs, batch_size, n_train)
    validate = None
    if validation_data is not None:
        held_out = Batches(model, *validation_data)
        validate = lambda: run_evaluation(model, held_out, batch_size)  # noqa: E731
    elif n_train < data.n:
        last = np.arange(n_train, data.n)
        validate = lambda: run_evaluation(model, data, batch_size, last)  # noqa: E731
    level = 1 if verbose == "auto" else int(verbose)
    trainer = Trainer(
        model,
        data,
        np.arange(n_train),
        validate,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        callbacks=[*callbacks, *([ProgressBar(level)] if level else [])],
        initial_epoch=initial_epoch,
    )
    if resume_from is not None:
        trainer.resume(resume_from, seed)
    return trainer.run()


def _n_train(n: int, validation_split: float, validation_data: Any) -> int:
    """Validation takes the last samples, before any shuffling, as in Keras."""
    if not 0 <= validation_split < 1:
        raise ValueError(f"validation_split is {validation_split}, expected a number in [0, 1)")
    if validation_data is not None or validation_split == 0:
        return n
    n_train = n - round(n * validation_split)
    if n_train in (0, n):
        raise ValueError(
            f"validation_split={validation_split} of {n} samples leaves {n_train} for training "
            f"and {n - n_train} for validation; both need at least one"
        )
    return n_train


def _check_counts(epochs: int, batch_size: int, n: int) -> None:
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ValueError(f"epochs is {epochs!r}, expected a whole number >= 0")
    if (
        isinstance(batch_size, bool)
        or not isinstance(batch_size, (int, np.integer))
        or batch_size < 1
    ):
        raise ValueError(f"batch_size is {batch_size!r}, expected a whole number >= 1")
    if batch_size > n:
        raise ValueError(
            f"batch_size is {batch_size}, larger than the {n} training samples; use batch_size={n} "
            f"or less"
        )


def run_evaluation(
    model: Any, data: Batches, batch_size: int, indices: np.ndarray | None = None
) -> dict[str, float]:
    """The mean loss and metrics over the samples, without noise."""
    indices = np.arange(data.n) if indices is None else indices
    sums: dict[str, Any] = {}
    for start in range(0, len(indices), batch_size):
        part = indices[start : start + batch_size]
        with on_device(model.device):
            taken = [_moved(model, arrays) for arrays in data.take(part)]
            values, _ = model.objective.forward(*taken)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + len(part) * value
    return {name: float(total) / len(indices) for name, total in sums.items()}


def _moved(model: Any, arrays: tuple) -> tuple:
    """The arrays where the model lives."""
    return tuple([to_device(a, model.device) for a in arrays])


def predict(model: Any, x: Any, batch_size: int) -> Any:
    """The outputs for all samples, batch by batch; they live where the samples do."""
    data = Batches(model, x)
    home = device_of(data.xs[0]) if is_array(data.xs[0]) else "cpu"
    parts = []
    for start in range(0, data.n, batch_size):
        xs, _, _ = data.take(np.arange(start, min(start + batch_size, data.n)))
        with on_device(model.device):
            ys, _ = model.graph.forward(_moved(model, xs))
        parts.append([y if home == model.device else to_device(y, home) for y in ys])
    xp = get_array_module(parts[0][0])
    with on_device(home):
        outputs = [xp.concatenate(batches) for batches in zip(*parts, strict=True)]
    return outputs[0] if len(outputs) == 1 else outputs
