"""The same numbers laid out otherwise, and the same function with one sample.

A backward that was tried on fresh C-ordered arrays alone may fail on a transposed one, on every
second column, on a row that is broadcast, on an array that must not be written to; and a squeeze
or a broadcast that went unnoticed with five samples shows with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minienc.verify.subject import Arguments, Outputs, Subject


def _fortran(a: np.ndarray) -> np.ndarray:
    return np.asfortranarray(a)


def _backwards(a: np.ndarray) -> np.ndarray:
    """Negative strides along every axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def _every_second(a: np.ndarray) -> np.ndarray:
    """Every second column of a wider array."""
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 7, dtype=a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def _one_row(a: np.ndarray) -> np.ndarray:
    """The first row for all rows: a stride of 0 along the first axis."""
    return np.broadcast_to(a[:1], a.shape)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "in Fortran order (transposed)": _fortran,
    "with negative strides": _backwards,
    "with every second column of a wider array": _every_second,
    "read-only": _read_only,
    "broadcast (stride 0)": _one_row,
}


def check_layouts(subject: Subject, given: Arguments, v: Outputs) -> list[str]:
    """A sentence for each layout that changes what comes out."""
    found = []
    v = tuple(c.astype(part.dtype) for c, part in zip(v, subject.forward(given)[0], strict=True))
    for name, lay in LAYOUTS.items():
        if subject.fixed and lay is _one_row:
            continue  # that is another point
        laid = {k: _laid(a, lay) for k, a in given.items()}
        plain = {k: a.copy() if isinstance(a, np.ndarray) else a for k, a in laid.items()}
        vs = tuple(_laid(c, lay) for c in v)
        try:
            plain_vs = tuple(c.copy() for c in vs)
            expected = _run(subject, plain, plain_vs)
            nudged = {k: _nudged(a) for k, a in plain.items()}
            beside = _run(subject, nudged, tuple(_nudged(c) for c in vs))
        except Exception:  # the point itself is refused (labels, probabilities): not the layout
            continue
        try:
            got = _run(subject, laid, vs)
        except Exception as error:  # whatever it raises is what the student has to see
            found.append(f"with arrays {name} it raises {type(error).__name__}: {error}")
            continue
        wrong = [k for k in expected if not _close(got[k], expected[k], beside[k])]
        if wrong:
            found.append(f"with arrays {name}, other numbers come out: {', '.join(wrong)}")
    return found


def _laid(a: Any, lay: Callable[[np.ndarray], np.ndarray]) -> Any:
    return lay(a) if isinstance(a, np.ndarray) and a.ndim and a.size else a


def _run(subject: Subject, arguments: Arguments, v: Outputs) -> dict[str, np.ndarray | None]:
    """Outputs and gradients by name, as copies."""
    with np.errstate(all="ignore"):
        y, cache = subject.forward(arguments)
        gradients = subject.backward(v, cache)
    named = {f"output {i}": part for i, part in enumerate(y)}
    named |= {f"the gradient of {k}": g for k, g in gradients.items()}
    return {k: None if a is None else np.array(a) for k, a in named.items()}


def _nudged(a: Any) -> Any:
    """The next number to each, upwards or downwards by turns: what changes by that is rounding
    (where all rows are the same, batch normalisation divides rounding by its epsilon)."""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        return a
    upwards = np.random.default_rng(0).random(a.shape) < 0.5
    return np.nextafter(a, np.where(upwards, np.inf, -np.inf).astype(a.dtype))


def _close(a: np.ndarray | None, b: np.ndarray | None, beside: np.ndarray | None) -> bool:
    """Equal but for rounding: a thousandfold of what the next numbers change, at least."""
    if a is None or b is None or beside is None:
        return a is b
    if a.shape != b.shape:
        return False
    eps = np.finfo(b.dtype).eps if b.dtype.kind == "f" else 0.0
    a, b, beside = (x.astype(np.float64) for x in (a, b, beside))
    finite = np.isfinite(b)
    size = np.abs(b[finite]).max(initial=0)
    rounding = np.abs((beside - b)[finite & np.isfinite(beside)]).max(initial=0)
    atol = max(1e4 * eps * size, 1e3 * rounding, 1e-300)
    return bool(np.allclose(a, b, rtol=0, atol=atol, equal_nan=True))


def one_sample(subject: Subject, given: Arguments, y: Outputs) -> Arguments | None:
    """The arguments with one sample, where the function takes that; None where it does not.

    Samples are along the first axis of the first argument and of every output; other arguments
    with as many rows are cut, too, if the function then runs and gives one row.
    """
    if not subject.has_samples:
        return None
    first = next(iter(given.values()))
    n = first.shape[0] if getattr(first, "ndim", 0) else 0
    if n < 2 or any(part.ndim and part.shape[0] != n for part in y):
        return None
    arrays = [*(a for a in given.values() if hasattr(a, "shape")), *y]
    if len(given) > 1 and any(n in a.shape[1:] for a in arrays):
        return None  # a bias of n units would be cut as if it were n samples
    for names in _candidates(given, n):
        cut = {k: a[:1].copy() if k in names else a for k, a in given.items()}
        try:
            with np.errstate(all="ignore"):
                one, _ = subject.forward(cut)
        except Exception:  # a weight matrix was cut, or one sample is refused
            continue
        if all(
            a.shape == ((1, *b.shape[1:]) if b.ndim else ()) for a, b in zip(one, y, strict=True)
        ):
            return cut if all(np.isfinite(a).all() for a in one) else None
    return None


def _candidates(given: Arguments, n: int) -> Iterator[set[str]]:
    """All arrays with n rows; the first alone."""
    rows = {k for k, a in given.items() if getattr(a, "ndim", 0) and a.shape[0] == n}
    yield rows
    yield {next(iter(given))}


def couples_samples(subject: Subject, arguments: Arguments, y: Outputs) -> bool:
    """Whether a sample's output changes with another sample's input, as in batch normalisation."""
    name, first = next(iter(arguments.items()))
    if getattr(first, "ndim", 0) == 0 or first.dtype.kind != "f" or len(first) < 2:
        return False
    if any(part.ndim == 0 or part.shape[0] != len(first) for part in y):
        return False
    moved = first.copy()
    moved[0] += 0.1 * (1 + np.abs(moved[0]))
    try:
        with np.errstate(all="ignore"):
            other = subject.outputs({**arguments, name: moved})
    except Exception:  # it refuses the other point
        return False
    return any(
        a.shape == b.shape and not np.array_equal(a[1:], b[1:], equal_nan=True)
        for a, b in zip(other, y, strict=True)
    )
