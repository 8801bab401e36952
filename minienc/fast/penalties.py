"""Penalties, on the compiled kernel: their sums, and what they pull with."""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.fast.pointwise import is_number
from minienc.functions.penalties import L1PenaltyCache, L2PenaltyCache
from minienc.functions.sparsity import KLSparsityCache
from minienc.primitive import register_fast
from minienc.shapes import Form


def _penalty(cache_type, w, strength, weighted):
    """(loss, cache) of the sum of w times w, weighted; declined where there is no such array."""
    loss = None if weighted is None else _kernels.sum_of_products(w, weighted)
    if loss is None:
        return NotImplemented
    return loss, cache_type(w, strength, Form(loss.shape, loss.dtype))


@register_fast
def l1_penalty_forward(w, strength):
    strength = float(strength)
    return _penalty(L1PenaltyCache, w, strength, _kernels.signs(strength, w))


@register_fast
def l1_penalty_backward(dloss, cache: L1PenaltyCache):
    w, strength, loss = cache
    dw = _kernels.signs(float(dloss) * strength, w) if is_number(dloss, loss) else None
    return NotImplemented if dw is None else dw


@register_fast
def l2_penalty_forward(w, strength):
    strength = float(strength)
    return _penalty(L2PenaltyCache, w, strength, _kernels.scaled(w, strength))


@register_fast
def l2_penalty_backward(dloss, cache: L2PenaltyCache):
    w, strength, loss = cache
    dw = _kernels.scaled(w, 2 * float(dloss) * strength) if is_number(dloss, loss) else None
    return NotImplemented if dw is None else dw


@register_fast
def kl_sparsity_forward(h, target, strength):
    if not (isinstance(target, (float, int)) and 0 < target < 1):
        return NotImplemented  # the definition says what is wrong with it
    result = _kernels.sparsity_forward(h, target)
    if result is None:
        return NotImplemented
    (mean, terms), strength = result, float(strength)
    loss = _kernels.sum_of_products(terms, _kernels.filled(terms, strength))
    form = Form(loss.shape, loss.dtype)
    return loss, KLSparsityCache(Form(h.shape, h.dtype), mean, float(target), strength, form)


@register_fast
def kl_sparsity_backward(dloss, cache: KLSparsityCache):
    h, mean, target, strength, loss = cache
    if not is_number(dloss, loss) or type(mean) is not np.ndarray:
        return NotImplemented
    dh = _kernels.sparsity_backward(mean, h.shape[0], target, float(dloss) * strength)
    return NotImplemented if dh is None else dh
