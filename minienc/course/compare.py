"""Whether two results are the same, whatever they are made of, and how a difference is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minienc.course.wire import Strange, Value, plain

Path = tuple[Any, ...]


def same(a: Value, b: Value, rtol: float) -> bool:
    """Whether a is b, to rtol of the largest number of each array in b."""
    return next(differences(a, b, rtol), None) is None


def differences(a: Value, b: Value, rtol: float, name: str = "it") -> Iterator[str]:
    """Sentences about where a is not b. Only the first few elements of an array are told."""
    if isinstance(a, Strange) and isinstance(b, Strange) and a.told == b.told:
        return
    if isinstance(a, Strange):
        yield f"{name} is {a.told}, expected {describe(b)}"
    elif _is_numeric(b):
        yield from _of_arrays(a, b, rtol, name)
    elif isinstance(b, (list, tuple)):
        if isinstance(a, np.ndarray) and a.ndim and all(map(_is_numeric, b)):
            a = a.tolist()  # an array of the numbers does as well
        if not isinstance(a, (list, tuple)) or len(a) != len(b):
            yield f"{name} is {describe(a)}, expected {describe(b)}"
            return
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, rtol, f"{name}[{i}]")
    elif isinstance(b, dict):
        if not isinstance(a, dict) or set(a) != set(b):
            yield f"{name} is {describe(a)}, expected {describe(b)}"
            return
        for k in b:
            yield from differences(a[k], b[k], rtol, f"{name}[{k!r}]")
    elif not _same_word(a, b):
        yield f"{name} is {describe(a)}, which is not right"


def _is_numeric(x: Value) -> bool:
    return isinstance(x, (np.ndarray, np.generic, int, float)) and not isinstance(x, bool)


def _same_word(a: Value, b: Value) -> bool:
    if isinstance(a, str) and isinstance(b, str):
        return a.strip().casefold() == b.strip().casefold()
    return type(a) is type(b) and bool(a == b)


def _of_arrays(a: Value, b: Value, rtol: float, name: str) -> Iterator[str]:
    if not _is_numeric(a) and not (isinstance(a, (list, tuple)) and np.ndim(b)):
        yield f"{name} is {describe(a)}, expected {describe(b)}"
        return
    try:
        x, y = as_floats(a), as_floats(b)
    except (ValueError, TypeError):
        yield f"{name} is {describe(a)}, expected {describe(b)}"
        return
    if x.shape != y.shape:
        yield f"{name} is {describe(a)}, expected {describe(b)}"
        return
    wrong = _apart(x, y, rtol)
    if wrong.any():
        yield (
            f"{name} is wrong in {int(wrong.sum())} of {wrong.size} numbers, {worst(x, y, name)}"
            if wrong.size > 1
            else f"{name} is {x.item():.6g}, which is not right"
        )


def as_floats(x: Value) -> np.ndarray:
    """Numbers as float64.

    Raises
    ------
    TypeError, ValueError
        If they are complex, or none.
    """
    if np.iscomplexobj(x):
        raise TypeError("complex numbers are no real ones")
    return np.asarray(x, np.float64)


def _apart(x: np.ndarray, y: np.ndarray, rtol: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        finite = np.abs(y[np.isfinite(y)])
        near = np.abs(x - y) <= rtol * max(float(finite.max(initial=0)), 1e-300)
    return ~(near | (x == y) | (np.isnan(x) & np.isnan(y)))


def worst(x: np.ndarray, y: np.ndarray, name: str) -> str:
    """The element that is furthest from right, without saying what is right."""
    with np.errstate(all="ignore"):
        gap = np.nan_to_num(np.abs(x - y), nan=np.inf, posinf=np.inf)
    index = np.unravel_index(int(np.argmax(gap)), gap.shape)
    at = ", ".join(str(int(i)) for i in index)
    return f"most at {name}[{at}], which is {x[index]:.6g}"


def gap(a: Value, b: Value) -> float:
    """How far a lies from b, of the largest number of b; infinite where they do not compare."""
    x, y = as_floats(a), as_floats(b)
    if x.shape != y.shape:
        return float("inf")
    size = float(np.abs(y).max(initial=0))
    return float(np.abs(x - y).max(initial=0)) / size if size else 0.0


def describe(x: Value) -> str:
    """A value in few words."""
    if isinstance(x, Strange):
        return x.told
    if isinstance(x, (np.ndarray, np.generic)):
        x = np.asarray(x)
        kind = "" if x.dtype.kind == "f" else f" of {x.dtype}"
        return f"an array {x.shape}{kind}" if x.shape else f"the number {x.item()!r:.20}"
    if isinstance(x, (list, tuple)):
        return f"a {type(x).__name__} of {len(x)}"
    if isinstance(x, dict):
        return f"a dictionary of {plain(', '.join(map(str, list(x)[:6])), 80) or 'nothing'}"
    return "nothing (None)" if x is None else f"{x!r:.60}"
