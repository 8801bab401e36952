"""Convolution along time: at each step a dense layer over the K steps that the kernel sees.

    y_t = f(b + sum_k x_(t + k dilation) W_k)

With "causal" padding all of them are at t or before it, so that y_t can be asked for x_(t+1).
Dilation leaves gaps: a stack of layers with dilations 1, 2, 4, ... sees 2^n steps.

Sources: Waibel et al. 1989, "Phoneme recognition using time-delay neural networks"; van den Oord et
al. 2016, "WaveNet: a generative model for raw audio", section 2.1 (causal, dilated).
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import get_array_module
from minienc.functions.activations import get_activation
from minienc.functions.dense import DenseCache, dense_backward, dense_forward
from minienc.functions.windows import add_at
from minienc.primitive import primitive
from minienc.shapes import check_shapes, is_whole


class Conv1DCache(NamedTuple):
    dense: DenseCache  # its x is P (N, OT, K C)
    kernel_shape: tuple[int, int, int]  # (K, C, M)
    steps: tuple[slice, ...]  # for each k, which steps of the padded x the kernel's k-th part sees
    before: int  # zeros in front of x
    padded: int  # steps of the padded x
    T: int
    activation: str
    f: NamedTuple  # the activation's own cache: y (N, OT, M) for most


@primitive
def conv1d_forward(
    x, W, b=None, strides=1, padding="valid", dilation_rate=1, activation="identity"
):
    """y_ntm = f(b_m + sum_kc x_n,(t s + k d - before),c W_kcm): a dense layer over K steps.

    Parameters
    ----------
    x : array (N, T, C)
    W : array (K, C, M)
        M kernels over K steps of C channels.
    b : array (M,) or None
    strides : int
        How far the kernel moves from one y to the next.
    padding : {"valid", "same", "causal"}
        No zeros around x; as many as give ceil(T / strides) steps, on both sides; all in front.
    dilation_rate : int
        How far the kernel's parts are apart.
    activation : str
        A name of ``activations.ACTIVATIONS``.

    Returns
    -------
    y : array (N, OT, M), of x's dtype
    cache : Conv1DCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or a kernel that reaches further than x is long.

    Examples
    --------
    >>> x, W = np.array([[[1.0], [2.0], [4.0]]]), np.array([[[-1.0]], [[1.0]]])
    >>> y, cache = conv1d_forward(x, W)  # differences of neighbours
    >>> y
    array([[[1.],
            [2.]]])
    >>> dx, dW, db = conv1d_backward(np.ones_like(y), cache)
    >>> dx.ravel()
    array([-1.,  0.,  1.])
    """
    check_shapes("conv1d_forward", "x: N T C, W: K C M, b: M", x, W, b)
    f_forward, (K, C, M) = get_activation(activation), W.shape
    steps, before, padded = place_kernel(x.shape[1], K, strides, padding, dilation_rate)
    x_padded = _with_zeros(x, before, padded - before - x.shape[1])  # (1)
    P = get_array_module(x).concatenate([x_padded[:, part] for part in steps], axis=-1)  # (2)
    z, dense = dense_forward(P, W.reshape((K * C, M)), b)  # (3)
    y, f = f_forward(z)  # (4)
    return y, Conv1DCache(dense, W.shape, steps, before, padded, x.shape[1], activation, f)


@primitive
def conv1d_backward(dy, cache: Conv1DCache):
    """The dense layer's gradients; then dP is laid back: a step that several windows saw receives
    the sum.

    Returns
    -------
    dx (N, T, C), dW (K, C, M), db (M,)
        db is None where there was no b.
    """
    dense, kernel_shape, steps, before, padded, T, activation, f = cache
    dz = get_activation(activation).backward(dy, f)  # (4) was y = f(z)
    dP, dW, db = dense_backward(dz, dense)  # (3) was z = P W + b
    C = kernel_shape[1]
    dx_padded = get_array_module(dy).zeros((len(dy), padded, C), dtype=dy.dtype)
    for k, part in enumerate(steps):
        seen = dP[..., k * C : (k + 1) * C]
        dx_padded = add_at(dx_padded, (slice(None), part), seen)  # (2) was P = x_padded, seen
    dx = dx_padded[:, before : before + T].copy()  # (1) was x_padded = x between zeros
    return dx, dW.reshape(kernel_shape), db


def place_kernel(T, K, strides, padding, dilation_rate):
    """(which steps each part of the kernel sees, zeros in front, steps with the zeros)."""
    for name, value in (("strides", strides), ("dilation_rate", dilation_rate)):
        if not is_whole(value, 1):
            raise ValueError(f"conv1d_forward: {name} is {value!r}, expected a positive integer")
    reach = (K - 1) * dilation_rate + 1
    if padding == "valid":
        before = after = 0
    elif padding == "causal":
        before, after = reach - 1, 0
    elif padding == "same":
        missing = max((-(-T // strides) - 1) * strides + reach - T, 0)
        before, after = missing // 2, missing - missing // 2
    else:
        raise ValueError(
            f"conv1d_forward: padding is {padding!r}, expected 'valid', 'same' or 'causal'"
        )
    padded = before + T + after
    if padded < reach:
        raise ValueError(
            f"conv1d_forward: the kernel reaches over {reach} steps, and x has {T}; pad it with "
            f'padding="same" or "causal"'
        )
    last = (padded - reach) // strides * strides
    starts = range(0, K * dilation_rate, dilation_rate)
    return tuple(slice(s, s + last + 1, strides) for s in starts), before, padded


def _with_zeros(x, before, after):
    xp, (N, _, C) = get_array_module(x), x.shape
    if before == after == 0:
        return x
    zeros = [xp.zeros((N, n, C), dtype=x.dtype) for n in (before, after)]
    return xp.concatenate([zeros[0], x, zeros[1]], axis=1)
