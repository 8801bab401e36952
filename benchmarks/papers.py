"""Figures that papers and tutorials published, beside what minienc reaches on the same data.

    python -m benchmarks.papers --data-dir DIR            what is missing, in shorter schedules
    python -m benchmarks.papers --data-dir DIR --rows deep --seeds 0 1 2
    python -m benchmarks.papers --data-dir DIR --full     the published schedules: hours, days
    python -m benchmarks.papers                           only the table of what there is

DIR holds MNIST's four files, or a folder "mnist" of them. A row is trained once for each seed, and
kept in benchmarks/results/papers.json as soon as it is done, with its exact configuration and the
CPU seconds that it took; what is there is not run again, unless its configuration has changed. In
between, pretraining keeps its checkpoints in runs/papers/, and goes on from them after a stop.

The rows are in ``benchmarks.paper_rows``, what each of them runs in ``benchmarks.paper_runs``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.command import say, table, without_kernel
from benchmarks.paper_rows import ROWS, Figure, Row
from benchmarks.paper_runs import Task
from minienc import __version__
from minienc.data import load_dataset
from minienc.files import write_json, write_text
from minienc.training.callbacks import Callback

RESULTS = Path(__file__).parent / "results" / "papers.json"
Records = list[dict[str, Any]]


class CPUClock(Callback):
    """The CPU seconds of a task, over all of its sittings; kept in its folder after each epoch."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cpu_seconds.json"
        self.before = json.loads(self.path.read_text()) if self.path.exists() else 0.0
        self.start = time.process_time()

    @property
    def seconds(self) -> float:
        return self.before + time.process_time() - self.start

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        write_json(self.path, self.seconds)


def run(row: Row, seed: int, schedule: str, data: Any, work: Path) -> dict[str, Any]:
    """Train one row with one seed; return its record."""
    folder = work / f"{row.name}-{schedule}-{seed}"
    configuration = row.configuration(schedule)
    marker = folder / "configuration.json"
    if marker.exists() and json.loads(marker.read_text()) != plain(configuration):
        shutil.rmtree(folder)  # the checkpoints of another configuration
    folder.mkdir(parents=True, exist_ok=True)
    write_json(marker, configuration)
    clock = CPUClock(folder)
    figures = row.run(Task(data, seed, folder, [clock], configuration))
    return {
        "row": row.name,
        "schedule": schedule,
        "seed": seed,
        "configuration": configuration,
        "figures": figures,
        "cpu_seconds": round(clock.seconds),
        "minienc": __version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def as_rows(data: Any) -> Any:
    """The data set with its images laid out as rows; pixels stay bytes."""
    x, test_x = data.x.flatten_samples(), data.test_x.flatten_samples()
    return dataclasses.replace(data, x=x, test_x=test_x)


def plain(value: Any) -> Any:
    """What JSON makes of it: tuples become lists."""
    return json.loads(json.dumps(value))


def find(records: Records, row: Row, seed: int, schedule: str) -> dict[str, Any] | None:
    """The record of just this configuration, or None."""
    wanted = plain(row.configuration(schedule))
    for record in records:
        key = (record["row"], record["schedule"], record["seed"])
        if key == (row.name, schedule, seed) and record["configuration"] == wanted:
            return record
    return None


def keep(records: Records, new: dict[str, Any]) -> Records:
    """The records with ``new`` in the place of an older one of its row, schedule and seed."""
    key = ("row", "schedule", "seed")
    others = [r for r in records if any(r[k] != new[k] for k in key)]
    return sorted([*others, plain(new)], key=lambda r: (list(ROWS).index(r["row"]), r["seed"]))


# -- the table


def as_table(records: Records) -> str:
    """A line for each figure: what was published, and the mean and deviation over the seeds.

    Records of a configuration that a row has no more are left out: the row says another one.
    """
    lines = []
    for row in ROWS.values():
        for schedule in row.notes:
            now = (row.name, schedule, plain(row.configuration(schedule)))
            found = [r for r in records if (r["row"], r["schedule"], r["configuration"]) == now]
            if found:
                lines += lines_of(row, schedule, found)
    header = ("row, figure", "published", "minienc", "reached", "seeds", "CPU minutes", "schedule")
    return table(header, lines)


def lines_of(row: Row, schedule: str, found: Records) -> list[list[str]]:
    """One row's lines; seeds, time and schedule stand in its first."""
    minutes = statistics.mean(r["cpu_seconds"] for r in found) / 60
    told = [str(len(found)), f"{minutes:.0f}", row.notes[schedule]]
    lines = []
    for i, figure in enumerate(row.figures):
        values = [r["figures"][figure.name] for r in found]
        lines.append(
            [
                f"{row.title}: {figure.name}" if i == 0 else f"... {figure.name}",
                "" if figure.published is None else figure.form.format(figure.published),
                spread_text(figure, values),
                figure.reached(statistics.mean(values)),
                *(told if i == 0 else ["", "", ""]),
            ]
        )
    return lines


def spread_text(figure: Figure, values: list[float]) -> str:
    """Mean and standard deviation over the seeds."""
    mean = figure.form.format(statistics.mean(values))
    if len(values) == 1:
        return mean
    return f"{mean} ± {figure.form.format(statistics.stdev(values))}"


def main(argv: list[str] | None = None) -> int:
    given = parse(argv)
    records: Records = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    schedule = "full" if given.full else "short"
    print(without_kernel(), end="", flush=True)
    if given.data_dir is not None:
        data = as_rows(load_dataset("mnist", data_dir=given.data_dir))
        for name in given.rows:
            row = ROWS[name]
            for seed in range(row.seeds) if given.seeds is None else given.seeds:
                if find(records, row, seed, schedule) is not None:
                    continue
                say(f"{row.title}, seed {seed}")
                record = run(row, seed, schedule, data, given.work)
                records = keep(records, record)
                write_json(RESULTS, records)
                say(f"  {record['figures']}, {record['cpu_seconds']} CPU seconds")
    text = as_table(records)
    print(text)
    write_text(RESULTS.with_suffix(".md"), text + "\n")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.papers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where MNIST is; without it, no training")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: as many as the row says")
    parser.add_argument("--full", action="store_true", help="the published schedules")
    parser.add_argument("--work", type=Path, default=Path("runs/papers"), metavar="FOLDER")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
