"""Layers that normalise what goes through them: ``BatchNormalization``, ``LayerNormalization``,
``RMSNormalization``.

The first knows more than its weights: moving averages. That is state: a ``Parameter`` that forward
reads and no gradient reaches. ``updates`` says what it becomes, and training writes it, once a
step, after the optimiser.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng
from minienc.functions.joint_normalization import (
    JointBatchNormalizationCache,
    joint_batch_normalization_backward,
    joint_batch_normalization_forward,
)
from minienc.functions.normalization import (
    batch_normalization_forward,
    layer_normalization_forward,
)
from minienc.functions.rms_normalization import rms_normalization_forward
from minienc.layers.base import Layer, LayerCache
from minienc.layers.initializers import InitializerLike
from minienc.layers.joint import joint_total
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.regularizers import Regularizer, RegularizerLike, get_regularizer
from minienc.shapes import Shape

__all__ = [
    "BatchNormalization",
    "LayerNormalization",
    "RMSNormalization",
]


class _Normalization(Layer):
    """What the first two share: gamma and beta, one of each for every number of the last axis."""

    learned: tuple[str, ...] = ("gamma", "beta")
    options = ("epsilon",)
    gamma: Parameter | None = None
    beta: Parameter | None = None
    axis: int
    epsilon: float
    center: bool
    scale: bool
    beta_initializer: InitializerLike
    gamma_initializer: InitializerLike
    beta_regularizer: Regularizer | None
    gamma_regularizer: Regularizer | None

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
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

    def output_shape(self, sample_shape: Shape) -> Shape:
        if self.built_for[-1] != sample_shape[-1]:
            raise ValueError(
                f"{self.label}: it was built for {self.built_for[-1]} features on the last axis, "
                f"and was given samples of shape {tuple(sample_shape)}"
            )
        return sample_shape

    def flops(self, sample_shape: Shape) -> int:
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

    Examples
    --------
    >>> layer = BatchNormalization(momentum=0.5)
    >>> x = np.array([[0.0], [2.0]], "float32")
    >>> layer(x, training=True).ravel().round(2)
    array([-1.,  1.], dtype=float32)
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
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
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

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
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
        total = joint_total.get()
        if training and self.trainable and total is not None:
            return self._joint_forward(x, total)
        if not (training and self.trainable):
            given["moving_mean"] = self.moving_mean.value
            given["moving_variance"] = self.moving_variance.value
        return super().forward(x, **given)

    def _joint_forward(self, x: Array, total: Callable) -> tuple[Array, LayerCache]:
        """With the mean and variance of a batch that other processes have rows of, too."""
        own = [self.gamma, self.beta]
        gamma, beta = [None if p is None else p.value for p in own]
        y, inner = joint_batch_normalization_forward(x, gamma, beta, self.epsilon, total)
        return y, LayerCache(self, inner, own, [0 if p is None else p.version for p in own])

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        if type(getattr(cache, "inner", None)) is not JointBatchNormalizationCache:
            return super().backward(dy, cache, grads, need_dx)
        dx, *gradients = joint_batch_normalization_backward(dy, self.check_stamp(cache))
        for p, gradient in zip((self.gamma, self.beta), gradients, strict=True):
            if p is not None and grads is not None:
                grads.add(p, gradient)
        return dx

    def updates(self, cache: LayerCache) -> list[tuple[Parameter, Array]]:
        batch = cache.inner
        if not getattr(batch, "of_batch", True):
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

    Examples
    --------
    >>> LayerNormalization()(np.array([[1.0, 3.0]], "float32")).round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    pair = layer_normalization_forward

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
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


class RMSNormalization(_Normalization):
    """y = gamma x / sqrt(mean(x^2) + epsilon), the mean over each row of the last axis:
    ``functions.rms_normalization.rms_normalization_forward``.

    Parameters
    ----------
    epsilon : float
        Added to the mean.
    scale : bool
        Whether there is a gamma.
    gamma_initializer : str or callable ``(shape, rng, dtype) -> array``
    gamma_regularizer : str or regularizer or None
    name : str or None

    Notes
    -----
    Source: Zhang and Sennrich 2019, "Root mean square layer normalization".

    Examples
    --------
    >>> RMSNormalization()(np.array([[3.0, 3.0]], "float32")).round(2)
    array([[1., 1.]], dtype=float32)
    """

    pair = rms_normalization_forward
    learned = ("gamma",)
    axis, center = -1, False

    def __init__(
        self,
        epsilon: float = 1e-6,
        scale: bool = True,
        gamma_initializer: InitializerLike = "ones",
        gamma_regularizer: RegularizerLike = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.epsilon, self.scale = _check_epsilon(self, epsilon), bool(scale)
        self.gamma_initializer = gamma_initializer
        self.gamma_regularizer = get_regularizer(gamma_regularizer)


def _check_epsilon(layer: Layer, epsilon: float) -> float:
    if not (_is_number(epsilon) and epsilon > 0):
        raise ValueError(f"{type(layer).__name__}: epsilon is {epsilon!r}, expected a number > 0")
    return float(epsilon)


def _is_number(x: object) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool)
