"""Digit and speaker of spoken digits by one encoder: what each task gains, or loses, by the other.

    python -m benchmarks.multitask --data-dir DIR [--seeds 0 1 2] [--labels 100 all] [--save]

A fifth of the clips of fsdd is held out, the same part of each digit of each speaker: who speaks
can only be told of voices that were heard. The others pretrain an encoder without labels
(``predictive_coding``), and so many of them are labelled, with both labels. A seed draws which
ones, all weights, and the order. Every arm begins with the same encoder and makes the same number
of steps:

alone        a model for each task
sum          one for both: the losses are added
uncertainty  the losses' weights are learned
pcgrad       what of a task's gradient goes against the other's is left out

Each result is written to --records as it comes: what is there is not measured again, so the command
may be stopped at any moment and begun anew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from benchmarks.command import save, say, table, without_kernel
from benchmarks.digits_spoken import ALL, Records
from benchmarks.pairs_runs import spread
from minienc.audio import METHODS
from minienc.data import Dataset, load_dataset
from minienc.data.datasets import test_rows
from minienc.finetuning import MultiTask
from minienc.finetuning.curve import draw_labelled, epochs_of
from minienc.models import Model
from minienc.plots import COLOURS

TASKS = ("digit", "speaker")
ARMS = ("alone", "sum", "uncertainty", "pcgrad")
TITLES = {
    "alone": "a model for each",
    "sum": "both, sum",
    "uncertainty": "both, uncertainty weighting",
    "pcgrad": "both, PCGrad",
}
PRETRAINING_EPOCHS, STEPS, STEPS_OF_ALL, BATCH = 5, 250, 500, 32
SIZES: dict[str, Any] = {"filters": (16, 32), "units": 64}  # of the network
FINE_TUNING: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "weight_decay": 1e-4,
    "dropout": 0.3,
    "batch_size": BATCH,
}


class Clips(NamedTuple):
    """Samples, and both labels of each."""

    x: np.ndarray
    digit: np.ndarray
    speaker: np.ndarray

    def part(self, rows: np.ndarray) -> Clips:
        return Clips(*[column[rows] for column in self])

    def labels(self, tasks: Sequence[str]) -> dict[str, np.ndarray]:
        return {task: getattr(self, task) for task in tasks}

    @property
    def strata(self) -> np.ndarray:
        """The class of each digit of each speaker."""
        _, speaker = np.unique(self.speaker, return_inverse=True)
        return self.digit * (1 + speaker.max()) + speaker


def clips_of(dataset: Dataset) -> Clips:
    """All clips, those that are set apart by speaker, too."""
    heard = dataset.sound
    columns = (
        (dataset.x, dataset.test_x),
        (dataset.y, dataset.test_y),
        (heard.speakers, heard.test_speakers),
    )
    return Clips(*[np.concatenate([p for p in pair if p is not None]) for pair in columns])


def parted(clips: Clips, seed: int) -> tuple[Clips, Clips]:
    """(what is learned from, what is held out)."""
    out = test_rows(clips.strata, len(clips.x), 0.2, seed)
    return clips.part(~out), clips.part(out)


def pretrained(train: Clips, seed: int) -> Model:
    method: Any = METHODS["predictive_coding"]
    return method(epochs=PRETRAINING_EPOCHS, random_state=seed, **SIZES).fit(train.x).encoder_


def measured(
    arm: str, encoder: Model, train: Clips, test: Clips, n: int, seed: int
) -> dict[str, Any]:
    """The accuracies of an arm, and what was seen of its gradients."""
    few = train
    if n != ALL:
        few = train.part(draw_labelled(train.strata, n, np.random.default_rng([seed, n])))
    epochs = epochs_of(STEPS_OF_ALL if n == ALL else STEPS, BATCH, len(few.x))
    found: dict[str, Any] = {}
    for tasks in [(task,) for task in TASKS] if arm == "alone" else [TASKS]:
        combine = "sum" if arm == "alone" else arm
        model = MultiTask(encoder, combine, epochs=epochs, random_state=seed, **FINE_TUNING)
        model.fit(few.x, few.labels(tasks))
        found |= model.score(test.x, test.labels(tasks))
        if arm != "alone":
            found["cosines"] = model.history_["digit_speaker_cosine"]
            found["conflict"] = float(np.mean(model.history_["digit_speaker_conflict"]))
            found["norms"] = [float(np.mean(model.history_[f"{task}_norm"])) for task in TASKS]
    return found


def measure_all(given: argparse.Namespace, records: Records) -> None:
    clips = clips_of(load_dataset("fsdd", given.data_dir))
    there = {(r["arm"], r["seed"], r["labels"]) for r in records.found}
    for seed in given.seeds:
        missing = [
            (arm, n) for n in given.labels for arm in given.arms if (arm, seed, n) not in there
        ]
        if not missing:
            continue
        train, test = parted(clips, seed)
        encoder = pretrained(train, seed)
        for arm, n in missing:
            started = time.process_time()
            found = measured(arm, encoder, train, test, n, seed)
            seconds = round(time.process_time() - started, 1)
            records.add(arm=arm, seed=seed, labels=n, cpu_seconds=seconds, **_rounded(found))
            say(f"{arm}, seed {seed}, {n or 'all'} labels: {found['digit']:.3f} of the digits, "
                f"{found['speaker']:.3f} of the speakers")  # fmt: skip


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {k: np.round(v, 4).tolist() for k, v in found.items()}


def render(records: list[dict[str, Any]]) -> str:
    """A table for each number of labels."""
    parts = []
    for n in sorted({r["labels"] for r in records}, key=lambda n: n or 10**9):
        rows = []
        for arm in ARMS:
            found = [r for r in records if (r["arm"], r["labels"]) == (arm, n)]
            if not found:
                continue
            row = [TITLES[arm], *[spread([100 * r[task] for r in found]) for task in TASKS]]
            if arm == "alone":
                row += ["", ""]
            else:
                row.append(f"{np.mean([np.mean(r['cosines']) for r in found]):.2f}")
                row.append(f"{100 * np.mean([r['conflict'] for r in found]):.0f} %")
            row.append(f"{np.mean([r['cpu_seconds'] for r in found]):.0f}")
            rows.append([*row, str(len(found))])
        told = "all clips labelled" if n == ALL else f"{n} clips labelled"
        head = [told, "digit, %", "speaker, %", "cosine", "steps in conflict", "CPU s", "seeds"]
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def plot(records: list[dict[str, Any]]) -> Figure:
    """The cosine of the two tasks' gradients along the training: a panel for each number of labels,
    the mean over the seeds and all of them, thin."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    sizes = sorted({r["labels"] for r in records}, key=lambda n: n or 10**9)
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, n in zip(panels, sizes, strict=True):
        for arm, colour in zip(ARMS[1:], COLOURS, strict=False):
            found = [r["cosines"] for r in records if (r["arm"], r["labels"]) == (arm, n)]
            along = 100 * (np.arange(len(found[0])) + 1) / len(found[0]) if found else []
            for one in found:
                axes.plot(along, one, color=colour, linewidth=0.4)
            if found:
                axes.plot(along, np.mean(found, axis=0), color=colour, label=TITLES[arm])
        axes.axhline(0, color="0.4", linewidth=0.8)
        told = "all clips labelled" if n == ALL else f"{n} clips labelled"
        axes.set(title=told, xlabel="of the training, %")
    panels[0].set_ylabel("cosine, digit and speaker")
    panels[-1].legend(frameon=False, fontsize=8)
    return figure


def _labels(text: str) -> int:
    return ALL if text == "all" else int(text)


def main(arguments: Sequence[str] | None = None) -> None:
    form = argparse.RawDescriptionHelpFormatter
    name = "python -m benchmarks.multitask"
    parser = argparse.ArgumentParser(prog=name, description=__doc__, formatter_class=form)
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--labels", nargs="+", type=_labels, default=[100, ALL])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--records", type=Path, default=Path("runs/multitask.json"))
    parser.add_argument("--save", action="store_true", help="keep the table in benchmarks/results/")
    given = parser.parse_args(arguments)
    print(without_kernel(), end="", flush=True)
    records = Records(given.records)
    measure_all(given, records)
    print(text := render(records.found))
    if given.save:
        save("multitask", records.found, text, plot(records.found))


if __name__ == "__main__":
    main()
