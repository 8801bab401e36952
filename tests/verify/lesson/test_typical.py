"""Mistakes that students make again and again: each has its sentence, the right gradient none."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import gradcheck

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.standard_normal(shape)


def sigmoid(z):
    y = 1 / (1 + np.exp(-z))
    return y, y


def stable_sigmoid(z):
    e = np.exp(-np.abs(z))
    y = np.where(z >= 0, 1 / (1 + e), e / (1 + e))
    return y, y


def tanh(z):
    y = np.tanh(z)
    return y, y


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p


def right_softmax(dy, p):
    return p * (dy - (dy * p).sum(axis=1, keepdims=True))


def cross_entropy(z, t):
    p = softmax(z)[0]
    return -np.log(p[np.arange(len(t)), t]).mean(), (p, t)


def from_logits(z, t):
    m = z - z.max(axis=1, keepdims=True)
    losses = np.log(np.exp(m).sum(axis=1)) - m[np.arange(len(t)), t]
    return losses.mean(), (softmax(z)[0], t)


def labels_backward(where):
    def backward(dloss, cache):
        p, t = cache
        dz = p.copy()
        if where == "own":
            dz[np.arange(len(t)), t] -= 1
        elif where == "columns":
            dz[:, t] -= 1
        elif where == "added":
            dz[np.arange(len(t)), t] += 1
        return dloss * dz / len(t)

    return backward


def layer_norm(x, g, b):
    m, v = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    s = np.sqrt(v + 1e-5)
    x_hat = (x - m) / s
    return g * x_hat + b, (x_hat, s, g)


def layer_norm_backward(axis):
    def backward(dy, cache):
        x_hat, s, g = cache
        d = dy * g
        inner = d - d.mean(axis, keepdims=True) - x_hat * (d * x_hat).mean(axis, keepdims=True)
        return inner / s, (dy * x_hat).sum(axis=0), dy.sum(axis=0)

    return backward


def batch_norm(x, g, b):
    m = x.mean(axis=0)
    v = ((x - m) ** 2).mean(axis=0)
    s = np.sqrt(v + 1e-5)
    x_hat = (x - m) / s
    return g * x_hat + b, (x_hat, s, g)


def batch_norm_backward(mean, var):
    def backward(dy, cache):
        x_hat, s, g = cache
        d = dy * g
        inner = d - mean * d.mean(axis=0) - var * x_hat * (d * x_hat).mean(axis=0)
        return inner / s, (dy * x_hat).sum(axis=0), dy.sum(axis=0)

    return backward


def tied(x, W):
    h = np.tanh(x @ W)
    return h @ W.T, (x, W, h)


def tied_backward(encoder, decoder, turned=False):
    def backward(dy, cache):
        x, W, h = cache
        dz = dy @ W * (1 - h * h)
        back = dy.T @ h
        return dz @ W.T, encoder * (x.T @ dz) + decoder * (back.T if turned else back)

    return backward


def sampled(mu, log_var, noise):
    return mu + np.exp(0.5 * log_var) * noise, (log_var, noise)


sampled.constants = ("noise",)


def affine(x, W, b):
    return x @ W + b, (x, W)


def affine_backward(dx, db):
    def backward(dy, cache):
        x, W = cache
        return dx(dy, W), x.T @ dy, db(dy, x)

    return backward


def embedded(E, ids):
    return E[ids], (E.shape, ids)


def lost(dy, cache):
    shape, ids = cache
    dE = np.zeros(shape)
    dE[ids] += dy
    return dE


def counted(dy, cache):
    shape, ids = cache
    dE = np.zeros(shape)
    np.add.at(dE, ids, dy)
    return dE


LABELS = np.array([0, 1, 2, 1, 0])
MEAN = lambda dy, x: dy.mean(axis=0)  # noqa: E731
SUM = lambda dy, x: dy.sum(axis=0)  # noqa: E731
TURNED = lambda dy, W: dy @ W.T  # noqa: E731
OF_DW = lambda dy, x: (x.T @ dy).sum(axis=0) / len(dy)  # noqa: E731
NORM = normal(6, 3), normal(3), normal(3)

# forward, right backward, arguments; then wrong backwards: which argument, and what is said
TYPICAL = [
    (
        sigmoid,
        lambda dy, y: dy * y * (1 - y),
        (normal(4, 3),),
        [(lambda dy, y: dy * y * (1 + y), "z", "sigmoid is y (1 - y), and its sign is a plus")],
    ),
    (
        stable_sigmoid,
        lambda dy, y: dy * y * (1 - y),
        (normal(4, 3),),
        [(lambda dy, y: dy * y * (1 + y), "z", "sigmoid is y (1 - y), and its sign is a plus")],
    ),
    (
        tanh,
        lambda dy, y: dy * (1 - y * y),
        (normal(4, 3),),
        [(lambda dy, y: dy * (1 + y * y), "z", "tanh is 1 - y^2, and its sign is a plus")],
    ),
    (
        softmax,
        right_softmax,
        (normal(4, 4),),
        [
            (lambda dy, p: dy * p * (1 - p), "z", "only the diagonal of the softmax's derivative"),
            (lambda dy, p: dy, "z", "the derivative of the softmax is missing"),
            (
                lambda dy, p: p * (dy - (dy * p).sum(axis=0)),
                "z",
                "the softmax is over axis 1, and in its derivative the sum is over axis 0",
            ),
            (
                lambda dy, p: p * (dy - (dy * p).sum()),
                "z",
                "the softmax is over axis 1, and in its derivative the sum is over axes 0 and 1",
            ),
        ],
    ),
    (
        cross_entropy,
        labels_backward("own"),
        (normal(5, 3), LABELS),
        [
            (labels_backward("nowhere"), "z", "your dz is p alone: the 1 that is taken off"),
            (labels_backward("columns"), "z", "the 1 is taken off in the columns of all labels"),
            (labels_backward("added"), "z", "the 1 is added at the label"),
        ],
    ),
    (
        from_logits,
        labels_backward("own"),
        (normal(5, 3), LABELS),
        [(labels_backward("nowhere"), "z", "your dz is p alone: the 1 that is taken off")],
    ),
    (
        layer_norm,
        layer_norm_backward(-1),
        (normal(4, 3), normal(3), normal(3)),
        [(layer_norm_backward(0), "x", "its means over axis 0: the normalisation is over axis 1")],
    ),
    (
        batch_norm,
        batch_norm_backward(1, 1),
        NORM,
        [
            (batch_norm_backward(0, 0), "x", "is missing: they are no constants"),
            (
                batch_norm_backward(1, 0),
                "x",
                "through `((x - m) ** 2).mean(axis=0)` is missing: a term",
            ),
            (batch_norm_backward(0, 1), "x", "through x in `x.mean(axis=0)` is missing: a term"),
            (layer_norm_backward(-1), "x", "its means over axis 1: the normalisation is over axis"),
        ],
    ),
    (
        tied,
        tied_backward(1, 1),
        (normal(5, 3), normal(3, 3)),
        [
            (tied_backward(1, 0), "W", "through W in `h @ W.T` is missing: a term of the sum"),
            (tied_backward(0, 1), "W", "through W in `x @ W` is missing: a term of the sum"),
            (tied_backward(1, 1, True), "W", "through W in `h @ W.T`, what belongs to it is trans"),
        ],
    ),
    (
        sampled,
        lambda dy, c: (dy, 0.5 * dy * np.exp(0.5 * c[0]) * c[1]),
        (normal(4, 3), normal(4, 3), normal(4, 3)),
        [
            (
                lambda dy, c: (dy, dy * np.exp(0.5 * c[0]) * c[1]),
                "log_var",
                "2 times too large: the factor 0.5 in `0.5 * log_var` is missing",
            ),
            (
                lambda dy, c: (dy, 0.5 * dy * np.exp(0.5 * c[0])),
                "log_var",
                "the other factor is missing as the factor",
            ),
        ],
    ),
    (
        affine,
        affine_backward(TURNED, SUM),
        (normal(5, 3), normal(3, 3), normal(3)),
        [
            (affine_backward(lambda dy, W: dy @ W, SUM), "x", "W is transposed where it should"),
            (affine_backward(TURNED, MEAN), "b", "5 is the batch size, was a sum turned into a"),
            (affine_backward(TURNED, OF_DW), "b", "made of the gradient of W, summed over axis 0"),
        ],
    ),
    (
        embedded,
        counted,
        (normal(6, 3), np.array([1, 2, 1, 4, 1])),
        [(lost, "E", "which occurs 3 times in ids: was `+=` used with repeated indices?")],
    ),
]
WRONG = [
    pytest.param(forward, args, *row, id=f"{forward.__name__}-{k}")
    for forward, _, args, rows in TYPICAL
    for k, row in enumerate(rows)
]


@pytest.mark.parametrize(("forward", "args", "wrong", "name", "sentence"), WRONG)
def test_each_has_its_sentence(forward, args, wrong, name, sentence):
    report = gradcheck(forward, wrong, *args, budget=30)
    failed = {t.name: t.diagnosis for t in report.tensors if t.verdict == "fail"}
    assert list(failed) == [name]
    assert sentence in failed[name][0], failed[name]


@pytest.mark.parametrize("row", TYPICAL, ids=lambda row: row[0].__name__)
def test_what_is_right_is_told_nothing(row):
    forward, right, args, _ = row
    report = gradcheck(forward, right, *args)
    assert report and not any(t.diagnosis for t in report.tensors)


@pytest.mark.parametrize("row", TYPICAL, ids=lambda row: row[0].__name__)
def test_what_nothing_explains_is_told_nothing(row):
    """Noise of the size of the gradient is no mistake that anybody makes."""
    forward, right, args, _ = row
    noise = np.random.default_rng(5)

    def wrong(dy, cache):
        found = right(dy, cache)
        first = found[0] if isinstance(found, tuple) else found
        spoilt = first * noise_of(first.shape)
        return (spoilt, *found[1:]) if isinstance(found, tuple) else spoilt

    def noise_of(shape, made={}):  # noqa: B006
        return made.setdefault(shape, noise.uniform(0.5, 2.0, shape))

    report = gradcheck(forward, wrong, *args)
    assert report.verdict == "fail"
    assert report.tensors[0].diagnosis == []
