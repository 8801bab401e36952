"""Convolution and pooling with loops, and gradients that are views."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import numbers, pair, wrong


def conv_naive_forward(x, w, b):
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    Ho, Wo = H + 2 - HH + 1, W + 2 - WW + 1
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    out[n, f, i, j] = np.sum(xp[n, :, i : i + HH, j : j + WW] * w[f]) + b[f]
    return out, (x, xp, w)


def conv_naive_backward(dout, cache):
    _, xp, w = cache
    HH, WW = w.shape[2:]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    db = dout.sum(axis=(0, 2, 3))
    for n in range(dout.shape[0]):
        for f in range(dout.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    dw[f] += xp[n, :, i : i + HH, j : j + WW] * dout[n, f, i, j]
                    dxp[n, :, i : i + HH, j : j + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, 1:-1, 1:-1], dw, db


def conv1d_forward(x, w):
    """(N, T, C) with (K, C, M): a product for each place of the kernel."""
    K, T = len(w), x.shape[1] - len(w) + 1
    y = 0
    for k in range(K):
        y = y + x[:, k : k + T] @ w[k]
    return y, (x, w, T)


def conv1d_backward(dy, cache):
    x, w, T = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(len(w)):
        dw[k] = np.einsum("ntc,ntm->cm", x[:, k : k + T], dy)
        dx[:, k : k + T] += dy @ w[k].T
    return dx, dw


def im2col(x, k):
    N, H, W, C = x.shape
    h, w = H - k + 1, W - k + 1
    cols = [x[:, i : i + h, j : j + w, :] for i in range(k) for j in range(k)]
    return np.stack(cols, axis=3).reshape(N * h * w, k * k * C)


def conv_im2col_forward(x, w):
    k = w.shape[0]
    N, H, W, _ = x.shape
    cols = im2col(x, k)
    y = cols @ w.reshape(-1, w.shape[-1])
    return y.reshape(N, H - k + 1, W - k + 1, -1), (x.shape, cols, w)


def conv_im2col_backward(dy, cache):
    shape, cols, w = cache
    k, (N, h, v, M) = w.shape[0], dy.shape
    d = dy.reshape(-1, M)
    dw = (cols.T @ d).reshape(w.shape)
    dcols = (d @ w.reshape(-1, M).T).reshape(N, h, v, k * k, shape[3])
    dx = np.zeros(shape)
    for i in range(k):
        for j in range(k):
            dx[:, i : i + h, j : j + v, :] += dcols[:, :, :, i * k + j]
    return dx, dw


def max_pool_forward(x):
    """Windows of 2 x 2 that overlap."""
    N, H, W = x.shape
    y = np.zeros((N, H - 1, W - 1))
    for i in range(H - 1):
        for j in range(W - 1):
            y[:, i, j] = x[:, i : i + 2, j : j + 2].max(axis=(1, 2))
    return y, x


def max_pool_backward(dy, x):
    dx = np.zeros_like(x)
    for n in range(len(x)):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                window = x[n, i : i + 2, j : j + 2]
                a, b = np.unravel_index(np.argmax(window), window.shape)
                dx[n, i + a, j + b] += dy[n, i, j]
    return dx


def average_pool_forward(x):
    N, H, W, C = x.shape
    return x.reshape(N, H // 2, 2, W // 2, 2, C).mean(axis=(2, 4)), x.shape


def average_pool_backward(dy, shape):
    return dy.repeat(2, axis=1).repeat(2, axis=2) / 4


def global_average_forward(x):
    return x.mean(axis=(2, 3)), x.shape


def global_average_backward(dy, shape):
    H, W = shape[2:]
    return np.ones(shape) * dy[:, :, None, None] / (H * W)


def upsample_forward(x):
    return x.repeat(2, axis=1), None


def upsample_backward(dy, cache):
    return dy[:, ::2] + dy[:, 1::2]


def flatten_forward(x):
    return x.reshape(x.shape[0], -1), x.shape


def flatten_backward(dy, shape):
    return dy.reshape(shape)


def to_channels_last_forward(x):
    return x.transpose(0, 2, 3, 1), None


def to_channels_last_backward(dy, cache):
    return dy.transpose(0, 3, 1, 2)


def pad_forward(x):
    return np.pad(x, ((0, 0), (2, 1))), None


def pad_backward(dy, cache):
    return dy[:, 2:-1]


def add_forward(a, b):
    return a + b, None


def add_backward(dy, cache):
    return dy, dy


def identity_forward(x):
    return x, None


def identity_backward(dy, cache):
    return dy


def depthwise_forward(x, w):
    """(N, H, W, C), a 2 x 2 kernel for each channel."""
    h, v = x.shape[1] - 1, x.shape[2] - 1
    y = sum(x[:, i : i + h, j : j + v] * w[i, j] for i in range(2) for j in range(2))
    return y, (x, w)


def depthwise_backward(dy, cache):
    x, w = cache
    h, v = dy.shape[1:3]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(2):
        for j in range(2):
            dx[:, i : i + h, j : j + v] += dy * w[i, j]
            dw[i, j] = (dy * x[:, i : i + h, j : j + v]).sum(axis=(0, 1, 2))
    return dx, dw


TIED = np.maximum(numbers(2, 4, 4) - 0.5, 0)

CASES = [
    *pair(
        conv_naive_forward,
        conv_naive_backward,
        numbers(2, 2, 4, 3),
        numbers(3, 2, 3, 3),
        numbers(3),
        mistakes=[
            wrong("overwritten", "WW] += w[f]", "WW] = w[f]"),
            wrong("overwritten", "dw[f] += xp", "dw[f] = xp"),
            wrong("order", "+= w[f] * dout", "+= w[f][:, ::-1, ::-1] * dout"),
            wrong("off by one|order", "dxp[:, :, 1:-1, 1:-1]", "dxp[:, :, :-2, :-2]"),
            wrong("factor", "dout.sum(axis=(0, 2, 3))", "dout.mean(axis=(0, 2, 3))"),
            wrong(
                "factor",
                "return dxp[:, :, 1:-1, 1:-1], dw",
                "return dxp[:, :, 1:-1, 1:-1], dw / len(xp)",
            ),
        ],
    ),
    *pair(
        conv1d_forward,
        conv1d_backward,
        numbers(2, 6, 3),
        numbers(3, 3, 3),
        mistakes=[
            wrong("overwritten", "T] += dy", "T] = dy"),
            wrong("transpose", "dy @ w[k].T", "dy @ w[k]"),
            wrong("order", "dw[k] =", "dw[len(w) - 1 - k] ="),
            wrong("off by one", "range(len(w))", "range(len(w) - 1)"),
            wrong("order", "w[k].T", "w[::-1][k].T"),
        ],
    ),
    *pair(
        conv_im2col_forward,
        conv_im2col_backward,
        numbers(2, 4, 4, 2),
        numbers(2, 2, 2, 3),
        mistakes=[
            wrong("overwritten", ":] += dcols", ":] = dcols"),
            wrong("order", "i * k + j]", "j * k + i]"),
            wrong("factor", "cols.T @ d)", "cols.T @ d / N)"),
            wrong("sign", "d @ w.reshape", "-d @ w.reshape"),
        ],
    ),
    *pair(
        max_pool_forward,
        max_pool_backward,
        TIED,
        mistakes=[
            wrong("overwritten", "+= dy[n, i, j]", "= dy[n, i, j]"),
            wrong("mask", "np.argmax(window)", "np.argmin(window)"),
        ],
    ),
    *pair(
        max_pool_forward,
        max_pool_backward,
        numbers(2, 4, 4),
        mistakes=[
            wrong("overwritten", "+= dy[n, i, j]", "= dy[n, i, j]"),
            wrong("order|off by one", "i + a, j + b", "i + b, j + a"),
            wrong("sign", "+= dy[n, i, j]", "-= dy[n, i, j]"),
        ],
    ),
    *pair(
        average_pool_forward,
        average_pool_backward,
        numbers(2, 4, 4, 2),
        mistakes=[
            wrong("factor", " / 4", ""),
            wrong("factor", " / 4", " / 2"),
            wrong("factor", " / 4", " / 16"),
        ],
    ),
    *pair(
        global_average_forward,
        global_average_backward,
        numbers(2, 3, 4, 2),
        mistakes=[
            wrong("factor", " / (H * W)", ""),
            wrong("factor", " / (H * W)", " / H"),
            wrong("factor", "(H * W)", "(shape[0] * H * W)"),
        ],
    ),
    *pair(
        upsample_forward,
        upsample_backward,
        numbers(3, 4),
        mistakes=[
            wrong("term|overwritten", "dy[:, ::2] + dy[:, 1::2]", "dy[:, ::2]"),
            wrong("factor", "dy[:, ::2] + dy[:, 1::2]", "(dy[:, ::2] + dy[:, 1::2]) / 2"),
        ],
    ),
    *pair(
        flatten_forward,
        flatten_backward,
        numbers(3, 2, 2),
        mistakes=[
            wrong("order", "dy.reshape(shape)", "dy.reshape(shape).transpose(0, 2, 1)"),
        ],
    ),
    *pair(
        to_channels_last_forward,
        to_channels_last_backward,
        numbers(2, 3, 3, 3),
        mistakes=[
            wrong("transpose|order", "(0, 3, 1, 2)", "(0, 3, 2, 1)"),
            wrong("transpose|order", "(0, 3, 1, 2)", "(0, 2, 3, 1)"),
        ],
    ),
    *pair(
        pad_forward,
        pad_backward,
        numbers(3, 4),
        mistakes=[
            wrong("off by one|order", "2:-1", "1:-2"),
        ],
    ),
    *pair(
        add_forward,
        add_backward,
        numbers(3, 2),
        numbers(3, 2, seed=1),
        mistakes=[
            wrong("sign", "dy, dy", "dy, -dy"),
            wrong("factor", "dy, dy", "dy, dy / len(dy)"),
        ],
    ),
    *pair(
        identity_forward,
        identity_backward,
        numbers(3, 4),
        mistakes=[
            wrong("zero", "return dy", "return 0 * dy"),
        ],
    ),
    *pair(
        depthwise_forward,
        depthwise_backward,
        numbers(2, 4, 4, 3),
        numbers(2, 2, 3),
        mistakes=[
            wrong("overwritten", "+= dy * w", "= dy * w"),
            wrong("order|transpose", "dy * w[i, j]", "dy * w[j, i]"),
            wrong("factor", ".sum(axis=(0, 1, 2))", ".mean(axis=(0, 1, 2))"),
        ],
    ),
]
