"""What is declared about a function: a surrogate, a stopped gradient."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import dense_backward, dense_forward
from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


def test_a_straight_through_estimator_is_held_to_its_declaration():
    def forward(x):
        return np.round(x), None

    def straight_through(dy, cache):
        return dy.copy()

    assert gradcheck(forward, straight_through, X).verdict == "fail"
    assert gradcheck(forward, straight_through, X, surrogate=lambda x: x.copy())
    twice = gradcheck(forward, lambda dy, c: 2 * dy, X, surrogate=lambda x: x.copy())
    assert twice.verdict == "fail"


def test_a_declared_stop_gradient():
    def forward(x, t):
        return x - t, None

    report = gradcheck(forward, lambda dy, c: (dy.copy(), None), X, X[::-1], stop_gradient="t")
    assert report and "pass: no gradient, as declared" in str(report)
    assert "pass: no gradient, as declared" in report._repr_html_()
    leaks = gradcheck(forward, lambda dy, c: (dy.copy(), -dy), X, X[::-1], stop_gradient=("t",))
    assert leaks.tensors[1].verdict == "fail"
    with pytest.raises(SubjectError, match="stop_gradient names 'z', expected one of x, t"):
        gradcheck(forward, lambda dy, c: (dy, None), X, X, stop_gradient="z")
