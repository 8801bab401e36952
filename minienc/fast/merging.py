"""What only passes on, other shapes, and sums of paths, on the compiled kernel.

To copy an array, or to add two, takes NumPy no longer than C. But what NumPy does cannot be part of
a plan (``training/planned.py``).
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from minienc import _kernels
from minienc.functions import merging
from minienc.functions.activations import IdentityCache
from minienc.functions.merging import AddCache, ConcatenateCache, ReshapeCache, WeightedSumCache
from minienc.primitive import register_fast
from minienc.shapes import Form


@register_fast
def identity_forward(x):
    y = _kernels.copied(x) if type(x) is np.ndarray else None
    return NotImplemented if y is None else (y, IdentityCache(Form(y.shape, y.dtype)))


@register_fast
def identity_backward(dy, cache: IdentityCache):
    if getattr(dy, "shape", None) != cache.y.shape or dy.dtype != cache.y.dtype:
        return NotImplemented
    dx = _kernels.copied(dy)
    return NotImplemented if dx is None else dx


@register_fast
def reshape_forward(x, shape):
    if type(x) is not np.ndarray or x.ndim == 0 or math.prod(x.shape[1:]) != math.prod(shape):
        return NotImplemented
    y = _kernels.copied(x)
    if y is None:
        return NotImplemented
    y = y.reshape((x.shape[0], *shape))
    return y, ReshapeCache(x.shape, Form(y.shape, y.dtype))


@register_fast
def reshape_backward(dy, cache: ReshapeCache):
    if getattr(dy, "shape", None) != cache.y.shape or dy.dtype != cache.y.dtype:
        return NotImplemented
    dx = _kernels.copied(dy)
    return NotImplemented if dx is None else dx.reshape(cache.shape)


@register_fast
def add_forward(*xs):
    y = _kernels.added(xs[0], xs[1]) if len(xs) > 1 else None
    for x in xs[2:]:
        y = None if y is None else _kernels.added(y, x)
    return NotImplemented if y is None else (y, AddCache(len(xs), Form(y.shape, y.dtype)))


@register_fast
def add_backward(dy, cache: AddCache):
    if getattr(dy, "shape", None) != cache.y.shape or dy.dtype != cache.y.dtype:
        return NotImplemented
    dxs = tuple([_kernels.copied(dy) for _ in range(cache.n)])
    return NotImplemented if any(dx is None for dx in dxs) else dxs


@register_fast
def weighted_sum_forward(*xs, weights):
    if len(xs) != 2 or tuple(map(type, weights)) != (float, float) or weights[0] != 1:
        return NotImplemented
    y = _kernels.added(*xs, weights[1])
    return NotImplemented if y is None else (y, WeightedSumCache(tuple(weights)))


def _parts(y, sizes, axis):
    """The parts of contiguous y along the axis, of three axes each: views."""
    whole = y.reshape(math.prod(y.shape[:axis]), y.shape[axis], -1)
    ends = list(itertools.accumulate(sizes))
    return [whole[:, end - size : end] for end, size in zip(ends, sizes, strict=True)]


@register_fast
def concatenate_forward(*xs, axis=-1):
    if not xs or any(type(x) is not np.ndarray or not x.flags.c_contiguous for x in xs):
        return NotImplemented
    merging._check_other_axes(xs, axis)
    first, sizes = xs[0], tuple([x.shape[axis] for x in xs])
    if first.dtype not in (np.float32, np.float64) or not all(x.size for x in xs):
        return NotImplemented
    shape, place = list(first.shape), axis % first.ndim
    shape[place] = sum(sizes)
    y = np.empty(shape, first.dtype)
    for x, part in zip(xs, _parts(y, sizes, place), strict=True):
        _kernels.place(x.reshape(part.shape), part)
    return y, ConcatenateCache(sizes, axis, Form(y.shape, y.dtype))


@register_fast
def concatenate_backward(dy, cache: ConcatenateCache):
    sizes, axis, y = cache
    if type(dy) is not np.ndarray or (dy.shape, dy.dtype) != y or not dy.flags.c_contiguous:
        return NotImplemented
    if dy.dtype not in (np.float32, np.float64) or not dy.size:
        return NotImplemented
    dxs, place = [], axis % dy.ndim
    for size, part in zip(sizes, _parts(dy, sizes, place), strict=True):
        dx = np.empty((*dy.shape[:place], size, *dy.shape[place + 1 :]), dy.dtype)
        _kernels.place(part, dx.reshape(part.shape))
        dxs.append(dx)
    return tuple(dxs)
