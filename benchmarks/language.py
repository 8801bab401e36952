"""Language models on tiny Shakespeare: nats a character, beside what was published and counting.

    python -m benchmarks.language --runs DIR [--seeds 0 1 2] [--rows muon lstm] [--save]

nanoGPT's configuration for a CPU trains on 2,000 batches of 12 windows of 64 characters, and its
page gives 1.88 nats on the held-out tenth; so do the rows here, but for the last, which is
``minienc pretrain shakespeare`` as it stands. A run whose folder DIR/ROW-SEED is there and complete
is not trained again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command import RESULTS, table, without_kernel
from minienc.cli import main as minienc
from minienc.files import write_json, write_text

STEPS = "--epochs 4 --steps-per-epoch 500"


class Row(NamedTuple):
    """A command, and what others reached with as many characters read."""

    title: str
    options: str
    published: str


ROWS = {
    "adamw": Row(
        "Transformer, AdamW",
        f"--method transformer_lm --optimizer adamw --lr 0.003 {STEPS}",
        "1.88, nanoGPT",
    ),
    "muon": Row("Transformer, Muon", f"--method transformer_lm {STEPS}", "1.88, nanoGPT"),
    "rnn": Row("LSTM", f"--method rnn_lm --dropout 0 {STEPS}", ""),
    "default": Row("LSTM, the defaults", "", "1.47, nanoGPT on a GPU"),
}


def measure(name: str, seed: int, runs: Path) -> dict[str, Any]:
    """The results of one run, which is trained unless it is there."""
    folder = runs / f"{name}-{seed}"
    command = f"pretrain shakespeare {ROWS[name].options} --seed {seed}"
    if not (folder / "results.json").is_file():
        status = minienc([*shlex.split(command), "--quiet", "--out", str(folder)])
        if status:
            raise SystemExit(status)
    results = json.loads((folder / "results.json").read_text())
    return {"row": name, "seed": seed, "command": f"minienc {command}", **results}


def render(records: list[dict[str, Any]]) -> str:
    """The table."""
    head = ["", "parameters", "steps", "nats", "seeds", "bits", "read", "published"]
    rows = []
    for name, row in ROWS.items():
        of_row = [r for r in records if r["row"] == name]
        if not of_row:
            continue
        nats = [list(r["test_nats_per_character"].values())[-1] for r in of_row]
        bits = [list(r["test_bits_per_character"].values())[-1] for r in of_row]
        spread = f" ± {statistics.stdev(nats):.3f}" if len(nats) > 1 else ""
        rows.append(
            [
                row.title,
                f"{of_row[0]['parameters']:,}",
                f"{of_row[0]['steps']:,}",
                f"{statistics.mean(nats):.3f}{spread}",
                str(len(nats)),
                f"{statistics.mean(bits):.2f}",
                of_row[0]["evaluation"],
                row.published,
            ]
        )
    first = records[0]["test_nats_per_character"]
    for name in list(first)[:-1]:
        bits = records[0]["test_bits_per_character"][name]
        rows.append([name, "", "", f"{first[name]:.3f}", "", f"{bits:.2f}", "", ""])
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.language", description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/language"), metavar="DIR")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--done", action="store_true", help="only what is there: train nothing")
    parser.add_argument("--save", action="store_true", help="keep the table in benchmarks/results/")
    given = parser.parse_args()
    print(without_kernel(), end="", flush=True)
    wanted = [(name, seed) for name in given.rows for seed in given.seeds]
    if given.done:
        wanted = [w for w in wanted if (given.runs / f"{w[0]}-{w[1]}" / "results.json").is_file()]
    records = [measure(*one, given.runs) for one in wanted]
    print(text := render(records))
    if given.save:
        write_json(RESULTS / "language.json", records)
        write_text(RESULTS / "language.md", text + "\n")


if __name__ == "__main__":
    main()
