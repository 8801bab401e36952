"""Pooling on the compiled kernel: one pass over the images, all channels of a pixel at once.

The mean of all pixels is a pool of one window. A pixel that becomes a block of equal ones is what
the backward of a sum over blocks does, and its own backward is that sum.
"""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.functions import pooling as f
from minienc.functions.windows import Windows, pair_of
from minienc.primitive import register_fast
from minienc.shapes import Form

_NO_MARGINS = ((0, 0), (0, 0))


def _is_image(x):
    return type(x) is np.ndarray and x.ndim == 4


def _fits(dy, y):
    return type(dy) is np.ndarray and (dy.shape, dy.dtype) == (y.shape, y.dtype)


def _served(result):
    return NotImplemented if result is None else result


@register_fast
def max_pool2d_forward(x, pool_size=(2, 2), strides=None, padding="valid"):
    if not _is_image(x):
        return NotImplemented
    windows = f._windows("max_pool2d_forward", x, pool_size, strides, padding)
    result = _kernels.max_pool(x, windows)
    if result is None:
        return NotImplemented
    y, which = result
    return y, f.MaxPool2DCache(which, x.shape, windows, Form(y.shape, y.dtype))


@register_fast
def max_pool2d_backward(dy, cache: f.MaxPool2DCache):
    which, shape, windows, y = cache
    if not _fits(dy, y):
        return NotImplemented
    return _served(_kernels.max_pool_slope(dy, which, shape, windows))


@register_fast
def average_pooling2d_forward(x, pool_size=(2, 2), strides=None, padding="valid"):
    if not _is_image(x):
        return NotImplemented
    windows = f._windows("average_pooling2d_forward", x, pool_size, strides, padding)
    y = _kernels.sum_pool(x, windows, True)
    if y is None:
        return NotImplemented
    share = f._shares(x, windows)
    return y, f.AveragePooling2DCache(share, x.shape, windows, Form(y.shape, y.dtype))


@register_fast
def average_pooling2d_backward(dy, cache: f.AveragePooling2DCache):
    _, shape, windows, y = cache
    if not _fits(dy, y):
        return NotImplemented
    return _served(_kernels.sum_pool_slope(dy, shape, windows, True))


def _whole(shape):
    """One window, as large as the images."""
    return Windows(shape[1:3], (1, 1), (1, 1), _NO_MARGINS)


@register_fast
def global_average_pooling2d_forward(x):
    y = _kernels.sum_pool(x, _whole(x.shape), True) if _is_image(x) else None
    if y is None:
        return NotImplemented
    y = y.reshape(x.shape[0], x.shape[3])
    return y, f.GlobalAveragePooling2DCache(x.shape, Form(y.shape, y.dtype))


@register_fast
def global_average_pooling2d_backward(dy, cache: f.GlobalAveragePooling2DCache):
    shape, y = cache
    if not _fits(dy, y):
        return NotImplemented
    dy = dy.reshape(shape[0], 1, 1, shape[3])
    return _served(_kernels.sum_pool_slope(dy, shape, _whole(shape), True))


def _blocks(shape, size):
    """A window for each pixel of images of this shape: its block."""
    return Windows(size, size, shape[1:3], _NO_MARGINS)


@register_fast
def up_sampling2d_forward(x, size=(2, 2)):
    if not _is_image(x):
        return NotImplemented
    size, (n, height, width, channels) = pair_of("up_sampling2d_forward", "size", size), x.shape
    large = n, height * size[0], width * size[1], channels
    y = _kernels.sum_pool_slope(x, large, _blocks(x.shape, size), False)
    if y is None:
        return NotImplemented
    return y, f.UpSampling2DCache(size, x.shape, Form(y.shape, y.dtype))


@register_fast
def up_sampling2d_backward(dy, cache: f.UpSampling2DCache):
    size, shape, y = cache
    return _served(_kernels.sum_pool(dy, _blocks(shape, size), False) if _fits(dy, y) else None)
