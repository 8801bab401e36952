"""Noise on the compiled kernel: drawn by NumPy from the same generator, applied in one pass."""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.functions import noise as f
from minienc.primitive import register_fast
from minienc.shapes import Form

_CODES = _kernels.noise_codes


def _noisy(x, kind, rate, rng, method):
    """(y, mask) of what the generator's method draws; None where the definition must see to it."""
    if not isinstance(rng, np.random.Generator) or type(x) is not np.ndarray or x.ndim == 0:
        return None
    if type(rate) is not float or not x.flags.c_contiguous or x.dtype not in ("f4", "f8"):
        return None
    drawn = getattr(rng, method)(x.shape, dtype="float32")
    _kernels.drawn(method, drawn)
    return _kernels.noise_forward(x, drawn, _CODES[kind], rate)


def _masked(x, kind, rate, rng, cache_type, highest):
    if type(rate) is not float or not 0 <= rate <= highest:
        return NotImplemented  # the definition says what is wrong with it
    result = _noisy(x, kind, rate, rng, "random")
    if result is None:
        return NotImplemented
    y, mask = result
    return y, cache_type(Form(y.shape, y.dtype), mask)


def _backward(dy, cache):
    y, mask = cache
    if mask is None or getattr(dy, "shape", None) != y.shape or dy.dtype != y.dtype:
        return NotImplemented
    dx = _kernels.noise_backward(dy, mask)
    return NotImplemented if dx is None else dx


@register_fast
def dropout_forward(x, rate, rng=None):
    if rate == 1:
        return NotImplemented
    return _masked(x, "dropout", rate, rng, f.DropoutCache, 1)


@register_fast
def dropout_backward(dy, cache: f.DropoutCache):
    return _backward(dy, cache)


@register_fast
def masking_noise_forward(x, rate, rng=None):
    return _masked(x, "masking", rate, rng, f.MaskingNoiseCache, 1)


@register_fast
def masking_noise_backward(dy, cache: f.MaskingNoiseCache):
    return _backward(dy, cache)


@register_fast
def salt_and_pepper_noise_forward(x, rate, rng=None):
    return _masked(x, "salt and pepper", rate, rng, f.SaltAndPepperNoiseCache, 1)


@register_fast
def salt_and_pepper_noise_backward(dy, cache: f.SaltAndPepperNoiseCache):
    return _backward(dy, cache)


@register_fast
def gaussian_noise_forward(x, stddev, rng=None):
    if type(stddev) is not float or not stddev >= 0:
        return NotImplemented
    result = _noisy(x, "gaussian", stddev, rng, "standard_normal")
    if result is None:
        return NotImplemented
    return result[0], f.GaussianNoiseCache(Form(result[0].shape, result[0].dtype))


@register_fast
def gaussian_noise_backward(dy, cache: f.GaussianNoiseCache):
    if getattr(dy, "shape", None) != cache.y.shape or dy.dtype != cache.y.dtype:
        return NotImplemented
    dx = _kernels.copied(dy)
    return NotImplemented if dx is None else dx
