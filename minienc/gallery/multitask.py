"""What a model of several tasks shows: how their gradients stood, and what it takes for what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.finetuning.multitask import MultiTask
from minienc.gallery.common import Picture

MOST_CLASSES = 30  # of a picture of confusions


def gradients(model: MultiTask) -> list[Picture]:
    """Cosines between the tasks' gradients, how often they were in conflict, their lengths, and
    their weights where those are learned: after each epoch."""
    history, names = model.history_, [task.name for task in model.tasks_]
    pairs = [f"{a}_{b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    told = {f"{a}_{b}": f"{a} and {b}" for a in names for b in names}
    found = []
    if pairs:
        cosines = {told[pair]: history[f"{pair}_cosine"] for pair in pairs}
        figure = plots.lines(cosines, "epoch", "cosine")
        figure.axes[0].axhline(0, color="0.4", linewidth=1.0)
        found.append(Picture(_COSINES, figure, is_drawing=True))
        shares = {told[pair]: 100 * np.array(history[f"{pair}_conflict"]) for pair in pairs}
        figure = plots.lines(shares, "epoch", "steps in conflict, %")
        figure.axes[0].set_ylim(0, 100)
        found.append(Picture(_CONFLICTS, figure, is_drawing=True))
    norms = {name: history[f"{name}_norm"] for name in names}
    found.append(Picture(_NORMS, plots.lines(norms, "epoch", "length"), is_drawing=True))
    if f"{names[0]}_weight" in history:
        weights = {name: history[f"{name}_weight"] for name in names}
        found.append(Picture(_WEIGHTS, plots.lines(weights, "epoch", "weight"), is_drawing=True))
    return found


def confusions(model: MultiTask, X: Samples, y: Mapping[str, np.ndarray]) -> list[Picture]:
    """Of each task with few classes, what was said of the samples of each class."""
    found, said = [], model.outputs(X)
    for task in model.tasks_:
        if task.classes is None or len(task.classes) > MOST_CLASSES:
            continue
        truth = task.encode(y[task.name], len(X))
        counts = np.zeros((task.n_outputs, task.n_outputs), int)
        np.add.at(counts, (truth, said[task.name].argmax(axis=1)), 1)
        caption = CONFUSION.format(task.name)
        found.append(Picture(caption, plots.confusion(counts, task.classes)))
    return found


CONFUSION = (
    "The classes of {}. A row is a class, a column what was said of its test samples, in per cent "
    "of the row; on the diagonal they are right."
)
_COSINES = (
    "The cosine between the gradients that two tasks send to the weights that they share, a mean "
    "over the steps of each epoch. Above 0 they pull the same way, and one learns from the labels "
    "of the other; below 0 a step for one is a step back for the other; at 0 they do not meet."
)
_CONFLICTS = "In how many of the steps of each epoch the cosine was below 0."
_NORMS = (
    "How long each task's gradient by the shared weights is, as it enters the sum, a mean over the "
    "steps of each epoch. The longer one decides where the encoder goes."
)
_WEIGHTS = (
    "What each task's loss is multiplied by, exp(-s): it is learned. A task that is hard to get "
    "right counts less."
)
