"""Pairs of texts: a sentence and its translation, a description and its summary.

    data = load_pairs("multi30k", "en", "fr")       # a folder with train.en.gz and train.fr.gz
    data.train                                      # [(source, target), ...]
    data.valid                                      # held out: never learned from

What is read, by what is there: a folder of aligned files, one for each side (``train.en``,
``train.fr``), or of ``train.jsonl`` or ``train.tsv``; such a file alone; two files. Each may be
packed (``.gz``). Beside ``train`` the folder may hold ``valid``, ``val`` or ``dev``: that is held
out then. Otherwise the last twentieth is; where lines of JSON name a ``family`` or a ``group``,
whole families are, so that no near copy of what is tested was learned from. ``docstrings:`` is
data that every installation has (``docstrings.py``).
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minienc.data.docstrings import PREFIX, read_docstrings
from minienc.data.limits import check_expansion, check_memory
from minienc.data.raw import check_exists, check_file

Pair = tuple[str, str]  # source, target

TRAIN, VALID = ("train",), ("valid", "val", "dev")  # names of the parts of a folder
TABLES = (".jsonl", ".json", ".tsv")  # files that hold both sides
FAMILIES = ("family", "group")  # fields of JSON that say what belongs together
MOST_PAIRS = 20_000_000
EVERY = 20  # one of so many is held out


class TextPairs(NamedTuple):
    """Pairs in two parts, and where they came from.

    Attributes
    ----------
    source, target : str
        What the two sides are called: languages, or fields.
    """

    name: str
    where: str
    source: str
    target: str
    train: list[Pair]
    valid: list[Pair]


class TextOfSides(str):
    """A text that knows which of its lines are of which side: a language, or a field.

    Attributes
    ----------
    sides : dict of str to list of str
        The texts of each, none of them empty.
    """

    sides: dict[str, list[str]]

    def __new__(cls, sides: dict[str, list[str]]) -> TextOfSides:
        text = super().__new__(cls, "\n".join("\n".join(lines) for lines in sides.values()))
        text.sides = sides
        return text


def load_pairs(
    path: str | Path | Sequence[str | Path], source: str | None = None, target: str | None = None
) -> TextPairs:
    """Read pairs, and hold a part of them out.

    Parameters
    ----------
    path : path, or two of them
        A folder, a file of both sides, the files of the source and of the target; or
        "docstrings:", with names of packages behind the colon or without.
    source, target : str, optional
        A language (the ending of a file's name), a field of JSON, a column of a table. Several
        fields, ``"package,description"``, become one text. They need not be said where there are
        two sides and their order is plain.

    Raises
    ------
    OSError
        If there is no such file, or a pipe or a device in its place.
    ValueError
        If a side is unknown, a pair is empty on a side (its line is named), the sides have not as
        many lines, or a file is no UTF-8 or no JSON.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pairs.tsv")
    ...     _ = path.write_text("en\\tfr\\none\\tun\\ntwo\\tdeux\\nthree\\ttrois\\n")
    ...     pairs = load_pairs(path, "en", "fr")
    >>> sorted(pairs.train + pairs.valid)
    [('one', 'un'), ('three', 'trois'), ('two', 'deux')]
    """
    if isinstance(path, (list, tuple)):
        if len(path) != 2:
            raise ValueError(f"pairs: {len(path)} files came, expected one, or two: source, target")
        return _two_files(Path(path[0]), Path(path[1]), source, target)
    if str(path).startswith(PREFIX):
        return _docstrings(str(path), source, target)
    where = check_exists(path, "pairs")  # type: ignore[arg-type]
    name = Path(os.path.abspath(where)).name.split(".")[0] or "pairs"
    parts = _parts_of(where) if where.is_dir() else {"train": where}
    if isinstance(parts["train"], Path):
        source, target, train = _table(parts["train"], source, target)
        held_out = _table(parts["valid"], source, target)[2] if "valid" in parts else None
    else:
        source, target = _two_sides(where, sorted(parts["train"]), source, target)
        train = _aligned(parts["train"][source], parts["train"][target], source, target)
        files: Any = parts.get("valid", {})
        has_both = source in files and target in files
        held_out = _aligned(files[source], files[target], source, target) if has_both else None
    if held_out is None:
        return TextPairs(name, str(where), source, target, *_hold_out(train, str(where)))
    both = [[(s, t) for s, t, _ in rows] for rows in (train, held_out)]
    return TextPairs(name, str(where), source, target, *both)


def read_sides(path: str | Path) -> tuple[TextOfSides, TextOfSides]:
    """(what is learned from, what is held out): each side by itself, for methods that need no
    pairs. Without a part that is held out, the second is empty."""
    where = check_exists(path, "pairs")
    parts = _parts_of(where) if where.is_dir() else {"train": where}
    found: list[dict[str, list[str]]] = []
    for part in ("train", "valid"):
        files: Any = parts.get(part, {})
        if isinstance(files, Path):
            found.append(_fields_of(files))
        else:
            found.append({k: [t for t in read_lines(f) if t.strip()] for k, f in files.items()})
    held_out = {side: found[1].get(side, []) for side in found[0]}
    return TextOfSides(found[0]), TextOfSides(held_out if any(held_out.values()) else {})


def has_sides(path: str | Path) -> bool:
    """Whether a folder or a file is one of pairs by its names, whatever stands in it."""
    where = Path(path)
    if where.is_file():
        return _ending(where) in TABLES
    return where.is_dir() and any(f.name.split(".")[0] in TRAIN for f in where.iterdir())


# ------------------------------------------------------------------------------------- the folder


def _ending(file: Path) -> str:
    """What stands behind the name, packed or not: ".en" of "train.en.gz"."""
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def _parts_of(folder: Path) -> dict[str, Any]:
    """{"train": a table's path, or {side: path}, "valid": the same where it is there}."""
    parts: dict[str, Any] = {}
    for part, names in (("train", TRAIN), ("valid", VALID)):
        files = [f for f in sorted(folder.iterdir()) if f.name.split(".")[0] in names]
        by_ending = {_ending(f)[1:]: f for f in files if _ending(f)}
        tables = [f for f in files if _ending(f) in TABLES]
        if by_ending:
            parts[part] = tables[0] if tables else by_ending
    if "train" not in parts:
        raise ValueError(
            f"pairs: {folder} holds no train.*: expected such as train.en and train.fr, "
            f"train.jsonl or train.tsv"
        )
    return parts


def _two_sides(
    where: Path, known: list[str], source: str | None, target: str | None
) -> tuple[str, str]:
    """The sides that were said; the other one of two, where one was."""
    for what, side in (("source", source), ("target", target)):
        if side is not None and side not in known:
            raise ValueError(f"pairs: {what} is {side!r}, {where} has {', '.join(known)}")
    others = [side for side in known if side not in (source, target)]
    if source is None and target is not None and len(others) == 1:
        source = others[0]
    if target is None and source is not None and len(others) == 1:
        target = others[0]
    if source is None or target is None:
        raise ValueError(f"pairs: say source and target; {where} has {', '.join(known)}")
    if source == target:
        raise ValueError(f"pairs: source and target are both {source!r}, expected two sides")
    return source, target


def _two_files(one: Path, other: Path, source: str | None, target: str | None) -> TextPairs:
    source, target = (
        source or _ending(one)[1:] or "source",
        target or _ending(other)[1:] or "target",
    )
    if source == target:
        source, target = "source", "target"
    train, valid = _hold_out(_aligned(one, other, source, target), str(one))
    name = one.name.split(".")[0] or "pairs"
    return TextPairs(name, f"{one}, {other}", source, target, train, valid)


def _docstrings(path: str, source: str | None, target: str | None) -> TextPairs:
    if (source or "text", target or "summary") != ("text", "summary"):
        raise ValueError(f"pairs: {path} has text and summary, no {source!r} and {target!r}")
    names = [n for n in path.removeprefix(PREFIX).split(",") if n]
    rows = read_docstrings(names)
    train, valid = _hold_out(rows, path)
    return TextPairs("docstrings", path, "text", "summary", train, valid)


# ---------------------------------------------------------------------------------------- reading

Row = tuple[str, str, str | None]  # source, target, and the family


def _aligned(one: Path, other: Path, source: str, target: str) -> list[Row]:
    """Line by line."""
    lines = read_lines(one), read_lines(other)
    if len(lines[0]) != len(lines[1]):
        raise ValueError(
            f"pairs: {one} has {len(lines[0]):,} lines and {other} {len(lines[1]):,}; line n of "
            f"the one is to be the translation of line n of the other"
        )
    rows: list[Row] = [(s.strip(), t.strip(), None) for s, t in zip(*lines, strict=True)]
    for n, (s, t, _) in enumerate(rows, 1):
        if not (s and t):
            side, file = (source, one) if not s else (target, other)
            raise ValueError(f"pairs: line {n} of {file} is empty, so this pair has no {side}")
    return rows


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text in UTF-8, packed or not; only a line feed ends one.

    Raises
    ------
    OSError, ValueError
        As ``load_pairs``; a packed file that expands to gigabytes is refused, too.
    """
    file = check_file(path, "pairs")
    content = _unpacked(file) if file.name.endswith(".gz") else file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        n = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"pairs: {file}: line {n} is no UTF-8 (byte 0x{content[error.start]:02x}); write the "
            f"file anew in UTF-8, such as with iconv"
        ) from None
    if not text:
        raise ValueError(f"pairs: {file} is empty")
    lines = text.split("\n")  # not splitlines, for which other signs end a line, too
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def _unpacked(file: Path) -> bytes:
    size, parts, n_bytes = file.stat().st_size, [], 0
    try:
        with gzip.open(file) as packed:
            while block := packed.read(1 << 20):
                parts.append(block)
                n_bytes += len(block)
                check_expansion(n_bytes, size, f"pairs: {file}", "holds")
                check_memory(4 * n_bytes, f"pairs: {file}")
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(f"pairs: {file} is no gzip file, or cut short: {error}") from None
    return b"".join(parts)


def _table(file: Path, source: str | None, target: str | None) -> tuple[str, str, list[Row]]:
    """(source, target, rows) of a file that holds both sides."""
    if _ending(file) == ".tsv":
        return _tsv(file, source, target)
    if _ending(file) not in TABLES:
        raise ValueError(
            f"pairs: {file} alone is no file of pairs, expected two files, or one that ends in "
            f"{', '.join(TABLES)}"
        )
    records = [record for _, record in _records(file)]
    known = [k for k, v in records[0].items() if isinstance(v, str)]
    one = source.split(",") if source else None
    other = target.split(",") if target else None
    for what, fields in (("source", one), ("target", other)):
        wrong = [f for f in fields or () if f not in known]
        if wrong:
            raise ValueError(f"pairs: {what} is {wrong[0]!r}, {file} has {', '.join(known)}")
    if one is None or other is None:
        source, target = _two_sides(file, known, source, target)
        one, other = [source], [target]
    family = next((f for f in FAMILIES if f in records[0]), None)
    rows: list[Row] = []
    for n, record in enumerate(records, 1):
        s, t = (_joined(file, n, record, fields) for fields in (one, other))
        rows.append((s, t, None if family is None else str(record.get(family))))
    return ",".join(one), ",".join(other), rows


def _records(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the line, its object) of lines of JSON."""
    for n, line in enumerate(read_lines(file), 1):
        try:
            record = json.loads(line)
        except RecursionError:
            raise ValueError(f"pairs: line {n} of {file} is nested too deep") from None
        except ValueError as error:
            raise ValueError(f"pairs: line {n} of {file} is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise ValueError(f"pairs: line {n} of {file} is no object of fields: {line[:40]!r}")
        yield n, record


def _joined(file: Path, n: int, record: dict[str, Any], fields: list[str]) -> str:
    found = []
    for field in fields:
        value = record.get(field)
        if not (isinstance(value, str) and value.strip()):
            raise ValueError(f"pairs: line {n} of {file} has no text in {field!r}")
        found.append(" ".join(value.split()))
    return ": ".join(found)


def _fields_of(file: Path) -> dict[str, list[str]]:
    """{field, or column: its texts} of a file that holds both sides."""
    if _ending(file) == ".tsv":
        source, target, rows = _tsv(file, None, None)
        return {source: [s for s, _, _ in rows], target: [t for _, t, _ in rows]}
    found: dict[str, list[str]] = {}
    for _, record in _records(file):
        for field, value in record.items():
            if isinstance(value, str) and value.strip():
                found.setdefault(field, []).append(" ".join(value.split()))
    return found


def _tsv(file: Path, source: str | None, target: str | None) -> tuple[str, str, list[Row]]:
    """Two columns; the first line names them where the sides that were said stand in it."""
    rows: list[Row] = []
    lines = read_lines(file)
    head = lines[0].split("\t")
    named = len(head) >= 2 and source in head and target in head
    a, b = (head.index(source), head.index(target)) if named else (0, 1)  # type: ignore[arg-type]
    for n, line in enumerate(lines[1:] if named else lines, 2 if named else 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) <= max(a, b) or not (cells[a] and cells[b]):
            raise ValueError(f"pairs: line {n} of {file} has not two texts with a tab between")
        rows.append((cells[a], cells[b], None))
    return source or "source", target or "target", rows


def _hold_out(rows: Sequence[Row], where: str) -> tuple[list[Pair], list[Pair]]:
    """The last twentieth, or of what has families every twentieth of those, by their names."""
    if len(rows) < 2:
        raise ValueError(f"pairs: {where} has {len(rows)} pairs, expected two at least")
    if rows[0][2] is None:
        n = max(1, len(rows) // EVERY)
        is_out = [i >= len(rows) - n for i in range(len(rows))]
    else:
        families = {str(family) for _, _, family in rows}
        drawn = sorted(families, key=lambda f: (zlib.crc32(f.encode("utf-8", "replace")), f))
        held_out = set(drawn[: max(1, len(drawn) // EVERY)])
        is_out = [str(family) in held_out for _, _, family in rows]
    train = [(s, t) for (s, t, _), out in zip(rows, is_out, strict=True) if not out]
    valid = [(s, t) for (s, t, _), out in zip(rows, is_out, strict=True) if out]
    if not train or not valid:
        raise ValueError(
            f"pairs: {where} is one family; expected several, to hold some of them out"
        )
    return train, valid
