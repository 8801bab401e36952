"""Activations, losses and optimiser steps on the compiled kernel: one pass over memory each.

What a forward here puts into its cache is what the definition puts there, so that either's backward
can follow either's forward; a cache that carries a gradient which was made on the way says so. The
kernel serves contiguous arrays of float32 or of float64; for all others it returns None, and the
definition runs (or says what is wrong with them).
"""

from __future__ import annotations

import math

import numpy as np

from minienc import _kernels
from minienc.fast.fused import register_activations
from minienc.fast.whole import as_int64
from minienc.functions import activations as f
from minienc.functions.losses import (
    BinaryCrossentropyCache,
    CategoricalCrossentropyCache,
    MeanSquaredErrorCache,
    SparseCategoricalCrossentropyCache,
    reduce_loss,
)
from minienc.primitive import register_fast
from minienc.shapes import Form

# ------------------------------------------------------------------------------------- activations

_CODES = _kernels.activation_codes


register_activations(
    register_fast, _CODES, _kernels.activation_forward, _kernels.activation_backward
)


def _served(result):
    return NotImplemented if result is None else result


@register_fast
def relu_squared_forward(x):
    r = _kernels.activation_forward(x, _CODES["relu"])
    return NotImplemented if r is None else (_kernels.times(1, r, r), f.ReluSquaredCache(r))


@register_fast
def relu_squared_backward(dy, cache: f.ReluSquaredCache):
    if getattr(dy, "shape", None) != cache.r.shape:
        return NotImplemented
    return _served(_kernels.times(2, cache.r, dy))


@register_fast
def softmax_forward(x):
    y = _kernels.softmax(x)
    return NotImplemented if y is None else (y, f.SoftmaxCache(y))


@register_fast
def softmax_backward(dy, cache: f.SoftmaxCache):
    return NotImplemented if dy is None else _served(_kernels.softmax(cache[0], dy))


# ------------------------------------------------------------------------------------------ losses
#
# A cross-entropy of logits and its gradient need the same exponentials. So where the loss is one
# number, the forward makes both in one pass, and the backward only multiplies by dloss. In between,
# the gradient travels as ``dy``, an attribute of a subclass of the definition's cache.


def _carrying(cache_type):
    """The class of caches with room for ``dy``: None, or dloss/dy for a dloss of 1."""
    return type(cache_type.__name__, (cache_type,), {"__doc__": cache_type.__doc__, "dy": None})


_BinaryCache = _carrying(BinaryCrossentropyCache)
_CategoricalCache = _carrying(CategoricalCrossentropyCache)
_SparseCategoricalCache = _carrying(SparseCategoricalCrossentropyCache)


def _with_gradient(loss, cache, dy):
    cache.dy = dy
    return loss, cache


_SQUARED, _SQUARED_SLOPE = _kernels.loss_codes["squared"]
_BINARY = _kernels.loss_codes["binary of p"], _kernels.loss_codes["binary"]  # [from_logits]
_CATEGORICAL = _kernels.loss_codes["categorical of p"], _kernels.loss_codes["categorical"]


def _loss(
    function, y, target, operation, sample_weight, reduction, factors=None, counted=None, s=0.0
):
    """(loss, factor, what is as large as y), as ``_kernels.reduced_loss`` has them; or None."""
    if sample_weight is None and (reduction == "mean" or reduction == "sum"):
        return _kernels.reduced_loss(y, target, operation, reduction == "mean", factors, s)
    _kernels.decline(b"the losses of samples have weights")
    result = _kernels.loss_forward(y, target, operation, s)
    if result is None:
        return None
    l, out = result  # noqa: E741
    return *reduce_loss(function, l, sample_weight, reduction, counted), out


def is_number(dloss, loss):
    """Whether dloss is one number, fit for the loss of this form."""
    if isinstance(dloss, np.generic):  # what NumPy makes of an array without axes
        return loss == (dloss.shape, dloss.dtype)
    return type(dloss) is float or type(dloss) is int


def _backward(dloss, y, target, operation, factor, loss, cache, smoothing=0.0):
    """dy, from the gradient that the forward made or, without one, from y and the target.

    A dloss that makes numbers much larger wants the latter: what is smaller than the least normal
    number is 0 in the former.
    """
    dy = getattr(cache, "dy", None)
    if dy is not None and is_number(dloss, loss) and abs(dloss) <= 16:
        return _kernels.scaled(dy, dloss)
    fits = is_number(dloss, loss) or (
        type(dloss) is np.ndarray and loss == (dloss.shape, dloss.dtype)
    )
    if not fits:
        return NotImplemented  # the definition looks at such a dloss
    dl = _kernels.scaled(factor, dloss) if np.ndim(dloss) == 0 else None
    if dl is None:
        _kernels.decline(b"the derivatives of the losses of samples are made")
        dl = dloss * factor
    dy = _kernels.loss_backward(dl, y, target, operation, smoothing)
    return NotImplemented if dy is None else dy


@register_fast
def mean_squared_error_forward(y, target, sample_weight=None, reduction="mean"):
    name = "mean_squared_error_forward"
    result = _loss(name, y, target, _SQUARED, sample_weight, reduction)
    if result is None:
        return NotImplemented
    loss, factor, e = result
    return loss, MeanSquaredErrorCache(y.shape, e, factor, Form(loss.shape, loss.dtype))


@register_fast
def mean_squared_error_backward(dloss, cache: MeanSquaredErrorCache):
    shape, e, factor, loss = cache
    dy = _backward(dloss, e, None, _SQUARED_SLOPE, factor, loss, cache)
    return NotImplemented if dy is NotImplemented else dy.reshape(shape)


@register_fast
def binary_crossentropy_forward(y, target, sample_weight=None, from_logits=False, reduction="mean"):
    name, operation = "binary_crossentropy_forward", _BINARY[bool(from_logits)][0]
    result = _loss(name, y, target, operation, sample_weight, reduction)
    if result is None:
        return NotImplemented
    loss, factor, dy = result
    form = Form(loss.shape, loss.dtype)
    return _with_gradient(loss, _BinaryCache(y, target, factor, form, from_logits), dy)


@register_fast
def binary_crossentropy_backward(dloss, cache: BinaryCrossentropyCache):
    y, target, factor, loss, from_logits = cache
    return _backward(dloss, y, target, _BINARY[bool(from_logits)][1], factor, loss, cache)


@register_fast
def categorical_crossentropy_forward(
    y, target, sample_weight=None, from_logits=False, reduction="mean"
):
    if getattr(target, "dtype", None) != getattr(y, "dtype", None):
        return NotImplemented  # integers would be taken for labels
    name, operation = "categorical_crossentropy_forward", _CATEGORICAL[bool(from_logits)][0]
    result = _loss(name, y, target, operation, sample_weight, reduction)
    if result is None:
        return NotImplemented
    loss, factor, dy = result
    form = Form(loss.shape, loss.dtype)
    return _with_gradient(loss, _CategoricalCache(y, target, factor, form, from_logits), dy)


@register_fast
def categorical_crossentropy_backward(dloss, cache: CategoricalCrossentropyCache):
    y, target, factor, loss, from_logits = cache
    return _backward(dloss, y, target, _CATEGORICAL[bool(from_logits)][1], factor, loss, cache)


def _as_labels(labels):
    """Labels of any integer type as int64, which is what the kernel reads; None for others."""
    if type(labels) is not np.ndarray or labels.dtype.kind not in "iu":
        return None
    return as_int64(labels)


@register_fast
def sparse_categorical_crossentropy_forward(
    y,
    labels,
    sample_weight=None,
    from_logits=False,
    reduction="mean",
    ignore_class=None,
    label_smoothing=0.0,
):
    s, factors, counted = label_smoothing, None, None
    if type(s) is not float or not 0 <= s < 1 or (s and not from_logits):
        return NotImplemented
    if ignore_class is not None:
        own = _as_labels(labels) if type(ignore_class) is int else None
        found = None if own is None else _kernels.counted(own, ignore_class, reduction == "mean", y)
        if found is None:
            return NotImplemented
        counted = own != ignore_class if sample_weight is not None or reduction == "none" else None
        labels, factors = found
    name, operation = "sparse_categorical_crossentropy_forward", _CATEGORICAL[bool(from_logits)][0]
    given = sample_weight, reduction, factors, counted, s
    result = _loss(name, y, _as_labels(labels), operation, *given)
    if result is None:
        return NotImplemented
    loss, factor, dy = result
    form = Form(loss.shape, loss.dtype)
    cache = _SparseCategoricalCache(y, labels, factor, form, from_logits, s)
    return _with_gradient(loss, cache, dy)


@register_fast
def sparse_categorical_crossentropy_backward(dloss, cache: SparseCategoricalCrossentropyCache):
    y, labels, factor, loss, from_logits, smoothing = cache
    if smoothing and not from_logits:
        return NotImplemented
    operation, labels = _CATEGORICAL[bool(from_logits)][1], _as_labels(labels)
    return _backward(dloss, y, labels, operation, factor, loss, cache, smoothing)


# ------------------------------------------------------------------------------------------- steps

_STEP = _kernels.step_codes


def _step(operation, w, g, a, b, scale, rate, epsilon, *numbers):
    """``rate`` is what the step is multiplied with, ``epsilon`` is added to what divides it."""
    done = _kernels.optimizer_step(operation, w, g, a, b, (scale, *numbers), rate, epsilon)
    return None if done else NotImplemented


@register_fast
def sum_of_squares(g):
    total = _kernels.sum_of_squares(g)
    return NotImplemented if total is None else total


@register_fast
def sgd_step(w, g, velocity, learning_rate, momentum=0.0, nesterov=False, scale=1.0):
    if not momentum:
        return _step(_STEP["sgd"], w, g, None, None, scale, learning_rate, 1, learning_rate)
    if velocity is None:
        return NotImplemented
    operation = _STEP["nesterov" if nesterov else "momentum"]
    numbers = learning_rate, momentum
    return _step(operation, w, g, velocity, None, scale, learning_rate, 1, *numbers)


@register_fast
def rmsprop_step(w, g, s, velocity, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7, scale=1.0):
    if momentum or s is None:
        return NotImplemented
    numbers = learning_rate, rho, 1 - rho, epsilon
    return _step(_STEP["rmsprop"], w, g, s, None, scale, learning_rate, epsilon, *numbers)


@register_fast
def adagrad_step(w, g, s, learning_rate, epsilon=1e-7, scale=1.0):
    if s is None:
        return NotImplemented
    numbers = learning_rate, epsilon
    return _step(_STEP["adagrad"], w, g, s, None, scale, learning_rate, epsilon, *numbers)


def _adam_numbers(step, learning_rate, beta_1, beta_2, epsilon):
    a = learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    return beta_1, 1 - beta_1, beta_2, 1 - beta_2, a, epsilon


@register_fast
def adam_step(w, g, m, v, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, scale=1.0):
    if not (isinstance(m, np.ndarray) and isinstance(v, np.ndarray)):
        return NotImplemented  # before a device's step number is looked at
    numbers = _adam_numbers(step, learning_rate, beta_1, beta_2, epsilon)
    return _step(_STEP["adam"], w, g, m, v, scale, numbers[4], epsilon, *numbers)


@register_fast
def adamw_step(
    w,
    g,
    m,
    v,
    step,
    learning_rate,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    weight_decay=0.004,
    scale=1.0,
):
    if not (isinstance(m, np.ndarray) and isinstance(v, np.ndarray)):
        return NotImplemented  # before a device's step number is looked at
    numbers = _adam_numbers(step, learning_rate, beta_1, beta_2, epsilon)
    numbers = *numbers, learning_rate * weight_decay
    return _step(_STEP["adamw"], w, g, m, v, scale, numbers[4], epsilon, *numbers)
