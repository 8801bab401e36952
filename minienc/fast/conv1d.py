"""Convolution along time without a copy of its patches, on the compiled kernel's products.

In (N, T, C), the K steps that one y_t sees are K C numbers that lie side by side, and those of
y_(t+1) begin C numbers later. So the matrix of all patches is a *view* whose rows overlap: forward
and dW are the dense layer's products with it, and so is dx, of dz and of W turned round.

Samples follow each other in that view; the K - 1 rows at the seam of two of them are computed, and
thrown away: in the backward, dz is 0 there. With strides or dilation, the definition runs.
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
    if padded == T:
        return np.ascontiguousarray(x)
    between = np.empty((N, padded, C), x.dtype)
    between[:, :before] = 0
    between[:, before : before + T] = x
    between[:, before + T :] = 0
    return between


class _Conv1DCache(Conv1DCache):
    """The definition's, with the steps whose windows its patches are."""

    rows = None  # (N padded, C), contiguous


_Conv1DCache.__name__ = Conv1DCache.__name__


@register_fast
def conv1d_forward(
    x, W, b=None, strides=1, padding="valid", dilation_rate=1, activation="identity"
):
    found = fused(_FUSED, activation)
    dense_steps = type(strides) is type(dilation_rate) is int and strides == dilation_rate == 1
    if not dense_steps or found is None or found[0] == _GELU or not _served(x, W):
        return NotImplemented
    (N, T, C), (K, _, M), (code, alpha, cache_of) = x.shape, W.shape, found
    steps, before, padded = place_kernel(T, K, 1, padding, 1)
    between, W2 = _with_zeros(x, before, padded), W.reshape(K * C, M)
    rows, OT = between.reshape(N * padded, C), padded - K + 1
    y = _kernels.dense_forward(_windows(rows, K), W2, b, code, alpha)
    if y is None:
        return NotImplemented
    row, column = y.strides
    y = _view(y, (N, OT, M), (padded * row, row, column)).copy()  # without the seams
    P = _view(between, (N, OT, K * C), between.strides)
    z = CACHE_OF_OUTPUT["identity"](Form(y.shape, y.dtype))
    dense = DenseCache(P, W2, b is not None, "identity", z)
    cache = _Conv1DCache(dense, W.shape, steps, before, padded, T, activation, cache_of(y))
    cache.rows = rows
    return y, cache


def _between_seams(dz, K, padded):
    """dz (N, OT, M) as rows: K - 1 zeros, and after each sample as many."""
    N, OT, M = dz.shape
    rows = np.empty((K - 1 + N * padded, M), dz.dtype)
    rows[: K - 1] = 0
    by_sample = rows[K - 1 :].reshape(N, padded, M)
    by_sample[:, :OT] = dz
    by_sample[:, OT:] = 0
    return rows


@register_fast
def conv1d_backward(dy, cache: Conv1DCache):
    dense, (K, C, M), _, before, padded, T, activation, f = cache
    rows, found = getattr(cache, "rows", None), fused(_FUSED, activation)
    if rows is None or found is None or type(dy) is not np.ndarray or dy.dtype != rows.dtype:
        return NotImplemented
    N = len(rows) // padded
    if dy.shape != (N, padded - K + 1, M):
        return NotImplemented
    if found[0] != _IDENTITY:
        dy = get_activation(activation).backward(dy, f)
    dz = _between_seams(dy, K, padded)
    turned = dense.W.reshape(K, C, M)[::-1].swapaxes(1, 2).reshape(K * M, C)
    dx = _kernels.matmul(_windows(dz, K), turned).reshape(N, padded, C)
    dz = dz[K - 1 : N * padded]
    _, dW, db, _ = _kernels.dense_backward(
        dz, _windows(rows, K), dense.W, dense.has_bias, _IDENTITY, 0.0, dz, need_dx=False
    )
    return dx[:, before : before + T].copy(), dW.reshape(K, C, M), db
