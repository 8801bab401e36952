"""Translation on Multi30k, English to French: BLEU of the held-out pairs, sacrebleu's, cased.

    python -m benchmarks.translation --data multi30k --save
    python -m benchmarks.translation --data multi30k --rows gru transformer --seeds 0 1 2 --save
    python -m benchmarks.translation --data multi30k --rows --pairs 500 2000 --save

The first part compares networks on all pairs. With --pairs comes the question that pretraining
asks: what it is worth to have learned from sentences of both languages without a single pair
(``denoising_seq2seq``), where pairs are few. Its arms share vocabulary, steps and pairs, seed by
seed: everything pretrained, the encoder alone, and random weights.

DIR holds train.en.gz, train.fr.gz, val.en.gz and val.fr.gz. Each result is kept as soon as it is
there; a stopped run is gone on with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command import table, without_kernel
from benchmarks.pairs_runs import Kept, Records, options, run, spread

FINETUNE, PRETRAIN = "minienc finetune --resume", "minienc pretrain --resume"
SIDES = "--source en --target fr"


class Row(NamedTuple):
    """A network, and how it is trained."""

    title: str
    options: str
    epochs: int


ROWS = {
    "gru": Row("GRU, attention", "--network gru", 30),
    "gru-no-attention": Row("GRU, no attention", "--network gru_no_attention", 30),
    "transformer": Row("Transformer, 3 + 3 x 128", "--network transformer --set dropout=0.1", 20),
}
STEPS = 700  # of a fine-tuning with few pairs
BATCH = 1250  # tokens of a batch there
ARMS = {  # name -> (title, options)
    "all": ("pretrained", "--lr 0.001 --parts all"),
    "encoder": ("pretrained encoder", "--lr 0.001 --parts encoder"),
    "vocabulary": ("random weights", "--lr 0.002 --parts vocabulary"),
}


def network(data: str, runs: Path, name: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """One network on all pairs."""
    row = ROWS[name]
    command = f"finetune --task translate --pairs {data} {SIDES} {row.options}"
    command += f" --epochs {epochs or row.epochs} --seed {seed}"
    found = run(command, runs / f"{name}-{seed}", FINETUNE.removeprefix("minienc "))
    return {"name": f"{name}-{seed}", "row": name, "seed": seed, **found}


def few_pairs(data: str, runs: Path, arm: str, n: int, seed: int, epochs: int) -> dict[str, Any]:
    """One arm with n pairs, behind the pretraining of this seed."""
    before = runs / f"pretrained-{seed}"
    command = f"pretrain {data} --method denoising_seq2seq --epochs {epochs} --seed {seed}"
    run_pretraining(command, before)
    n_epochs = max(1, round(STEPS * BATCH / (21 * n)))  # a French sentence has some 21 tokens
    command = f"finetune {before} --task translate --pairs {data} {SIDES} --limit {n}"
    command += f" {ARMS[arm][1]} --set batch_tokens={BATCH} --epochs {n_epochs} --seed {seed}"
    name = f"{arm}-{n}-{seed}"
    found = run(command, runs / name, FINETUNE.removeprefix("minienc "))
    return {"name": name, "arm": arm, "pairs": n, "seed": seed, **found}


def run_pretraining(command: str, folder: Path) -> None:
    run(command, folder, PRETRAIN.removeprefix("minienc "))


def render(records: Records) -> str:
    """Both tables."""
    rows = []
    for name, row in ROWS.items():
        of_row = [r for r in records if r.get("row") == name]
        if of_row:
            one = of_row[0]
            rows.append(
                [
                    row.title,
                    f"{one['parameters']:,}",
                    f"{one['steps']:,}",
                    f"{sum(r['cpu_seconds'] for r in of_row) / len(of_row) / 60:.0f}",
                    spread([r["scores"]["BLEU"] for r in of_row]),
                    spread([r["scores"]["chrF"] for r in of_row]),
                    str(len(of_row)),
                ]
            )
    head = ["all pairs", "parameters", "steps", "CPU minutes", "BLEU", "chrF", "seeds"]
    parts = [table(head, rows)] if rows else []
    few = [r for r in records if "arm" in r]
    sizes = sorted({r["pairs"] for r in few})
    rows = []
    for arm, (title, _) in ARMS.items():
        cells = []
        for n in sizes:
            found = [r["scores"]["BLEU"] for r in few if (r["arm"], r["pairs"]) == (arm, n)]
            cells.append(f"{spread(found)} ({len(found)})" if found else "")
        if any(cells):
            rows.append([title, *cells])
    if rows:
        rows.append(["gain of all", *[gain(few, n) for n in sizes]])
        parts.append(table(["BLEU (seeds)", *[f"{n:,} pairs" for n in sizes]], rows))
    signatures = {r["bleu_signature"] for r in records if "bleu_signature" in r}
    return "\n\n".join([*parts, "BLEU: " + "; ".join(sorted(signatures))])


def gain(few: Records, n: int) -> str:
    """Of everything pretrained over random weights, seed by seed."""
    by = {(r["arm"], r["seed"]): r["scores"]["BLEU"] for r in few if r["pairs"] == n}
    seeds = [s for arm, s in by if arm == "all" and ("vocabulary", s) in by]
    return spread([by["all", s] - by["vocabulary", s] for s in seeds]) if seeds else ""


def main() -> None:
    parser = options("translation", __doc__ or "", list(ROWS), "Multi30k's folder")
    add = parser.add_argument
    add("--pairs", nargs="*", type=int, default=[], metavar="N", help="with so few pairs, too")
    add("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    add("--pretraining-epochs", type=int, default=5, metavar="E")
    given = parser.parse_args()
    print(without_kernel(), end="", flush=True)
    kept = Kept("translation", render, given.save)
    for seed in given.seeds:
        for name in given.rows:
            kept.add(network(given.data, given.runs, name, seed, given.epochs))
        for n in given.pairs:
            for arm in given.arms:
                one = (given.data, given.runs, arm, n, seed, given.pretraining_epochs)
                kept.add(few_pairs(*one))
    print(render(kept.records))


if __name__ == "__main__":
    main()
