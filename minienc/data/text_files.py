"""Texts in files that are larger than memory: read in parts, and their tokens kept in a file.

    texts = open_texts("books/")                   # a file, or a folder of them
    ids = texts.ids(tokenizer)                     # (L,), a memory map

A language model takes windows of tokens from anywhere in a text. So a text that does not fit into
memory is gone through once, part by part, its tokens are written to a file, and windows are taken
out of that: the system holds in memory what is in use. A part ends where a word does, before white
space, so that the tokens are those of the whole text.

Source: Karpathy 2022, nanoGPT, keeps the ids of its texts in such files, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np

from minienc.data.text import stream_text, text_files
from minienc.data.tokenizers import Tokenizer
from minienc.files import atomic_write, write_text

_EDGE = re.compile(r"(?<=\S)(?=\s)")  # the end of a word
_PART = 1 << 20  # characters, and more where no word ends


class TextFiles:
    """The texts of a file or a folder, one behind the other; iterating gives parts of them.

    Parameters
    ----------
    where : path
        A text file, or a folder: of it all files whose names end as texts' do, by their paths.
    encoding : str
        As of ``read_text``.
    end : int, optional
        The first so many characters alone.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are none; what is wrong in a file is told when it is read.

    Examples
    --------
    >>> from minienc.data.tokenizers import CharacterTokenizer
    >>> _ = open("a.txt", "w").write("to be or not to be")
    >>> texts = TextFiles("a.txt")
    >>> tokenizer = CharacterTokenizer.train(texts)
    >>> tokenizer.decode(texts.ids(tokenizer)[:5])
    'to be'
    """

    def __init__(self, where: str | Path, encoding: str = "utf-8", end: int | None = None) -> None:
        self.where, self.encoding, self.end = Path(where), encoding, end
        self._length: int | None = None
        if self.where.is_dir():
            self.files = text_files(self.where)
        elif self.where.is_file():
            self.files = [self.where]
        else:
            raise FileNotFoundError(f"{where}: there is no such file, and no folder")

    def __iter__(self) -> Iterator[str]:
        rest = ""
        for piece in self._pieces(0, self.end):
            rest += piece
            if len(rest) >= _PART and (edge := _last_edge(rest)):
                yield rest[:edge]
                rest = rest[edge:]
        if rest:
            yield rest

    def __repr__(self) -> str:
        return f"TextFiles({str(self.where)!r}, {len(self.files)} files)"

    def __len__(self) -> int:
        """Characters; the first time all texts are read for it."""
        if self._length is None:
            self._length = sum(map(len, self._pieces(0, self.end)))
        return self._length

    def _pieces(self, start: int, end: int | None) -> Iterator[str]:
        """The characters from ``start`` to ``end``, as they come."""
        at = 0
        for piece in chain.from_iterable(stream_text(f, self.encoding) for f in self.files):
            yield piece[max(start - at, 0) : None if end is None else max(end - at, 0)]
            at += len(piece)
            if end is not None and at >= end:
                return

    def head(self, n: int) -> str:
        """The first n characters."""
        return "".join(self._pieces(0, n if self.end is None else min(n, self.end)))

    def split(self, valid: float = 0.1, most: int = 1_000_000) -> tuple[TextFiles, str]:
        """The end held out, as ``split_text`` does, of ``most`` characters at most.

        Raises
        ------
        ValueError
            For a share that is not between 0 and 1, or one that leaves nothing.
        """
        if not 0 <= valid < 1:
            raise ValueError(f"split: valid is {valid}, expected a share in [0, 1)")
        n = max(int(len(self) * (1 - valid)), len(self) - most)
        if n == 0:
            raise ValueError(f"{self.where}: {len(self)} characters leave nothing to learn from")
        end = "".join(self._pieces(n, self.end))
        return TextFiles(self.where, self.encoding, n), end

    def ids(self, tokenizer: Tokenizer, folder: str | Path | None = None) -> np.ndarray:
        """The tokens of all texts (L,) of int32, a memory map.

        Parameters
        ----------
        tokenizer : Tokenizer
        folder : path, optional
            Where they are kept, as ``ids.bin``, to be used again for the same texts and tokens;
            without it, in a file for temporary use, which is gone with them. Four bytes a token.

        Raises
        ------
        UnknownTokenError
            For what the vocabulary lacks.
        OSError
            If the disk is full; nothing of the file stays.
        """
        if folder is None:
            with tempfile.TemporaryFile() as temporary:
                return self._mapped(temporary, self._write(temporary, tokenizer))
        path, note = Path(folder, "ids.bin"), Path(folder, "ids.json")
        made_of = {"made_of": self._fingerprint(tokenizer)}
        if not (path.is_file() and _noted(note) == made_of | {"bytes": path.stat().st_size}):
            with atomic_write(path) as file:
                n = self._write(file, tokenizer)
            write_text(note, json.dumps(made_of | {"bytes": 4 * n}))
        with open(path, "rb") as kept:
            return self._mapped(kept, path.stat().st_size // 4)

    def _write(self, file: IO[bytes], tokenizer: Tokenizer) -> int:
        n = 0
        for part in self:
            ids = tokenizer.encode(part)
            file.write(ids.astype(np.int32, copy=False).tobytes())
            n += len(ids)
        file.flush()
        return n

    def _mapped(self, file: IO[bytes], n: int) -> np.ndarray:
        if n == 0:
            raise ValueError(f"{self.where}: there is no text in it")
        return np.asarray(np.memmap(file, np.int32, "r", shape=(n,)))

    def _fingerprint(self, tokenizer: Tokenizer) -> str:
        """Of the files' names, sizes and times, and of what cuts them."""
        there = [(str(file), (s := os.stat(file)).st_size, s.st_mtime_ns) for file in self.files]
        said = json.dumps([there, self.encoding, self.end, tokenizer.to_dict()])
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def open_texts(where: str | Path, encoding: str = "utf-8") -> TextFiles:
    """The text files of a folder, or one, for the methods of text: ``TextFiles``.

    Examples
    --------
    >>> _ = open("a.txt", "w").write("to be or not to be")
    >>> len(open_texts("a.txt"))
    18
    """
    return TextFiles(where, encoding)


def _last_edge(text: str) -> int:
    """Where the last word that is followed by white space ends; 0 if there is none."""
    for start in (max(len(text) - 10_000, 0), 0):
        edges = [match.start() for match in _EDGE.finditer(text, start)]
        if edges:
            return edges[-1]
    return 0


def _noted(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
