"""The check's own power: would it notice a mistake?

Each gradient that passed is spoilt in the ways that programs are usually wrong, and held against
the differences that were taken already. What slips through is a mistake that this check, at this
point, could not have found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minienc.verify.lesson.formulas import candidates
from minienc.verify.subject import Arguments, Trial

Mutant = tuple[str, str, np.ndarray]  # the argument, what is wrong, the wrong gradient


def plant(trial: Trial, gradients: dict[str, Any]) -> list[Mutant]:
    """Wrong gradients made of right ones; those that change nothing are left out."""
    planted, arguments = [], trial.arguments
    others = dict(_of_other_calls(trial))
    for name, right in gradients.items():
        if right is None or np.size(right) == 0:
            continue
        g = np.asarray(right, dtype=np.float64)
        spoilt = [*_of_array(g), *_of_indices(g, arguments)]
        spoilt += [(kind, found[name]) for kind, found in others.items()]
        spoilt += candidates(name, g.shape, arguments, trial.v, None)
        for kind, wrong in spoilt:
            if wrong is None or np.shape(wrong) != g.shape or not np.isfinite(wrong).all():
                continue
            if not np.allclose(wrong, g, rtol=1e-4, atol=1e-9 * np.abs(g).max()):
                planted.append((name, kind, np.asarray(wrong, dtype=np.float64)))
    return planted


def _of_array(g: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What can be done to any array."""
    yield "the sign", -g
    yield "a factor 2", 2 * g
    yield "one per cent", 1.01 * g
    yield "all zero", np.zeros_like(g)
    one = g.copy()
    one.flat[np.argmax(np.abs(g))] = 0
    yield "an element zeroed", one
    yield "a missing mask", np.where(g == 0, np.abs(g).max(), g)
    yield "clipped", np.clip(g, -np.abs(g).mean(), np.abs(g).mean())
    if g.ndim >= 1 and len(g) > 1:
        yield "a missing 1/N", g * len(g)
        row = g.copy()
        row[np.argmax(np.abs(g).reshape(len(g), -1).sum(axis=1))] = 0
        yield "a row zeroed", row
        yield "rows shifted by one", np.roll(g, 1, axis=0)
    if g.ndim == 2:
        yield "transposed", g.T if g.shape[0] == g.shape[1] else g.T.reshape(g.shape)


def _of_indices(g: np.ndarray, arguments: Arguments) -> Iterator[tuple[str, np.ndarray]]:
    """``dW[ids] += dy`` instead of ``np.add.at``: a row that is used twice is counted once."""
    for ids in arguments.values():
        if getattr(getattr(ids, "dtype", None), "kind", "") not in ("i", "u") or not g.ndim:
            continue
        used, counts = np.unique(ids, return_counts=True)
        repeated = used[(counts > 1) & (used >= 0) & (used < len(g))]
        if len(repeated):
            lost = g.copy()
            lost[repeated] /= 2
            yield "a lost repeated index", lost


def _of_other_calls(trial: Trial) -> Iterator[tuple[str, dict[str, Any]]]:
    """The backward itself, given the wrong cache or a part of the cotangent."""
    subject, arguments, v = trial.subject, trial.arguments, trial.v
    if subject.fixed:
        return
    moved = {
        k: a + 0.05 * (1 + np.abs(a)) if k in subject.differentiable else a
        for k, a in arguments.items()
    }
    try:
        _, stale = subject.forward(moved)
        yield "a stale cache", subject.backward(v, stale)
    except Exception:  # a point that the function refuses (probabilities, say) makes no mutant
        pass
    if any(part.ndim == 3 and part.shape[1] > 1 for part in v):
        last = tuple(
            np.where(np.arange(c.shape[1])[:, None] == c.shape[1] - 1, c, 0) if c.ndim == 3 else c
            for c in v
        )
        _, cache = subject.forward(arguments)
        yield "the last time step alone", subject.backward(last, cache)
