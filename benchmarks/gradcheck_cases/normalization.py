"""Normalisations: gradients through a mean and a variance."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import numbers, pair, wrong


def batchnorm_forward(x, gamma, beta):
    mu = x.mean(axis=0)
    xc = x - mu
    var = np.mean(xc**2, axis=0)
    std = np.sqrt(var + 1e-5)
    xn = xc / std
    return gamma * xn + beta, (x, gamma, xc, std, xn)


def batchnorm_backward(dout, cache):
    x, gamma, xc, std, xn = cache
    N = x.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = np.sum(xn * dout, axis=0)
    dxn = gamma * dout
    dxc = dxn / std
    dstd = -np.sum((dxn * xc) / (std * std), axis=0)
    dvar = 0.5 * dstd / std
    dxc += (2.0 / N) * xc * dvar
    dmu = np.sum(dxc, axis=0)
    dx = dxc - dmu / N
    return dx, dgamma, dbeta


def layernorm_forward(x, g, b):
    m = x.mean(axis=-1, keepdims=True)
    v = x.var(axis=-1, keepdims=True)
    xhat = (x - m) / np.sqrt(v + 1e-5)
    return g * xhat + b, (xhat, v, g)


def layernorm_backward(dy, cache):
    xhat, v, g = cache
    axes = tuple(range(dy.ndim - 1))
    dg, db = (dy * xhat).sum(axis=axes), dy.sum(axis=axes)
    dxhat = dy * g
    dx = dxhat - dxhat.mean(axis=-1, keepdims=True)
    dx -= xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    return dx / np.sqrt(v + 1e-5), dg, db


def rmsnorm_forward(x, w):
    r = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-6)
    return x * r * w, (x, r, w)


def rmsnorm_backward(dy, cache):
    x, r, w = cache
    dw = np.sum(dy * x * r, axis=0)
    d = dy * w
    dx = r * d - r**3 * x * np.mean(d * x, axis=1, keepdims=True)
    return dx, dw


def l2_normalize_forward(x):
    n = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / n, (x / n, n)


def l2_normalize_backward(dy, cache):
    y, n = cache
    return (dy - y * (dy * y).sum(axis=1, keepdims=True)) / n


def center_forward(x):
    return x - x.mean(axis=0), None


def center_backward(dy, cache):
    return dy - dy.mean(axis=0)


def spatial_norm_forward(x, gamma):
    mu = x.mean(axis=(0, 2, 3), keepdims=True)
    sigma = x.std(axis=(0, 2, 3), keepdims=True)
    h = (x - mu) / sigma
    return gamma[None, :, None, None] * h, (h, sigma, gamma)


def spatial_norm_backward(dy, cache):
    h, sigma, gamma = cache
    n = h.size // h.shape[1]
    dgamma = (dy * h).sum(axis=(0, 2, 3))
    dh = dy * gamma[None, :, None, None]
    s1 = dh.sum(axis=(0, 2, 3), keepdims=True)
    s2 = (dh * h).sum(axis=(0, 2, 3), keepdims=True)
    return (dh - s1 / n - h * s2 / n) / sigma, dgamma


def weight_norm_forward(x, v, g):
    n = np.sqrt(np.sum(v**2, axis=0))
    w = g * v / n
    return x @ w, (x, v, g, n, w)


def weight_norm_backward(dy, cache):
    x, v, g, n, w = cache
    dw = x.T @ dy
    dg = np.sum(dw * v, axis=0) / n
    dv = g / n * dw - g * dg / n**2 * v
    return dy @ w.T, dv, dg


def standardize_forward(x):
    m, s = x.mean(), x.std()
    return (x - m) / s, ((x - m) / s, s)


def standardize_backward(dy, cache):
    z, s = cache
    return (dy - dy.mean() - z * (dy * z).mean()) / s


def min_max_forward(x):
    lo, hi = x.min(axis=0), x.max(axis=0)
    return (x - lo) / (hi - lo), (x, lo, hi)


def min_max_backward(dy, cache):
    x, lo, hi = cache
    r = hi - lo
    dx = dy / r
    dlo = (dy * (x - hi)).sum(axis=0) / r**2
    dhi = -(dy * (x - lo)).sum(axis=0) / r**2
    dx[x.argmin(axis=0), np.arange(x.shape[1])] += dlo
    dx[x.argmax(axis=0), np.arange(x.shape[1])] += dhi
    return dx


CASES = [
    *pair(
        batchnorm_forward,
        batchnorm_backward,
        numbers(6, 3),
        numbers(3),
        numbers(3, seed=1),
        mistakes=[
            wrong("term", "dx = dxc - dmu / N", "dx = dxc"),
            wrong("term", "    dxc += (2.0 / N) * xc * dvar\n", ""),
            wrong("factor", "dmu / N", "dmu"),
            wrong("factor|slope", "(2.0 / N)", "(1.0 / N)"),
            wrong("factor", "(2.0 / N)", "2.0"),
            wrong("sign", "dstd = -np.sum", "dstd = np.sum"),
            wrong("other factor", "np.sum(xn * dout, axis=0)", "np.sum(xc * dout, axis=0)"),
            wrong("term|other factor", "dxn = gamma * dout", "dxn = dout"),
            wrong("factor|twice", "0.5 * dstd / std", "dstd / std"),
            wrong("overwritten|term", "dxc += (2.0", "dxc = (2.0"),
            wrong("factor", "dout.sum(axis=0)", "dout.mean(axis=0)"),
        ],
    ),
    *pair(
        layernorm_forward,
        layernorm_backward,
        numbers(3, 2, 5),
        numbers(5),
        numbers(5, seed=1),
        mistakes=[
            wrong("term", "dxhat - dxhat.mean(axis=-1, keepdims=True)", "dxhat.copy()"),
            wrong("term", "    dx -= xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)\n", ""),
            wrong("sign", "dx -= xhat", "dx += xhat"),
            wrong(
                "factor",
                "(dxhat * xhat).mean(axis=-1, keepdims=True)",
                "(dxhat * xhat).sum(axis=-1, keepdims=True)",
            ),
            wrong("term|other factor", "dx / np.sqrt(v + 1e-5)", "dx"),
            wrong("term|other factor", "dxhat = dy * g", "dxhat = dy.copy()"),
            wrong(
                "axis|term|overwritten", "(dy * xhat).sum(axis=axes)", "(dy * xhat)[0].sum(axis=0)"
            ),
        ],
    ),
    *pair(
        rmsnorm_forward,
        rmsnorm_backward,
        numbers(4, 5),
        numbers(5),
        mistakes=[
            wrong("term", " - r**3 * x * np.mean(d * x, axis=1, keepdims=True)", ""),
            wrong("sign", "r * d - r**3", "r * d + r**3"),
            wrong("factor", "np.mean(d * x", "np.sum(d * x"),
            wrong("other factor", "np.sum(dy * x * r, axis=0)", "np.sum(dy * x, axis=0)"),
            wrong("slope|other factor|factor", "r**3", "r"),
        ],
    ),
    *pair(
        l2_normalize_forward,
        l2_normalize_backward,
        numbers(3, 4),
        mistakes=[
            wrong("term", " - y * (dy * y).sum(axis=1, keepdims=True)", ""),
            wrong("sign", "dy - y", "dy + y"),
            wrong("term|slope|other factor", ") / n", ")"),
            wrong("factor", "(dy * y).sum(axis=1", "(dy * y).mean(axis=1"),
        ],
    ),
    *pair(
        center_forward,
        center_backward,
        numbers(5, 3),
        mistakes=[
            wrong("term", "dy - dy.mean(axis=0)", "dy"),
            wrong("factor", "dy.mean(axis=0)", "dy.sum(axis=0)"),
            wrong("sign", "dy - dy", "dy + dy"),
        ],
    ),
    *pair(
        spatial_norm_forward,
        spatial_norm_backward,
        numbers(2, 3, 2, 2),
        numbers(3),
        mistakes=[
            wrong("term", "dh - s1 / n - h * s2 / n", "dh - h * s2 / n"),
            wrong("term", "dh - s1 / n - h * s2 / n", "dh - s1 / n"),
            wrong("term", "dh - s1 / n - h * s2 / n", "dh"),
            wrong("factor", "h.size // h.shape[1]", "h.shape[0]"),
            wrong("sign", "- h * s2", "+ h * s2"),
        ],
    ),
    *pair(
        weight_norm_forward,
        weight_norm_backward,
        numbers(4, 3),
        numbers(3, 2),
        numbers(2),
        mistakes=[
            wrong("term", " - g * dg / n**2 * v", ""),
            wrong("sign", "dw - g * dg", "dw + g * dg"),
            wrong("other factor", "dy @ w.T", "dy @ v.T"),
            wrong("other factor|slope", "np.sum(dw * v, axis=0) / n", "np.sum(dw * v, axis=0)"),
        ],
    ),
    *pair(
        standardize_forward,
        standardize_backward,
        numbers(3, 4),
        mistakes=[
            wrong("term", " - dy.mean()", ""),
            wrong("term", " - z * (dy * z).mean()", ""),
            wrong("sign", "- z * (dy", "+ z * (dy"),
        ],
    ),
    *pair(
        min_max_forward,
        min_max_backward,
        numbers(4, 3),
        mistakes=[
            wrong("term", "    dx[x.argmin(axis=0), np.arange(x.shape[1])] += dlo\n", ""),
            wrong("term", "    dx[x.argmax(axis=0), np.arange(x.shape[1])] += dhi\n", ""),
            wrong("sign", "dhi = -(dy", "dhi = (dy"),
        ],
    ),
]
