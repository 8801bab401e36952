"""Where k-means begins: samples far from each other, drawn several times; the best draw goes on.

Source: Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding", section 2.2.
"""

from __future__ import annotations

import numpy as np

from minienc.functions.clustering import squared_distances_forward

MAX_ROUNDS = 100  # of each beginning


def best_beginning(x: np.ndarray, k: int, n_init: int, rng: np.random.Generator) -> np.ndarray:
    """Of ``n_init`` times k-means++ and Lloyd's algorithm, the centroids of the least inertia.

    Each goes on until it rests: which one is best cannot be told from the first rounds. All of it
    happens around the samples' middle, in float64, so that no digit is lost to where they lie.
    """
    middle, dtype = x.mean(axis=0, dtype=float), x.dtype
    x = x - middle
    best, least = None, np.inf
    for _ in range(n_init):
        C, before = plus_plus(x, k, rng), np.full(len(x), -1)
        for _ in range(MAX_ROUNDS):
            d, _ = squared_distances_forward(x, C)
            nearest = d.argmin(axis=1)
            if (nearest == before).all():
                break
            member = (nearest[:, None] == np.arange(k)).astype(x.dtype)  # (N, K)
            counts, before = member.sum(axis=0)[:, None], nearest
            C = np.where(counts > 0, (member.T @ x) / np.maximum(counts, 1), C)
        inertia = float(squared_distances_forward(x, C)[0].min(axis=1).sum(dtype=float))
        if best is None or inertia < least:
            best, least = C, inertia
    assert best is not None
    return (best + middle).astype(dtype)


def plus_plus(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k samples, each drawn in proportion to its squared distance from those before it."""
    chosen = [int(rng.integers(len(x)))]
    d = np.full(len(x), np.inf)
    for _ in range(k - 1):
        d = np.minimum(d, squared_distances_forward(x, x[chosen[-1:]])[0][:, 0])
        total = d.sum(dtype=float)
        p = d / total if total > 0 else np.full(len(x), 1 / len(x))
        chosen.append(int(np.searchsorted(np.cumsum(p), rng.random() * p.sum())))
        chosen[-1] = min(chosen[-1], len(x) - 1)
    return x[chosen].copy()
