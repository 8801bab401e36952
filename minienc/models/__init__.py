"""Models: graphs of layers that can be trained, evaluated, taken apart, saved and loaded.

x = Input(shape=(64,))
code = Dense(16, activation="relu")(x)
autoencoder = Model(x, Dense(64, activation="sigmoid")(code))
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
autoencoder.fit(X, X, epochs=10)
encoder = Model(x, code)  # the trained encoder: the same layers, nothing copied
"""

from minienc.layers.symbolic import Input
from minienc.models.keras_weights import load_keras, to_keras
from minienc.models.model import Model, clone_model, load_model
from minienc.models.sequential import Sequential
from minienc.models.torch_weights import load_torch, to_torch

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "clone_model",
    "load_keras",
    "load_model",
    "load_torch",
    "to_keras",
    "to_torch",
]
