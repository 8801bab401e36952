"""Every layer in a model that learns something, for whatever is to be tried with all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minienc import layers as L
from minienc.layers import Conv2D, Dense, DenseTranspose, Input
from minienc.models import Model


def _one(x: Any, layer: Any) -> Any:
    return layer(x)


def _tied(x: Any, layer: Any) -> Any:
    dense = Dense(6, seed=4)
    return DenseTranspose(dense, "tanh")(dense(x))


def _two(x: Any, layer: Any) -> Any:
    return layer([x, Dense(6, "tanh", seed=3)(x)])


LAYERS: dict[str, tuple[Callable, Callable]] = {  # what makes it, and how it is called
    "Activation": (lambda: L.Activation("gelu"), _one),
    "Add": (L.Add, _two),
    "AveragePooling2D": (lambda: L.AveragePooling2D(2), _one),
    "BatchNormalization": (L.BatchNormalization, _one),
    "Centroids": (lambda: L.Centroids(4, seed=1), _one),
    "Concatenate": (L.Concatenate, _two),
    "Conv2D": (lambda: Conv2D(3, 3, strides=2, padding="same", seed=1), _one),
    "Conv2DTranspose": (lambda: L.Conv2DTranspose(3, 3, strides=2, seed=1), _one),
    "Dense": (lambda: Dense(3, "elu", seed=1, kernel_regularizer="l2"), _one),
    "DenseTranspose": (lambda: None, _tied),
    "Dropout": (lambda: L.Dropout(0.4), _one),
    "Flatten": (L.Flatten, _one),
    "GaussianNoise": (lambda: L.GaussianNoise(0.3), _one),
    "GlobalAveragePooling2D": (L.GlobalAveragePooling2D, _one),
    "KSparse": (lambda: L.KSparse(3), _one),
    "LayerNormalization": (L.LayerNormalization, _one),
    "MaskingNoise": (lambda: L.MaskingNoise(0.4), _one),
    "MaxPool2D": (lambda: L.MaxPool2D(2), _one),
    "Patches": (lambda: L.Patches(2), _one),
    "Reshape": (lambda: L.Reshape((3, 2)), _one),
    "SaltAndPepperNoise": (lambda: L.SaltAndPepperNoise(0.4), _one),
    "SpectralNormalization": (lambda: L.SpectralNormalization(Dense(3, seed=1)), _one),
    "VectorQuantizer": (lambda: L.VectorQuantizer(5, 2, seed=1), _one),
    "UpSampling2D": (lambda: L.UpSampling2D(2), _one),
}
FOR_IMAGES = {name for name in LAYERS if "2D" in name} | {"Patches"}
ROWS, IMAGES = (6,), (4, 6, 2)  # the shapes of a sample


def shape_for(name: str) -> tuple[int, ...]:
    return IMAGES if name in FOR_IMAGES else ROWS


def model_with(name: str, dtype: str = "float64") -> Model:
    """The layer between two layers with weights, so that both gradients are needed."""
    x = Input(shape_for(name), dtype=dtype)
    before = Conv2D(2, 1, seed=5) if name in FOR_IMAGES else Dense(6, seed=5)
    make, call = LAYERS[name]
    return Model(x, Dense(2, "tanh", seed=6)(L.Flatten()(call(before(x), make()))))
