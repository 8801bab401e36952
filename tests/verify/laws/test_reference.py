"""A forward that is right, held against the one that is checked."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import SubjectError, gradcheck

X = np.random.default_rng(2).standard_normal((4, 3))


def square(x):
    return x**2, x


def backward(dy, x):
    return 2 * x * dy


def test_the_same_function_passes():
    assert gradcheck(square, backward, X, against=lambda x: x * x)
    assert gradcheck(square, backward, X, against=lambda x: (x * x, None))


def test_another_function_fails_though_its_gradient_is_right():
    def plus(x):
        y = x**2
        y[1, 2] += 1e-3
        return y

    report = gradcheck(square, backward, X, against=plus)
    assert report.verdict == "fail" and report.numbers == "pass"
    assert "the output is not that of plus: 1 of 12 numbers differ, at [1, 2]" in report.problems[0]
    shaped = gradcheck(square, backward, X, against=lambda x: x.ravel() ** 2)
    assert "has shape (4, 3), and that of <lambda> (12,)" in shaped.problems[0]


def test_arguments_are_handed_over_as_they_were_given():
    def forward(x, p):
        return x * p["s"], (x, p["s"])

    def scaled_backward(dy, cache):
        return dy * cache[1], {"s": (dy * cache[0]).sum(axis=0)}

    p = {"s": X[0]}
    assert gradcheck(forward, scaled_backward, X, p, against=lambda x, p: x * p["s"])
    other = gradcheck(forward, scaled_backward, X, p, against=lambda x, p: x + p["s"])
    assert other.verdict == "fail"


def test_of_an_object_by_its_inputs():
    class Layer:
        def __init__(self):
            self.W = X[:3].copy()

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dy):
            self.dW = self.x.T @ dy
            return dy @ self.W.T

    layer = Layer()
    assert gradcheck(layer, X, against=lambda x: x @ layer.W)
    assert gradcheck(layer, X, against=lambda x: x @ layer.W.T).verdict == "fail"


def test_too_few_outputs():
    with pytest.raises(SubjectError, match="gave 1 outputs, expected 2"):
        gradcheck(lambda x: (x, 2 * x, None), lambda a, b, c: a + 2 * b, X, against=lambda x: x)
