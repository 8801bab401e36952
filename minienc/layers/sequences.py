"""Layers along time: ``Conv1D``, pooling of whole sequences, ``TimeDistributed``."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, Arrays, Cache, DTypeLike, Rng, get_array_module
from minienc.functions.activations import get_activation
from minienc.functions.conv1d import conv1d_forward, place_kernel
from minienc.functions.pooling1d import (
    global_average_pooling1d_forward,
    global_max_pooling1d_forward,
)
from minienc.layers.base import Layer, Past
from minienc.layers.dense import _without_activation
from minienc.layers.initializers import InitializerLike
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.regularizers import RegularizerLike, get_regularizer
from minienc.layers.wrapping import _Wrapper
from minienc.shapes import Shape, is_whole

__all__ = ["Conv1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "TimeDistributed"]


class Conv1D(Layer):
    """y_t = f(b + sum_k x_(t + k) W_k): ``functions.conv1d.conv1d_forward``.

    Its W is (K, C, filters), its b (filters,).

    Parameters
    ----------
    filters : int
        M, the number of kernels.
    kernel_size : int
        K, the steps that a kernel sees.
    strides : int
    padding : {"valid", "same", "causal"}
        "causal": no y sees what comes after it.
    dilation_rate : int
        How far the steps of a kernel are apart.
    activation : str or None
    use_bias : bool
    kernel_initializer, bias_initializer : str or callable ``(shape, rng, dtype) -> array``
    kernel_regularizer, bias_regularizer, activity_regularizer : str or regularizer or None
    seed : int or None
    name : str or None

    Examples
    --------
    >>> Conv1D(4, kernel_size=3, padding="causal", seed=0)(np.ones((2, 5, 3), "float32")).shape
    (2, 5, 4)
    """

    pair = conv1d_forward
    learned = ("W", "b")
    options = ("strides", "padding", "dilation_rate", "activation")
    W: Parameter
    b: Parameter | None = None

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "valid",
        dilation_rate: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        for key, value in (("filters", filters), ("kernel_size", kernel_size)):
            if not is_whole(value, 1):
                raise ValueError(f"Conv1D: {key} is {value!r}, expected a whole number from 1")
        get_activation(activation)
        self.filters, self.kernel_size = int(filters), int(kernel_size)
        self.strides, self.padding, self.dilation_rate = strides, padding, dilation_rate
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = get_regularizer(kernel_regularizer)
        self.bias_regularizer = get_regularizer(bias_regularizer)
        self.activity_regularizer = get_regularizer(activity_regularizer)
        self.seed = seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        _, C = _sequence(self, sample_shape)
        shape = (self.kernel_size, C, self.filters)
        self.W = self.add_parameter(
            "W", shape, self.kernel_initializer, dtype, rng, self.kernel_regularizer
        )
        if self.use_bias:
            self.b = self.add_parameter(
                "b", (self.filters,), self.bias_initializer, dtype, rng, self.bias_regularizer
            )
        super().build(sample_shape)

    def output_shape(self, sample_shape: Shape) -> Shape:
        T, C = _sequence(self, sample_shape)
        if self.W.shape[1] != C:
            raise ValueError(
                f"{self.label}: its kernel is for {self.W.shape[1]} channels, and it was given {C}"
            )
        steps, _, _ = place_kernel(
            T, self.kernel_size, self.strides, self.padding, self.dilation_rate
        )
        return (len(range(steps[0].start, steps[0].stop, steps[0].step)), self.filters)

    def flops(self, sample_shape: Shape) -> int:
        """2 K C M for each step that comes out, M for the bias."""
        T, M = self.output_shape(sample_shape)
        return T * (2 * math.prod(self.W.shape) + (0 if self.b is None else M))

    def forward_from(self, x: Array, past: Array | None = None) -> tuple[Array, Array]:
        """What is remembered are the inputs that the kernel still reaches; zeros at first."""
        if self.padding != "causal" or self.strides != 1:
            raise ValueError(f"{self.label}: it is not causal, so it does not go on step by step")
        xp, (N, _, C) = get_array_module(x), x.shape
        reach = (self.kernel_size - 1) * self.dilation_rate
        before = xp.zeros((N, reach, C), dtype=x.dtype) if past is None else past
        seen = xp.concatenate([before, x], axis=1)
        b = None if self.b is None else self.b.value
        y, _ = conv1d_forward(
            seen, self.W.value, b, dilation_rate=self.dilation_rate, activation=self.activation
        )
        return y, seen[:, seen.shape[1] - reach :]

    def without_activation(self) -> Layer:
        """The same layer, holding the same parameters, that stops before the activation."""
        return _without_activation(self)


class TimeDistributedCache(NamedTuple):
    of_step: Cache  # the layer's own
    shape: tuple[int, ...]  # of x: (N, T, ...)


class _GlobalPooling1D(Layer):
    """(T, C) becomes (C,): ``layer(x)``, or ``layer([x, lengths])`` of padded sequences."""

    takes_several = True

    def forward(self, x: Arrays, **given: Any) -> tuple[Arrays, Cache]:
        return super().forward(x if isinstance(x, (tuple, list)) else (x,), **given)

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        dx = super().backward(dy, cache, grads, need_dx)
        return None if dx is None else (dx,)

    def forward_from(self, x: Arrays, past: Past = None) -> tuple[Arrays, Past]:
        raise ValueError(f"{self.label}: it needs all steps, so it does not go on step by step")

    def output_shape(self, sample_shape: Shape) -> Shape:
        first = sample_shape[0] if isinstance(sample_shape, list) else sample_shape
        return _sequence(self, first)[1:]


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean over the steps that count; ``layer([x, lengths])`` says how many do.

    Examples
    --------
    >>> GlobalAveragePooling1D()(np.array([[[1.0], [3.0]]]))
    array([[2.]])
    """

    pair = global_average_pooling1d_forward


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest of the steps that count; ``layer([x, lengths])`` says how many do.

    Examples
    --------
    >>> GlobalMaxPooling1D()(np.array([[[1.0], [3.0]]]))
    array([[3.]])
    """

    pair = global_max_pooling1d_forward


class TimeDistributed(_Wrapper):
    """A layer for single samples, applied to every step of a sequence (T, ...) by itself.

    ``TimeDistributed(Conv2D(8, 3))`` is for sequences of images. (``Dense`` and whatever works on
    the last axis needs none.)

    Parameters
    ----------
    layer : Layer
        Of one input and one output.
    name : str or None

    Examples
    --------
    >>> TimeDistributed(Dense(4, seed=0))(np.ones((2, 5, 3), "float32")).shape
    (2, 5, 4)
    """

    def __init__(self, layer: Layer, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(layer, name, trainable)
        self.uses_rng, self.uses_training = layer.uses_rng, layer.uses_training
        self.has_state = layer.has_state

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        if self.layer.built_for is None:  # else it is used elsewhere, too
            self.layer.build(sample_shape[1:], dtype, rng)
        super().build(sample_shape)

    def output_shape(self, sample_shape: Shape) -> Shape:
        return (sample_shape[0], *self.layer.output_shape(tuple(sample_shape[1:])))

    def forward(self, x: Array, **given: Any) -> tuple[Array, TimeDistributedCache]:
        y, cache = self.layer.forward(x.reshape((-1, *x.shape[2:])), **given)
        return y.reshape((*x.shape[:2], *y.shape[1:])), TimeDistributedCache(cache, x.shape)

    def backward(self, dy: Array, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        of_step, shape = cache
        dx = self.layer.backward(dy.reshape((-1, *dy.shape[2:])), of_step, grads, need_dx)
        return dx.reshape(shape) if need_dx else None

    def updates(self, cache: Cache) -> list[tuple[Parameter, Array]]:
        return self.layer.updates(cache.of_step)

    def flops(self, sample_shape: Shape) -> int:
        return sample_shape[0] * self.layer.flops(tuple(sample_shape[1:]))


def _sequence(layer: Layer, sample_shape: Shape) -> tuple[int, int]:
    """(T, C)."""
    if len(sample_shape) != 2:
        raise ValueError(
            f"{layer.label}: samples are {tuple(sample_shape)}, expected sequences (T, C)"
        )
    return tuple(sample_shape)
