"""The same numbers laid out otherwise.

A backward that was tried on fresh C-ordered arrays alone may fail on a transposed one, on every
second column, on a row that is broadcast, or on an array that must not be written to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, Trial, own


def _backwards(a: np.ndarray) -> np.ndarray:
    """Negative strides along every axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def _every_second(a: np.ndarray) -> np.ndarray:
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
    "in Fortran order (transposed)": np.asfortranarray,
    "with negative strides": _backwards,
    "with every second column of a wider array": _every_second,
    "read-only": _read_only,
    "broadcast (stride 0)": _one_row,
}


def check_layouts(trial: Trial, eps: float) -> tuple[list[str], list[str]]:
    """A sentence for each layout that changes what comes out, and one for each that is refused:
    what was written for C or PyTorch says so by raising, and no wrong number comes of it."""
    found, refused, (subject, given) = [], [], trial[:2]
    y, _ = subject.forward(own(given))
    v = tuple(c.astype(part.dtype) for c, part in zip(trial.v, y, strict=True))
    for name, lay in LAYOUTS.items():
        if subject.fixed and lay is _one_row:
            continue  # that is another point
        laid = {k: _laid(a, lay) for k, a in given.items()}
        plain = own(laid)
        vs = tuple(_laid(c, lay) for c in v)
        try:
            plain_vs = tuple(c.copy() for c in vs)
            expected = _run(subject, own(plain), plain_vs)
            nudged = {k: _nudged(a) for k, a in plain.items()}
            next_to_it = _run(subject, nudged, tuple(_nudged(c) for c in vs))
        except Exception:  # the point itself is refused (labels, probabilities): not the layout
            continue
        try:
            got = _run(subject, laid, vs)
        except Exception as error:  # whatever it raises is what the student has to see
            refused.append(f"with arrays {name} it raises {type(error).__name__}: {error}")
            continue
        wrong = [k for k in expected if not _close(got[k], expected[k], next_to_it[k], eps)]
        wrong = [k for k in wrong if not _is_rounding(k, got[k], expected[k], trial)]
        if wrong:
            found.append(f"with arrays {name}, other numbers come out: {', '.join(wrong)}")
    return found, refused


def _laid(a: object, lay: Callable[[np.ndarray], np.ndarray]) -> Any:
    return lay(a) if isinstance(a, np.ndarray) and a.ndim and a.size else a


def _run(subject: Subject, arguments: Arguments, v: Outputs) -> dict[str, np.ndarray | None]:
    """Outputs and gradients by name, as copies."""
    y, cache = subject.forward(arguments)
    gradients = subject.backward(v, cache)
    named = {f"output {i}": part for i, part in enumerate(y)}
    named |= {f"the gradient of {k}": g for k, g in gradients.items()}
    return {k: None if a is None else np.array(a) for k, a in named.items()}


def _nudged(a: object) -> Any:
    """The next number to each, upwards or downwards by turns: what changes by that is rounding
    (where all rows are the same, batch normalisation divides rounding by its epsilon)."""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        return a
    upwards = np.random.default_rng(0).random(a.shape) < 0.5
    return np.nextafter(a, np.where(upwards, np.inf, -np.inf).astype(a.dtype))


def _is_rounding(what: str, a: np.ndarray | None, b: np.ndarray | None, trial: Trial) -> bool:
    """A gradient that is no more than what rounding left, as 1 - y^2 where all is saturated."""
    name = what.removeprefix("the gradient of ")
    if name not in trial.subject.differentiable or a is None or b is None or a.shape != b.shape:
        return False
    floor = 64 * float(np.finfo(b.dtype).eps) * trial.natural_size(name)
    return bool(np.abs(a - b).max(initial=0) <= floor)


def _close(
    a: np.ndarray | None, b: np.ndarray | None, nudged: np.ndarray | None, eps: float
) -> bool:
    """Equal but for rounding: a thousandfold of what the next numbers change, at least."""
    if a is None or b is None or nudged is None:
        return a is b
    if a.shape != b.shape:
        return False
    eps = max(eps, float(np.finfo(b.dtype).eps)) if b.dtype.kind == "f" else 0.0
    a, b, nudged = (x.astype(np.float64) for x in (a, b, nudged))
    finite = np.isfinite(b)
    size = np.abs(b[finite]).max(initial=0)
    rounding = np.abs((nudged - b)[finite & np.isfinite(nudged)]).max(initial=0)
    atol = max(1e4 * eps * size, 1e3 * rounding, 1e-300)
    return bool(np.allclose(a, b, rtol=0, atol=atol, equal_nan=True))
