"""Summaries: Debian's package descriptions to their one-line synopses, ROUGE of held-out families.

    python -m benchmarks.summaries --data debian-synopses --save
    python -m benchmarks.summaries --data debian-synopses --rows pretrained --seeds 0 --save

The same network, a GRU with attention, without copying, with it, and behind a pretraining on the
descriptions and synopses without their pairs; beside them what needs no learning. DIR holds
train.jsonl.gz and valid.jsonl.gz with the fields package, description and synopsis. Each result is
kept as soon as it is there; a stopped run is gone on with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.command import table, without_kernel
from benchmarks.pairs_runs import Kept, Records, options, run, spread

FIELDS = "--source package,description --target synopsis"
FINETUNE, PRETRAIN = "finetune --resume", "pretrain --resume"
ROWS = {  # name -> (title, options)
    "no-copying": ("GRU, attention", "--set copying=no"),
    "copying": ("... and copying", ""),
    "pretrained": ("... and pretrained", "--lr 0.001"),
}
EPOCHS = 8
SCORES = ("ROUGE-1", "ROUGE-2", "ROUGE-L")


def measure(
    data: str, runs: Path, name: str, seed: int, epochs: int, pretraining: int
) -> dict[str, Any]:
    """One row with one seed."""
    before = ""
    if name == "pretrained":
        folder = runs / f"denoising-{seed}"
        command = f"pretrain {data} --method denoising_seq2seq --copying --vocab-size 3000"
        command += f" --context 100 --batch-size 25 --epochs {pretraining} --seed {seed}"
        run(command, folder, PRETRAIN)
        before = f" {folder}"
    command = f"finetune{before} --task summarize --pairs {data} {FIELDS} {ROWS[name][1]}"
    command += f" --epochs {epochs} --seed {seed}"
    found = run(command, runs / f"{name}-{seed}", FINETUNE)
    return {"name": f"{name}-{seed}", "row": name, "seed": seed, **found}


def render(records: Records) -> str:
    """The table, with the baselines of the same held-out texts."""
    rows = []
    for name, (title, _) in ROWS.items():
        of_row = [r for r in records if r["row"] == name]
        if of_row:
            cells = [spread([r["scores"][score] for r in of_row]) for score in SCORES]
            minutes = sum(r["cpu_seconds"] for r in of_row) / len(of_row) / 60
            rows.append([title, *cells, f"{minutes:.0f}", str(len(of_row))])
    for name, found in records[0]["baselines"].items():
        cells = [f"{found[key]:.1f}" for key in ("rouge1", "rouge2", "rougeL")]
        rows.append([name, *cells, "", ""])
    return table(["", *SCORES, "CPU minutes", "seeds"], rows)


def main() -> None:
    parser = options("summaries", __doc__ or "", list(ROWS), "the folder of synopses")
    parser.add_argument("--pretraining-epochs", type=int, default=2, metavar="E")
    given = parser.parse_args()
    print(without_kernel(), end="", flush=True)
    kept = Kept("summaries", render, given.save)
    for seed in given.seeds:
        for name in given.rows:
            epochs = given.epochs or EPOCHS
            one = (given.data, given.runs, name, seed, epochs, given.pretraining_epochs)
            kept.add(measure(*one))
    print(render(kept.records))


if __name__ == "__main__":
    main()
