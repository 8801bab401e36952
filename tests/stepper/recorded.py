"""Steps to make pages of: small models, each with something of its own to show."""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc import layers as L
from minienc.models import Model
from minienc.stepper.record import Record, record_batch
from minienc.training.optimizers import Adam


def _compiled(model: Model, loss: str = "mse", learning_rate: float = 0.01) -> Model:
    model.compile(optimizer=Adam(learning_rate), loss=loss)
    model.initialize(np.random.default_rng(0))
    return model


def _drawn(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def autoencoder(n_in: int, n_hidden: int, n: int, learning_rate: float = 0.01) -> Record:
    x = L.Input(shape=(n_in,))
    h = L.Dense(n_hidden, activation="relu")(x)
    y = L.Dense(n_in, activation="sigmoid")(h)
    model = _compiled(Model(x, y), "binary_crossentropy", learning_rate)
    return record_batch(model, _drawn(n, n_in), title=f"autoencoder {n_in}-{n_hidden}-{n_in}")


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


ALL: dict[str, Any] = {
    "autoencoder": lambda: autoencoder(64, 16, 8),
    "tied": tied,
    "convolution": convolution,
    "batch_normalization": batch_normalization,
    "lstm": lstm,
    "attention": attention,
}
