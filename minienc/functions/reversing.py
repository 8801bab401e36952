"""Sequences read from their ends: what the second direction of a bidirectional network is given."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class ReverseCache(NamedTuple):
    places: Array  # (N, T) integers: which step of x stands at each step of y
    x: Form  # (N, T, D)


@primitive(constants=("lengths",))
def reverse_forward(x, lengths=None):
    """y_t = x_(L - 1 - t) for the L steps that count; what stands behind them stays there.

    Parameters
    ----------
    x : array (N, T, D)
    lengths : array (N,) of integers, 0 to T, or None
        None: all T steps count.

    Returns
    -------
    y : array (N, T, D), of x's dtype
    cache : ReverseCache

    Notes
    -----
    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks".

    Examples
    --------
    >>> y, cache = reverse_forward(np.array([[[1.0], [2.0], [0.0]]]), np.array([2]))
    >>> y.ravel()  # what is behind the end stays there
    array([2., 1., 0.])
    """
    check_shapes("reverse_forward", "x: N T D, lengths: N int <= T", x, lengths)
    xp, (N, T, _) = get_array_module(x), x.shape
    t = xp.arange(T)
    ends = xp.full((N, 1), T) if lengths is None else lengths.reshape((N, 1))
    places = xp.where(t < ends, ends - 1 - t, t)
    y = x[xp.arange(N)[:, None], places]  # (1)
    return y, ReverseCache(places, Form(x.shape, x.dtype))


@primitive
def reverse_backward(dy, cache: ReverseCache):
    """dx is dy reversed: what is turned round twice is as it was."""
    places, x = cache
    check_shapes("reverse_backward", "x: ..., dy: ...", x, dy)
    rows = get_array_module(dy).arange(len(places))[:, None]
    dx = dy[rows, places]  # (1) was y = x at the places
    return dx
