"""Annealed importance sampling: how large the Z of a Boltzmann machine is.

    p_beta(v, h) = exp(-beta E(v, h)) / Z_beta,     beta from 0 to 1 in small steps

At beta = 0 every state is as probable as any other, and Z = 2^(D + M). On the way to the machine
itself, at beta = 1, each chain is weighted at each step by how much more probable its state became,
exp(F_before(v) - F_beta(v)), and then moves. The mean weight estimates Z_1 / Z_0, without bias.

Source: Neal 2001, "Annealed importance sampling"; Salakhutdinov and Murray 2008, "On the
quantitative analysis of deep belief networks", section 3.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from minienc.functions.activations import sigmoid_forward


def log_partition(
    W: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    n_chains: int,
    n_steps: int,
    rng: np.random.Generator,
) -> float:
    """log Z of binary units: W (D, M), visible biases b (D,), hidden biases c (M,), in float64."""
    v = (rng.random((n_chains, len(b))) < 0.5).astype(float)
    log_weight = np.zeros(n_chains)
    for before, beta in itertools.pairwise(np.linspace(0, 1, n_steps + 1)):
        a = v @ W + c
        for t, sign in ((beta, 1), (before, -1)):  # -F(v) of the machine with t W, t b, t c
            log_weight += sign * (t * (v @ b) + np.logaddexp(0, t * a).sum(axis=1))
        h = rng.random(a.shape) < sigmoid_forward(beta * a)[0]
        v = (rng.random(v.shape) < sigmoid_forward(beta * (h @ W.T + b))[0]).astype(float)
    greatest = log_weight.max()
    mean = np.log(np.exp(log_weight - greatest).mean()) + greatest
    return float(mean + (len(b) + len(c)) * math.log(2))
