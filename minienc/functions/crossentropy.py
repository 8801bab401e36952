"""Cross-entropy: how surprised a model is by the truth.

Each is a pair as in ``losses.py``, with the same ``sample_weight`` and ``reduction``, and one
option more. With ``from_logits=True``, y are the numbers before the sigmoid or the softmax, and
activation and loss are one function: the logarithm undoes the exponential on paper, before rounding
can spoil it, and the gradient becomes (probability - target), exact for any logit. Without it, y
are probabilities, held in [1e-7, 1 - 1e-7] as in Keras; outside, the gradient is 0. They are taken
as they are: a row that does not sum to 1 is not made to.

Source of the gradients: Bishop 2006, "Pattern recognition and machine learning", eq. 4.90, 4.91
(binary) and 4.108, 4.109 (categorical).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minienc.arrays import Array, get_array_module
from minienc.functions.reduction import as_rows, check_dloss, loss_factor, reduce_loss
from minienc.primitive import primitive
from minienc.shapes import check_shapes

_EPSILON = 1e-7
_CONSTANTS = ("target", "sample_weight")

# ----------------------------------------------------------------------------- binary crossentropy


class BinaryCrossentropyCache(NamedTuple):
    y: Array  # (N, ..., D)
    target: Array  # (N, ..., D)
    factor: Array  # (N, ...)
    loss: Array  # () or (N, ...)  kept for its shape and dtype
    from_logits: bool


@primitive(constants=_CONSTANTS)
def binary_crossentropy_forward(y, target, sample_weight=None, from_logits=False, reduction="mean"):
    """l = -1/D sum_d [ t_d log p_d + (1 - t_d) log(1 - p_d) ], p = y or p = sigmoid(y).

    With p = 1 / (1 + exp(-z)): log p = z - log(1 + exp(z)) and log(1 - p) = -log(1 + exp(z)), so
    each term is log(1 + exp(z)) - t z, computed as max(z, 0) - t z + log1p(exp(-|z|)).
    """
    check_shapes("binary_crossentropy_forward", "y: ..., target: ...", y, target)
    xp = get_array_module(y, target)
    z, t = as_rows(y), as_rows(target)
    if from_logits:
        terms = xp.maximum(z, 0) - t * z + xp.log1p(xp.exp(-xp.abs(z)))  # (1)
    else:
        p = xp.clip(z, _EPSILON, 1 - _EPSILON)
        terms = -(t * xp.log(p) + (1 - t) * xp.log1p(-p))  # (1)
    l = terms.mean(axis=-1)  # (2)  # noqa: E741
    factor = loss_factor("binary_crossentropy_forward", l, sample_weight, reduction)
    loss = reduce_loss(l, factor, reduction)  # (3)
    return loss, BinaryCrossentropyCache(y, target, factor, loss, from_logits)


@primitive
def binary_crossentropy_backward(dloss, cache: BinaryCrossentropyCache):
    """dz = dl/D (sigmoid(z) - t) of logits; dp = dl/D (p - t) / (p (1 - p)) of probabilities.

    Of logits: d/dz [log(1 + exp(z)) - t z] = sigmoid(z) - t. Of probabilities: the derivative is
    -t/p + (1 - t)/(1 - p), here brought to one denominator.
    """
    y, target, factor, loss, from_logits = cache
    check_dloss("binary_crossentropy_backward", dloss, loss)
    xp = get_array_module(y)
    z, t = as_rows(y), as_rows(target)
    dl = dloss * factor  # (3) was loss = sum l factor
    dterms = dl[..., None] / z.shape[-1]  # (2) was l = mean terms
    if from_logits:
        e = xp.exp(-xp.abs(z))
        p = xp.where(z >= 0, 1, e) / (1 + e)  # sigmoid(z), as in activations.py
        dz = dterms * (p - t)  # (1) was log(1 + exp(z)) - t z
    else:
        p = xp.clip(z, _EPSILON, 1 - _EPSILON)
        dz = dterms * (p - t) / (p * (1 - p)) * (p == z)  # (1) was -t log p - (1-t) log(1-p)
    dy = dz.reshape(y.shape)
    return dy


# ------------------------------------------------------------------------ categorical crossentropy


class CategoricalCrossentropyCache(NamedTuple):
    y: Array  # (N, ..., K)
    target: Array  # (N, ..., K)
    factor: Array  # (N, ...)
    loss: Array  # () or (N, ...)  kept for its shape and dtype
    from_logits: bool


@primitive(constants=_CONSTANTS)
def categorical_crossentropy_forward(
    y, target, sample_weight=None, from_logits=False, reduction="mean"
):
    """l = -sum_k t_k log p_k, with p = y or p = softmax(y).

    With p = softmax(z): log p_k = z_k - log sum_j exp(z_j), and the largest z is subtracted
    from all before exp.
    """
    check_shapes("categorical_crossentropy_forward", "y: ... K, target: ... K", y, target)
    xp = get_array_module(y, target)
    log_p = _log_softmax(xp, y) if from_logits else _log_held(xp, y)  # (1)
    l = -(target * log_p).sum(axis=-1)  # (2)  # noqa: E741
    factor = loss_factor("categorical_crossentropy_forward", l, sample_weight, reduction)
    loss = reduce_loss(l, factor, reduction)  # (3)
    return loss, CategoricalCrossentropyCache(y, target, factor, loss, from_logits)


@primitive
def categorical_crossentropy_backward(dloss, cache: CategoricalCrossentropyCache):
    """dz_k = dl (p_k sum_j t_j - t_k) of logits; dp_k = -dl t_k / p_k of probabilities.

    Of logits: d log p_j / dz_k = [j = k] - p_k, so dl/dz_k = -sum_j t_j ([j = k] - p_k), which is
    p_k sum_j t_j - t_k.
    """
    y, t, factor, loss, from_logits = cache
    check_dloss("categorical_crossentropy_backward", dloss, loss)
    xp = get_array_module(y)
    dl = dloss * factor  # (3) was loss = sum l factor
    dlog_p = -dl[..., None] * t  # (2) was l = -sum t log p
    if from_logits:
        p = xp.exp(_log_softmax(xp, y))
        dy = dlog_p - p * dlog_p.sum(axis=-1, keepdims=True)  # (1) was log p = z - log sum exp(z)
    else:
        p = xp.clip(y, _EPSILON, 1 - _EPSILON)
        dy = dlog_p / p * (p == y)  # (1) was log p = log clip(y)
    return dy


def _log_held(xp, y):
    return xp.log(xp.clip(y, _EPSILON, 1 - _EPSILON))


def _log_softmax(xp, z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


# ----------------------------------------------------------------- sparse categorical crossentropy


class SparseCategoricalCrossentropyCache(NamedTuple):
    y: Array  # (N, ..., K)
    labels: Array  # (N, ...) integers
    factor: Array  # (N, ...)
    loss: Array  # () or (N, ...)  kept for its shape and dtype
    from_logits: bool


@primitive(constants=("labels", "sample_weight"))
def sparse_categorical_crossentropy_forward(
    y, labels, sample_weight=None, from_logits=False, reduction="mean"
):
    """l = -log p_label: categorical cross-entropy with targets that are 1 at the label, else 0.

    Raises
    ------
    ValueError
        If a label is not one of 0 to K - 1 (the first such is named).
    """
    name = "sparse_categorical_crossentropy_forward"
    check_shapes(name, "y: ... K, labels: ... int", y, labels)
    _check_labels(name, labels, y.shape[-1])
    xp = get_array_module(y, labels)
    log_p = _log_softmax(xp, y) if from_logits else _log_held(xp, y)  # (1)
    l = -xp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]  # (2)  # noqa: E741
    factor = loss_factor("sparse_categorical_crossentropy_forward", l, sample_weight, reduction)
    loss = reduce_loss(l, factor, reduction)  # (3)
    return loss, SparseCategoricalCrossentropyCache(y, labels, factor, loss, from_logits)


@primitive
def sparse_categorical_crossentropy_backward(dloss, cache: SparseCategoricalCrossentropyCache):
    """dz_k = dl (p_k - [k = label]) of logits; dp_label = -dl / p_label of probabilities."""
    y, labels, factor, loss, from_logits = cache
    check_dloss("sparse_categorical_crossentropy_backward", dloss, loss)
    xp = get_array_module(y, labels)
    dl = dloss * factor  # (3) was loss = sum l factor
    is_label = labels[..., None] == xp.arange(y.shape[-1])
    dlog_p = -dl[..., None] * is_label  # (2) was l = -log p_label
    if from_logits:
        p = xp.exp(_log_softmax(xp, y))
        dy = dlog_p + p * dl[..., None]  # (1) was log p = z - log sum exp(z)
    else:
        p = xp.clip(y, _EPSILON, 1 - _EPSILON)
        dy = dlog_p / p * (p == y)  # (1) was log p = log clip(y)
    return dy


def _check_labels(name, labels, n_classes):
    """Name the first label out of range. Arrays of the host alone: elsewhere it would wait for
    the device (and a JAX tracer has no values); ``fit`` checks labels once, at its start."""
    if not isinstance(labels, (np.ndarray, np.generic)):
        return
    wrong = (labels < 0) | (labels >= n_classes)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = ", ".join(map(str, first))
        raise ValueError(
            f"{name}: labels[{where}] is {labels[first]}, expected 0 to {n_classes - 1}, for y has "
            f"{n_classes} classes"
        )
