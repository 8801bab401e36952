"""Reading an archive that anybody may have made: a zip of ``.npy`` arrays, checked before memory.

What a header declares is compared with the bytes that are there before an array is made of it, so
a small file cannot ask for much memory; nothing is ever unpickled; and whatever is wrong comes out
as one ``ValueError``.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_AT_MOST, _TIMES = 1 << 26, 16  # bytes that a file may expand to: 64 MiB, or so many times its own
_READ = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextmanager
def damage_is_told(where: str | Path, what: str) -> Iterator[None]:
    """Whatever is wrong with a file comes out as a ``ValueError`` that names it.

    A ``ValueError`` of the block is a sentence already; anything else, which parsing what a
    stranger wrote may raise, says that ``what`` is damaged. The system's errors pass.
    """
    try:
        yield
    except OSError:
        raise
    except ValueError as error:
        named = str(where) in str(error)
        raise error if named else ValueError(f"{where}: {first_line(error)}") from error
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"{where}: {what} is damaged: {why}") from error


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def read_npz(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """(what the entry "header" holds as JSON, the other arrays by their names)."""
    arrays: dict[str, np.ndarray] = {}
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(m.file_size for m in members) > max(_AT_MOST, _TIMES * size):
            raise ValueError(f"it declares more than {_TIMES} times the {size:,} bytes it has")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise ValueError(f"its entry {member.filename!r} is no .npy array")
            if name in arrays:
                raise ValueError(f"it has two entries {name!r}")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its entry {name!r} is compressed as numpy never does")
            if member.flag_bits & 1:
                raise ValueError(f"its entry {name!r} is encrypted")
            content = archive.read(member)  # which compares the checksum, too
            arrays[name] = _array(content, f"its entry {name!r}")
    if "header" not in arrays:
        raise ValueError("it has no entry 'header'")
    header = arrays.pop("header")
    if header.dtype.kind != "U" or header.ndim != 0:
        raise ValueError(f"its header is {header.dtype} {header.shape}, expected one text")
    text = [name for name, array in arrays.items() if array.dtype.kind == "U"]
    if text:
        raise ValueError(f"its entry {text[0]!r} holds text, expected numbers")
    return parse_json(str(header[()])), arrays


def _array(content: bytes, where: str) -> np.ndarray:
    """The array of an ``.npy`` file's bytes, in this machine's byte order."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in _READ:
        raise ValueError(f"{where} is of version {version}, expected (1, 0) or (2, 0)")
    try:
        shape, fortran_order, dtype = _READ[version](file)
    except Exception as error:  # a Python literal, parsing which fails in many ways
        raise ValueError(f"{where} has a header that cannot be read: {error}") from error
    if dtype.hasobject:
        raise ValueError(f"{where} holds Python objects, which only allow_pickle=True would read")
    if dtype.kind not in "buifU" or dtype.itemsize == 0:
        raise ValueError(f"{where} holds {dtype}, expected real numbers")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"{where} has the shape {shape}")
    n_bytes, there = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if n_bytes != there:
        raise ValueError(f"{where} declares {n_bytes:,} bytes of numbers and holds {there:,}")
    flat = np.frombuffer(bytearray(content[file.tell() :]), dtype)
    array = flat.reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def parse_json(text: str | bytes) -> Any:
    """JSON, whatever it is; text that is none is a ``ValueError``."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None


def take(record: object, key: str, kinds: type | tuple[type, ...], where: str) -> Any:
    """``record[key]``, which must be there and of one of these types; an int is a float, too."""
    if not isinstance(record, dict):
        raise ValueError(f"{where} is {short(record)}, expected values by their names")
    if key not in record:
        raise ValueError(f"{where} has no {key!r}")
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    value = record[key]
    good = isinstance(value, (*kinds, int) if float in kinds else kinds)
    if not good or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(_SAID.get(kind, kind.__name__) for kind in kinds)
        raise ValueError(f"{where}: {key!r} is {short(value)}, expected {names}")
    return value


_SAID = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "values by their names",
    type(None): "null",
}


def take_all(
    record: object, key: str, kinds: type | tuple[type, ...], where: str, least: int = 0
) -> list:
    """``record[key]``, a list of at least so many values, each of one of these types."""
    values = take(record, key, list, where)
    if len(values) < least:
        raise ValueError(f"{where}: {key!r} is {short(values)}, expected at least {least}")
    for i, value in enumerate(values):
        take({i: value}, i, kinds, f"{where}: {key!r}")  # type: ignore[arg-type,dict-item]
    return values


def short(value: object) -> str:
    """A value for a message, of one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_numbers(arrays: dict[str, np.ndarray], infinity: bool = False) -> None:
    """Refuse NaN and, unless it is allowed, infinity: with such weights learning has ended, and
    nothing goes on from there."""
    for name, array in arrays.items():
        is_bad = np.isnan if infinity else lambda a: ~np.isfinite(a)
        bad = int(is_bad(array).sum()) if array.dtype.kind == "f" else 0
        if bad:
            raise ValueError(
                f"{name} has NaN or infinity in {bad:,} of its {array.size:,} numbers; "
                f"take an earlier file"
            )
