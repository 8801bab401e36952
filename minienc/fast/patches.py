"""Patches of images on the compiled kernel: cut out and laid back row by row of each window."""

from __future__ import annotations

from minienc import _kernels
from minienc.functions.convolution import PatchesCache
from minienc.functions.windows import place_windows
from minienc.primitive import register_fast
from minienc.shapes import Form


@register_fast
def patches_forward(x, kernel_size, strides=(1, 1), padding="valid"):
    if getattr(x, "ndim", 0) != 4:
        return NotImplemented
    image = x.shape[1:3]
    windows = place_windows("patches_forward", image, kernel_size, strides, padding, "kernel_size")
    y = _kernels.cut_patches(x, *windows)
    if y is None:
        return NotImplemented
    return y, PatchesCache(x.shape, windows, Form(y.shape, y.dtype))


@register_fast
def patches_backward(dy, cache: PatchesCache):
    if getattr(dy, "dtype", None) != cache.y.dtype:
        return NotImplemented
    dx = _kernels.lay_patches_back(dy, cache.shape, *cache.windows)
    return NotImplemented if dx is None else dx
