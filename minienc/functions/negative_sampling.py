"""Negative sampling: tell the word that stood there from words that were drawn.

A softmax over all V words costs V products for each step. Instead, the one word that was there
shall answer 1, and K others that were drawn shall answer 0, each by a sigmoid of its own:

    s_k = u_k v,        l = -log sigmoid(s_0) - sum_(k > 0) log sigmoid(-s_k)

Source: Mikolov, Sutskever, Chen, Corrado and Dean 2013, "Distributed representations of words and
phrases and their compositionality", eq. 4.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import check_shapes


class NegativeSamplingCache(NamedTuple):
    v: Array  # (N, D)
    u: Array  # (N, K, D)
    s: Array  # (N, K)


@primitive
def negative_sampling_forward(v, u):
    """The mean of l over N samples.

    Parameters
    ----------
    v : array (N, D)
        Vectors of the words in the middle.
    u : array (N, K, D)
        Vectors of the word that stood beside each, first, and of those that were drawn. One that
        was drawn twice counts twice.

    Returns
    -------
    loss : number of v's dtype
    cache : NegativeSamplingCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit.

    Examples
    --------
    >>> loss, cache = negative_sampling_forward(np.zeros((1, 2)), np.zeros((1, 3, 2)))
    >>> round(float(loss), 4)  # three times log 2: nothing has been learned
    2.0794
    """
    check_shapes("negative_sampling_forward", "v: N D, u: N K D", v, u)
    xp = get_array_module(v, u)
    s = (u @ v[..., None])[..., 0]  # (1)
    sign = _signs(xp, s)
    l = xp.logaddexp(xp.zeros_like(s), -sign * s)  # (2)  -log sigmoid(+-s)
    loss = l.sum() / len(v)  # (3)
    return loss, NegativeSamplingCache(v, u, s)


@primitive
def negative_sampling_backward(dloss, cache: NegativeSamplingCache):
    """ds = -+ sigmoid(-+s) dl: how far each answer is from 1, or from 0.

    Returns
    -------
    dv (N, D), du (N, K, D)
    """
    v, u, s = cache
    check_shapes("negative_sampling_backward", "v: N D, dloss: number", v, dloss)
    xp = get_array_module(v, u)
    sign = _signs(xp, s)
    dl = dloss / len(v)  # (3) was loss = the mean of the sums of l
    ds = -sign * dl / (1 + xp.exp(xp.minimum(sign * s, 80)))  # (2) was l = log(1 + exp(-+s))
    dv = (ds[..., None] * u).sum(axis=1)  # (1) was s = u v
    du = ds[..., None] * v[:, None, :]  # (1)
    return dv, du


def _signs(xp, s):
    """(N, K): 1 for the first, which was there, -1 for the others."""
    return xp.where(xp.arange(s.shape[1]) == 0, xp.ones_like(s), -xp.ones_like(s))
