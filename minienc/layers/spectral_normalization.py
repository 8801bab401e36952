"""``SpectralNormalization`` around a layer with a kernel, which it divides by its largest singular
value. A vector near that direction is state, as a moving average is: see ``normalization.py``."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng
from minienc.functions.normalization import (
    power_iteration,
    spectral_normalization_backward,
    spectral_normalization_forward,
)
from minienc.layers.base import Layer, LayerCache
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.wrapping import _Wrapper
from minienc.shapes import Shape, is_whole

__all__ = ["SpectralNormalization"]


class _SpectralCache(NamedTuple):
    normalized: Cache  # of spectral_normalization_forward
    twin: Layer  # the layer with W / sigma in W's place
    inner: LayerCache  # of the twin


class SpectralNormalization(_Wrapper):
    """A layer whose kernel W is divided by its largest singular value: what critics of GANs wear.

    The gradient goes through that division, as the layer is trained. The singular value is taken
    along u, which training brings nearer to the first singular vector by ``power_iterations`` after
    each step; before the first, u is a random direction and the value too small.

    Parameters
    ----------
    layer : Layer
        One with a kernel W: ``Dense``, ``Conv2D``, ``Conv2DTranspose``. All axes of W but the last
        are taken together, as in Keras.
    power_iterations : int
        How many follow each step.
    seed : int or None
        For drawing u.
    name : str or None

    Notes
    -----
    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks".

    Examples
    --------
    >>> layer = SpectralNormalization(Dense(3, seed=0), seed=0)
    >>> layer(np.ones((2, 3), "float32")).shape
    (2, 3)
    """

    has_state = True
    u: Parameter

    def __init__(
        self,
        layer: Layer,
        power_iterations: int = 1,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        if not hasattr(layer, "kernel_initializer"):
            raise TypeError(
                f"SpectralNormalization: layer is {layer!r}, expected one with a kernel, such as "
                f"Dense(...) or Conv2D(...)"
            )
        super().__init__(layer, name, trainable)
        if not is_whole(power_iterations, 1):
            raise ValueError(
                f"SpectralNormalization: power_iterations is {power_iterations!r}, expected a "
                f"positive integer"
            )
        self.power_iterations = int(power_iterations)
        self.seed = seed

    # -- the layer's own, seen through the wrapper

    @property
    def activation(self) -> str | None:
        return getattr(self.layer, "activation", None)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return self.layer.output_shape(sample_shape)

    def flops(self, sample_shape: Shape) -> int:
        """The layer's; W / sigma is computed once for a batch, not for each sample."""
        return self.layer.flops(sample_shape)

    def without_activation(self) -> Layer:
        """The same weights, stopping before the activation."""
        twin = copy.copy(self)
        twin.layer = self.layer.without_activation()  # type: ignore[attr-defined]
        return twin

    # -- what it adds

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        if self.layer.built_for is None:
            self.layer.build(sample_shape, dtype, rng)
        rng = np.random.default_rng(self.seed) if rng is None else rng
        n = self.layer.W.shape[-1]  # type: ignore[attr-defined]
        self.u = self.add_parameter("u", (n,), _random_direction, dtype, rng, is_state=True)
        super().build(sample_shape)

    def forward(self, x: Array) -> tuple[Array, LayerCache]:  # type: ignore[override]
        self.check_built()
        W: Parameter = self.layer.W  # type: ignore[attr-defined]
        kernel, normalized = spectral_normalization_forward(W.value, self.u.value)
        twin = self._twin(kernel)
        y, inner = twin.forward(x)
        used = self.parameters_used()
        cache = _SpectralCache(normalized, twin, inner)
        return y, LayerCache(self, cache, used, [p.version for p in used])

    def backward(self, dy: Array, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        normalized, twin, inner = self.check_stamp(cache)
        if grads is None:
            return twin.backward(dy, inner, None, need_dx)
        of_twin = twin.new_gradients()
        dx = twin.backward(dy, inner, of_twin, need_dx)
        for p, of in zip(twin.parameters_used(), self.layer.parameters_used(), strict=True):
            gradient = of_twin[p]
            if p is not of:  # the kernel: dW of d(W / sigma)
                gradient = spectral_normalization_backward(gradient, normalized)
            grads.add(of, gradient)
        return dx

    def updates(self, cache: LayerCache) -> list[tuple[Parameter, Array]]:
        if not self.trainable:
            return []
        W: Parameter = self.layer.W  # type: ignore[attr-defined]
        return [(self.u, power_iteration(W.value, self.u.value, self.power_iterations))]

    def _twin(self, kernel: Array) -> Any:
        """The layer with another kernel: a shallow copy, whose other parameters are the layer's."""
        twin: Any = copy.copy(self.layer)
        W = twin.W
        twin.W = Parameter(W.name, kernel)
        own = self.layer.parameters_used()
        twin._own = tuple(twin.W if p is W else p for p in own)
        return twin


def _random_direction(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> Array:
    """A vector of length 1, every direction equally likely."""
    u = rng.standard_normal(shape)
    return (u / np.sqrt((u * u).sum())).astype(dtype)
