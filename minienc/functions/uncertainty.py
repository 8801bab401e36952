"""Several losses become one, by how sure the network is of each task: weights that are learned.

A task whose answers scatter by sigma around the truth costs -log p = l / sigma^2 + log sigma, and
sigma is learned with everything else. A task that is hard to get right gets a large sigma, and
counts less; log sigma keeps sigma from growing without end. What is learned is s = log sigma^2:
any number will do, and nothing is divided by 0.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class UncertaintyWeightingCache(NamedTuple):
    l: Array  # (..., K)
    w: Array  # (K,)  exp(-s)
    y: Form  # (..., 1)


@primitive
def uncertainty_weighting_forward(l, s):
    """y = sum_k (exp(-s_k) l_k + s_k / 2): l (..., K), s (K,), y (..., 1).

    Of a cross-entropy l is the loss itself; of a squared error it is half of it, as in a Gaussian's
    -log p = (t - y)^2 / (2 sigma^2) + log sigma.

    For a given l the best s is log(2 l): the weight exp(-s) is then 1 / (2 l).

    Source: Kendall, Gal and Cipolla 2018, "Multi-task learning using uncertainty to weigh losses
    for scene geometry and semantics", eq. 10, with s = log sigma^2 as below it.

    Examples
    --------
    >>> loss, cache = uncertainty_weighting_forward(np.array([1.0, 4.0]), np.zeros(2))
    >>> loss
    array([5.])
    """
    check_shapes("uncertainty_weighting_forward", "l: ... K, s: K", l, s)
    w = get_array_module(l, s).exp(-s)  # (1)
    y = (l * w + s / 2).sum(axis=-1, keepdims=True)  # (2)
    return y, UncertaintyWeightingCache(l, w, Form(y.shape, y.dtype))


@primitive
def uncertainty_weighting_backward(dy, cache: UncertaintyWeightingCache):
    """dl_k = dy exp(-s_k); ds_k = dy (1/2 - exp(-s_k) l_k), summed over the leading axes, for all
    of them have the same s."""
    l, w, y = cache
    check_shapes("uncertainty_weighting_backward", "y: ..., dy: ...", y, dy)
    leading = tuple(range(l.ndim - 1))
    dl = dy * w  # (2) was y = sum l w + s / 2
    dw = (dy * l).sum(axis=leading)  # (2)
    ds = dy.sum(axis=leading) / 2 - dw * w  # (1, 2) was w = exp(-s), y = sum l w + s / 2
    return dl, ds
