"""Layers that normalise: ``BatchNormalization``, ``LayerNormalization``, and
``SpectralNormalization`` around a layer with a kernel.

The first and the last know more than their weights: moving averages, a vector near the kernel's
first singular one. That is state: a ``Parameter`` that forward reads and no gradient reaches.
``updates`` says what it becomes, and training writes it, once a step, after the optimiser.
"""

from __future__ import annotations

import copy
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array
from minienc.functions.normalization import (
    batch_normalization_forward,
    layer_normalization_forward,
    power_iteration,
    spectral_normalization_backward,
    spectral_normalization_forward,
)
from minienc.layers.base import Layer, LayerCache
from minienc.layers.parameters import Gradients, Parameter
from minienc.layers.regularizers import get_regularizer

__all__ = ["BatchNormalization", "LayerNormalization", "SpectralNormalization"]


class _Normalization(Layer):
    """What the first two share: gamma and beta, one of each for every number of the last axis."""

    learned = ("gamma", "beta")
    options = ("epsilon",)
    gamma: Parameter | None = None
    beta: Parameter | None = None
    axis: int
    epsilon: float
    center: bool
    scale: bool
    beta_initializer: Any
    gamma_initializer: Any
    beta_regularizer: Any
    gamma_regularizer: Any

    def build(self, sample_shape: Any, dtype: Any = "float32", rng: Any = None) -> None:
        shape = tuple(sample_shape[-1:])
        if not shape:
            raise ValueError(f"{self.label}: samples are single numbers, expected (..., features)")
        if self.axis not in (-1, len(sample_shape)):
            raise ValueError(
                f"{self.label}: axis is {self.axis!r}, expected the last, -1: channels and "
                f"features come last here"
            )
        rng = np.random.default_rng() if rng is None else rng
        if self.scale:
            self.gamma = self.add_parameter(
                "gamma", shape, self.gamma_initializer, dtype, rng, self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_parameter(
                "beta", shape, self.beta_initializer, dtype, rng, self.beta_regularizer
            )
        super().build(sample_shape)

    def output_shape(self, sample_shape: Any) -> Any:
        if self.built_for[-1] != sample_shape[-1]:
            raise ValueError(
                f"{self.label}: it was built for {self.built_for[-1]} features on the last axis, "
                f"and was given samples of shape {tuple(sample_shape)}"
            )
        return sample_shape

    def flops(self, sample_shape: Any) -> int:
        """A subtraction and a division for each number, one more each for gamma and beta."""
        return int(np.prod(sample_shape)) * (2 + bool(self.scale) + bool(self.center))


class BatchNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, each channel (the last axis) by
    itself: ``functions.normalization.batch_normalization_forward``.

    In training (``forward(x, training=True)``, as in ``fit``), mean and variance are the batch's;
    else they are moving averages of those, which training keeps:

        moving <- momentum moving + (1 - momentum) batch's         after each step

    A frozen layer (``trainable = False``) takes the moving averages in training, too, and leaves
    them as they are, as in Keras.

    Parameters
    ----------
    axis : int
        Of the channels. It must be the last, -1; Keras's other choices have no use here.
    momentum : float
        In [0, 1).
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a beta, a gamma.
    beta_initializer, gamma_initializer : str or callable ``(shape, rng, dtype) -> array``
    moving_mean_initializer, moving_variance_initializer : likewise
    beta_regularizer, gamma_regularizer : str or regularizer or None
    name : str or None

    Notes
    -----
    Source: Ioffe and Szegedy 2015, "Batch normalization", algorithms 1 and 2.
    """

    pair = batch_normalization_forward
    uses_training = True
    has_state = True
    moving_mean: Parameter
    moving_variance: Parameter

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        if not (_is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(
                f"BatchNormalization: momentum is {momentum!r}, expected a number in [0, 1)"
            )
        self.momentum = float(momentum)
        self.axis = axis
        self.epsilon = _check_epsilon(self, epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.beta_regularizer = get_regularizer(beta_regularizer)
        self.gamma_regularizer = get_regularizer(gamma_regularizer)

    def build(self, sample_shape: Any, dtype: Any = "float32", rng: Any = None) -> None:
        super().build(sample_shape, dtype, rng)
        for name, initializer in (
            ("moving_mean", self.moving_mean_initializer),
            ("moving_variance", self.moving_variance_initializer),
        ):
            shape = (sample_shape[-1],)
            state = self.add_parameter(name, shape, initializer, dtype, rng, is_state=True)
            setattr(self, name, state)

    def forward(self, x: Array, training: bool = False, **given: Any) -> tuple[Array, LayerCache]:
        self.check_built()
        if not (training and self.trainable):
            given["moving_mean"] = self.moving_mean.value
            given["moving_variance"] = self.moving_variance.value
        return super().forward(x, **given)

    def updates(self, cache: LayerCache) -> list[tuple[Parameter, Array]]:
        batch = cache.inner
        if not batch.of_batch:
            return []
        kept, new = self.momentum, 1 - self.momentum
        return [
            (self.moving_mean, kept * self.moving_mean.value + new * batch.mean),
            (self.moving_variance, kept * self.moving_variance.value + new * batch.variance),
        ]


class LayerNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance those of each row
    of the last axis: ``functions.normalization.layer_normalization_forward``.

    Parameters
    ----------
    axis : int
        The last, -1.
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a beta, a gamma.
    beta_initializer, gamma_initializer : str or callable ``(shape, rng, dtype) -> array``
    beta_regularizer, gamma_regularizer : str or regularizer or None
    name : str or None

    Notes
    -----
    Source: Ba, Kiros and Hinton 2016, "Layer normalization".
    """

    pair = layer_normalization_forward

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.axis = axis
        self.epsilon = _check_epsilon(self, epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer = get_regularizer(beta_regularizer)
        self.gamma_regularizer = get_regularizer(gamma_regularizer)


class _SpectralCache(NamedTuple):
    normalized: Any  # the cache of spectral_normalization_forward
    twin: Layer  # the layer with W / sigma in W's place
    inner: LayerCache  # of the twin


class SpectralNormalization(Layer):
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
        self.layer = layer
        super().__init__(name, trainable)
        whole = _is_number(power_iterations) and float(power_iterations).is_integer()
        if not (whole and power_iterations >= 1):
            raise ValueError(
                f"SpectralNormalization: power_iterations is {power_iterations!r}, expected a "
                f"positive integer"
            )
        self.power_iterations = int(power_iterations)
        self.seed = seed
        if not trainable:
            self.trainable = False

    # -- the layer's own, seen through the wrapper

    @property
    def activation(self) -> str | None:
        return getattr(self.layer, "activation", None)

    @property
    def activity_regularizer(self) -> Any:  # type: ignore[override]
        return self.layer.activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, regularizer: Any) -> None:
        self.layer.activity_regularizer = regularizer

    @property
    def trainable(self) -> bool:
        return self.layer.trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self.layer.trainable = trainable

    def parameters_used(self) -> tuple[Parameter, ...]:
        return (*self.layer.parameters_used(), *self._own)

    def output_shape(self, sample_shape: Any) -> Any:
        return self.layer.output_shape(sample_shape)

    def flops(self, sample_shape: Any) -> int:
        """The layer's; W / sigma is computed once for a batch, not for each sample."""
        return self.layer.flops(sample_shape)

    def initialize(self, rng: np.random.Generator) -> None:
        self.layer.initialize(rng)
        super().initialize(rng)

    def without_activation(self) -> Layer:
        """The same weights, stopping before the activation."""
        twin = copy.copy(self)
        twin.layer = self.layer.without_activation()  # type: ignore[attr-defined]
        return twin

    # -- what it adds

    def build(self, sample_shape: Any, dtype: Any = "float32", rng: Any = None) -> None:
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

    def backward(self, dy: Array, cache: Any, grads: Gradients | None, need_dx: bool = True) -> Any:
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


def _random_direction(shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> np.ndarray:
    """A vector of length 1, every direction equally likely."""
    u = rng.standard_normal(shape)
    return (u / np.sqrt((u * u).sum())).astype(dtype)


def _check_epsilon(layer: Layer, epsilon: float) -> float:
    if not (_is_number(epsilon) and epsilon > 0):
        raise ValueError(f"{type(layer).__name__}: epsilon is {epsilon!r}, expected a number > 0")
    return float(epsilon)


def _is_number(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool)
