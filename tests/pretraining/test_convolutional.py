"""The convolutional autoencoder, and the shapes of images."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.pretraining import METHODS, PCA
from minienc.pretraining.networks import as_image_shape

Convolutional = METHODS["convolutional"]


def test_it_restores_digits_better_than_principal_components():
    digits = load_digits()
    method = Convolutional(
        filters=(16, 32), code=10, epochs=30, batch_size=32, learning_rate=2e-3, random_state=0
    )
    error = method.fit(digits.x).reconstruction_error(digits.test_x)
    assert error < 0.9 * PCA(10).fit(digits.x).reconstruction_error(digits.test_x)


def test_weights_are_shared_over_places():
    method = Convolutional(filters=(4,), code=3, epochs=1, random_state=0)
    X = np.random.default_rng(0).random((20, 64))
    method.fit(X)
    image = np.zeros((1, 8, 8), "float32")
    image[0, 2, 2] = 1
    shifted = np.roll(image, (2, 2), (1, 2))
    first = method.encoder_.layers[1]
    one = first(method.encoder_.layers[0](image.reshape(1, 64)))
    two = first(method.encoder_.layers[0](shifted.reshape(1, 64)))
    np.testing.assert_allclose(np.roll(one, (1, 1), (1, 2))[:, 1:, 1:], two[:, 1:, 1:], rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "n", "expected"),
    [(None, 64, (8, 8, 1)), ((4, 2), 8, (4, 2, 1)), ([4, 4, 3], 48, (4, 4, 3))],
)
def test_the_shape_of_an_image(shape, n, expected):
    assert as_image_shape(shape, n) == expected


@pytest.mark.parametrize(("shape", "n"), [(None, 8), ((3, 3), 8), ((8,), 8), ((2, 2, 1, 2), 8)])
def test_a_shape_that_does_not_fit_is_refused(shape, n):
    with pytest.raises(ValueError, match=f"samples of {n} numbers"):
        as_image_shape(shape, n)


def test_images_that_cannot_be_halved_are_refused_before_training():
    with pytest.raises(ValueError, match="3 convolutions halve an image 3 times, and 28 x 28"):
        Convolutional(filters=(4, 4, 4), image_shape=(28, 28)).check_params((784,))
    with pytest.raises(ValueError, match=r"filters\[0\] is 0"):
        Convolutional(filters=(0,)).check_params((64,))
