"""The dense layer and the activations on a GPU: CuPy's arrays, our kernels.

A step of training in CuPy's own operations reads and writes memory once for each sign in a formula,
and launches a kernel each time. Here a kernel does all of a formula (``cuda.cu`` beside this file),
and the matrix products between them are cuBLAS's (``cublas.py``). The losses are in
``cuda_losses.py``, the optimisers' steps in ``cuda_steps.py``.

What a forward here puts into its cache is what the definition puts there, so that either's
backward can follow either's forward. Served are contiguous arrays of float32 or of float64; for all
others a function returns ``NotImplemented``, and the definition runs (or says what is wrong with
them). The sums are made in an order that never changes, so the same input gives the same bits.
"""

from __future__ import annotations

from typing import Any

import cupy

from minienc.devices import register_pipeline
from minienc.fast import cuda_losses, cuda_steps, graphs  # noqa: F401  (each registers)
from minienc.fast import into as plain
from minienc.fast.cublas import matmul
from minienc.fast.cuda_launch import (
    are_here,
    blocks_for,
    is_served,
    launch,
    most_blocks,
    register_cuda,
)
from minienc.fast.fused import NAMES, fused, fused_activations, register_activations
from minienc.functions import activations as f
from minienc.functions.dense import DenseCache, as_rows

register_pipeline("cuda", graphs.GraphPipeline)

# ------------------------------------------------------------------------------------- activations

_CODES = {name: code for code, name in enumerate(NAMES)}
_IDENTITY, _LEAKY_RELU = _CODES["identity"], _CODES["leaky_relu"]
_ELU, _GELU = _CODES["elu"], _CODES["gelu"]
_FUSED = fused_activations(_CODES)


def _activate(x: Any, b: Any, y: Any, code: int, alpha: float) -> None:
    """y = f(x + b), b in each row; into x itself where y is x."""
    if x.size:
        M = x.shape[-1] if x.ndim else 1
        launch("bias_activation", x, blocks_for(x.size), x.size, M, x, b, y, code, alpha)


def _slope(dy: Any, y: Any, code: int, alpha: float) -> Any:
    """dx = f'(x) dy, from what the activation's cache keeps."""
    if not is_served(dy, y):
        return None
    dx = cupy.empty_like(dy)
    if dy.size:
        launch("activation_slope", dy, blocks_for(dy.size), dy.size, dy, y, dx, code, alpha)
    return dx


def _forward(x: Any, code: int, alpha: float) -> Any:
    if not is_served(x):
        return None
    y = cupy.empty_like(x)
    _activate(x, None, y, code, alpha)
    return y


register_activations(register_cuda, _CODES, _forward, _slope)


@register_cuda
def softmax_forward(x):
    if not is_served(x) or x.ndim < 1 or x.shape[-1] < 1:
        return NotImplemented
    y = cupy.empty_like(x)
    if x.size:
        rows = x.size // x.shape[-1]
        launch("softmax", x, rows, rows, x.shape[-1], x, y)
    return y, f.SoftmaxCache(y)


@register_cuda
def softmax_backward(dy, cache: f.SoftmaxCache):
    (y,) = cache
    if not is_served(dy, y):
        return NotImplemented
    dx = cupy.empty_like(dy)
    if dy.size:
        rows = dy.size // dy.shape[-1]
        launch("softmax_slope", dy, rows, rows, dy.shape[-1], dy, y, dx)
    return dx


# ------------------------------------------------------------------------------- the dense layer


def _products_are_served(x: Any, W: Any) -> bool:
    """Whether x W is a product for cuBLAS; W may be a transposed view."""
    return (
        type(x) is type(W) is cupy.ndarray
        and x.dtype.char in "fd"
        and x.dtype.char == W.dtype.char
        and x.ndim >= 1
        and W.ndim == 2
        and x.shape[-1] == W.shape[0]
        and W.shape[1] > 0
        and are_here(x, W)
    )


@register_cuda
def dense_forward(x, W, b=None, activation="identity"):
    """``functions.dense.dense_forward``: a product, then one pass for bias and activation."""
    if not _products_are_served(x, W) or not isinstance(activation, (str, type(None))):
        return NotImplemented
    M = W.shape[1]
    if b is not None and not (is_served(b) and b.dtype == x.dtype and b.shape == (M,)):
        return NotImplemented
    if activation is not None and activation not in f.ACTIVATIONS:
        return NotImplemented
    z = matmul(as_rows(x), W).reshape(*x.shape[:-1], M)
    found = fused(_FUSED, activation)
    code, alpha, cache_type = found or (_IDENTITY, 0.0, None)
    if found is None:  # softmax needs whole rows; and what was edited runs as it is written
        if b is not None:
            _activate(z, b, z, code, alpha)
        y, kept = f.get_activation(activation)(z)
    elif code == _GELU:
        y = cupy.empty_like(z)
        _activate(z, b, y, code, alpha)
        kept = f.GeluCache(z)
    else:
        y = z
        if b is not None or code != _IDENTITY:
            _activate(z, b, y, code, alpha)
        kept = cache_type(y)
    return y, DenseCache(x, W, b is not None, activation, kept)


@register_cuda
def dense_backward(dy, cache: DenseCache):
    """``functions.dense.dense_backward``: the slope and db in one pass."""
    W = cache.W
    dW, db = cupy.empty_like(W), cupy.empty(W.shape[-1], W.dtype) if cache.has_bias else None
    dx = _dense_backward(dy, cache, dW, db, True, True)
    return NotImplemented if dx is NotImplemented else (dx, dW, db)


@register_cuda
def dense_backward_into(dy, cache: DenseCache, into, write, need_dx):
    """Its second entry: dW and db are added where they lie, or written there."""
    dW, db = (None, None) if into is None else into
    dx = _dense_backward(dy, cache, dW, db, write, need_dx)
    if dx is NotImplemented:
        return plain.dense_backward_into(dy, cache, into, write, need_dx)
    return dx


register_cuda(plain.conv2d_backward_into)
register_cuda(plain.conv2d_transpose_backward_into)
register_cuda(plain.multi_head_attention_backward_into)


def _dense_backward(
    dy: Any, cache: DenseCache, dW: Any, db: Any, write: bool, need_dx: bool
) -> Any:
    x, W, _, activation, kept = cache
    M = W.shape[-1]
    if not _products_are_served(x, W) or type(dy) is not cupy.ndarray:
        return NotImplemented
    if dy.dtype != x.dtype or dy.shape != (*x.shape[:-1], M) or not are_here(dy):
        return NotImplemented
    if db is not None and not is_served(db):
        return NotImplemented
    dy = cupy.ascontiguousarray(dy)
    found = fused(_FUSED, activation)
    if found is None:
        dy = f.get_activation(activation).backward(dy, kept)
    code, alpha, _ = found or (_IDENTITY, 0.0, None)
    if code in (_LEAKY_RELU, _ELU):
        alpha = kept[1]
    if db is not None:
        dz = _slope_and_sums(dy, kept, db, write, code, alpha)
    else:
        dz = dy if code == _IDENTITY else _slope(dy, kept[0], code, alpha)
    if dW is not None:
        matmul(as_rows(x).T, as_rows(dz), dW, not write)
    return matmul(as_rows(dz), W.T).reshape(x.shape) if need_dx else None


def _slope_and_sums(dy: Any, kept: tuple, db: Any, write: bool, code: int, alpha: float) -> Any:
    """dz, and its sums over the samples, written to db or added to it."""
    M = dy.shape[-1]
    N = dy.size // M
    y = dy if code == _IDENTITY else kept[0]
    dz = dy if code == _IDENTITY else cupy.empty_like(dy)
    # so many runs of rows that every multiprocessor has work, but none shorter than 64
    across = -(-M // 32)
    runs = max(1, min(-(-N // 64), most_blocks(dy.device.id) // across))
    part = cupy.empty((runs, M), dtype="float64")
    of_run = max(1, -(-N // runs))
    arguments = (N, M, dy, y, None if code == _IDENTITY else dz, of_run, part, code, alpha)
    launch("slope_and_sums", dy, (across, runs), *arguments)
    launch("add_parts", dy, blocks_for(M), runs, M, part, db, int(write))
    return dz
