"""Arithmetic done on paper: small enough to follow with a pencil, asserted to the last digit."""

from __future__ import annotations

import numpy as np

from minienc.functions import (
    average_pooling2d_backward,
    average_pooling2d_forward,
    batch_normalization_backward,
    batch_normalization_forward,
    conv2d_backward,
    conv2d_forward,
    conv2d_transpose_backward,
    conv2d_transpose_forward,
    dense_backward,
    dense_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
    spectral_normalization_backward,
    spectral_normalization_forward,
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


def test_a_convolution_and_its_transpose():
    """A kernel W = ((1, 0), (2, 1)) and a row of two pixels, (1, 2), laid down with strides of 1:

        1 W = 1 0       2 W =   2 0       together   1 2 0
              2 1               4 2                  2 5 2

    With dy = 1 everywhere each pixel has the sum of W: dx = (4, 4); dW = 1 + 2 = 3 everywhere.
    The convolution of ((1, 2, 0), (2, 5, 2)) with W goes the other way: 1 + 0 + 4 + 5 = 10 and
    2 + 0 + 10 + 2 = 14; with dy = (1, 2), its dx is what was laid down above.
    """
    x, W = np.array([1.0, 2]).reshape(1, 1, 2, 1), np.array([[1.0, 0], [2, 1]]).reshape(2, 2, 1, 1)
    y, cache = conv2d_transpose_forward(x, W)
    assert y[0, :, :, 0].tolist() == [[1, 2, 0], [2, 5, 2]]
    dx, dW, _ = conv2d_transpose_backward(np.ones_like(y), cache)
    assert dx.ravel().tolist() == [4, 4]
    assert dW.ravel().tolist() == [3, 3, 3, 3]
    z, cache = conv2d_forward(y, W)
    assert z.ravel().tolist() == [10, 14]
    dy, dW, _ = conv2d_backward(x, cache)
    np.testing.assert_array_equal(dy, y)
    assert dW[:, :, 0, 0].tolist() == [[1 + 4, 2 + 0], [2 + 10, 5 + 4]]


def test_two_pools_of_one_window():
    """((1, 4), (2, 1)): the largest is 4, the mean 2; dy = 8 goes to the one, or 2 to each."""
    x, dy = np.array([[1.0, 4], [2, 1]]).reshape(1, 2, 2, 1), np.full((1, 1, 1, 1), 8.0)
    largest, cache = max_pool2d_forward(x)
    assert (largest.item(), max_pool2d_backward(dy, cache).ravel().tolist()) == (4, [0, 8, 0, 0])
    mean, cache = average_pooling2d_forward(x)
    assert (mean.item(), average_pooling2d_backward(dy, cache).ravel().tolist()) == (2, [2] * 4)


def test_a_batch_of_two():
    """x = (0, 4) has mean 2 and variance 4; with epsilon = 5 it is divided by 3:

    x_hat = (-2/3, 2/3)              gamma = 3, beta = 1:  y = (-1, 3)
    dy = (1, 0): dgamma = -2/3, dbeta = 1, dx_hat = (3, 0)
    mean dx_hat = 3/2,  mean dx_hat x_hat = -1
    dx = 1/3 (3 - 3/2 - 2/3, 0 - 3/2 + 2/3) = (5/18, -5/18)
    """
    x, gamma, beta = np.array([[0.0], [4.0]]), np.array([3.0]), np.array([1.0])
    y, cache = batch_normalization_forward(x, gamma, beta, epsilon=5)
    np.testing.assert_allclose(y.ravel(), [-1, 3], rtol=1e-15)
    dx, dgamma, dbeta = batch_normalization_backward(np.array([[1.0], [0.0]]), cache)
    np.testing.assert_allclose(dx.ravel(), [5 / 18, -5 / 18], rtol=1e-15)
    np.testing.assert_allclose([dgamma[0], dbeta[0]], [-2 / 3, 1], rtol=1e-15)


def test_weights_divided_by_their_singular_value():
    """W = diag(3, 4), whose first singular vector is u = (0, 1), with sigma = 4: y = diag(3/4, 1).

    dy = 1 everywhere: <dy, y> = 7/4, v u' = ((0, 0), (0, 1)), and
    dW = (dy - 7/4 v u') / 4 = ((1/4, 1/4), (1/4, -3/16))
    """
    y, cache = spectral_normalization_forward(np.diag([3.0, 4.0]), np.array([0.0, 1.0]))
    assert y.tolist() == [[0.75, 0], [0, 1]]
    dW = spectral_normalization_backward(np.ones((2, 2)), cache)
    assert dW.tolist() == [[0.25, 0.25], [0.25, -0.1875]]
