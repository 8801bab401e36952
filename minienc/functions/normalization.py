"""Normalisation: batch, layer, and spectral.

Batch and layer normalisation bring numbers to mean 0 and variance 1, then let the layer choose
another mean beta and another deviation gamma. They differ in what they average over: batch
normalisation takes each channel over all samples and pixels, layer normalisation each sample over
its own features. Spectral normalisation does the like to a matrix of weights: it divides it by its
largest singular value.

Nothing is remembered here. What a layer knows beyond the batch (moving averages, the vector of the
power iteration) is an argument, and becoming another is the matter of whoever owns it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.means import mean_of_rows
from minienc.primitive import primitive
from minienc.shapes import check_shapes

# --------------------------------------------------------------------------- batch normalisation


class BatchNormalizationCache(NamedTuple):
    x_hat: Array  # (..., C)  mean 0 and variance 1
    gamma: Array | None  # (C,)
    has_beta: bool
    scale: Array  # (C,)  1 / sqrt(variance + epsilon)
    mean: Array  # (C,)  of the batch, or what was given
    variance: Array  # (C,)
    of_batch: bool  # whether they are the batch's, and so depend on x


@primitive(constants=("moving_mean", "moving_variance"))
def batch_normalization_forward(
    x, gamma=None, beta=None, moving_mean=None, moving_variance=None, epsilon=1e-3
):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, channel by channel.

    In training, without ``moving_mean`` and ``moving_variance``, mean and variance are the batch's
    own, over all axes but the last: y of one sample depends on the others. Where they are given, as
    in inference, y is a fixed affine function of each x.

    Parameters
    ----------
    x : array (..., C)
        Rows (N, C), images (N, H, W, C), ...
    gamma, beta : array (C,) or None
        Deviation and mean of y; None is 1, and 0.
    moving_mean, moving_variance : array (C,) or None
        Both or neither; not differentiated.
    epsilon : float
        So that a channel of equal numbers is not divided by 0.

    Returns
    -------
    y : array (..., C), of x's dtype
    cache : BatchNormalizationCache
        With ``mean`` and ``variance``: sum (x - mean)^2 / n, without Bessel's correction, as
        in Keras.

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, one moving average without the other, an epsilon that
        is not positive, or a batch without samples.

    Notes
    -----
    Source: Ioffe and Szegedy 2015, "Batch normalization: accelerating deep network training by
    reducing internal covariate shift", algorithm 1.

    Examples
    --------
    >>> (y, *_), cache = batch_normalization_forward(np.array([[1.0], [3.0]]))
    >>> np.round(y, 2)
    array([-1.])
    """
    name = "batch_normalization_forward"
    spec = "x: ... C, gamma: C, beta: C, moving_mean: C, moving_variance: C"
    check_shapes(name, spec, x, gamma, beta, moving_mean, moving_variance)
    of_batch = _check_moments(name, x, moving_mean, moving_variance)
    xp = get_array_module(x)
    mean = mean_of_rows(x) if of_batch else moving_mean  # (1)
    centred = x - mean  # (2)
    variance = mean_of_rows(centred * centred) if of_batch else moving_variance  # (3)
    scale = 1 / xp.sqrt(variance + _positive(name, epsilon))  # (4)
    x_hat = centred * scale  # (5)
    y = _affine(x_hat, gamma, beta)  # (6)
    cache = BatchNormalizationCache(x_hat, gamma, beta is not None, scale, mean, variance, of_batch)
    return y, cache


@primitive
def batch_normalization_backward(dy, cache: BatchNormalizationCache):
    """dx = scale (dx_hat - mean dx_hat - x_hat mean(dx_hat x_hat)), the means over the batch.

    With n numbers in a channel, x_hat = scale (x - mean). Let g = dx_hat = gamma dy.

        by (5)  dcentred = scale g      and  dscale = sum g centred
        by (4)  dvariance = -1/2 scale^3 dscale
        by (3)  dcentred += 2/n centred dvariance = -scale x_hat mean(g x_hat)
        by (2)  dx = dcentred           and  dmean = -sum dcentred
        by (1)  dx += dmean / n = -scale mean(g)          (the other part has mean 0, as x_hat has)

    A shift of all x, or a stretch, changes no x_hat; so dx has no part along either.
    Where mean and variance were given, (1) and (3) were not, and dx = scale g.

    Parameters
    ----------
    dy : array (..., C)
    cache : BatchNormalizationCache

    Returns
    -------
    dx (..., C), dgamma (C,), dbeta (C,)
        None where there was no gamma, or no beta.
    """
    x_hat, gamma, has_beta, scale, _, _, of_batch = cache
    check_shapes("batch_normalization_backward", "y: ..., dy: ...", x_hat, dy)
    dgamma, dbeta = _affine_gradients(dy, x_hat, gamma, has_beta)  # (6)
    dx_hat = dy if gamma is None else dy * gamma  # (6) was y = gamma x_hat + beta
    if of_batch:  # (1) to (5) was x_hat = (x - mean) scale
        level, slope = mean_of_rows(dx_hat), mean_of_rows(dx_hat * x_hat)
        dx = scale * (dx_hat - level - x_hat * slope)
    else:
        dx = scale * dx_hat  # (2, 5) was x_hat = (x - mean) scale
    return dx, dgamma, dbeta


# --------------------------------------------------------------------------- layer normalisation


class LayerNormalizationCache(NamedTuple):
    x_hat: Array  # (..., D)  mean 0 and variance 1
    gamma: Array | None  # (D,)
    has_beta: bool
    scale: Array  # (..., 1)  1 / sqrt(variance + epsilon)


@primitive
def layer_normalization_forward(x, gamma=None, beta=None, epsilon=1e-3):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, each row by its own D numbers.

    No row depends on another, so training and inference are the same.

    Parameters
    ----------
    x : array (..., D)
    gamma, beta : array (D,) or None
        None is 1, and 0.
    epsilon : float
        So that a row of equal numbers is not divided by 0.

    Returns
    -------
    y : array (..., D), of x's dtype
    cache : LayerNormalizationCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or an epsilon that is not positive.

    Notes
    -----
    Source: Ba, Kiros and Hinton 2016, "Layer normalization", eq. 3 and 4.

    Examples
    --------
    >>> y, cache = layer_normalization_forward(np.array([[1.0, 3.0]]))
    >>> np.round(y, 2)
    array([[-1.,  1.]])
    """
    name = "layer_normalization_forward"
    check_shapes(name, "x: ... D, gamma: D, beta: D", x, gamma, beta)
    xp = get_array_module(x)
    mean = x.mean(axis=-1, keepdims=True)  # (1)
    centred = x - mean  # (2)
    variance = (centred * centred).mean(axis=-1, keepdims=True)  # (3)
    scale = 1 / xp.sqrt(variance + _positive(name, epsilon))  # (4)
    x_hat = centred * scale  # (5)
    y = _affine(x_hat, gamma, beta)  # (6)
    return y, LayerNormalizationCache(x_hat, gamma, beta is not None, scale)


@primitive
def layer_normalization_backward(dy, cache: LayerNormalizationCache):
    """dx = scale (dx_hat - mean dx_hat - x_hat mean(dx_hat x_hat)), the means over a row.

    The derivation is that of ``batch_normalization_backward``, along the other axis.

    Parameters
    ----------
    dy : array (..., D)
    cache : LayerNormalizationCache

    Returns
    -------
    dx (..., D), dgamma (D,), dbeta (D,)
        None where there was no gamma, or no beta.
    """
    x_hat, gamma, has_beta, scale = cache
    check_shapes("layer_normalization_backward", "y: ..., dy: ...", x_hat, dy)
    dgamma, dbeta = _affine_gradients(dy, x_hat, gamma, has_beta)  # (6)
    dx_hat = dy if gamma is None else dy * gamma  # (6) was y = gamma x_hat + beta
    level = dx_hat.mean(axis=-1, keepdims=True)
    slope = (dx_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = scale * (dx_hat - level - x_hat * slope)  # (1) to (5) was x_hat = (x - mean) scale
    return dx, dgamma, dbeta


# ------------------------------------------------------------------------ spectral normalisation


class SpectralNormalizationCache(NamedTuple):
    y: Array  # (..., M)  W / sigma
    u: Array  # (M,)
    v: Array  # (D,)  where u was sent, of length 1; D is the product of all axes but the last
    sigma: Array  # ()


@primitive(constants=("u",))
def spectral_normalization_forward(W, u):
    """y = W / sigma, with sigma = |W u|: W as a matrix of D rows and M columns, |u| = 1.

    The largest singular value of W is the largest |W u| that there is, and ``power_iteration``
    brings u there. Then no x is stretched by more than 1: |x y| <= |x|. On the way sigma is a
    little too small.

    Parameters
    ----------
    W : array (..., M)
        Weights: all axes but the last are taken together, as a convolution's (KH, KW, C, M).
    u : array (M,)
        Of length 1; not differentiated.

    Returns
    -------
    y : array (..., M), of W's dtype
    cache : SpectralNormalizationCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit.

    Notes
    -----
    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", eq. 8
    and algorithm 1 (its v is our u: its W is our W').

    Examples
    --------
    >>> W, u = np.diag([4.0, 1.0]), np.array([1.0, 0.0])
    >>> V, cache = spectral_normalization_forward(W, u)
    >>> V
    array([[1.  , 0.  ],
           [0.  , 0.25]])
    """
    check_shapes("spectral_normalization_forward", "W: ... M, u: M", W, u)
    xp = get_array_module(W)
    a = W.reshape((-1, W.shape[-1])) @ u  # (1)
    sigma = xp.sqrt((a * a).sum())  # (2)
    v = a / sigma
    y = W / sigma  # (3)
    return y, SpectralNormalizationCache(y, u, v, sigma)


@primitive
def spectral_normalization_backward(dy, cache: SpectralNormalizationCache):
    """dW = (dy - <dy, y> v u') / sigma, v = W u / |W u|.

    By (3), W enters twice: directly, dy / sigma, and through dsigma = -<dy, W> / sigma^2 =
    -<dy, y> / sigma. By (2) da = dsigma a / sigma = dsigma v, by (1) dW = da u'. That is exact
    for any u, not only where the power iteration ends. (The paper's eq. 12.)

    Parameters
    ----------
    dy : array (..., M)
    cache : SpectralNormalizationCache

    Returns
    -------
    dW : array (..., M)
    """
    y, u, v, sigma = cache
    check_shapes("spectral_normalization_backward", "y: ..., dy: ...", y, dy)
    dsigma = -(dy * y).sum() / sigma  # (3) was y = W / sigma
    da = dsigma * v  # (2) was sigma = |a|
    dW = dy / sigma + (da.reshape((-1, 1)) * u).reshape(y.shape)  # (1, 3) was a = W u
    return dW


def power_iteration(W, u, iterations=1):
    """Bring u (M,) nearer to the direction that W (..., M) stretches most.

    One iteration is v = W u / |W u|, u = W' v / |W' v|: each multiplies the part of u along the
    i-th singular direction by sigma_i^2, so the largest outgrows the others.

    Returns
    -------
    u : array (M,), of length 1

    Notes
    -----
    Source: Golub and van der Vorst 2000, "Eigenvalue computation in the 20th century", section 4.

    Examples
    --------
    >>> power_iteration(np.diag([4.0, 1.0]), np.array([1.0, 0.0]))
    array([1., 0.])
    """
    check_shapes("power_iteration", "W: ... M, u: M", W, u)
    matrix = W.reshape((-1, W.shape[-1]))
    for _ in range(iterations):
        v = _unit(matrix @ u)
        u = _unit(v @ matrix)
    return u


def _unit(a):
    """``a`` with length 1; what has no length stays 0, instead of becoming NaN."""
    xp = get_array_module(a)
    length = xp.sqrt((a * a).sum())
    return a / xp.maximum(length, xp.full_like(length, 1e-12))


# ------------------------------------------------------------------------------ what they share


def _affine(x_hat, gamma, beta):
    """gamma x_hat + beta, an array of its own."""
    y = x_hat.copy() if gamma is None else x_hat * gamma
    return y if beta is None else y + beta


def _affine_gradients(dy, x_hat, gamma, has_beta):
    """(dgamma, dbeta): sums over all axes but the last, for every row uses the same."""
    axes = tuple(range(dy.ndim - 1))
    dgamma = None if gamma is None else (dy * x_hat).sum(axis=axes)
    dbeta = dy.sum(axis=axes) if has_beta else None
    return dgamma, dbeta


def _check_moments(name, x, moving_mean, moving_variance):
    """Whether mean and variance are the batch's; refuse what cannot be averaged."""
    if (moving_mean is None) != (moving_variance is None):
        raise ValueError(
            f"{name}: moving_{'mean' if moving_mean is None else 'variance'} is missing beside "
            f"moving_{'variance' if moving_mean is None else 'mean'}; give both, or neither"
        )
    if moving_mean is not None:
        return False
    if x.ndim < 2 or math.prod(x.shape[:-1]) == 0:
        raise ValueError(
            f"{name}: x is {tuple(x.shape)}, expected (N, ..., C) with at least one sample to "
            f"take the mean of"
        )
    return True


def _positive(name, epsilon):
    if not epsilon > 0:
        raise ValueError(f"{name}: epsilon is {epsilon}, expected a number > 0")
    return float(epsilon)  # a np.float64 would make float64 of float32
