"""Dense layers and small networks, as homework and blogs write them."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import numbers, pair, wrong


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def square_affine_forward(x, w, b):
    return np.dot(x, w) + b, (x, w)


def square_affine_backward(dout, cache):
    x, w = cache
    dx = np.dot(dout, w.T)
    dw = np.dot(x.T, dout)
    db = dout.sum(0)
    return dx, dw, db


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def two_layer_forward(X, W1, b1, W2, b2):
    Z1 = X @ W1 + b1
    A1 = np.tanh(Z1)
    Z2 = A1 @ W2 + b2
    A2 = sigmoid(Z2)
    return A2, (X, A1, W2, A2, W1)


def two_layer_backward(dA2, cache):
    X, A1, W2, A2, W1 = cache
    dZ2 = dA2 * A2 * (1 - A2)
    dW2 = A1.T @ dZ2
    db2 = dZ2.sum(axis=0)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * (1 - np.power(A1, 2))
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(axis=0)
    return dZ1 @ W1.T, dW1, db1, dW2, db2


def residual_forward(x, W, V):
    h = np.maximum(0, x @ W)
    return x + h @ V, (x, W, V, h)


def residual_backward(dy, cache):
    x, W, V, h = cache
    dV = h.T @ dy
    dh = dy @ V.T
    dh = dh * (h > 0)
    dW = x.T @ dh
    dx = dy + dh @ W.T
    return dx, dW, dV


def tied_forward(x, W, b, c):
    h = sigmoid(x.dot(W) + b)
    r = h.dot(W.T) + c
    return r, (x, W, h)


def tied_backward(dr, cache):
    x, W, h = cache
    dc = dr.sum(axis=0)
    dh = dr.dot(W)
    dz = dh * h * (1 - h)
    db = dz.sum(axis=0)
    dW = x.T.dot(dz) + dr.T.dot(h)
    dx = dz.dot(W.T)
    return dx, dW, db, dc


def highway_forward(x, Wh, Wt):
    h = np.tanh(x @ Wh)
    t = 1 / (1 + np.exp(-(x @ Wt)))
    return h * t + x * (1 - t), (x, Wh, Wt, h, t)


def highway_backward(g, cache):
    x, Wh, Wt, h, t = cache
    dh = g * t
    dt = g * (h - x)
    dzh = dh * (1 - h**2)
    dzt = dt * t * (1 - t)
    dx = g * (1 - t) + dzh @ Wh.T + dzt @ Wt.T
    return dx, x.T @ dzh, x.T @ dzt


def scale_shift_forward(x, gamma, beta):
    return gamma * x + beta, (x, gamma)


def scale_shift_backward(dout, cache):
    x, gamma = cache
    dgamma = np.sum(dout * x, axis=0)
    dbeta = np.sum(dout, axis=0)
    return dout * gamma, dgamma, dbeta


def bilinear_forward(a, M, b):
    return np.einsum("ni,ij,nj->n", a, M, b), (a, M, b)


def bilinear_backward(dy, cache):
    a, M, b = cache
    da = dy[:, None] * (b @ M.T)
    dM = a.T @ (dy[:, None] * b)
    db = dy[:, None] * (a @ M)
    return da, dM, db


def row_bias_forward(x, W, b):
    return x @ W + b, (x, W)  # b is (1, M)


def row_bias_backward(dy, cache):
    x, W = cache
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)  # (M,)


def three_layer_forward(x, w1, w2, w3):
    a = np.maximum(x.dot(w1), 0)
    b = np.maximum(a.dot(w2), 0)
    return b.dot(w3), (x, a, b, w1, w2, w3)


def three_layer_backward(dy, cache):
    x, a, b, w1, w2, w3 = cache
    dw3 = b.T.dot(dy)
    db = dy.dot(w3.T)
    db[b <= 0] = 0
    dw2 = a.T.dot(db)
    da = db.dot(w2.T)
    da[a <= 0] = 0
    dw1 = x.T.dot(da)
    return da.dot(w1.T), dw1, dw2, dw3


def glu_forward(x, W):
    a, b = np.split(x @ W, 2, axis=1)
    s = sigmoid(b)
    return a * s, (x, W, a, s)


def glu_backward(dy, cache):
    x, W, a, s = cache
    da = dy * s
    db = dy * a * s * (1 - s)
    dz = np.concatenate([da, db], axis=1)
    return dz @ W.T, x.T @ dz


def mixed_precision_forward(x, W):
    h = (x.astype(np.float32) @ W.astype(np.float32)).astype(np.float64)
    return np.tanh(h), (x, W, np.tanh(h))


def mixed_precision_backward(dy, cache):
    x, W, y = cache
    dz = (dy * (1 - y * y)).astype(np.float32)
    return dz @ W.T, x.T @ dz


CASES = [
    *pair(
        affine_forward,
        affine_backward,
        numbers(4, 2, 3),
        numbers(6, 5),
        numbers(5),
        mistakes=[
            wrong("sign", "np.sum(dout, axis=0)", "-np.sum(dout, axis=0)"),
            wrong("factor", "np.sum(dout, axis=0)", "np.mean(dout, axis=0)"),
            wrong("factor", ".T.dot(dout)", ".T.dot(dout) / x.shape[0]"),
            wrong("sign", "dout.dot(w.T)", "-dout.dot(w.T)"),
            wrong("zero", "dout.dot(w.T).reshape(x.shape)", "np.zeros_like(x)"),
        ],
    ),
    *pair(
        square_affine_forward,
        square_affine_backward,
        numbers(4, 4),
        numbers(4, 4, seed=1),
        numbers(4),
        mistakes=[
            wrong("transpose", "np.dot(dout, w.T)", "np.dot(dout, w)"),
            wrong("transpose", "np.dot(x.T, dout)", "np.dot(dout.T, x)"),
            wrong("transpose", "np.dot(x.T, dout)", "np.dot(x, dout)"),
            wrong("axis", "dout.sum(0)", "dout.sum(1)"),
            wrong("factor", "dout.sum(0)", "dout.mean(0)"),
        ],
    ),
    *pair(
        two_layer_forward,
        two_layer_backward,
        numbers(5, 3),
        numbers(3, 4),
        numbers(4),
        numbers(4, 2),
        numbers(2),
        mistakes=[
            wrong("slope", "dA2 * A2 * (1 - A2)", "dA2"),
            wrong("slope", "dA2 * A2 * (1 - A2)", "dA2 * (1 - A2)"),
            wrong("slope", "dA2 * A2 * (1 - A2)", "dA2 * A2"),
            wrong("slope", "dA1 * (1 - np.power(A1, 2))", "dA1"),
            wrong("slope", "dA1 * (1 - np.power(A1, 2))", "dA1 * (1 - A1)"),
            wrong("slope", "dA1 * (1 - np.power(A1, 2))", "dA1 * A1 * (1 - A1)"),
            wrong("slope", "dA1 * (1 - np.power(A1, 2))", "dA1 * (1 - np.tanh(A1) ** 2)"),
            wrong("factor", "A1.T @ dZ2", "A1.T @ dZ2 / X.shape[0]"),
            wrong("slope", "A1.T @ dZ2", "A1.T @ dA2"),
            wrong("slope", "X.T @ dZ1", "X.T @ dA1"),
            wrong("slope", "dZ2 @ W2.T", "dA2 @ W2.T"),
        ],
    ),
    *pair(
        residual_forward,
        residual_backward,
        numbers(4, 3),
        numbers(3, 5),
        numbers(5, 3),
        mistakes=[
            wrong("term", "dy + dh @ W.T", "dh @ W.T"),
            wrong("term", "dy + dh @ W.T", "dy"),
            wrong("mask", "dh * (h > 0)", "dh"),
            wrong("mask", "dh * (h > 0)", "dh * (h <= 0)"),
            wrong("sign", "dy + dh @ W.T", "dy - dh @ W.T"),
            wrong("twice", "dy + dh @ W.T", "2 * dy + dh @ W.T"),
        ],
    ),
    *pair(
        tied_forward,
        tied_backward,
        numbers(4, 5),
        numbers(5, 3),
        numbers(3),
        numbers(5),
        mistakes=[
            wrong("term", "x.T.dot(dz) + dr.T.dot(h)", "x.T.dot(dz)"),
            wrong("term", "x.T.dot(dz) + dr.T.dot(h)", "dr.T.dot(h)"),
            wrong("sign", "x.T.dot(dz) + dr.T.dot(h)", "x.T.dot(dz) - dr.T.dot(h)"),
            wrong("slope", "dh * h * (1 - h)", "dh"),
            wrong("slope", "x.T.dot(dz) + dr", "x.T.dot(dh) + dr"),
        ],
    ),
    *pair(
        highway_forward,
        highway_backward,
        numbers(4, 3),
        numbers(3, 3),
        numbers(3, 3, seed=1),
        mistakes=[
            wrong("term", "g * (1 - t) + dzh", "dzh"),
            wrong("term", " + dzt @ Wt.T", ""),
            wrong("term", "dzh @ Wh.T + ", ""),
            wrong("transpose", "dzt @ Wt.T", "dzt @ Wt"),
            wrong("term", "g * (h - x)", "g * h"),
            wrong("sign", "g * (h - x)", "g * (h + x)"),
            wrong("slope", "dt * t * (1 - t)", "dt * t"),
            wrong("slope", "dh * (1 - h**2)", "dh * (1 - h)"),
        ],
    ),
    *pair(
        scale_shift_forward,
        scale_shift_backward,
        numbers(5, 3),
        numbers(3),
        numbers(3, seed=1),
        mistakes=[
            wrong("other factor", "dout * x, axis=0", "dout * gamma, axis=0"),
            wrong("other factor|term", "dout * gamma, dgamma", "dout, dgamma"),
            wrong("factor", "np.sum(dout, axis=0)", "np.mean(dout, axis=0)"),
        ],
    ),
    *pair(
        bilinear_forward,
        bilinear_backward,
        numbers(4, 3),
        numbers(3, 3, seed=2),
        numbers(4, 3, seed=1),
        mistakes=[
            wrong("transpose", "(b @ M.T)", "(b @ M)"),
            wrong("transpose", "a.T @ (dy[:, None] * b)", "b.T @ (dy[:, None] * a)"),
            wrong("dy", "dy[:, None] * (a @ M)", "a @ M"),
        ],
    ),
    *pair(
        row_bias_forward,
        row_bias_backward,
        numbers(4, 3),
        numbers(3, 2),
        numbers(1, 2),
        mistakes=[wrong("factor", "dy.sum(axis=0)", "dy.mean(axis=0)")],
    ),
    *pair(
        three_layer_forward,
        three_layer_backward,
        numbers(4, 3),
        numbers(3, 4),
        numbers(4, 4),
        numbers(4, 2),
        mistakes=[
            wrong("mask", "    db[b <= 0] = 0\n", ""),
            wrong("mask", "    da[a <= 0] = 0\n", ""),
            wrong("transpose", "db.dot(w2.T)", "db.dot(w2)"),
            wrong("other factor", "dw2 = a.T", "dw2 = b.T"),
            wrong("transpose", "a.T.dot(db)", "db.T.dot(a)"),
        ],
    ),
    *pair(
        glu_forward,
        glu_backward,
        numbers(4, 3),
        numbers(3, 4),
        mistakes=[
            wrong("slope", "dy * a * s * (1 - s)", "dy * a"),
            wrong("slope", "dy * a * s * (1 - s)", "dy * a * (1 - s)"),
            wrong("order", "[da, db]", "[db, da]"),
            wrong("term", "da = dy * s", "da = 0 * dy"),
        ],
    ),
    *pair(
        mixed_precision_forward,
        mixed_precision_backward,
        numbers(4, 3),
        numbers(3, 2),
        mistakes=[
            wrong("slope", "dy * (1 - y * y)", "dy"),
            wrong("sign", "x.T @ dz", "-x.T @ dz"),
        ],
    ),
]
