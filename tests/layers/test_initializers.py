"""What weights begin as: the variance of each formula, and that one seed gives one drawing."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.layers.initializers import INITIALIZERS, fans, get_initializer, orthogonal

VARIANCE = {
    "glorot": lambda i, o: 2 / (i + o),
    "he": lambda i, o: 2 / i,
    "lecun": lambda i, o: 1 / i,
}
DRAWN = [n for n in INITIALIZERS if n.split("_")[0] in VARIANCE]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 40, 60)])
def test_the_variance_is_the_papers(name, shape):
    w = INITIALIZERS[name](shape, np.random.default_rng(0), "float64")
    expected = VARIANCE[name.split("_")[0]](*fans(shape))
    assert w.shape == shape
    assert w.var() == pytest.approx(expected, rel=0.03)
    assert abs(w.mean()) < 4 * np.sqrt(expected / w.size)
    if name.endswith("uniform"):
        assert np.abs(w).max() <= np.sqrt(3 * expected)
    else:
        assert np.abs(w).max() <= 2 * np.sqrt(expected) / 0.8796


def test_fans_of_a_convolution_count_its_field():
    assert fans((5, 3)) == (5, 3)
    assert fans((3, 3, 4, 8)) == (36, 72)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4)])
def test_orthogonal_keeps_lengths(shape):
    w = orthogonal(shape, np.random.default_rng(0), "float64").reshape(-1, shape[-1])
    small = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-12)


@pytest.mark.parametrize("name", [n for n in INITIALIZERS])
def test_one_seed_one_drawing_in_either_dtype(name):
    one = INITIALIZERS[name]((7, 5), np.random.default_rng(3), "float64")
    two = INITIALIZERS[name]((7, 5), np.random.default_rng(3), "float32")
    assert two.dtype == np.float32
    np.testing.assert_array_equal(one.astype("float32"), two)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="initializer is 'glorot', expected one of glorot_normal"):
        get_initializer("glorot")
