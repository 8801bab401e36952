"""CSV: a table of numbers, one sample a row, with a header or without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.raw import RawData, as_labels, check_exists, number_classes

LABEL_NAMES = ("label", "labels", "class", "target", "y")  # of a column; upper or lower case
_DELIMITERS = (",", ";", "\t", "|", " ")
_BLOCK = 1024  # rows turned into numbers together


class _Layout(NamedTuple):
    """What the first rows say about the table."""

    header: list[str] | None
    width: int  # cells in a row
    label: int | None  # which column holds the labels
    features: list[int]


def read_csv(path: str | Path, dtype: DTypeLike = "float32") -> RawData:
    """Return the table of a CSV file: features (N, D), and labels if a column is named so.

    The delimiter (comma, semicolon, tab, bar or space) is found from the first rows. A first row
    in which no cell is a number, or one is of ``LABEL_NAMES``, is a header. The column of that
    name has the labels, whole numbers or names of classes. A first column without a name, where
    pandas writes row numbers, is left out.

    Parameters
    ----------
    path : str or Path
        UTF-8 text.
    dtype : {"float32", "float64"}
        Of the features. A table of bytes, whole numbers that reach both 0 and 255, stays uint8.

    Raises
    ------
    FileNotFoundError, PermissionError
        If the file is missing or may not be read.
    ValueError
        If it is empty or not UTF-8 text, if a row has more or fewer cells than the first, if a
        cell is empty or not a finite number: the message names the line and the column.
    """
    path = check_exists(path, "read_csv")
    where = f"read_csv: {path}"
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _read_table(file, where, dtype)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8 text: byte {error.object[error.start]:#04x} cannot be read; "
            f"save it as UTF-8"
        ) from None


def is_table(path: Path) -> bool:
    """Whether a text begins as a table does: two rows of one width, with a number in the second."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            head = list(islice(_rows(file, str(path)), 2))
    except ValueError:
        return False
    widths = {len(cells) for _, cells in head}
    return len(widths) == 1 and any(_is_number(cell) for cell in head[-1][1])


def _read_table(file: TextIO, where: str, dtype: DTypeLike) -> RawData:
    rows = _rows(file, where)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{where} is empty, expected rows of numbers")
    layout = _layout(first[1], where)
    if layout.header is None:
        rows = chain([first], rows)
    blocks: list[np.ndarray] = []
    labels: list[str] = []
    while block := list(islice(rows, _BLOCK)):
        blocks.append(_numbers(block, layout, where, dtype))
        if layout.label is not None:
            labels += [cells[layout.label].strip() for _, cells in block]
    if not blocks:
        raise ValueError(f"{where} has a header and no rows below it")
    y, class_names = _labels(labels, where) if labels else (None, None)
    return RawData(_join(blocks, dtype), y, class_names=class_names)


# ------------------------------------------------------------------------------------ rows, cells


def _rows(file: TextIO, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row that is not blank."""
    import csv

    head = list(islice(file, 20))
    if any("\0" in line for line in head):
        raise ValueError(f"{where} holds zero bytes: it is not text")
    delimiter = _find_delimiter([line for line in head if line.strip()])
    lines: Iterable[str] = chain(head, file)
    if delimiter == " ":  # any number of spaces is one delimiter: written anew with single ones
        lines = (" ".join(line.split()) for line in lines)
    table = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in table:
            if any(cell.strip() for cell in cells):
                yield table.line_num, cells
    except csv.Error as error:
        raise ValueError(f"{where} is no table: after line {table.line_num}, {error}") from None


def _find_delimiter(head: list[str]) -> str:
    """The character that stands equally often in each of the first lines, and most often there."""
    best, most = ",", 0
    for delimiter in _DELIMITERS:
        counts = [
            len(line.split()) - 1 if delimiter == " " else line.count(delimiter) for line in head
        ]
        if counts and min(counts) == max(counts) > most:
            best, most = delimiter, counts[0]
    return best if most else max(_DELIMITERS[:4], key=lambda d: sum(line.count(d) for line in head))


def _layout(first: list[str], where: str) -> _Layout:
    names = [cell.strip() for cell in first]
    label = [i for i, name in enumerate(names) if name.lower() in LABEL_NAMES]
    if not label and any(_is_number(name) for name in names):
        return _Layout(None, len(first), None, list(range(len(first))))
    if len(label) > 1:
        raise ValueError(
            f"{where} has {len(label)} columns of labels, {', '.join(names[i] for i in label)}, "
            f"expected one; rename the others"
        )
    features = [i for i in range(len(names)) if i not in label and (i > 0 or names[0])]
    if not features:
        raise ValueError(f"{where} has no column of features in its header, {', '.join(names)}")
    return _Layout(names, len(names), label[0] if label else None, features)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------------------------------- numbers


def _numbers(
    block: list[tuple[int, list[str]]], layout: _Layout, where: str, dtype: DTypeLike
) -> np.ndarray:
    """Return a block of rows as an array: uint8 if every number fits, else ``dtype``."""
    for number, cells in block:
        if len(cells) != layout.width:
            raise ValueError(
                f"{where}: line {number} has {len(cells)} cells, expected {layout.width} as in the "
                f"first row"
            )
    every = len(layout.features) == layout.width
    rows = [cells if every else [cells[i] for i in layout.features] for _, cells in block]
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError:
        raise ValueError(_bad_cell(block, layout, where)) from None
    if not np.isfinite(values).all():
        raise ValueError(_bad_cell(block, layout, where))
    small = values.astype(np.uint8, casting="unsafe") if _could_be_bytes(values) else None
    if small is not None and (small == values).all():
        return small
    return values.astype(dtype)


def _could_be_bytes(values: np.ndarray) -> bool:
    return values.size > 0 and values.min() >= 0 and values.max() <= 255


def _bad_cell(block: list[tuple[int, list[str]]], layout: _Layout, where: str) -> str:
    """Say which is the first cell that is not a finite number."""
    for number, cells in block:
        for i in layout.features:
            cell = cells[i].strip()
            if _is_number(cell) and np.isfinite(float(cell)):
                continue
            column = f"column {i + 1}" + (f" ({layout.header[i]})" if layout.header else "")
            came = repr(cell[:40]) if cell else "empty"
            mend = ""
            if cell and layout.header is None and not _is_number(cell):
                mend = "; a column of labels needs a header that names it label"
            return f"{where}: line {number}, {column} is {came}, expected a finite number{mend}"
    return f"{where}: a cell is not a finite number"


def _join(blocks: list[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    """Stack the blocks; bytes stay bytes only if all are and they span the whole range."""
    if all(block.dtype == np.uint8 for block in blocks):
        x = np.concatenate(blocks)
        return x if x.min() == 0 and x.max() == 255 else x.astype(dtype)
    return np.concatenate([block.astype(dtype, copy=False) for block in blocks])


def _labels(cells: list[str], where: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    if "" in cells:
        raise ValueError(f"{where}: sample {cells.index('')} has no label")
    if all(_is_number(cell) for cell in cells):
        return as_labels(np.array(cells, dtype=np.float64), where), None
    return number_classes(cells)
