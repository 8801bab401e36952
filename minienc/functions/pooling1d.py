"""Pooling over time: one vector for a whole sequence, the mean or the largest of what counts.

``lengths`` says how many steps of each sequence count; what stands behind them takes no part.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.masking import counted_steps
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class GlobalAveragePooling1DCache(NamedTuple):
    share: Array  # (N, T, 1)  1 / length where the step counts, else 0
    x: Form  # (N, T, C)


@primitive(constants=("lengths",))
def global_average_pooling1d_forward(x, lengths=None):
    """y_nc = the mean of x_ntc over the steps that count; 0 where none does.

    Parameters
    ----------
    x : array (N, T, C)
    lengths : array (N,) of integers, 0 to T, or None
        None: all steps count.

    Returns
    -------
    y : array (N, C), of x's dtype
    cache : GlobalAveragePooling1DCache

    Examples
    --------
    >>> x = np.array([[[1.0], [3.0], [9.0]]])
    >>> y, cache = global_average_pooling1d_forward(x, np.array([2]))
    >>> y  # the third step does not count
    array([[2.]])
    """
    counts = counted_steps("global_average_pooling1d_forward", x, lengths)
    total = counts.sum(axis=1, keepdims=True)
    share = counts / get_array_module(x).maximum(total, 1)
    y = (x * share).sum(axis=1)  # (1)
    return y, GlobalAveragePooling1DCache(share, Form(x.shape, x.dtype))


@primitive
def global_average_pooling1d_backward(dy, cache: GlobalAveragePooling1DCache):
    """dx_ntc = dy_nc / length, to every step that counts."""
    share, x = cache
    check_shapes("global_average_pooling1d_backward", "x: N T C, dy: N C", x, dy)
    dx = share * dy[:, None]  # (1) was y = sum x share
    return dx


class GlobalMaxPooling1DCache(NamedTuple):
    which: Array  # (N, C) integers: the step of the maximum
    counts: Array  # (N, T, 1)
    x: Form  # (N, T, C)


@primitive(constants=("lengths",))
def global_max_pooling1d_forward(x, lengths=None):
    """y_nc = the largest x_ntc of the steps that count; 0 where none does.

    Of several that are equal, the first is taken.

    Parameters
    ----------
    x : array (N, T, C)
    lengths : array (N,) of integers, 0 to T, or None
        None: all steps count.

    Returns
    -------
    y : array (N, C), of x's dtype
    cache : GlobalMaxPooling1DCache

    Examples
    --------
    >>> x = np.array([[[1.0], [3.0], [9.0]]])
    >>> y, cache = global_max_pooling1d_forward(x, np.array([2]))
    >>> y  # the third step does not count
    array([[3.]])
    """
    name = "global_max_pooling1d_forward"
    counts = counted_steps(name, x, lengths)
    if x.shape[1] == 0:
        raise ValueError(f"{name}: x is {tuple(x.shape)}, expected at least one step")
    xp = get_array_module(x)
    held = xp.where(counts > 0, x, xp.full_like(x, -float("inf")))
    which = held.argmax(axis=1)
    y = xp.take_along_axis(x * counts, which[:, None], axis=1)[:, 0]  # (1)
    return y, GlobalMaxPooling1DCache(which, counts, Form(x.shape, x.dtype))


@primitive
def global_max_pooling1d_backward(dy, cache: GlobalMaxPooling1DCache):
    """dx = dy at the step of the maximum, 0 elsewhere."""
    which, counts, x = cache
    check_shapes("global_max_pooling1d_backward", "x: N T C, dy: N C", x, dy)
    steps = get_array_module(dy).arange(x.shape[1]).reshape((-1, 1))
    dx = dy[:, None] * (steps == which[:, None]) * counts  # (1) was y = x at the maximum
    return dx
