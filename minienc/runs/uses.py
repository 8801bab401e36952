"""What is done with a run that is complete: ``minienc finetune`` and ``minienc encode``."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from minienc.arrays import check_device
from minienc.files import atomic_write
from minienc.finetuning import finetune
from minienc.finetuning.classifier import MODES
from minienc.finetuning.curve import FROM_RANDOM, draw_labelled
from minienc.models import clone_model
from minienc.pretraining.base import samples_for
from minienc.runs.folder import read_config, read_encoder, read_whole_config, refuse_existing
from minienc.runs.inputs import load_data, load_more


def finetune_run(
    run_folder: str,
    labels: int | None,
    mode: str,
    layer_decay: float,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    device: str | None,
    out: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """``minienc finetune RUN``."""
    check_device(device or "cpu")
    folder = Path(run_folder)
    settings = read_config(folder)
    path = Path(out) if out else folder / "classifier.npz"
    refuse_existing(path, force)
    if mode not in MODES:
        raise ValueError(f"--mode is {mode!r}, expected one of {', '.join(MODES)}")
    encoder = read_encoder(folder).to(device or "cpu")
    dataset = load_data(settings)
    if dataset.y is None:
        raise ValueError(f"{dataset.name} has no labels to fine-tune with")
    n = len(dataset.y) if labels is None else labels
    if not 1 <= n <= len(dataset.y):
        raise ValueError(f"--labels is {n}, expected 1 to {len(dataset.y)}")
    chosen = draw_labelled(dataset.y, n, np.random.default_rng(seed))
    X, X_test = samples_for(encoder, dataset.x), samples_for(encoder, dataset.test_x)
    blank = clone_model(encoder)
    blank.initialize(seed)
    accuracy = {}
    pretrained = {"mode": mode, "layer_decay": layer_decay}
    for name, start, how in (
        ("pretrained", encoder, pretrained),
        ("random weights", blank, FROM_RANDOM),
    ):
        model = finetune(
            start,
            X[chosen],
            dataset.y[chosen],
            n_classes=int(dataset.y.max()) + 1,
            **how,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=lr,
            random_state=seed,
            verbose=0 if quiet else 1,
        )
        accuracy[name] = model.evaluate(X_test, dataset.test_y, return_dict=True)["accuracy"]
        if start is encoder:
            model.save(path)
    print(f"test accuracy with {n:,} labels:")
    for name, value in accuracy.items():
        print(f"  {name:<16} {100 * value:5.1f} %")
    print(f"the classifier is in {path}")


def encode_run(
    run_folder: str,
    data: str,
    data_dir: str | None,
    scale: float | None,
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
    dataset, odd = load_more(data, data_dir, encoder.dtype, scale, config, run_folder)
    X = samples_for(encoder, dataset.x)
    expected = encoder.inputs[0].sample_shape
    if X.shape[1:] != expected:
        raise ValueError(
            f"{dataset.name} has samples of {' x '.join(map(str, X.shape[1:]))} numbers, the "
            f"encoder of {run_folder} takes {' x '.join(map(str, expected))}"
        )
    for line in odd:
        print(f"note: {line}", file=sys.stderr)
    codes = encoder.predict(X, batch_size=1000)
    with atomic_write(path) as file:
        np.save(file, codes, allow_pickle=False)
    width = math.prod(codes.shape[1:])
    print(f"{path}: {len(codes):,} codes of {width} numbers, {codes.dtype}")
