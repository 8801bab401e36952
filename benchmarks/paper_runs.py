"""The few lines that repeat what a paper published: a function for each row of ``paper_rows``.

Each is given a ``Task``, and returns its figures by their names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc.data import Dataset
from minienc.data.pixels import Pixels
from minienc.finetuning import few_label_curve, finetune
from minienc.finetuning.curve import PRETRAINED, RANDOM
from minienc.layers import Dense, Input
from minienc.layers.regularizers import L2
from minienc.models import Model, clone_model
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.baselines import PCA
from minienc.pretraining.dbn import DBN
from minienc.pretraining.dec import DEC
from minienc.pretraining.kmeans import KMeans
from minienc.pretraining.rbm import RBM
from minienc.pretraining.sparse import SparseAutoencoder
from minienc.pretraining.stacked import StackedAutoencoder
from minienc.pretraining.variational import VariationalAutoencoder
from minienc.training.callbacks import Callback
from minienc.training.clustering_metrics import clustering_accuracy
from minienc.training.schedules import CosineDecay


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
        activation=task.configuration["activation"],
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
    """784-1000-1000-1000, layer by layer, then fine-tuned with all labels; and its control."""
    sda = task.fit(stacked(task.configuration), task.data.x, "stacked")
    return {
        "test error, %": tuned_error(task, sda.encoder_),
        "the same from random weights": tuned_error(task, at_random(sda.encoder_, task.seed)),
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


def tuned_error(task: Task, encoder: Model, rate: float | None = None, **options: Any) -> float:
    """Test error, in per cent, of the classifier that begins as ``encoder``; all labels."""
    x, y, settings = task.data.x, task.data.y, task.configuration
    epochs, batch = settings["tuning_epochs"], settings["tuning_batch_size"]
    model = finetune(
        encoder,
        x,
        y,
        epochs=epochs,
        batch_size=batch,
        learning_rate=decaying(rate or settings["tuning_rate"], len(x), epochs, batch),
        optimizer=settings["tuning_optimizer"],
        random_state=task.seed,
        **options,
    )
    wrong = model.predict(task.data.test_x, batch_size=1000).argmax(axis=1) != task.data.test_y
    return 100 * float(wrong.mean())


# -- a deep classifier that begins as a deep belief network


def deep_belief(task: Task) -> dict[str, float]:
    """784-1000-1000-1000, machine by machine, then fine-tuned with all labels."""
    settings = task.configuration
    dbn = DBN(
        hidden=settings["hidden"],
        code_units="binary",
        k=1,
        epochs_per_layer=settings["epochs_per_layer"],
        rbm_learning_rate=settings["rbm_learning_rate"],
        batch_size=settings["batch_size"],
        epochs=1,
    )
    task.fit(dbn, task.data.x, "dbn")
    return {"test error, %": tuned_error(task, dbn.stack_)}


# -- and a shallow one that nothing was done for


def shallow(task: Task) -> dict[str, float]:
    """784-500 from random weights: what pretraining is measured against."""
    x, settings = Input((task.data.x.shape[1],)), task.configuration
    decay = L2(settings["decay"])
    hidden = Dense(500, activation=settings["activation"], kernel_regularizer=decay)
    network = at_random(Model(x, hidden(x)), task.seed)
    return {"test error, %": tuned_error(task, network)}


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


# -- a stack of sparse autoencoders


def stacked_sparse(task: Task) -> dict[str, float]:
    """784-200-200, each on the codes of the one before; a softmax layer on top; then all of it.

    The source sums the squared error over the features and halves it; the loss here is the mean
    over D features, 2 / D of that, and so are sparsity's and decay's strengths.
    """
    h, encoders, settings = task.data.x, [], task.configuration
    for i, units in enumerate(settings["hidden"], 1):
        D = h.shape[1]
        sparse = SparseAutoencoder(
            hidden=(units,),
            penalty="kl",
            sparsity=settings["sparsity"],
            strength=settings["strength"] * 2 / D,
            weight_decay=settings["decay"] / D,
            loss="mean_squared_error",
            output_activation="sigmoid",
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            learning_rate=decaying(
                settings["learning_rate"], len(h), settings["epochs"], settings["batch_size"]
            ),
        )
        task.fit(sparse, h, f"layer_{i}")
        sparse.encoder_.name = f"sparse_{i}"
        encoders.append(sparse.encoder_)
        h = sparse.transform(h)
    x = Input((task.data.x.shape[1],))
    tensor = x
    for encoder in encoders:
        tensor = encoder(tensor)
    stack = Model(x, tensor)
    return {
        "accuracy before fine-tuning": 100
        - tuned_error(task, stack, settings["head_rate"], mode="frozen"),
        "after": 100 - tuned_error(task, stack),
    }


# -- models of the samples


def variational(task: Task) -> dict[str, float]:
    """784-400-40; samples binarised anew at each step, and the test images once."""
    settings = task.configuration
    epochs, batch = settings["epochs"], settings["batch_size"]
    vae = VariationalAutoencoder(
        hidden=(400,),
        code=40,
        activation=settings["activation"],
        binarize=True,
        epochs=epochs,
        batch_size=batch,
        learning_rate=decaying(settings["learning_rate"], len(task.data.x), epochs, batch),
    )
    task.fit(vae, task.data.x, "vae")
    likelihood = vae.log_likelihood(task.data.test_x, settings["draws"], random_state=task.seed)
    return {"negative log-likelihood, nats": -float(likelihood.mean())}


def boltzmann(task: Task) -> dict[str, float]:
    """784-500 by PCD-15; the pseudo-likelihood as the source logs it: the last epoch's batches."""
    rbm = RBM(n_components=500, persistent=True, momentum=0.0, **task.configuration)
    task.fit(rbm, task.data.x, "rbm")
    return {"pseudo-likelihood": rbm.history_["pseudo_likelihood"][-1]}


def embedded_clusters(task: Task) -> dict[str, float]:
    """784-500-500-2000-10 and ten centroids, on all 70,000 images, as published.

    The images that are clustered are those learned from. The labels name the clusters, one each,
    after all is done.
    """
    x, y = everything(task.data)
    settings = dict(task.configuration)
    epochs, batch = settings["pretraining_epochs"], settings["batch_size"]
    rate = decaying(settings.pop("pretraining_rate"), len(x), epochs, batch)
    dec = DEC(n_clusters=10, hidden=(500, 500, 2000, 10), pretraining_rate=rate, **settings)
    task.fit(dec, x, "dec")
    return {"clustering accuracy, %": 100 * clustering_accuracy(y, dec.predict(x))}


def pixel_clusters(task: Task) -> dict[str, float]:
    """k-means on the pixels of all 70,000 images; of all beginnings, the least inertia."""
    x, y = everything(task.data)
    n, epochs = task.configuration["beginnings"], task.configuration["epochs"]
    found = []
    for seed in range(n * task.seed, n * (task.seed + 1)):
        found.append(KMeans(10, n_init=1, epochs=epochs, random_state=seed).fit(x))
    best = min(found, key=lambda kmeans: kmeans.history_["loss"][-1])
    return {"clustering accuracy, %": 100 * clustering_accuracy(y, best.predict(x))}


def everything(data: Dataset) -> tuple[Pixels, np.ndarray]:
    """All images with their labels, those of the test set last; pixels stay bytes."""
    images = np.concatenate([data.x.images, data.test_x.images])
    return Pixels(images, data.x.dtype, data.x.scale), np.concatenate([data.y, data.test_y])
