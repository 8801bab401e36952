"""Distances that cancellation cannot reach: beside a slow loop in float64."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import (
    nearest_code_forward,
    squared_distances_backward,
    squared_distances_forward,
)


def slowly(x, C):
    """Of differences, in float64."""
    return ((x[:, None].astype(float) - C.astype(float)) ** 2).sum(axis=2)


@pytest.mark.parametrize("offset", [0.0, 300.0, 3e4])
def test_distances_do_not_depend_on_where_the_origin_is(offset):
    rng = np.random.default_rng(0)
    x, C = ((offset + rng.random((n, 5))).astype("float32") for n in (40, 7))
    d, cache = squared_distances_forward(x, C)
    assert d.dtype == np.float32
    np.testing.assert_allclose(d, slowly(x, C), rtol=1e-5)
    np.testing.assert_array_equal(nearest_code_forward(x, C)[1].index, slowly(x, C).argmin(axis=1))
    dd = rng.random(d.shape).astype("float32")
    dx, dC = squared_distances_backward(dd, cache)
    apart = x[:, None].astype(float) - C
    np.testing.assert_allclose(dx, 2 * (dd[..., None] * apart).sum(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dC, -2 * (dd[..., None] * apart).sum(axis=0), rtol=1e-4, atol=1e-5)


def test_float64_far_from_the_origin():
    rng = np.random.default_rng(1)
    x, C = 1e7 + rng.random((20, 3)), 1e7 + rng.random((4, 3))
    np.testing.assert_allclose(squared_distances_forward(x, C)[0], slowly(x, C), rtol=1e-9)
