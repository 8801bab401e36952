"""Activations and noise, element by element and along a row."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import numbers, pair, wrong


def relu_in_place_forward(x):
    out = np.maximum(0, x)
    return out, x


def relu_in_place_backward(dout, x):
    dout[x <= 0] = 0
    return dout


def leaky_relu_forward(x):
    return np.where(x > 0, x, 0.01 * x), x


def leaky_relu_backward(dout, x):
    dx = np.where(x > 0, 1.0, 0.01)
    return dout * dx


def logistic_forward(z):
    s = 1 / (1 + np.exp(-z))
    return s, s


def logistic_backward(ds, s):
    return ds * s * (1 - s)


def tanh_forward(z):
    e, f = np.exp(z), np.exp(-z)
    a = (e - f) / (e + f)
    return a, a


def tanh_backward(da, a):
    return da * (1 - a**2)


def swish_forward(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)


def swish_backward(dy, cache):
    x, s = cache
    return dy * (s + x * s * (1 - s))


def softplus_forward(x):
    return np.log1p(np.exp(x)), x


def softplus_backward(dy, x):
    return dy / (1 + np.exp(-x))


def elu_forward(x):
    y = np.where(x > 0, x, 0.7 * (np.exp(np.minimum(x, 0)) - 1))
    return y, (x, y)


def elu_backward(dy, cache):
    x, y = cache
    return np.where(x > 0, dy, dy * (y + 0.7))


def gelu_forward(x):
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)
    return 0.5 * x * (1 + t), (x, t)


def gelu_backward(dy, cache):
    x, t = cache
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


def softsign_forward(x):
    return x / (1 + np.abs(x)), x


def softsign_backward(dy, x):
    return dy / (1 + np.abs(x)) ** 2


def clip_forward(x):
    return np.clip(x, -1, 1), x


def clip_backward(dy, x):
    return dy * ((x > -1) & (x < 1))


def softmax_forward(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return p, p


def softmax_backward(dp, p):
    s = np.sum(dp * p, axis=1, keepdims=True)
    return p * (dp - s)


def log_softmax_forward(x):
    z = x - x.max(1, keepdims=True)
    y = z - np.log(np.exp(z).sum(1, keepdims=True))
    return y, y


def log_softmax_backward(dy, y):
    return dy - np.exp(y) * dy.sum(1, keepdims=True)


KEEP = 0.6


def dropout_forward(x):
    mask = (np.random.default_rng(11).random(x.shape) < KEEP) / KEEP
    return x * mask, mask


def dropout_backward(dout, mask):
    return dout * mask


def square_forward(x):
    return x**2, x


def square_backward(dy, x):
    return 2 * x * dy


def cube_root_sum_forward(x):
    n = np.sqrt((x**2).sum(axis=1))
    return n, (x, n)


def cube_root_sum_backward(dn, cache):
    x, n = cache
    return dn[:, None] * x / n[:, None]


def divide_forward(a, b):
    return a / b, (a, b)


def divide_backward(dq, cache):
    a, b = cache
    return dq / b, -dq * a / b**2


def dead_forward(x):
    return np.maximum(x, 0), x


def dead_backward(dy, x):
    return dy * (x > 0)


def maxout_forward(x):
    return x.max(axis=2), x


def maxout_backward(dy, x):
    hit = x == x.max(axis=2, keepdims=True)
    return dy[:, :, None] * hit


ZEROS = numbers(4, 5)
ZEROS[0, :3] = 0

CASES = [
    *pair(
        relu_in_place_forward,
        relu_in_place_backward,
        numbers(4, 5),
        mistakes=[
            wrong("mask", "    dout[x <= 0] = 0\n", ""),
            wrong("mask", "x <= 0", "x > 0"),
            wrong("sign", "return dout", "return -dout"),
        ],
    ),
    *pair(
        leaky_relu_forward,
        leaky_relu_backward,
        numbers(4, 5),
        mistakes=[
            wrong("slope|mask|factor", "return dout * dx", "return dout"),
            wrong("slope|mask|term", "1.0, 0.01", "1.0, 0.0"),
            wrong("slope|mask", "x > 0", "x < 0"),
        ],
    ),
    *pair(
        logistic_forward,
        logistic_backward,
        numbers(3, 4),
        mistakes=[
            wrong("slope", "ds * s * (1 - s)", "ds * s"),
            wrong("slope", "ds * s * (1 - s)", "ds * (1 - s)"),
            wrong("slope", "ds * s * (1 - s)", "ds * (1 - s**2)"),
            wrong("slope", "ds * s * (1 - s)", "ds"),
            wrong("dy", "ds * s * (1 - s)", "s * (1 - s)"),
            wrong("sign", "(1 - s)", "(s - 1)"),
        ],
    ),
    *pair(
        tanh_forward,
        tanh_backward,
        numbers(3, 4),
        mistakes=[
            wrong("slope", "1 - a**2", "1 - a"),
            wrong("slope", "1 - a**2", "a**2"),
            wrong("slope", "1 - a**2", "1 - np.tanh(a)**2"),
            wrong("slope", "da * (1 - a**2)", "da * a * (1 - a)"),
            wrong("sign", "1 - a**2", "a**2 - 1"),
        ],
    ),
    *pair(
        swish_forward,
        swish_backward,
        numbers(3, 4),
        mistakes=[
            wrong("term|slope", "s + x * s * (1 - s)", "x * s * (1 - s)"),
            wrong("term|slope", "s + x * s * (1 - s)", "s"),
            wrong("sign|slope", "s + x * s", "s - x * s"),
            wrong("slope", "x * s * (1 - s)", "x * (1 - s)"),
        ],
    ),
    *pair(
        softplus_forward,
        softplus_backward,
        numbers(3, 4),
        mistakes=[
            wrong("slope", "np.exp(-x)", "np.exp(x)"),
            wrong("slope", "dy / (1 + np.exp(-x))", "dy"),
        ],
    ),
    *pair(
        elu_forward,
        elu_backward,
        numbers(3, 4),
        mistakes=[
            wrong("slope", "(y + 0.7)", "y"),
            wrong("slope|mask|term", "np.where(x > 0, dy, dy * (y + 0.7))", "dy * (x > 0)"),
        ],
    ),
    *pair(
        gelu_forward,
        gelu_backward,
        numbers(3, 4),
        mistakes=[
            wrong("term|slope", "0.5 * (1 + t) + ", ""),
            wrong("factor|slope", "3 * 0.044715", "0.044715"),
            wrong("term|slope", " + 0.5 * x * (1 - t**2) * du", ""),
            wrong("slope", "(1 - t**2) * du", "(1 - t**2)"),
        ],
    ),
    *pair(
        softsign_forward,
        softsign_backward,
        numbers(3, 4),
        mistakes=[
            wrong("slope|term", " ** 2", ""),
            wrong("slope|term", "dy / (1 + np.abs(x)) ** 2", "dy"),
        ],
    ),
    *pair(
        clip_forward,
        clip_backward,
        numbers(4, 5),
        mistakes=[
            wrong("mask", "dy * ((x > -1) & (x < 1))", "dy"),
            wrong("mask", " & (x < 1)", ""),
        ],
    ),
    *pair(
        softmax_forward,
        softmax_backward,
        numbers(3, 5),
        mistakes=[
            wrong("term", "p * (dp - s)", "p * dp"),
            wrong("term", "p * (dp - s)", "p * (1 - p) * dp"),
            wrong("sign", "dp - s", "dp + s"),
            wrong("term|sign", "p * (dp - s)", "-p * s"),
            wrong(
                "axis|term|other factor", "np.sum(dp * p, axis=1, keepdims=True)", "np.sum(dp * p)"
            ),
        ],
    ),
    *pair(
        log_softmax_forward,
        log_softmax_backward,
        numbers(3, 5),
        mistakes=[
            wrong("term", "dy - np.exp(y) * dy.sum(1, keepdims=True)", "dy"),
            wrong("sign", "dy - np", "dy + np"),
            wrong("term", "dy.sum(1, keepdims=True)", "dy"),
            wrong("factor", "dy.sum(1, keepdims=True)", "dy.mean(1, keepdims=True)"),
        ],
    ),
    *pair(
        dropout_forward,
        dropout_backward,
        numbers(4, 5),
        mistakes=[
            wrong("factor", "dout * mask", "dout * mask * KEEP"),
            wrong("mask", "dout * mask", "dout / KEEP"),
            wrong("mask|other factor", "dout * mask", "dout"),
            wrong("factor", "dout * mask", "dout * mask / KEEP"),
        ],
    ),
    *pair(
        square_forward,
        square_backward,
        numbers(3, 4),
        mistakes=[
            wrong("factor|slope", "2 * x * dy", "x * dy"),
            wrong("slope|other factor", "2 * x * dy", "2 * dy"),
            wrong("dy", "2 * x * dy", "2 * x"),
        ],
    ),
    *pair(
        cube_root_sum_forward,
        cube_root_sum_backward,
        numbers(3, 4),
        mistakes=[
            wrong("factor", "dn[:, None] * x", "2 * dn[:, None] * x"),
            wrong("slope|term", " / n[:, None]", ""),
        ],
    ),
    *pair(
        divide_forward,
        divide_backward,
        numbers(3, 4),
        numbers(3, 4, low=0.5),
        mistakes=[
            wrong("sign", "-dq * a", "dq * a"),
            wrong("slope|other factor", "b**2", "b"),
            wrong("slope|other factor|term", "dq / b, ", "dq, "),
        ],
    ),
    *pair(dead_forward, dead_backward, ZEROS, mistakes=[wrong("mask", "dy * (x > 0)", "dy")]),
    *pair(
        maxout_forward,
        maxout_backward,
        numbers(3, 2, 4),
        mistakes=[
            wrong("mask", "dy[:, :, None] * hit", "np.repeat(dy[:, :, None], x.shape[2], 2)"),
            wrong("mask", "x == x.max", "x != x.max"),
        ],
    ),
]
