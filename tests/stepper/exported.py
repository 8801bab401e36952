"""The suite's cases as tapes that a page can read: what its JavaScript is tested with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minienc.primitive import REGISTRY, definitions_only
from minienc.stepper.payload import named, numbers_of_values, plain
from minienc.stepper.tape import Tape
from tests.cases import CASES, all_cases, call


def tapes() -> Iterator[tuple[str, Tape]]:
    """Forward and backward of every case."""
    for name in CASES:
        forward = REGISTRY[name] if name in REGISTRY else REGISTRY[f"{name}_forward"]
        for number, (arrays, options) in enumerate(all_cases(name)):
            yield f"{name} {number}", _taped(forward, arrays, options)


def _taped(forward: Any, arrays: tuple, options: dict[str, Any]) -> Tape:
    tape = Tape()
    with definitions_only(), tape, np.errstate(all="ignore"):
        y, cache = call(forward, tape.watch(arrays), tape.watch(options))
        forward.backward(tape.watch(_cotangent(y)), cache)
    return tape


def _cotangent(y: Any) -> Any:
    rng = np.random.default_rng(0)
    if isinstance(y, tuple):
        return tuple(map(_cotangent, y))
    v = rng.standard_normal(y.shape)
    return v if y.shape else np.float64(v)


def export(folder: Path) -> dict[str, int]:
    """Write ``cases.json`` and ``cases.bin``; return how many there are of what."""
    cases, blob, counts = [], b"", {"cases": 0, "operations": 0, "numbers": 0}
    for name, tape in tapes():
        table, raw = numbers_of_values(tape.values, set())
        ops = [
            [op.kind, plain(op.arguments), named(op.options), op.result, op.visit]
            for op in tape.operations
        ]
        cases.append({"name": name, "values": table, "ops": ops, "from": len(blob)})
        cases[-1]["to"] = len(blob) + len(raw)
        blob += raw + b"\0" * (-len(raw) % 8)
        counts["cases"] += 1
        counts["operations"] += len(ops)
        counts["numbers"] += sum(tape.values[op.result].size for op in tape.operations)
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    (folder / "cases.bin").write_bytes(blob)
    return counts
