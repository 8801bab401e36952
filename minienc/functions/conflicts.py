"""Gradients of several tasks by the same weights: how they stand to one another, and made to agree.

Two tasks are in conflict where their gradients' cosine is below 0: a step down the one's loss is a
step up the other's. ``project_conflicts`` takes from each gradient what goes against another.
"""

from __future__ import annotations

from minienc.arrays import get_array_module
from minienc.shapes import check_shapes


def norms_and_cosines(G):
    """How long the gradients G (K, P) are, and the cosines between them: (K,), (K, K).

    A gradient of length 0 has no direction: its cosines are 0.
    """
    check_shapes("norms_and_cosines", "G: K P", G)
    xp = get_array_module(G)
    top = abs(G).max(axis=1, keepdims=True) if G.shape[1] else G.sum(axis=1, keepdims=True)
    scaled = G / xp.where(top > 0, top, 1)  # so that no square is too small or too large for it
    lengths = xp.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
    directions = scaled / xp.where(lengths > 0, lengths, 1)
    return (lengths * top)[:, 0], xp.clip(directions @ directions.T, -1, 1)


def project_conflicts(G, orders):
    """One gradient (P,) of those of K tasks, G (K, P), that goes against none of them needlessly.

        for each task i:   p = g_i
            for the other tasks j, in a random order:
                if p . g_j < 0:   p = p - (p . g_j) / |g_j|^2  g_j
        the gradient is the sum of all p

    p loses what goes against g_j and keeps the rest. Of two tasks neither p goes against the other
    afterwards; of more, a later projection may bring back a little of what an earlier one took.
    Where no cosine is below 0 nothing is changed: the result is the plain sum.

    Parameters
    ----------
    G : array (K, P)
        Of the shared weights.
    orders : integers (K, K), on the host
        Row i: the order in which task i meets the tasks; itself it passes over.

    Notes
    -----
    Source: Yu, Kumar, Gupta, Levine, Hausman and Finn 2020, "Gradient surgery for multi-task
    learning" (PCGrad), algorithm 1.
    """
    check_shapes("project_conflicts", "G: K P", G)
    total = get_array_module(G).zeros_like(G[0])
    squares = (G * G).sum(axis=1)
    for i, order in enumerate(orders):
        p = G[i].copy()
        for j in order:
            along = p @ G[j]
            if j != i and along < 0 and squares[j] > 0:
                p = p - along / squares[j] * G[j]
        total = total + p
    return total
