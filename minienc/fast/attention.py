"""Attention on the compiled kernel: products, softmax and its slope, head by head.

Up to two leading axes, samples and heads, and any strides of them: the heads of a layer are read
where they lie, side by side, and the results lie as they do. A ``mask`` is the definition's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc import _kernels
from minienc.fast.whole import as_lengths
from minienc.functions.attention import AttentionCache
from minienc.primitive import register_fast


class _AttentionCache(AttentionCache):
    """The definition's, with what makes much of the backward superfluous: what is not seen."""

    limits: tuple[Any, bool] = (None, False)  # lengths, causal


_AttentionCache.__name__ = AttentionCache.__name__


def _as_four(a):
    """(T, D) or (N, T, D) as (N, H, T, D); None where there are more axes."""
    if type(a) is not np.ndarray or not 2 <= a.ndim <= 4:
        return None
    return (
        a.reshape((1,) * (4 - a.ndim) + a.shape)
        if a.ndim == 2
        else a[:, None]
        if a.ndim == 3
        else a
    )


@register_fast
def attention_forward(q, k, v, lengths=None, mask=None, causal=False):
    if mask is not None or not type(q) is type(k) is type(v) is np.ndarray:
        return NotImplemented
    own = as_lengths(lengths)
    if lengths is not None and (own is None or q.ndim == 2):
        return NotImplemented
    if not q.ndim == k.ndim == v.ndim:
        return NotImplemented
    result = _kernels.attention_forward(_as_four(q), _as_four(k), _as_four(v), own, bool(causal))
    if result is None:
        return NotImplemented
    y, p = (a.reshape((*q.shape[:-1], a.shape[-1])) for a in result)
    cache = _AttentionCache(q, k, v, p)
    cache.limits = own, bool(causal)
    return y, cache


@register_fast
def attention_backward(dy, cache: AttentionCache):
    q, k, v, p = cache
    if type(dy) is not np.ndarray or dy.ndim != q.ndim:
        return NotImplemented
    limits = getattr(cache, "limits", (None, False))
    result = _kernels.attention_backward(*map(_as_four, (dy, q, k, v, p)), *limits)
    if result is None:
        return NotImplemented
    return tuple(d.reshape(a.shape) for d, a in zip(result, (q, k, v), strict=True))
