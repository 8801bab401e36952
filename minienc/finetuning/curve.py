"""Did pretraining help? Accuracy against the number of labels, beside its control arms.

An accuracy after pretraining says nothing by itself. Beside it stand: the same network from
random weights with the same budget of steps; a linear classifier on the raw input; and one on as
many principal components as the code is wide. Every arm sees the same labelled samples, drawn
anew for every seed, so that arms can be compared seed by seed.

Source: Erhan et al. 2010, "Why does unsupervised pre-training help deep learning?", section 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minienc.arrays import Array, rows_at, to_numpy
from minienc.data.labels import as_labels
from minienc.data.plain import DataLike, Samples
from minienc.finetuning.classifier import encoder_of, finetune
from minienc.finetuning.probes import encode, linear_probe
from minienc.models import Model, clone_model
from minienc.notebook import html_table
from minienc.pretraining.base import Pretrainer, samples_for
from minienc.pretraining.baselines import PCA

PRETRAINED = "pretrained, fine-tuned"
RANDOM = "random weights, same budget"
PROBE = "pretrained codes, linear"
RAW = "raw input, linear"
PCA_CODES = "PCA codes, linear"

FROM_RANDOM: dict[str, Any] = {
    "mode": "full",
    "head_initializer": "glorot_uniform",
}  # how a network without pretraining begins


@dataclass(frozen=True)
class FewLabelCurve:
    """Test accuracies.

    Attributes
    ----------
    labels : tuple of int
        Numbers of labelled samples, in all classes together.
    arms : dict of str to array (len(labels), len(seeds))
        Accuracies in [0, 1].
    seeds : tuple of int

    Examples
    --------
    >>> accuracies = {"pretrained": np.array([[0.6, 0.7]])}
    >>> curve = FewLabelCurve(labels=(10,), arms=accuracies, seeds=(0, 1))
    >>> curve.rows()
    [['pretrained', '65.0 ± 7.1']]
    """

    labels: tuple[int, ...]
    arms: dict[str, np.ndarray]
    seeds: tuple[int, ...]

    def difference(self, arm: str = PRETRAINED, control: str = RANDOM) -> np.ndarray:
        """``arm`` minus ``control``, seed by seed: (len(labels), len(seeds))."""
        return self.arms[arm] - self.arms[control]

    def rows(self) -> list[list[str]]:
        """Of each arm its name, then what ``measure`` says, in per cent."""
        rows = []
        for name, accuracy in self.arms.items():
            cells = [f"{100 * mean:.1f}" for mean in accuracy.mean(axis=1)]
            if len(self.seeds) > 1:
                spread = accuracy.std(axis=1, ddof=1)
                cells = [f"{c} ± {100 * s:.1f}" for c, s in zip(cells, spread, strict=True)]
            rows.append([name, *cells])
        return rows

    @property
    def measure(self) -> str:
        """What the numbers of the table are, in words."""
        if len(self.seeds) > 1:
            return f"mean and standard deviation over {len(self.seeds)} seeds"
        return "one seed, so no spread is known"

    def headings(self) -> list[str]:
        return ["test accuracy, %", *[f"{n:,} labels" for n in self.labels]]

    def table(self) -> str:
        """The rows as Markdown."""
        lines = [f"| {' | '.join(row)} |" for row in (self.headings(), *self.rows())]
        return "\n".join([lines[0], "|---|" + "---:|" * len(self.labels), *lines[1:]])

    def _repr_html_(self) -> str:
        """The same table, in a notebook."""
        return html_table(self.headings(), self.rows())


def few_label_curve(
    encoder: Model | Pretrainer,
    X: DataLike,
    y: DataLike,
    X_test: DataLike,
    y_test: DataLike,
    *,
    labels: Sequence[int] = (10, 100, 1000),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 500,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    mode: str = "full",
    progress: Callable[[str], None] | None = None,
) -> FewLabelCurve:
    """Fine-tune on a few labels, and do the same without pretraining.

    Parameters
    ----------
    encoder : Model, or a fitted method
        The pretrained encoder; it is copied, not changed.
    X, y : samples (N, D) and integer labels (N,) to draw the few from
        The principal components are found on all of X, as pretraining saw it.
    X_test, y_test
    labels : numbers of labelled samples; drawn evenly over the classes
    seeds : each draws other samples, other random weights, another order
    steps : training steps for each arm that trains a network: the budget
    batch_size, learning_rate, mode : as in ``finetune``
    progress : function, called with a line of text after each run

    Returns
    -------
    FewLabelCurve

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import Autoencoder
    >>> digits = load_digits()
    >>> method = Autoencoder(hidden=(16,), epochs=1, random_state=0).fit(digits.x)
    >>> test = digits.test_x, digits.test_y
    >>> curve = few_label_curve(
    ...     method, digits.x, digits.y, *test, labels=(10,), seeds=(0, 1), steps=10
    ... )
    >>> curve.headings(), len(curve.rows())
    (['test accuracy, %', '10 labels'], 5)
    """
    encoder = encoder_of(encoder)
    X, X_test = samples_for(encoder, X), samples_for(encoder, X_test, "X_test")
    y, y_test = as_labels(y, len(X)), as_labels(y_test, len(X_test), "y_test")
    n_classes = int(max(y.max(), y_test.max())) + 1
    for n in labels:
        if not n_classes <= n <= len(X):
            raise ValueError(
                f"labels has {n}, expected at least one for each of {n_classes} classes and at "
                f"most {len(X)}, the number of samples"
            )
    budget: dict[str, Any] = dict(
        batch_size=batch_size, learning_rate=learning_rate, n_classes=n_classes, mode=mode
    )
    pca = PCA(math.prod(encoder.outputs[0].sample_shape)).fit(X)
    names = (PRETRAINED, RANDOM, PROBE, RAW, PCA_CODES)
    arms = {name: np.zeros((len(labels), len(seeds))) for name in names}
    for i, n in enumerate(labels):
        for j, seed in enumerate(seeds):
            few, few_y = few_labelled(X, y, n, seed)
            epochs = epochs_of(steps, batch_size, n)
            for name, model in fine_tuned(encoder, few, few_y, seed, epochs=epochs, **budget):
                arms[name][i, j] = accuracy(model, X_test, y_test)
            for name, codes in ((PROBE, encoder), (RAW, None), (PCA_CODES, pca)):
                arms[name][i, j] = linear_probe(codes, few, few_y, X_test, y_test)
            if progress is not None:
                progress(progress_line(n, seed, {name: a[i, j] for name, a in arms.items()}))
    return FewLabelCurve(tuple(labels), arms, tuple(seeds))


def few_labelled(X: Samples, y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The n labelled samples of a seed: the same ones for every arm, and whoever asks."""
    chosen = draw_labelled(y, n, np.random.default_rng([seed, n]))
    return encode(None, rows_at(X, chosen)), y[chosen]


def epochs_of(steps: int, batch_size: int, n: int) -> int:
    """How many epochs over n samples are nearest to so many steps."""
    return max(1, round(steps * min(batch_size, n) / n))


def fine_tuned(
    encoder: Model, few: Array, few_y: np.ndarray, seed: int, *, mode: str = "full", **budget: Any
) -> Iterator[tuple[str, Model]]:
    """The classifier on the pretrained encoder, then the one on the same network from random
    weights: each with its arm's name, trained on the same samples with the same budget.

    ``mode``, and ``layer_decay`` in ``budget``, are for the pretrained one; the other arguments are
    as in ``finetune``.
    """
    decay = budget.pop("layer_decay", 1.0)
    blank = clone_model(encoder)
    blank.initialize(np.random.default_rng([seed, len(few), 1]))
    pretrained: dict[str, Any] = {"mode": mode, "layer_decay": decay}
    for name, start, how in ((PRETRAINED, encoder, pretrained), (RANDOM, blank, FROM_RANDOM)):
        yield name, finetune(start, few, few_y, random_state=seed, **how, **budget)


def progress_line(n: int, seed: int, accuracies: dict[str, float]) -> str:
    return (
        f"{n} labels, seed {seed}: {100 * accuracies[PRETRAINED]:.1f} % pretrained, "
        f"{100 * accuracies[RANDOM]:.1f} % from random weights"
    )


def draw_labelled(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of n samples, spread over the classes as evenly as possible."""
    order = rng.permutation(len(y))
    rank = np.empty(len(y), dtype=int)  # of each sample within its class, in random order
    for k in np.unique(y):
        members = order[y[order] == k]
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank[order], kind="stable")[:n]]


def accuracy(model: Model, X: Samples, y: np.ndarray) -> float:
    return float((to_numpy(model.predict(X, batch_size=1000)).argmax(axis=1) == y).mean())
