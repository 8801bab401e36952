"""Positions: attention sees a set; where a word stands has to be said to it.

Three ways: waves of many lengths, added to the embeddings (``sinusoidal_positions``, which learns
nothing); a learned vector for each place, added (``add_positions``); or queries and keys turned by
an angle that grows with the place, so that their product depends on how far they are apart
(``rotary``).

Sources: Vaswani et al. 2017, "Attention is all you need", section 3.5; Gehring et al. 2017,
"Convolutional sequence to sequence learning", section 3.1 (learned); Su et al. 2021, "RoFormer:
enhanced transformer with rotary position embedding", eq. 34.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# ------------------------------------------------------------------------------------- sinusoidal


def sinusoidal_positions(n_places, n_features, dtype="float32", base=10000.0):
    """(T, D) waves: sin(t / base^(2i/D)) for feature 2i, cos of the same for feature 2i + 1.

    The wave of the first two features is 2 pi places long, that of the last nearly 2 pi base. A
    shift by s places turns each pair by a fixed angle: what is s places away is a linear function.

    Examples
    --------
    >>> np.round(sinusoidal_positions(2, 4), 2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    i = np.arange(n_features) // 2
    angles = np.arange(n_places)[:, None] / base ** (2 * i / n_features)
    return np.where(np.arange(n_features) % 2 == 0, np.sin(angles), np.cos(angles)).astype(dtype)


# ---------------------------------------------------------------------------------------- learned


class AddPositionsCache(NamedTuple):
    x: Form  # (..., T, D)
    P: Form  # (L, D)
    start: int


@primitive
def add_positions_forward(x, P, start=0):
    """y_t = x_t + P_(start + t).

    Parameters
    ----------
    x : array (..., T, D)
    P : array (L, D)
        A vector for each place; L is the longest context.
    start : int
        The place of x's first step.

    Returns
    -------
    y : array (..., T, D), of x's dtype
    cache : AddPositionsCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or more places than P has.

    Examples
    --------
    >>> P = np.array([[1.0], [2.0], [3.0]])
    >>> y, cache = add_positions_forward(np.zeros((1, 2, 1)), P, start=1)
    >>> y.ravel()
    array([2., 3.])
    """
    check_shapes("add_positions_forward", "x: ... T D, P: L D", x, P)
    T, L = x.shape[-2], P.shape[0]
    if not 0 <= start <= L - T:
        raise ValueError(
            f"add_positions_forward: x has places {start} to {start + T - 1}, and P is for 0 to "
            f"{L - 1}: the sequence is longer than the context"
        )
    y = x + P[start : start + T]  # (1)
    return y, AddPositionsCache(Form(x.shape, x.dtype), Form(P.shape, P.dtype), start)


@primitive
def add_positions_backward(dy, cache: AddPositionsCache):
    """dx = dy; dP_(start + t) = the sum of dy_t over all samples, and 0 where nobody stood.

    Returns
    -------
    dx (..., T, D), dP (L, D)
    """
    x, P, start = cache
    check_shapes("add_positions_backward", "x: ..., dy: ...", x, dy)
    xp, (T, D), L = get_array_module(dy), dy.shape[-2:], P.shape[0]
    dx = dy.copy()  # (1) was y = x + P
    used = dy.reshape((-1, T, D)).sum(axis=0)  # (1)
    rest = L - start - T
    dP = xp.concatenate(
        [xp.zeros((start, D), dtype=dy.dtype), used, xp.zeros((rest, D), dtype=dy.dtype)]
    )
    return dx, dP


# ----------------------------------------------------------------------------------------- rotary


class RotaryCache(NamedTuple):
    c: Array  # (T, D / 2)  cosines
    s: Array  # (T, D / 2)  sines


@primitive
def rotary_forward(x, start=0, base=10000.0):
    """Each pair (x_i, x_(i + D/2)) is turned by the angle (start + t) / base^(2i/D).

        y_i         = x_i cos - x_(i + D/2) sin
        y_(i + D/2) = x_i sin + x_(i + D/2) cos

    The product of a query turned by t and a key turned by u is that of the query and the key
    turned by u - t: it knows how far they are apart, and not where. (The pairs are halves, as in
    GPT-NeoX and LLaMA, where the paper has neighbours: another order of the same features.)

    Parameters
    ----------
    x : array (..., T, D)
        Queries, or keys; D is even.
    start : int
        The place of x's first step.
    base : float

    Returns
    -------
    y : array (..., T, D), of x's dtype
    cache : RotaryCache

    Examples
    --------
    >>> y, cache = rotary_forward(np.ones((1, 3, 4)))
    >>> np.allclose((y * y).sum(axis=-1), 4)  # turned, not stretched
    True
    """
    check_shapes("rotary_forward", "x: ... T D", x)
    T, D = x.shape[-2:]
    if D % 2:
        raise ValueError(f"rotary_forward: x has {D} features, expected an even number: pairs")
    xp = get_array_module(x)
    angles = xp.arange(start, start + T).reshape((T, 1)) / base ** (xp.arange(0, D, 2) / D)
    c, s = xp.cos(angles).astype(x.dtype), xp.sin(angles).astype(x.dtype)
    a, b = x[..., : D // 2], x[..., D // 2 :]
    y = xp.concatenate([a * c - b * s, a * s + b * c], axis=-1)  # (1)
    return y, RotaryCache(c, s)


@primitive
def rotary_backward(dy, cache: RotaryCache):
    """dx = dy turned back: a rotation is undone by its transpose, and that is its inverse."""
    c, s = cache
    check_shapes("rotary_backward", "c: T H, dy: ... T D", c, dy)
    xp, half = get_array_module(dy), c.shape[-1]
    u, v = dy[..., :half], dy[..., half:]
    dx = xp.concatenate([u * c + v * s, v * c - u * s], axis=-1)  # (1) was y = x, turned
    return dx
