"""From the bytes of a text file to rows of cells: decompressed, decoded, cut at the delimiter."""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, TextIO

from minienc.data.limits import check_expansion

DELIMITERS = (";", "\t", "|", ",", " ")
_HEAD = 20  # lines that the delimiter is found from
_LONGEST = 1 << 23  # characters of a line: a file without line ends must not become one string
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.A | re.I)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?", re.A | re.I)


def is_number(cell: str) -> bool:
    """Whether a cell is a number as it is written everywhere; 1_0 is none, nor is １, nor 1,5."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number with a comma where others write a point."""
    return _DECIMAL_COMMA.fullmatch(cell.strip()) is not None


class Rows:
    """The rows of a text file: iterating gives the cells of each that is not blank.

    Attributes
    ----------
    delimiter : str
    comment : str or None
        The line before the first row if it begins with #, without that mark.
    number : int
        The line that the last row ended in, counted from 1.
    """

    def __init__(self, file: TextIO, where: str, compressed: int | None = None) -> None:
        self.where = where
        self.comment: str | None = None
        self.number = 0
        self._lines = self._read_lines(file, compressed)
        self._head = list(islice(self._lines, _HEAD))
        said = re.fullmatch(r"sep=(.)\s*", self._head[0][1], re.I) if self._head else None
        if said:  # how Excel notes the delimiter
            del self._head[0]
        self.delimiter = said[1] if said else _find_delimiter([line for _, line in self._head])

    def __iter__(self) -> Iterator[list[str]]:
        import csv

        table = _reader(self._numbered(), self.delimiter, strict=True)
        try:
            for cells in table:
                if any(cell.strip() for cell in cells):
                    yield cells
        except csv.Error as error:
            raise ValueError(
                f"{self.where} is no table: after line {self.number}, {error}"
            ) from None

    def cut(self, line: str) -> list[str]:
        """One more line in cells, as those of the file."""
        return next(_reader([line], self.delimiter), [])

    def _numbered(self) -> Iterator[str]:
        for number, line in chain(self._head, self._lines):
            self.number = number
            yield line

    def _read_lines(self, file: TextIO, compressed: int | None) -> Iterator[tuple[int, str]]:
        """Yield (number, line) without blank lines and comments."""
        number = total = 0
        begun = False
        while line := file.readline(_LONGEST):
            number += 1
            total += len(line)
            if len(line) == _LONGEST:
                raise ValueError(
                    f"{self.where}: line {number} is longer than {_LONGEST:,} characters, "
                    f"expected the cells of one sample"
                )
            if compressed is not None:
                check_expansion(total, compressed, self.where, verb="holds more than")
            if "\0" in line:
                raise ValueError(f"{self.where} holds zero bytes: it is not text")
            text = line.strip()
            if text.startswith("#"):
                if not begun:
                    self.comment = text.lstrip("#").strip()
            elif text:
                begun = True
                yield number, line
            elif not begun:
                self.comment = None


def _reader(lines: Iterable[str], delimiter: str, strict: bool = False) -> Iterator[list[str]]:
    import csv

    if delimiter == " ":  # any number of spaces is one delimiter: written anew with single ones
        lines = (" ".join(line.split()) for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=strict)


def _find_delimiter(head: list[str]) -> str:
    """The first that cuts each line into equally many cells, one of them a number.

    Semicolons, tabs and bars come before commas, which may be decimal ones. The first line may have
    a cell fewer: R gives row names no header.
    """
    for delimiter in DELIMITERS:
        rows = _cut_all(head, delimiter)
        body = rows[1:] or rows
        widths = {len(cells) for cells in body}
        if len(widths) != 1 or (width := len(body[-1])) < 2:
            continue
        found = any(is_number(cell) or has_decimal_comma(cell) for cell in body[-1])
        spaced = delimiter == "," and any(re.search(r"\d\s+\d", c) for c in body[-1])
        if found and not spaced and width - len(rows[0]) in (0, 1):
            return delimiter
    return max(DELIMITERS[:4], key=lambda d: sum(line.count(d) for line in head))


def _cut_all(head: list[str], delimiter: str) -> list[list[str]]:
    import csv

    try:
        return [cells for cells in _reader(head, delimiter) if cells]
    except csv.Error:
        return []


@contextmanager
def opened_rows(path: Path, where: str) -> Iterator[Rows]:
    """Open a text file: plain or gz, UTF-8, or UTF-16 with its mark.

    Raises
    ------
    ValueError
        Also within the block: if it is not such text, or is cut short.
    """
    try:
        with ExitStack() as stack:
            file: IO[bytes] | Any = stack.enter_context(open(path, "rb"))
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if is_gzip:
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            mark = file.read(2)
            file.seek(0)
            encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            text = stack.enter_context(io.TextIOWrapper(file, encoding, newline=""))
            yield Rows(text, where, os.path.getsize(path) if is_gzip else None)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not {error.encoding.upper()} text: byte {error.object[error.start]:#04x} "
            f"cannot be read; save it as UTF-8"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{where} is cut short or corrupt: {error}; get the file again") from None
