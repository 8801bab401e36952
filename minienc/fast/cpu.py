"""The dense layer on the compiled kernel: bias, activation and its slope inside the products.

What a forward here puts into its cache is what the definition puts there, so that either's
backward can follow either's forward.
"""

from __future__ import annotations

from minienc import _kernels
from minienc.fast import into as plain
from minienc.fast.fused import NAMES, fused, fused_activations
from minienc.functions import activations as f
from minienc.functions.dense import DenseCache
from minienc.primitive import register_fast

_CODES = _kernels.activation_codes
_FUSED = fused_activations(_CODES)
_WITH_PARAMETER = _CODES["leaky_relu"], _CODES["elu"]
_IDENTITY, _GELU = _CODES["identity"], _CODES["gelu"]

_new = tuple.__new__  # what a NamedTuple's constructor calls: 0.1 us less of a small layer's 2.5


@register_fast
def dense_forward(x, W, b=None, activation="identity"):
    """``functions.dense.dense_forward``, for NumPy's float32 and float64."""
    found = fused(_FUSED, activation)
    if found is None:
        return _activated_behind(x, W, b, activation)
    code, alpha, activation_cache = found
    y = _kernels.dense_forward(x, W, b, code, alpha)
    if y is None:
        return NotImplemented
    if code == _GELU:
        y, z = y
        cache = f.GeluCache(z)
    else:
        cache = activation_cache(y)
    return y, _new(DenseCache, (x, W, b is not None, activation, cache))


def _activated_behind(x, W, b, activation):
    """The product and the bias here; behind them an activation that is not the kernel's."""
    pair = _not_the_kernels(activation)
    z = None if pair is None else _kernels.dense_forward(x, W, b, _IDENTITY, 0.0)
    if z is None:
        return NotImplemented
    y, cache = pair(z)
    return y, DenseCache(x, W, b is not None, activation, cache)


def _not_the_kernels(activation):
    """The activation by a name that no kernel has; None for all others, edited ones among them."""
    pair = f.ACTIVATIONS.get(activation) if isinstance(activation, str) else None
    return None if pair is None or activation in NAMES or pair.runs_as_written else pair


@register_fast
def dense_backward(dy, cache: DenseCache):
    """``functions.dense.dense_backward``, for NumPy's float32 and float64."""
    result = _backward(dy, cache, None, None, True, True, False)
    return NotImplemented if result is None else result[:3]


@register_fast
def dense_backward_into(dy, cache: DenseCache, into, write, need_dx):
    """Its second entry: dW and db are added where they lie, or written there."""
    dW, db = (None, None) if into is None else into
    result = _backward(dy, cache, dW, db, need_dx, into is not None, write)
    if result is None:
        _kernels.decline(b"a dense layer's gradient is not the kernel's")
        return plain.dense_backward_into(dy, cache, into, write, need_dx)
    dx, dW, db, is_done = result
    if into is not None and not is_done:
        _kernels.decline(b"a dense layer's gradient lies where the kernel does not add")
        plain.put(into, (dW, db), write)
    return dx


def _backward(dy, cache, dW, db, need_dx, need_dW, write):
    x, W, has_bias, activation, kept = cache
    found = fused(_FUSED, activation)
    if found is None:
        if _not_the_kernels(activation) is None:
            return None
        dz = f.get_activation(activation).backward(dy, kept)
        return _kernels.dense_backward(
            dz, x, W, has_bias, _IDENTITY, 0.0, dz, dW, db, need_dx, need_dW, write
        )
    code, alpha, _ = found
    if code in _WITH_PARAMETER:
        alpha = kept[1]
    elif code == _IDENTITY and getattr(dy, "shape", None) != kept[0].shape:
        return None  # the definition says so
    y = dy if code == _IDENTITY else kept[0]
    return _kernels.dense_backward(
        dy, x, W, has_bias, code, alpha, y, dW, db, need_dx, need_dW, write
    )
