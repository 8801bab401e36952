"""What is done with a run that is complete: ``minienc finetune`` and ``minienc encode``."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minienc import language
from minienc.arrays import check_device
from minienc.data import Dataset, Shards
from minienc.files import atomic_write
from minienc.finetuning.augment import augmentation
from minienc.finetuning.classifier import MODES
from minienc.finetuning.curve import (
    PRETRAINED,
    RANDOM,
    FewLabelCurve,
    accuracy,
    epochs_of,
    few_labelled,
    fine_tuned,
    progress_line,
)
from minienc.models import Model
from minienc.pretraining.base import samples_for
from minienc.runs.config import read_whole_config
from minienc.runs.folder import fingerprint, read_encoder, refuse_existing
from minienc.runs.inputs import load_data, load_more
from minienc.runs.streams import write_codes
from minienc.verdicts import few_label_verdicts

STEPS, EPOCHS_OF_ALL = 500, 20  # the budget with a few labels, and with all


def finetune_run(
    run_folder: str,
    labels: int | None,
    seeds: int | None,
    mode: str,
    layer_decay: float,
    epochs: int | None,
    batch_size: int,
    lr: float,
    seed: int,
    schedule: str,
    weight_decay: float,
    dropout: float,
    label_smoothing: float,
    augment: tuple[str, ...],
    device: str | None,
    out: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """``minienc finetune RUN``: by the protocol of the report, seed by seed beside the same network
    from random weights. The classifier of the first seed is kept."""
    check_device(device or "cpu")
    folder = Path(run_folder)
    config = read_whole_config(folder)
    settings = config["settings"]
    if settings["method"] in language.METHODS:
        raise ValueError(
            f"{folder} has read text, of which no classes are known: minienc finetune {folder} "
            f"--task classify --texts PATH"
        )
    path = Path(out) if out else folder / "classifier.npz"
    refuse_existing(path, force)
    if mode not in MODES:
        raise ValueError(f"--mode is {mode!r}, expected one of {', '.join(MODES)}")
    encoder = read_encoder(folder).to(device or "cpu")
    dataset = load_data(settings)
    if config["fingerprint"] not in (None, fingerprint(dataset)):
        print(f"note: {dataset.name} holds other data than when {folder} began", file=sys.stderr)
    if dataset.y is None:
        raise ValueError(f"{dataset.name} has no labels to fine-tune with")
    n = len(dataset.y) if labels is None else labels
    if not 1 <= n <= len(dataset.y):
        raise ValueError(f"--labels is {n}, expected 1 to {len(dataset.y)}")
    repetitions = (settings["seeds"] if labels is not None else 1) if seeds is None else seeds
    if repetitions < 1 or seed < 0:
        raise ValueError("--seeds must be at least 1, and --seed at least 0")
    if epochs is None:
        epochs = EPOCHS_OF_ALL if labels is None else epochs_of(STEPS, batch_size, n)
    budget: dict[str, Any] = dict(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=lr,
        mode=mode,
        layer_decay=layer_decay,
        schedule=schedule,
        weight_decay=weight_decay,
        dropout=dropout,
        label_smoothing=label_smoothing,
        augment=augmentation(augment),
    )
    curve = _curve(encoder, dataset, n, range(seed, seed + repetitions), budget, path, quiet)
    print(f"{curve.measure}:\n{curve.table()}\n")
    print("\n".join(few_label_verdicts(curve)))
    print(f"the classifier of seed {seed} is in {path}")


def _curve(
    encoder: Model,
    dataset: Dataset,
    n: int,
    seeds: range,
    budget: dict[str, Any],
    path: Path,
    quiet: bool,
) -> FewLabelCurve:
    """The two arms with n labels, seed by seed; the first classifier is saved."""
    X, X_test = samples_for(encoder, dataset.x), samples_for(encoder, dataset.test_x)
    y, y_test = dataset.y, dataset.test_y
    assert y is not None and y_test is not None
    arms = {name: np.zeros((1, len(seeds))) for name in (PRETRAINED, RANDOM)}
    budget["n_classes"] = int(max(y.max(), y_test.max())) + 1
    for j, seed in enumerate(seeds):
        few, few_y = few_labelled(X, y, n, seed)
        for name, model in fine_tuned(encoder, few, few_y, seed, **budget):
            arms[name][0, j] = accuracy(model, X_test, y_test)
            if name == PRETRAINED and j == 0:
                model.class_names = dataset.class_names
                model.save(path)
        if not quiet:
            print(progress_line(n, seed, {name: a[0, j] for name, a in arms.items()}), flush=True)
    return FewLabelCurve((n,), arms, tuple(seeds))


def encode_run(
    run_folder: str,
    data: str,
    data_dir: str | None,
    scale: float | None,
    resample: bool,
    device: str | None,
    out: str,
    force: bool,
) -> None:
    """``minienc encode RUN DATA``."""
    check_device(device or "cpu")
    path = Path(out)
    refuse_existing(path, force)
    encoder = read_encoder(Path(run_folder)).to(device or "cpu")
    config = read_whole_config(Path(run_folder))
    X, odd = later_samples(encoder, data, data_dir, scale, resample, config, run_folder)
    for line in odd:
        print(f"note: {line}", file=sys.stderr)
    if isinstance(X, Shards):
        shape = write_codes(path, encoder, X)
    else:
        codes = encoder.predict(X, batch_size=1000)
        shape = codes.shape
        with atomic_write(path) as file:
            np.save(file, codes, allow_pickle=False)
    print(f"{path}: {shape[0]:,} codes of {math.prod(shape[1:])} numbers, {encoder.dtype}")


def later_samples(
    model: Model,
    data: str,
    data_dir: str | None,
    scale: float | None,
    resample: bool,
    config: dict[str, Any],
    run: str,
) -> tuple[Any, list[str]]:
    """Other data than the run's, as its encoder or classifier takes them, and what is odd."""
    dataset, odd = load_more(data, data_dir, model.dtype, scale, config, run, resample)
    X = samples_for(model, dataset.x)
    expected = model.inputs[0].sample_shape
    if X.shape[1:] != expected:
        raise ValueError(
            f"{dataset.name} has samples of {' x '.join(map(str, X.shape[1:]))} numbers, the "
            f"encoder of {run} takes {' x '.join(map(str, expected))}"
        )
    return X, odd
