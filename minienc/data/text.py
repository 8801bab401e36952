"""Text: files read as what they say they are, and cut into pieces to learn from.

A language model learns to say what comes next, so from ids (L,) it is given windows of T and, as
targets, the same windows one place further:

    x, y = next_token_windows(ids, T)       # both (N, T): y[n, t] is what follows x[n, t]

For a recurrent network that carries its state from batch to batch, ``parallel_streams`` cuts the
text into N long streams that are read side by side.
"""

from __future__ import annotations

import codecs
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minienc.shapes import is_whole

TEXT_ENDINGS = (".txt", ".text", ".md", ".rst", ".tex", ".html", ".xml", ".csv", ".json", ".py")
CHUNK = 1 << 20  # bytes read at a time


class TextSplit(NamedTuple):
    """A text in its two parts: what is learned from, and what is held out."""

    train: str
    valid: str


def read_shakespeare() -> str:
    """The text that is embedded: 1,115,394 characters of Shakespeare's plays.

    Known as tiny Shakespeare, as A. Karpathy put it together; the plays are in the public domain.
    """
    packed = Path(__file__).with_name("shakespeare.txt.xz").read_bytes()
    return lzma.decompress(packed).decode("ascii")


NAMED_TEXTS = {"shakespeare": read_shakespeare}  # those that need no file


def split_text(text: str, valid: float = 0.1) -> TextSplit:
    """The last part held out, as nanoGPT does: ``int(len(text) (1 - valid))`` characters to learn
    from.

    Raises
    ------
    ValueError
        For an empty text, a share that is not between 0 and 1, or one that leaves nothing.
    """
    if not text:
        raise ValueError("split_text: the text is empty")
    if not 0 <= valid < 1:
        raise ValueError(f"split_text: valid is {valid}, expected a share in [0, 1)")
    n = int(len(text) * (1 - valid))
    if n == 0:
        raise ValueError(f"split_text: {len(text)} characters leave nothing to learn from")
    return TextSplit(text[:n], text[n:])


# ------------------------------------------------------------------------------------------ files


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """A text file, or all text files of a folder in the order of their names.

    A byte order mark at the beginning is not part of the text, and overrules ``encoding``.

    Raises
    ------
    FileNotFoundError
    ValueError
        For an empty text, bytes that the encoding does not have (the first is named, with its
        place), an encoding that there is not.
    """
    text = "".join(stream_text(path, encoding))
    if not text:
        raise ValueError(f"{path}: there is no text in it")
    return text


def stream_text(path: str | Path, encoding: str = "utf-8", chunk: int = CHUNK) -> Iterator[str]:
    """The same in parts of some ``chunk`` bytes, for texts that are larger than memory."""
    path = Path(path)
    for file in text_files(path) if path.is_dir() else [path]:
        yield from _stream_file(file, encoding, chunk)


def text_files(folder: str | Path) -> list[Path]:
    """Every file below a folder whose name ends as a text's does, in the order of their paths."""
    files = sorted(f for f in Path(folder).rglob("*") if f.suffix.lower() in TEXT_ENDINGS)
    if not files:
        raise ValueError(f"{folder}: there is no text file in it ({', '.join(TEXT_ENDINGS)})")
    return files


def _stream_file(path: Path, encoding: str, chunk: int) -> Iterator[str]:
    if not path.is_file():
        if path.exists():
            raise ValueError(f"{path}: it is neither a file nor a folder")
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(4)
        encoding, skip = _by_mark(start, encoding)
        try:
            decoder = codecs.getincrementaldecoder(encoding)()
        except LookupError:
            raise ValueError(f"encoding is {encoding!r}, which Python does not know") from None
        file.seek(skip)
        at = skip
        while block := file.read(chunk):
            yield _decoded(decoder, block, path, encoding, at, last=False)
            at += len(block)
        yield _decoded(decoder, b"", path, encoding, at, last=True)


MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def _by_mark(start: bytes, encoding: str) -> tuple[str, int]:
    """The encoding that a byte order mark names, and the mark's length; or what was given."""
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name, len(mark)
    return encoding, 0


def _decoded(
    decoder: codecs.IncrementalDecoder, block: bytes, path: Path, encoding: str, at: int, last: bool
) -> str:
    pending = len(decoder.getstate()[0])
    try:
        return decoder.decode(block, last)
    except UnicodeDecodeError as error:
        place = at - pending + error.start
        raise ValueError(
            f"{path}: byte {place} is 0x{error.object[error.start]:02x}, which is no {encoding} "
            f"({error.reason}); say what the text is written in, such as encoding='latin-1'"
        ) from error


# ---------------------------------------------------------------------------------------- windows


def next_token_windows(ids: np.ndarray, T: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y), both (N, T): windows that do not overlap, and the same one place further.

    Raises
    ------
    ValueError
        If the text is too short for one window.
    """
    if not is_whole(T, 1):
        raise ValueError(f"next_token_windows: T is {T!r}, expected a whole number from 1")
    N = (len(ids) - 1) // T
    if N < 1:
        raise ValueError(
            f"next_token_windows: {len(ids)} tokens are too few for a window of {T} and what "
            f"follows it; expected {T + 1} or more"
        )
    return ids[: N * T].reshape(N, T), ids[1 : N * T + 1].reshape(N, T)


def count_ids(ids: np.ndarray, n: int) -> np.ndarray:
    """(n,) of int64: how often each of n tokens stands among ids (L,), a part at a time: NumPy
    counts a copy of what it counts."""
    counts = np.zeros(n, np.int64)
    for start in range(0, len(ids), CHUNK):
        counts += np.bincount(ids[start : start + CHUNK], minlength=n)
    return counts


def random_windows(ids: np.ndarray, N: int, T: int, rng: np.random.Generator) -> np.ndarray:
    """(N, T) windows of the text that begin anywhere; ids (L,), L at least T."""
    starts = rng.integers(0, len(ids) - T + 1, N)
    return ids[starts[:, None] + np.arange(T)]


def parallel_streams(ids: np.ndarray, N: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y), both (N, L): the text cut into N streams of equal length, and one place further.

    Column t of x stands N places beside one another in the text; a network that reads T columns
    at a time may carry its state on to the next T.
    """
    if not is_whole(N, 1):
        raise ValueError(f"parallel_streams: N is {N!r}, expected a whole number from 1")
    L = (len(ids) - 1) // N
    if L < 1:
        raise ValueError(f"parallel_streams: {len(ids)} tokens are too few for {N} streams")
    return ids[: N * L].reshape(N, L), ids[1 : N * L + 1].reshape(N, L)


def pad_sequences(
    sequences: list[np.ndarray], value: int = 0, T: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(ids (N, T), lengths (N,)): sequences of any lengths in one array, ``value`` behind their
    ends.

    ``T`` is the longest's length unless it is given; then longer ones are refused.
    """
    lengths = np.array([len(s) for s in sequences], dtype=np.int32)
    longest = int(lengths.max(initial=0))
    T = longest if T is None else T
    if longest > T:
        n = int(lengths.argmax())
        raise ValueError(f"pad_sequences: sequence {n} has {longest} steps, and T is {T}")
    padded = np.full((len(sequences), T), value, dtype=np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, lengths


def batches_of_like_lengths(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Indices of batches whose sequences are nearly of one length, in a random order.

    Sequences of equal length are shuffled among one another, and so are the batches; so little is
    padded, and no two epochs are alike.
    """
    shuffled = rng.permutation(len(lengths))
    order = shuffled[np.argsort(np.asarray(lengths)[shuffled], kind="stable")]
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
