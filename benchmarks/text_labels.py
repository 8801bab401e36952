"""What is a package for? Few labelled texts, and methods that have read many without labels.

    python -m benchmarks.text_labels --data debian-synopses --sections sections.tsv --save

Debian sorts its packages into sections: games, mail, science, ... Of ten sections whose names say
what a package is for, the description is given and the section asked for. DIR holds the
descriptions, train.jsonl.gz and valid.jsonl.gz; the sections of packages are in Debian's own lists:

    apt-cache dumpavail | awk '/^Package:/{p=$2} /^Section:/{print p "\\t" $2}' > sections.tsv

Packages of one family (libfoo1, libfoo-dev, foo-doc) have nearly one description: whole families
are held out, a fifth of them. A language model and word vectors have read the descriptions of all
other families, of whatever section, without labels, once for all seeds. A seed draws the labelled
texts, all new weights and the order; the settings below were chosen by seed 0, which is not among
those that are told. The arms, those of ``finetuning.texts``, see the same texts, seed by seed.

Which language a sentence is in would be no task: with --languages, a folder of Multi30k, it is said
how well naive Bayes tells English from French by ten sentences.

Each result is written to --records as it comes, and the pretraining to --pretraining: what is there
is not done again, so the command may be stopped at any moment and begun anew.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import RESULTS, say, table, without_kernel
from benchmarks.digits_spoken import Records
from benchmarks.pairs_runs import spread
from minienc.data.pairs import read_lines
from minienc.files import write_json, write_text
from minienc.finetuning.curve import PRETRAINED, PROBE, RANDOM
from minienc.finetuning.texts import (
    CHARACTERS,
    COUNTS,
    WORDS,
    TextEncoder,
    encoder_for,
    text_label_curve,
)
from minienc.language import METHODS, NaiveBayes

SECTIONS = (
    *("admin", "games", "graphics", "mail", "math"),
    *("net", "science", "sound", "text", "web"),
)


class Way(NamedTuple):
    """A method, and how its parameters differ from the class's; how its encoder is fine-tuned."""

    title: str
    pretraining: dict[str, Any]
    fine_tuning: dict[str, Any]
    length: int  # tokens of a description that are read


WAYS = {
    "rnn_lm": Way(
        "language model (LSTM)",
        {
            **{"tokens": "words", "vocab_size": 4000, "embedding": 128, "hidden": (128,)},
            **{"batch_size": 32, "epochs": 1},
        },
        {"steps": 150, "learning_rate": 0.01, "weight_decay": 0.01},
        48,
    ),
    "word_vectors": Way(
        "word vectors",
        {"vocab_size": 8000, "batch_size": 1024, "steps_per_epoch": 2000, "epochs": 4},
        {"steps": 300, "learning_rate": 0.03, "layer_decay": 0.1, "weight_decay": 0.01},
        96,
    ),
}


class Task(NamedTuple):
    """Texts to learn from and to test on; and all that may be read without labels."""

    texts: list[str]
    y: np.ndarray
    test_texts: list[str]
    test_y: np.ndarray
    unlabelled: str


def family_of(package: str) -> str:
    """libfoo1, libfoo-dev and foo-doc are of one: foo."""
    return re.split(r"[-\d.+]", package.removeprefix("lib"))[0] or package


def is_held_out(package: str) -> bool:
    """Of a fifth of all families, whatever else there is."""
    return zlib.crc32(family_of(package).encode()) % 5 == 0


def read_task(folder: Path, sections: Path) -> Task:
    """The descriptions of the ten sections, parted by families; each once."""
    of_package = dict(line.split("\t", 1) for line in read_lines(sections))
    rows: dict[str, str] = {}  # description -> package
    for part in ("train", "valid"):
        with gzip.open(folder / f"{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                rows.setdefault(" ".join(row["description"].split()), row["package"])
    parts: tuple[list, list] = ([], [])
    unlabelled = []
    for text, package in rows.items():
        out, section = is_held_out(package), of_package.get(package)
        if not out:
            unlabelled.append(text)
        if section in SECTIONS:
            parts[out].append((text, SECTIONS.index(section)))
    (texts, y), (test_texts, test_y) = (zip(*part, strict=True) for part in parts)
    whole = "\n".join(unlabelled) + "\n"
    return Task(list(texts), np.array(y), list(test_texts), np.array(test_y), whole)


def pretrained(name: str, task: Task, folder: Path) -> tuple[TextEncoder, dict[str, float]]:
    """The encoder, and what is to be said of its pretraining."""
    way = WAYS[name]
    method = METHODS[name](random_state=0, **way.pretraining)
    clock = folder / "cpu_seconds.json"
    before, began = json.loads(clock.read_text()) if clock.is_file() else 0.0, time.process_time()
    try:
        method.fit(task.unlabelled, checkpoint_dir=folder, resume=True)
    finally:
        seconds = before + time.process_time() - began
        write_json(clock, seconds)
    about = {"loss": round(method.history_["loss"][-1], 3), "cpu_seconds": round(seconds)}
    return encoder_for(method, task.texts, way.length), about


def measure_all(given: argparse.Namespace, records: Records) -> None:
    task = read_task(given.data, given.sections)
    there = {(r["method"], r["seed"], r["labels"]) for r in records.found}
    for name in given.methods:
        wanted = [(seed, n) for seed in given.seeds for n in given.labels]
        missing = [(seed, n) for seed, n in wanted if (name, seed, n) not in there]
        if not missing:
            continue
        encoder, about = pretrained(name, task, given.pretraining / name)
        say(f"{name} is pretrained: {about}")
        for seed, n in missing:
            began = time.process_time()
            how = WAYS[name].fine_tuning
            curve = text_label_curve(encoder, *task[:4], labels=(n,), seeds=(seed,), **how)
            found = {arm: round(float(a[0, 0]), 4) for arm, a in curve.arms.items()}
            records.add(
                method=name, seed=seed, labels=n, arms=found, pretraining=about,
                cpu_seconds=round(time.process_time() - began, 1),
                texts_train=len(task.texts), texts_test=len(task.test_texts),
                most_frequent=round(float(np.bincount(task.test_y).max() / len(task.test_y)), 4),
            )  # fmt: skip
            say(f"{name}, seed {seed}, {n} labels: {found}")


def languages(folder: Path, n: int = 10, seed: int = 0) -> str:
    """How well naive Bayes tells Multi30k's languages apart by n sentences."""
    parts = {}
    for part in ("train", "val"):
        lines = [read_lines(folder / f"{part}.{side}.gz") for side in ("en", "fr")]
        parts[part] = [(text, k) for k, side in enumerate(lines) for text in side]
    train, valid = parts["train"], parts["val"]
    order = np.random.default_rng(seed).permutation(len(train) // 2)[: n // 2]
    few = [train[i + k * (len(train) // 2)] for i in order for k in (0, 1)]
    model = NaiveBayes().fit([text for text, _ in few], [k for _, k in few])
    right = model.score([text for text, _ in valid], [k for _, k in valid])
    return (
        f"naive Bayes tells English from French by {n} sentences in {100 * right:.1f} % of "
        f"{len(valid):,} sentences"
    )


def render(records: list[dict[str, Any]]) -> str:
    """Accuracies with their spread over seeds, and what pretraining gained, seed by seed."""
    sizes = sorted({r["labels"] for r in records})
    gain = lambda r: r["arms"][PRETRAINED] - r["arms"][RANDOM]  # noqa: E731
    rows = []
    for name, way in WAYS.items():
        own = [r for r in records if r["method"] == name]
        for arm in (PRETRAINED, RANDOM, PROBE) if own else ():
            value = lambda r, arm=arm: r["arms"][arm]  # noqa: E731
            rows.append([f"{way.title}: {arm}", *_cells(own, sizes, value)])
        if own:
            rows.append([f"{way.title}: gain by pretraining", *_cells(own, sizes, gain)])
    any_way = [r for r in records if r["method"] == records[0]["method"]]
    for arm in (COUNTS, CHARACTERS, WORDS):
        rows.append([arm, *_cells(any_way, sizes, lambda r, arm=arm: r["arms"][arm])])
    head = ["accuracy, %", *[f"{n:,} labelled" for n in sizes]]
    told = (
        f"{len({r['seed'] for r in records})} seeds; {records[0]['texts_test']:,} test texts, of "
        f"which the most frequent section makes up {100 * records[0]['most_frequent']:.1f} %"
    )
    return f"{table(head, rows)}\n\n{told}"


def _cells(
    records: list[dict[str, Any]], sizes: list[int], value: Callable[[dict[str, Any]], float]
) -> list[str]:
    of = lambda n: [100 * value(r) for r in records if r["labels"] == n]  # noqa: E731
    return [spread(found) if (found := of(n)) else "" for n in sizes]


def main(arguments: Sequence[str] | None = None) -> None:
    form = argparse.RawDescriptionHelpFormatter
    name = "python -m benchmarks.text_labels"
    parser = argparse.ArgumentParser(prog=name, description=__doc__, formatter_class=form)
    parser.add_argument("--data", type=Path, metavar="DIR", required=True)
    parser.add_argument("--sections", type=Path, metavar="FILE", required=True)
    parser.add_argument("--languages", type=Path, metavar="DIR", help="Multi30k's folder")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--labels", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--methods", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--pretraining", type=Path, default=Path("runs/text_labels"))
    parser.add_argument("--records", type=Path, default=Path("runs/text_labels.json"))
    parser.add_argument("--save", action="store_true", help="keep the table in benchmarks/results/")
    given = parser.parse_args(arguments)
    print(without_kernel(), end="", flush=True)
    records = Records(given.records)
    measure_all(given, records)
    text = render(records.found)
    if given.languages is not None:
        text += f"\n\n{languages(given.languages)}"
    print(text)
    if given.save:
        RESULTS.mkdir(exist_ok=True)
        write_json(RESULTS / "text_labels.json", records.found)
        write_text(RESULTS / "text_labels.md", text + "\n")


if __name__ == "__main__":
    main()
