"""Patches of images on the compiled kernel: cut out and laid back row by row of each window.

And the transposed convolution, which lays what a dense layer made: here with a bias that is added
where the sums lie, and its gradient, the sum over all pixels.
"""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.fast import into as plain
from minienc.fast.fused import fused, fused_activations
from minienc.functions import convolution as f
from minienc.functions.activations import CACHE_OF_OUTPUT, get_activation
from minienc.functions.convolution import Conv2DTransposeCache, PatchesCache
from minienc.functions.dense import as_rows, dense_backward, dense_forward
from minienc.functions.windows import place_windows
from minienc.primitive import register_fast
from minienc.shapes import Form, check_shapes

_FUSED = fused_activations(_kernels.activation_codes)
_IDENTITY = _kernels.activation_codes["identity"]


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


# ------------------------------------------------------------------------------- conv2d_transpose


def _is_identity(activation):
    """Whether there is no activation, and none was put in its place."""
    found = fused(_FUSED, activation)
    return found is not None and found[0] == _IDENTITY


@register_fast
def conv2d_transpose_forward(x, W, b=None, strides=(1, 1), padding="valid", activation="identity"):
    if type(x) is not np.ndarray or type(W) is not np.ndarray:
        return NotImplemented
    name = "conv2d_transpose_forward"
    check_shapes(name, "x: N H W C, W: KH KW M C, b: M", x, W, b)
    f_forward = get_activation(activation)
    kh, kw, n_out, n_in = W.shape
    size = f.transposed_size(name, x.shape[1:3], (kh, kw), strides, padding)
    windows = place_windows(name, size, (kh, kw), strides, padding, "kernel size")
    P, dense = dense_forward(as_rows(x), W.reshape((kh * kw * n_out, n_in)).T)
    seen = P.reshape((*x.shape[:3], kh * kw * n_out))
    form = Form(seen.shape, seen.dtype)
    z = f.patches_backward(seen, PatchesCache((x.shape[0], *size, n_out), windows, form))
    if b is not None and not _kernels.add_bias(z, b):
        _kernels.decline(b"a bias lies so that NumPy must add it")
        z = z + b
    y, of_f = (z, CACHE_OF_OUTPUT["identity"](z)) if _is_identity(activation) else f_forward(z)
    cache = Conv2DTransposeCache(
        dense, x.shape, windows, padding, W.shape, b is not None, activation, of_f
    )
    return y, cache


@register_fast
def conv2d_transpose_backward_into(dy, cache: Conv2DTransposeCache, into, write, need_dx):
    dense, shape, windows, padding, _, _, activation, of_f = cache
    n_columns, n_rows = dense.W.shape  # of K', which is what the dense layer saw
    dW, db = (None, None) if into is None else into
    dK = None if dW is None else plain._as_matrix(dW, (n_rows, n_columns))
    if type(dy) is not np.ndarray or (dW is not None and dK is None):
        return NotImplemented
    if _is_identity(activation):
        form = of_f[0]  # of y
        if dy.shape != form.shape or dy.dtype != form.dtype:
            return NotImplemented  # the definition says what is wrong
        dz = dy
    else:
        dz = get_activation(activation).backward(dy, of_f)
    if db is not None and _kernels.column_sums(dz, db, not write) is None:
        _kernels.decline(b"the gradient of a bias is NumPy's")
        plain.put((db,), (dz.sum(axis=(0, 1, 2)),), write)
    dseen, _ = f.patches_forward(dz, windows.size, windows.strides, padding)
    of_dense = None if dK is None else (dK.T, None)
    drows = dense_backward.into(as_rows(dseen), dense, of_dense, write, need_dx)
    if drows is NotImplemented:
        _kernels.decline(b"a transposed convolution's gradient is not the kernel's")
        dx, dKt, _ = dense_backward(as_rows(dseen), dense)
        if dK is not None:
            plain.put((dK.T,), (dKt,), write)
        return dx.reshape(shape) if need_dx else None
    return None if drows is None else drows.reshape(shape)
