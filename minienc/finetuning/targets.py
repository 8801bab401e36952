"""What several tasks ask for: labels or quantities of the same samples, under the tasks' names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.data.labels import label_advice
from minienc.data.plain import DataLike, plain_array
from minienc.shapes import did_you_mean, kind_of

NAME = re.compile(r"\w[\w .-]*")


class Task(NamedTuple):
    """A task, as it was found in what is learned from.

    Attributes
    ----------
    name : str
    classes : tuple of str or int, or None
        In the order of the head's outputs; None: a quantity.
    mean, deviation : float
        Of a quantity; the head says how many deviations it is from the mean.
    """

    name: str
    classes: tuple[str | int, ...] | None
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def n_outputs(self) -> int:
        return 1 if self.classes is None else len(self.classes)

    def encode(self, y: DataLike, n: int, where: str = "y") -> np.ndarray:
        """Classes as their numbers (N,), a quantity in deviations (N,).

        Raises
        ------
        ValueError
            For a class that was not among those that were learned.
        """
        values = _column(self.name, y, n, self.classes is None, where)
        if self.classes is None:
            return (values - self.mean) / self.deviation
        known = {label: k for k, label in enumerate(self.classes)}
        found = values.tolist()
        strange = [label for label in found if label not in known]
        if strange:
            raise ValueError(
                f"{where}: task {self.name!r} has the class {strange[0]!r}, of which there was no "
                f"sample to learn from, so its head has no output for it; it has "
                f"{', '.join(map(str, self.classes[:20]))}"
            )
        return np.array([known[label] for label in found], np.int64)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """From a head's outputs (N, K) the likeliest classes (N,), or quantities (N,)."""
        if self.classes is None:
            return outputs[:, 0].astype(np.float64) * self.deviation + self.mean
        return np.array(self.classes)[outputs.argmax(axis=1)]


def find_tasks(
    y: Mapping[str, DataLike], n: int, quantities: Sequence[str] = ()
) -> tuple[list[Task], list[np.ndarray]]:
    """The tasks of the labels of n samples, and what their heads are asked for.

    Raises
    ------
    ValueError, TypeError
        For no task, a task without labels, one with another number of labels than there are
        samples, one with a single class, labels that are missing; it names the task.
    """
    check_mapping(y)
    for name in quantities:
        if name not in y:
            raise ValueError(f"quantities has {name!r}, and the tasks are {', '.join(y)}")
    tasks = [_found(name, labels, n, name in quantities) for name, labels in y.items()]
    targets = [task.encode(y[task.name], n) for task in tasks]
    return tasks, targets


def check_mapping(y: object, expected: Sequence[str] | None = None, where: str = "y") -> None:
    """Refuse what is no {task: labels}, or not of the tasks that are expected."""
    if not isinstance(y, Mapping):
        raise TypeError(
            f'{where} is {kind_of(y)}, expected labels by the names of tasks, such as {{"digit": '
            f'digits, "speaker": speakers}}'
        )
    if not y:
        raise ValueError(f"{where} has no task, expected labels by the names of tasks")
    for name in y:
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ValueError(
                f"{where}: a task is called {name!r}, expected letters, digits, '_', '-' and '.'"
            )
    for name in expected or ():
        if name not in y:
            raise ValueError(f"{where} has no labels for task {name!r}{did_you_mean([name], y)}")


def check_weights(weights: Mapping[str, float] | None, tasks: Sequence[str]) -> dict[str, float]:
    """{task: weight}, 1 where none is given.

    Raises
    ------
    ValueError
        For a task that there is not, a weight below 0, and where all are 0.
    """
    given = {} if weights is None else dict(weights)
    for name, w in given.items():
        if name not in tasks:
            raise ValueError(f"weights has {name!r}, and the tasks are {', '.join(tasks)}")
        if isinstance(w, bool) or not isinstance(w, (int, float)) or not 0 <= w < np.inf:
            raise ValueError(f"weights: {name!r} has {w!r}, expected a number of at least 0")
    full = {name: float(given.get(name, 1.0)) for name in tasks}
    if not any(full.values()):
        raise ValueError("weights: all are 0, so nothing would be learned; give one at least")
    return full


def _found(name: str, labels: DataLike, n: int, is_quantity: bool) -> Task:
    values = _column(name, labels, n, is_quantity, "y")
    if is_quantity:
        deviation = float(values.std())
        if not deviation > 0:
            raise ValueError(
                f"task {name!r} has the quantity {values[0]:g} throughout: nothing can be learned"
            )
        return Task(name, None, float(values.mean()), deviation)
    classes = tuple(np.unique(values).tolist())
    if len(classes) < 2:
        raise ValueError(
            f"task {name!r} has one class, {classes[0]!r}, expected two or more: there is nothing "
            f"to tell apart"
        )
    return Task(name, classes)


def _column(
    name: str, labels: DataLike | None, n: int, is_quantity: bool, where: str
) -> np.ndarray:
    """The labels of a task as an array (n,): whole numbers, words, or quantities as float64."""
    if labels is None:
        raise ValueError(f"{where}: task {name!r} has no labels, expected one for each sample")
    values = np.asarray(to_numpy(plain_array(labels, f"{where}: task {name!r}")))
    if values.shape == (len(values), 1):
        values = values[:, 0]
    if values.shape != (n,):
        raise ValueError(
            f"{where}: task {name!r} has labels {values.shape}, expected ({n},): one for each "
            f"sample, as many as every other task has"
        )
    if values.dtype == object:
        values = np.array(["" if v is None or v != v else str(v) for v in values.tolist()])
    if is_quantity:
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise ValueError(f"{where}: task {name!r} is a quantity, expected finite numbers")
        return values.astype(np.float64)
    if values.dtype.kind == "f":
        raise TypeError(
            f"{where}: task {name!r} has {values.dtype} labels, expected classes; if it is a "
            f"quantity, name it in quantities; else {label_advice(values, name)}"
        )
    if values.dtype.kind == "U" and (values == "").any():
        i = int(np.flatnonzero(values == "")[0])
        raise ValueError(f"{where}: task {name!r} has no label of sample {i}")
    return values
