"""Losses and regularised objectives: one number, and its gradient."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import loss, numbers, pair, wrong

LABELS = np.array([2, 0, 1, 1, 3])
TARGETS = numbers(5, 3, seed=7)


def softmax_loss(x):  # the labels are no argument
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(x)), LABELS]).mean()


def softmax_loss_gradient(x):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), LABELS] -= 1
    return p / len(x)


def cross_entropy_forward(scores, labels):
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_z = np.log(np.sum(np.exp(shifted), axis=1))
    n = scores.shape[0]
    total = np.sum(log_z - shifted[np.arange(n), labels]) / n
    return total, (shifted, log_z, labels, n)


def cross_entropy_backward(dloss, cache):
    shifted, log_z, labels, n = cache
    d = np.exp(shifted - log_z[:, None])
    d[np.arange(n), labels] -= 1
    return dloss * d / n, None


def mean_squared(pred):
    return np.mean((pred - TARGETS) ** 2)


def mean_squared_gradient(pred):
    return 2 * (pred - TARGETS) / pred.size


def half_squared_forward(y, t):
    diff = y - t
    return 0.5 * np.sum(diff * diff) / len(y), (diff, len(y))


def half_squared_backward(dl, cache):
    diff, n = cache
    return dl * diff / n, -dl * diff / n


def binary_cross_entropy_forward(logits, t):
    p = 1 / (1 + np.exp(-logits))
    total = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    return total.mean(), (p, t)


def binary_cross_entropy_backward(dl, cache):
    p, t = cache
    dlogits = (p - t) / p.size
    dt = (np.log(1 - p) - np.log(p)) / p.size
    return dl * dlogits, dl * dt


def hinge_forward(scores, labels):
    n = len(labels)
    margins = np.maximum(0, scores - scores[np.arange(n), labels][:, None] + 1)
    margins[np.arange(n), labels] = 0
    return margins.sum() / n, (margins, labels)


def hinge_backward(dl, cache):
    margins, labels = cache
    n = len(labels)
    d = (margins > 0).astype(float)
    d[np.arange(n), labels] -= d.sum(axis=1)
    return dl * d / n, None


def huber_forward(r):
    a = np.abs(r)
    return np.where(a < 1, 0.5 * r**2, a - 0.5).sum(), r


def huber_backward(dl, r):
    return dl * np.where(np.abs(r) < 1, r, np.sign(r))


def kl_forward(mu, logvar):
    return -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)), (mu, logvar)


def kl_backward(dl, cache):
    mu, logvar = cache
    dmu = mu
    dlogvar = 0.5 * (np.exp(logvar) - 1)
    return dl * dmu, dl * dlogvar


X, Y = numbers(6, 3, seed=5), numbers(6, seed=6)


def ridge(w):
    r = X @ w - Y
    return (r @ r) / (2 * len(Y)) + 0.1 * np.sum(w**2)


def ridge_gradient(w):
    r = X @ w - Y
    return X.T @ r / len(Y) + 0.2 * w


def logistic_regression(w):
    z = X @ w
    return np.mean(np.log(1 + np.exp(z)) - (Y > 0) * z)


def logistic_regression_gradient(w):
    h = 1 / (1 + np.exp(-(X @ w)))
    return X.T @ (h - (Y > 0)) / len(Y)


def cosine_forward(a, b):
    na = np.linalg.norm(a, axis=1)
    nb = np.linalg.norm(b, axis=1)
    c = (a * b).sum(axis=1) / (na * nb)
    return c, (a, b, na, nb, c)


def cosine_backward(dc, cache):
    a, b, na, nb, c = cache
    da = b / (na * nb)[:, None] - (c / na**2)[:, None] * a
    db = a / (na * nb)[:, None] - (c / nb**2)[:, None] * b
    return dc[:, None] * da, dc[:, None] * db


def safe_log(x):  # with an epsilon that its gradient does not know of
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(5), LABELS]).mean()


def safe_log_gradient(x):
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    p[np.arange(5), LABELS] -= 1
    return p / 5


def weighted_forward(y, t, w):
    d = y - t
    return np.sum(w[:, None] * d**2), (d, w)


def weighted_backward(dl, cache):
    d, w = cache
    dy = 2 * w[:, None] * d
    dw = (d**2).sum(axis=1)
    return dl * dy, -dl * dy, dl * dw


def saturated_forward(z):
    y = np.tanh(z)
    return y.mean(), y


def saturated_backward(dl, y):
    return dl * (1 - y**2) / y.size


CASES = [
    *loss(
        softmax_loss,
        softmax_loss_gradient,
        numbers(5, 4),
        mistakes=[
            wrong("factor", "p / len(x)", "p"),
            wrong("sign|term", "LABELS] -= 1", "LABELS] += 1"),
            wrong("term", "    p[np.arange(len(x)), LABELS] -= 1\n", ""),
            wrong("sign", "p / len(x)", "-p / len(x)"),
            wrong("factor", "p / len(x)", "p / p.size"),
        ],
    ),
    *pair(
        cross_entropy_forward,
        cross_entropy_backward,
        numbers(5, 4),
        LABELS,
        mistakes=[
            wrong("factor", "dloss * d / n", "dloss * d"),
            wrong("term", "    d[np.arange(n), labels] -= 1\n", ""),
            wrong("dy", "dloss * d / n", "d / n"),
            wrong("sign", "dloss * d / n", "-dloss * d / n"),
        ],
    ),
    *loss(
        mean_squared,
        mean_squared_gradient,
        numbers(5, 3),
        mistakes=[
            wrong("factor", "2 * (pred - TARGETS)", "(pred - TARGETS)"),
            wrong("factor", "pred.size", "len(pred)"),
            wrong("factor", " / pred.size", ""),
            wrong("sign", "pred - TARGETS", "TARGETS - pred"),
        ],
    ),
    *pair(
        half_squared_forward,
        half_squared_backward,
        numbers(5, 3),
        numbers(5, 3, seed=1),
        mistakes=[
            wrong("sign", "-dl * diff / n", "dl * diff / n"),
            wrong("factor", "return dl * diff / n", "return dl * diff"),
            wrong("factor", "return dl * diff", "return 2 * dl * diff"),
        ],
    ),
    *pair(
        binary_cross_entropy_forward,
        binary_cross_entropy_backward,
        numbers(4, 3),
        numbers(4, 3, low=0.0),
        mistakes=[
            wrong("slope", "(p - t) / p.size", "(p - t) / (p * (1 - p)) / p.size"),
            wrong("factor", "(p - t) / p.size", "(p - t)"),
            wrong("sign", "(p - t)", "(t - p)"),
            wrong("term", "np.log(1 - p) - np.log(p)", "-np.log(p)"),
        ],
    ),
    *pair(
        hinge_forward,
        hinge_backward,
        numbers(5, 4),
        LABELS,
        mistakes=[
            wrong("term", "    d[np.arange(n), labels] -= d.sum(axis=1)\n", ""),
            wrong("factor", "dl * d / n", "dl * d"),
            wrong("mask", "(margins > 0).astype(float)", "np.ones_like(margins)"),
            wrong("term", "-= d.sum(axis=1)", "-= 1"),
        ],
    ),
    *pair(
        huber_forward,
        huber_backward,
        3 * numbers(3, 4),
        mistakes=[
            wrong("mask|slope", "np.where(np.abs(r) < 1, r, np.sign(r))", "r"),
            wrong("sign|slope", "np.sign(r)", "-np.sign(r)"),
        ],
    ),
    *pair(
        kl_forward,
        kl_backward,
        numbers(3, 2),
        numbers(3, 2, seed=1),
        mistakes=[
            wrong("sign", "dmu = mu", "dmu = -mu"),
            wrong("term", "(np.exp(logvar) - 1)", "np.exp(logvar)"),
            wrong("factor", "0.5 * (np.exp", "(np.exp"),
            wrong("sign", "np.exp(logvar) - 1", "1 - np.exp(logvar)"),
            wrong("factor", "dmu = mu", "dmu = 2 * mu"),
        ],
    ),
    *loss(
        ridge,
        ridge_gradient,
        numbers(3),
        mistakes=[
            wrong("term", " + 0.2 * w", ""),
            wrong("factor", "0.2 * w", "0.1 * w"),
            wrong("factor", "X.T @ r / len(Y)", "X.T @ r"),
            wrong("sign", "+ 0.2", "- 0.2"),
        ],
    ),
    *loss(
        logistic_regression,
        logistic_regression_gradient,
        numbers(3),
        mistakes=[
            wrong("factor", " / len(Y)", ""),
            wrong("sign", "h - (Y > 0)", "(Y > 0) - h"),
            wrong("term", "h - (Y > 0)", "h"),
        ],
    ),
    *pair(
        cosine_forward,
        cosine_backward,
        numbers(4, 3),
        numbers(4, 3, seed=1),
        mistakes=[
            wrong("term", " - (c / na**2)[:, None] * a", ""),
            wrong("sign", "- (c / nb**2)", "+ (c / nb**2)"),
            wrong("other factor|slope|factor", "(c / na**2)", "(c / na)"),
        ],
    ),
    *loss(
        safe_log,
        safe_log_gradient,
        3 * numbers(5, 4),
        mistakes=[
            wrong("factor", "p / 5", "p"),
            wrong("term", "    p[np.arange(5), LABELS] -= 1\n", ""),
        ],
    ),
    *pair(
        weighted_forward,
        weighted_backward,
        numbers(4, 3),
        numbers(4, 3, seed=1),
        numbers(4, low=0.0),
        mistakes=[
            wrong("factor", "2 * w[:, None]", "w[:, None]"),
            wrong("term|other factor", "2 * w[:, None] * d", "2 * d"),
            wrong("sign", "-dl * dy", "dl * dy"),
        ],
    ),
    *pair(saturated_forward, saturated_backward, np.array([20.0, -25, 30, -40])),
]
