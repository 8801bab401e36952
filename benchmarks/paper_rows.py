"""The rows of ``benchmarks.papers``: what was published, and the few lines that repeat it.

Each row has two schedules. The published one, as far as its source says it; and a shorter one for
two cores, which says in a word what is different. Whatever a row chooses (a rate, a number of
epochs) it chooses once for all seeds, and test samples are looked at once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc.data import Dataset
from minienc.finetuning import few_label_curve, finetune
from minienc.finetuning.curve import PRETRAINED, RANDOM
from minienc.layers import Dense, Input
from minienc.models import Model, clone_model
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.baselines import PCA
from minienc.pretraining.stacked import StackedAutoencoder
from minienc.training.callbacks import Callback
from minienc.training.schedules import CosineDecay


class Figure(NamedTuple):
    """One number of a row."""

    name: str
    published: float | None = None
    better: str = "lower"  # or "higher"
    form: str = "{:.2f}"

    def reached(self, mean: float) -> str:
        """Whether ours is at least as good; nothing where nothing was published."""
        if self.published is None:
            return ""
        better = mean <= self.published if self.better == "lower" else mean >= self.published
        return "yes" if better else "no"


class Task(NamedTuple):
    """One row, one seed: what its function is given."""

    data: Dataset
    seed: int
    folder: Path  # of checkpoints
    callbacks: list[Callback]
    configuration: dict[str, Any]

    def fit(self, method: Any, X: Any, stage: str) -> Any:
        """Pretrain, from the last checkpoint if there is one."""
        return method.set_params(random_state=self.seed).fit(
            X, callbacks=self.callbacks, checkpoint_dir=self.folder / stage, resume=True
        )


class Row(NamedTuple):
    """``run(task)`` returns a number for each of ``figures``."""

    name: str
    title: str
    source: str
    figures: tuple[Figure, ...]
    run: Callable[[Task], dict[str, float]]
    short: dict[str, Any]
    full: dict[str, Any]
    notes: dict[str, str]  # what the schedules "short" and "full" are, for the table
    seeds: int = 3

    def configuration(self, schedule: str) -> dict[str, Any]:
        """Everything that the row's function is told."""
        return self.short if schedule == "short" else self.full


def decaying(rate: float, n: int, epochs: int, batch_size: int) -> CosineDecay:
    """A learning rate that falls to 0 along half a cosine over all steps of a training."""
    return CosineDecay(rate, epochs * -(-n // batch_size))


# -- the deep autoencoder


def deep_autoencoder(task: Task) -> dict[str, float]:
    """784-1000-500-250-30 and back; beside it PCA, and logistic PCA: one layer and a sigmoid."""
    x, epochs, batch = task.data.x, task.configuration["epochs"], task.configuration["batch_size"]
    settings = dict(epochs=epochs, batch_size=batch, loss="binary_crossentropy")
    deep = Autoencoder(
        hidden=(1000, 500, 250, 30),
        learning_rate=decaying(task.configuration["learning_rate"], len(x), epochs, batch),
        **settings,
    )
    task.fit(deep, x, "deep")
    logistic = Autoencoder(
        hidden=(30,), learning_rate=decaying(3e-3, len(x), epochs, batch), **settings
    )
    task.fit(logistic, x, "logistic")
    return {
        "squared error per test image": deep.reconstruction_error(task.data.test_x),
        "logistic PCA-30": logistic.reconstruction_error(task.data.test_x),
        "PCA-30": PCA(30).fit(x).reconstruction_error(task.data.test_x),
    }


# -- deep classifiers that begin as stacked denoising autoencoders


def stacked_denoising(task: Task) -> dict[str, float]:
    """784-1000-1000-1000, layer by layer, then fine-tuned with all labels; and its controls."""
    data = task.data
    sda = task.fit(stacked(task.configuration), data.x, "stacked")
    x = Input((data.x.shape[1],))
    shallow = Model(x, Dense(500, activation=task.configuration["activation"])(x))
    return {
        "stacked denoising autoencoder": tuned_error(task, sda.encoder_),
        "the same from random weights": tuned_error(task, at_random(sda.encoder_, task.seed)),
        "MLP-500": tuned_error(task, at_random(shallow, task.seed)),
    }


def stacked(settings: dict[str, Any]) -> StackedAutoencoder:
    """A stacked denoising autoencoder whose code layer is like the others."""
    return StackedAutoencoder(
        hidden=settings["hidden"],
        activation=settings["activation"],
        code_activation=settings["activation"],
        noise="masking",
        noise_level=settings["noise_level"],
        epochs_per_layer=settings["epochs_per_layer"],
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
    )


def at_random(encoder: Model, seed: int) -> Model:
    """The same network before any training."""
    blank = clone_model(encoder)
    blank.initialize(np.random.default_rng([seed, 1]))
    return blank


def tuned_error(task: Task, encoder: Model) -> float:
    """Test error, in per cent, of the classifier that begins as ``encoder``; all labels."""
    x, y, settings = task.data.x, task.data.y, task.configuration
    epochs, batch = settings["tuning_epochs"], settings["tuning_batch_size"]
    model = finetune(
        encoder,
        x,
        y,
        epochs=epochs,
        batch_size=batch,
        learning_rate=decaying(settings["tuning_rate"], len(x), epochs, batch),
        optimizer=settings["tuning_optimizer"],
        random_state=task.seed,
    )
    wrong = model.predict(task.data.test_x, batch_size=1000).argmax(axis=1) != task.data.test_y
    return 100 * float(wrong.mean())


# -- the claim: lower error, and less variance, where labels are few


def few_labels(task: Task) -> dict[str, float]:
    """Pretrain on all images, fine-tune with few labels; and the same from random weights."""
    data, settings = task.data, task.configuration
    sda = task.fit(stacked(settings), data.x, "stacked")
    curve = few_label_curve(
        sda.encoder_,
        data.x,
        data.y,
        data.test_x,
        data.test_y,
        labels=settings["labels"],
        seeds=(task.seed,),
        steps=settings["steps"],
    )
    return {
        f"{n:,} labels, {name}": 100 * (1 - float(curve.arms[arm][i, 0]))
        for i, n in enumerate(settings["labels"])
        for name, arm in (("pretrained", PRETRAINED), ("random weights", RANDOM))
    }


# -- the rows

ROWS = {
    row.name: row
    for row in (
        Row(
            name="deep",
            title="deep autoencoder 784-1000-500-250-30",
            source="Hinton and Salakhutdinov 2006, Fig. 2B and its supplement",
            figures=(
                Figure("squared error per test image", 3.00),
                Figure("logistic PCA-30", 8.01),
                Figure("PCA-30", 13.87),
            ),
            run=deep_autoencoder,
            short=dict(epochs=100, batch_size=256, learning_rate=1e-3),
            full=dict(epochs=200, batch_size=1000, learning_rate=1e-3),
            notes={"short": "100 epochs of Adam, no RBMs before", "full": "200 epochs"},
        ),
    )
}
