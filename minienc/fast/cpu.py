"""The dense layer on the compiled kernel: bias, activation and its slope inside the products.

What a forward here puts into its cache is what the definition puts there, so that either's
backward can follow either's forward.
"""

from __future__ import annotations

from minienc import _kernels
from minienc.functions import activations as f
from minienc.functions.dense import DenseCache
from minienc.primitive import accumulate, register_fast

_CODES = _kernels.activation_codes
_IDENTITY = _CODES["identity"]
_LEAKY_RELU = _CODES["leaky_relu"]
_ELU = _CODES["elu"]
_GELU = _CODES["gelu"]

# name -> (code, the parameter of an activation that has one, the cache that its forward returns).
# A dense layer calls the activation by its name alone, so the parameter has its default.
# softmax is not here: it needs whole rows, and a tile of the product holds a part of some.
_FUSED = {
    "identity": (_IDENTITY, 0.0, f.CACHE_OF_OUTPUT["identity"]),
    "linear": (_IDENTITY, 0.0, f.CACHE_OF_OUTPUT["linear"]),
    None: (_IDENTITY, 0.0, f.CACHE_OF_OUTPUT["linear"]),
    "relu": (_CODES["relu"], 0.0, f.ReluCache),
    "leaky_relu": (_LEAKY_RELU, f.NEGATIVE_SLOPE, f.CACHE_OF_OUTPUT["leaky_relu"]),
    "elu": (_ELU, f.ALPHA, f.CACHE_OF_OUTPUT["elu"]),
    "sigmoid": (_CODES["sigmoid"], 0.0, f.SigmoidCache),
    "tanh": (_CODES["tanh"], 0.0, f.TanhCache),
    "softplus": (_CODES["softplus"], 0.0, f.SoftplusCache),
    "gelu": (_GELU, 0.0, None),
}


@register_fast
def dense_forward(x, W, b=None, activation="identity"):
    """``functions.dense.dense_forward``, for NumPy's float32 and float64."""
    try:
        code, alpha, activation_cache = _FUSED[activation]
    except (KeyError, TypeError):  # not fused, or no name at all: the definition says which
        return NotImplemented
    y = _kernels.dense_forward(x, W, b, code, alpha)
    if y is None:
        return NotImplemented
    if code == _GELU:
        y, z, t = y
        cache = f.GeluCache(z, t)
    else:
        cache = activation_cache(y)
    return y, DenseCache(x, W, b is not None, activation, cache)


@register_fast
def dense_backward(dy, cache: DenseCache, add_to=None, need_dx=True, need_dW=True, write=False):
    """``functions.dense.dense_backward``, for NumPy's float32 and float64."""
    x, W, has_bias, activation, kept = cache
    try:
        code, alpha, _ = _FUSED[activation]
    except (KeyError, TypeError):
        return NotImplemented
    if code in (_LEAKY_RELU, _ELU):
        alpha = kept[1]
    elif code == _IDENTITY and dy is not None and dy.shape != kept[0].shape:
        return NotImplemented  # the definition says so
    y, t = dy if code == _IDENTITY else kept[0], kept[1] if code == _GELU else None
    dW, db = (None, None) if add_to is None else add_to
    result = _kernels.dense_backward(
        dy, x, W, has_bias, code, alpha, y, t, dW, db, need_dx, need_dW, write
    )
    if result is None:
        return NotImplemented
    dx, dW, db, added = result
    if add_to is None or not need_dW:
        return dx, dW, db
    return dx, *(add_to if added else accumulate(add_to, dW, db, write=write))
