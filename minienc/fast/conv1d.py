"""Convolution along time on the compiled kernel's products, without a copy of its patches.

In (N, T, C), the K steps that one y_t sees are K C numbers that lie side by side, and those of
y_(t+1) begin C numbers later. So the matrix of all patches is a *view* whose rows overlap: forward
and dW are the dense layer's products with it, and so is dx, of dz and of W turned round.

Samples follow each other in that view; the K - 1 rows at the seam of two of them are computed, and
thrown away: in the backward, dz is 0 there. With strides or dilation, the steps that a y sees do
not lie side by side: their copies do, as in the definition.

What is moved from one place to another is moved by the kernel, so that a plan holds it.
"""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.fast.fused import fused, fused_activations
from minienc.functions.activations import CACHE_OF_OUTPUT, get_activation
from minienc.functions.conv1d import Conv1DCache, place_kernel
from minienc.functions.dense import DenseCache
from minienc.primitive import register_fast
from minienc.shapes import Form

_CODES = _kernels.activation_codes
_FUSED = fused_activations(_CODES)
_IDENTITY, _GELU = _CODES["identity"], _CODES["gelu"]


def _served(x, W):
    """Whether these are arrays of one type, (N, T, C) and (K, C, M), none of them empty."""
    return (
        type(x) is np.ndarray
        and type(W) is np.ndarray
        and x.dtype == W.dtype
        and x.dtype in (np.float32, np.float64)
        and x.ndim == W.ndim == 3
        and x.shape[2] == W.shape[1]
        and x.size > 0
        and W.size > 0
    )


def _view(rows, shape, strides):
    """The numbers of a contiguous array, read by other strides."""
    return np.ndarray(shape, rows.dtype, rows, 0, strides)


def _windows(rows, K):
    """All K rows of a contiguous matrix that follow each other, side by side: (R - K + 1, K C)."""
    R, C = rows.shape
    return _view(rows, (R - K + 1, K * C), rows.strides)


def _with_zeros(x, before, padded):
    """x (N, T, C) between zeros, contiguous: as it is where there are none."""
    N, T, C = x.shape
    if padded == T and x.flags.c_contiguous:
        return x
    between = np.empty((N, padded, C), x.dtype)
    _kernels.place(None, between[:, :before])
    _kernels.place(x, between[:, before : before + T])
    _kernels.place(None, between[:, before + T :])
    return between


def _copied(x):
    """A contiguous copy of three axes of any strides."""
    copy = np.empty(x.shape, x.dtype)
    _kernels.place(x, copy)
    return copy


class _Conv1DCache(Conv1DCache):
    """The definition's, with the steps whose windows its patches are."""

    rows = None  # (N padded, C), contiguous; None where the patches are copies


_Conv1DCache.__name__ = Conv1DCache.__name__


@register_fast
def conv1d_forward(
    x, W, b=None, strides=1, padding="valid", dilation_rate=1, activation="identity"
):
    known = isinstance(activation, str) or activation is None
    if not type(strides) is type(dilation_rate) is int or not known or not _served(x, W):
        return NotImplemented
    T, (K, C, M) = x.shape[1], W.shape
    steps, before, padded = place_kernel(T, K, strides, padding, dilation_rate)
    between, W2 = _with_zeros(x, before, padded), W.reshape(K * C, M)
    found = fused(_FUSED, activation)
    code, alpha, cache_of = found or (_IDENTITY, 0.0, None)
    if code == _GELU:  # whose cache is z, and with its seams would be too long
        code, cache_of = _IDENTITY, None
    see = _seen_in_place if strides == dilation_rate == 1 else _seen_by_copies
    y, P, rows = see(between, steps, W2, b, code, alpha)
    if y is None:
        return NotImplemented
    z = CACHE_OF_OUTPUT["identity"](Form(y.shape, y.dtype))
    y, f = (y, cache_of(y)) if cache_of is not None else get_activation(activation)(y)
    dense = DenseCache(P, W2, b is not None, "identity", z)
    cache = _Conv1DCache(dense, W.shape, steps, before, padded, T, activation, f)
    cache.rows = rows
    return y, cache


def _seen_in_place(between, steps, W, b, code, alpha):
    """(y, its patches, the rows whose windows they are) of kernels that move step by step."""
    (N, padded, C), K = between.shape, len(steps)
    rows, OT = between.reshape(N * padded, C), padded - K + 1
    y = _kernels.dense_forward(_windows(rows, K), W, b, code, alpha)
    if y is None:
        return None, None, None
    row, column = y.strides
    y = _copied(_view(y, (N, OT, W.shape[1]), (padded * row, row, column)))  # without the seams
    return y, _view(between, (N, OT, K * C), between.strides), rows


def _seen_by_copies(between, steps, W, b, code, alpha):
    """The same of other kernels: no rows."""
    (N, _, C), K = between.shape, len(steps)
    P = np.empty((N, len(range(*steps[0].indices(between.shape[1]))), K * C), between.dtype)
    for k, part in enumerate(steps):
        _kernels.place(between[:, part], P[..., k * C : (k + 1) * C])
    return _kernels.dense_forward(P, W, b, code, alpha), P, None


@register_fast
def conv1d_backward(dy, cache: Conv1DCache):
    dense, (K, C, M), _, before, padded, T, activation, f = cache
    if type(cache) is not _Conv1DCache or type(dy) is not np.ndarray or dy.dtype != dense.W.dtype:
        return NotImplemented
    if dy.shape != (*dense.x.shape[:2], M):
        return NotImplemented
    dz = dy if activation in (None, "identity") else get_activation(activation).backward(dy, f)
    if cache.rows is None:
        dx, dW, db = _laid_back(dz, cache)
    else:
        seams = _between_seams(dz, K, padded)
        turned = _copied(dense.W.reshape(K, C, M)[::-1].swapaxes(1, 2)).reshape(K * M, C)
        dx = _kernels.matmul(_windows(seams, K), turned).reshape(len(dy), padded, C)
        dz = seams[K - 1 : len(dy) * padded]
        windows = _windows(cache.rows, K)
        _, dW, db = _of_product(dz, windows, dense, need_dx=False)
    dx = dx if padded == T else _copied(dx[:, before : before + T])
    return dx, dW.reshape(K, C, M), db


def _of_product(dz, x, dense, need_dx=True):
    """The gradients of x W + b."""
    return _kernels.dense_backward(
        dz, x, dense.W, dense.has_bias, _IDENTITY, 0.0, dz, need_dx=need_dx
    )[:3]


def _between_seams(dz, K, padded):
    """dz (N, OT, M) as rows: K - 1 zeros, and after each sample as many."""
    N, OT, M = dz.shape
    rows = np.empty((K - 1 + N * padded, M), dz.dtype)
    by_sample = rows[K - 1 :].reshape(N, padded, M)
    _kernels.place(None, rows[None, : K - 1])
    _kernels.place(dz, by_sample[:, :OT])
    _kernels.place(None, by_sample[:, OT:])
    return rows


def _laid_back(dz, cache):
    """The gradients where patches were copied: a step that several windows saw receives the sum."""
    dense, (_, C, _), steps, _, padded, *_ = cache
    dz = dz if dz.flags.c_contiguous else _copied(dz)
    dP, dW, db = _of_product(dz, dense.x, dense)
    dx = np.empty((len(dP), padded, C), dP.dtype)
    _kernels.place(None, dx)
    for k, part in enumerate(steps):
        _kernels.place(dP[..., k * C : (k + 1) * C], dx[:, part], add=True)
    return dx, dW, db
