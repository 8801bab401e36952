"""What the benchmarks of translation and of summaries share: runs by the command line, kept as they
come.

A run is a folder DIR/NAME. One that is complete is not trained again, one that was stopped is gone
on with, and what it came to is in the results file before the next one begins.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.command import RESULTS, say
from minienc import __version__
from minienc.cli import main as minienc
from minienc.files import write_json, write_text

Records = list[dict[str, Any]]


def run(command: str, folder: Path, resume: str) -> dict[str, Any]:
    """What a run came to; it is trained, or gone on with, unless it is there."""
    results, clock = folder / "results.json", folder / "cpu_seconds.json"
    if not (results.is_file() and results.stat().st_size):
        before = json.loads(clock.read_text()) if clock.is_file() else 0.0
        began = time.process_time()
        words = [*shlex.split(command), "--out", str(folder), "--quiet"]
        if (folder / "config.json").is_file():
            words = [*resume.split(), str(folder), "--quiet"]
        try:
            status = minienc(words)
        finally:
            if folder.is_dir():
                write_json(clock, before + time.process_time() - began)
        if status:
            raise SystemExit(status)
    seconds = json.loads(clock.read_text()) if clock.is_file() else None
    found = json.loads(results.read_text())
    found.pop("start", None)  # a folder of this machine; the command says as much
    return {"command": f"minienc {command}", "cpu_seconds": seconds, **found}


class Kept:
    """The records of a results file: one for each name, the newest."""

    def __init__(self, name: str, render: Callable[[Records], str], save: bool) -> None:
        self.path, self.render, self.save = RESULTS / f"{name}.json", render, save
        self.records: Records = json.loads(self.path.read_text()) if self.path.is_file() else []

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record; with ``save``, in the file, and the table beside it."""
        record = {**record, "minienc": __version__, "date": time.strftime("%Y-%m-%d")}
        others = [r for r in self.records if r["name"] != record["name"]]
        self.records = sorted([*others, record], key=lambda r: r["name"])
        say(f"{record['name']}: {record['scores']}")
        if self.save:
            RESULTS.mkdir(exist_ok=True)
            write_json(self.path, self.records)
            write_text(self.path.with_suffix(".md"), self.render(self.records) + "\n")


def options(program: str, doc: str, rows: list[str], data: str) -> argparse.ArgumentParser:
    """The options that both have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{program}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help=data)
    add("--runs", type=Path, default=Path("runs") / program, metavar="DIR")
    add("--rows", nargs="*", choices=rows, default=rows)
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--epochs", type=int, help="in the place of a row's own")
    add("--save", action="store_true", help="keep the table in benchmarks/results/")
    return parser


def spread(values: list[float]) -> str:
    """Mean and deviation over the seeds."""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"
