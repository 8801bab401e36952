"""Pooling: one number for a window of pixels, its largest or its mean; and back to larger images.

Each channel is pooled by itself. Windows stand as those of a convolution do (``windows.py``); their
strides are their size unless said otherwise, so that they do not overlap. Pixels that "same" adds
around an image take no part: they are no maximum, and no mean counts them, as in Keras.

x, y, dy and dx are (N, H, W, C), channels last; dtypes are kept. A ValueError tells of shapes,
sizes or strides that do not fit, a TypeError of dtypes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.windows import (
    Windows,
    add_at,
    add_margins,
    cut_margins,
    pair_of,
    pixels,
    place_windows,
    zeros_with_margins,
)
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# ---------------------------------------------------------------------------------------- maximum


class MaxPool2DCache(NamedTuple):
    which: Array  # (N, OH, OW, C) integers: which of the window's KH KW pixels was the maximum
    shape: tuple[int, int, int, int]  # of x: (N, H, W, C)
    windows: Windows
    y: Form  # (N, OH, OW, C)


@primitive
def max_pool2d_forward(x, pool_size=(2, 2), strides=None, padding="valid"):
    """y = the largest pixel of each window, channel by channel.

    Of several that are equal, the first is taken, row by row. NaN in a window makes its y NaN.

    Parameters
    ----------
    x : array (N, H, W, C)
    pool_size : int or (int, int)
        KH, KW.
    strides : int or (int, int), optional
        ``pool_size`` if None.
    padding : {"valid", "same"}

    Returns
    -------
    y : array (N, OH, OW, C), of x's dtype
    cache : MaxPool2DCache

    Notes
    -----
    Source: Ranzato et al. 2007, "Unsupervised learning of invariant feature hierarchies with
    applications to object recognition".

    Examples
    --------
    >>> y, cache = max_pool2d_forward(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> y.ravel(), max_pool2d_backward(np.ones_like(y), cache).ravel()
    (array([3.]), array([0., 0., 0., 1.]))
    """
    windows = _windows("max_pool2d_forward", x, pool_size, strides, padding)
    xp = get_array_module(x)
    wide = add_margins(x, windows, -math.inf)  # nothing is smaller
    first, *others = pixels(windows)
    y = wide[first].copy()
    which = xp.zeros(y.shape, dtype="uint8" if len(others) < 256 else "int32")
    for k, where in enumerate(others, start=1):
        seen = wide[where]
        larger = xp.maximum(y, seen)  # (1); NaN where one of them is NaN
        which = xp.where(larger != y, xp.full_like(which, k), which)
        y = larger
    return y, MaxPool2DCache(which, tuple(x.shape), windows, Form(y.shape, y.dtype))


@primitive
def max_pool2d_backward(dy, cache: MaxPool2DCache):
    """dx = dy at the pixel that was the maximum, 0 elsewhere.

    A small change of any other pixel changes nothing. At a tie, where the maximum has a kink, the
    first of the equal pixels receives all of dy (a subgradient), as in PyTorch.
    """
    which, shape, windows, y = cache
    check_shapes("max_pool2d_backward", "y: N H W C, dy: N H W C", y, dy)
    xp = get_array_module(dy)
    dx = zeros_with_margins(dy, shape, windows)
    for k, where in enumerate(pixels(windows)):
        dx = add_at(dx, where, xp.where(which == k, dy, xp.zeros_like(dy)))  # (1) was y = seen
    return cut_margins(dx, windows)


# ------------------------------------------------------------------------------------------- mean


class AveragePooling2DCache(NamedTuple):
    share: Array  # (OH, OW, 1)  1 / number of pixels in each window
    shape: tuple[int, int, int, int]  # of x: (N, H, W, C)
    windows: Windows
    y: Form  # (N, OH, OW, C)


@primitive
def average_pooling2d_forward(x, pool_size=(2, 2), strides=None, padding="valid"):
    """y = the mean of each window, channel by channel.

    Parameters
    ----------
    x : array (N, H, W, C)
    pool_size, strides, padding
        As in ``max_pool2d_forward``.

    Returns
    -------
    y : array (N, OH, OW, C), of x's dtype
    cache : AveragePooling2DCache

    Notes
    -----
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section 2
    (subsampling).

    Examples
    --------
    >>> y, cache = average_pooling2d_forward(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> y.ravel(), average_pooling2d_backward(np.ones_like(y), cache).ravel()
    (array([1.5]), array([0.25, 0.25, 0.25, 0.25]))
    """
    windows = _windows("average_pooling2d_forward", x, pool_size, strides, padding)
    share = _shares(x, windows)
    wide = add_margins(x, windows)
    first, *others = pixels(windows)
    total = wide[first].copy()
    for where in others:
        total = total + wide[where]  # (1)
    y = total * share  # (2)
    return y, AveragePooling2DCache(share, tuple(x.shape), windows, Form(y.shape, y.dtype))


@primitive
def average_pooling2d_backward(dy, cache: AveragePooling2DCache):
    """dx = the sum, over the windows that see a pixel, of dy / number of pixels."""
    share, shape, windows, y = cache
    check_shapes("average_pooling2d_backward", "y: N H W C, dy: N H W C", y, dy)
    dtotal = dy * share  # (2) was y = total share
    dx = zeros_with_margins(dy, shape, windows)
    for where in pixels(windows):
        dx = add_at(dx, where, dtotal)  # (1) was total + seen
    return cut_margins(dx, windows)


def _shares(x, windows):
    """(OH, OW, 1): 1 / how many pixels of the image, not of its margins, each window sees."""
    xp = get_array_module(x)
    counts = []
    for axis in (0, 1):
        n, stride, (before, _) = windows.n[axis], windows.strides[axis], windows.margins[axis]
        start = xp.arange(n) * stride - before
        end = xp.minimum(start + windows.size[axis], x.shape[1 + axis])
        counts.append(end - xp.maximum(start, 0))
    rows, columns = counts
    return 1 / (rows.reshape((-1, 1, 1)) * columns.reshape((-1, 1))).astype(x.dtype)


# ------------------------------------------------------------------------- the mean of everything


class GlobalAveragePooling2DCache(NamedTuple):
    shape: tuple[int, int, int, int]  # of x: (N, H, W, C)
    y: Form  # (N, C)


@primitive
def global_average_pooling2d_forward(x):
    """y_nc = the mean of channel c over all pixels of image n: x (N, H, W, C) -> y (N, C).

    Source: Lin, Chen and Yan 2014, "Network in network", section 3.2.

    Examples
    --------
    >>> y, cache = global_average_pooling2d_forward(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> y
    array([[1.5]])
    """
    check_shapes("global_average_pooling2d_forward", "x: N H W C", x)
    if x.shape[1] * x.shape[2] == 0:
        raise ValueError(
            f"global_average_pooling2d_forward: x is {tuple(x.shape)}, images without pixels"
        )
    y = x.mean(axis=2).mean(axis=1)  # (1), one axis after the other: of shorter sums
    return y, GlobalAveragePooling2DCache(tuple(x.shape), Form(y.shape, y.dtype))


@primitive
def global_average_pooling2d_backward(dy, cache: GlobalAveragePooling2DCache):
    """dx = dy / (H W), the same for every pixel."""
    check_shapes("global_average_pooling2d_backward", "y: N C, dy: N C", cache.y, dy)
    n, height, width, channels = cache.shape
    xp = get_array_module(dy)
    share = dy.reshape((n, 1, 1, channels)) / (height * width)
    dx = share * xp.ones(cache.shape, dtype=dy.dtype)  # (1) was y = mean x
    return dx


# ---------------------------------------------------------------------------------- larger images


class UpSampling2DCache(NamedTuple):
    size: tuple[int, int]  # (SH, SW)
    shape: tuple[int, int, int, int]  # of x: (N, H, W, C)
    y: Form  # (N, H SH, W SW, C)


@primitive
def up_sampling2d_forward(x, size=(2, 2)):
    """y = every pixel of x as a block of SH x SW equal ones: (N, H, W, C) -> (N, H SH, W SW, C).

    Known as nearest-neighbour interpolation. Followed by a convolution, it does what a transposed
    convolution does, without its checkerboard.

    Source: Odena, Dumoulin and Olah 2016, "Deconvolution and checkerboard artifacts".

    Examples
    --------
    >>> y, cache = up_sampling2d_forward(np.array([[[[1.0], [2.0]]]]))
    >>> y[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    check_shapes("up_sampling2d_forward", "x: N H W C", x)
    size = pair_of("up_sampling2d_forward", "size", size)
    xp = get_array_module(x)
    y = xp.repeat(xp.repeat(x, size[0], axis=1), size[1], axis=2)  # (1)
    return y, UpSampling2DCache(size, tuple(x.shape), Form(y.shape, y.dtype))


@primitive
def up_sampling2d_backward(dy, cache: UpSampling2DCache):
    """dx = the sum of dy over each block: every number in it was a copy of the pixel."""
    check_shapes("up_sampling2d_backward", "y: N H W C, dy: N H W C", cache.y, dy)
    (sh, sw), (n, height, width, channels) = cache.size, cache.shape
    blocks = dy.reshape((n, height, sh, width, sw, channels))
    dx = blocks.sum(axis=(2, 4))  # (1) was y = x, repeated
    return dx


def _windows(function, x, pool_size, strides, padding):
    """Where the windows stand on x, after looking at the arguments."""
    check_shapes(function, "x: N H W C", x)
    strides = pool_size if strides is None else strides
    return place_windows(function, x.shape[1:3], pool_size, strides, padding, "pool_size")
