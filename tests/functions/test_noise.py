"""Noise: its statistics, its seed, and that backward sees what forward drew."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import (
    dropout_backward,
    dropout_forward,
    gaussian_noise_forward,
    masking_noise_backward,
    masking_noise_forward,
    salt_and_pepper_noise_backward,
    salt_and_pepper_noise_forward,
)
from minienc.primitive import REGISTRY

NOISES = ["dropout", "masking_noise", "salt_and_pepper_noise", "gaussian_noise"]
N = 40_000  # a frequency of 0.3 has a standard deviation of 0.0023; 5 of them are 0.012


def generator():
    return np.random.default_rng(1)


def test_dropout_zeroes_at_its_rate_and_keeps_the_mean():
    x = np.full(N, 2.0)
    y, cache = dropout_forward(x, 0.3, rng=generator())
    assert set(np.unique(y)) == {0.0, 2 / 0.7}
    assert abs((y == 0).mean() - 0.3) < 0.012
    np.testing.assert_array_equal(dropout_backward(x, cache), y)  # the same mask, both ways


def test_masking_noise_zeroes_at_its_rate_and_scales_nothing():
    x = np.full(N, 2.0)
    y, cache = masking_noise_forward(x, 0.3, rng=generator())
    assert set(np.unique(y)) == {0.0, 2.0}
    assert abs((y == 0).mean() - 0.3) < 0.012
    np.testing.assert_array_equal(masking_noise_backward(x, cache), y)


def test_salt_and_pepper_come_in_equal_parts():
    x = np.full(N, 0.5)
    y, cache = salt_and_pepper_noise_forward(x, 0.3, rng=generator())
    assert set(np.unique(y)) == {0.0, 0.5, 1.0}
    assert abs((y == 0).mean() - 0.15) < 0.01
    assert abs((y == 1).mean() - 0.15) < 0.01
    dx = salt_and_pepper_noise_backward(np.ones(N), cache)
    np.testing.assert_array_equal(dx, y == 0.5)


def test_gaussian_noise_has_its_deviation():
    y, _ = gaussian_noise_forward(np.full(N, 3.0), 0.2, rng=generator())
    assert abs(y.mean() - 3) < 0.005
    assert abs(y.std() - 0.2) < 0.005


@pytest.mark.parametrize("name", NOISES)
def test_the_seed_decides_for_both_dtypes(name):
    forward = REGISTRY[f"{name}_forward"]
    x = np.random.default_rng(0).random((20, 5))
    one, _ = forward(x, 0.5, rng=generator())
    two, _ = forward(x, 0.5, rng=generator())
    other, _ = forward(x, 0.5, rng=np.random.default_rng(2))
    single, _ = forward(x.astype("float32"), 0.5, rng=generator())
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    np.testing.assert_allclose(single, one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NOISES)
def test_without_a_generator_there_is_no_noise(name):
    forward = REGISTRY[f"{name}_forward"]
    x = np.random.default_rng(0).random((3, 4))
    y, cache = forward(x, 0.5)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(forward.backward(x, cache), x)


@pytest.mark.parametrize("name", NOISES)
def test_a_strength_of_zero_changes_nothing(name):
    x = np.random.default_rng(0).random((3, 4))
    y, _ = REGISTRY[f"{name}_forward"](x, 0, rng=generator())
    np.testing.assert_array_equal(y, x)


def test_all_may_be_masked_but_not_dropped():
    x = np.full(50, 0.5)
    np.testing.assert_array_equal(masking_noise_forward(x, 1, rng=generator())[0], np.zeros(50))
    y, _ = salt_and_pepper_noise_forward(x, 1, rng=generator())
    assert set(np.unique(y)) == {0.0, 1.0}
    with pytest.raises(ValueError, match=r"rate is 1, expected a probability in \[0, 1\)"):
        dropout_forward(x, 1)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("wrong", [-0.1, float("nan")])
def test_a_strength_out_of_range_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name}_forward: (rate|stddev) is {wrong}, expected"):
        REGISTRY[f"{name}_forward"](np.ones(2), wrong)


@pytest.mark.parametrize("name", NOISES)
def test_what_is_no_generator_is_refused(name):
    with pytest.raises(
        TypeError, match=r"rng is a int, expected a numpy.random.Generator; make one"
    ):
        REGISTRY[f"{name}_forward"](np.ones(2), 0.5, rng=5)


@pytest.mark.parametrize("name", NOISES)
def test_a_strength_from_numpy_does_not_upcast(name):
    y, _ = REGISTRY[f"{name}_forward"](np.ones(2, "float32"), np.float64(0.5), rng=generator())
    assert y.dtype == "float32"


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("rng", [None, 1])
def test_a_foreign_dy_is_refused(name, rng):
    forward = REGISTRY[f"{name}_forward"]
    _, cache = forward(np.ones((2, 3)), 0.5, rng=None if rng is None else generator())
    with pytest.raises(ValueError, match=r"dy is \(3,\), expected \(2, 3\)"):
        forward.backward(np.ones(3), cache)
