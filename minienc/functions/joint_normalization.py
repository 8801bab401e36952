"""Batch normalisation of a batch that several processes share.

Each holds some rows x_r of it. Mean and variance are those of the joint batch, so sums over rows
become sums over the rows of all, which ``total`` makes: it puts the sum over all processes into the
array that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.normalization import _affine, _positive
from minienc.primitive import primitive
from minienc.shapes import check_shapes


class JointBatchNormalizationCache(NamedTuple):
    x_hat: Array  # (..., C)  of the rows that are here
    gamma: Array | None  # (C,)
    has_beta: bool
    scale: Array  # (C,)  1 / sqrt(variance + epsilon)
    mean: Array  # (C,)  of the joint batch
    variance: Array  # (C,)
    n: Array  # (C,)  numbers in a channel of the joint batch
    total: Callable[[Array], None] | None


def _sum(a, total):
    """The sum over the rows, here and everywhere: (C,)."""
    s = a.sum(axis=tuple(range(a.ndim - 1)))
    if total is not None:
        total(s)
    return s


@primitive
def joint_batch_normalization_forward(x, gamma=None, beta=None, epsilon=1e-3, total=None):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, both over the rows of all processes.

    Parameters
    ----------
    x : array (..., C)
        The rows that are here.
    gamma, beta : array (C,) or None
    epsilon : float
    total : function (array) -> None, optional
        Puts the sum over all processes into the array; without it, the rows here are all.

    Returns
    -------
    y : array (..., C)
    cache : JointBatchNormalizationCache

    Notes
    -----
    Source: Ioffe and Szegedy 2015, "Batch normalization", algorithm 1.

    Examples
    --------
    >>> y, cache = joint_batch_normalization_forward(np.array([[1.0], [3.0]]))
    >>> np.round(y, 2).ravel()
    array([-1.,  1.])
    """
    name = "joint_batch_normalization_forward"
    check_shapes(name, "x: ... C, gamma: C, beta: C", x, gamma, beta)
    xp = get_array_module(x)
    n = _sum(xp.ones_like(x), total)  # numbers in each channel: (C,)
    mean = _sum(x, total) / n  # (1)
    centred = x - mean  # (2)
    variance = _sum(centred * centred, total) / n  # (3)
    scale = 1 / xp.sqrt(variance + _positive(name, epsilon))  # (4)
    x_hat = centred * scale  # (5)
    y = _affine(x_hat, gamma, beta)  # (6)
    cache = JointBatchNormalizationCache(
        x_hat, gamma, beta is not None, scale, mean, variance, n, total
    )
    return y, cache


@primitive
def joint_batch_normalization_backward(dy, cache: JointBatchNormalizationCache):
    """dx = scale (g - sum g / n - x_hat sum(g x_hat) / n), the sums over the rows of all processes.

    As ``batch_normalization_backward``, with g = dx_hat = gamma dy: every row of every process has
    had its part in mean and variance, so what comes back through them is summed over all. dgamma
    and dbeta are those of the rows here: with the other gradients, they are summed later.

    Parameters
    ----------
    dy : array (..., C)
    cache : JointBatchNormalizationCache

    Returns
    -------
    dx (..., C), dgamma (C,), dbeta (C,)
        None where there was no gamma, or no beta.
    """
    x_hat, gamma, has_beta, scale, _, _, n, total = cache
    check_shapes("joint_batch_normalization_backward", "y: ... C, dy: ... C", x_hat, dy)
    dgamma = None if gamma is None else _sum(dy * x_hat, None)  # (6)
    dbeta = _sum(dy, None) if has_beta else None  # (6)
    dx_hat = dy if gamma is None else dy * gamma  # (6) was y = gamma x_hat + beta
    level, slope = _sum(dx_hat, total) / n, _sum(dx_hat * x_hat, total) / n
    dx = scale * (dx_hat - level - x_hat * slope)  # (1) to (5) was x_hat = (x - mean) scale
    return dx, dgamma, dbeta
