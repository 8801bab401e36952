"""Where the wrong elements of a gradient lie, in words: a mistake at a border shows as a border."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

LIKELY = 0.05  # so many elements anywhere may happen to lie in one place


def where(indices: list[tuple[int, ...]], shape: tuple[int, ...]) -> str:
    """``"all in the last row and column"``; "" where they lie anywhere, or everywhere.

    A place is said if all of it is wrong, or if so many would hardly lie there by chance.
    """
    n, size = len(indices), int(np.prod(shape))
    if n < 2 or n == size:
        return ""
    wrong = np.zeros(shape, dtype=bool)
    wrong[tuple(np.array(indices).T)] = True
    for sentence, place in _places(wrong):
        is_whole = int(place.sum()) == n
        if not (wrong & ~place).any() and (is_whole or (place.sum() / size) ** n < LIKELY):
            return sentence
    return ""


def _places(wrong: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Places that have a name, the smallest first."""
    shape, index = wrong.shape, np.indices(wrong.shape)
    first = np.argwhere(wrong)[0]
    if wrong.ndim == 1:
        least, most = int(first[0]), int(np.argwhere(wrong)[-1][0])
        yield f"all from {least} to {most}", (index[0] >= least) & (index[0] <= most)
        return
    for axis in reversed(range(wrong.ndim)):
        yield f"all in {_one(axis, int(first[axis]), shape)}", index[axis] == first[axis]
    (rows, columns), (last, end) = index[-2:], (shape[-2] - 1, shape[-1] - 1)
    if last == end:
        yield "all on the diagonal", rows == columns
    for r, c in itertools.product((last, 0), (end, 0)):
        row, column = _one(wrong.ndim - 2, r, shape), _one(wrong.ndim - 1, c, shape)
        column = "column" if row.split()[1] == column.split()[1] else column
        yield f"all in {row} and {column}", (rows == r) | (columns == c)
    if last == end:
        yield "all above the diagonal", rows < columns
        yield "all below the diagonal", rows > columns
        yield "all off the diagonal", rows != columns
    yield "all at the border", (rows % max(last, 1) == 0) | (columns % max(end, 1) == 0)


def _one(axis: int, index: int, shape: tuple[int, ...]) -> str:
    """A row, a column, or an index along another axis."""
    name = {len(shape) - 2: "row", len(shape) - 1: "column"}.get(axis, "")
    if not name:
        return f"index {index} of axis {axis}"
    if index in (0, shape[axis] - 1):
        return f"the {'first' if index == 0 else 'last'} {name}"
    return f"{name} {index}"
