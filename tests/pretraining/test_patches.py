"""Patch features: whitening, what is learned from, and codes computed the slow way."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.finetuning import linear_probe
from minienc.models import load_model
from minienc.pretraining import METHODS
from minienc.pretraining.patches import CONTRAST, whitening

Patches = METHODS["patches"]
RNG = np.random.default_rng(0)


def test_whitened_numbers_have_nothing_in_common_and_change_least():
    x = RNG.standard_normal((4000, 5)) @ RNG.standard_normal((5, 5)) + 3
    W, b = whitening(x, 0.0)
    y = x @ W + b
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(5), atol=1e-8)
    np.testing.assert_allclose(W, W.T, atol=1e-10)
    turned = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    centred = x - x.mean(axis=0)
    assert ((y - centred) ** 2).sum() < ((y @ turned - centred) ** 2).sum()


@pytest.fixture(scope="module")
def fitted():
    digits = load_digits()
    method = Patches(n_centroids=32, patch_size=3, epochs=10, dtype="float64", random_state=0)
    return method.fit(digits.x), digits


def test_the_code_is_what_the_paper_says_patch_by_patch(fitted):
    method, digits = fitted
    x = np.asarray(digits.test_x)[:3].astype(float)
    W, b = method._whiten.W.value, method._whiten.b.value
    codes = np.zeros((3, 6, 6, 32))
    for n in range(3):
        for i in range(6):
            for j in range(6):
                p = x[n, i : i + 3, j : j + 3].ravel()
                p = (p - p.mean()) / np.sqrt(p.var() + CONTRAST)
                distance = np.linalg.norm((p @ W + b) - method.kmeans_.centroids_, axis=1)
                codes[n, i, j] = np.maximum(0, distance.mean() - distance)
    pooled = [
        codes[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].mean(axis=(1, 2))
        for i in range(2)
        for j in range(2)
    ]
    np.testing.assert_allclose(method.transform(x), np.concatenate(pooled, axis=1), rtol=1e-6)


def test_features_tell_digits_better_than_pixels(fitted):
    method, digits = fitted
    X, X_test = digits.x[:200], digits.test_x
    ours = linear_probe(method, X, digits.y[:200], X_test, digits.test_y)
    pixels = linear_probe(None, X, digits.y[:200], X_test, digits.test_y)
    assert ours > pixels + 0.02


def test_the_encoder_is_saved_with_all_that_it_needs(fitted, tmp_path):
    method, digits = fitted
    method.encoder_.save(tmp_path / "encoder.npz")
    x = np.asarray(digits.test_x).reshape(-1, 64)[:20]
    again = load_model(tmp_path / "encoder.npz")
    np.testing.assert_array_equal(again.predict(x), method.transform(x))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_centroids": 0}, "n_centroids is 0"),
        ({"patch_size": 9}, "patch_size is 9, larger than an image of 8 x 8"),
        ({"whitening": 0.0}, r"whitening is 0\.0, expected above 0"),
        ({"image_shape": (3, 3)}, "samples of 64 numbers with image_shape"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        Patches(**params).check_params((64,))
