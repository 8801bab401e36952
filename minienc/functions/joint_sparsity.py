"""The KL penalty on the mean activity of a unit, over a batch that several processes share.

Each holds some rows h_r of it. The mean is that of the joint batch, so sums over rows become sums
over the rows of all, which ``total`` makes: it puts the sum over all processes into the array that
it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.losses import EPSILON
from minienc.functions.means import mean_of_rows
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class JointKLSparsityCache(NamedTuple):
    h: Form  # (N_r, K)  of the rows that are here
    mean: Array  # (K,)  of each unit, over the joint batch
    n: Array  # (1,)  N, the rows of the joint batch
    target: float
    strength: float
    loss: Form  # ()
    total: Callable[[Array], None] | None


@primitive
def joint_kl_sparsity_forward(h, target, strength, total=None):
    """loss = strength sum_k KL(r || m_k), m_k the mean of unit k over the rows of all processes.

    KL is no mean over samples, so the penalty of a joint batch is no sum of those of its parts; m
    is one, and all the rest is a function of m:

        m_k = 1/N sum_r sum_i h_r,ik,      N = sum_r N_r

    which takes one sum of K + 1 numbers over the processes. m is held in [1e-7, 1 - 1e-7].

    Parameters
    ----------
    h : array (N_r, K)
        Activities in [0, 1], of the rows that are here.
    target : float
        r, in (0, 1).
    strength : float
        It may be another on each process; m is the same.
    total : function (array) -> None, optional
        Puts the sum over all processes into the array; without it, the rows here are all.

    Returns
    -------
    loss : number of h's dtype
    cache : JointKLSparsityCache

    Raises
    ------
    ValueError, TypeError
        For a target outside of (0, 1), and for shapes or dtypes that do not fit.

    Notes
    -----
    Source: Ng 2011, "Sparse autoencoder" (CS294A lecture notes), section 3: the mean there is over
    the whole training set.

    Examples
    --------
    >>> here = np.array([[0.2]])
    >>> def total(a):  # another process has one row, 0.4
    ...     a += np.array([0.4, 1.0])
    >>> loss, cache = joint_kl_sparsity_forward(here, 0.3, 1.0, total)
    >>> bool(loss < 1e-12), cache.mean
    (True, array([0.3]))
    """
    name = "joint_kl_sparsity_forward"
    check_shapes(name, "h: N K", h)
    if not 0 < target < 1:
        raise ValueError(f"{name}: target is {target}, expected a number in (0, 1)")
    xp = get_array_module(h)
    r, strength = float(target), float(strength)
    rows = xp.ones_like(h[:1, :1]).sum(axis=0) * len(h)
    sums = xp.concatenate([mean_of_rows(h) * len(h), rows])  # (1)
    if total is not None:
        total(sums)  # (2)
    n = sums[-1:]
    mean = sums[:-1] / n  # (3)
    m = xp.clip(mean, EPSILON, 1 - EPSILON)
    terms = r * xp.log(r / m) + (1 - r) * xp.log((1 - r) / (1 - m))  # (4)
    loss = strength * terms.sum()  # (5)
    form = Form(h.shape, h.dtype)
    lost = Form(loss.shape, loss.dtype)
    return loss, JointKLSparsityCache(form, mean, n, r, strength, lost, total)


@primitive
def joint_kl_sparsity_backward(dloss, cache: JointKLSparsityCache):
    """dh_r,ik = 1/N (-r / m_k + (1 - r) / (1 - m_k)) sum_q dloss_q strength_q.

    Every row of every process has had its part in m, and m in the loss l_q of every process q:

        dL/dh_r,ik = sum_q dL/dl_q  dl_q/dm_k  dm_k/dh_r,ik,      dm_k/dh_r,ik = 1/N

    So forward's sum over the processes is undone by a sum over the processes: of dloss strength, a
    single number, for the rest of dl_q/dm_k is the same on all. Where m was held, the gradient is
    that of where it was held: a dead unit is still pulled up.

    Parameters
    ----------
    dloss : number
        Of the loss of this process. Where all report the same loss and the joint one is their mean
        by the weights w_q, it is w_q.
    cache : JointKLSparsityCache

    Returns
    -------
    dh : array (N_r, K)
    """
    h, mean, n, r, strength, loss, total = cache
    check_shapes("joint_kl_sparsity_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(mean)
    m = xp.clip(mean, EPSILON, 1 - EPSILON)
    dterms = dloss * strength * xp.ones_like(n)  # (5) was loss = strength sum terms
    if total is not None:
        total(dterms)  # (2) was a sum over all processes
    dmean = dterms * ((1 - r) / (1 - m) - r / m)  # (4) was r log(r / m) + ...
    dh = xp.zeros(h.shape, dtype=h.dtype) + dmean / n  # (1, 3) was mean = sums / n
    return dh
