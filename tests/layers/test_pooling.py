"""Pooling layers: sizes, defaults, and that they carry no weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.layers import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    Input,
    MaxPool2D,
    UpSampling2D,
)
from minienc.models import Sequential

RNG = np.random.default_rng(0)


@given(
    image=st.tuples(st.integers(3, 7), st.integers(3, 7), st.integers(1, 3)),
    pool=st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))),
    strides=st.one_of(st.none(), st.integers(1, 3)),
    padding=st.sampled_from(["valid", "same"]),
    cls=st.sampled_from([MaxPool2D, AveragePooling2D]),
)
def test_the_size_that_is_promised_is_the_size_that_comes(image, pool, strides, padding, cls):
    layer = cls(pool, strides, padding)
    x = RNG.standard_normal((2, *image)).astype("float32")
    assert layer(x).shape[1:] == layer(Input(image)).sample_shape
    for other in (GlobalAveragePooling2D(), UpSampling2D(pool)):
        assert other(x).shape[1:] == other(Input(image)).sample_shape


def test_windows_stand_side_by_side_unless_said_otherwise():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    assert MaxPool2D()(x)[0, :, :, 0].tolist() == [[5, 7], [13, 15]]
    assert AveragePooling2D(2)(x)[0, :, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert MaxPool2D(2, 1)(x).shape == (1, 3, 3, 1)
    assert MaxPool2D(3)(x).shape == (1, 1, 1, 1)
    assert MaxPool2D(3, padding="same")(x)[0, :, :, 0].tolist() == [[5, 7], [13, 15]]
    assert GlobalAveragePooling2D()(x).tolist() == [[7.5]]
    assert UpSampling2D((1, 2))(x[:, :1, :2])[0, :, :, 0].tolist() == [[0, 0, 1, 1]]


def test_they_have_no_weights_and_pass_gradients_on():
    model = Sequential([Input((4, 4, 2), "float64"), MaxPool2D(), UpSampling2D()])
    model.add(AveragePooling2D(2, 1))
    model.add(GlobalAveragePooling2D())
    assert not model.parameters_used()
    x = RNG.standard_normal((3, 4, 4, 2))
    y, cache = model.forward(x)
    assert model.backward(np.ones_like(y), cache, None).shape == x.shape


def test_refusals():
    for layer in (MaxPool2D(), AveragePooling2D(), GlobalAveragePooling2D(), UpSampling2D()):
        with pytest.raises(ValueError, match=r"samples are of shape \(64,\), expected images"):
            layer(Input((64,)))
    with pytest.raises(ValueError, match="AveragePooling2D: strides is 0, expected a positive"):
        AveragePooling2D(2, 0)
    with pytest.raises(ValueError, match="MaxPool2D: padding is None, expected 'valid' or 'same'"):
        MaxPool2D(padding=None)
    with pytest.raises(ValueError, match="UpSampling2D: size is -1, expected a positive integer"):
        UpSampling2D(-1)
    with pytest.raises(
        ValueError, match=r"pool_size is \(5, 5\), and the images are only \(4, 4\)"
    ):
        MaxPool2D(5)(Input((4, 4, 1)))
