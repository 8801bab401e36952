"""Losses that compare numbers: squared error, absolute error, Kullback-Leibler divergence.

Each is a pair ``loss, cache = X_forward(y, target)`` and ``dy = X_backward(dloss, cache)``.

y and target are (N, ..., D), or (N,): samples of one number. The error is averaged (KL: summed)
over the last axis, which gives a loss l (N, ...) for each sample; ``sample_weight`` (N,), or any
leading part of l's shape, multiplies it; ``reduction`` is "mean", "sum" or "none" (see
``reduction.py``). The loss is a number of y's dtype, with "none" an array of l's shape; dloss has
the loss's shape and dtype, or is a plain number.

Target and weights are constants of a loss: they have y's dtype, and backward returns dy alone. A
ValueError tells of shapes that do not fit or an unknown reduction, a TypeError of dtypes.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.reduction import as_rows, check_dloss, loss_factor, reduce_loss
from minienc.primitive import primitive
from minienc.shapes import check_shapes

_CONSTANTS = ("target", "sample_weight")

# ----------------------------------------------------------------------------- mean squared error


class MeanSquaredErrorCache(NamedTuple):
    y: Array  # (N, ..., D)
    e: Array  # (N, ..., D)  y - target
    factor: Array  # (N, ...)
    loss: Array  # () or (N, ...)  kept for its shape and dtype


@primitive(constants=_CONSTANTS)
def mean_squared_error_forward(y, target, sample_weight=None, reduction="mean"):
    """l = 1/D sum_d (y_d - t_d)^2.

    Source: Bishop 2006, "Pattern recognition and machine learning", eq. 5.11 (there without 1/D,
    and halved).
    """
    check_shapes("mean_squared_error_forward", "y: ..., target: ...", y, target)
    e = as_rows(y) - as_rows(target)  # (1)
    l = (e * e).mean(axis=-1)  # (2)  # noqa: E741
    factor = loss_factor("mean_squared_error_forward", l, sample_weight, reduction)
    loss = reduce_loss(l, factor, reduction)  # (3)
    return loss, MeanSquaredErrorCache(y, e, factor, loss)


@primitive
def mean_squared_error_backward(dloss, cache: MeanSquaredErrorCache):
    """dy_d = dl 2/D (y_d - t_d), for l is the mean of (y_d - t_d)^2 over D numbers."""
    y, e, factor, loss = cache
    check_dloss("mean_squared_error_backward", dloss, loss)
    dl = dloss * factor  # (3) was loss = sum l factor
    de = dl[..., None] * e * (2 / e.shape[-1])  # (2) was l = mean e^2
    dy = de.reshape(y.shape)  # (1) was e = y - target
    return dy


# ---------------------------------------------------------------------------- mean absolute error


class MeanAbsoluteErrorCache(NamedTuple):
    y: Array  # (N, ..., D)
    e: Array  # (N, ..., D)  y - target
    factor: Array  # (N, ...)
    loss: Array  # () or (N, ...)  kept for its shape and dtype


@primitive(constants=_CONSTANTS)
def mean_absolute_error_forward(y, target, sample_weight=None, reduction="mean"):
    """l = 1/D sum_d |y_d - t_d|.

    Least where y is the median of the targets; the squared error, where y is their mean.

    Source: Bishop 2006, "Pattern recognition and machine learning", eq. 1.91 with q = 1.
    """
    check_shapes("mean_absolute_error_forward", "y: ..., target: ...", y, target)
    xp = get_array_module(y, target)
    e = as_rows(y) - as_rows(target)  # (1)
    l = xp.abs(e).mean(axis=-1)  # (2)  # noqa: E741
    factor = loss_factor("mean_absolute_error_forward", l, sample_weight, reduction)
    loss = reduce_loss(l, factor, reduction)  # (3)
    return loss, MeanAbsoluteErrorCache(y, e, factor, loss)


@primitive
def mean_absolute_error_backward(dloss, cache: MeanAbsoluteErrorCache):
    """dy_d = dl/D sign(y_d - t_d): at the kink y = t the subgradient 0."""
    y, e, factor, loss = cache
    check_dloss("mean_absolute_error_backward", dloss, loss)
    xp = get_array_module(e)
    dl = dloss * factor  # (3) was loss = sum l factor
    de = dl[..., None] * xp.sign(e) / e.shape[-1]  # (2) was l = mean |e|
    dy = de.reshape(y.shape)  # (1) was e = y - target
    return dy


# -------------------------------------------------------------------- Kullback-Leibler divergence

_EPSILON = 1e-7  # Keras's: probabilities are held between this and 1


class KLDivergenceCache(NamedTuple):
    y: Array  # (N, ..., K)
    t: Array  # (N, ..., K)  the target, held in [1e-7, 1]
    factor: Array  # (N, ...)
    loss: Array  # () or (N, ...)  kept for its shape and dtype


@primitive(constants=_CONSTANTS)
def kl_divergence_forward(y, target, sample_weight=None, reduction="mean"):
    """l = sum_k t_k log(t_k / y_k), for rows of probabilities.

    y and t are held in [1e-7, 1], as in Keras: so a t_k of 0 adds, but for 1e-7 log(1e-7 / y_k),
    the 0 that 0 log 0 stands for, and a y_k of 0 costs much, but not infinitely much.

    Source: Kullback and Leibler 1951, "On information and sufficiency", section 2.
    """
    check_shapes("kl_divergence_forward", "y: ... K, target: ... K", y, target)
    xp = get_array_module(y, target)
    t = xp.clip(target, _EPSILON, 1)
    q = xp.clip(y, _EPSILON, 1)  # (1)
    l = (t * (xp.log(t) - xp.log(q))).sum(axis=-1)  # (2)  # noqa: E741
    factor = loss_factor("kl_divergence_forward", l, sample_weight, reduction)
    loss = reduce_loss(l, factor, reduction)  # (3)
    return loss, KLDivergenceCache(y, t, factor, loss)


@primitive
def kl_divergence_backward(dloss, cache: KLDivergenceCache):
    """dy_k = -dl t_k / y_k, and 0 where y was held: d/dy of -t log y."""
    y, t, factor, loss = cache
    check_dloss("kl_divergence_backward", dloss, loss)
    xp = get_array_module(y)
    dl = dloss * factor  # (3) was loss = sum l factor
    dq = -dl[..., None] * t / xp.clip(y, _EPSILON, 1)  # (2) was l = sum t log(t / q)
    dy = dq * ((y >= _EPSILON) & (y <= 1))  # (1) was q = clip(y)
    return dy
