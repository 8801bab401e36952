"""What a variational autoencoder adds: a draw that gradients pass, and a divergence."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# ----------------------------------------------------------------------------- reparameterisation


class ReparameterizeCache(NamedTuple):
    half: Array  # (N, K)  1/2 sigma noise, sigma = exp(log_variance / 2)
    z: Form  # (N, K)


@primitive(constants=("noise",))
def reparameterize_forward(mean, log_variance, noise):
    """z = mean + exp(log_variance / 2) noise: a draw from N(mean, sigma^2), for noise from N(0, 1).

    The chance is in ``noise``, which depends on nothing; so z has derivatives with respect to the
    mean and the variance, which a draw by itself would not have.

    Source: Kingma and Welling 2014, "Auto-encoding variational Bayes", section 2.4.

    Examples
    --------
    >>> mean, log_variance, noise = np.ones((1, 2)), np.zeros((1, 2)), np.array([[1.0, -2.0]])
    >>> z, cache = reparameterize_forward(mean, log_variance, noise)
    >>> z
    array([[ 2., -1.]])
    """
    shapes = "mean: ..., log_variance: ..., noise: ..."
    check_shapes("reparameterize_forward", shapes, mean, log_variance, noise)
    xp = get_array_module(mean, log_variance, noise)
    spread = xp.exp(log_variance / 2) * noise  # (1)
    z = mean + spread  # (2)
    return z, ReparameterizeCache(spread / 2, Form(z.shape, z.dtype))


@primitive
def reparameterize_backward(dz, cache: ReparameterizeCache):
    """dmean = dz,  dlog_variance = dz 1/2 sigma noise, for d exp(v / 2) / dv = exp(v / 2) / 2."""
    check_shapes("reparameterize_backward", "z: ..., dz: ...", cache.z, dz)
    dmean = dz.copy()  # (2) was z = mean + spread
    dlog_variance = dz * cache.half  # (1) was spread = exp(log_variance / 2) noise
    return dmean, dlog_variance


# -------------------------------------------------------------- divergence from the standard normal


class NormalKLCache(NamedTuple):
    mean: Array  # (...)
    variance: Array  # (...)


@primitive
def normal_kl_forward(mean, log_variance):
    """kl = KL(N(mean, sigma^2) || N(0, 1)) = 1/2 (mean^2 + sigma^2 - 1 - log sigma^2), for each.

    Source: Kingma and Welling 2014, appendix B.

    Examples
    --------
    >>> kl, cache = normal_kl_forward(np.array([[1.0, 0.0]]), np.zeros((1, 2)))
    >>> kl
    array([[0.5, 0. ]])
    """
    check_shapes("normal_kl_forward", "mean: ..., log_variance: ...", mean, log_variance)
    xp = get_array_module(mean, log_variance)
    variance = xp.exp(log_variance)  # (1)
    kl = (mean * mean + variance - 1 - log_variance) / 2  # (2)
    return kl, NormalKLCache(mean, variance)


@primitive
def normal_kl_backward(dkl, cache: NormalKLCache):
    """dmean = dkl mean,  dlog_variance = dkl 1/2 (sigma^2 - 1).

    ``dkl`` may be one number, where it is the same for all.
    """
    mean, variance = cache
    check_shapes("normal_kl_backward", "mean: ..., dkl: ... number", mean, dkl)
    dmean = dkl * mean  # (2) was kl = (mean^2 + variance - 1 - log_variance) / 2
    dlog_variance = dkl * (variance - 1) / 2  # (1, 2) was variance = exp(log_variance)
    return dmean, dlog_variance
