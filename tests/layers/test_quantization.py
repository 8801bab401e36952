"""The vector quantiser: the nearest code forward, straight through backward."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.layers import Input, VectorQuantizer

RNG = np.random.default_rng(0)


def built(units=5, dim=2, n=6):
    layer = VectorQuantizer(units, dim, seed=0)
    layer(Input((n,), dtype="float64"))
    return layer


def test_each_group_becomes_its_nearest_code():
    layer, x = built(), RNG.standard_normal((4, 6))
    y = layer(x)
    C = layer.C.value
    for group, code in zip(x.reshape(-1, 2), y.reshape(-1, 2), strict=True):
        np.testing.assert_array_equal(code, min(C, key=lambda c: ((group - c) ** 2).sum()))


def test_the_gradient_goes_straight_through_and_to_the_codes_that_were_chosen():
    """dC is that of y = C[index]; dx is dy, which is the gradient of y + (x - stop(x))."""
    layer, x, dy = built(), RNG.standard_normal((4, 6)), RNG.standard_normal((4, 6))
    y, cache = layer.forward(x)
    gradients = layer.new_gradients()
    dx = layer.backward(dy, cache, gradients)
    np.testing.assert_array_equal(dx, dy)
    assert not np.shares_memory(dx, dy)
    expected = np.zeros((5, 2))
    index = [int(np.flatnonzero((layer.C.value == c).all(axis=1))[0]) for c in y.reshape(-1, 2)]
    np.add.at(expected, index, dy.reshape(-1, 2))
    np.testing.assert_allclose(gradients[layer.C], expected, rtol=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="units is 0, expected a whole number"):
        VectorQuantizer(0, 2)
    with pytest.raises(ValueError, match=r"a sample is \(7,\), expected a multiple of 2"):
        VectorQuantizer(3, 2)(Input((7,)))
