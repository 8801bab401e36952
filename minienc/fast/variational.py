"""What a variational autoencoder adds, on the compiled kernel: one pass each."""

from __future__ import annotations

from minienc import _kernels
from minienc.functions.variational import NormalKLCache, ReparameterizeCache
from minienc.primitive import register_fast
from minienc.shapes import Form


@register_fast
def reparameterize_forward(mean, log_variance, noise):
    result = _kernels.reparameterize(mean, log_variance, noise)
    if result is None:
        return NotImplemented
    z, half = result
    return z, ReparameterizeCache(half, Form(z.shape, z.dtype))


@register_fast
def reparameterize_backward(dz, cache: ReparameterizeCache):
    dmean, dlog_variance = _kernels.copied(dz), _kernels.noise_backward(dz, cache.half)
    if dmean is None or dlog_variance is None:
        return NotImplemented
    return dmean, dlog_variance


@register_fast
def normal_kl_forward(mean, log_variance):
    result = _kernels.normal_kl(mean, log_variance)
    if result is None:
        return NotImplemented
    kl, variance = result
    return kl, NormalKLCache(mean, variance)


@register_fast
def normal_kl_backward(dkl, cache: NormalKLCache):
    mean, variance = cache
    if type(dkl) is not float:
        return NotImplemented
    result = _kernels.normal_kl_slope(dkl, mean, variance)
    return NotImplemented if result is None else result
