"""The cause that is told of a wrong gradient is its cause; where none is known, none is told."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gradcheck_cases import WRITTEN
from benchmarks.gradcheck_cases.causes import judge
from minienc.verify import gradcheck

RNG = np.random.default_rng(8)


def normal(*shape):
    return RNG.standard_normal(shape)


def rnn(x, W, U):
    h, hs = np.zeros((len(x), len(U))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ W + h @ U)
        hs.append(h)
    return np.stack(hs, axis=1), (x, W, U, hs)


def rnn_backward(dy, cache, mistake=""):
    x, W, U, hs = cache
    dx, dW, dU = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
    dh = np.zeros_like(hs[0])
    for t in reversed(range(len(hs))):
        dz = (dy[:, t] + dh) * (1 if mistake == "slope" else 1 - hs[t] ** 2)
        before = hs[t - 1] if t else np.zeros_like(hs[0])
        dx[:, t] = dz @ W.T
        dW += x[:, t].T @ dz
        if mistake == "=":
            dW = x[:, t].T @ dz
        dU += (hs[t] if mistake == "later" else before).T @ dz
        dh = dz @ (U if mistake == "transposed" else U.T) * (mistake != "not carried")
        if mistake == "left":
            break
    return dx, dW, dU


@pytest.mark.parametrize(
    ("mistake", "name", "sentence"),
    [
        ("slope", "W", "the activation's derivative is missing (`np.tanh(x[:, t] @ W + h @ U)`)"),
        ("=", "W", "of the 4 turns of the loop over `x[:, t] @ W` only the first counts: is `=`"),
        ("later", "U", "off by one in time"),
        ("transposed", "W", "U is transposed where it should not be, or not where it should"),
        ("not carried", "U", "nothing is passed back from step to step through"),
        ("not carried", "x", "nothing comes back from one place along axis 1 to another"),
        ("left", "x", "only the last place along axis 1 of your dx is written, and right"),
        ("left", "W", "only the last counts"),
    ],
)
def test_through_time(mistake, name, sentence):
    x, W, U = normal(3, 4, 2), normal(2, 3), normal(3, 3)
    assert gradcheck(rnn, rnn_backward, x, W, U)
    report = gradcheck(rnn, lambda dy, c: rnn_backward(dy, c, mistake), x, W, U)
    (wrong,) = [t for t in report.tensors if t.name == name]
    assert sentence in wrong.diagnosis[0]


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p


def pool(x):
    y = np.stack([x[:, t : t + 2].max(axis=1) for t in range(x.shape[1] - 1)], axis=1)
    return y, x


def overwritten(dy, x):
    dx = np.zeros_like(x)
    for n, t in np.ndindex(dy.shape):
        dx[n, t + x[n, t : t + 2].argmax()] = dy[n, t]
    return dx


def two_outputs(x):
    return (np.sin(x), x**2), x


PAIRS = {
    "`e.sum(axis=1, keepdims=True)` is missing: a term": (softmax, lambda dy, p: dy * p),
    "has the wrong sign": (softmax, lambda dy, p: p * (dy + (dy * p).sum(1, keepdims=True))),
    "Is `=` written for `+=`": (pool, overwritten),
    "comes back through output 1: a term is missing": (
        two_outputs,
        lambda dys, x: dys[0] * np.cos(x),
    ),
    "runs backwards: flip it": (lambda x: (2 * x, x), lambda dy, x: 2 * dy[:, ::-1]),
    "later than it should: off by one": (
        lambda x: (2 * x, x),
        lambda dy, x: 2 * np.roll(dy, 1, axis=1),
    ),
    "for a dy of ones": (lambda x: (x**3, x), lambda dy, x: 3 * x**2 + 0 * dy),
    "the factor 0.6 in `x * 0.6` is missing": (lambda x: (x * 0.6, x), lambda dy, x: dy / 1),
    "5 times too large: 5 is the length of axis 1 of x, is the 1/N missing": (
        lambda x: (x.sum(axis=1) / x.shape[1], x),
        lambda dy, x: np.ones_like(x) * dy[:, None],
    ),
    "J dy instead of J' dy": (
        lambda x: (np.cumsum(x, axis=1), x),
        lambda dy, x: np.cumsum(dy, axis=1),
    ),
    "the same number, 0.001, too much in each element": (
        lambda x: (x**2, x),
        lambda dy, x: 2 * x * dy + 1e-3,
    ),
    "right without the epsilon of the forward: 1e-05 in `np.abs(x) + 1e-5`": (
        lambda x: (np.log(np.abs(x) + 1e-5), x),
        lambda dy, x: dy / x,
    ),
}


@pytest.mark.parametrize("sentence", PAIRS)
def test_of_one_argument(sentence):
    forward, backward = PAIRS[sentence]
    report = gradcheck(forward, backward, normal(3, 5))
    assert report.verdict == "fail"
    assert sentence in report.tensors[0].diagnosis[0]


def test_of_another_argument():
    def f(a, b):
        return a * 2 + np.sin(b), (a, b)

    report = gradcheck(f, lambda dy, c: (2 * dy, 2 * dy), normal(3, 4), normal(3, 4))
    assert report.tensors[1].diagnosis == [
        "your db is the gradient of a: the one stands in the other's place"
    ]


def test_a_large_gradient_has_its_cause_told_too():
    x, W = normal(30, 40), normal(40, 40)

    def affine(x, W):
        return np.tanh(x @ W), (x, W)

    def backward(dy, c):
        x, W = c
        dz = dy * (1 - np.tanh(x @ W) ** 2)
        return dz @ W.T, (x.T @ dz).T

    report = gradcheck(affine, backward, 0.1 * x, 0.1 * W)
    assert report.tensors[1].method == "directions"
    assert report.tensors[1].diagnosis == ["your dW equals the transpose of the right one"]


def test_nothing_is_told_where_nothing_explains_it():
    for seed in range(5):
        noise = np.random.default_rng(seed).standard_normal((3, 4))
        for wrong in (lambda dy, p, n=noise: dy * n, lambda dy, p, n=noise: dy * (p + 0.1 * n)):
            report = gradcheck(softmax, wrong, normal(3, 4))
            assert report.verdict == "fail"
            assert report.tensors[0].diagnosis == []


def test_what_is_told_of_written_mistakes():
    """A sample of the benchmark, which counts them all: half are told, and none is told wrongly."""
    cases = [case for case in WRITTEN if not case.is_right and "conv" not in case.name][::18]
    answers = [judge(case.check(*case.given, budget=60), case.causes) for case in cases]
    assert len(answers) >= 18
    assert answers.count("wrong") == 0
    assert answers.count("right") > len(answers) / 2
