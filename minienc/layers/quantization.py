"""``VectorQuantizer``: every few numbers of a sample become the code that is nearest to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng
from minienc.functions.quantization import nearest_code_backward, nearest_code_forward
from minienc.layers.base import Layer, LayerCache
from minienc.layers.parameters import Grads, Parameter
from minienc.shapes import Shape, is_whole

__all__ = ["VectorQuantizer"]


class VectorQuantizer(Layer):
    """y = the nearest codes of each group of ``dim`` numbers of x (D,), out of C (K, dim).

    Backward passes dy on to x as it is: the true gradient is 0 almost everywhere, for a small step
    does not change the code (the straight-through estimator, van den Oord et al. 2017, section
    3.2). The codes that were chosen get theirs.

    Parameters
    ----------
    units : int
        K, the codes.
    dim : int
        Numbers of a code; those of a sample must be a multiple.
    seed : int or None
    name : str or None

    Examples
    --------
    >>> VectorQuantizer(8, 2, seed=0)(np.zeros((5, 1, 2), "float32")).shape
    (5, 1, 2)
    """

    pair = nearest_code_forward
    learned = ("C",)
    C: Parameter

    def __init__(
        self,
        units: int,
        dim: int,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        for key, value in (("units", units), ("dim", dim)):
            if not is_whole(value, 1):
                raise ValueError(
                    f"VectorQuantizer: {key} is {value!r}, expected a whole number from 1"
                )
        self.units, self.dim, self.seed = int(units), int(dim), seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        self.C = self.add_parameter("C", (self.units, self.dim), "lecun_normal", dtype, rng)
        super().build(sample_shape)

    def forward(self, x: Array, **given: Any) -> tuple[Array, LayerCache]:
        y, cache = super().forward(x.reshape(-1, self.dim), **given)
        return y.reshape(x.shape), cache

    def backward(self, dy: Array, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        inner = self.check_stamp(cache)
        if grads is not None:
            grads.add(self.C, nearest_code_backward(dy.reshape(-1, self.dim), inner))
        return dy.copy() if need_dx else None  # straight through

    def output_shape(self, sample_shape: Shape) -> Shape:
        if len(sample_shape) != 1 or sample_shape[0] % self.dim:
            raise ValueError(
                f"{self.label}: a sample is {tuple(sample_shape)}, expected a multiple of "
                f"{self.dim} numbers in a row"
            )
        return tuple(sample_shape)
