"""Root mean square normalisation: layer normalisation without the mean."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import check_shapes


class RmsNormalizationCache(NamedTuple):
    x_hat: Array  # (..., D)  of mean square 1
    gamma: Array | None  # (D,)
    scale: Array  # (..., 1)  1 / sqrt(mean x^2 + epsilon)


@primitive
def rms_normalization_forward(x, gamma=None, epsilon=1e-6):
    """y = gamma x / sqrt(mean(x^2) + epsilon), each row by its own D numbers.

    Parameters
    ----------
    x : array (..., D)
    gamma : array (D,) or None
        None is 1.
    epsilon : float
        So that a row of zeros is not divided by 0.

    Returns
    -------
    y : array (..., D), of x's dtype
    cache : RmsNormalizationCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or an epsilon that is not positive.

    Notes
    -----
    Source: Zhang and Sennrich 2019, "Root mean square layer normalization", eq. 4.

    Examples
    --------
    >>> y, cache = rms_normalization_forward(np.array([[3.0, 4.0]]))
    >>> round(float((y * y).mean()), 4)
    1.0
    """
    check_shapes("rms_normalization_forward", "x: ... D, gamma: D", x, gamma)
    if not epsilon > 0:
        raise ValueError(f"rms_normalization_forward: epsilon is {epsilon}, expected a number > 0")
    square = (x * x).mean(axis=-1, keepdims=True)  # (1)
    scale = 1 / get_array_module(x).sqrt(square + float(epsilon))  # (2)
    x_hat = x * scale  # (3)
    y = x_hat.copy() if gamma is None else x_hat * gamma  # (4)
    return y, RmsNormalizationCache(x_hat, gamma, scale)


@primitive
def rms_normalization_backward(dy, cache: RmsNormalizationCache):
    """dx = scale (g - x_hat mean(g x_hat)) with g = gamma dy: a longer x gives the same y, so
    nothing is left of the gradient along x.

    By (3) dx = scale g and dscale = sum g x; by (2) dsquare = -1/2 scale^3 dscale; by (1)
    dx += 2/D x dsquare = -scale x_hat mean(g x_hat).

    Returns
    -------
    dx (..., D), dgamma (D,)
        dgamma is None where there was no gamma.
    """
    x_hat, gamma, scale = cache
    check_shapes("rms_normalization_backward", "y: ..., dy: ...", x_hat, dy)
    axes = tuple(range(dy.ndim - 1))
    dgamma = None if gamma is None else (dy * x_hat).sum(axis=axes)  # (4) was y = x_hat gamma
    dx_hat = dy if gamma is None else dy * gamma  # (4)
    slope = (dx_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = scale * (dx_hat - x_hat * slope)  # (1) to (3) was x_hat = x / sqrt(mean x^2)
    return dx, dgamma
