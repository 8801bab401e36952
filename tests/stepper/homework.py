"""What students hand in: pairs that are right, and some with a mistake in one line."""

import numpy as np


def affine_forward(x, W, b):
    z = x @ W  # (1)
    y = z + b  # (2)
    return y, (x, W)


def affine_backward(dy, cache):
    x, W = cache
    dx = dy @ W.T
    dW = x.T @ dy
    db = np.mean(dy, axis=0)
    return dx, dW, db


def loops_forward(x, W):
    N, M = x.shape[0], W.shape[1]
    z = np.zeros((N, M))
    for n in range(N):
        for m in range(M):
            z[n, m] = np.dot(x[n], W[:, m])  # (1)
    y = np.tanh(z)  # (2)
    return y, (x, W, y)


def loops_backward(dy, cache):
    x, W, y = cache
    dz = dy * (1 - np.square(y))
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    for n in range(len(x)):
        for m in range(W.shape[1]):
            dx[n] += dz[n, m] * W[:, m]
            dW[:, m] += dz[n, m] * x[n]
    return dx, dW


def two_layers_forward(x, W, V):
    z = x @ W
    h = np.maximum(z, 0)
    y = h @ V
    return y, (x, W, V, h)


def two_layers_backward(dy, cache):
    x, W, V, h = cache
    dV = h.T @ dy
    dh = dy @ V.T
    dz = dh * (h > 1)
    dW = x.T @ dz
    dx = dz @ W.T
    return dx, dW, dV


def softmax_forward(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    y = e / np.sum(e, axis=1, keepdims=True)
    return y, y


def softmax_backward(dy, y):
    dx = np.zeros_like(y)
    for n in range(len(y)):
        J = np.diag(y[n]) - np.outer(y[n], y[n])
        dx[n] = J @ dy[n]
    return dx


def raises_forward(x):
    return x, (x, undefined_name)  # noqa: F821


def late_forward(x):
    y = x * 2
    return y, (y,)


def late_backward(dy, cache):
    (y,) = cache
    return dy @ y.reshape(7, 7)
