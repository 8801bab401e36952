"""Noise: dropout, masking, salt and pepper, Gaussian.

``y, cache = X_forward(x, strength, rng=generator)`` and ``dx = X_backward(dy, cache)``. The noise
is drawn on the host from a ``numpy.random.Generator`` that is passed in; without one there is no
noise, and y is a copy of x. What was drawn is in the cache, so backward sees the noise that forward
saw. It is drawn in float32 whatever x is: one seed makes one noise, for float32 and for float64.

Shapes: x, y, dy and dx are (...), any shape; dtypes are kept. A ValueError tells of a strength out
of range or of a dy that has not y's shape, a TypeError of dtypes or of an rng that is no Generator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


def _uniform(function, xp, rng, x):
    """Numbers in [0, 1), one for each of x's: drawn on the host, used where x lives."""
    _check_rng(function, rng)
    return xp.asarray(rng.random(tuple(x.shape), dtype="float32"))


def _normal(function, xp, rng, x):
    """Normal numbers of mean 0 and variance 1, one for each of x's, likewise."""
    _check_rng(function, rng)
    return xp.asarray(rng.standard_normal(tuple(x.shape), dtype="float32"))


def _check_rng(function, rng):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{function}: rng is a {type(rng).__name__}, expected a numpy.random.Generator; make "
            f"one with np.random.default_rng(seed)"
        )


# ---------------------------------------------------------------------------------------- dropout


class DropoutCache(NamedTuple):
    y: Form  # (...)
    mask: Array | None  # (...)  1 / (1 - rate) where x was kept, else 0; None: no noise


@primitive
def dropout_forward(x, rate, rng=None):
    """y = x m, m = 0 with probability ``rate``, else 1 / (1 - rate), so that E[y] = x.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
    overfitting", section 10 (scaling in training instead of afterwards).

    Examples
    --------
    >>> y, cache = dropout_forward(np.ones(6), 0.5, rng=np.random.default_rng(0))
    >>> y  # what is left is twice as large
    array([2., 2., 2., 0., 0., 0.])
    >>> dropout_forward(np.ones(6), 0.5)[0]  # no rng, no noise
    array([1., 1., 1., 1., 1., 1.])
    """
    check_shapes("dropout_forward", "x: ...", x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout_forward: rate is {rate}, expected a probability in [0, 1)")
    if rng is None:
        y = x.copy()
        return y, DropoutCache(Form(y.shape, y.dtype), None)
    xp = get_array_module(x)
    is_kept = _uniform("dropout_forward", xp, rng, x) >= rate
    mask = is_kept.astype(x.dtype) / (1 - float(rate))
    y = x * mask  # (1)
    return y, DropoutCache(Form(y.shape, y.dtype), mask)


@primitive
def dropout_backward(dy, cache: DropoutCache):
    """dx = dy m."""
    check_shapes("dropout_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.copy() if cache.mask is None else dy * cache.mask  # (1) was y = x m
    return dx


# ---------------------------------------------------------------------------------- masking noise


class MaskingNoiseCache(NamedTuple):
    y: Form  # (...)
    mask: Array | None  # (...)  1 where x was kept, else 0; None: no noise


@primitive
def masking_noise_forward(x, rate, rng=None):
    """y = x m, m = 0 with probability ``rate``, else 1: dropout without the scaling.

    Source: Vincent et al. 2008, "Extracting and composing robust features with denoising
    autoencoders", section 2.3.

    Examples
    --------
    >>> y, cache = masking_noise_forward(np.ones(6), 0.5, rng=np.random.default_rng(0))
    >>> y
    array([1., 1., 1., 0., 0., 0.])
    """
    check_shapes("masking_noise_forward", "x: ...", x)
    if not 0 <= rate <= 1:
        raise ValueError(f"masking_noise_forward: rate is {rate}, expected a probability in [0, 1]")
    if rng is None:
        y = x.copy()
        return y, MaskingNoiseCache(Form(y.shape, y.dtype), None)
    xp = get_array_module(x)
    is_kept = _uniform("masking_noise_forward", xp, rng, x) >= rate
    mask = is_kept.astype(x.dtype)
    y = x * mask  # (1)
    return y, MaskingNoiseCache(Form(y.shape, y.dtype), mask)


@primitive
def masking_noise_backward(dy, cache: MaskingNoiseCache):
    """dx = dy m."""
    check_shapes("masking_noise_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.copy() if cache.mask is None else dy * cache.mask  # (1) was y = x m
    return dx


# -------------------------------------------------------------------------- salt-and-pepper noise


class SaltAndPepperNoiseCache(NamedTuple):
    y: Form  # (...)
    mask: Array | None  # (...)  1 where x was kept, else 0; None: no noise


@primitive
def salt_and_pepper_noise_forward(x, rate, rng=None):
    """y = x, or, with probability ``rate``, 0 or 1 by equal chance.

    Source: Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.

    Examples
    --------
    >>> x = np.full(8, 0.5)
    >>> y, cache = salt_and_pepper_noise_forward(x, 0.5, rng=np.random.default_rng(0))
    >>> sorted(set(y.tolist()))
    [0.0, 0.5, 1.0]
    """
    check_shapes("salt_and_pepper_noise_forward", "x: ...", x)
    if not 0 <= rate <= 1:
        raise ValueError(
            f"salt_and_pepper_noise_forward: rate is {rate}, expected a probability in [0, 1]"
        )
    if rng is None:
        y = x.copy()
        return y, SaltAndPepperNoiseCache(Form(y.shape, y.dtype), None)
    xp = get_array_module(x)
    u = _uniform("salt_and_pepper_noise_forward", xp, rng, x)
    mask = (u >= rate).astype(x.dtype)
    salt = (u < rate / 2).astype(x.dtype)  # half of those that are not kept
    y = x * mask + salt  # (1)
    return y, SaltAndPepperNoiseCache(Form(y.shape, y.dtype), mask)


@primitive
def salt_and_pepper_noise_backward(dy, cache: SaltAndPepperNoiseCache):
    """dx = dy m: what became salt or pepper does not depend on x."""
    check_shapes("salt_and_pepper_noise_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.copy() if cache.mask is None else dy * cache.mask  # (1) was y = x m + salt
    return dx


# --------------------------------------------------------------------------------- Gaussian noise


class GaussianNoiseCache(NamedTuple):
    y: Form  # (...)


@primitive
def gaussian_noise_forward(x, stddev, rng=None):
    """y = x + s e, e normal with mean 0 and variance 1, s the standard deviation ``stddev``.

    Source: Bishop 1995, "Training with noise is equivalent to Tikhonov regularization".

    Examples
    --------
    >>> y, cache = gaussian_noise_forward(np.zeros(1000), 0.1, rng=np.random.default_rng(0))
    >>> 0.09 < float(y.std()) < 0.11
    True
    """
    check_shapes("gaussian_noise_forward", "x: ...", x)
    if not stddev >= 0:
        raise ValueError(f"gaussian_noise_forward: stddev is {stddev}, expected a number >= 0")
    if rng is None:
        y = x.copy()
        return y, GaussianNoiseCache(Form(y.shape, y.dtype))
    xp = get_array_module(x)
    e = _normal("gaussian_noise_forward", xp, rng, x).astype(x.dtype)
    y = x + float(stddev) * e  # (1)
    return y, GaussianNoiseCache(Form(y.shape, y.dtype))


@primitive
def gaussian_noise_backward(dy, cache: GaussianNoiseCache):
    """dx = dy: e does not depend on x."""
    check_shapes("gaussian_noise_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.copy()  # (1) was y = x + s e
    return dx
