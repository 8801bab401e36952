"""``minienc classify``: what the classifier of a run says of files, by the names of its classes.

A run of several tasks (``--task multitask``) says what it has to say for each of them; one of
texts (``--task classify``) is given texts, or files of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minienc.arrays import check_device, to_numpy
from minienc.finetuning.multitask_folder import load_multitask
from minienc.models import Model, load_model
from minienc.runs import multitask, texts
from minienc.runs.config import read_whole_config, task_of
from minienc.runs.naming import named
from minienc.runs.uses import later_samples


def classify_run(
    run_folder: str,
    data: list[str],
    data_dir: str | None,
    scale: float | None,
    resample: bool,
    classifier: str | None,
    top: int,
    device: str | None,
    lines: bool = False,
) -> None:
    """``minienc classify RUN FILE ...``: each is read as the run's own data were."""
    check_device(device or "cpu")
    if top < 1:
        raise ValueError(f"--top is {top}, expected at least 1")
    if task_of(run_folder) == texts.TASK:
        texts.classify_texts(run_folder, data, lines, top, device or "cpu")
        return
    if lines:
        raise ValueError(f"--lines is for texts; {run_folder} is no run of --task classify")
    if task_of(run_folder) == multitask.TASK:
        if classifier is not None:
            raise ValueError(f"--classifier is for runs of one task; {run_folder} has several")
        _several(run_folder, data, data_dir, scale, resample, top, device or "cpu")
        return
    config = read_whole_config(Path(run_folder))
    model = read_classifier(Path(run_folder), classifier).to(device or "cpu")
    for path in data:
        X, odd = later_samples(model, path, data_dir, scale, resample, config, run_folder)
        for line in odd:
            print(f"note: {line}", file=sys.stderr)
        p = to_numpy(model.predict(X, batch_size=1000))
        for i, row in enumerate(p):
            which = path if len(p) == 1 else f"{path} [{i}]"
            print(f"{which}: {named(row, model.class_names, top)}")


def _several(
    run_folder: str,
    data: list[str],
    data_dir: str | None,
    scale: float | None,
    resample: bool,
    top: int,
    device: str,
) -> None:
    """What a run of several tasks says of files: a line a sample, a part a task."""
    config = multitask.read_config(Path(run_folder))["pretrained"]
    model = load_multitask(run_folder)
    model.model_.to(device)
    how = (data_dir, scale, resample, config, run_folder)
    for path in data:
        X, odd = later_samples(model.encoder_, path, *how)
        for line in odd:
            print(f"note: {line}", file=sys.stderr)
        outputs = model.outputs(X)
        for i in range(len(X)):
            parts = []
            for task in model.tasks_:
                row = outputs[task.name][i : i + 1]
                if task.classes is None:
                    parts.append(f"{task.name} {task.decode(row)[0]:.4g}")
                else:
                    parts.append(f"{task.name} {named(row[0], task.classes, top)}")
            which = path if len(X) == 1 else f"{path} [{i}]"
            print(f"{which}: {'; '.join(parts)}")


def read_classifier(folder: Path, said: str | None) -> Model:
    """The classifier that ``minienc finetune`` has left in a run, or another file."""
    path = folder / "classifier.npz" if said is None else Path(said)
    if not (path.is_file() and path.stat().st_size):
        raise ValueError(f"{path} is not there: make it with minienc finetune {folder}")
    model = load_model(path)
    if len(model.outputs) != 1 or len(model.outputs[0].sample_shape) != 1:
        raise ValueError(f"{path} is no classifier: its output is no row with a number a class")
    names = model.class_names
    if names is not None and len(names) != model.outputs[0].sample_shape[0]:
        raise ValueError(
            f"{path} names {len(names)} classes, and its output has "
            f"{model.outputs[0].sample_shape[0]}"
        )
    return model
