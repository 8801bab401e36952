"""Texts with a class each, from files.

a folder of sub-folders      each is a class, each text file in it (and below) a text
a folder of text files       each is a class, called as the file is, each line of it a text
a table, .csv or .tsv        columns text and label, a row a text; commas, semicolons or tabs, as
                             the first line has them. Of tabs, a quotation mark is a sign like any
                             other; of commas, it begins a cell in which there may be commas.

All of it is UTF-8; tables and files with a text a line may be packed with gzip. Empty lines are
passed over; a text that is empty otherwise is refused by its place.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from minienc.data.limits import MOST_CLASSES
from minienc.data.pairs import read_lines
from minienc.data.raw import check_exists
from minienc.data.tables import LABEL_NAMES
from minienc.data.text import TEXT_ENDINGS, read_text, text_files

TEXT_NAMES = ("text", "sentence", "document", "description", "content")
_LONGEST = 1 << 23  # characters of a cell


class LabelledTexts(NamedTuple):
    """Texts, and the class of each."""

    name: str
    source: str
    texts: list[str]
    labels: list[str]


def read_labelled_texts(path: str | Path) -> LabelledTexts:
    """Read texts with their classes; see the top of this file.

    Raises
    ------
    OSError
        If it is not there, or a pipe or a device.
    ValueError
        If there are no texts, no classes, one class alone, a text that is empty, bytes that are no
        UTF-8; it names the file and the line.
    """
    path = check_exists(path, "texts")
    pairs = _of_folder(path) if path.is_dir() else _of_table(path)
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    classes = sorted(set(labels))
    if len(classes) < 2:
        one = f"one class, {classes[0]!r}" if classes else "no text"
        raise ValueError(
            f"texts: {path} holds {one}, expected texts of two classes or more: a sub-folder or a "
            f"file for each, or a table with the columns text and label"
        )
    if len(classes) > MOST_CLASSES or 2 * len(classes) > len(texts):
        raise ValueError(
            f"texts: {path} has {len(classes):,} classes for {len(texts):,} texts, such as "
            f"{classes[0]!r}, expected two texts of each at least; is the label another column?"
        )
    name = path.resolve().name.partition(".")[0] or "texts"
    return LabelledTexts(name, str(path), texts, labels)


def _of_folder(folder: Path) -> list[tuple[str, str]]:
    subs = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = sorted(p for p in folder.iterdir() if p.is_file() and _is_text(p))
    if files and subs:
        raise ValueError(
            f"texts: {folder} holds text files beside sub-folders ({subs[0].name}), expected a "
            f"sub-folder for each class, or a file for each"
        )
    found: list[tuple[str, str]] = []
    for sub in subs:
        found += [(_whole(file), sub.name) for file in text_files(sub)]
    for file in files:
        lines = [line for line in read_lines(file) if line.strip()]
        found += [(line, file.name.partition(".")[0]) for line in lines]
    return found


def _is_text(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return not name.startswith(".") and name.endswith(TEXT_ENDINGS)


def _whole(file: Path) -> str:
    text = read_text(file)
    if not text.strip():
        raise ValueError(f"texts: {file} is empty but for spaces, expected a text")
    return text


def _of_table(path: Path) -> list[tuple[str, str]]:
    lines = read_lines(path)
    delimiter = max("\t;,", key=lines[0].count)
    if not lines[0].count(delimiter):
        raise ValueError(
            f"texts: the first line of {path} has one column, expected a table with the columns "
            f"text and label, or a folder"
        )
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    before = csv.field_size_limit(_LONGEST)
    try:
        rows = csv.reader([line + "\n" for line in lines], delimiter=delimiter, quoting=quoting)
        return _rows(path, [(rows.line_num, row) for row in rows])
    except csv.Error as error:
        raise ValueError(f"texts: {path} is no table: {error}") from None
    finally:
        csv.field_size_limit(before)


def _rows(path: Path, rows: list[tuple[int, list[str]]]) -> list[tuple[str, str]]:
    header = [name.strip().lower() for name in rows[0][1]]
    text_at = _column(path, header, TEXT_NAMES, "text")
    label_at = _column(path, header, LABEL_NAMES, "label")
    found = []
    for number, row in rows[1:]:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise ValueError(
                f"texts: line {number} of {path} has {len(row)} cells, expected {len(header)}; a "
                f"text with the delimiter in it is put in quotation marks"
            )
        text, label = row[text_at].strip("\n"), row[label_at].strip()
        if not text.strip() or not label:
            what = "label" if text.strip() else "text"
            raise ValueError(f"texts: line {number} of {path} has no {what}")
        found.append((text, label))
    return found


def _column(path: Path, header: list[str], names: Sequence[str], what: str) -> int:
    at = next((header.index(name) for name in names if name in header), None)
    if at is None:
        raise ValueError(
            f"texts: {path} has the columns {', '.join(header)[:80]}, expected one called {what}"
        )
    return at
