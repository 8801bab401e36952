"""Sequences of which so many steps count, on the compiled kernel: turned round, and their mean."""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.fast.whole import as_lengths
from minienc.functions.pooling1d import GlobalAveragePooling1DCache
from minienc.functions.reversing import ReverseCache
from minienc.primitive import register_fast
from minienc.shapes import Form

# What the definitions keep to do without lengths is made when somebody asks for it.


class _ReverseCache(ReverseCache):
    lengths = None


class _MeanCache(GlobalAveragePooling1DCache):
    lengths = None


_ReverseCache.__name__, _MeanCache.__name__ = ReverseCache.__name__, "GlobalAveragePooling1DCache"


def _is_served(x, lengths, own):
    """Whether these are sequences (N, T, D), and lengths there are whole numbers."""
    return type(x) is np.ndarray and x.ndim == 3 and (lengths is None or own is not None)


@register_fast
def reverse_forward(x, lengths=None):
    own = as_lengths(lengths)
    y = _kernels.reversed_steps(x, own) if _is_served(x, lengths, own) else None
    if y is None:
        return NotImplemented
    T = x.shape[1]
    t, ends = np.arange(T), np.full((len(x), 1), T) if own is None else own.reshape(-1, 1)
    cache = _ReverseCache(np.where(t < ends, ends - 1 - t, t), Form(x.shape, x.dtype))
    cache.lengths = own
    return y, cache


@register_fast
def reverse_backward(dy, cache: ReverseCache):
    if type(cache) is not _ReverseCache or type(dy) is not np.ndarray or cache.x.shape != dy.shape:
        return NotImplemented
    dx = _kernels.reversed_steps(dy, cache.lengths) if dy.dtype == cache.x.dtype else None
    return NotImplemented if dx is None else dx


@register_fast
def global_average_pooling1d_forward(x, lengths=None):
    own = as_lengths(lengths)
    is_served = _is_served(x, lengths, own) and x.shape[1] > 0
    y = _kernels.mean_of_steps(x, own) if is_served else None
    if y is None:
        return NotImplemented
    (N, T, _), n = x.shape, np.full(len(x), x.shape[1]) if own is None else own
    share = np.zeros((N, T, 1), x.dtype)
    share[np.arange(T) < n.reshape(-1, 1)] = 1
    share /= np.maximum(n, 1).reshape(-1, 1, 1).astype(x.dtype)
    cache = _MeanCache(share, Form(x.shape, x.dtype))
    cache.lengths = own
    return y, cache


@register_fast
def global_average_pooling1d_backward(dy, cache: GlobalAveragePooling1DCache):
    N, T, D = cache.x.shape
    if type(cache) is not _MeanCache or getattr(dy, "shape", None) != (N, D):
        return NotImplemented
    dx = _kernels.share_of_steps(dy, cache.lengths, T) if dy.dtype == cache.x.dtype else None
    return NotImplemented if dx is None else dx
