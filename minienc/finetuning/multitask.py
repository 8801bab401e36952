"""Several tasks at once: one encoder, a head for each task.

    model = MultiTask(encoder, combine="pcgrad", random_state=0)
    model.fit(X, {"digit": digits, "speaker": speakers})
    model.predict(X_test)["speaker"]
    model.history_["digit_speaker_cosine"]      # do they pull the same way?

What the tasks have in common is learned from the labels of all of them (Caruana 1997); where they
have little in common they are in each other's way. Neither can be seen in the losses: so the
gradient of each task by the shared weights is measured in every step (``task_losses.py``).

Their gradients become one in one of three ways, in ``combine``:

sum          sum_k w_k g_k, the plain one
uncertainty  the w_k are learned, from how sure the network is of each task (Kendall et al. 2018)
pcgrad       of each g_k, what goes against another task is left out (Yu et al. 2020)

Sources: Caruana 1997, "Multitask learning"; the others in ``functions/uncertainty.py`` and
``functions/conflicts.py``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from minienc.arrays import Array, DTypeLike, Scalar, on_device, rows_at, to_device, to_numpy
from minienc.data.pixels import Samples
from minienc.data.plain import DataLike
from minienc.finetuning.classifier import (
    SCHEDULES,
    encoder_of,
    optimizer_with_decay,
    rate_of_schedule,
)
from minienc.finetuning.targets import Task, check_mapping, check_weights, find_tasks
from minienc.finetuning.task_losses import Head, TaskLosses
from minienc.layers import Activation, Dense, Dropout, Flatten, Input, UncertaintyWeighting
from minienc.layers.base import Layer
from minienc.models import Model, clone_model
from minienc.pretraining.base import Pretrainer, _Run, samples_for
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.callbacks import Callback, as_callbacks
from minienc.training.loop import Trainer
from minienc.training.optimizer import Optimizer
from minienc.training.step import Learner

COMBINE = ("sum", "uncertainty", "pcgrad")


class MultiTask(SteppedPretrainer):
    """Train one encoder for several tasks.

    Parameters
    ----------
    encoder : Model, or a fitted method
        It is copied, not changed. What its layers' own regularizers say is not part of the loss.
    combine : {"sum", "uncertainty", "pcgrad"}
        How the tasks' gradients become one.
    weights : dict of {task: number}, optional
        How much each task's loss counts; 1 where nothing is said. With "uncertainty" they are what
        the learned weights multiply.
    quantities : sequence of str
        The tasks whose targets are quantities: regression by the squared error, of quantities with
        mean 0 and deviation 1. All others are classification, by softmax and cross-entropy.
    head_initializer : str
        How the heads' weights begin; with "zeros" no gradient reaches the encoder in the first
        step.
    schedule : {"constant", "cosine"}
    weight_decay, dropout, label_smoothing : float
    augment : layers
        As in ``finetune``.
    optimizer, learning_rate, epochs, batch_size, device, random_state, verbose
        As of ``Pretrainer``.

    Attributes
    ----------
    model_ : Model
        From samples to one output a task: probabilities (K,), or a number (1,) in deviations.
    encoder_ : Model
        From samples to what all heads take.
    tasks_ : list of Task
    losses_ : TaskLosses
        What was made small.
    history_ : dict of lists
        Of each epoch: "loss", and of each task such as "digit_loss", "digit_accuracy",
        "digit_norm", the mean length of its gradient by the shared weights; of each pair
        "digit_speaker_cosine", the mean over the steps, and "digit_speaker_conflict", the part of
        the steps in which it was below 0; with "uncertainty", "digit_weight".

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import Autoencoder
    >>> digits = load_digits()
    >>> method = Autoencoder(hidden=(16,), epochs=1, random_state=0).fit(digits.x)
    >>> model = MultiTask(method, epochs=1, random_state=0)
    >>> model = model.fit(digits.x, {"digit": digits.y, "odd": digits.y % 2})
    >>> sorted(model.score(digits.test_x, {"digit": digits.test_y, "odd": digits.test_y % 2}))
    ['digit', 'odd']
    """

    choices: ClassVar = {"combine": COMBINE, "schedule": SCHEDULES}
    without: ClassVar = ("dtype",)
    encoder: Model | Pretrainer | None = None
    combine: str = "sum"
    weights: Mapping[str, float] | None = None
    quantities: Sequence[str] = ()
    head_initializer: str = "zeros"
    schedule: str = "constant"
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    augment: Sequence[Layer] = ()
    batch_size = 32
    tasks_: list[Task]
    losses_: TaskLosses
    n_steps_: int = 1

    # -- learning

    def fit(  # type: ignore[override]
        self,
        X: DataLike,
        y: Mapping[str, DataLike],
        *,
        validation_data: tuple[DataLike, Mapping[str, DataLike]] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
    ) -> MultiTask:
        """Learn from samples that have a label in every task.

        Parameters
        ----------
        X : array-like (N, D), or samples as the encoder takes them
        y : dict of {task: labels (N,)}
            Labels are words or whole numbers; those of ``quantities`` any numbers.
        validation_data : (X, y), optional
            Its losses and accuracies are logged after each epoch as "val_loss", "val_digit_loss".
        callbacks, checkpoint_dir, resume
            As of ``Pretrainer.fit``.
        """
        start = encoder_of(self.encoder)
        X = samples_for(start, X, minimum=2)
        self.tasks_, targets = find_tasks(y, len(X), self.quantities)
        self.check_params(())
        held_out = None
        if validation_data is not None:
            held_out = self._samples(start, *validation_data, where="validation_data")
        seed = self.random_state
        self.random_state_ = secrets.randbits(63) if seed is None else int(seed)
        self._targets, self._begin = targets, start
        self._run = _Run(held_out, as_callbacks(callbacks), checkpoint_dir, resume)
        try:
            self._fit(X)
        finally:
            del self._run, self._targets, self._begin
        return self

    def _fit(self, X: Samples) -> None:
        batch_size = min(self.batch_size, len(X))
        self.n_steps_ = self.epochs * -(-len(X) // batch_size)
        self.build(X.shape[1:], np.random.default_rng(self.random_state_))
        self.learners_["model"].network.to(self.device or "cpu")
        self.history_ = self._run_steps(X, "checkpoint", self.epochs)

    def _samples(
        self, encoder: Model, X: DataLike, y: Mapping[str, DataLike], where: str
    ) -> tuple[Samples, list[np.ndarray]]:
        """Samples and targets as a batch of the objective has them."""
        X = samples_for(encoder, X, where)
        check_mapping(y, [task.name for task in self.tasks_], where)
        return X, [task.encode(y[task.name], len(X), where) for task in self.tasks_]

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        if hasattr(self, "tasks_"):
            check_weights(self.weights, [task.name for task in self.tasks_])
        for what, value in (("dropout", self.dropout), ("label_smoothing", self.label_smoothing)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: {what} is {value!r}, expected a part, in [0, 1)")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        encoder = clone_model(self._begin)
        x = disturbed = Input(encoder.inputs[0].sample_shape, dtype=encoder.inputs[0].dtype)
        for layer in self.augment:
            disturbed = layer(disturbed)
        code = encoder(disturbed)
        code = Flatten()(code) if len(code.sample_shape) > 1 else code
        code = Dropout(self.dropout)(code) if self.dropout else code
        weights = check_weights(self.weights, [task.name for task in self.tasks_])
        heads, outputs, logits = [], [], []
        for task in self.tasks_:
            kernel = self.head_initializer
            layer = Dense(task.n_outputs, kernel_initializer=kernel, name=task.name)
            z = layer(code)
            layer.initialize(rng)
            heads.append(Head(task.name, layer, task.classes is None, weights[task.name]))
            logits.append(z)
            outputs.append(z if task.classes is None else Activation("softmax")(z))
        self.model_ = Model(x, outputs, name="multitask")
        self.encoder_, weighting = Model(x, code, name="trunk"), None
        network = self.model_
        if self.combine == "uncertainty":
            weighting = UncertaintyWeighting(name="uncertainty")
            losses = Input((len(heads),), dtype=encoder.dtype)
            network = Model([x, losses], [*logits, weighting(losses)], name="multitask")
        projects = self.combine == "pcgrad"
        smoothing = self.label_smoothing
        self.losses_ = TaskLosses(network, self.encoder_, heads, weighting, projects, smoothing)
        self.learners_ = {"model": Learner(network, self.losses_, self._new_optimizer())}

    def _new_optimizer(self) -> Optimizer:
        optimizer = optimizer_with_decay(self.optimizer, self.weight_decay)
        optimizer.learning_rate = rate_of_schedule(self.learning_rate, self.schedule, self.n_steps_)
        return optimizer

    def _data(self, X: Samples) -> Labelled:  # type: ignore[override]
        return Labelled(X, self._targets, self.model_.dtype, self.tasks_)

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        return self.learners_["model"].step(batch, rng) | self.losses_.seen

    def _validate(self, trainer: Trainer) -> dict[str, float]:
        losses = self.losses_
        X, targets = self._run.validation
        data = Labelled(X, targets, self.model_.dtype, self.tasks_)
        sums: dict[str, float] = {}
        for start in range(0, len(X), 256):
            part = slice(start, start + 256)
            batch = [rows_at(a, part, d) for a, d in zip(data.arrays, data.dtypes, strict=True)]
            numbers, _ = losses.forward(tuple([to_device(a, self.model_.device) for a in batch]))
            for name, number in zip(losses.names, numbers, strict=True):
                sums[name] = sums.get(name, 0.0) + len(batch[0]) * float(number)
        return {name: total / len(X) for name, total in sums.items()}

    # -- what it is for

    def samples(self, X: DataLike, name: str = "X", minimum: int = 1) -> Samples:
        """``X`` as the encoder takes it."""
        return samples_for(self.encoder_, X, name, minimum)

    def outputs(self, X: DataLike) -> dict[str, np.ndarray]:
        """What each head says of samples: probabilities (N, K), or (N, 1) in deviations."""
        self.check_fitted()
        with on_device(self.model_.device):
            found = self.model_.predict(self.samples(X))
        several: Sequence[Array] = found if isinstance(found, list) else [found]
        names = [task.name for task in self.tasks_]
        return {name: to_numpy(a) for name, a in zip(names, several, strict=True)}

    def predict(self, X: DataLike) -> dict[str, np.ndarray]:
        """The likeliest class (N,) of each task, or the quantity (N,)."""
        outputs = self.outputs(X)
        return {task.name: task.decode(outputs[task.name]) for task in self.tasks_}

    def predict_proba(self, X: DataLike) -> dict[str, np.ndarray]:
        """The probabilities (N, K) of each task's classes, in the order of its ``classes``."""
        classes = {task.name for task in self.tasks_ if task.classes is not None}
        return {name: p for name, p in self.outputs(X).items() if name in classes}

    def score(self, X: DataLike, y: Mapping[str, DataLike]) -> dict[str, float]:  # type: ignore[override]
        """Of each task the accuracy; of a quantity R^2, the part of its variance that is said."""
        self.check_fitted()
        X, targets = self._samples(self.encoder_, X, y, "y")
        outputs, found = self.outputs(X), {}
        for task, target in zip(self.tasks_, targets, strict=True):
            said = outputs[task.name]
            if task.classes is not None:
                found[task.name] = float((said.argmax(axis=1) == target).mean())
                continue
            error = ((said[:, 0] - target) ** 2).sum()
            spread = ((target - target.mean()) ** 2).sum()
            found[task.name] = 1 - float(error / spread) if spread else float("nan")
        return found


class Labelled:
    """What a batch is made of: samples, and the targets of each task."""

    def __init__(
        self, X: Samples, targets: Sequence[np.ndarray], dtype: DTypeLike, tasks: Sequence[Task]
    ) -> None:
        floats, whole = np.dtype(dtype), np.dtype(np.int64)
        self.arrays = (X, *targets)
        self.dtypes = (floats, *[floats if task.classes is None else whole for task in tasks])
