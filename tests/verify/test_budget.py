"""How long a check takes: what a budget of seconds leaves out, and that nothing else does."""

from __future__ import annotations

import time

import numpy as np

from minienc.verify import gradcheck

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape)


X, W, B = normal(5, 3), normal(3, 4), normal(4)


def forward(x, W, b):
    y = np.tanh(x @ W + b)
    return y, (x, W, y)


def backward(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y * y)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def test_a_slow_forward_is_checked_within_the_budget():
    """Along directions, with what is left out told; and it fails and passes as ever."""

    def slow(x, W, b):
        time.sleep(0.002)
        return forward(x, W, b)

    x, W, b = normal(10, 8), normal(8, 20), normal(20)
    report = gradcheck(slow, backward, x, W, b, budget=1.0)
    assert report.verdict == "pass"
    assert report.seconds < 3
    assert report.left_out[0] == "the budget of 1 s was reached"
    assert "W along" in report.left_out[1] and "not element by element" in report.left_out[1]
    assert "the budget of 1 s was reached; " in str(report).splitlines()[1]
    wrong = gradcheck(slow, lambda dy, c: [-g for g in backward(dy, c)], x, W, b, budget=1.0)
    assert wrong.verdict == "fail"


def test_without_a_limit_or_in_time_nothing_is_left_out():
    for options in ({}, {"budget": 1e-9, "exhaustive": True}):
        report = gradcheck(forward, backward, X, W, B, **options)
        assert report.left_out == [] and {t.method for t in report.tensors} == {"elements"}
    hurried = gradcheck(forward, backward, X, W, B, budget=1e-9)
    assert {t.method for t in hurried.tensors} == {"directions"} and hurried
