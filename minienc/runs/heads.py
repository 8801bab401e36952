"""What ``--heads`` says: for each task, where the labels of the samples are.

NAME=label             the data set's own labels
NAME=speaker           who speaks, of recordings whose speakers are known
NAME=FILE              a label a line, or an .npy; NAME=FILE.csv:COLUMN a column of a table

A file has a row for each sample in the order in which the data are read: of data that come with a
part for testing, that part behind the other. Where a task is to tell speakers apart and whole
speakers had been held out, all clips are parted anew: of each class and speaker the same share.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minienc.data import Dataset
from minienc.data.datasets import test_rows
from minienc.data.pairs import read_lines
from minienc.data.pixels import Samples
from minienc.data.raw import check_file
from minienc.data.rows import opened_rows

LABEL, SPEAKER = "label", "speaker"
EXPECTED = "NAME=label, NAME=speaker, NAME=FILE or NAME=FILE.csv:COLUMN"


class Labelled(NamedTuple):
    """Samples with the labels of all tasks: to learn from, and to test on."""

    x: Samples
    y: dict[str, np.ndarray]
    test_x: Samples
    test_y: dict[str, np.ndarray]
    note: str = ""


def read_words(words: Sequence[str]) -> dict[str, str]:
    """{task: where its labels are}, files by their whole paths."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, where = word.partition("=")
        if not equals and word in (LABEL, SPEAKER):
            where = word
        if not name or not where:
            raise ValueError(f"--heads has {word!r}, expected {EXPECTED}")
        if name in found:
            raise ValueError(f"--heads has {name!r} twice, expected a name for each task")
        found[name] = where if where in (LABEL, SPEAKER) else os.path.abspath(where)
    return found


def labelled(dataset: Dataset, heads: dict[str, str]) -> Labelled:
    """The samples of a data set that is parted, with the labels of each task.

    Raises
    ------
    ValueError, OSError
        If there are no such labels, or not as many as samples; it names the task.
    """
    n, n_test = len(dataset.x), len(dataset.test_x)
    y, test_y = {}, {}
    for name, where in heads.items():
        column = _column(dataset, name, where)
        if len(column) != n + n_test:
            raise ValueError(
                f"--heads {name}: {where} has {len(column):,} labels, {dataset.name} has "
                f"{n + n_test:,} samples ({n:,} to learn from and {n_test:,} to test on), expected "
                f"one for each, in the order in which they are read"
            )
        y[name], test_y[name] = column[:n], column[n:]
    found = Labelled(dataset.x, y, dataset.test_x, test_y)
    return _anew(found, heads) if SPEAKER in heads.values() else found


def _column(dataset: Dataset, name: str, where: str) -> np.ndarray:
    """The labels of a task, those of the samples to test on behind the others."""
    if where == LABEL:
        if dataset.y is None or dataset.test_y is None:
            raise ValueError(f"--heads {name}=label: {dataset.name} has no labels")
        labels = np.concatenate([dataset.y, dataset.test_y])
        names = dataset.class_names
        return labels if names is None else np.array(names)[labels]
    if where == SPEAKER:
        heard = dataset.sound
        if heard is None or heard.speakers is None:
            raise ValueError(
                f"--heads {name}=speaker: of {dataset.name} no speakers are known; for recordings, "
                f"pretrain with --pattern '{{label}}_{{speaker}}_{{index}}'"
            )
        return np.concatenate([heard.speakers, heard.test_speakers])
    if dataset.sound is not None:
        raise ValueError(
            f"--heads {name}={where}: the labels of recordings are what their names or their CSV "
            f"say, expected {name}=label or {name}=speaker"
        )
    values = _of_file(where, name)
    if dataset.order is not None and len(values) == len(dataset.order):
        values = values[dataset.order]
    return values


def _of_file(where: str, name: str) -> np.ndarray:
    path, colon, column = where.rpartition(":")
    if colon and path.lower().endswith((".csv", ".tsv")):
        values = _of_table(Path(path), column, f"--heads {name}: {path}")
    elif where.lower().endswith(".npy"):
        return np.load(check_file(where, f"--heads {name}"), allow_pickle=False)
    else:
        values = read_lines(where)
    return _numbers(values)


def _of_table(path: Path, column: str, where: str) -> list[str]:
    with opened_rows(check_file(path, where), where) as lines:
        rows = [[cell.strip() for cell in row] for row in lines]
    if not rows or column not in rows[0]:
        has = ", ".join(rows[0]) if rows else "nothing"
        raise ValueError(f"{where} has no column {column}; it has {has}")
    at = rows[0].index(column)
    return [row[at] if at < len(row) else "" for row in rows[1:]]


def _numbers(values: list[str]) -> np.ndarray:
    """Whole numbers where all are, else numbers where all are, else words."""
    for kind in (np.int64, np.float64):
        try:
            return np.array(values).astype(kind)
        except ValueError:
            continue
    return np.array(values)


def _anew(found: Labelled, heads: dict[str, str]) -> Labelled:
    """Parted by chance where somebody to test on was never heard."""
    names = [name for name, where in heads.items() if where == SPEAKER]
    if all(set(found.test_y[name]) <= set(found.y[name]) for name in names):
        return found
    x = np.concatenate([np.asarray(found.x), np.asarray(found.test_x)])
    y = {name: np.concatenate([found.y[name], found.test_y[name]]) for name in heads}
    strata = strata_of([y[name] for name, where in heads.items() if where in (LABEL, SPEAKER)])
    out = test_rows(strata, len(x), 0.2, seed=0)
    note = (
        "a speaker can only be told by whoever has heard him: so a fifth of the clips of each "
        "speaker is held out, by chance, and not whole speakers as in the pretraining, which may "
        "have heard some of these clips (without labels)"
    )
    part = lambda rows: {name: column[rows] for name, column in y.items()}  # noqa: E731
    return Labelled(x[~out], part(~out), x[out], part(out), note)


def strata_of(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) a number for each combination of classes."""
    numbered = [np.unique(column, return_inverse=True)[1] for column in columns]
    return np.unique(np.stack(numbered), axis=1, return_inverse=True)[1].ravel()
