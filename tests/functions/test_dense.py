"""The dense layer: worked by hand once, then over odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import ACTIVATIONS, dense_backward, dense_forward


def test_worked_by_hand():
    """Two samples, two inputs, one relu unit.

    z = [1*2 + 2*(-1) + 1, 0*2 + 3*(-1) + 1] = [1, -2], so y = [1, 0] and only sample 0 learns:
    dz = [5, 0], dx = [5*(2, -1), 0], dW = 5*(1, 2), db = 5.
    """
    x, W, b = np.array([[1.0, 2], [0, 3]]), np.array([[2.0], [-1]]), np.array([1.0])
    y, cache = dense_forward(x, W, b, activation="relu")
    np.testing.assert_array_equal(y, [[1], [0]])
    dx, dW, db = dense_backward(np.array([[5.0], [7]]), cache)
    np.testing.assert_array_equal(dx, [[10, -5], [0, 0]])
    np.testing.assert_array_equal(dW, [[5], [10]])
    np.testing.assert_array_equal(db, [5])


@given(
    leading=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    d=st.integers(0, 4),
    m=st.integers(0, 4),
    bias=st.booleans(),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    seed=st.integers(0, 99),
)
def test_leading_axes_are_samples(leading, d, m, bias, activation, seed):
    """(D,), (N, T, D), N = 0, N = 1, D = 0: as the same rows in one (N, D), gradients too."""
    if activation == "softmax":
        m = max(m, 1)  # of no numbers there is no largest
    rng = np.random.default_rng(seed)
    x, W = rng.standard_normal((*leading, d)), rng.standard_normal((d, m))
    b = rng.standard_normal(m) if bias else None
    y, cache = dense_forward(x, W, b, activation=activation)
    assert y.shape == (*leading, m)
    dy = rng.standard_normal(y.shape)
    dx, dW, db = dense_backward(dy, cache)
    rows, flat = dense_forward(x.reshape(int(np.prod(leading)), d), W, b, activation=activation)
    flat_dx, flat_dW, flat_db = dense_backward(dy.reshape(rows.shape), flat)
    np.testing.assert_allclose(y, rows.reshape(y.shape), atol=1e-12)
    np.testing.assert_allclose(dx, flat_dx.reshape(x.shape), atol=1e-12)
    np.testing.assert_allclose(dW, flat_dW, atol=1e-12)
    assert dW.shape == W.shape
    if bias:
        np.testing.assert_allclose(db, flat_db, atol=1e-12)
    else:
        assert db is None


def test_no_samples_no_gradient():
    y, cache = dense_forward(np.zeros((0, 3)), np.ones((3, 2)), np.ones(2), activation="softmax")
    dx, dW, db = dense_backward(np.zeros((0, 2)), cache)
    assert y.shape == (0, 2) and dx.shape == (0, 3)
    np.testing.assert_array_equal(dW, np.zeros((3, 2)))
    np.testing.assert_array_equal(db, np.zeros(2))


def test_gradients_of_the_samples_add_up():
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((4, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2)
    y, cache = dense_forward(x, W, b, activation="gelu")
    dy = rng.standard_normal(y.shape)
    _, dW, db = dense_backward(dy, cache)
    total = [np.zeros_like(W), np.zeros_like(b)]
    for i in range(4):
        _, one = dense_forward(x[i : i + 1], W, b, activation="gelu")
        for k, gradient in enumerate(dense_backward(dy[i : i + 1], one)[1:]):
            total[k] += gradient
    np.testing.assert_allclose(total[0], dW)
    np.testing.assert_allclose(total[1], db)


def test_strided_and_transposed_arrays_are_the_numbers_they_show():
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((6, 8))[::2, ::-2], rng.standard_normal((2, 4)).T
    dy = rng.standard_normal((2, 3)).T
    y, cache = dense_forward(x, W)
    again, copies = dense_forward(x.copy(), W.copy())
    np.testing.assert_allclose(y, again, rtol=1e-14)
    for one, two in zip(
        dense_backward(dy, cache)[:2], dense_backward(dy.copy(), copies), strict=False
    ):
        np.testing.assert_allclose(one, two, rtol=1e-14)


def test_refusals():
    x, W = np.zeros((2, 3)), np.zeros((3, 5))
    with pytest.raises(
        ValueError, match=r"dense_forward: W is \(4, 5\), expected \(D, M\) with D ="
    ):
        dense_forward(x, np.zeros((4, 5)))
    with pytest.raises(TypeError, match="dense_forward: b is float32 but x is float64"):
        dense_forward(x, W, np.zeros(5, "float32"))
    with pytest.raises(ValueError, match="activation is 'sigmoidal', expected one of"):
        dense_forward(x, W, activation="sigmoidal")
    _, cache = dense_forward(x, W)
    with pytest.raises(ValueError, match=r"dy is \(5,\), expected \(2, 5\)"):
        dense_backward(np.zeros(5), cache)
