"""Penalties on the size of weights or activities.

Sources: Krogh and Hertz 1992, "A simple weight decay can improve generalization" (L2);
Tibshirani 1996, "Regression shrinkage and selection via the lasso" (L1).
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import check_shapes


class L1PenaltyCache(NamedTuple):
    w: Array  # (...)
    strength: float


@primitive
def l1_penalty_forward(w, strength):
    """loss = strength * sum |w|."""
    check_shapes("l1_penalty_forward", "w: ...", w)
    xp = get_array_module(w)
    loss = strength * xp.abs(w).sum()  # (1)
    return loss, L1PenaltyCache(w, strength)


@primitive
def l1_penalty_backward(dloss, cache: L1PenaltyCache):
    """dw = dloss * strength * sign(w): at the kink w = 0 the subgradient 0."""
    xp = get_array_module(cache.w)
    dw = (dloss * cache.strength) * xp.sign(cache.w)  # (1) was loss = strength sum |w|
    return dw


class L2PenaltyCache(NamedTuple):
    w: Array  # (...)
    strength: float


@primitive
def l2_penalty_forward(w, strength):
    """loss = strength * sum w^2 (Keras's definition, without a half)."""
    check_shapes("l2_penalty_forward", "w: ...", w)
    loss = strength * (w * w).sum()  # (1)
    return loss, L2PenaltyCache(w, strength)


@primitive
def l2_penalty_backward(dloss, cache: L2PenaltyCache):
    """dw = dloss * strength * 2 w."""
    dw = (2 * dloss * cache.strength) * cache.w  # (1) was loss = strength sum w^2
    return dw
