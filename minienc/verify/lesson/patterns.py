"""Mistakes that show in the numbers of a gradient that was measured element by element."""

from __future__ import annotations

import numpy as np

from minienc.verify.lesson.evidence import Evidence
from minienc.verify.lesson.formulas import candidates
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments


def of_places(
    name: str, yours: np.ndarray, numeric: np.ndarray | None, arguments: Arguments
) -> list[str]:
    """A sentence about where the wrong elements are."""
    if numeric is None:
        return []
    return _of_rows(name, yours, numeric, arguments) or _of_mask(name, yours, numeric)


def of_sizes(
    name: str, yours: np.ndarray, numeric: np.ndarray | None, evidence: Evidence
) -> list[str]:
    """A sentence about how wrong they are, where the forward's operations say nothing."""
    if numeric is None:
        return []
    if evidence.operations:
        return _of_sums(name, yours, numeric)
    return (
        _of_formulas(name, yours, evidence)
        or _of_sums(name, yours, numeric)
        or _of_epsilon(name, yours, numeric)
    )


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-7 * max(np.abs(b).max(initial=0), 1e-300)))


def _of_mask(name: str, yours: np.ndarray, numeric: np.ndarray) -> list[str]:
    """Right except where it should be zero: what the forward cut off gets a gradient, too."""
    dead = np.abs(numeric) <= 1e-9 * np.abs(numeric).max(initial=0)
    if not dead.any() or dead.all() or not yours[dead].any():
        return []
    if not yours[~dead].any() and yours[dead].all():
        return [
            f"your d{name} is 0 where it should not be, and is not 0 where it should: is the mask "
            f"turned round?"
        ]
    if not _close(yours[~dead], numeric[~dead]):
        return []
    return [
        f"your d{name} is right but where it should be 0: is the mask missing (what relu, dropout, "
        f"max or clip cut off has no gradient)?"
    ]


def _of_sums(name: str, yours: np.ndarray, numeric: np.ndarray) -> list[str]:
    """The same total, distributed otherwise."""
    total = float(numeric.sum())
    if yours.ndim == 1 and abs(yours.sum() - total) <= 1e-6 * np.abs(numeric).sum():
        return [f"your d{name} has the right total: is it summed over the wrong axis?"]
    return []


def _of_formulas(name: str, yours: np.ndarray, evidence: Evidence) -> list[str]:
    """A dense layer's backward with a common mistake."""
    trial = evidence.trial
    for mistake, value in candidates(name, yours.shape, trial.arguments, trial.v, trial.y):
        if _close(yours, value):
            return [f"your d{name}: {mistake}"]
    return []


def _of_epsilon(name: str, yours: np.ndarray, numeric: np.ndarray) -> list[str]:
    """Nearly right: log(p + 1e-7) with the gradient of log(p)."""
    size = np.abs(numeric).max(initial=0)
    gap = float(np.abs(yours - numeric).max(initial=0) / size) if size > 0 else 1.0
    if not gap < 1e-4:
        return []
    return [f"your d{name} differs by {gap:.0e} only: an epsilon in the forward?"]


def _of_rows(name: str, yours: np.ndarray, numeric: np.ndarray, arguments: Arguments) -> list[str]:
    """Rows that are wrong just where an index occurs more than once."""
    if yours.ndim < 1:
        return []
    wrong = {i for i in range(len(yours)) if not _close(yours[i], numeric[i])}
    for k, ids in arguments.items():
        if getattr(getattr(ids, "dtype", None), "kind", "") not in ("i", "u"):
            continue
        values, counts = np.unique(ids, return_counts=True)
        repeated = {int(i): int(c) for i, c in zip(values, counts, strict=True) if c > 1}
        if wrong and wrong <= set(repeated):
            row = min(wrong)
            return [
                f"row {row} of your d{name} is index {row}'s, which occurs {repeated[row]} times "
                f"in {k}: was `+=` used with repeated indices? np.add.at adds them all"
            ]
    return []


def of_shapes(
    name: str,
    yours: np.ndarray,
    numeric: np.ndarray | None,
    expected: tuple[int, ...],
    v: Outputs,
) -> list[str]:
    """A gradient of another shape: transposed, summed over the wrong axis, not summed."""
    if yours.shape == expected[::-1]:
        return [f"your d{name} is transposed"]
    dy = v[0]
    if len(expected) == 1 and dy.ndim == 2 and yours.shape == (dy.shape[0],):
        return [f"your d{name} is summed over axis 1, the outputs; sum over axis 0, the batch"]
    if len(expected) == 1 and yours.shape == dy.shape:
        return [
            f"your d{name} is not summed: every sample used the same {name}, so sum over axis 0"
        ]
    return []
