"""What a reader is told and returns: arrays as they are in the file, labels as whole numbers."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from minienc.data.limits import MOST_CLASSES


class RawData(NamedTuple):
    """Arrays of a file or folder; what it does not hold is None.

    Examples
    --------
    >>> RawData(np.zeros((5, 4))).x.shape
    (5, 4)
    """

    x: np.ndarray  # (N, ...), any dtype of numbers
    y: np.ndarray | None = None  # (N,) int64
    test_x: np.ndarray | None = None
    test_y: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None  # of a table: the names of the features
    sound: Any = None  # of recordings: ``recordings.Heard``


class Choices(NamedTuple):
    """What may be said of how images, tables and sounds are read; the rest is seen."""

    grey: bool = False  # images: colour becomes grey
    resize: tuple[int, int] | None = None  # images: all become (height, width)
    crop: bool = False  # images: cut to the shape of ``resize`` before, so that nothing is squeezed
    label_column: str | None = None  # tables: the name of the column of labels, or its number
    drop: Sequence[str] = ()  # tables: columns that are left out
    may_lack: bool = False  # tables: label_column and drop may name columns that are not there
    pattern: str | None = None  # sounds: what the files' names say, "{label}_{speaker}_{index}"
    held_out_speakers: Sequence[str] = ()  # sounds: who is kept for testing
    resample: int | None = None  # sounds: Hz that all are brought to
    frames: int | None = None  # sounds: of a sample
    mels: int | None = None  # sounds: bands of a frame
    sound: Any = None  # sounds: ``sequences.LogMel`` of a run, for more of the same kind


def as_labels(values: ArrayLike, where: str) -> np.ndarray:
    """Return labels as int64 (N,); a column (N, 1) and floats that are whole numbers will do.

    Raises
    ------
    ValueError
        If they are not whole numbers from 0 up, or no numbers of classes: 100,000 and more. A
        classifier has as many outputs as the largest says, so one wrong label takes gigabytes.
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
    if (values >= MOST_CLASSES).any():
        i = int(np.argmax(values >= MOST_CLASSES))
        raise ValueError(too_many_classes(where, i, str(values[i])))
    return labels


def too_many_classes(where: str, i: int, label: str) -> str:
    return (
        f"{where}: the label of sample {i} is {label}, expected less than {MOST_CLASSES:,}: labels "
        f"number the classes, 0, 1, 2, ...; is it another thing, or number them anew with "
        f"numpy.unique(y, return_inverse=True)[1]"
    )


def number_classes(names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels and the names of the classes, numbered in alphabetical order."""
    class_names = sorted(set(names))
    number = {name: i for i, name in enumerate(class_names)}
    return np.array([number[name] for name in names], np.int64), tuple(class_names)


def check_exists(path: str | Path, who: str) -> Path:
    """Return ``path`` as a Path; raise FileNotFoundError in a sentence if nothing is there."""
    path = Path(path)
    if not path.exists():
        near = next((p for p in path.parents if p.is_dir()), Path())
        raise FileNotFoundError(f"{who}: there is no {path}; the last part that exists is {near}")
    return path


def check_file(path: str | Path, who: str) -> Path:
    """Return the path of a file; raise an OSError in a sentence if there is none, or no file.

    Pipes and devices are refused: whoever opens one waits for ever, or never comes to its end.
    """
    path = check_exists(path, who)
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{who}: {path} is a folder, expected a file")
    if not stat.S_ISREG(mode):
        kind = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}.get(stat.S_IFMT(mode))
        raise OSError(f"{who}: {path} is {kind or 'a device'}, expected a file; write it to one")
    return path
