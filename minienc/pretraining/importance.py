"""Importance sampling: how probable a model with a code finds a sample.

    log p(x) ~ log 1/S sum_s p(x | z_s) p(z_s) / q(z_s | x),   z_s ~ q(z | x)

The integral over all codes is taken where the encoder says that codes of x are. On average it is a
lower bound of log p(x), by Jensen's inequality; for S = 1 it is that of training, and with S it
rises to log p(x).

Source: Burda, Grosse and Salakhutdinov 2016, "Importance weighted autoencoders", eq. 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.arrays import beside, to_numpy
from minienc.models import Model


def log_likelihood(
    x: np.ndarray,
    encoder: Model,
    decoder: Model,
    surprise: Callable[[Any, Any], tuple[Any, Any]],
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """log p(x) (N,) of a few samples (N, D), with n draws of each; all draws are one batch.

    ``encoder`` gives mean and log variance, ``surprise(decoder(z), x)`` gives -log p(x | z) first.
    """
    anchor = decoder.parameters.vector
    mean, log_variance = (to_numpy(a) for a in encoder(beside(x, anchor)))
    noise = rng.standard_normal((len(x), n, mean.shape[1]))
    z = mean[:, None] + np.exp(log_variance / 2)[:, None] * noise
    flat = beside(z.reshape(-1, mean.shape[1]).astype(x.dtype), anchor)
    cost, _ = surprise(decoder(flat), beside(np.repeat(x, n, axis=0), flat))
    log_prior = -(z**2).sum(axis=2) / 2  # the constants of the two normals cancel
    log_posterior = -(noise**2).sum(axis=2) / 2 - log_variance.sum(axis=1)[:, None] / 2
    log_weight = log_prior - log_posterior - to_numpy(cost).reshape(len(x), n)
    greatest = log_weight.max(axis=1)
    return greatest + np.log(np.exp(log_weight - greatest[:, None]).mean(axis=1))
