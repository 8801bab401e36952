"""``minienc finetune RUN --task classify --texts PATH``: a classifier of texts, and did it help?

RUN_OF_TASK/classifier.npz, tokenizer.json     all that ``classify`` needs, with config.json
RUN_OF_TASK/config.json                        the settings
RUN_OF_TASK/results.json, report.html          the figures, and the page
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc import __version__, language
from minienc.arrays import check_device
from minienc.data.datasets import test_rows
from minienc.data.labelled_texts import LabelledTexts, read_labelled_texts
from minienc.data.pairs import read_lines
from minienc.data.raw import number_classes
from minienc.data.text import read_text
from minienc.data.tokenizers import load_tokenizer
from minienc.files import write_json
from minienc.finetuning.classifier import MODES
from minienc.finetuning.curve import FewLabelCurve, draw_labelled, epochs_of
from minienc.finetuning.texts import TextClassifier, encoder_for, text_label_curve
from minienc.gallery import texts as gallery
from minienc.language.base import TextPretrainer
from minienc.language.texts import tokens_of
from minienc.models import load_model
from minienc.report_texts import TextsReport, sentences, write_texts_report
from minienc.runs.config import made_from_config, read_config
from minienc.runs.folder import new_folder
from minienc.runs.naming import named
from minienc.runs.results import attempt

TASK = "classify"
FEW = (50, 200, 1000)  # labelled texts of the comparison, where nothing is said
STEPS = 200  # of each of its networks
# settings of a run, with their defaults; None is what the texts say
SETTINGS: dict[str, Any] = {
    "labels": None,
    "seeds": 3,
    "length": None,
    "mode": "full",
    "layer_decay": 1.0,
    "epochs": None,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "seed": 0,
    "device": "cpu",
}
# those that say how a network is fine-tuned
HOW = (
    *("mode", "layer_decay", "batch_size", "learning_rate", "schedule", "weight_decay"),
    *("dropout", "label_smoothing"),
)


class Parted(NamedTuple):
    """Texts to learn from and to test on; labels are numbers of ``names``."""

    names: tuple[str, ...]
    texts: list[str]
    y: np.ndarray
    test_texts: list[str]
    test_y: np.ndarray


def finetune_texts(
    run_folder: str | None, said: dict[str, Any], out: str | None, *, force: bool, quiet: bool
) -> Path:
    """Do a new run; return its folder. ``said`` is what the options say."""
    if run_folder is None:
        raise ValueError("--task classify needs RUN, the folder of a run that has read text")
    if not said.get("texts"):
        raise ValueError(
            "--task classify needs --texts: a folder with a sub-folder or a file for each class, "
            "or a table with the columns text and label"
        )
    given = {name: value for name, value in said.items() if value is not None}
    settings = {"task": TASK, "run": os.path.abspath(run_folder), **SETTINGS, **given}
    settings["texts"] = os.path.abspath(settings["texts"])
    check_device(settings["device"])
    if settings["mode"] not in MODES:
        raise ValueError(f"--mode is {settings['mode']!r}, expected one of {', '.join(MODES)}")
    if settings["seeds"] < 1 or settings["seed"] < 0:
        raise ValueError("--seeds must be at least 1, and --seed at least 0")
    method, read = read_method(Path(run_folder)), read_labelled_texts(settings["texts"])
    data = parted(read)
    few = few_of(settings["labels"], data)
    with new_folder(out, f"{TASK}-{read.name}", force) as folder:
        write_json(folder / "config.json", {"minienc": __version__, "settings": settings})
        if not quiet:
            print(
                f"{read.name}: {len(data.texts):,} texts to learn from, {len(data.test_texts):,} "
                f"to test, {len(data.names)} classes\nrun folder: {folder}"
            )
        return _run(folder, settings, method, data, few, (lambda line: None) if quiet else print)


def read_method(folder: Path) -> TextPretrainer:
    """The method of a run on text, as it was when training ended.

    Raises
    ------
    ValueError
        If it is no run on text, or not complete.
    """
    settings = read_config(folder)
    if settings["method"] not in language.METHODS:
        raise ValueError(
            f"{folder} is a run of {settings['method']}, which has read no text; pretrain one with "
            f"such as minienc pretrain FOLDER --method rnn_lm"
        )
    for name in ("model.npz", "encoder.npz", "tokenizer.json"):
        if not ((folder / name).is_file() and (folder / name).stat().st_size):
            raise ValueError(
                f"{folder} has no {name} yet: finish it with minienc pretrain --resume {folder}"
            )
    method = made_from_config(settings, True, folder)
    assert isinstance(method, TextPretrainer)
    method.tokenizer_ = load_tokenizer(folder / "tokenizer.json")
    method.model_ = load_model(folder / "model.npz")
    method.encoder_ = load_model(folder / "encoder.npz")
    return method


def parted(read: LabelledTexts) -> Parted:
    """A fifth of each class is held out, always the same one."""
    y, names = number_classes(read.labels)
    out = test_rows(y, len(y), 0.2, seed=0)
    pick = lambda rows: [text for text, chosen in zip(read.texts, rows, strict=True) if chosen]  # noqa: E731
    return Parted(names, pick(~out), y[~out], pick(out), y[out])


def few_of(labels: int | None, data: Parted) -> tuple[int, ...]:
    """How many labelled texts the comparison has."""
    n, K = len(data.texts), len(data.names)
    if labels is None:
        return tuple(k for k in FEW if K <= k <= n) or (n,)
    if not K <= labels <= n:
        raise ValueError(
            f"--labels is {labels}, expected at least {K}, one for each class, and at most {n}, "
            f"the texts to learn from"
        )
    return (labels,)


# --------------------------------------------------------------------------------------- the run


def _run(
    folder: Path,
    settings: dict[str, Any],
    method: TextPretrainer,
    data: Parted,
    few: tuple[int, ...],
    say: Callable[[str], None],
) -> Path:
    began = time.monotonic()
    classifier = train(settings, method, data)
    classifier.save(folder)
    seconds = time.monotonic() - began
    say("comparing with random weights, and with what needs no network ...")
    encoder = encoder_for(method, data.texts, settings["length"])
    encoder.model.to(settings["device"])
    curve = text_label_curve(
        encoder,
        data.texts,
        data.y,
        data.test_texts,
        data.test_y,
        labels=few,
        seeds=range(settings["seed"], settings["seed"] + settings["seeds"]),
        steps=STEPS,
        progress=say,
        **{name: settings[name] for name in HOW},
    )
    p = classifier.predict_proba(data.test_texts)
    results = measure(settings, classifier, data, curve, p, seconds)
    write_json(folder / "results.json", results)
    _write_report(folder, settings, classifier, data, curve, p, results)
    print(f"\n{curve.measure}:\n{curve.table()}\n")
    print("\n".join(sentences(results, curve)))
    print(f'\nlook at {folder / "report.html"}, and try\nminienc classify {folder} "..."')
    return folder


def train(settings: Mapping[str, Any], method: TextPretrainer, data: Parted) -> TextClassifier:
    """The classifier of all labelled texts, or of so many."""
    texts, y, n = data.texts, data.y, settings["labels"]
    if n is not None:
        chosen = draw_labelled(y, n, np.random.default_rng([settings["seed"], n]))
        texts, y = [texts[i] for i in chosen], y[chosen]
    how = {name: settings[name] for name in HOW}
    epochs = settings["epochs"] or epochs_of(STEPS if n else 2 * STEPS, how["batch_size"], len(y))
    words = np.array(data.names)[y]
    how |= {"epochs": epochs, "random_state": settings["seed"]}
    return TextClassifier(method, length=settings["length"], **how).fit(texts, words)


def measure(
    settings: Mapping[str, Any],
    classifier: TextClassifier,
    data: Parted,
    curve: FewLabelCurve,
    p: np.ndarray,
    seconds: float,
) -> dict[str, Any]:
    """The figures of a run, as ``results.json`` keeps them."""
    said = p.argmax(axis=1)
    counts = np.bincount(data.test_y, minlength=len(data.names))
    return {
        "task": TASK,
        "classes": list(data.names),
        "texts_train": len(data.texts) if settings["labels"] is None else settings["labels"],
        "texts_test": len(data.test_texts),
        "tokens": classifier.encoder_.length,
        "parameters": int(classifier.model_.parameters.vector.size),
        "training_seconds": round(seconds, 1),
        "accuracy": float((said == data.test_y).mean()),
        "most_frequent_class": float(counts.max() / counts.sum()),
        "few_labels": {name: a.tolist() for name, a in curve.arms.items()},
        "labels": list(curve.labels),
    }


def _write_report(
    folder: Path,
    settings: dict[str, Any],
    classifier: TextClassifier,
    data: Parted,
    curve: FewLabelCurve,
    p: np.ndarray,
    results: dict[str, Any],
) -> None:
    """The page; of a part that fails, it says so in its place."""
    missing: list[str] = []
    lines: list[str] = []
    classifier.model_.summary(print_fn=lines.append)
    draw = lambda: gallery.confusion(data.names, data.test_y, p)  # noqa: E731
    report = TextsReport(
        title=f"classes of texts: {Path(settings['texts']).name}",
        command=command_line(settings, str(folder)),
        config={"minienc": __version__, "settings": settings},
        source=settings["texts"],
        encoder=settings["run"],
        results=results,
        curve=curve,
        confusion=attempt(missing, "The confusions", draw, []),
        mistakes=gallery.mistakes(data.names, data.test_texts, data.test_y, p),
        missing=missing,
        summary_text="\n".join(lines),
    )
    write_texts_report(folder / "report.html", report)


def command_line(settings: Mapping[str, Any], out: str) -> str:
    """The command that repeats the run, every setting written out."""
    words = ["minienc", "finetune", settings["run"], "--task", TASK, "--texts", settings["texts"]]
    for name in SETTINGS:
        if settings[name] is not None:
            flag = "lr" if name == "learning_rate" else name.replace("_", "-")
            words += ["--" + flag, str(settings[name])]
    return shlex.join([*words, "--out", out])


# --------------------------------------------------------------------------------------- classify


def classify_texts(
    run_folder: str, data: list[str], lines: bool, top: int, device: str = "cpu"
) -> None:
    """``minienc classify RUN TEXT ...``: texts, or files of one, or with ``lines`` of many."""
    classifier = TextClassifier.load(run_folder)
    classifier.model_.to(device)
    shown, texts = [], []
    for word in data:
        if not os.path.isfile(word):
            found = [(word, word)]
        elif lines:
            found = [(f"{word} [{i}]", t) for i, t in enumerate(read_lines(word), 1) if t.strip()]
        else:
            found = [(word, read_text(word))]
        shown += [name for name, _ in found]
        texts += [text for _, text in found]
    if not texts:
        raise ValueError("classify: there is no text")
    n_read = classifier.encoder_.length
    p = classifier.predict_proba(texts)
    for name, row in zip(shown, p, strict=True):
        print(f"{_short(name)}: {named(row, classifier.classes_, top)}")
    n_long = sum(len(tokens_of(classifier.encoder_.tokenizer, text)) > n_read for text in texts)
    if n_long:
        print(f"note: of {n_long} texts the first {n_read} tokens were read", file=sys.stderr)


def _short(text: str, most: int = 60) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
