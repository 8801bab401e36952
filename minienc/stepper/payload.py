"""A record as JSON and numbers: what a page carries, and what ``.npz`` keeps.

    {"version": 2, "title": ..., "about": {...},
     "values": [[dtype, shape, offset], ...],           numbers lie behind, little-endian
                [dtype, shape, offset, part, norm]      of what is carried in part
     "parts":  [[lane of each axis, ...], ...],         so many, [[from, how many], ...], null: all
     "ops":    [[kind, [argument, ...], {option: ...}, value, visit], ...],  in an order to run in
     "formulas": ["<math>...", ...],
     "sources": [{"name", "file", "first", "lines"}],   functions, whole
     "frames": [{"source", "outer", "arguments", "returned"}],
     "visits": [{"frame", "line", "last", "numbers", "bound", "ops": [number, ...], "formula": n}],
     "steps":  [{"phase", "primitive", "path", "time", "arguments", "returned", "after",
                 "frames": [from, to], "visits": [from, to],
                 "ran": {"numbers", "differing", "digits", "pairs": [[replay's, run's], ...]}}],
     "verdicts": [{"visit", "name", "of", "verdict", "index", "yours", "numeric", "uncertainty",
                   "shape", "because"}],
     "graph": [{"path", "kind", "inputs"}],
     "parameters": [{"name", "shape", "value", "gradient", "after", "from"}],
     "gradients": [[value, gradient], ...], "loss": {...}, "kernel": false}

Of a model that is too large, features are left out (``cut.py``): ``part`` is a row of ``parts``.
The offset of a value is -1 where its numbers need not be carried: its operation moves numbers, or
is one that IEEE 754 rounds in one way alone (``EXACT``), so the page makes the same bits of it. The
operations of visit -1 stand between the calls (``links.py``), which also say of parameters which
value each is, its gradient, and where it lies in the vector ``after`` the update; ``gradients`` has
a line for every gradient that a backward returns, with what it is the gradient of.

Within arguments, ``{"v": 3}`` is value 3, ``{"s": [0, 5, null]}`` a slice, ``{"d": "float32"}`` a
dtype, ``{"e": 1}`` an ellipsis, ``{"n": "DenseCache", "f": {...}}`` a named tuple,
``{"m": {...}}`` a dictionary, a list a tuple or a list, ``{"a": [...], "h": shape, "d": dtype}`` an
array that no tape knows, ``{"x": "text"}`` what else there may be; a float that JSON has not is
``{"y": "nan"}``. Arguments, options and names that are bound are dictionaries as they stand.
"""

from __future__ import annotations

import inspect
import json
import linecache
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minienc.stepper.cut import Lane, lanes_of, norm_of, part_of, said_of
from minienc.stepper.formula import formula_of
from minienc.stepper.lines import Frame, comment_of, numbers_of, statements, text_of
from minienc.stepper.links import Link, Place, in_order, links_of
from minienc.stepper.record import Ran, Record
from minienc.stepper.tape import Ref

VERSION = 2
ROOT = Path(__file__).parents[2]


def encode(record: Record) -> tuple[dict[str, Any], bytes]:
    """The header and the numbers of a record."""
    links = links_of(record)
    ops = [_operation(op) for op in in_order(record.tape.operations, links.links)]
    arrays = [*record.tape.values, *links.values]
    again = {op[3] for op in ops if _is_exact(op, arrays)}
    lanes: list[list[Lane] | None] = [None] * len(arrays)
    loss = dict(record.loss)
    if record.most is not None:
        lanes = lanes_of(arrays, record, links.places, record.most)
        again = {op[3] for op in ops if op[3] in again and _is_whole(op, lanes)}
        loss |= {} if (said := said_of(record)) is None else {"said": said}
    parts: list[list[Lane]] = []
    values, numbers = numbers_of_values(arrays, again, lanes, parts)
    sources, formulas = _Sources(), _Table()
    visits = _visits(record, ops, formulas)
    frames = [
        {
            "source": sources.number_of(frame),
            "outer": frame.outer,
            "arguments": named(frame.arguments),
            "returned": plain(frame.returned),
        }
        for frame in record.frames
    ]
    header = {
        "version": VERSION,
        "title": record.title,
        "about": record.about,
        "values": values,
        "parts": parts,
        "ops": ops,
        "formulas": formulas.rows,
        "sources": sources.found,
        "frames": frames,
        "visits": visits,
        "steps": [
            {
                "phase": step.phase,
                "primitive": step.primitive,
                "path": step.path,
                "time": step.time,
                "arguments": named(step.arguments),
                "returned": plain(step.returned),
                "after": named(step.after),
                "frames": list(step.frames),
                "visits": list(step.visits),
                "ran": _ran(step.ran),
            }
            for step in record.steps
        ],
        "verdicts": [_verdict(v.visit, v.claim, v.because) for v in record.verdicts],
        "graph": record.graph,
        "parameters": [_place(p) for p in links.places],
        "gradients": [list(pair) for pair in links.gradients],
        "loss": loss,
        "kernel": record.kernel,
    }
    return header, numbers


def _ran(ran: Ran) -> dict[str, Any]:
    """How far a call of the run agrees with its replay."""
    return {
        "numbers": ran.numbers,
        "differing": ran.differing,
        "digits": ran.digits,
        "pairs": [list(pair) for pair in ran.pairs],
    }


def _operation(op: Any) -> list[Any]:
    options, visit = ({}, -1) if isinstance(op, Link) else (op.options, op.visit)
    return [op.kind, plain(op.arguments), named(options), op.result, visit]


def _place(place: Place) -> dict[str, Any]:
    found = {"value": place.value, "gradient": place.gradient, "after": place.after}
    return {
        "name": place.name,
        "shape": list(place.shape),
        "from": place.offset,
        **{k: v for k, v in found.items() if v is not None},
    }


EXACT = {
    *("add", "subtract", "multiply", "divide", "sqrt", "negative", "absolute", "maximum"),
    *("minimum", "where", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("getitem", "setitem", "reshape", "transpose", "copy", "concatenate", "stack", "flatten"),
    *("pad", "repeat", "sliding_window_view", "zeros_like", "ones_like", "full_like"),
}
_CARRIED = ("float32", "float64", "bool")  # dtypes whose arithmetic the page has


def numbers_of_values(
    arrays: Sequence[np.ndarray],
    made_again: set[int],
    lanes: Sequence[list[Lane] | None] = (),
    parts: list[list[Lane]] | None = None,
) -> tuple[list[list[Any]], bytes]:
    """The table of values, and the numbers of those that are carried; ``parts`` is filled with what
    is carried of some, by their ``lanes``."""
    table: list[list[Any]] = []
    blocks, offset = [], 0
    parts = [] if parts is None else parts
    for number, a in enumerate(arrays):
        if number in made_again:
            table.append([a.dtype.name, list(a.shape), -1])
            continue
        own = lanes[number] if lanes else None
        carried = np.ascontiguousarray(part_of(a, own))
        raw = carried.astype(a.dtype.newbyteorder("<"), copy=False).tobytes()
        gap = -offset % 8  # a page reads them as Float64Array, say, which begin at such places
        blocks += [b"\0" * gap, raw]
        table.append([a.dtype.name, list(a.shape), offset + gap])
        if own is not None:
            if own not in parts:
                parts.append(own)
            table[-1] += [parts.index(own), plain(norm_of(a))]
        offset += gap + len(raw)
    return table, b"".join(blocks)


def _is_whole(op: list[Any], lanes: Sequence[list[Lane] | None]) -> bool:
    """Whether nothing of an operation is left out."""
    return all(lanes[v] is None for v in (op[3], *_values_in([op[1], op[2]])))


def _is_exact(op: list[Any], arrays: Sequence[np.ndarray]) -> bool:
    """Whether the page makes the very bits of its result. Two floats of 24 bits that are added,
    multiplied or divided in 53, and rounded to 24, are what they are in 24."""
    kind, arguments, options, result, visit = op
    if visit < 0 and kind == "copy":  # of a replay that was rounded otherwise
        return False
    if kind not in EXACT or not set(options) <= {"axis", "constant_values", "dtype"}:
        return False
    dtypes = {arrays[v].dtype.name for v in _values_in([arguments, options])}
    return (
        bool(dtypes)
        and {arrays[result].dtype.name, *dtypes} <= {*_CARRIED, "int64"}
        and (arrays[result].dtype.name in _CARRIED)
    )


def _values_in(x: Any) -> Iterator[int]:
    """The values that JSON refers to."""
    if isinstance(x, dict) and "v" in x:
        yield x["v"]
    elif isinstance(x, (dict, list)):
        for part in x.values() if isinstance(x, dict) else x:
            yield from _values_in(part)


class _Table:
    """Texts, each once."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def number_of(self, text: str) -> int:
        if text not in self.rows:
            self.rows.append(text)
        return self.rows.index(text)


class _Sources:
    """The functions that were run, each once."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._numbers: dict[tuple[str, int], int] = {}

    def number_of(self, frame: Frame) -> int:
        key = frame.file, frame.line
        if key not in self._numbers:
            self._numbers[key] = len(self.found)
            self.found.append(
                {
                    "name": frame.function,
                    "file": shown_path(frame.file),
                    "first": frame.line,
                    "lines": source_lines(frame.file, frame.line),
                }
            )
        return self._numbers[key]


def shown_path(file: str) -> str:
    """A file of the library by its place in it, others by their name."""
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def source_lines(file: str, first: int) -> list[str]:
    """The lines of the function that begins there."""
    lines = linecache.getlines(file)[first - 1 :]
    return [line.rstrip("\n") for line in inspect.getblock(lines)]


def _visits(record: Record, ops: list[list[Any]], formulas: _Table) -> list[dict[str, Any]]:
    spans: dict[int, list[int]] = {}
    for number, op in enumerate(ops):
        spans.setdefault(op[4], []).append(number)
    found = []
    for number, visit in enumerate(record.visits):
        file = record.frames[visit.frame].file
        text = text_of(file, visit.line)
        found.append(
            {
                "frame": visit.frame,
                "line": visit.line,
                "last": statements(file).get(visit.line, (0, visit.line))[1],
                "numbers": sorted(numbers_of(comment_of(text))),
                "bound": named(visit.bound),
                "ops": spans.get(number, []),
                "formula": formulas.number_of(formula_of(text)),
            }
        )
    return found


def _verdict(visit: int, claim: Any, because: int | None) -> dict[str, Any]:
    return {
        "visit": visit,
        "name": claim.name,
        "of": claim.of,
        "verdict": claim.verdict,
        "index": list(claim.index),
        "yours": plain(claim.yours),
        "numeric": plain(claim.numeric),
        "uncertainty": plain(claim.uncertainty),
        "shape": [list(s) for s in claim.shape],
        "because": because,
    }


def named(x: dict[str, Any]) -> dict[str, Any]:
    """What names stand for."""
    return {str(k): plain(part) for k, part in x.items()}


def plain(x: Any) -> Any:
    """What JSON can say of it; see the module's docstring."""
    if isinstance(x, Ref):
        return {"v": x.value}
    if x is None or isinstance(x, (bool, str)):
        return x
    if isinstance(x, (int, np.integer)):
        return int(x)
    if isinstance(x, (float, np.floating)):
        return float(x) if math.isfinite(x) else {"y": str(float(x))}
    if isinstance(x, slice):
        return {"s": [plain(x.start), plain(x.stop), plain(x.step)]}
    if x is Ellipsis:
        return {"e": 1}
    if isinstance(x, np.dtype) or (isinstance(x, type) and issubclass(x, np.generic)):
        return {"d": np.dtype(x).name}
    if hasattr(x, "_fields"):
        return {"n": type(x).__name__, "f": named(x._asdict())}
    if isinstance(x, (tuple, list)):
        return [plain(part) for part in x]
    if isinstance(x, dict):
        return {"m": named(x)}
    if isinstance(x, np.ndarray):
        flat = plain(x.ravel().tolist())
        return {"a": flat, "h": list(x.shape), "d": x.dtype.name}
    return {"x": getattr(x, "__name__", type(x).__name__) if isinstance(x, Callable) else str(x)}  # type: ignore[arg-type]


def as_json(header: dict[str, Any]) -> str:
    return json.dumps(header, separators=(",", ":"), allow_nan=False)
