"""The dense layer, activations, losses and optimiser steps on a GPU: CuPy's arrays, our kernels.

A step of training in CuPy's own operations reads and writes memory once for each sign in a formula,
and launches a kernel each time. Here a kernel does all of a formula (``cuda.cu`` beside this file),
and the matrix products between them are cuBLAS's (``cublas.py``).

What a forward here puts into its cache is what the definition puts there, so that either's
backward can follow either's forward. Served are contiguous arrays of float32 or of float64; for all
others a function returns ``NotImplemented``, and the definition runs (or says what is wrong with
them). The sums are made in an order that never changes, so the same input gives the same bits.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import cupy

from minienc.fast import graphs
from minienc.fast import into as plain
from minienc.fast.cublas import matmul
from minienc.fast.fused import NAMES, fused_activations
from minienc.functions import activations as f
from minienc.functions.crossentropy import (
    BinaryCrossentropyCache,
    CategoricalCrossentropyCache,
    SparseCategoricalCrossentropyCache,
)
from minienc.functions.dense import DenseCache
from minienc.functions.losses import MeanSquaredErrorCache
from minienc.functions.reduction import loss_factor, reduce_loss
from minienc.primitive import register_device_loop, register_fast
from minienc.training import optimizers  # the definitions of the steps stand there

_register = partial(register_fast, array_type=cupy.ndarray)
register_device_loop("cuda", graphs.GraphLoop)

# ------------------------------------------------------------------------------------- launching

_SOURCE = Path(__file__).with_name("cuda.cu").read_text(encoding="utf-8")
_THREADS = 256  # the kernels count on it
_NULL = 0  # what a kernel gets for an array that is not there


@cache
def _module(dtype: str, number: int) -> Any:
    """The kernels for a dtype, compiled at first use; CuPy keeps what it compiled in a folder."""
    real = {"f": "float", "d": "double"}[dtype]
    return cupy.RawModule(code=_SOURCE, options=(f"-DREAL={real}", "-std=c++17"))


@cache
def _kernel(name: str, dtype: str, number: int) -> Any:
    return _module(dtype, number).get_function(name)


@cache
def _most_blocks(number: int) -> int:
    """Eight blocks for each multiprocessor are all that it holds at a time."""
    return 8 * int(cupy.cuda.Device(number).attributes["MultiProcessorCount"])


def _launch(name: str, like: Any, blocks: Any, *arguments: Any) -> None:
    """Run a kernel of ``like``'s dtype: arrays, whole numbers (long long) and floats (double)."""
    number = like.device.id
    grid = blocks if isinstance(blocks, tuple) else (min(blocks, _most_blocks(number)),)
    given = tuple([_NULL if a is None else a for a in arguments])
    _kernel(name, like.dtype.char, number)(grid, (_THREADS,), given)


def _blocks(n: int) -> int:
    """For n numbers, a thread each."""
    return max(1, -(-n // _THREADS))


def _are_here(*arrays: Any) -> bool:
    """On the GPU where CuPy computes now: a kernel cannot count on reading another's memory."""
    here = cupy.cuda.runtime.getDevice()
    return all([a.data.device_id == here for a in arrays])


def _is_served(*arrays: Any) -> bool:
    """Contiguous arrays, all of one shape, of float32 or float64."""
    first = arrays[0]
    if type(first) is not cupy.ndarray or first.dtype.char not in "fd":
        return False
    for a in arrays:
        if type(a) is not cupy.ndarray or a.dtype.char != first.dtype.char:
            return False
        if a.shape != first.shape or not a.flags.c_contiguous:
            return False
    return _are_here(*arrays)


# ------------------------------------------------------------------------------------- activations

_CODES = {name: code for code, name in enumerate(NAMES)}
_IDENTITY, _RELU, _LEAKY_RELU, _ELU, _SIGMOID, _TANH, _SOFTPLUS, _GELU = _CODES.values()
_FUSED = fused_activations(_CODES)


def _activate(x: Any, b: Any, y: Any, t: Any, code: int, alpha: float) -> None:
    """y = f(x + b), b in each row; into x itself where y is x."""
    if x.size:
        M = x.shape[-1] if x.ndim else 1
        _launch("bias_activation", x, _blocks(x.size), x.size, M, x, b, y, t, code, alpha)


def _slope(dy: Any, kept: tuple, code: int, alpha: float) -> Any:
    """dx = f'(x) dy, from what the activation's cache keeps."""
    y, t = kept[0], kept[1] if code == _GELU else None
    if not _is_served(dy, y, *([] if t is None else [t])):
        return NotImplemented
    dx = cupy.empty_like(dy)
    if dy.size:
        _launch("activation_slope", dy, _blocks(dy.size), dy.size, dy, y, t, dx, code, alpha)
    return dx


def _forward(x: Any, code: int, cache_type: Any, alpha: float = 0.0) -> Any:
    if not _is_served(x):
        return NotImplemented
    y = cupy.empty_like(x)
    _activate(x, None, y, None, code, alpha)
    return y, cache_type(y)


def _forward_with(x: Any, code: int, alpha: Any, cache_type: Any) -> Any:
    """For an activation with a parameter; the definition says what is wrong with one."""
    if type(alpha) is not float or not alpha > 0:
        return NotImplemented
    return _forward(x, code, lambda y: cache_type(y, alpha), alpha)


@_register
def relu_forward(x):
    return _forward(x, _RELU, f.ReluCache)


@_register
def relu_backward(dy, cache: f.ReluCache):
    return _slope(dy, cache, _RELU, 0.0)


@_register
def leaky_relu_forward(x, negative_slope=0.2):
    return _forward_with(x, _LEAKY_RELU, negative_slope, f.LeakyReluCache)


@_register
def leaky_relu_backward(dy, cache: f.LeakyReluCache):
    return _slope(dy, cache, _LEAKY_RELU, cache[1])


@_register
def elu_forward(x, alpha=1.0):
    return _forward_with(x, _ELU, alpha, f.EluCache)


@_register
def elu_backward(dy, cache: f.EluCache):
    return _slope(dy, cache, _ELU, cache[1])


@_register
def sigmoid_forward(x):
    return _forward(x, _SIGMOID, f.SigmoidCache)


@_register
def sigmoid_backward(dy, cache: f.SigmoidCache):
    return _slope(dy, cache, _SIGMOID, 0.0)


@_register
def tanh_forward(x):
    return _forward(x, _TANH, f.TanhCache)


@_register
def tanh_backward(dy, cache: f.TanhCache):
    return _slope(dy, cache, _TANH, 0.0)


@_register
def softplus_forward(x):
    return _forward(x, _SOFTPLUS, f.SoftplusCache)


@_register
def softplus_backward(dy, cache: f.SoftplusCache):
    return _slope(dy, cache, _SOFTPLUS, 0.0)


@_register
def gelu_forward(x):
    if not _is_served(x):
        return NotImplemented
    y, t = cupy.empty_like(x), cupy.empty_like(x)
    _activate(x, None, y, t, _GELU, 0.0)
    return y, f.GeluCache(x, t)


@_register
def gelu_backward(dy, cache: f.GeluCache):
    return _slope(dy, cache, _GELU, 0.0)


@_register
def softmax_forward(x):
    if not _is_served(x) or x.ndim < 1 or x.shape[-1] < 1:
        return NotImplemented
    y = cupy.empty_like(x)
    if x.size:
        rows = x.size // x.shape[-1]
        _launch("softmax", x, rows, rows, x.shape[-1], x, y)
    return y, f.SoftmaxCache(y)


@_register
def softmax_backward(dy, cache: f.SoftmaxCache):
    (y,) = cache
    if not _is_served(dy, y):
        return NotImplemented
    dx = cupy.empty_like(dy)
    if dy.size:
        rows = dy.size // dy.shape[-1]
        _launch("softmax_slope", dy, rows, rows, dy.shape[-1], dy, y, dx)
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
        and _are_here(x, W)
    )


@_register
def dense_forward(x, W, b=None, activation="identity"):
    """``functions.dense.dense_forward``: a product, then one pass for bias and activation."""
    if not _products_are_served(x, W) or not isinstance(activation, (str, type(None))):
        return NotImplemented
    M = W.shape[1]
    if b is not None and not (_is_served(b) and b.dtype == x.dtype and b.shape == (M,)):
        return NotImplemented
    if activation not in _FUSED and activation not in f.ACTIVATIONS:
        return NotImplemented
    z = matmul(plain.rows(x), W).reshape(*x.shape[:-1], M)
    code, alpha, cache_type = _FUSED.get(activation, (_IDENTITY, 0.0, None))
    if activation not in _FUSED:  # softmax needs whole rows
        if b is not None:
            _activate(z, b, z, None, code, alpha)
        y, kept = f.get_activation(activation)(z)
    elif code == _GELU:
        y, t = cupy.empty_like(z), cupy.empty_like(z)
        _activate(z, b, y, t, code, alpha)
        kept = f.GeluCache(z, t)
    else:
        y = z
        if b is not None or code != _IDENTITY:
            _activate(z, b, y, None, code, alpha)
        kept = cache_type(y)
    return y, DenseCache(x, W, b is not None, activation, kept)


@_register
def dense_backward(dy, cache: DenseCache):
    """``functions.dense.dense_backward``: the slope and db in one pass."""
    W = cache.W
    dW, db = cupy.empty_like(W), cupy.empty(W.shape[-1], W.dtype) if cache.has_bias else None
    dx = _dense_backward(dy, cache, dW, db, True, True)
    return NotImplemented if dx is NotImplemented else (dx, dW, db)


@_register
def dense_backward_into(dy, cache: DenseCache, into, write, need_dx):
    """Its second entry: dW and db are added where they lie, or written there."""
    dW, db = (None, None) if into is None else into
    dx = _dense_backward(dy, cache, dW, db, write, need_dx)
    if dx is NotImplemented:
        return plain.dense_backward_into(dy, cache, into, write, need_dx)
    return dx


_register(plain.conv2d_backward_into)
_register(plain.conv2d_transpose_backward_into)


def _dense_backward(
    dy: Any, cache: DenseCache, dW: Any, db: Any, write: bool, need_dx: bool
) -> Any:
    x, W, _, activation, kept = cache
    M = W.shape[-1]
    if not _products_are_served(x, W) or type(dy) is not cupy.ndarray:
        return NotImplemented
    if dy.dtype != x.dtype or dy.shape != (*x.shape[:-1], M) or not _are_here(dy):
        return NotImplemented
    if db is not None and not _is_served(db):
        return NotImplemented
    dy = cupy.ascontiguousarray(dy)
    if activation not in _FUSED:
        dy, activation = f.get_activation(activation).backward(dy, kept), "identity"
    code, alpha, _ = _FUSED[activation]
    if code in (_LEAKY_RELU, _ELU):
        alpha = kept[1]
    if db is not None:
        dz = _slope_and_sums(dy, kept, db, write, code, alpha)
    else:
        dz = dy if code == _IDENTITY else _slope(dy, kept, code, alpha)
    if dW is not None:
        matmul(plain.rows(x).T, plain.rows(dz), dW, not write)
    return matmul(plain.rows(dz), W.T).reshape(x.shape) if need_dx else None


def _slope_and_sums(dy: Any, kept: tuple, db: Any, write: bool, code: int, alpha: float) -> Any:
    """dz, and its sums over the samples, written to db or added to it."""
    M = dy.shape[-1]
    N = dy.size // M
    y, t = kept[0], kept[1] if code == _GELU else None
    dz = dy if code == _IDENTITY else cupy.empty_like(dy)
    # so many runs of rows that every multiprocessor has work, but none shorter than 64
    across = -(-M // 32)
    runs = max(1, min(-(-N // 64), _most_blocks(dy.device.id) // across))
    part = cupy.empty((runs, M), dtype="float64")
    of_run = max(1, -(-N // runs))
    arguments = (N, M, dy, y, t, None if code == _IDENTITY else dz, of_run, part, code, alpha)
    _launch("slope_and_sums", dy, (across, runs), *arguments)
    _launch("add_parts", dy, _blocks(M), runs, M, part, db, int(write))
    return dz


# ------------------------------------------------------------------------------------------ losses

_SQUARED = 0
_BINARY = 2, 1  # [from_logits]
_CATEGORICAL = 4, 3


def _losses(y: Any, target: Any, kind: int) -> Any:
    """l (N, ...), and e = y - target of a squared loss; None for arrays that are not served."""
    labels = None
    if _are_labels(target):
        labels, target = _as_labels(target), None
        if not _is_served(y) or y.ndim < 1 or labels.shape != y.shape[:-1]:
            return None
    elif not _is_served(y, target):
        return None
    shape = y.shape if y.ndim > 1 else (*y.shape, 1)  # samples of one number each
    if y.ndim < 1 or shape[-1] == 0 or (y.ndim < 2 and kind in _CATEGORICAL and labels is None):
        return None
    l = cupy.empty(shape[:-1] if labels is None else y.shape[:-1], dtype=y.dtype)  # noqa: E741
    e = cupy.empty(shape, dtype=y.dtype) if kind == _SQUARED else None
    if l.size:
        D = y.size // l.size
        _launch("loss_of_rows", y, l.size, l.size, D, y, target, labels, e, l, kind)
    return l, e


def _are_labels(target: Any) -> bool:
    return type(target) is cupy.ndarray and target.dtype.kind in "iu" and _are_here(target)


def _as_labels(labels: Any) -> Any:
    return cupy.ascontiguousarray(labels, dtype="int64")


def _reduce(function: str, l: Any, sample_weight: Any, reduction: str) -> Any:  # noqa: E741
    """(loss, factor), as ``functions.reduction`` has them."""
    if sample_weight is not None or reduction not in ("mean", "sum") or l.size == 0:
        factor = loss_factor(function, l, sample_weight, reduction)
        return reduce_loss(l, factor, reduction), factor
    loss, factor = cupy.empty((), dtype=l.dtype), cupy.empty_like(l)
    value = 1 / l.size if reduction == "mean" else 1.0
    _launch("reduce_rows", l, 1, l.size, l, factor, loss, value)
    return loss, factor


def _gradient(dloss: Any, y: Any, target: Any, factor: Any, loss: Any, kind: int) -> Any:
    """dy; the definition says what is wrong with a dloss that is not served."""
    value, at = 0.0, None
    if type(dloss) in (float, int):
        value = float(dloss)
    elif type(dloss) is not cupy.ndarray or dloss.dtype != y.dtype or dloss.shape != loss.shape:
        return NotImplemented
    elif dloss.ndim == 0:
        at = dloss
    else:  # a number for each l
        value, factor = 1.0, dloss * factor
    labels = None
    if _are_labels(target):
        labels, target = _as_labels(target), None
    dy = cupy.empty_like(y)
    if y.size:
        N = factor.size
        numbers = (N, y.size // N, y, target, labels, factor, value, at, dy, kind)
        _launch("loss_slope", y, N, *numbers)
    return dy


@_register
def mean_squared_error_forward(y, target, sample_weight=None, reduction="mean"):
    result = None if _are_labels(target) else _losses(y, target, _SQUARED)
    if result is None:
        return NotImplemented
    l, e = result  # noqa: E741
    loss, factor = _reduce("mean_squared_error_forward", l, sample_weight, reduction)
    return loss, MeanSquaredErrorCache(y, e, factor, loss)


@_register
def mean_squared_error_backward(dloss, cache: MeanSquaredErrorCache):
    y, e, factor, loss = cache
    if not _is_served(e):
        return NotImplemented
    dy = _gradient(dloss, e, None, factor, loss, _SQUARED)
    return dy if dy is NotImplemented else dy.reshape(y.shape)


@_register
def binary_crossentropy_forward(y, target, sample_weight=None, from_logits=False, reduction="mean"):
    result = None if _are_labels(target) else _losses(y, target, _BINARY[bool(from_logits)])
    if result is None:
        return NotImplemented
    loss, factor = _reduce("binary_crossentropy_forward", result[0], sample_weight, reduction)
    return loss, BinaryCrossentropyCache(y, target, factor, loss, from_logits)


@_register
def binary_crossentropy_backward(dloss, cache: BinaryCrossentropyCache):
    y, target, factor, loss, from_logits = cache
    if not _is_served(y, target):
        return NotImplemented
    return _gradient(dloss, y, target, factor, loss, _BINARY[bool(from_logits)])


@_register
def categorical_crossentropy_forward(
    y, target, sample_weight=None, from_logits=False, reduction="mean"
):
    result = None if _are_labels(target) else _losses(y, target, _CATEGORICAL[bool(from_logits)])
    if result is None:
        return NotImplemented
    loss, factor = _reduce("categorical_crossentropy_forward", result[0], sample_weight, reduction)
    return loss, CategoricalCrossentropyCache(y, target, factor, loss, from_logits)


@_register
def categorical_crossentropy_backward(dloss, cache: CategoricalCrossentropyCache):
    y, target, factor, loss, from_logits = cache
    if not _is_served(y, target):
        return NotImplemented
    return _gradient(dloss, y, target, factor, loss, _CATEGORICAL[bool(from_logits)])


@_register
def sparse_categorical_crossentropy_forward(
    y, labels, sample_weight=None, from_logits=False, reduction="mean"
):
    if not _are_labels(labels):
        return NotImplemented
    result = _losses(y, labels, _CATEGORICAL[bool(from_logits)])
    if result is None:
        return NotImplemented
    name = "sparse_categorical_crossentropy_forward"
    loss, factor = _reduce(name, result[0], sample_weight, reduction)
    return loss, SparseCategoricalCrossentropyCache(y, labels, factor, loss, from_logits)


@_register
def sparse_categorical_crossentropy_backward(dloss, cache: SparseCategoricalCrossentropyCache):
    y, labels, factor, loss, from_logits = cache
    if not _is_served(y):
        return NotImplemented
    return _gradient(dloss, y, labels, factor, loss, _CATEGORICAL[bool(from_logits)])


# ------------------------------------------------------------------------------------------- steps

assert optimizers.adam_step  # the import is what registers the definitions


@_register
def sum_of_squares(g):
    if not _is_served(g):
        return NotImplemented
    blocks = min(_blocks(g.size), _most_blocks(g.device.id), 1024)
    part, total = cupy.empty(blocks, dtype="float64"), cupy.empty((), dtype=g.dtype)
    _launch("squares", g, blocks, g.size, g, part)
    _launch("sum_of_parts", g, 1, blocks, part, total)
    return total


def _step(name: str, w: Any, arrays: tuple, rate: Any, scale: Any, *numbers: Any) -> Any:
    """Run a kernel that changes w and ``arrays`` in place, but for the gradient among them."""
    if not _is_served(w, *[a for a in arrays if a is not None]):
        return NotImplemented
    if w.size:
        given = *_at(rate, "float64"), *_at(scale, w.dtype), *numbers
        _launch(name, w, _blocks(w.size), w.size, w, *arrays, *given)
    return None


def _at(number: Any, dtype: Any) -> tuple[float, Any]:
    """A number as a kernel takes one: its value; or, where it is the device's, where it is."""
    if type(number) is not cupy.ndarray:
        return float(number), None
    return 0.0, number.astype(dtype, copy=False)


@_register
def sgd_step(w, g, velocity, learning_rate, momentum=0.0, nesterov=False, scale=1.0):
    if not momentum:
        return _step("sgd", w, (g,), learning_rate, scale)
    if velocity is None:
        return NotImplemented
    numbers = float(momentum), int(bool(nesterov))
    return _step("momentum_sgd", w, (g, velocity), learning_rate, scale, *numbers)


@_register
def rmsprop_step(w, g, s, velocity, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7, scale=1.0):
    if s is None or (momentum and velocity is None):
        return NotImplemented
    arrays = g, s, velocity if momentum else None
    numbers = float(rho), float(momentum), float(epsilon)
    return _step("rmsprop", w, arrays, learning_rate, scale, *numbers)


@_register
def adagrad_step(w, g, s, learning_rate, epsilon=1e-7, scale=1.0):
    if s is None:
        return NotImplemented
    return _step("adagrad", w, (g, s), learning_rate, scale, float(epsilon))


def _adam(w, g, m, v, step, rate, beta_1, beta_2, epsilon, decay, scale):
    if m is None or v is None:
        return NotImplemented
    numbers = *_at(step, "float64"), float(beta_1), float(beta_2), float(epsilon), float(decay)
    return _step("adam", w, (g, m, v), rate, scale, *numbers)


@_register
def adam_step(w, g, m, v, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, scale=1.0):
    return _adam(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, 0.0, scale)


@_register
def adamw_step(
    w,
    g,
    m,
    v,
    step,
    learning_rate,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    weight_decay=0.004,
    scale=1.0,
):
    return _adam(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, weight_decay, scale)
