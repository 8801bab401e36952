"""Every layer and every loss of the project."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import layers as all_layers
from minienc.layers import Dense, DenseTranspose, Input
from minienc.layers.base import Layer
from minienc.training.losses import LOSSES, get_loss
from minienc.verify import gradcheck

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 3))
IMAGES = np.random.default_rng(7).standard_normal((3, 4, 5, 2))


def _dense_transpose():
    first = Dense(4, seed=0)
    first(Input((5,), dtype="float64"))
    return DenseTranspose(first, "tanh"), (RNG.standard_normal((6, 4)),)


def _two(*shape):
    return (RNG.standard_normal(shape), RNG.standard_normal(shape))


LAYERS = {
    "Dense": lambda: (Dense(4, "gelu", seed=0), (X,)),
    "DenseTranspose": _dense_transpose,
    "Activation": lambda: (all_layers.Activation("tanh"), (X,)),
    "Add": lambda: (all_layers.Add(), _two(4, 3)),
    "Concatenate": lambda: (all_layers.Concatenate(), _two(4, 3)),
    "Dropout": lambda: (all_layers.Dropout(0.3), (X,)),
    "GaussianNoise": lambda: (all_layers.GaussianNoise(0.3), (X,)),
    "MaskingNoise": lambda: (all_layers.MaskingNoise(0.3), (X,)),
    "SaltAndPepperNoise": lambda: (all_layers.SaltAndPepperNoise(0.3), (X,)),
    "Flatten": lambda: (all_layers.Flatten(), (RNG.standard_normal((4, 3, 2)),)),
    "Reshape": lambda: (all_layers.Reshape((3, 2)), (RNG.standard_normal((4, 6)),)),
    "Conv2D": lambda: (all_layers.Conv2D(3, 2, 2, "same", "tanh", seed=0), (IMAGES,)),
    "Conv2DTranspose": lambda: (
        all_layers.Conv2DTranspose(3, 3, 2, "same", "sigmoid", seed=0),
        (IMAGES,),
    ),
    "MaxPool2D": lambda: (all_layers.MaxPool2D(2, 1, "same"), (IMAGES,)),
    "AveragePooling2D": lambda: (all_layers.AveragePooling2D(3, 2, "same"), (IMAGES,)),
    "GlobalAveragePooling2D": lambda: (all_layers.GlobalAveragePooling2D(), (IMAGES,)),
    "UpSampling2D": lambda: (all_layers.UpSampling2D((2, 3)), (IMAGES,)),
    "BatchNormalization": lambda: (all_layers.BatchNormalization(), (X,)),
    "LayerNormalization": lambda: (all_layers.LayerNormalization(), (X,)),
    "Centroids": lambda: (all_layers.Centroids(5, "student_t", seed=0), (X,)),
    "Patches": lambda: (all_layers.Patches(2, 1, "same"), (IMAGES,)),
    "KSparse": lambda: (all_layers.KSparse(2), (X,)),
    "SpectralNormalization": lambda: (
        all_layers.SpectralNormalization(Dense(4, "tanh", seed=0), seed=1),
        (X,),
    ),
}
# ``VectorQuantizer`` says that its gradient is not the true one: tests/layers/test_quantization.py
ABSTRACT = {"Layer", "InputLayer", "VectorQuantizer"}


def layer_classes():
    found = {
        name: cls
        for name, cls in vars(all_layers).items()
        if isinstance(cls, type) and issubclass(cls, Layer) and name not in ABSTRACT
    }
    return sorted(found)


def test_every_layer_has_a_case():
    assert set(layer_classes()) == set(LAYERS)


@pytest.mark.parametrize("name", layer_classes())
def test_every_layer(name):
    layer, args = LAYERS[name]()
    report = gradcheck(layer, *args)
    assert report, report
    assert report.mutants_caught == report.mutants > 0


def _targets(name, y):
    if name == "sparse_categorical_crossentropy":
        return RNG.integers(0, y.shape[1], len(y))
    t = RNG.uniform(0.1, 0.9, y.shape)
    return t / t.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss(name):
    loss = get_loss(name)
    y = RNG.uniform(0.1, 0.9, (5, 4))
    report = gradcheck(loss, y, _targets(loss.name, y))
    assert report, report
