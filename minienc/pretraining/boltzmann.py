"""What a Boltzmann machine is: two layers of units, the energy of samples, draws of either layer.

How it learns stands in ``rbm.py``.

Source: Besag 1975, "Statistical analysis of non-lattice data" (pseudo-likelihood).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.arrays import Array, get_array_module, to_device_of
from minienc.functions.dense import dense_forward
from minienc.functions.energy import free_energy_forward
from minienc.layers import Dense, DenseTranspose
from minienc.layers.parameters import Parameter
from minienc.training.step import Scalar

MEANS = {"binary": "sigmoid", "gaussian": None}  # E[unit | the other layer], as an activation
QUALITY = {"binary": "pseudo_likelihood", "gaussian": "reconstruction"}  # what is logged


class Machine:
    """The two layers: the free energy of samples, and each layer drawn from the other."""

    def __init__(self, up: Dense, down: DenseTranspose, visible: str, hidden_units: str) -> None:
        self.up, self.down, self.visible, self.hidden_units = up, down, visible, hidden_units

    def parameters(self) -> tuple[Parameter, Parameter, Parameter]:
        """W, b, c."""
        assert self.down.b is not None and self.up.b is not None
        return self.up.W, self.down.b, self.up.b

    def free_energy(self, v: Array) -> tuple[Array, Any]:
        """F (N,), and the cache."""
        W, b, c = (p.value for p in self.parameters())
        return free_energy_forward(v, W, b, c, self.visible, self.hidden_units)

    def draw_hidden(self, v: Array, rng: np.random.Generator) -> Array:
        W, _, c = self.parameters()
        mean, _ = dense_forward(v, W.value, c.value, MEANS[self.hidden_units])
        return drawn(mean, self.hidden_units, rng)

    def draw_visible(self, h: Array, rng: np.random.Generator) -> Array:
        W, b, _ = self.parameters()
        mean, _ = dense_forward(h, W.value.T, b.value, MEANS[self.visible])
        return drawn(mean, self.visible, rng)

    def quality(self, x: Array, restored: Array, rng: np.random.Generator) -> Scalar:
        """The pseudo-likelihood of binary samples; how well Gaussian ones are restored."""
        if self.visible == "gaussian":
            difference = x - restored
            return (difference * difference).sum(axis=1).mean()
        return self.pseudo_likelihood(x, int(rng.integers(x.shape[1])))

    def pseudo_likelihood(self, x: Array, i: int) -> Scalar:
        """D log p(v_i | all others), for one i of each sample; of samples rounded to 0 and 1.

        p(v_i | others) = exp(-F(v)) / (exp(-F(v)) + exp(-F(v~))) = sigmoid(F(v~) - F(v)), v~ being
        v with v_i turned over. The first sample's i is given, those of the others are spread evenly
        over the features: so the mean over a batch stands for all of them.
        """
        xp = get_array_module(x)
        n, n_features = x.shape
        v = (x > 0.5).astype(x.dtype)
        bits = (i + max(1, n_features // n) * xp.arange(n)) % n_features
        turned = xp.where(xp.arange(n_features) == bits[:, None], 1 - v, v)
        gain = self.free_energy(turned)[0] - self.free_energy(v)[0]
        log_sigmoid = xp.minimum(gain, 0) - xp.log1p(xp.exp(-xp.abs(gain)))
        return x.shape[1] * log_sigmoid.mean()


def drawn(mean: Array, units: str, rng: np.random.Generator) -> Array:
    """Units of these means: zeros and ones, or normal numbers of variance 1."""
    if units == "binary":
        level = to_device_of(rng.random(mean.shape, dtype="float32"), mean)
        return (level < mean).astype(mean.dtype)
    noise = rng.standard_normal(mean.shape, dtype="float32").astype(mean.dtype)
    return mean + to_device_of(noise, mean)
