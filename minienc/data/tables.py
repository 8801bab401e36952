"""CSV: a table of numbers, one sample a row. This is the rule of what a file is taken for.

text       UTF-8, or UTF-16 with its mark; plain or gz.
rows       lines; blank ones, and those that begin with #, are passed over.
cells      cut at ; tab | comma or space: the first of them that cuts the first lines into equally
           many cells, of which one is a number. A first line sep=; says it.
number     digits, a sign, a point, an exponent. Where the delimiter is not the comma, it may be the
           decimal one, in the whole file. 1_0 is no number, nor is １, and the value has to be
           finite in the dtype that it is read in.
header     the first row, if one of these holds:
             no cell of it is a number;
             one is a name of ``LABEL_NAMES``, or a name that was said;
             the first alone is empty;
             it has words over numbers, and its own numbers are whole (id, 2019, 2020);
             its numbers count 0, 1, 2, ... or 1, 2, 3, ..., the next row does not count on, and
             they are three or more, or the ones below are not whole;
             they are three or more, count from any other (2019, 2020, 2021), and no row below is
             of whole numbers;
             they are as pandas renames equal names (0, 0.1, 0.2), and all rows below are whole.
           Else the line before the first row, if it begins with # and has as many cells. Else there
           is none, and columns go by their numbers, from 1.
index      leading columns with an empty name, "Unnamed: 0" (pandas), "rownames" or "row.names" (R),
           and the first one where the header has a cell fewer than the rows: left out.
empty      columns behind the others with neither a name nor a value (Excel leaves them): left out.
label      the column that was said, else the one of ``LABEL_NAMES``, else none. Cells that are all
           numbers are the numbers of classes, below 100,000; else they are the names of classes.
features   all other columns but those that are to be dropped: every cell has to be a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.limits import MOST_CLASSES
from minienc.data.raw import (
    Choices,
    RawData,
    as_labels,
    check_file,
    number_classes,
    too_many_classes,
)
from minienc.data.rows import Rows, has_decimal_comma, is_number, opened_rows

LABEL_NAMES = ("label", "labels", "class", "target", "y")  # of a column; upper or lower case
_INDEX_NAME = re.compile(r"|unnamed: \d+(\.\d+)*|rownames|row\.names", re.I)
_MISSING = ("", "na", "n/a", "null", "none", "?", "-", ".")
_BLOCK = 1024  # rows turned into numbers together
_CELLS = 1 << 20  # and cells, at most


class _Layout(NamedTuple):
    """What the first rows say about the table."""

    header: list[str] | None
    width: int  # cells in a row
    label: int | None  # which column holds the labels
    features: list[int]
    empty: Sequence[int] = ()  # what Excel leaves behind the others

    def name(self, i: int) -> str:
        return self.header[i] if self.header is not None else str(i + 1)


def read_csv(
    path: str | Path,
    dtype: DTypeLike = "float32",
    label_column: str | int | None = None,
    drop: str | int | Sequence[str | int] = (),
) -> RawData:
    """Return the table of a CSV file: features (N, D), and labels if there is a column of them.

    What is header, index, label and number is the rule at the top of ``minienc/data/tables.py``.

    Parameters
    ----------
    path : str or Path
    dtype : {"float32", "float64"}
        Of the features. A table of bytes, whole numbers that reach both 0 and 255, stays uint8.
    label_column : str or int, optional
        The column of labels, by its name, or else its number from 1. By default it is the one
        called ``label``, ``class``, ``target`` or ``y``, if there is one.
    drop : str, int or sequence of them
        Columns that are no features, by names or numbers.

    Raises
    ------
    OSError
        If the file is missing, may not be read, or is a pipe or a device.
    ValueError
        If it is empty or not such text, if a row has more or fewer cells than the first, if a
        cell is empty or not a finite number: the message names the line and the column. If there
        is no such column as was said.
    """
    return read_table(path, dtype, as_choices(label_column, drop))


def as_choices(label_column: str | int | None, drop: str | int | Sequence[str | int]) -> Choices:
    """What was said of columns, as names."""
    dropped = (drop,) if isinstance(drop, (str, int)) else tuple(drop)
    label = None if label_column is None else str(label_column)
    return Choices(label_column=label, drop=tuple(map(str, dropped)))


def read_table(path: str | Path, dtype: DTypeLike, how: Choices) -> RawData:
    """``read_csv``, with the choices as one argument."""
    path = check_file(path, "read_csv")
    where = f"read_csv: {path}"
    with opened_rows(path, where) as rows:
        numbered = ((rows.number, cells) for cells in rows)
        head = list(islice(numbered, 8))
        if not head:
            raise ValueError(f"{where} is empty, expected rows of numbers")
        layout, is_first = _layout([cells for _, cells in head], rows, how)
        body = chain(head[is_first:], numbered)
        x, labels = _read_body(body, layout, rows, np.dtype(dtype))
    y, class_names = _labels(labels, where) if labels else (None, None)
    columns = tuple(layout.name(i) for i in layout.features)
    return RawData(x, y, class_names=class_names, columns=columns)


def is_table(path: Path) -> bool:
    """Whether a text begins as a table does: two rows of one width, with a number in the second."""
    try:
        with opened_rows(path, str(path)) as rows:
            head = list(islice(rows, 2))
            number = any(is_number(cell) or has_decimal_comma(cell) for cell in head[-1])
    except (ValueError, IndexError):
        return False
    return number and len(head[-1]) - len(head[0]) in (0, 1)


# ---------------------------------------------------------------------------- header, index, label


def _layout(head: list[list[str]], rows: Rows, how: Choices) -> tuple[_Layout, bool]:
    """Return what the columns are, and whether the first row is the header."""
    where = rows.where
    first, body = [cell.strip() for cell in head[0]], head[1:]
    said = {name for name in (how.label_column, *how.drop) if name and not name.isdigit()}
    if rows.delimiter != ",":  # a number with a decimal comma is a number
        first = [_pointed(cell) for cell in first]
    header: list[str] | None
    if is_first := _is_header(first, body, said):
        short = bool(body) and len(body[0]) - len(first) == 1  # R: row names have no header
        header = ["", *first] if short else first
        width = len(header)
    else:
        width = len(first)
        above = [] if rows.comment is None else [c.strip() for c in rows.cut(rows.comment)]
        header = above if len(above) == width else None
    plain = _Layout(header, width, None, [])
    names = [plain.name(i) for i in range(width)]
    label = _label_column(names, header, how, where)
    dropped = {_place(str(name), names, how.may_lack, where) for name in how.drop}
    if header is not None:
        dropped |= set(_index_columns(header))
    empty = _empty_columns(first, body)
    dropped |= set(empty)
    features = [i for i in range(width) if i not in dropped and i != label]
    if not features:
        raise ValueError(f"{where} has no column of features in its header, {', '.join(names)}")
    return plain._replace(label=label, features=features, empty=empty), is_first


def _is_header(first: list[str], body: list[list[str]], said: set[str]) -> bool:
    numbers = [i for i, cell in enumerate(first) if is_number(cell)]
    if not numbers or (first[0] == "" and "" not in first[1:]):
        return True
    if any(cell.lower() in LABEL_NAMES or cell in said for cell in first):
        return True
    if not body or any(len(row) <= numbers[-1] for row in body):
        return False
    names = [first[i] for i in numbers]
    below = [[_pointed(row[i].strip()) for i in numbers] for row in body]
    if _counts(names, below) or _renamed(names, below):
        return True
    if not all(cell.isdigit() for cell in names):
        return False
    cells = zip(first, map(_pointed, body[0]), strict=False)
    over = any(not is_number(a) and is_number(b) for a, b in cells)
    return over and not any(cell.lower() in _MISSING for cell in first)


def _pointed(cell: str) -> str:
    return cell.replace(",", ".") if has_decimal_comma(cell) else cell


def _counts(names: list[str], below: list[list[str]]) -> bool:
    """Whether numbers count, as names of columns do and samples do not."""
    n = len(names)
    if n < 2 or not all(name.isdigit() and len(name) < 9 for name in names):
        return False
    start = int(names[0])
    if names != [str(start + k) for k in range(n)]:
        return False
    if below[0] == [str(start + n + k) for k in range(n)]:  # it goes on
        return False
    fractions = [any("." in cell for cell in row) for row in below]
    return (n > 2 or any(fractions)) if start < 2 else (n > 2 and all(fractions))


def _renamed(names: list[str], below: list[list[str]]) -> bool:
    """Whether they are what pandas makes of equal names: a row of data, once taken for a header."""
    seen: dict[str, int] = {}
    n_renamed = 0
    for name in names:
        base, _, k = name.partition(".")
        if k and k == str(seen.get(base, 0)):
            n_renamed += 1
        elif k:
            return False
        seen[base] = seen.get(base, 0) + 1
    return n_renamed > 1 and all(cell.lstrip("+-").isdigit() for row in below for cell in row)


def _index_columns(header: list[str]) -> list[int]:
    named = [i for i, name in enumerate(header) if not _INDEX_NAME.fullmatch(name)]
    return list(range(named[0] if named else len(header)))


def _empty_columns(first: list[str], body: list[list[str]]) -> list[int]:
    """The last columns, as far as none of the first rows has anything there."""
    rows = [first, *body]
    if len({len(row) for row in rows}) > 1:
        return []
    full = [i for i in range(len(first)) if any(row[i].strip() for row in rows)]
    return list(range(full[-1] + 1, len(first)))


def _label_column(
    names: list[str], header: list[str] | None, how: Choices, where: str
) -> int | None:
    if how.label_column is not None:
        return _place(how.label_column, names, how.may_lack, where)
    label = [i for i, name in enumerate(header or ()) if name.lower() in LABEL_NAMES]
    label = [i for i in label if names[i] not in how.drop]
    if len(label) > 1:
        raise ValueError(
            f"{where} has {len(label)} columns of labels, {', '.join(names[i] for i in label)}, "
            f"expected one; rename the others, or name it: label_column={names[label[0]]!r} "
            f"(--label-column)"
        )
    return label[0] if label else None


def _place(said: str, names: list[str], may_lack: bool, where: str) -> int | None:
    """Where a column is, by its name or its number from 1."""
    if names.count(said) > 1:
        raise ValueError(f"{where} has {names.count(said)} columns {said}, expected one")
    if said in names:
        return names.index(said)
    if said.isdigit() and len(said) < 9 and 1 <= int(said) <= len(names):
        return int(said) - 1
    if may_lack:
        return None
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise ValueError(f"{where} has no column {said}, expected one of {shown}")


# ---------------------------------------------------------------------------------------- numbers


def _read_body(
    numbered: chain, layout: _Layout, rows: Rows, dtype: np.dtype
) -> tuple[np.ndarray, list[str]]:
    """Return the features as one array, and the cells of the column of labels."""
    blocks: list[np.ndarray] = []
    labels: list[str] = []
    points: set[str] = set()
    n_rows = max(1, min(_BLOCK, _CELLS // layout.width))
    while block := list(islice(numbered, n_rows)):
        blocks.append(_numbers(block, layout, rows, dtype, points))
        if layout.label is not None:
            labels += [cells[layout.label].strip() for _, cells in block]
    if not blocks:
        raise ValueError(f"{rows.where} has a header and no rows below it")
    return _join(blocks, dtype), labels


def _numbers(
    block: list[tuple[int, list[str]]],
    layout: _Layout,
    rows: Rows,
    dtype: np.dtype,
    points: set[str],
) -> np.ndarray:
    """Return a block of rows as an array: uint8 if every number fits, else ``dtype``.

    ``points`` are the decimal points that the blocks before had.
    """
    for number, cells in block:
        if len(cells) != layout.width:
            raise ValueError(
                f"{rows.where}: line {number} has {len(cells)} cells, expected {layout.width} as "
                f"in the first row"
            )
        for i in layout.empty:
            if cells[i].strip():
                raise ValueError(
                    f"{rows.where}: line {number}, column {i + 1} is {cells[i].strip()[:40]!r}, "
                    f"expected nothing: the column has no name, and the first rows nothing in it"
                )
    every = len(layout.features) == layout.width
    table = [cells if every else [cells[i] for i in layout.features] for _, cells in block]
    text = "\n".join(map("\n".join, table))
    points |= {point for point in ".," if point in text}
    if rows.delimiter != "," and "," in points:
        if "." in points:
            raise ValueError(
                f"{rows.where}: line {block[0][0]} or below has a decimal comma where other "
                f"numbers have a decimal point, expected one of them"
            )
        table = [[cell.replace(",", ".") for cell in cells] for cells in table]
        text = text.replace(",", ".")
    try:
        if re.search(r"[^0-9eE+.\s-]", text):  # float() would read 1_0, １ and inf
            raise ValueError
        values = np.array(table, dtype=np.float64)
    except ValueError:
        raise ValueError(_bad_cell(block, layout, rows, dtype)) from None
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    if not np.isfinite(cast).all():
        raise ValueError(_bad_cell(block, layout, rows, dtype))
    small = values.astype(np.uint8, casting="unsafe") if _could_be_bytes(values) else None
    return small if small is not None and (small == values).all() else cast


def _could_be_bytes(values: np.ndarray) -> bool:
    return values.size > 0 and values.min() >= 0 and values.max() <= 255


def _bad_cell(
    block: list[tuple[int, list[str]]], layout: _Layout, rows: Rows, dtype: np.dtype
) -> str:
    """Say which is the first cell that is not a finite number, and what may be done."""
    for number, cells in block:
        for i in layout.features:
            cell = cells[i].strip()
            plain = _pointed(cell) if rows.delimiter != "," else cell
            if is_number(plain):
                with np.errstate(over="ignore"):
                    if np.isfinite(dtype.type(float(plain))):
                        continue
            column = f"column {i + 1}" + (f" ({layout.header[i]})" if layout.header else "")
            came = repr(cell[:40]) if cell else "empty"
            expected = "a finite number"
            if is_number(plain) and np.isfinite(float(plain)):
                expected = f"a number that {dtype} can hold; use float64, or scale the column"
            elif has_decimal_comma(cell) and rows.delimiter == ",":
                expected += "; where the decimal point is a comma, cells are cut at ; or tabs"
            elif not is_number(cell):
                expected += _mend(cell, layout.name(i), layout)
            return f"{rows.where}: line {number}, {column} is {came}, expected {expected}"
    return f"{rows.where}: a cell is not a finite number"


def _mend(cell: str, name: str, layout: _Layout) -> str:
    out = f"out with drop={name!r} (--drop {name})"
    if cell.lower() in _MISSING:
        return f"; fill what is missing, delete such rows, or leave the column {out}"
    drop = f"leave it {out}"
    if re.search(r"\d", cell) and not re.search(r"[a-z]", cell, re.I):  # $1,234.50, 12 %, a date
        return f"; write it as digits and a point, or {drop}"
    if layout.label is not None:
        return f"; {drop}"
    header = "" if layout.header else "a header that names it label, or "
    said = f"label_column={name!r} (--label-column {name})"
    return f"; a column of labels needs {header}{said}; {drop}"


def _join(blocks: list[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    """Stack the blocks; bytes stay bytes only if all are and they span the whole range."""
    if all(block.dtype == np.uint8 for block in blocks):
        x = np.concatenate(blocks)
        return x if x.min() == 0 and x.max() == 255 else x.astype(dtype)
    return np.concatenate([block.astype(dtype, copy=False) for block in blocks])


def _labels(cells: list[str], where: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    if "" in cells:
        raise ValueError(f"{where}: sample {cells.index('')} has no label")
    if not all(is_number(cell) for cell in cells):
        return number_classes(cells)
    values = np.array([float(cell) for cell in cells])
    if (values >= MOST_CLASSES).any():  # said as it is written: a float has 16 digits
        i = int(np.argmax(values >= MOST_CLASSES))
        raise ValueError(too_many_classes(where, i, cells[i][:40]))
    return as_labels(values, where), None
