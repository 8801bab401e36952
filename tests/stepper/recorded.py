"""Steps to make pages of: small models, each with something of its own to show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minienc import layers as L
from minienc.models import Model
from minienc.pretraining.gan import DiscriminatorObjective, GeneratorObjective
from minienc.primitive import Primitive
from minienc.stepper.heard import listen
from minienc.stepper.record import Record, record, record_batch
from minienc.training.optimizers import Adam
from minienc.training.step import Learner


def _compiled(model: Model, loss: str = "mse", learning_rate: float = 0.01) -> Model:
    model.compile(optimizer=Adam(learning_rate), loss=loss)
    model.initialize(np.random.default_rng(0))
    return model


def _drawn(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def autoencoder(
    n_in: int, n_hidden: int, n: int, learning_rate: float = 0.01, kernel: bool = False
) -> Record:
    x = L.Input(shape=(n_in,))
    h = L.Dense(n_hidden, activation="relu")(x)
    y = L.Dense(n_in, activation="sigmoid")(h)
    model = _compiled(Model(x, y), "binary_crossentropy", learning_rate)
    title = f"autoencoder {n_in}-{n_hidden}-{n_in}"
    return record_batch(model, _drawn(n, n_in), title=title, kernel=kernel)


def tied() -> Record:
    x = L.Input(shape=(6,))
    dense = L.Dense(3, activation="tanh")
    model = _compiled(Model(x, L.DenseTranspose(dense)(dense(x))))
    return record_batch(model, _drawn(4, 6), title="tied autoencoder 6-3-6")


def convolution() -> Record:
    x = L.Input(shape=(8, 8, 1))
    h = L.Conv2D(3, 3, activation="relu", padding="same")(x)
    y = L.Dense(4)(L.Flatten()(L.MaxPool2D(2)(h)))
    return record_batch(
        _compiled(Model(x, y)), _drawn(2, 8, 8, 1), _drawn(2, 4), title="convolution"
    )


def in_part(most: int = 4) -> Record:
    """As of a model that is too large: of features, filters and units the first few."""
    x = L.Input(shape=(6, 6, 2))
    h = L.Conv2D(7, 3, activation="relu", padding="same")(x)
    h = L.Dense(20, activation="tanh")(L.Flatten()(L.MaxPool2D(2)(h)))
    model = _compiled(Model(x, L.Dense(9)(h)))
    made = record_batch(model, _drawn(3, 6, 6, 2), _drawn(3, 9), title="a part of a large model")
    made.most = most
    made.about["shown"] = f"of features, filters and units the first {most}"
    return made


def batch_normalization() -> Record:
    x = L.Input(shape=(5,))
    y = L.Dense(5)(L.BatchNormalization()(L.Dense(4)(x)))
    return record_batch(_compiled(Model(x, y)), _drawn(6, 5), title="batch normalisation")


def lstm() -> Record:
    x = L.Input(shape=(8, 3))
    y = L.Dense(2)(L.LSTM(4)(x))
    return record_batch(_compiled(Model(x, y)), _drawn(2, 8, 3), _drawn(2, 2), title="LSTM, T = 8")


def attention() -> Record:
    x = L.Input(shape=(5, 8))
    h = L.Dense(8)(x)
    h = L.LayerNormalization()(L.Add()([h, L.MultiHeadAttention(2, 4)(h)]))
    return record_batch(_compiled(Model(x, L.Dense(8)(h))), _drawn(2, 5, 8), title="attention")


def dropout() -> Record:
    """Tokens, which are whole numbers, and noise, which is drawn."""
    x = L.Input(shape=(4,), dtype="int32")
    h = L.Dropout(0.5)(L.Embedding(7, 3)(x))
    model = _compiled(Model(x, L.Dense(2)(L.Flatten()(h))))
    tokens = np.random.default_rng(1).integers(0, 7, (2, 4))
    return record_batch(model, tokens, _drawn(2, 2), title="tokens and dropout")


def empty() -> Record:
    """A batch of no samples."""
    forward, backward = Primitive(affine_forward), Primitive(affine_backward)

    def run() -> None:
        _, cache = forward(_drawn(0, 4), _drawn(4, 2), _drawn(2))
        backward(_drawn(0, 2), cache)

    return record(listen(run), title="empty", wanted=lambda file: file == __file__)


def gan() -> Record:
    """The discriminator's turn, then the generator's."""
    x, z = L.Input(shape=(4,)), L.Input(shape=(2,))
    D = Model(x, L.Dense(1)(L.Dense(5, activation="leaky_relu")(x)))
    G = Model(z, L.Dense(4)(L.Dense(3, activation="tanh")(z)))
    for model in (D, G):
        model.initialize(np.random.default_rng(0))

    def draw(n: int, rng: np.random.Generator) -> Any:
        return rng.standard_normal((n, 2)).astype(np.float32)

    of_d = DiscriminatorObjective(G, D, draw, "non_saturating", 0.0)
    of_g = GeneratorObjective(G, D, draw, "non_saturating")
    learners = [Learner(D, of_d, Adam(0.01)), Learner(G, of_g, Adam(0.01))]

    def run() -> None:
        for learner in learners:
            learner.step((_drawn(3, 4),), np.random.default_rng(0))

    return record(listen(run), title="a GAN: the discriminator's turn, then the generator's")


class AffineCache(NamedTuple):
    x: Any  # (N, D)
    W: Any  # (D, M)
    y: Any  # (N, M)


def affine_forward(x, W, b):
    z = x @ W + b  # (1)
    y = np.tanh(z)  # (2)
    return y, AffineCache(x, W, y)


def affine_backward(dy, cache: AffineCache):
    x, W, y = cache
    dz = dy * (1 - y)  # (2) was y = tanh(z): and here is the mistake
    dx = dz @ W.T  # (1) was z = x W + b
    dW = x.T @ dz  # (1)
    db = dz.sum(axis=0)  # (1)
    return dx, dW, db


def wrong_affine() -> Record:
    """A student's, with a mistake in one line."""
    forward, backward = Primitive(affine_forward), Primitive(affine_backward)
    x, W, b, dy = _drawn(3, 4), _drawn(4, 2, seed=2), _drawn(2, seed=3), _drawn(3, 2, seed=4)

    def run() -> None:
        _, cache = forward(x, W, b)
        backward(dy, cache)

    return record(listen(run), title="affine, by a student", wanted=lambda file: file == __file__)


ALL: dict[str, Any] = {
    "autoencoder": lambda: autoencoder(64, 16, 8),
    "tied": tied,
    "convolution": convolution,
    "batch_normalization": batch_normalization,
    "lstm": lstm,
    "attention": attention,
    "gan": gan,
    "wrong_affine": wrong_affine,
    "dropout": dropout,
    "empty": empty,
    "in_part": in_part,
}
