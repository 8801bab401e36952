"""Where the steps of a sequence stand, on the compiled kernel: added, or turned by.

The heads of a layer lie side by side: ``(N, H, T, D)`` are seen as ``(N, T, H, D)`` there, so that
what comes out lies as what came in, and to join the heads again takes no copy.
"""

from __future__ import annotations

import functools

import numpy as np

from minienc import _kernels
from minienc.functions.positions import AddPositionsCache, RotaryCache
from minienc.primitive import register_fast
from minienc.shapes import Form


@functools.lru_cache(maxsize=64)  # the angles are the same for each layer, and at each step
def _angles(T, D, start, base, dtype):
    angles = np.arange(start, start + T).reshape((T, 1)) / base ** (np.arange(0, D, 2) / D)
    found = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)
    for a in found:
        a.flags.writeable = False
    return found


def _turned(x, c, s, back):
    """x (..., T, D), turned; None for what is not served."""
    if x.shape[-2] != len(c) or x.shape[-1] != 2 * c.shape[-1]:
        return None
    if x.ndim == 4 and not x.flags.c_contiguous:
        y = _kernels.turned(x.swapaxes(1, 2), c, s, x.shape[1], back)
        return None if y is None else y.swapaxes(1, 2)
    return _kernels.turned(x, c, s, 1, back)


@register_fast
def rotary_forward(x, start=0, base=10000.0):
    if type(x) is not np.ndarray or x.ndim < 2 or x.shape[-1] % 2 or x.dtype.kind != "f":
        return NotImplemented
    if type(start) is not int or type(base) is not float:
        return NotImplemented
    c, s = _angles(*x.shape[-2:], start, base, x.dtype)
    y = _turned(x, c, s, False)
    return NotImplemented if y is None else (y, RotaryCache(c, s))


@register_fast
def rotary_backward(dy, cache: RotaryCache):
    if type(dy) is not np.ndarray or dy.ndim < 2:
        return NotImplemented
    dx = _turned(dy, *cache, True)
    return NotImplemented if dx is None else dx


@register_fast
def add_positions_forward(x, P, start=0):
    if not type(x) is type(P) is np.ndarray or x.shape[-2:] != P.shape or start != 0:
        return NotImplemented  # not all places that there are
    if P.dtype != x.dtype or not P.flags.c_contiguous:
        return NotImplemented
    y = _kernels.copied(x)
    if y is None or not _kernels.add_bias(y.reshape(-1, P.size), P.reshape(-1)):
        return NotImplemented
    return y, AddPositionsCache(Form(x.shape, x.dtype), Form(P.shape, P.dtype), 0)


@register_fast
def add_positions_backward(dy, cache: AddPositionsCache):
    x, P, _ = cache
    if x.shape[-2:] != P.shape or getattr(dy, "shape", None) != x.shape or dy.dtype != x.dtype:
        return NotImplemented
    dx = _kernels.copied(dy)
    dP = None if dx is None else _kernels.column_sums(dy.reshape(-1, dy.shape[-2] * dy.shape[-1]))
    return NotImplemented if dP is None else (dx, dP.reshape(P.shape))
