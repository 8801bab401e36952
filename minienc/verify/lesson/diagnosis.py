"""From wrong numbers to a likely mistake, where a pattern fits."""

from __future__ import annotations

import numpy as np

from minienc.verify.findings import TensorResult
from minienc.verify.lesson.formulas import candidates
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Trial


def diagnose(result: TensorResult, trial: Trial, numeric: np.ndarray | None) -> list[str]:
    """Sentences that say what the mistake looks like; none where nothing fits."""
    name, gradient = result.name, trial.gradients[result.name]
    arguments, v, y = trial.arguments, trial.v, trial.y
    if gradient is None:
        return []
    yours = np.asarray(gradient, dtype=np.float64)
    if yours.shape != result.shape:
        return _of_shapes(name, yours, result.shape, v)
    if numeric is None:
        pairs = np.array([(e.yours, e.numeric) for e in result.wrong])
        return _of_ratio(name, pairs, arguments, y) if len(pairs) > 1 else []
    pairs = np.stack([yours.ravel(), numeric.ravel()], axis=1)
    return (
        _of_zero(name, yours)
        or _of_ratio(name, pairs, arguments, y)
        or _of_arrangement(name, yours, numeric)
        or _of_formulas(name, yours, arguments, v, y)
        or _of_rows(name, yours, numeric, arguments)
        or _of_mask(name, yours, numeric)
        or _of_sums(name, yours, numeric)
    )


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-7 * max(np.abs(b).max(initial=0), 1e-300)))


def _of_zero(name: str, yours: np.ndarray) -> list[str]:
    return [] if yours.any() else [f"your d{name} is zero everywhere: is it ever written?"]


def _of_ratio(name: str, pairs: np.ndarray, arguments: Arguments, y: Outputs) -> list[str]:
    """One factor between all elements."""
    pairs = pairs[np.abs(pairs[:, 1]) > 1e-6 * np.abs(pairs[:, 1]).max(initial=0)]
    if len(pairs) == 0:
        return []
    ratio = float(np.median(pairs[:, 0] / pairs[:, 1]))
    if ratio == 0 or abs(ratio - 1) < 1e-3 or not _close(pairs[:, 0], ratio * pairs[:, 1]):
        return []
    if abs(ratio + 1) < 1e-4:
        return [f"your d{name} has the wrong sign"]
    # of a loss, which is one number, the first argument tells the sizes
    first = y[0] if y[0].ndim else np.asarray(next(iter(arguments.values())))
    batch = first.shape[0] if first.ndim else 0
    elements = "the number of outputs" if y[0].ndim else "the number of elements"
    for number, what in ((batch, "the batch size"), (first.size, elements)):
        if number > 2 and abs(ratio / number - 1) < 1e-4:
            return [
                f"your d{name} is {number} times too large: {number} is {what}, is the 1/N missing?"
            ]
        if number > 2 and abs(ratio * number - 1) < 1e-4:
            return [
                f"your d{name} is {number} times too small: {number} is {what}, was a sum turned "
                f"into a mean?"
            ]
    return [f"your d{name} is {ratio:.4g} times what it should be, everywhere"]


def _of_arrangement(name: str, yours: np.ndarray, numeric: np.ndarray) -> list[str]:
    """The right numbers in the wrong places."""
    if yours.ndim == 2 and yours.shape[0] == yours.shape[1] and _close(yours.T, numeric):
        return [f"your d{name} equals the transpose of the right one"]
    if yours.ndim == 2 and _close(yours, numeric.T.reshape(yours.shape)):
        return [f"your d{name} has the numbers of the transpose, reshaped: transpose instead"]
    if yours.ndim >= 1 and len(yours) > 1:
        right = np.array([_close(a, b) for a, b in zip(yours, numeric, strict=True)])
        if right[-1] and not right[:-1].any() and not yours[:-1].any():
            return [f"only the last row of your d{name} is written: is it inside the loop?"]
    if yours.ndim == 3 and not yours[:, :-1].any() and _close(yours[:, -1], numeric[:, -1]):
        return [
            f"only the last time step of your d{name} contributes: does the loop end too early?"
        ]
    return []


def _of_formulas(
    name: str, yours: np.ndarray, arguments: Arguments, v: Outputs, y: Outputs
) -> list[str]:
    """A dense layer's backward with a common mistake."""
    for mistake, value in candidates(name, yours.shape, arguments, v, y):
        if _close(yours, value):
            return [f"your d{name}: {mistake}"]
    return []


def _of_mask(name: str, yours: np.ndarray, numeric: np.ndarray) -> list[str]:
    """Right except where it should be zero: what the forward cut off gets a gradient, too."""
    size = np.abs(numeric).max(initial=0)
    dead = np.abs(numeric) <= 1e-9 * size
    if not dead.any() or dead.all() or not yours[dead].any():
        return []
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


def _of_shapes(name: str, yours: np.ndarray, expected: tuple[int, ...], v: Outputs) -> list[str]:
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
