"""Convolutional layers: sizes, counts, training, and what a student is told who mixes them up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data import load_digits
from minienc.layers import (
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Input,
    MaxPool2D,
    Reshape,
    UpSampling2D,
)
from minienc.models import Model, Sequential

RNG = np.random.default_rng(0)


@given(
    image=st.tuples(st.integers(3, 7), st.integers(3, 7), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["valid", "same"]),
    cls=st.sampled_from([Conv2D, Conv2DTranspose]),
    bias=st.booleans(),
)
def test_the_size_that_is_promised_is_the_size_that_comes(
    image, kernel, strides, padding, cls, bias
):
    layer = cls(2, kernel, strides, padding, use_bias=bias)
    symbol = layer(Input(image))
    y = layer(np.zeros((3, *image), "float32"))
    assert y.shape[1:] == symbol.sample_shape
    pixels = np.prod(y.shape[1:3] if cls is Conv2D else image[:2])  # where the kernel is used
    multiplications = pixels * np.prod(kernel) * image[2] * 2
    assert layer.flops(image) == 2 * multiplications + (np.prod(y.shape[1:]) if bias else 0)


@pytest.mark.parametrize(
    ("layer", "image", "expected"),
    [
        (Conv2D(8, 3), (28, 28, 1), (26, 26, 8)),
        (Conv2D(8, 3, 2), (28, 28, 1), (13, 13, 8)),
        (Conv2D(8, 3, 2, "same"), (28, 28, 1), (14, 14, 8)),
        (Conv2D(8, 5, 2, "same"), (7, 9, 1), (4, 5, 8)),
        (Conv2DTranspose(8, 3), (7, 7, 1), (9, 9, 8)),
        (Conv2DTranspose(8, 3, 2), (7, 7, 1), (15, 15, 8)),
        (Conv2DTranspose(8, 3, 2, "same"), (7, 7, 1), (14, 14, 8)),
        (Conv2DTranspose(8, 2, 3), (7, 7, 1), (21, 21, 8)),
    ],
)
def test_sizes_are_those_of_keras(layer, image, expected):
    assert layer(Input(image)).sample_shape == expected


def test_the_odd_pixel_is_below_and_to_the_right():
    """Strides of 2 over 4 pixels with a kernel of 3: one pixel is missing, and TensorFlow adds it
    at the end, so the first window begins at the first pixel."""
    layer = Conv2D(1, 3, 2, "same", kernel_initializer="ones")
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    assert layer(x)[0, :, :, 0].tolist() == [[45, 39], [66, 50]]


def test_kernels_have_the_axes_of_keras():
    one, two = Conv2D(8, (3, 2), seed=0), Conv2DTranspose(8, (3, 2), seed=0)
    one(Input((6, 6, 4)))
    two(Input((6, 6, 4)))
    assert one.W.shape == (3, 2, 4, 8) and one.b.shape == (8,)
    assert two.W.shape == (3, 2, 8, 4) and two.b.shape == (8,)
    bound = np.sqrt(6 / (3 * 2 * (4 + 8)))  # Glorot's, with the fans of a kernel
    assert 0.9 * bound < np.abs(one.W.value).max() <= bound


def test_summary_counts_what_keras_counts():
    model = Sequential([Input((28, 28, 1)), Conv2D(32, 3, activation="relu"), MaxPool2D()])
    lines: list[str] = []
    model.summary(lines.append)
    assert any(line.startswith("conv2d_1 ") for line in lines)
    assert any(
        "Conv2D relu" in line and "(N, 26, 26, 32)" in line and "320" in line for line in lines
    )
    assert any("MaxPool2D" in line and "(N, 13, 13, 32)" in line for line in lines)


def test_a_convolutional_autoencoder_learns_digits():
    x = load_digits().x[:512].reshape(-1, 8, 8, 1)
    model = Sequential(
        [
            Input((8, 8, 1)),
            Conv2D(8, 3, 2, "same", "relu", seed=0),
            Conv2D(8, 3, 2, "same", "relu", seed=1),
            Conv2DTranspose(8, 3, 2, "same", "relu", seed=2),
            UpSampling2D(),
            Conv2D(1, 3, padding="same", activation="sigmoid", seed=3),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    history = model.fit(x, x, epochs=8, batch_size=32, verbose=0, seed=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    assert model.predict(x[:2]).shape == (2, 8, 8, 1)


def test_the_logits_of_a_convolution_are_left_to_the_loss():
    """As of a dense layer: a saturated sigmoid has its exact gradient, and the loss no epsilon."""
    x = np.full((1, 2, 2, 1), 50.0)
    model = Sequential(
        [
            Input((2, 2, 1), dtype="float64"),
            Conv2D(1, 1, activation="sigmoid", kernel_initializer="ones"),
        ]
    )
    model.compile("sgd", "binary_crossentropy")
    np.testing.assert_allclose(model.evaluate(x, np.zeros_like(x)), 50.0)


def test_frozen_and_passed_through():
    layer = Conv2D(2, 3, seed=0)
    x = RNG.standard_normal((2, 5, 5, 1))
    y = layer(x)
    _, cache = layer.forward(x)
    grads = layer.new_gradients()
    dx = layer.backward(y, cache, grads)
    np.testing.assert_array_equal(layer.backward(y, cache, None), dx)
    assert layer.backward(y, cache, grads, need_dx=False) is None


def test_refusals():
    with pytest.raises(ValueError) as caught:
        Conv2D(8, 3)(Input((784,)))
    assert str(caught.value) == (
        "conv2d: samples are of shape (784,), expected images (H, W, C); put a "
        "Reshape((28, 28, 1)) before it, if they are square grey images"
    )
    with pytest.raises(ValueError, match=r"grey images have one channel: put a Reshape\(\(8, 8, 1"):
        Conv2D(8, 3)(Input((8, 8)))
    with pytest.raises(ValueError, match=r"expected images \(H, W, C\); put a Reshape"):
        MaxPool2D()(Input((3, 5, 5, 5)))
    with pytest.raises(ValueError, match=r"conv2d: kernel_size is \(3, 3\), .* only \(2, 2\)"):
        Conv2D(8, 3)(Input((2, 2, 1)))
    with pytest.raises(ValueError, match="Conv2D: filters is 0, expected a positive integer"):
        Conv2D(0, 3)
    with pytest.raises(ValueError, match=r"Conv2D: kernel_size is \(3, 3, 3\), expected a"):
        Conv2D(8, (3, 3, 3))
    with pytest.raises(ValueError, match="Conv2DTranspose: padding is 'full', expected 'valid'"):
        Conv2DTranspose(8, 3, padding="full")
    with pytest.raises(ValueError, match="activation is 'rely'"):
        Conv2D(8, 3, activation="rely")
    layer = Conv2D(8, 3, name="edges")
    layer(Input((8, 8, 3)))
    with pytest.raises(ValueError) as caught:
        layer(Input((3, 8, 8)))
    assert str(caught.value) == (
        "edges: its kernel is for images of 3 channels, and it was given samples of shape "
        "(3, 8, 8) with 8; channels come last, (H, W, C)"
    )
    with pytest.raises(ValueError, match="has no weights yet: apply it to an Input"):
        Conv2D(8, 3).forward(np.zeros((1, 4, 4, 1)))


def test_an_encoder_for_every_layer_behind_it():
    """Convolution, pooling, a dense head: the classic order, checked as one model."""
    from minienc.verify import gradcheck

    x = Input((6, 6, 1), dtype="float64")
    h = MaxPool2D()(Conv2D(3, 3, padding="same", activation="tanh", seed=0)(x))
    y = Dense(4, "softmax", seed=1)(Flatten()(h))
    model = Model(x, y)
    model.compile("sgd", "sparse_categorical_crossentropy")
    report = gradcheck(model, RNG.standard_normal((3, 6, 6, 1)), np.array([0, 3, 1]))
    assert report, report
    restored = Model(x, Reshape((6, 6, 1))(Dense(36, seed=2)(y)))
    assert gradcheck(restored, RNG.standard_normal((2, 6, 6, 1)))
