"""Normalisation by rows and by channels, and an embedding's gradient, on the compiled kernel."""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.fast.whole import as_int64
from minienc.functions.embedding import EmbeddingCache
from minienc.functions.normalization import BatchNormalizationCache, LayerNormalizationCache
from minienc.functions.rms_normalization import RmsNormalizationCache
from minienc.primitive import register_fast
from minienc.shapes import Form


def _lies_by_heads(x):
    """Whether x (N, H, T, K) lies as (N, T, H, K), the heads side by side: rows all the same."""
    return type(x) is np.ndarray and x.ndim == 4 and x.swapaxes(1, 2).flags.c_contiguous


def _forward(x, gamma, beta, epsilon, centred):
    """(y, x_hat, scale), or None where the definition must see to it."""
    if type(epsilon) is not float or not epsilon > 0:
        return None
    if _lies_by_heads(x):
        result = _kernels.norm_forward(x.swapaxes(1, 2), gamma, beta, epsilon, centred)
        return None if result is None else tuple(a.swapaxes(1, 2) for a in result)
    return _kernels.norm_forward(x, gamma, beta, epsilon, centred)


def _backward(dy, x_hat, gamma, scale, has_beta, centred):
    if _lies_by_heads(dy) and _lies_by_heads(x_hat) and dy.shape == x_hat.shape:
        dy, x_hat, scale = (a.swapaxes(1, 2) for a in (dy, x_hat, scale))
        result = _kernels.norm_backward(dy, x_hat, gamma, scale, has_beta, centred)
        return None if result is None else (result[0].swapaxes(1, 2), *result[1:])
    return _kernels.norm_backward(dy, x_hat, gamma, scale, has_beta, centred)


@register_fast
def layer_normalization_forward(x, gamma=None, beta=None, epsilon=1e-3):
    result = _forward(x, gamma, beta, epsilon, True)
    if result is None:
        return NotImplemented
    y, x_hat, scale = result
    return y, LayerNormalizationCache(x_hat, gamma, beta is not None, scale)


@register_fast
def layer_normalization_backward(dy, cache: LayerNormalizationCache):
    x_hat, gamma, has_beta, scale = cache
    result = _backward(dy, x_hat, gamma, scale, has_beta, True)
    return NotImplemented if result is None else result


@register_fast
def rms_normalization_forward(x, gamma=None, epsilon=1e-6):
    result = _forward(x, gamma, None, epsilon, False)
    if result is None:
        return NotImplemented
    y, x_hat, scale = result
    return y, RmsNormalizationCache(x_hat, gamma, scale)


@register_fast
def rms_normalization_backward(dy, cache: RmsNormalizationCache):
    x_hat, gamma, scale = cache
    result = _backward(dy, x_hat, gamma, scale, False, False)
    return NotImplemented if result is None else result[:2]


@register_fast
def batch_normalization_forward(
    x, gamma=None, beta=None, moving_mean=None, moving_variance=None, epsilon=1e-3
):
    if type(epsilon) is not float or not epsilon > 0 or getattr(x, "ndim", 0) < 2:
        return NotImplemented
    result = _kernels.batch_norm_forward(x, gamma, beta, moving_mean, moving_variance, epsilon)
    if result is None:
        return NotImplemented
    y, x_hat, scale, mean, variance = result
    has_beta, of_batch = beta is not None, moving_mean is None
    return y, BatchNormalizationCache(x_hat, gamma, has_beta, scale, mean, variance, of_batch)


@register_fast
def batch_normalization_backward(dy, cache: BatchNormalizationCache):
    x_hat, gamma, has_beta, scale, _, _, of_batch = cache
    result = _kernels.batch_norm_backward(dy, x_hat, gamma, scale, has_beta, of_batch)
    return NotImplemented if result is None else result


@register_fast
def embedding_forward(ids, W):
    if type(ids) is not np.ndarray or ids.dtype.kind not in "iu":
        return NotImplemented
    y = _kernels.take_rows(W, as_int64(ids))
    return NotImplemented if y is None else (y, EmbeddingCache(ids, Form(W.shape, W.dtype)))


@register_fast
def embedding_backward(dy, cache: EmbeddingCache):
    ids, W = cache
    if type(ids) is not np.ndarray or type(dy) is not np.ndarray:
        return NotImplemented
    if dy.shape != (*ids.shape, W.shape[1]):
        return NotImplemented
    dW = _kernels.add_rows(dy, as_int64(ids), W.shape[0])
    return NotImplemented if dW is None else dW
