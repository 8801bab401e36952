"""What ``Model.fit``, ``evaluate`` and ``predict`` call: data in batches, and a run over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import (
    as_number,
    device_of,
    get_array_module,
    is_array,
    on_device,
    rows_of,
    to_device,
)
from minienc.devices import pipeline
from minienc.shapes import is_whole
from minienc.training.batches import Batches
from minienc.training.callbacks import Callback
from minienc.training.loop import Trainer
from minienc.training.progress import ProgressBar
from minienc.training.step import Learner


def new_trainer(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int | str = "auto",
    callbacks: Sequence[Callback] = (),
    validation_split: float = 0.0,
    validation_data: tuple | None = None,
    shuffle: bool = True,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    seed: int | None = None,
    resume_from: str | Path | None = None,
) -> Trainer:
    """The run that ``Model.fit`` makes of its arguments."""
    data = Batches(model, x, y, sample_weight)
    n_train = _n_train(data.n, validation_split, validation_data)
    batch_size = min(32, n_train) if batch_size is None else batch_size
    _check_counts(epochs, batch_size, n_train)
    validate = None
    if validation_data is not None:
        held_out = Batches(model, *validation_data)
        validate = lambda: run_evaluation(model, held_out, batch_size)  # noqa: E731
    elif n_train < data.n:
        last = np.arange(n_train, data.n)
        validate = lambda: run_evaluation(model, data, batch_size, last)  # noqa: E731
    level = 1 if verbose == "auto" else int(verbose)
    learner, there = Learner(model, model.objective, model.optimizer), pipeline(model.device)
    trainer = Trainer(
        model,
        {"model": learner},
        there.step_of(learner),
        data,
        n_samples=n_train,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        callbacks=[*callbacks, *([ProgressBar(level)] if level else [])],
        pipeline=there,
        validate=validate,
        initial_epoch=initial_epoch,
    )
    if resume_from is not None:
        trainer.resume(resume_from, seed)
    return trainer


def _n_train(n: int, validation_split: float, validation_data: Any) -> int:
    """Validation takes the last samples, before any shuffling, as in Keras."""
    if not 0 <= validation_split < 1:
        raise ValueError(f"validation_split is {validation_split}, expected a number in [0, 1)")
    if validation_data is not None or validation_split == 0:
        return n
    n_train = n - round(n * validation_split)
    if n_train in (0, n):
        raise ValueError(
            f"validation_split={validation_split} of {n} samples leaves {n_train} for training "
            f"and {n - n_train} for validation; both need at least one"
        )
    return n_train


def _check_counts(epochs: int, batch_size: int, n: int) -> None:
    if not is_whole(epochs, 0):
        raise ValueError(f"epochs is {epochs!r}, expected a whole number >= 0")
    if not is_whole(batch_size, 1):
        raise ValueError(f"batch_size is {batch_size!r}, expected a whole number >= 1")
    if batch_size > n:
        raise ValueError(
            f"batch_size is {batch_size}, larger than the {n} training samples; use batch_size={n} "
            f"or less"
        )


def run_evaluation(
    model: Any, data: Batches, batch_size: int, indices: np.ndarray | None = None
) -> dict[str, float]:
    """The mean loss and metrics over the samples, without noise."""
    indices = np.arange(data.n) if indices is None else indices
    sums = dict.fromkeys(model.objective.names, 0.0)
    for part, batch in _batches(model, data, batch_size, indices):
        numbers, _ = model.objective.forward(batch)
        for name, value in zip(model.objective.names, numbers, strict=True):
            sums[name] += len(part) * as_number(value)
    return {name: float(total) / len(indices) for name, total in sums.items()}


def predict(model: Any, x: Any, batch_size: int) -> Any:
    """The outputs for all samples, batch by batch; they live where the samples do."""
    data = Batches(model, x)
    home = device_of(data.xs[0]) if is_array(data.xs[0]) else "cpu"
    parts = []
    for _, batch in _batches(model, data, batch_size, np.arange(data.n)):
        ys, _ = model.graph.forward(batch)
        parts.append([y if home == model.device else to_device(y, home) for y in ys])
    xp = get_array_module(parts[0][0])
    with on_device(home):
        outputs = [xp.concatenate(batches) for batches in zip(*parts, strict=True)]
    return outputs[0] if len(outputs) == 1 else outputs


def _batches(
    model: Any, data: Batches, batch_size: int, indices: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple]]:
    """(indices, batch) of so many samples at a time, where the model computes."""
    with on_device(model.device):
        for start in range(0, len(indices), batch_size):
            part = indices[start : start + batch_size]
            batch = rows_of(data.arrays, data.dtypes, part)
            yield part, tuple([to_device(a, model.device) for a in batch])
