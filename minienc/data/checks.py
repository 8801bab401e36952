"""Checks of the data, before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minienc.arrays import Array, device_of, is_array, on_device
from minienc.data.pixels import Pixels, Samples
from minienc.shapes import kind_of

_CHUNK = 1 << 20  # numbers checked together: a few MB, however large the data are
_SHOWN = 5  # rows named in a message

# By id: an array, which is held so that no other one has its id, its least and its largest number.
_known: ContextVar[dict[int, tuple[Any, float, float]] | None] = ContextVar("known", default=None)


class NotNumbers(TypeError, ValueError):
    """Data of a dtype that nothing can be learned from."""


def check_data(
    x: Samples,
    name: str = "X",
    domain: tuple[float, float] | None = None,
    minimum: int = 2,
    dtype: DTypeLike | None = None,
) -> None:
    """Refuse data from which nothing can be learned.

    Parameters
    ----------
    x : array, (N, ...)
        An ndarray, a memory map, ``Pixels``, or another array with ``shape``, ``dtype`` and
        slices. Of Pixels, which are always finite, only the domain is checked.
    name : str
        What the messages call it.
    domain : (low, high), optional
        Where all values have to lie, both ends included: (0, 1) for binary cross-entropy.
    minimum : int
        The fewest samples that make sense: 1 where nothing is fitted.
    dtype : dtype, optional
        What the values are about to become: they have to be finite in that, too.

    Raises
    ------
    TypeError
        If ``x`` is not an array, or holds objects, text, dates or complex numbers.
    ValueError
        If there are too few samples, NaN or infinity (the rows are named), or values outside
        ``domain``.

    Examples
    --------
    >>> check_data(np.ones((5, 2)))
    >>> try:
    ...     check_data(np.array([[1.0], [np.nan]]))
    ... except ValueError as error:
    ...     print(str(error).split(",")[0])
    X has NaN or infinity in 1 of 2 rows (row 1
    """
    _check_dtype(x, name)
    _check_count(x, name, minimum)
    if hasattr(x, "watch"):  # of shards each is looked at when it is read
        x.watch(domain=domain, dtype=dtype)
        return
    whole_numbers = x.dtype.kind in "bui"
    is_pixels = isinstance(x, Pixels)
    if x.size == 0 or (domain is None and (whole_numbers or is_pixels)):
        return
    with on_device(device_of(x) if is_array(x) else "cpu"):
        _check_values(x, name, (-np.inf, np.inf) if domain is None else domain, dtype)


@contextmanager
def looked_at_once() -> Iterator[None]:
    """Within the block, the numbers of an array are looked at once, however often it is checked: an
    autoencoder's samples are its targets. Nobody may change them meanwhile."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def _check_values(
    x: Samples, name: str, domain: tuple[float, float], dtype: DTypeLike | None
) -> None:
    (low, high), bad, seen_low, seen_high = domain, 0, np.inf, -np.inf
    first: list[int] = []
    known = _known.get()
    chunks = _chunks(x)
    if known is not None and id(x) in known:
        (_, seen_low, seen_high), chunks = known[id(x)], iter(())
    place: tuple[int, ...] = ()  # within the first of these rows, where a row has axes
    for start, chunk in chunks:
        # min and max are NaN where a value is; comparing with NaN is false, so it cannot pass
        with np.errstate(invalid="ignore"):
            least, most = float(chunk.min()), float(chunk.max())
        if -np.inf < least and most < np.inf:
            seen_low, seen_high = min(seen_low, least), max(seen_high, most)
            continue
        rows = _rows_not_finite(chunk)
        if not first and len(x.shape) > 2:
            place = _place_not_finite(chunk[int(rows[0])])
        bad += len(rows)
        first += [start + int(row) for row in rows[: _SHOWN - len(first)]]
    if bad:
        raise ValueError(_not_finite(name, first, place, bad, len(x)))
    if known is not None:
        known[id(x)] = x, seen_low, seen_high
    if seen_low < low or seen_high > high:
        raise ValueError(_outside(name, seen_low, seen_high, low, high))
    if dtype is not None and np.dtype(dtype).kind == "f":
        with np.errstate(over="ignore"):
            fits = np.isfinite(np.array([seen_low, seen_high]).astype(dtype)).all()
        if not fits:
            raise ValueError(
                f"{name} runs from {seen_low:.6g} to {seen_high:.6g}, and {np.dtype(dtype)} ends "
                f"at {np.finfo(dtype).max:.2g}; scale {name} down, or compute in float64"
            )


def numbers_of(x: Samples, name: str) -> Samples:
    """``x``; of an array of Python objects, the numbers that they are.

    Raises
    ------
    NotNumbers
        If one of them is no number, and no text of one.
    """
    if getattr(getattr(x, "dtype", None), "kind", None) != "O":
        return x
    try:
        return np.asarray(x).astype(float)
    except (TypeError, ValueError) as error:
        raise NotNumbers(
            f"{name} holds Python objects (dtype object), expected real numbers; {_mend(x, name)} "
            f"({error})"
        ) from None


def _check_dtype(x: Samples, name: str) -> None:
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise TypeError(f"{name} is {kind_of(x)}, expected an array of numbers")
    if x.dtype.kind not in "buif":
        what = {"O": "Python objects", "U": "text", "S": "bytes", "c": "complex numbers"}
        held = what.get(x.dtype.kind, str(x.dtype))
        if x.dtype.kind == "c":  # in scikit-learn's words and kind, too
            held += "; Complex data not supported"
        raise NotNumbers(
            f"{name} holds {held} (dtype {x.dtype}), expected real numbers; {_mend(x, name)}"
        )


def _mend(x: Samples, name: str) -> str:
    """What makes real numbers of ``x``: tried on it, before it is advised."""
    if x.dtype.kind == "c":
        return f"take {name}.real, or abs({name})"
    try:
        fits = x.dtype.kind in "OUS" and np.asarray(x).astype("float32").size
    except (TypeError, ValueError):
        fits = False
    if fits:
        return f"convert it, for example with np.asarray({name}, 'float32')"
    return "turn each word, date or object into numbers"


def _check_count(x: Samples, name: str, minimum: int) -> None:
    if len(x.shape) == 0:
        raise ValueError(f"{name} is a single number, expected samples in rows, (N, ...)")
    n = x.shape[0]
    if n == 0:
        raise ValueError(f"{name} has no samples: its shape is {tuple(x.shape)}")
    if n < minimum:
        was = "one sample" if n == 1 else f"{n} samples"
        raise ValueError(
            f"{name} has {was}, expected at least {minimum}: its shape is {tuple(x.shape)} and "
            f"samples stand in rows; give more of them, or transpose it if they stand in columns"
        )


def _chunks(x: Samples) -> Iterator[tuple[int, Array]]:
    """Yield (first row, rows) a few MB at a time."""
    rows = max(1, _CHUNK // max(1, x.size // len(x)))
    for start in range(0, len(x), rows):
        yield start, x[start : start + rows]


def _rows_not_finite(chunk: Any) -> np.ndarray:
    finite = abs(chunk) < np.inf  # false for NaN, too; an operator, which every kind of array has
    rows = finite.reshape(len(chunk), -1).all(axis=1)
    return np.flatnonzero([not bool(row) for row in rows])


def _place_not_finite(sample: Array) -> tuple[int, ...]:
    finite = abs(sample) < np.inf
    k = next(i for i, good in enumerate(finite.reshape(-1)) if not bool(good))
    return tuple(int(i) for i in np.unravel_index(k, sample.shape))


def _not_finite(name: str, first: list[int], place: tuple[int, ...], bad: int, n: int) -> str:
    named = ", ".join(map(str, first)) + (", ..." if bad > len(first) else "")
    rows = "row" if bad == 1 else "rows"
    at = f", first at [{', '.join(map(str, (first[0], *place)))}]" if place else ""
    return (
        f"{name} has NaN or infinity in {bad} of {n} rows ({rows} {named}, counted from 0{at}), "
        f"expected finite numbers; fill or remove them"
    )


def _outside(name: str, least: float, most: float, low: float, high: float) -> str:
    mend = ""
    if (low, high) == (0, 1):
        if least >= 0 and 1 < most <= 255:
            mend = "; divide by 255 if these are bytes of images"
        else:
            mend = "; scale it to [0, 1], or use the mean squared error, which takes any numbers"
    return (
        f"{name} runs from {least:.6g} to {most:.6g}, expected values in [{low:g}, {high:g}]{mend}"
    )
