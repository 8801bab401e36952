"""For every layer of ``minienc.layers``: how it is put behind a tensor.

This is the one table that every sweep draws from: the gradient checker's, the laws', saving, the
devices. A layer without a case fails the suite; its case begins with its name, and a word behind it
tells several apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minienc import layers as L
from minienc.layers import Conv2D, Dense, Input, Layer
from minienc.models import Model

ROWS, IMAGES, SEQUENCES = (6,), (4, 6, 2), (5, 3)  # the shapes of a sample


def _tied(x: Any) -> Any:
    dense = Dense(5, seed=4)
    return L.DenseTranspose(dense, "tanh", seed=2)(dense(x))


def _two(layer: Layer) -> Callable[[Any], Any]:
    return lambda x: layer([x, Dense(6, "tanh", seed=3)(x)])


def _of_a_context(x: Any) -> Any:
    context = L.GRU(4, return_sequences=True, seed=2)(x)
    return L.MultiHeadAttention(3, 2, 1, 4, use_bias=False, seed=1)([x, context])


def _and_a_context(x: Any) -> list[Any]:
    return [x, L.GRU(3, return_sequences=True, seed=2)(x)]


def _attention_and_its_weights(x: Any) -> Any:
    y, p = L.Attention(scaled=True, return_attention_scores=True)(_and_a_context(x))
    return L.Concatenate()([y, p])


# Each is called anew for each model, with a tensor of samples of this shape.
OF_ROWS: dict[str, Callable[[Any], Any]] = {
    "Activation": lambda x: L.Activation("gelu")(x),
    "Add": lambda x: _two(L.Add())(x),
    "BatchNormalization": lambda x: L.BatchNormalization(gamma_regularizer="l2")(x),
    "Centroids triangle": lambda x: L.Centroids(4, seed=1)(x),
    "Centroids student_t": lambda x: L.Centroids(5, "student_t", seed=1)(x),
    "Concatenate": lambda x: _two(L.Concatenate())(x),
    "Dense elu": lambda x: Dense(3, "elu", seed=1, kernel_regularizer="l2")(x),
    "Dense gelu": lambda x: Dense(4, "gelu", use_bias=False, seed=1)(x),
    "Dense softmax": lambda x: Dense(3, "softmax", seed=1, activity_regularizer="l1")(x),
    "DenseTranspose": _tied,
    "Dropout": lambda x: L.Dropout(0.4)(x),
    "Flatten": lambda x: L.Flatten()(L.Reshape((3, 2))(x)),
    "GaussianNoise": lambda x: L.GaussianNoise(0.3)(x),
    "KSparse": lambda x: L.KSparse(3)(x),
    "LayerNormalization": lambda x: L.LayerNormalization()(x),
    "LayerNormalization unscaled": lambda x: L.LayerNormalization(scale=False)(x),
    "RMSNormalization": lambda x: L.RMSNormalization()(x),
    "MaskingNoise": lambda x: L.MaskingNoise(0.4)(x),
    "Reshape": lambda x: L.Reshape((3, 2))(x),
    "SaltAndPepperNoise": lambda x: L.SaltAndPepperNoise(0.4)(x),
    "SpectralNormalization": lambda x: L.SpectralNormalization(Dense(4, "tanh", seed=1), seed=2)(x),
    "UncertaintyWeighting": lambda x: L.UncertaintyWeighting()(x),
    "VectorQuantizer": lambda x: L.VectorQuantizer(5, 2, seed=1)(x),
}
OF_IMAGES: dict[str, Callable[[Any], Any]] = {
    "AveragePooling2D": lambda x: L.AveragePooling2D(3, 2, "same")(x),
    "Conv2D": lambda x: Conv2D(3, 2, 2, "same", "tanh", seed=1)(x),
    "Conv2D valid": lambda x: Conv2D(3, 3, use_bias=False, seed=1)(x),
    "Conv2DTranspose": lambda x: L.Conv2DTranspose(3, 3, 2, "same", "sigmoid", seed=1)(x),
    "GlobalAveragePooling2D": lambda x: L.GlobalAveragePooling2D()(x),
    "MaxPool2D": lambda x: L.MaxPool2D(2, 1, "same")(x),
    "Patches": lambda x: L.Patches(2, 1, "same")(x),
    "UpSampling2D": lambda x: L.UpSampling2D((2, 3))(x),
}
OF_SEQUENCES: dict[str, Callable[[Any], Any]] = {
    "Attention": lambda x: L.Attention()(_and_a_context(x)),
    "Concatenate of attention and its weights": _attention_and_its_weights,
    "Conv1D": lambda x: L.Conv1D(4, 2, padding="causal", activation="tanh", seed=1)(x),
    "Conv1D dilated": lambda x: L.Conv1D(4, 2, dilation_rate=2, use_bias=False, seed=1)(x),
    "GlobalAveragePooling1D": lambda x: L.GlobalAveragePooling1D()(x),
    "GlobalMaxPooling1D": lambda x: L.GlobalMaxPooling1D()(x),
    "GRU": lambda x: L.GRU(4, seed=1)(x),
    "GRU all": lambda x: L.GRU(4, return_sequences=True, use_bias=False, seed=1)(x),
    "LSTM": lambda x: L.LSTM(4, seed=1, kernel_regularizer="l2")(x),
    "LSTM all": lambda x: L.LSTM(4, return_sequences=True, seed=1)(x),
    "CenterSteps": lambda x: L.CenterSteps()(x),
    "MaskSteps": lambda x: L.MaskSteps()(x),
    "MultiHeadAttention": lambda x: L.MultiHeadAttention(2, 4, causal=True, rotary=True, seed=1)(x),
    "MultiHeadAttention of a context": lambda x: L.MultiHeadAttention(
        3, 2, 1, 4, use_bias=False, seed=1
    )([x, L.GRU(4, return_sequences=True, seed=2)(x)]),
    "PositionEmbedding": lambda x: L.PositionEmbedding(seed=1)(x),
    "RandomEqualizer": lambda x: L.RandomEqualizer(0.5)(x),
    "RandomStretch": lambda x: L.RandomStretch(0.3, 0.2)(x),
    "Reverse": lambda x: L.Reverse()(x),
    "SimpleRNN": lambda x: L.SimpleRNN(4, "softplus", seed=1)(x),
    "SimpleRNN state": lambda x: L.SimpleRNN(4, seed=1)(x, L.GRU(4, seed=2)(x)),
    "SinusoidalPositions": lambda x: L.SinusoidalPositions()(x),
    "SpecAugment": lambda x: L.SpecAugment(1, 2.0, 1, 1.5)(x),
    "TimeDistributed": lambda x: L.TimeDistributed(Dense(4, "tanh", seed=1))(x),
    "TimeDistributed of state": lambda x: L.TimeDistributed(L.BatchNormalization())(x),
    "TimeDistributed of noise": lambda x: L.TimeDistributed(L.Dropout(0.4))(x),
}
OF_INTEGERS = {"Embedding", "Lengths"}  # which have no gradient: tests/layers/test_sequences.py
LAYERS = OF_ROWS | OF_IMAGES | OF_SEQUENCES
# ``VectorQuantizer`` says that its gradient is not the true one: tests/layers/test_quantization.py
STRAIGHT_THROUGH = {"VectorQuantizer"}


def shape_for(name: str) -> tuple[int, ...]:
    return IMAGES if name in OF_IMAGES else SEQUENCES if name in OF_SEQUENCES else ROWS


def layer_of(name: str, dtype: str = "float64") -> tuple[Layer, list[tuple[int, ...]]]:
    """The layer by itself, built, and the shapes of the samples that it takes."""
    y = LAYERS[name](Input(shape_for(name), dtype))
    return y.node.layer, [tensor.sample_shape for tensor in y.node.inputs]


def model_with(name: str, dtype: str = "float64") -> Model:
    """The layer between two layers with weights, so that both gradients are needed."""
    x = Input(shape_for(name), dtype)
    before = Conv2D(2, 1, seed=5) if name in OF_IMAGES else Dense(shape_for(name)[-1], seed=5)
    y = LAYERS[name](before(x))
    return Model(x, Dense(2, "tanh", seed=6)(L.Flatten()(y)))
