"""A model of several tasks in a folder: all that predicting needs, and nothing that could be run.

FOLDER/multitask.json    the tasks: their names, their classes, the scale of quantities
FOLDER/model.npz         the network, an output a task
"""

from __future__ import annotations

import math
from pathlib import Path

from minienc.files import write_json
from minienc.finetuning.multitask import MultiTask
from minienc.finetuning.targets import Task, check_mapping
from minienc.models import Model, load_model
from minienc.training.archives import damage_is_told, parse_json, short, take, take_all

FORMAT = "minienc multitask"
_MOST = 1 << 24  # bytes of a multitask.json, which may hold the names of many classes


def save_multitask(model: MultiTask, folder: str | Path) -> None:
    """Write a fitted model into a folder that is there."""
    model.check_fitted()
    tasks = [task._asdict() for task in model.tasks_]
    model.model_.save(Path(folder) / "model.npz")
    write_json(Path(folder) / "multitask.json", {"format": FORMAT, "tasks": tasks})


def load_multitask(folder: str | Path) -> MultiTask:
    """Read what ``save_multitask`` wrote, to predict with.

    Raises
    ------
    OSError
        If a file is not there.
    ValueError
        If a file is damaged, or the two do not belong together.
    """
    folder = Path(folder)
    path = folder / "multitask.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no multitask.json: it is no run of several tasks")
    tasks = read_tasks(path)
    model = MultiTask()
    model.tasks_, model.model_ = tasks, load_model(folder / "model.npz")
    with damage_is_told(folder, "the model"):
        model.encoder_ = _trunk(model.model_, tasks)
    return model


def read_tasks(path: str | Path) -> list[Task]:
    """The tasks of a multitask.json."""
    path = Path(path)
    with damage_is_told(path, "it"):
        if path.stat().st_size > _MOST:
            raise ValueError(f"it has more than {_MOST:,} bytes")
        return _tasks(parse_json(path.read_bytes()))


def _tasks(plain: object) -> list[Task]:
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ValueError("it holds something else than the tasks of a model")
    found: list[Task] = []
    for one in take_all(plain, "tasks", dict, "it", least=1):
        classes = take(one, "classes", (list, type(None)), "a task")
        if classes is not None:
            classes = tuple(take_all(one, "classes", (str, int), "a task", least=2))
        mean, deviation = (take(one, k, float, "a task") for k in ("mean", "deviation"))
        if not (math.isfinite(mean) and 0 < deviation < math.inf):
            raise ValueError(f"a task: 'deviation' is {short(deviation)}, expected above 0")
        found.append(Task(take(one, "name", str, "a task"), classes, mean, deviation))
    check_mapping({task.name: None for task in found})
    return found


def _trunk(model: Model, tasks: list[Task]) -> Model:
    """The part that all heads share, found from where they stand."""
    widths = [task.n_outputs for task in tasks]
    shapes = [tuple(t.sample_shape) for t in model.outputs]
    if shapes != [(n,) for n in widths]:
        raise ValueError(f"model.npz has outputs of {shapes}, multitask.json speaks of {widths}")
    tensor = model.outputs[0]
    while getattr(tensor.node.layer, "name", None) != tasks[0].name:
        if len(tensor.node.inputs) != 1:
            raise ValueError(f"model.npz has no head {tasks[0].name!r}")
        (tensor,) = tensor.node.inputs
    return Model(model.inputs[0], tensor.node.inputs[0], name="trunk")
