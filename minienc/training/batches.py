"""The arrays that a model is trained, evaluated or asked on: what fits it, and what is refused."""

from __future__ import annotations

import copy
import math
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minienc.arrays import device_of, is_array, to_numpy
from minienc.data.checks import check_data, looked_at_once
from minienc.data.plain import DataLike, plain_array

if TYPE_CHECKING:
    from minienc.models.model import Model


class Batches:
    """Inputs, targets and sample weights of a run, to be cut into batches.

    Whatever ``plain_array`` takes serves. What is taken becomes the model's dtype, batch by batch.

    Parameters
    ----------
    model : Model
    x, y, sample_weight
        As of ``Model.fit``.
    of : str
        What is put behind their names in messages.

    Attributes
    ----------
    arrays : tuple
        The inputs, then the targets, then the weights.
    dtypes : tuple
        What each of them becomes in a batch.
    """

    def __init__(
        self,
        model: Model,
        x: DataLike,
        y: DataLike | None = None,
        sample_weight: DataLike | None = None,
        of: str = "",
    ) -> None:
        with looked_at_once():
            self._take(model, x, y, sample_weight, of)

    def _take(
        self,
        model: Model,
        x: DataLike,
        y: DataLike | None,
        sample_weight: DataLike | None,
        of: str,
    ) -> None:
        """Keep what fits the model, and say of what does not what it lacks."""
        self.xs = _several("x" + of, x, len(model.inputs), "input")
        _check_inputs(model, "x" + of, self.xs)
        self.n = len(self.xs[0])
        n_outputs = len(model.outputs)
        if y is None:
            self.ys: tuple = ()
        else:
            self.ys = self.xs if y is x else _several("y" + of, y, n_outputs, "output")
        self.weights: tuple = ()
        if sample_weight is not None:
            one_for_all = n_outputs > 1 and not isinstance(sample_weight, (list, tuple))
            given = [sample_weight] * n_outputs if one_for_all else sample_weight
            weights = _several("sample_weight" + of, given, n_outputs, "output")
            self.weights = tuple([w[:, 0] if w.shape[1:] == (1,) else w for w in weights])
        lengths = [len(a) for a in (*self.xs, *self.ys, *self.weights)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"x, y and sample_weight{of} have {', '.join(map(str, lengths))} samples, expected "
                f"the same number"
            )
        y_dtypes = [] if y is None else self._check_targets(model, "y" + of)
        for w, out in zip(self.weights, model.outputs, strict=False):
            check_data(w, "sample_weight" + of, domain=(0, math.inf), minimum=1, dtype=model.dtype)
            steps = out.sample_shape[:-1]
            if tuple(w.shape[1:]) not in ((), steps):
                or_steps = f", or {(self.n, *steps)}, a number a step" if steps else ""
                raise ValueError(
                    f"sample_weight{of} is {tuple(w.shape)}, expected ({self.n},): a number a "
                    f"sample{or_steps}"
                )
        x_dtypes = [t.dtype for t in model.inputs]
        self.dtypes = (*x_dtypes, *y_dtypes, *[model.dtype for _ in self.weights])

    @property
    def arrays(self) -> tuple:
        return (*self.xs, *self.ys, *self.weights)

    def _check_targets(self, model: Model, name: str) -> list[np.dtype]:
        """Refuse targets that the losses are not defined for; return what each becomes."""
        seen, dtypes, ys = {id(x) for x in self.xs}, [], []
        for i, (y, loss, out) in enumerate(zip(self.ys, model.losses, model.outputs, strict=True)):
            which = name if len(self.ys) == 1 else f"{name}[{i}]"
            if loss.takes_labels and y.shape[1:] == (*out.sample_shape[:-1], 1):
                y = y[..., 0]  # a column of a table
            elif not loss.takes_labels and len(y.shape) == 1 and out.sample_shape == (1,):
                y = y[:].reshape(-1, 1)  # a number for each sample
            if id(y) not in seen and not loss.takes_labels:
                check_data(y, name=which, minimum=1, dtype=model.dtype)
            loss.check_targets(y, which, out.sample_shape)
            dtypes.append(y.dtype if loss.takes_labels else model.dtype)
            ys.append(y)
        self.ys = tuple(ys)
        return dtypes

    def weighted(self, class_weight: ClassWeight, dtype: np.dtype) -> Self:
        """The same samples, each weighing as much more as its class does: for training."""
        if len(self.ys) != 1:
            raise ValueError("class_weight is for a model of one output; use sample_weight")
        weights = class_weights(class_weight, to_numpy(self.ys[0]))
        if self.weights:
            weights = weights * to_numpy(self.weights[0])
        other = copy.copy(self)
        other.weights = (weights,)
        other.dtypes = (*self.dtypes[: len(self.xs) + 1], dtype)
        return other


ClassWeight = dict[int, float] | str  # {label: weight}, or "balanced"


def class_weights(class_weight: ClassWeight, y: np.ndarray) -> np.ndarray:
    """(N,): the weight of each sample's class.

    Parameters
    ----------
    class_weight : dict of {label: weight}, or "balanced"
        A class that is not in it weighs 1. "balanced" gives all classes the same weight in sum.
    y : integer labels (N,) or (N, 1), or rows (N, K) with a probability for each class
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and np.allclose(y.sum(axis=1), 1, atol=1e-3) and y.min() >= 0:
        y = y.argmax(axis=1)
    if y.ndim != 1 or not np.array_equal(y, y.astype(int)):
        raise ValueError("class_weight is for targets that are classes, and y holds quantities")
    if isinstance(class_weight, str) and class_weight == "balanced":
        labels, which, counts = np.unique(y, return_inverse=True, return_counts=True)
        return (len(y) / (len(labels) * counts))[which]
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"class_weight is {class_weight!r}, expected a dict, {{label: weight}}, or 'balanced'"
        )
    weights = np.ones(len(y))
    for label, weight in class_weight.items():
        if not (
            isinstance(label, Real) and isinstance(weight, Real) and 0 <= float(weight) < math.inf
        ):
            raise ValueError(
                f"class_weight has {label!r}: {weight!r}, expected an integer label and a weight "
                f"of at least 0"
            )
        weights[y == label] = weight
    return weights


def _several(name: str, x: Any, n: int, kind: str) -> tuple:
    """``x`` as n arrays, one for each input or output."""
    is_list = isinstance(x, (list, tuple))
    if n == 1:
        one = x[0] if is_list and len(x) == 1 and len(getattr(x[0], "shape", ())) else x
        return (plain_array(one, name),)
    if not is_list or len(x) != n:
        came = f"{len(x)} arrays" if is_list else f"one {type(x).__name__}"
        raise ValueError(f"{name} has {came}, expected a list of one for each of {n} {kind}s")
    made = {id(a): plain_array(a, f"{name}[{i}]") for i, a in enumerate(x)}
    return tuple([made[id(a)] for a in x])


def _check_inputs(model: Model, name: str, arrays: tuple) -> None:
    for i, (a, tensor) in enumerate(zip(arrays, model.inputs, strict=True)):
        which, shape = name if len(arrays) == 1 else f"{name}[{i}]", tensor.sample_shape
        if tuple(a.shape[1:]) != shape:
            is_one = tuple(a.shape) == shape
            mend = f"; np.expand_dims({which}, 0) is a batch of this one" if is_one else ""
            raise ValueError(
                f"{which} is {tuple(a.shape)}, expected (N, {', '.join(map(str, shape))}): "
                f"samples of shape {shape} in rows{mend}"
            )
        if len(a) == 0:
            raise ValueError(f"{which} has no samples")
        if is_array(a) and model.device == "cpu" != device_of(a):
            raise TypeError(
                f"{which} lives on {device_of(a)} and the model on cpu; move one of them: "
                f"model.to({device_of(a)!r}) or minienc.arrays.to_numpy({which})"
            )
        check_data(a, name=which, minimum=1, dtype=tensor.dtype)
