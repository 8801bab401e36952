"""One sample instead of many, and samples that depend on each other.

A squeeze or a broadcast that goes unnoticed with five samples shows with one; and where a sample's
output depends on the others of its batch, a gradient holds for that batch alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minienc.verify.examine import holds_along_a_direction
from minienc.verify.line import Outputs
from minienc.verify.measure import Meter
from minienc.verify.subject import Arguments, Trial, try_out


def check_one_sample(meter: Meter) -> list[str] | None:
    """Check once more with N = 1, along one direction each; None where the function has no
    samples, or does not take one alone."""
    trial = meter.trial
    given = _one_sample(trial)
    if given is None:
        return None
    try:
        one = try_out(trial.subject, given, meter.rng)
    except Exception as error:  # whatever it raises is what the student has to see
        return [f"with one sample (N = 1) the backward raises {type(error).__name__}: {error}"]
    found, alone = [], Meter(one, meter.rng, meter.eps, meter.rtol)
    for name in trial.subject.differentiable:
        x, g = given[name], one.gradients[name]
        if g is None or name in trial.subject.stopped or x.size == 0:
            continue
        if np.shape(g) != x.shape:
            found.append(
                f"with one sample (N = 1) the gradient of {name} has shape {np.shape(g)}, expected "
                f"{x.shape}"
            )
        elif holds_along_a_direction(alone, name) is False:
            found.append(f"with one sample (N = 1) the gradient of {name} is wrong")
    return found


def _one_sample(trial: Trial) -> Arguments | None:
    """The arguments with one sample, where the function takes that; None where it does not.

    Samples are along the first axis of the first argument and of every output; other arguments
    with as many rows are cut, too, if the function then runs and gives one row.
    """
    subject, given, y = trial.subject, trial.arguments, trial.y
    if not subject.has_samples or subject.surrogate is not None:
        return None
    first = next(iter(given.values()))
    n = first.shape[0] if getattr(first, "ndim", 0) else 0
    if n < 2 or any(part.ndim and part.shape[0] != n for part in y):
        return None
    arrays = [*(a for a in given.values() if hasattr(a, "shape")), *y]
    if len(given) > 1 and any(n in a.shape[1:] for a in arrays):
        return None  # a bias of n units would be cut as if it were n samples
    for names in _which_to_cut(given, n):
        cut = {k: a[:1].copy() if k in names else a for k, a in given.items()}
        try:
            one, _ = subject.forward(cut)
        except Exception:  # a weight matrix was cut, or one sample is refused
            continue
        if _have_samples(one, y, 1) and _takes_others(trial, names, n):
            return cut if all(np.isfinite(a).all() for a in one) else None
    return None


def _have_samples(some: Outputs, y: Outputs, n: int) -> bool:
    """Whether outputs are shaped like y with n samples."""
    return all(
        a.shape == ((n, *b.shape[1:]) if b.ndim else ()) for a, b in zip(some, y, strict=True)
    )


def _takes_others(trial: Trial, names: set[str], n: int) -> bool:
    """Whether it takes other numbers of samples, too. One alone may be taken by broadcasting only:
    labels that are no arguments are still as many as they were."""
    for rows in (np.arange(n - 1), np.arange(n + 1) % n):
        if len(rows) == 1:
            continue
        other = {k: a[rows] if k in names else a for k, a in trial.arguments.items()}
        try:
            if _have_samples(trial.subject.forward(other)[0], trial.y, len(rows)):
                return True
        except Exception:  # it knows how many they are
            continue
    return False


def _which_to_cut(given: Arguments, n: int) -> Iterator[set[str]]:
    """All arrays with n rows; the first alone."""
    rows = {k for k, a in given.items() if getattr(a, "ndim", 0) and a.shape[0] == n}
    yield rows
    yield {next(iter(given))}


def couples_samples(trial: Trial) -> bool:
    """Whether a sample's output changes with another sample's input, as in batch normalisation."""
    name, first = next(iter(trial.arguments.items()))
    if getattr(first, "ndim", 0) == 0 or first.dtype.kind != "f" or len(first) < 2:
        return False
    if any(part.ndim == 0 or part.shape[0] != len(first) for part in trial.y):
        return False
    moved = first.copy()
    moved[0] += 0.1 * (1 + np.abs(moved[0]))
    try:
        other = trial.subject.outputs({**trial.arguments, name: moved})
    except Exception:  # it refuses the other point
        return False
    return any(
        a.shape == b.shape and not np.array_equal(a[1:], b[1:], equal_nan=True)
        for a, b in zip(other, trial.y, strict=True)
    )
