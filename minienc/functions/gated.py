"""Gated units: half of the features decide how much of the other half goes on."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import sigmoid
from minienc.primitive import primitive
from minienc.shapes import check_shapes


class SwigluCache(NamedTuple):
    a: Array  # (..., D / 2)
    b: Array  # (..., D / 2)
    s: Array  # (..., D / 2)  sigmoid(a)


@primitive
def swiglu_forward(x):
    """y = a sigmoid(a) b, where a and b are the first and the second half of x.

    Parameters
    ----------
    x : array (..., D)
        D is even.

    Returns
    -------
    y : array (..., D / 2), of x's dtype
    cache : SwigluCache

    Notes
    -----
    Source: Shazeer 2020, "GLU variants improve transformer", eq. 5 (both products are one here).

    Examples
    --------
    >>> y, cache = swiglu_forward(np.array([[0.0, 1.0, 2.0, 3.0]]))
    >>> y.shape
    (1, 2)
    """
    check_shapes("swiglu_forward", "x: ... D", x)
    half, odd = divmod(x.shape[-1], 2)
    if odd:
        raise ValueError(f"swiglu_forward: x has {x.shape[-1]} features, expected an even number")
    a, b = x[..., :half], x[..., half:]
    s = sigmoid(a)  # (1)
    y = a * s * b  # (2)
    return y, SwigluCache(a, b, s)


@primitive
def swiglu_backward(dy, cache: SwigluCache):
    """db = dy a s;  da = dy b (s + a s (1 - s)), for a enters directly and through s."""
    a, b, s = cache
    check_shapes("swiglu_backward", "y: ..., dy: ...", s, dy)
    db = dy * a * s  # (2) was y = a s b
    da = dy * b * (s + a * s * (1 - s))  # (1, 2) was s = sigmoid(a)
    dx = get_array_module(dy).concatenate([da, db], axis=-1)
    return dx
