"""Noise: dropout, masking, salt and pepper, Gaussian.

``y, cache = X_forward(x, strength, rng=generator)`` and ``dx = X_backward(dy, cache)``. The noise
is drawn on the host from a ``numpy.random.Generator`` that is passed in; without one there is no
noise. What was drawn is in the cache, so backward sees the noise that forward saw.

Shapes: x, y, dy and dx are (...), any shape; dtypes are kept.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import check_shapes


def _uniform(xp, rng, x):
    """Numbers in [0, 1), one for each of x's: drawn on the host, used where x lives."""
    return xp.asarray(rng.random(tuple(x.shape), dtype="float32"))


# ---------------------------------------------------------------------------------------- dropout


class DropoutCache(NamedTuple):
    mask: Array | None  # (...)  1 / (1 - rate) where x was kept, else 0; None: no noise


@primitive
def dropout_forward(x, rate, rng=None):
    """y = x m, m = 0 with probability ``rate``, else 1 / (1 - rate), so that E[y] = x.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
    overfitting", section 10 (scaling in training instead of afterwards).
    """
    check_shapes("dropout_forward", "x: ...", x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout_forward: rate is {rate}, expected a probability in [0, 1)")
    if rng is None:
        return x.copy(), DropoutCache(None)
    xp = get_array_module(x)
    mask = (_uniform(xp, rng, x) >= rate).astype(x.dtype) / (1 - rate)
    y = x * mask  # (1)
    return y, DropoutCache(mask)


@primitive
def dropout_backward(dy, cache: DropoutCache):
    """dx = dy m."""
    check_shapes("dropout_backward", "mask: ..., dy: ...", cache.mask, dy)
    dx = dy.copy() if cache.mask is None else dy * cache.mask  # (1) was y = x m
    return dx


# ---------------------------------------------------------------------------------- masking noise


class MaskingNoiseCache(NamedTuple):
    mask: Array | None  # (...)  1 where x was kept, else 0; None: no noise


@primitive
def masking_noise_forward(x, rate, rng=None):
    """y = x m, m = 0 with probability ``rate``, else 1.

    Source: Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.
    """
    check_shapes("masking_noise_forward", "x: ...", x)
    if not 0 <= rate <= 1:
        raise ValueError(f"masking_noise_forward: rate is {rate}, expected a probability in [0, 1]")
    if rng is None:
        return x.copy(), MaskingNoiseCache(None)
    xp = get_array_module(x)
    mask = (_uniform(xp, rng, x) >= rate).astype(x.dtype)
    y = x * mask  # (1)
    return y, MaskingNoiseCache(mask)


@primitive
def masking_noise_backward(dy, cache: MaskingNoiseCache):
    """dx = dy m."""
    check_shapes("masking_noise_backward", "mask: ..., dy: ...", cache.mask, dy)
    dx = dy.copy() if cache.mask is None else dy * cache.mask  # (1) was y = x m
    return dx


# -------------------------------------------------------------------------- salt-and-pepper noise


class SaltAndPepperNoiseCache(NamedTuple):
    kept: Array | None  # (...)  1 where x was kept, else 0; None: no noise


@primitive
def salt_and_pepper_noise_forward(x, rate, rng=None):
    """y = x, or, with probability ``rate``, 0 or 1 by equal chance.

    Source: Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.
    """
    check_shapes("salt_and_pepper_noise_forward", "x: ...", x)
    if not 0 <= rate <= 1:
        raise ValueError(
            f"salt_and_pepper_noise_forward: rate is {rate}, expected a probability in [0, 1]"
        )
    if rng is None:
        return x.copy(), SaltAndPepperNoiseCache(None)
    xp = get_array_module(x)
    u = _uniform(xp, rng, x)
    kept = (u >= rate).astype(x.dtype)
    salt = (u < rate / 2).astype(x.dtype)  # half of those that are not kept
    y = x * kept + salt  # (1)
    return y, SaltAndPepperNoiseCache(kept)


@primitive
def salt_and_pepper_noise_backward(dy, cache: SaltAndPepperNoiseCache):
    """dx = dy where x was kept, else 0."""
    check_shapes("salt_and_pepper_noise_backward", "kept: ..., dy: ...", cache.kept, dy)
    dx = dy.copy() if cache.kept is None else dy * cache.kept  # (1) was y = x kept + salt
    return dx


# --------------------------------------------------------------------------------- Gaussian noise


class GaussianNoiseCache(NamedTuple):
    shape_of: Array  # (...)  y, kept for its shape and dtype


@primitive
def gaussian_noise_forward(x, stddev, rng=None):
    """y = x + e, e normal with mean 0 and standard deviation ``stddev``.

    Source: Bishop 1995, "Training with noise is equivalent to Tikhonov regularization".
    """
    check_shapes("gaussian_noise_forward", "x: ...", x)
    if not stddev >= 0:
        raise ValueError(f"gaussian_noise_forward: stddev is {stddev}, expected a number >= 0")
    if rng is None:
        y = x.copy()
    else:
        xp = get_array_module(x)
        e = xp.asarray(rng.standard_normal(tuple(x.shape), dtype="float32")).astype(x.dtype)
        y = x + stddev * e  # (1)
    return y, GaussianNoiseCache(y)


@primitive
def gaussian_noise_backward(dy, cache: GaussianNoiseCache):
    """dx = dy: e does not depend on x."""
    check_shapes("gaussian_noise_backward", "y: ..., dy: ...", cache.shape_of, dy)
    dx = dy.copy()  # (1) was y = x + e
    return dx
