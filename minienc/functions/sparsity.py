"""Sparse codes: few units at work at a time, because a penalty or a rule says so."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.losses import EPSILON
from minienc.functions.means import mean_of_rows
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# -------------------------------------------------------------------------------------- KL sparsity


class KLSparsityCache(NamedTuple):
    h: Form  # (N, K)
    mean: Array  # (K,)  of each unit, over the samples
    target: float
    strength: float
    loss: Form  # ()


@primitive
def kl_sparsity_forward(h, target, strength):
    """loss = strength sum_k KL(r || m_k), m_k = 1/N sum_i h_ik: each unit works r of the time.

    KL(r || m) = r log(r / m) + (1 - r) log((1 - r) / (1 - m)) is what two coins differ by that fall
    with probability r and m. It is 0 at m = r and grows without bound toward a unit that never
    works, or always. m is held in [1e-7, 1 - 1e-7].

    Parameters
    ----------
    h : array (N, K)
        Activities in [0, 1], such as those of a sigmoid.
    target : float
        r, in (0, 1).
    strength : float

    Source: Ng 2011, "Sparse autoencoder" (CS294A lecture notes), section 3; Lee, Ekanadham and Ng
    2008 have the squared difference in place of KL.

    Examples
    --------
    >>> penalty, cache = kl_sparsity_forward(np.array([[0.1, 0.5]]), target=0.1, strength=1.0)
    >>> round(float(penalty), 3)  # of the second unit alone
    0.368
    """
    check_shapes("kl_sparsity_forward", "h: N K", h)
    if not 0 < target < 1:
        raise ValueError(f"kl_sparsity_forward: target is {target}, expected a number in (0, 1)")
    xp = get_array_module(h)
    r, strength = float(target), float(strength)
    mean = mean_of_rows(h)  # (1)
    m = xp.clip(mean, EPSILON, 1 - EPSILON)
    terms = r * xp.log(r / m) + (1 - r) * xp.log((1 - r) / (1 - m))  # (2)
    loss = strength * terms.sum()  # (3)
    cache = KLSparsityCache(Form(h.shape, h.dtype), mean, r, strength, Form(loss.shape, loss.dtype))
    return loss, cache


@primitive
def kl_sparsity_backward(dloss, cache: KLSparsityCache):
    """dh_ik = dloss strength / N (-r / m_k + (1 - r) / (1 - m_k)).

    The same for every sample: what a unit did on one counts for what it may do on the others. Where
    m was held, the gradient is that of where it was held: a dead unit is still pulled up.
    """
    h, mean, r, strength, loss = cache
    check_shapes("kl_sparsity_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(mean)
    m = xp.clip(mean, EPSILON, 1 - EPSILON)
    dterms = dloss * strength  # (3) was loss = strength sum terms
    dmean = dterms * ((1 - r) / (1 - m) - r / m)  # (2) was r log(r / m) + ...
    dh = xp.zeros(h.shape, dtype=h.dtype) + dmean / max(h.shape[0], 1)  # (1) was mean = sum h / N
    return dh


# ---------------------------------------------------------------------------------------- k-sparse


class KSparseCache(NamedTuple):
    mask: Array  # (N, K)  1 where h was kept
    y: Form  # (N, K)


@primitive
def k_sparse_forward(h, k):
    """y_ij = h_ij where it is among the k largest of its row, else 0.

    Of numbers that are level with the k-th, those that stand first are kept.

    Source: Makhzani and Frey 2014, "k-sparse autoencoders", section 2.1.

    Examples
    --------
    >>> y, cache = k_sparse_forward(np.array([[3.0, 1.0, 2.0]]), 2)
    >>> y
    array([[3., 0., 2.]])
    """
    check_shapes("k_sparse_forward", "h: N K", h)
    if not 1 <= k <= h.shape[1]:
        raise ValueError(f"k_sparse_forward: k is {k}, expected 1 to {h.shape[1]}, the units of h")
    xp = get_array_module(h)
    least = xp.sort(h, axis=1)[:, h.shape[1] - k][:, None]  # the k-th largest of each row
    above, level = h > least, h == least
    room = k - above.sum(axis=1)[:, None]  # for how many of those that are level with it
    mask = (above | (level & (xp.cumsum(level, axis=1) <= room))).astype(h.dtype)
    y = h * mask  # (1)
    return y, KSparseCache(mask, Form(y.shape, y.dtype))


@primitive
def k_sparse_backward(dy, cache: KSparseCache):
    """dh = dy where h was kept: which ones are the largest does not change with a small step."""
    check_shapes("k_sparse_backward", "y: N K, dy: N K", cache.y, dy)
    dh = dy * cache.mask  # (1) was y = h mask
    return dh
