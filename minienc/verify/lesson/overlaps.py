"""Sums that are overwritten: where windows overlap, one of them counts alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from minienc.verify.lesson.evidence import Evidence

MANY = 300  # elements, each of which takes evaluations of its own


def of_overlaps(
    name: str, yours: np.ndarray, numeric: np.ndarray | None, evidence: Evidence
) -> list[str]:
    """A sentence, if every wrong element is the part of the right sum that one place of the output
    gives to it, and every right one has but one such part."""
    if numeric is None or yours.size > MANY or len(evidence.trial.y) > 1 or evidence.is_late():
        return []
    shape = evidence.trial.y[0].shape
    parts = _parts(name, yours.shape, evidence)
    wrong = ~np.isclose(yours, numeric, rtol=1e-4, atol=1e-7 * np.abs(numeric).max(initial=0))
    for axes in _loops(len(shape)):
        summed = tuple(k + 1 for k in range(len(shape)) if k not in axes)
        by_place = parts.sum(axis=summed).reshape(yours.size, -1)
        near = np.isclose(by_place, yours.reshape(-1, 1), rtol=1e-4, atol=1e-9)
        several = (np.abs(by_place) > 0).sum(axis=1) > 1
        one_alone = (near & (by_place != 0)).any(axis=1)
        w = wrong.ravel()
        if w.sum() > 1 and (several & one_alone)[w].all() and not several[~w].any():
            return [
                f"your d{name} is wrong where several places of the output use the same number: it "
                f"has the part of one of them alone. Is `=` written for `+=`?"
            ]
    return []


def _parts(name: str, shape: tuple[int, ...], evidence: Evidence) -> np.ndarray:
    """What each output adds to each element of the gradient: (elements, *output)."""
    v, size = evidence.trial.v[0], int(np.prod(shape))
    rows = (evidence.change(name, d.reshape(shape))[0] for d in np.eye(size))
    parts = np.array([v * change for change in rows])
    return np.where(np.abs(parts) > 1e-7 * np.abs(parts).max(initial=0), parts, 0)


def _loops(ndim: int) -> Iterator[tuple[int, ...]]:
    """Which axes of the output are run over by a loop, most of them first."""
    for n in range(ndim, 0, -1):
        yield from combinations(range(ndim), n)
