"""Spoken digits of a speaker that nobody has heard: what labels, and pretraining, are worth.

    python -m benchmarks.digits_spoken --data-dir DIR [--speakers george ...] [--seeds 0 1 2 3 4]
        [--labels 1 5 20 all] [--arms dtw logistic random masked_frames ...] [--save]

Each speaker of fsdd is left out in turn: pretraining hears the others without labels, fine-tuning
has so many labels a digit of theirs, and the accuracy is that on all sounds of the one left out. A
seed draws which sounds are labelled, all weights, and the order. Every arm sees the same ones:

dtw          the nearest neighbour by dynamic time warping, of 13 MFCC and their deltas: no training
logistic     multinomial logistic regression on the mean frame of each sound
random       two convolutions and a GRU in both directions, in one graph, from random weights
NAME         the same, pretrained by ``minienc.audio`` before
NAME_frozen  multinomial logistic regression on the codes of that, as pretraining left them
NAME_heard, NAME_heard_frozen
             the same, where pretraining has heard the speaker left out, too, without labels: what
             it would be worth to have recordings of whoever will speak (transductive learning)
random_N     random weights, with the labels of N of the other voices alone (those of a seed): what
             the next voice is worth

With all labels the seeds differ in weights and order alone. So the mean of what their networks say
is one more classifier: the row "together".

Each result is written to --records as it comes: what is there is not measured again, so the command
may be stopped at any moment and begun anew.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import RESULTS, say, table, without_kernel
from minienc.arrays import to_numpy
from minienc.audio import METHODS
from minienc.data import Dataset, load_dataset
from minienc.data.mel import deltas, mfcc
from minienc.data.recordings import leave_one_speaker_out
from minienc.data.sequences import length_of
from minienc.files import write_json, write_text
from minienc.finetuning import finetune, linear_probe
from minienc.finetuning.curve import FROM_RANDOM, draw_labelled, epochs_of
from minienc.layers import RandomEqualizer
from minienc.models import Model

ALL = 0  # labels a digit: as many as there are
STEPS = {1: 150, 5: 250, 20: 350, ALL: 700}  # by labels a digit
BATCH = 16
# how every network is fine-tuned, whatever it begins with
FINE_TUNING: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "weight_decay": 1e-4,
    "dropout": 0.5,
    "label_smoothing": 0.1,
    "batch_size": BATCH,
}
EQUALIZER = 0.5
NETWORK: dict[str, Any] = {"filters": (16, 32), "units": 64, "centered": True}
TOGETHER = "_together"  # behind an arm's name: the mean of what the networks of all seeds say
FROZEN = "_frozen"  # behind a method's name: its codes are left as they are
HEARD = "_heard"  # behind a method's name: it has heard the speaker left out as well
VOICES = {"random_1": 1, "random_2": 2, "random_3": 3}  # how many of the other voices are heard
ENDINGS = ("", FROZEN, HEARD, HEARD + FROZEN)
PRETRAINED = [method + ending for method in sorted(METHODS) for ending in ENDINGS]
ARMS = ("dtw", "logistic", "random", *VOICES, *PRETRAINED)
TITLES = {
    "dtw": "DTW, nearest neighbour, MFCC and deltas",
    "logistic": "logistic regression, mean frame",
    "random": "CNN + GRU, random weights",
    "random_1": "... with one voice of the others",
    "random_2": "... with two",
    "random_3": "... with three",
}


Encoder = Callable[[], Model]  # makes it when it is wanted


class Task(NamedTuple):
    """One speaker left out, one seed: pretraining and the labelled sounds are drawn by it."""

    speaker: str
    seed: int
    data: Dataset


# --------------------------------------------------------------------------- dynamic time warping


def dtw_distances(a: np.ndarray, B: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """How far a sequence is from several, when each may run faster and slower: (P,).

        D_ij = d_ij + min(D_(i-1)j, D_i(j-1), D_(i-1)(j-1)),    the distance is D_IJ / (I + J)

    d is Euclidean. Along a row D_ij = min_k<=j (best_k + d_ik + ... + d_ij), with best_k the
    smaller of the two above, so a row of all templates is a cumulative sum and a running minimum.

    Parameters
    ----------
    a : array (I, D)
    B : array (P, J, D)
        Templates, padded.
    lengths : integers (P,)

    Notes
    -----
    Source: Sakoe and Chiba 1978, "Dynamic programming algorithm optimization for spoken word
    recognition" (their symmetric form, without weights).
    """
    squares = (a * a).sum(axis=1)[:, None] + (B * B).sum(axis=2)[:, None, :]
    d = np.sqrt(np.maximum(squares - 2 * np.einsum("id,pjd->pij", a, B, optimize=True), 0))
    D = d[:, 0].cumsum(axis=1)
    for row in d[:, 1:].transpose(1, 0, 2):
        diagonal = np.concatenate([np.full((len(D), 1), np.inf), D[:, :-1]], axis=1)
        before = row.cumsum(axis=1)
        best = np.minimum(D, diagonal) - (before - row)
        D = before + np.minimum.accumulate(best, axis=1)
    return D[np.arange(len(B)), lengths - 1] / (len(a) + lengths)


def cepstra(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(MFCC and deltas of each sound (N, T, 26), how many frames count (N,))."""
    lengths = np.array([length_of(x) for x in X])
    c = np.zeros((*X.shape[:2], 26), "float32")
    for row, x, n in zip(c, X.astype(np.float64), lengths, strict=True):
        own = mfcc(x[:n], 13)
        row[:n] = np.concatenate([own, deltas(own)], axis=1)
    return c, lengths


def dtw_accuracy(few: np.ndarray, few_y: np.ndarray, X: np.ndarray, y: np.ndarray) -> float:
    """Of the sounds X: the label of the nearest of the few."""
    B, lengths = cepstra(few)
    scale = B.std(axis=(0, 1), keepdims=True)
    A, n = cepstra(X)
    found = [
        few_y[dtw_distances(a[:k], B / scale, lengths).argmin()]
        for a, k in zip(A / scale, n, strict=True)
    ]
    return float((np.array(found) == y).mean())


# -------------------------------------------------------------------------------------- the arms


def mean_frames(X: np.ndarray) -> np.ndarray:
    """(N, F) the mean of the frames that count."""
    return X.sum(axis=1) / np.maximum(X.any(axis=2).sum(axis=1, keepdims=True), 1)


def encoder_for(arm: str, task: Task, epochs: int) -> Model:
    """The encoder that an arm begins with."""
    kind: Any = METHODS["masked_frames" if is_random(arm) else arm.removesuffix(HEARD)]
    method = kind(**NETWORK, epochs=epochs, random_state=task.seed)
    if is_random(arm):
        method.build(task.data.sample_shape, np.random.default_rng([task.seed, 1]))
    elif arm.endswith(HEARD):
        method.fit(np.concatenate([task.data.x, task.data.test_x]))
    else:
        method.fit(task.data.x)
    return method.encoder_


def is_random(arm: str) -> bool:
    return arm == "random" or arm in VOICES


def of_voices(n: int, task: Task) -> np.ndarray:
    """Which sounds are of n voices, drawn by the seed."""
    speakers = task.data.sound.speakers
    names = np.random.default_rng([task.seed, 2]).permutation(sorted(set(speakers.tolist())))
    return np.flatnonzero(np.isin(speakers, names[:n]))


def fine_tuned(
    arm: str, encoder: Model, few: np.ndarray, few_y: np.ndarray, task: Task, n: int
) -> np.ndarray:
    """What the network says of each sound (N, 10), after the steps of n labels a digit."""
    how = FINE_TUNING | (FROM_RANDOM if is_random(arm) else {})
    classifier = finetune(
        encoder,
        few,
        few_y,
        n_classes=10,
        epochs=epochs_of(steps_of(n), BATCH, len(few)),
        augment=[RandomEqualizer(EQUALIZER)],
        random_state=task.seed,
        **how,
    )
    return to_numpy(classifier.predict(task.data.test_x, batch_size=500))


def steps_of(n: int) -> int:
    return STEPS.get(n, STEPS[ALL])


class Measured(NamedTuple):
    """One arm with so many labels a digit."""

    labels: int
    accuracy: float
    said: np.ndarray | None = None  # (N, 10) of each sound, where a network says it


def measured(arm: str, task: Task, labels: list[int], encoder: Encoder) -> Iterator[Measured]:
    """One arm, with one number of labels after the other."""
    d = task.data
    for n in labels:
        chosen = of_voices(VOICES[arm], task) if arm in VOICES else np.arange(len(d.y))
        if n != ALL:
            chosen = draw_labelled(d.y, 10 * n, np.random.default_rng([task.seed, 10 * n]))
        few, few_y = d.x[chosen], d.y[chosen]
        if arm == "dtw":
            yield Measured(n, dtw_accuracy(few, few_y, d.test_x, d.test_y))
        elif arm == "logistic":
            means = mean_frames(few), few_y, mean_frames(d.test_x), d.test_y
            yield Measured(n, linear_probe(None, *means, random_state=task.seed))
        elif arm.endswith(FROZEN):
            given = few, few_y, d.test_x, d.test_y
            yield Measured(n, linear_probe(encoder(), *given, random_state=task.seed))
        else:
            said = fine_tuned(arm, encoder(), few, few_y, task, n)
            yield Measured(n, float((said.argmax(axis=1) == d.test_y).mean()), said)


# ------------------------------------------------------------------------------------- the table


class Records:
    """Results in a file, each written as it comes; and what networks said, in a folder beside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []

    def lacks(self, arm: str, task: Task, labels: list[int]) -> list[int]:
        there = {(r["arm"], r["speaker"], r["seed"], r["labels"]) for r in self.found}
        return [n for n in labels if (arm, task.speaker, task.seed, n) not in there]

    def add(self, **record: Any) -> None:
        self.found.append(record)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, self.found)

    def keep(self, arm: str, task: Task, said: np.ndarray) -> None:
        """What a network that had all labels says of the sounds of the speaker left out."""
        folder = self.path.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{arm}-{task.speaker}-{task.seed}.npy", said, allow_pickle=False)

    def add_together(self, arm: str, speaker: str, data: Dataset) -> None:
        """The accuracy of the mean of what is kept, in the place of an older one."""
        files = sorted(self.path.with_suffix("").glob(f"{arm}-{speaker}-*.npy"))
        if len(files) < 2:
            return
        mean = np.mean([np.load(file, allow_pickle=False) for file in files], axis=0)
        name, right = arm + TOGETHER, float((mean.argmax(axis=1) == data.test_y).mean())
        self.found = [r for r in self.found if (r["arm"], r["speaker"]) != (name, speaker)]
        self.add(arm=name, speaker=speaker, seed=0, labels=ALL, accuracy=right, networks=len(files))


def measure_all(given: argparse.Namespace, records: Records) -> None:
    """Seed by seed, all speakers of each: so a part of it is a table already."""
    folds = [
        fold
        for fold in leave_one_speaker_out(load_dataset("fsdd", given.data_dir))
        if not given.speakers or fold[0] in given.speakers
    ]
    for seed in given.seeds:
        for speaker, data in folds:
            measure(Task(speaker, seed, data), given, records)
    for speaker, data in folds:
        for arm in given.arms:
            records.add_together(arm, speaker, data)


def measure(task: Task, given: argparse.Namespace, records: Records) -> None:
    """What is missing of one speaker and seed."""
    encoders: dict[str, Model] = {}
    for arm in given.arms:
        method = arm.removesuffix(FROZEN)
        labels = [n for n in given.labels if arm not in VOICES or n == ALL]
        missing = records.lacks(arm, task, labels)
        if arm == "dtw" and task.seed != given.seeds[0]:  # of all labels nothing is drawn
            missing = [n for n in missing if n != ALL]

        def encoder(method: str = method) -> Model:
            if method not in encoders:  # pretraining is the same for all labels, frozen or not
                encoders[method] = encoder_for(method, task, given.epochs)
            return encoders[method]

        started = time.process_time()
        for n, value, said in measured(arm, task, missing, encoder):
            if n == ALL and said is not None:
                records.keep(arm, task, said)
            seconds, started = time.process_time() - started, time.process_time()
            records.add(
                arm=arm, speaker=task.speaker, seed=task.seed, labels=n, accuracy=round(value, 4),
                cpu_seconds=round(seconds, 1), pretraining_epochs=given.epochs,
            )  # fmt: skip
            told = "all" if n == ALL else n
            say(f"seed {task.seed}, {task.speaker}, {arm}, {told} labels a digit: {value:.3f}")


def render(records: list[dict[str, Any]]) -> str:
    """The tables: means over speakers, with the spread over seeds; and each speaker by itself."""
    labels = sorted({r["labels"] for r in records}, key=lambda n: n or 10**9)
    speakers = sorted({r["speaker"] for r in records})
    order = [name for arm in ARMS for name in (arm, arm + TOGETHER)]
    arms = [arm for arm in order if any(r["arm"] == arm for r in records)]
    head = ["labels a digit", *["all" if n == ALL else str(n) for n in labels]]
    rows, rows_of_all = [], []
    for arm in arms:
        own = [r for r in records if r["arm"] == arm]
        title = title_of(arm)
        rows.append([title, *[_cell([r for r in own if r["labels"] == n]) for n in labels]])
        of_all = [r for r in own if r["labels"] == labels[-1]]
        cells = [_cell([r for r in of_all if r["speaker"] == s]) for s in speakers]
        rows_of_all.append([title, *cells])
    last = "all labels" if labels[-1] == ALL else f"{labels[-1]} labels a digit"
    return (
        f"{table(head, rows)}\n\nMean over the speakers left out, and its standard deviation over "
        f"seeds.\n\n{table([f'{last}, left out:', *speakers], rows_of_all)}"
    )


def title_of(arm: str) -> str:
    if arm.endswith(TOGETHER):
        return f"{title_of(arm.removesuffix(TOGETHER))}: the seeds' networks together"
    if arm in TITLES:
        return TITLES[arm]
    method = arm.removesuffix(FROZEN)
    heard = ", which has heard the speaker left out" if method.endswith(HEARD) else ""
    begin = "logistic regression on codes of" if arm.endswith(FROZEN) else "CNN + GRU, pretrained:"
    return f"{begin} {method.removesuffix(HEARD)}{heard}"


def _cell(records: list[dict[str, Any]]) -> str:
    """The mean over speakers of each seed that has them all, and how seeds differ."""
    by_seed: dict[int, list[float]] = {}
    for r in records:
        by_seed.setdefault(r["seed"], []).append(r["accuracy"])
    whole = max(map(len, by_seed.values()), default=0)
    means = [statistics.mean(values) for values in by_seed.values() if len(values) == whole]
    if not means:
        return ""
    spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
    return f"{statistics.mean(means):.3f}{spread}"


def _labels(text: str) -> int:
    return ALL if text == "all" else int(text)


def main(arguments: list[str] | None = None) -> None:
    form = argparse.RawDescriptionHelpFormatter
    name = "python -m benchmarks.digits_spoken"
    parser = argparse.ArgumentParser(prog=name, description=__doc__, formatter_class=form)
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--speakers", nargs="+", metavar="NAME", help="to leave out (all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--labels", nargs="+", type=_labels, default=[1, 5, 20, ALL])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--epochs", type=int, default=10, help="of pretraining (10)")
    parser.add_argument("--records", type=Path, default=Path("runs/digits_spoken.json"))
    parser.add_argument("--done", action="store_true", help="only what is there: measure nothing")
    parser.add_argument("--save", action="store_true", help="keep the table in benchmarks/results/")
    given = parser.parse_args(arguments)
    print(without_kernel(), end="", flush=True)
    records = Records(given.records)
    if not given.done:
        measure_all(given, records)
    print(text := render(records.found))
    if given.save:
        write_json(RESULTS / "digits_spoken.json", records.found)
        write_text(RESULTS / "digits_spoken.md", text + "\n")


if __name__ == "__main__":
    main()
