"""``Centroids``: a sample is described by where it stands among K points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng
from minienc.functions.clustering import (
    squared_distances_forward,
    student_t_forward,
    triangle_code_forward,
)
from minienc.layers.base import Layer, LayerCache
from minienc.layers.parameters import Grads, Parameter
from minienc.shapes import Shape, is_whole

__all__ = ["Centroids"]

CODES = {"triangle": triangle_code_forward, "student_t": student_t_forward}


class CentroidsCache(NamedTuple):
    distances: LayerCache
    code: NamedTuple  # the cache of the code's forward
    shape: tuple[int, ...]  # of x


class Centroids(Layer):
    """y = code(|x - c_1|^2, ..., |x - c_K|^2), of samples (..., D) and centroids C (K, D).

    Parameters
    ----------
    units : int
        K.
    code : {"triangle", "student_t"}
        How much nearer than the average one each centroid is; or soft memberships, which sum to 1.
    seed : int or None
    name : str or None

    Examples
    --------
    >>> Centroids(3, seed=0)(np.ones((5, 2), "float32")).shape
    (5, 3)
    """

    pair = squared_distances_forward
    learned = ("C",)
    C: Parameter

    def __init__(
        self,
        units: int,
        code: str = "triangle",
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        if not is_whole(units, 1):
            raise ValueError(f"Centroids: units is {units!r}, expected a whole number from 1")
        if code not in CODES:
            raise ValueError(f"Centroids: code is {code!r}, expected one of {', '.join(CODES)}")
        self.units, self.code, self.seed = int(units), code, seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        self.C = self.add_parameter("C", (self.units, sample_shape[-1]), "lecun_normal", dtype, rng)
        super().build(sample_shape)

    def forward(self, x: Array, **given: Any) -> tuple[Array, CentroidsCache]:
        d, distances = super().forward(x.reshape(-1, x.shape[-1]), **given)
        y, code = CODES[self.code](d)
        cache = CentroidsCache(distances, code, x.shape)
        return y.reshape(*x.shape[:-1], self.units), cache

    def backward(self, dy: Array, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        distances, code, shape = cache
        dd = CODES[self.code].backward(dy.reshape(-1, self.units), code)
        dx = super().backward(dd, distances, grads, need_dx)
        return None if dx is None else dx.reshape(shape)

    def output_shape(self, sample_shape: Shape) -> Shape:
        if self.built_for is not None and sample_shape[-1] != self.C.shape[1]:
            raise ValueError(
                f"{self.label}: its centroids have {self.C.shape[1]} numbers, a sample "
                f"{sample_shape[-1]}"
            )
        return (*sample_shape[:-1], self.units)
