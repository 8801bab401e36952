"""Penalties on the size of weights or activities: a loss of w (...) alone.

The loss is a number of w's dtype; dloss has that dtype, or is a plain number.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# --------------------------------------------------------------------------------------------- L1


class L1PenaltyCache(NamedTuple):
    w: Array  # (...)
    strength: float
    loss: Form  # ()


@primitive
def l1_penalty_forward(w, strength):
    """loss = strength * sum |w|. Its pull is the same for every w, and can hold one at 0.

    Source: Tibshirani 1996, "Regression shrinkage and selection via the lasso".

    Examples
    --------
    >>> penalty, cache = l1_penalty_forward(np.array([-2.0, 3.0]), 0.1)
    >>> float(penalty), l1_penalty_backward(1.0, cache)
    (0.5, array([-0.1,  0.1]))
    """
    check_shapes("l1_penalty_forward", "w: ...", w)
    xp = get_array_module(w)
    strength = float(strength)  # a np.float64 would make float64 of float32
    loss = strength * xp.abs(w).sum()  # (1)
    return loss, L1PenaltyCache(w, strength, Form(loss.shape, loss.dtype))


@primitive
def l1_penalty_backward(dloss, cache: L1PenaltyCache):
    """dw = dloss * strength * sign(w): at the kink w = 0 the subgradient 0."""
    w, strength, loss = cache
    check_shapes("l1_penalty_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(w)
    dw = dloss * strength * xp.sign(w)  # (1) was loss = strength sum |w|
    return dw


# --------------------------------------------------------------------------------------------- L2


class L2PenaltyCache(NamedTuple):
    w: Array  # (...)
    strength: float
    loss: Form  # ()


@primitive
def l2_penalty_forward(w, strength):
    """loss = strength * sum w^2 (Keras's definition, without a half). Its pull grows with w.

    Source: Krogh and Hertz 1992, "A simple weight decay can improve generalization" (there
    with a half).

    Examples
    --------
    >>> penalty, cache = l2_penalty_forward(np.array([-2.0, 3.0]), 0.1)
    >>> round(float(penalty), 3), np.round(l2_penalty_backward(1.0, cache), 3)
    (1.3, array([-0.4,  0.6]))
    """
    check_shapes("l2_penalty_forward", "w: ...", w)
    strength = float(strength)  # a np.float64 would make float64 of float32
    loss = strength * (w * w).sum()  # (1)
    return loss, L2PenaltyCache(w, strength, Form(loss.shape, loss.dtype))


@primitive
def l2_penalty_backward(dloss, cache: L2PenaltyCache):
    """dw = dloss * strength * 2 w."""
    w, strength, loss = cache
    check_shapes("l2_penalty_backward", "loss: ..., dloss: ... number", loss, dloss)
    dw = (dloss * strength * 2) * w  # (1) was loss = strength sum w^2
    return dw
