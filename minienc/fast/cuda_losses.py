"""The losses on a GPU: one kernel for the loss of each row, one for its slope.

``kind`` says to the kernels which loss it is. A target that holds class numbers takes the place of
one-hot rows.
"""

from __future__ import annotations

from typing import Any

import cupy

from minienc.fast.cuda_launch import are_here, is_served, launch, register_cuda
from minienc.functions.losses import (
    BinaryCrossentropyCache,
    CategoricalCrossentropyCache,
    MeanSquaredErrorCache,
    SparseCategoricalCrossentropyCache,
    reduce_loss,
)
from minienc.shapes import Form

_SQUARED = 0
_BINARY = 2, 1  # [from_logits]
_CATEGORICAL = 4, 3


def _losses(y: Any, target: Any, kind: int) -> Any:
    """l (N, ...), and e = y - target of a squared loss; None for arrays that are not served."""
    labels = None
    if _are_labels(target):
        labels, target = _as_labels(target), None
        if not is_served(y) or y.ndim < 1 or labels.shape != y.shape[:-1]:
            return None
    elif not is_served(y, target):
        return None
    shape = y.shape if y.ndim > 1 else (*y.shape, 1)  # samples of one number each
    if y.ndim < 1 or shape[-1] == 0 or (y.ndim < 2 and kind in _CATEGORICAL and labels is None):
        return None
    l = cupy.empty(shape[:-1] if labels is None else y.shape[:-1], dtype=y.dtype)  # noqa: E741
    e = cupy.empty(shape, dtype=y.dtype) if kind == _SQUARED else None
    if l.size:
        D = y.size // l.size
        launch("loss_of_rows", y, l.size, l.size, D, y, target, labels, e, l, kind)
    return l, e


def _are_labels(target: Any) -> bool:
    return type(target) is cupy.ndarray and target.dtype.kind in "iu" and are_here(target)


def _as_labels(labels: Any) -> Any:
    return cupy.ascontiguousarray(labels, dtype="int64")


def _reduce(function: str, l: Any, sample_weight: Any, reduction: str) -> Any:  # noqa: E741
    """(loss, factor), as ``functions.losses.reduce_loss`` has them."""
    if sample_weight is not None or reduction not in ("mean", "sum") or l.size == 0:
        return reduce_loss(function, l, sample_weight, reduction)
    loss, factor = cupy.empty((), dtype=l.dtype), cupy.empty_like(l)
    value = 1 / l.size if reduction == "mean" else 1.0
    launch("reduce_rows", l, 1, l.size, l, factor, loss, value)
    return loss, factor


def _gradient(dloss: Any, y: Any, target: Any, factor: Any, loss: Any, kind: int) -> Any:
    """dy; the definition says what is wrong with a dloss that is not served."""
    value, at = 0.0, None
    if type(dloss) in (float, int):
        value = float(dloss)
    elif type(dloss) is not cupy.ndarray or dloss.dtype != y.dtype or dloss.shape != loss.shape:
        return NotImplemented
    elif dloss.ndim == 0:
        at = dloss
    else:  # a number for each l
        value, factor = 1.0, dloss * factor
    labels = None
    if _are_labels(target):
        labels, target = _as_labels(target), None
    dy = cupy.empty_like(y)
    if y.size:
        N = factor.size
        numbers = (N, y.size // N, y, target, labels, factor, value, at, dy, kind)
        launch("loss_slope", y, N, *numbers)
    return dy


@register_cuda
def mean_squared_error_forward(y, target, sample_weight=None, reduction="mean"):
    result = None if _are_labels(target) else _losses(y, target, _SQUARED)
    if result is None:
        return NotImplemented
    l, e = result  # noqa: E741
    loss, factor = _reduce("mean_squared_error_forward", l, sample_weight, reduction)
    return loss, MeanSquaredErrorCache(y.shape, e, factor, Form(loss.shape, loss.dtype))


@register_cuda
def mean_squared_error_backward(dloss, cache: MeanSquaredErrorCache):
    shape, e, factor, loss = cache
    if not is_served(e):
        return NotImplemented
    dy = _gradient(dloss, e, None, factor, loss, _SQUARED)
    return dy if dy is NotImplemented else dy.reshape(shape)


@register_cuda
def binary_crossentropy_forward(y, target, sample_weight=None, from_logits=False, reduction="mean"):
    result = None if _are_labels(target) else _losses(y, target, _BINARY[bool(from_logits)])
    if result is None:
        return NotImplemented
    loss, factor = _reduce("binary_crossentropy_forward", result[0], sample_weight, reduction)
    form = Form(loss.shape, loss.dtype)
    return loss, BinaryCrossentropyCache(y, target, factor, form, from_logits)


@register_cuda
def binary_crossentropy_backward(dloss, cache: BinaryCrossentropyCache):
    y, target, factor, loss, from_logits = cache
    if not is_served(y, target):
        return NotImplemented
    return _gradient(dloss, y, target, factor, loss, _BINARY[bool(from_logits)])


@register_cuda
def categorical_crossentropy_forward(
    y, target, sample_weight=None, from_logits=False, reduction="mean"
):
    result = None if _are_labels(target) else _losses(y, target, _CATEGORICAL[bool(from_logits)])
    if result is None:
        return NotImplemented
    loss, factor = _reduce("categorical_crossentropy_forward", result[0], sample_weight, reduction)
    form = Form(loss.shape, loss.dtype)
    return loss, CategoricalCrossentropyCache(y, target, factor, form, from_logits)


@register_cuda
def categorical_crossentropy_backward(dloss, cache: CategoricalCrossentropyCache):
    y, target, factor, loss, from_logits = cache
    if not is_served(y, target):
        return NotImplemented
    return _gradient(dloss, y, target, factor, loss, _CATEGORICAL[bool(from_logits)])


@register_cuda
def sparse_categorical_crossentropy_forward(
    y,
    labels,
    sample_weight=None,
    from_logits=False,
    reduction="mean",
    ignore_class=None,
    label_smoothing=0.0,
):
    if ignore_class is not None or label_smoothing or not _are_labels(labels):
        return NotImplemented
    result = _losses(y, labels, _CATEGORICAL[bool(from_logits)])
    if result is None:
        return NotImplemented
    name = "sparse_categorical_crossentropy_forward"
    loss, factor = _reduce(name, result[0], sample_weight, reduction)
    form = Form(loss.shape, loss.dtype)
    return loss, SparseCategoricalCrossentropyCache(y, labels, factor, form, from_logits, 0.0)


@register_cuda
def sparse_categorical_crossentropy_backward(dloss, cache: SparseCategoricalCrossentropyCache):
    y, labels, factor, loss, from_logits, label_smoothing = cache
    if label_smoothing or not is_served(y):
        return NotImplemented
    return _gradient(dloss, y, labels, factor, loss, _CATEGORICAL[bool(from_logits)])
