"""The arrays that a model is trained, evaluated or asked on: what fits it, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minienc.arrays import device_of, is_array
from minienc.data.checks import check_data


class Batches:
    """Inputs, targets and sample weights of a run, to be cut into batches.

    Anything with ``shape``, ``dtype``, ``len`` and indexing by an index array serves: an
    ndarray, a memory map, ``minienc.data.Pixels``. What is taken becomes the model's dtype, batch
    by batch.

    Attributes
    ----------
    arrays : tuple
        The inputs, then the targets, then the weights.
    dtypes : tuple
        What each of them becomes in a batch.
    """

    def __init__(self, model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        self.xs = as_tuple(x)
        self.ys = () if y is None else as_tuple(y, "y")
        self.weights = () if sample_weight is None else as_tuple(sample_weight, "sample_weight")
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
        y_dtypes = [] if y is None else self._check_targets(model)
        for w in self.weights:
            check_data(w, name="sample_weight", domain=(0, math.inf), minimum=1)
            if len(w.shape) != 1:
                raise ValueError(
                    f"sample_weight is {tuple(w.shape)}, expected ({self.n},): a number a sample"
                )
        self.arrays = (*self.xs, *self.ys, *self.weights)
        x_dtypes = [t.dtype for t in model.inputs]
        self.dtypes = (*x_dtypes, *y_dtypes, *[model.dtype for _ in self.weights])

    def _check_targets(self, model: Any) -> list[Any]:
        """Refuse targets that the losses are not defined for; return what each becomes."""
        if len(self.ys) != len(model.outputs):
            raise ValueError(
                f"y has {len(self.ys)} arrays, expected one for each of the model's "
                f"{len(model.outputs)} outputs"
            )
        seen, dtypes = {id(x) for x in self.xs}, []
        for i, (y, loss, out) in enumerate(zip(self.ys, model.losses, model.outputs, strict=True)):
            name = "y" if len(self.ys) == 1 else f"y[{i}]"
            if not hasattr(y, "shape"):
                raise TypeError(f"{name} is a {type(y).__name__}, expected an array")
            if id(y) not in seen and y.dtype.kind == "f" and isinstance(y, np.ndarray):
                check_data(y, name=name, minimum=1)
            loss.check_targets(y, name, out.sample_shape)
            dtypes.append(y.dtype if loss.takes_labels else model.dtype)
        return dtypes


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
