"""What a reader returns: arrays as they are in the file, labels as whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class RawData(NamedTuple):
    """Arrays of a file or folder; what it does not hold is None."""

    x: np.ndarray  # (N, ...), any dtype of numbers
    y: np.ndarray | None = None  # (N,) int64
    test_x: np.ndarray | None = None
    test_y: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None


def as_labels(values: ArrayLike, where: str) -> np.ndarray:
    """Return labels as int64 (N,); a column (N, 1) and floats that are whole numbers will do.

    Raises
    ------
    ValueError
        If they are not whole numbers from 0 up.
    """
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            f"{where}: labels are {values.shape}, expected (N,), the number of the class for each "
            f"sample; for one-hot rows that is y.argmax(axis=1)"
        )
    if values.dtype.kind not in "buif":
        raise ValueError(f"{where}: labels hold {values.dtype}, expected whole numbers")
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.int64)
    wrong = np.flatnonzero((labels != values) | (labels < 0))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(
            f"{where}: the label of sample {i} is {values[i]}, expected a whole number from 0 up"
        )
    return labels


def number_classes(names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels and the names of the classes, numbered in alphabetical order."""
    class_names, labels = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)
    return labels.reshape(-1).astype(np.int64), tuple(str(name) for name in class_names)


def check_exists(path: str | Path, who: str) -> Path:
    """Return ``path`` as a Path; raise FileNotFoundError in a sentence if nothing is there."""
    path = Path(path)
    if not path.exists():
        near = next((p for p in path.parents if p.is_dir()), Path())
        raise FileNotFoundError(f"{who}: there is no {path}; the last part that exists is {near}")
    return path
