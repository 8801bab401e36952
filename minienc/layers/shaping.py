"""Layers that move numbers without changing them: ``Flatten``, ``Reshape``, ``Concatenate``,
and ``Add``, where two paths meet."""

from __future__ import annotations

import math
from typing import Any

from minienc.arrays import Array
from minienc.functions.merging import add_forward, concatenate_forward, reshape_forward
from minienc.layers.base import Layer, LayerCache
from minienc.shapes import Shape

__all__ = ["Add", "Concatenate", "Flatten", "Reshape"]


class Reshape(Layer):
    """Each sample in another shape of the same size; ``target_shape`` is without the batch.

    Examples
    --------
    >>> Reshape((8, 8, 1))(np.zeros((5, 64))).shape
    (5, 8, 8, 1)
    """

    pair = reshape_forward

    def __init__(self, target_shape: tuple[int, ...], name: str | None = None) -> None:
        super().__init__(name)
        self.target_shape = tuple(target_shape)

    def forward(self, x: Array, **given: Any) -> tuple[Array, LayerCache]:
        return super().forward(x, shape=self.output_shape(x.shape[1:]), **given)

    def output_shape(self, sample_shape: Shape) -> Shape:
        if math.prod(sample_shape) != math.prod(self.target_shape):
            raise ValueError(
                f"{self.label}: a sample of shape {tuple(sample_shape)} has "
                f"{math.prod(sample_shape)} numbers, target_shape {self.target_shape} has "
                f"{math.prod(self.target_shape)}"
            )
        return self.target_shape


class Flatten(Reshape):
    """Each sample as one row of numbers.

    Examples
    --------
    >>> Flatten()(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__((), name)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return (math.prod(sample_shape),)


class Concatenate(Layer):
    """Several inputs side by side along ``axis`` (of the whole array; -1 is the last).

    Examples
    --------
    >>> Concatenate()((np.zeros((5, 2)), np.ones((5, 3)))).shape
    (5, 5)
    """

    pair = concatenate_forward
    options = ("axis",)
    takes_several = True

    def __init__(self, axis: int = -1, name: str | None = None) -> None:
        super().__init__(name)
        if axis == 0:
            raise ValueError("Concatenate: axis is 0, the batch; expected an axis of the samples")
        self.axis = axis

    def output_shape(self, sample_shape: Shape) -> Shape:
        axis = self.axis if self.axis < 0 else self.axis - 1  # samples have no batch axis
        first = list(sample_shape[0])
        for shape in sample_shape[1:]:
            others = list(shape)
            others[axis] = first[axis]
            if others != first:
                raise ValueError(
                    f"{self.label}: samples of shapes {', '.join(map(str, sample_shape))} differ "
                    f"elsewhere than along axis {self.axis}"
                )
        first[axis] = sum(shape[axis] for shape in sample_shape)
        return tuple(first)


class Add(Layer):
    """The sum of several inputs of one shape.

    Examples
    --------
    >>> Add()((np.ones((1, 2)), np.ones((1, 2))))
    array([[2., 2.]])
    """

    pair = add_forward
    takes_several = True

    def output_shape(self, sample_shape: Shape) -> Shape:
        if len(set(map(tuple, sample_shape))) > 1:
            raise ValueError(
                f"{self.label}: samples of shapes {', '.join(map(str, sample_shape))} cannot be "
                f"added; expected one shape"
            )
        return tuple(sample_shape[0])
