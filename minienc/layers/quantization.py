"""``VectorQuantizer``: every few numbers of a sample become the code that is nearest to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.arrays import Array
from minienc.functions.quantization import nearest_code_backward, nearest_code_forward
from minienc.layers.base import Gradients, Layer, LayerCache, Parameter


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
    """

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
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(
                    f"VectorQuantizer: {key} is {value!r}, expected a whole number from 1"
                )
        self.units, self.dim, self.seed = units, dim, seed

    def build(self, sample_shape: Any, dtype: Any = "float32", rng: Any = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        self.C = self.add_parameter("C", (self.units, self.dim), "lecun_normal", dtype, rng)
        super().build(sample_shape)

    def forward(self, x: Array) -> tuple[Array, LayerCache]:
        self.check_built()
        y, cache = nearest_code_forward(x.reshape(-1, self.dim), self.C.value)
        return y.reshape(x.shape), self.stamp(cache)

    def backward(self, dy: Array, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
        inner = self.check_stamp(cache)
        if grads is not None:
            gradient = grads[self.C]
            gradient += nearest_code_backward(dy.reshape(-1, self.dim), inner)
        return dy.copy()  # straight through

    def output_shape(self, sample_shape: Any) -> Any:
        if len(sample_shape) != 1 or sample_shape[0] % self.dim:
            raise ValueError(
                f"{self.label}: a sample is {tuple(sample_shape)}, expected a multiple of "
                f"{self.dim} numbers in a row"
            )
        return tuple(sample_shape)
