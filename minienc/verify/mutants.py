"""The check's own power: would it notice a mistake?

Each gradient that passed is spoilt in the ways that programs are usually wrong, and held against
the differences that were taken already. What slips through is a mistake that this check, at this
point, could not have found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np


def mutants(g: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Wrong gradients made of a right one; those that change nothing are left out."""
    spoilt: list[tuple[str, np.ndarray]] = [
        ("the sign", -g),
        ("a factor 2", 2 * g),
        ("one per cent", 1.01 * g),
        ("all zero", np.zeros_like(g)),
    ]
    if g.ndim >= 1 and g.shape[0] > 1:
        spoilt.append(("a missing 1/N", g * g.shape[0]))
        row = g.copy()
        row[np.argmax(np.abs(g).reshape(len(g), -1).sum(axis=1))] = 0
        spoilt.append(("a row zeroed", row))
        spoilt.append(("rows shifted by one", np.roll(g, 1, axis=0)))
        spoilt.append(("the last step alone", np.concatenate([np.zeros_like(g[:-1]), g[-1:]])))
    if g.ndim == 2 and g.shape[0] == g.shape[1]:
        spoilt.append(("transposed", g.T))
    if g.ndim == 2:
        spoilt.append(("transposed in memory", g.T.reshape(g.shape)))
    if g.size:
        one = g.copy()
        one.flat[np.argmax(np.abs(g))] = 0
        spoilt.append(("an element zeroed", one))
        spoilt.append(("a mask forgotten", np.where(g == 0, np.abs(g).max(), g)))
        spoilt.append(("clipped", np.clip(g, -np.abs(g).mean(), np.abs(g).mean())))
    for name, wrong in spoilt:
        if not np.allclose(wrong, g, rtol=1e-4, atol=0):
            yield name, wrong


def count_caught(
    gradients: dict[str, np.ndarray | None], is_wrong: Callable[[str, np.ndarray], bool]
) -> tuple[int, int]:
    """(planted, noticed) over all gradients."""
    planted = noticed = 0
    for name, g in gradients.items():
        if g is None or np.size(g) == 0:
            continue
        for _, wrong in mutants(np.asarray(g, dtype=np.float64)):
            planted += 1
            noticed += is_wrong(name, wrong)
    return planted, noticed
