"""Arithmetic done on paper: small enough to follow with a pencil, asserted to the last digit."""

from __future__ import annotations

import numpy as np

from minienc.functions import (
    dense_backward,
    dense_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
)
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.optimizers import SGD


def test_one_step_of_a_linear_autoencoder():
    """Two numbers through one and back, x = (1, 2), encoder W = (1, 1)', decoder V = (1, 2).

    h = 1*1 + 2*1 = 3                     x_hat = 3 (1, 2) = (3, 6)
    e = x_hat - x = (2, 4)                loss = (4 + 16) / 2 = 10
    dx_hat = 2 e / 2 = (2, 4)
    dV = h dx_hat = (6, 12)               dh = 2*1 + 4*2 = 10
    dW = x' dh = (10, 20)'                dx = dh W' = (10, 10)
    with learning rate 0.01:  W = (0.9, 0.8)',  V = (0.94, 1.88)
    """
    x, W, V = np.array([[1.0, 2.0]]), np.array([[1.0], [1.0]]), np.array([[1.0, 2.0]])
    h, encoded = dense_forward(x, W)
    x_hat, decoded = dense_forward(h, V)
    loss, compared = mean_squared_error_forward(x_hat, x)
    assert (h.tolist(), x_hat.tolist(), loss) == ([[3.0]], [[3.0, 6.0]], 10.0)

    dx_hat = mean_squared_error_backward(1.0, compared)
    dh, dV, _ = dense_backward(dx_hat, decoded)
    dx, dW, _ = dense_backward(dh, encoded)
    assert dx_hat.tolist() == [[2.0, 4.0]]
    assert (dV.tolist(), dh.tolist()) == ([[6.0, 12.0]], [[10.0]])
    assert (dW.tolist(), dx.tolist()) == ([[10.0], [20.0]], [[10.0, 10.0]])

    symbol = Input((2,), dtype="float64")
    code = Dense(1, use_bias=False)(symbol)
    model = Model(symbol, Dense(2, use_bias=False)(code))
    model.set_weights([W, V])
    model.compile(SGD(0.01), "mse")
    assert model.fit(x, x, verbose=0).history["loss"] == [10.0]
    np.testing.assert_allclose(model.get_weights()[0], [[0.9], [0.8]], rtol=1e-15)
    np.testing.assert_allclose(model.get_weights()[1], [[0.94, 1.88]], rtol=1e-15)


def test_a_relu_that_is_cut_off_passes_nothing():
    """x = (1, -1), W = ((1, -1), (2, 1)), b = (0.5, 0):

    z = (1 - 2 + 0.5, -1 - 1) = (-0.5, -2)    both cut off: y = (0, 0), and no gradient
    with b = (2, 3):  z = (1, 1) = y;  dy = (3, 5) goes through whole:
    dW = ((3, 5), (-3, -5))    db = (3, 5)    dx = (3 - 5, 6 + 5) = (-2, 11)
    """
    x, W = np.array([[1.0, -1.0]]), np.array([[1.0, -1.0], [2.0, 1.0]])
    dy = np.array([[3.0, 5.0]])
    y, cache = dense_forward(x, W, np.array([0.5, 0.0]), activation="relu")
    assert y.tolist() == [[0.0, 0.0]]
    assert all(not g.any() for g in dense_backward(dy, cache))
    y, cache = dense_forward(x, W, np.array([2.0, 3.0]), activation="relu")
    dx, dW, db = dense_backward(dy, cache)
    assert y.tolist() == [[1.0, 1.0]]
    assert (dW.tolist(), db.tolist()) == ([[3.0, 5.0], [-3.0, -5.0]], [3.0, 5.0])
    assert dx.tolist() == [[-2.0, 11.0]]
