"""The rows of ``benchmarks.papers``: what was published, and with which settings it is repeated.

Each row has two schedules. The published one, as far as its source says it; and a shorter one for
two cores, which says in a word what is different. Whatever a row chooses (a rate, a number of
epochs) it chooses once for all seeds, and test samples are looked at once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.paper_runs import (
    Task,
    boltzmann,
    deep_autoencoder,
    deep_belief,
    embedded_clusters,
    few_labels,
    pixel_clusters,
    shallow,
    stacked_denoising,
    stacked_sparse,
    variational,
)


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


# -- the rows

CLASSIFIER = dict(
    tuning_epochs=30, tuning_batch_size=128, tuning_rate=1e-3, tuning_optimizer="adam"
)

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
            short=dict(epochs=60, batch_size=128, learning_rate=1e-3, activation="gelu"),
            full=dict(epochs=200, batch_size=128, learning_rate=1e-3, activation="gelu"),
            notes={"short": "60 epochs of Adam, gelu, no RBMs before", "full": "200 epochs"},
        ),
        Row(
            name="sda",
            title="stacked denoising autoencoder 3 x 1000",
            source="Theano deep learning tutorials, SdA",
            figures=(
                Figure("test error, %", 1.30),
                Figure("the same from random weights"),
            ),
            run=stacked_denoising,
            short=dict(
                hidden=[1000, 1000, 1000],
                activation="gelu",
                noise_level=0.25,
                epochs_per_layer=8,
                epochs=1,
                batch_size=128,
                learning_rate=1e-3,
                **CLASSIFIER,
            ),
            full=dict(
                hidden=[1000, 1000, 1000],
                activation="gelu",
                noise_level=0.25,
                epochs_per_layer=15,
                epochs=1,
                batch_size=128,
                learning_rate=1e-3,
                **{**CLASSIFIER, "tuning_epochs": 60},
            ),
            notes={
                "short": "8 + 30 epochs of Adam (15 + 36 of SGD), gelu, 60,000 images",
                "full": "15 + 60 epochs of Adam, gelu, 60,000 images",
            },
        ),
        Row(
            name="dbn",
            title="deep belief network 3 x 1000",
            source="Theano deep learning tutorials, DBN",
            figures=(Figure("test error, %", 1.34),),
            run=deep_belief,
            short=dict(
                hidden=[1000, 1000, 1000],
                epochs_per_layer=6,
                rbm_learning_rate=0.1,
                batch_size=128,
                **CLASSIFIER,
            ),
            full=dict(
                hidden=[1000, 1000, 1000],
                epochs_per_layer=100,
                rbm_learning_rate=0.1,
                batch_size=128,
                **{**CLASSIFIER, "tuning_epochs": 60},
            ),
            notes={
                "short": "6 + 30 epochs (100 + 46), the latter of Adam, 60,000 images",
                "full": "100 + 60 epochs, the latter of Adam, 60,000 images",
            },
            seeds=1,
        ),
        Row(
            name="mlp",
            title="MLP-500 without pretraining",
            source="Theano deep learning tutorials, MLP",
            figures=(Figure("test error, %", 1.65),),
            run=shallow,
            short=dict(activation="gelu", decay=1e-5, **{**CLASSIFIER, "tuning_batch_size": 32}),
            full=dict(
                activation="gelu",
                decay=1e-5,
                **{**CLASSIFIER, "tuning_batch_size": 32, "tuning_epochs": 60},
            ),
            notes={
                "short": "30 epochs of Adam (SGD, tanh), gelu, L2 of 1e-5, batches of 32",
                "full": "60 epochs",
            },
        ),
        Row(
            name="sparse",
            title="stacked sparse autoencoder 784-200-200",
            source="UFLDL tutorial, exercise on stacked autoencoders",
            figures=(
                Figure("accuracy before fine-tuning", 87.7, "higher"),
                Figure("after", 97.6, "higher"),
            ),
            run=stacked_sparse,
            short=dict(
                hidden=[200, 200],
                sparsity=0.1,
                strength=3.0,
                decay=3e-3,
                epochs=30,
                batch_size=128,
                learning_rate=2e-3,
                head_rate=1e-2,
                **CLASSIFIER,
            ),
            full=dict(
                hidden=[200, 200],
                sparsity=0.1,
                strength=3.0,
                decay=3e-3,
                epochs=100,
                batch_size=128,
                learning_rate=2e-3,
                head_rate=1e-2,
                **{**CLASSIFIER, "tuning_epochs": 60},
            ),
            notes={
                "short": "30 + 30 epochs of Adam (400 steps of L-BFGS)",
                "full": "100 + 60 epochs of Adam",
            },
        ),
        Row(
            name="vae",
            title="variational autoencoder 784-400-40",
            source="pythae's table of reproductions: 200 importance samples",
            figures=(Figure("negative log-likelihood, nats", 89.78),),
            run=variational,
            short=dict(
                epochs=150, batch_size=128, learning_rate=2e-3, activation="gelu", draws=200
            ),
            full=dict(epochs=500, batch_size=128, learning_rate=2e-3, activation="gelu", draws=200),
            notes={"short": "150 epochs of Adam, gelu", "full": "500 epochs"},
            seeds=1,
        ),
        Row(
            name="dec",
            title="deep embedded clustering",
            source="Xie, Girshick and Farhadi 2016, table 2",
            figures=(Figure("clustering accuracy, %", 84.30, "higher"),),
            run=embedded_clusters,
            short=dict(
                epochs_per_layer=8,
                pretraining_epochs=100,
                pretraining_rate=1e-3,
                epochs=40,
                batch_size=256,
                update_every=140,
                learning_rate=1e-4,
            ),
            full=dict(
                epochs_per_layer=180,
                pretraining_epochs=370,
                pretraining_rate=1e-3,
                epochs=40,
                batch_size=256,
                update_every=140,
                learning_rate=1e-4,
            ),
            notes={
                "short": "8 + 100 epochs of Adam (50,000 + 100,000 steps of SGD), then 40",
                "full": "as many steps as published, of Adam",
            },
            seeds=1,
        ),
        Row(
            name="pixels",
            title="k-means on the pixels",
            source="Xie, Girshick and Farhadi 2016, table 2",
            figures=(Figure("clustering accuracy, %", 53.49, "higher"),),
            run=pixel_clusters,
            short=dict(beginnings=20, epochs=60),
            full=dict(beginnings=20, epochs=60),
            notes={
                "short": "as published: the best of 20 beginnings, 70,000 images",
                "full": "as published",
            },
            seeds=3,
        ),
        Row(
            name="rbm",
            title="RBM 784-500, PCD-15, 15 epochs",
            source="Theano deep learning tutorials, RBM",
            figures=(Figure("pseudo-likelihood", -62.76, "higher"),),
            run=boltzmann,
            short=dict(k=15, epochs=15, batch_size=20, learning_rate=0.1),
            full=dict(k=15, epochs=15, batch_size=20, learning_rate=0.1),
            notes={"short": "as published, on 60,000 images", "full": "as published"},
            seeds=1,
        ),
        Row(
            name="claim",
            title="stacked denoising 784-500-500-500, few labels",
            source="the claim of Erhan et al. 2010: lower error, lower variance",
            figures=tuple(
                Figure(f"{n:,} labels, {arm}")
                for n in (100, 1_000, 10_000)
                for arm in ("pretrained", "random weights")
            ),
            run=few_labels,
            short=dict(
                hidden=[500, 500, 500],
                activation="gelu",
                noise_level=0.4,
                epochs_per_layer=4,
                epochs=1,
                batch_size=128,
                learning_rate=1e-3,
                labels=[100, 1_000, 10_000],
                steps=1000,
            ),
            full=dict(
                hidden=[500, 500, 500],
                activation="gelu",
                noise_level=0.4,
                epochs_per_layer=15,
                epochs=15,
                batch_size=128,
                learning_rate=1e-3,
                labels=[100, 1_000, 10_000],
                steps=3000,
            ),
            notes={
                "short": "4 + 4 + 4 + 1 epochs, then 1,000 steps in both arms",
                "full": "15 epochs each, then 3,000 steps",
            },
            seeds=10,
        ),
    )
}
