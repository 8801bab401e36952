"""A record as JSON and numbers: what a page carries, and what ``.npz`` keeps.

    {"version": 1, "title": ..., "about": {...},
     "values": [[dtype, shape, offset], ...],           numbers lie behind, little-endian
     "ops":    [[kind, [argument, ...], {option: ...}, value, visit], ...],
     "sources": [{"name", "file", "first", "lines"}],   functions, whole
     "frames": [{"source", "outer", "arguments", "returned"}],
     "visits": [{"frame", "line", "last", "numbers", "bound", "ops": [number, ...], "formula"}],
     "steps":  [{"phase", "primitive", "path", "time", "arguments", "returned", "after",
                 "frames": [from, to], "visits": [from, to]}],
     "verdicts": [{"visit", "name", "of", "verdict", "index", "yours", "numeric", "uncertainty",
                   "shape", "because"}],
     "graph": [{"path", "kind", "inputs"}], "parameters": [{"name", "update", "offset",
     "shape"}], "loss": {...}, "differing": n, "numbers": n}

Within arguments, ``{"v": 3}`` is value 3, ``{"s": [0, 5, null]}`` a slice, ``{"d": "float32"}`` a
dtype, ``{"e": 1}`` an ellipsis, ``{"n": "DenseCache", "f": {...}}`` a named tuple, a list a
tuple or a list, ``{"x": "text"}`` what else there may be; a float that JSON has
not is ``{"y": "nan"}``.
"""

from __future__ import annotations

import inspect
import json
import linecache
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from minienc.stepper.formula import formula_of
from minienc.stepper.lines import Frame, comment_of, numbers_of, statements, text_of
from minienc.stepper.record import Record
from minienc.stepper.tape import Ref

VERSION = 1
ROOT = Path(__file__).parents[2]


def encode(record: Record) -> tuple[dict[str, Any], bytes]:
    """The header and the numbers of a record."""
    values, numbers = _values(record.tape.values)
    sources = _Sources()
    frames = [
        {
            "source": sources.number_of(frame),
            "outer": frame.outer,
            "arguments": plain(frame.arguments),
            "returned": plain(frame.returned),
        }
        for frame in record.frames
    ]
    header = {
        "version": VERSION,
        "title": record.title,
        "about": record.about,
        "values": values,
        "ops": [
            [op.kind, plain(op.arguments), plain(op.options), op.result, op.visit]
            for op in record.tape.operations
        ],
        "sources": sources.found,
        "frames": frames,
        "visits": _visits(record),
        "steps": [
            {
                "phase": step.phase,
                "primitive": step.primitive,
                "path": step.path,
                "time": step.time,
                "arguments": plain(step.arguments),
                "returned": plain(step.returned),
                "after": plain(step.after),
                "frames": list(step.frames),
                "visits": list(step.visits),
            }
            for step in record.steps
        ],
        "verdicts": [_verdict(v.visit, v.claim, v.because) for v in record.verdicts],
        "graph": record.graph,
        "parameters": record.parameters,
        "loss": record.loss,
        "differing": record.differing,
        "numbers": record.numbers,
    }
    return header, numbers


def _values(arrays: Iterable[np.ndarray]) -> tuple[list[list[Any]], bytes]:
    table, parts, offset = [], [], 0
    for a in arrays:
        raw = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<"), copy=False).tobytes()
        gap = -offset % 8  # a page reads them as Float64Array, say, which begin at such places
        parts += [b"\0" * gap, raw]
        table.append([a.dtype.name, list(a.shape), offset + gap])
        offset += gap + len(raw)
    return table, b"".join(parts)


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


def _visits(record: Record) -> list[dict[str, Any]]:
    spans: dict[int, list[int]] = {}
    for number, op in enumerate(record.tape.operations):
        spans.setdefault(op.visit, []).append(number)
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
                "bound": plain(visit.bound),
                "ops": spans.get(number, []),
                "formula": formula_of(text),
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
        parts = {name: plain(part) for name, part in zip(x._fields, x, strict=True)}
        return {"n": type(x).__name__, "f": parts}
    if isinstance(x, (tuple, list)):
        return [plain(part) for part in x]
    if isinstance(x, dict):
        return {str(k): plain(part) for k, part in x.items()}
    if isinstance(x, np.ndarray):
        return plain(x.tolist())
    return {"x": getattr(x, "__name__", type(x).__name__) if isinstance(x, Callable) else str(x)}  # type: ignore[arg-type]


def as_json(header: dict[str, Any]) -> str:
    return json.dumps(header, separators=(",", ":"), allow_nan=False)
