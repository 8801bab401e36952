"""Means and variances of many rows, in float32, beside float64."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import batch_normalization_forward
from minienc.functions.means import BLOCK, mean_of_rows


@pytest.mark.parametrize("n", [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_mean(n, dtype):
    x = np.random.default_rng(n).random((n, 5)).astype(dtype)
    mean = mean_of_rows(x)
    assert mean.dtype == dtype and mean.shape == (5,)
    if n:
        np.testing.assert_allclose(mean, x.mean(axis=0, dtype=float), rtol=1e-6)


def test_a_column_of_years_keeps_its_mean_and_variance():
    years = np.random.default_rng(0).normal(2010, 8, (500_000, 2)).astype("float32")
    _, cache = batch_normalization_forward(years)
    np.testing.assert_allclose(cache.mean, years.mean(axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(cache.variance, years.var(axis=0, dtype=float), rtol=1e-4)


def test_axes_of_images_are_rows():
    x = np.random.default_rng(1).random((3, 4, 5, 2))
    np.testing.assert_allclose(mean_of_rows(x), x.mean(axis=(0, 1, 2)), rtol=1e-12)
