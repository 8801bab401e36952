"""What ``Model.fit``, ``evaluate`` and ``predict`` call: data in batches, and a run over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import (
    Arrays,
    Scalar,
    as_number,
    device_of,
    get_array_module,
    is_array,
    on_device,
    rows_of,
    to_device,
)
from minienc.data.plain import DataLike
from minienc.devices import pipeline
from minienc.shapes import is_whole, kind_of
from minienc.training.batches import Batches, ClassWeight
from minienc.training.callbacks import Callback, as_callbacks
from minienc.training.loop import Trainer
from minienc.training.planned import PlannedPipeline  # noqa: F401  (registers itself)
from minienc.training.progress import ProgressBar
from minienc.training.step import Learner

if TYPE_CHECKING:
    from minienc.models.model import Model


def new_trainer(
    model: Model,
    x: DataLike,
    y: DataLike,
    *,
    batch_size: int | None,
    verbose: int | str,
    callbacks: Sequence[Callback],
    validation_split: float,
    validation_data: tuple | None,
    sample_weight: DataLike | None,
    class_weight: ClassWeight | None,
    resume_from: str | Path | None,
    **settings: Any,
) -> Trainer:
    """The run that ``Model.fit`` makes of its arguments; ``settings`` are the Trainer's own."""
    callbacks = as_callbacks(callbacks)
    data = Batches(model, x, y, sample_weight)
    n_train = _n_train(data.n, validation_split, validation_data)
    batch_size = min(32, n_train) if batch_size is None else batch_size
    check_counts(**{name: settings[name] for name in ("epochs", "initial_epoch", "seed")})
    check_batch_size(batch_size, n_train)
    validate = None
    if validation_data is not None:
        x, y, weight = [*_as_pair(validation_data), None][:3]
        held_out = Batches(model, x, y, weight, " of validation_data")
        validate = lambda: run_evaluation(model, held_out, batch_size)  # noqa: E731
    elif n_train < data.n:
        last = np.arange(n_train, data.n)
        validate = lambda: run_evaluation(model, data, batch_size, last)  # noqa: E731
    level = _level(verbose)
    train = data if class_weight is None else data.weighted(class_weight, model.dtype)
    learner, there = Learner(model, model.objective, model.optimizer), pipeline(model.device)
    trainer = Trainer(
        model,
        {"model": learner},
        there.step_of(learner),
        train,
        n_samples=n_train,
        batch_size=batch_size,
        callbacks=[*callbacks, *([ProgressBar(level)] if level else [])],
        pipeline=there,
        validate=validate,
        **settings,
    )
    if resume_from is not None:
        trainer.resume(resume_from, settings["seed"])
    return trainer


def _n_train(n: int, validation_split: float, validation_data: object) -> int:
    """Validation takes the last samples, before any shuffling, as in Keras."""
    if not (isinstance(validation_split, Real) and 0 <= validation_split < 1):
        raise ValueError(f"validation_split is {validation_split!r}, expected a number in [0, 1)")
    if validation_data is not None or validation_split == 0:
        return n
    n_train = n - round(n * validation_split)
    if n_train in (0, n):
        raise ValueError(
            f"validation_split={validation_split} of {n} samples leaves {n_train} for training "
            f"and {n - n_train} for validation; both need at least one"
        )
    return n_train


def _as_pair(validation_data: object) -> tuple:
    if not isinstance(validation_data, (list, tuple)) or len(validation_data) not in (2, 3):
        came = kind_of(validation_data)
        if isinstance(validation_data, (list, tuple)):
            came += f" of {len(validation_data)}"
        raise TypeError(
            f"validation_data is {came}, expected (x, y) or (x, y, sample_weight); an "
            f"autoencoder is validated with (x, x)"
        )
    return tuple(validation_data)


def _level(verbose: int | str) -> int:
    if verbose != "auto" and verbose not in (0, 1, 2):
        raise ValueError(f'verbose is {verbose!r}, expected 0, 1, 2 or "auto"')
    return 1 if verbose == "auto" else int(verbose)


def check_counts(**counts: object) -> None:
    """Refuse what is no whole number from 0; None is none."""
    for name, value in counts.items():
        if value is not None and not is_whole(value, 0):
            raise ValueError(f"{name} is {value!r}, expected a whole number >= 0")


def check_batch_size(batch_size: int, n: int | None = None) -> None:
    """Refuse what is no number of samples, or more than there are to train on."""
    if not is_whole(batch_size, 1):
        raise ValueError(f"batch_size is {batch_size!r}, expected a whole number >= 1")
    if n is not None and batch_size > n:
        raise ValueError(
            f"batch_size is {batch_size}, larger than the {n} training samples; use batch_size={n} "
            f"or less"
        )


def run_evaluation(
    model: Model, data: Batches, batch_size: int, indices: np.ndarray | None = None
) -> dict[str, float]:
    """The mean loss and metrics over the samples, without noise."""
    check_batch_size(batch_size)
    indices = np.arange(data.n) if indices is None else indices
    sums: dict[str, Scalar] = dict.fromkeys(model.objective.names, 0.0)
    n_counted = 0
    for _, batch in _batches(model, data, batch_size, indices):
        numbers, _ = model.objective.forward(batch)
        n = model.objective.n_counted(batch)
        n_counted += n
        for name, value in zip(model.objective.names, numbers, strict=True):
            sums[name] += n * as_number(value)
    return {name: float(total) / max(n_counted, 1) for name, total in sums.items()}


def predict(model: Model, x: DataLike, batch_size: int) -> Arrays:
    """The outputs for all samples, batch by batch; they live where the samples do."""
    check_batch_size(batch_size)
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
    model: Model, data: Batches, batch_size: int, indices: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple]]:
    """(indices, batch) of so many samples at a time, where the model computes."""
    with on_device(model.device):
        for start in range(0, len(indices), batch_size):
            part = indices[start : start + batch_size]
            batch = rows_of(data.arrays, data.dtypes, part)
            yield part, tuple([to_device(a, model.device) for a in batch])
