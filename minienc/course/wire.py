"""How arguments and results travel between the grader and a student's process.

A message is a length, a line of JSON and arrays as .npy. Nothing is ever unpickled. What comes back
was made in a process that runs a stranger's code: sizes are compared with what is there before
memory is taken. This file stands alone: the student's process loads it without the rest of the
library.
"""

from __future__ import annotations

import io
import json
import math
import struct
from typing import Any

import numpy as np

# What travels: arrays, numbers, words, lists of these; from a stranger, anything.
Value = Any

MOST = 64 << 20  # bytes of a message
DEEP = 20  # lists within lists


class Malformed(ValueError):
    """A message that is none."""


class Seed:
    """An argument that arrives as ``numpy.random.default_rng(seed)``, made anew for each call."""

    def __init__(self, seed: int) -> None:
        self.seed = seed


class Code:
    """An argument that arrives as what its text makes in Python, a function:
    ``Code("lambda x: (x**3).sum()")``, with ``np``."""

    def __init__(self, text: str) -> None:
        self.text = text


class Strange:
    """What stands for a result that cannot travel: an object of some class."""

    def __init__(self, told: str) -> None:
        self.told = told


def plain(text: Value, most: int) -> str:
    """A stranger's word as one line that can be printed anywhere: no line ends, nothing that moves
    a terminal's cursor, nothing that has no UTF-8."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)[: most + 1])
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def encode(value: Value) -> bytes:
    """A message."""
    arrays: list[bytes] = []
    tree = _tree(value, arrays, DEEP)
    head = json.dumps([tree, [len(a) for a in arrays]]).encode()
    body = b"".join(arrays)
    return struct.pack("<QQ", len(head), len(body)) + head + body


def sizes(start: bytes) -> tuple[int, int]:
    """The sizes of both parts of a message, from its first 16 bytes."""
    head, body = struct.unpack("<QQ", start)
    if head + body > MOST:
        raise Malformed(f"a message of {(head + body) / 2**20:,.0f} MB")
    return head, body


def decode(head: bytes, body: bytes) -> Value:
    """What a message says."""
    try:
        tree, lengths = json.loads(head)
        arrays, at = [], 0
        for length in lengths:
            arrays.append(_array(body[at : at + length]))
            at += length
        return _value(tree, arrays)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, struct.error) as error:
        raise Malformed(f"a message that is none: {error}") from error


def _tree(value: Value, arrays: list[bytes], deep: int) -> Value:
    """JSON for a value; each array goes to ``arrays``."""
    if deep == 0:
        return {"strange": "lists within lists without end"}
    if value is None or type(value) in (bool, str):
        return value
    if type(value) in (int, float):
        if type(value) is int and abs(value) > 2**1000:
            return {"strange": f"a whole number of {value.bit_length()} bits"}
        is_plain = type(value) is float or abs(value) < 2**53
        return {"number": value if is_plain else float(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return _array_tree(np.asarray(value), arrays)
    if type(value) in (list, tuple):
        kind = "list" if type(value) is list else "tuple"
        return {kind: [_tree(part, arrays, deep - 1) for part in value]}
    if isinstance(value, tuple):  # a named one
        return {"tuple": [_tree(part, arrays, deep - 1) for part in tuple(value)]}
    if isinstance(value, dict):
        items = [[str(k), _tree(part, arrays, deep - 1)] for k, part in value.items()]
        return {"dict": items}
    if isinstance(value, Seed):
        return {"seed": value.seed}
    if isinstance(value, Code):
        return {"code": value.text}
    if isinstance(value, Strange):
        return {"strange": value.told}
    return {"strange": f"a {type(value).__name__}"}


def _array_tree(array: np.ndarray, arrays: list[bytes]) -> Value:
    if array.dtype.kind not in "biufc":
        return {"strange": f"an array of {array.dtype}"}
    if array.nbytes > MOST:
        return {"strange": f"an array of {array.nbytes / 2**20:,.0f} MB"}
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array).reshape(array.shape))
    arrays.append(file.getvalue())
    return {"array": len(arrays) - 1}


def _array(data: bytes) -> np.ndarray:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise Malformed(f".npy of version {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=1000)
    count, rest = math.prod(shape), len(data) - file.tell()
    if dtype.kind not in "biufc" or count * dtype.itemsize != rest or fortran:
        raise Malformed(f".npy of {dtype} {shape} with {rest} bytes")
    return np.frombuffer(data, dtype, count, file.tell()).reshape(shape).copy()


def _value(tree: Value, arrays: list[np.ndarray]) -> Value:
    if not isinstance(tree, dict):
        return tree
    ((kind, of),) = tree.items()
    if kind == "number":
        return of
    if kind == "array":
        return arrays[of]
    if kind in ("list", "tuple"):
        parts = [_value(part, arrays) for part in of]
        return parts if kind == "list" else tuple(parts)
    if kind == "dict":
        return {k: _value(part, arrays) for k, part in of}
    if kind == "strange":
        return Strange(plain(of, 100))
    return {"seed": Seed, "code": Code}[kind](of)
