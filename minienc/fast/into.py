"""Second entries in plain array code: what a backward computes, put where it belongs.

``X_backward_into(dy, cache, into, write, need_dx)`` writes or adds the gradients behind dx to the
arrays of ``into`` (None: nobody wants them) and returns dx (None where it is not needed), as
``Primitive.into`` says. So the first layer of a network computes no dx, and one that is only passed
through no dW. The dense layer's may be a kernel's; a convolution's is made of it.
"""

from __future__ import annotations

from minienc.functions.activations import get_activation
from minienc.functions.attention import attention_backward
from minienc.functions.convolution import (
    Conv2DCache,
    Conv2DTransposeCache,
    patches_backward,
    patches_forward,
)
from minienc.functions.dense import DenseCache, as_rows, dense_backward
from minienc.functions.merging import add_forward
from minienc.functions.multi_head_attention import (
    MultiHeadAttentionCache,
    _by_heads,
    _side_by_side,
)
from minienc.functions.positions import rotary_backward
from minienc.functions.rms_normalization import rms_normalization_backward
from minienc.primitive import register_fast


def put(into, gradients, write):
    """Write or add each gradient to its array, where there is one."""
    for total, gradient in zip(into, gradients, strict=True):
        if total is not None and write:
            total[...] = gradient
        elif total is not None:
            total += gradient


@register_fast
def dense_backward_into(dy, cache: DenseCache, into, write, need_dx):
    x, W, has_bias, activation, f = cache
    dz = get_activation(activation).backward(dy, f)
    dx = dz @ W.T if need_dx else None
    if into is not None:
        x, dz = as_rows(x), as_rows(dz)
        put(into, (x.T @ dz, dz.sum(axis=0) if has_bias else None), write)
    return dx


@register_fast
def conv2d_backward_into(dy, cache: Conv2DCache, into, write, need_dx):
    patches, dense = cache.patches, cache.dense
    places = (patches.shape[0], *patches.windows.n)
    if dy.shape != (*places, cache.kernel_shape[-1]):
        return NotImplemented  # the definition says what is wrong
    if into is not None:
        dW, db = into
        dK = None if dW is None else _as_matrix(dW, dense.W.shape)
        if dW is not None and dK is None:
            return NotImplemented
        into = dK, db
    dP = dense_backward.into(as_rows(dy), dense, into, write, need_dx)
    if dP is None or dP is NotImplemented:
        return dP
    return patches_backward(dP.reshape(*places, dP.shape[-1]), patches)


@register_fast
def conv2d_transpose_backward_into(dy, cache: Conv2DTransposeCache, into, write, need_dx):
    dense, windows = cache.dense, cache.windows
    n_columns, n_rows = dense.W.shape  # of K', which is what the dense layer saw
    dK = db = None
    if into is not None:
        dW, db = into
        dK = None if dW is None else _as_matrix(dW, (n_rows, n_columns))
        if dW is not None and dK is None:
            return NotImplemented
    dz = get_activation(cache.activation).backward(dy, cache.f)
    dseen, _ = patches_forward(dz, windows.size, windows.strides, cache.padding)
    of_dense = None if dK is None else (dK.T, None)
    dP = as_rows(dseen)
    drows = dense_backward.into(dP, dense, of_dense, write, need_dx)
    if drows is NotImplemented:
        return NotImplemented
    if db is not None:
        put((db,), (dz.sum(axis=(0, 1, 2)),), write)
    return None if drows is None else drows.reshape(cache.shape)


@register_fast
def multi_head_attention_backward_into(dy, cache: MultiHeadAttentionCache, into, write, need_dx):
    of_q, of_k, of_v, normed, turned, of_a, of_o, num_heads, is_self = cache
    Wq, Wk, Wv, Wo, bq, bk, bv, bo = (None,) * 8 if into is None else into
    places = [None if into is None else pair for pair in ((Wq, bq), (Wk, bk), (Wv, bv), (Wo, bo))]
    da = dense_backward.into(dy, of_o, places[3], write, True)
    if da is NotImplemented:
        return NotImplemented
    dq, dk, dv = attention_backward(_by_heads(da, num_heads), of_a)
    if turned is not None:
        dk, dq = rotary_backward(dk, turned[1]), rotary_backward(dq, turned[0])
    if normed is not None:
        dk, _ = rms_normalization_backward(dk, normed[1])
        dq, _ = rms_normalization_backward(dq, normed[0])
    through_v, through_k, dx = (
        dense_backward.into(_side_by_side(d), of, place, write, need_dx)
        for d, of, place in zip((dv, dk, dq), (of_v, of_k, of_q), places[2::-1], strict=True)
    )
    if not need_dx:
        return None
    dcontext, _ = add_forward(through_v, through_k)
    return (add_forward(dx, dcontext)[0], None) if is_self else (dx, dcontext)


def _as_matrix(dW, shape):
    """A kernel's gradient as a matrix in the same memory; None where it does not lie in one."""
    return dW.reshape(shape) if dW.flags.c_contiguous else None
