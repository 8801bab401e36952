"""Second opinions: complex steps agree, decide below the noise, and are not believed blindly."""

from __future__ import annotations

import numpy as np

from minienc.functions import dense_backward, dense_forward
from minienc.verify import gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


def test_complex_steps_are_exact_to_rounding():
    report = dense()
    gaps = [t.oracles["complex step"] for t in report.tensors]
    assert all(gap < 1e-14 for gap in gaps)
    assert "complex step: x, W, b off by at most" in str(report)


def test_a_function_that_does_not_qualify_says_why():
    report = gradcheck(lambda x: (np.abs(x), x), lambda dy, x: dy * np.sign(x), X)
    assert report
    assert "complex step: not used" in str(report)
    assert "the outputs are real" in report.oracles["complex step"]


def test_a_function_that_is_not_analytic_is_not_believed():
    report = gradcheck(lambda x: (x * np.abs(x), x), lambda dy, x: dy * 2 * np.abs(x), X)
    assert report
    assert report.tensors[0].oracles["complex step"].startswith("not used: along one direction")


def test_a_complex_step_decides_below_the_noise():
    """d/dx (1e9 + x^2) is far below the rounding of 1e9; the imaginary part does not see that."""
    x = np.array([1e-4, 2e-4])

    def forward(x):
        return np.array([1e9, 1.0]) + np.array([x[0] ** 2, x[1]]), x

    def backward(dy, x, factor=2.0):
        return np.array([factor * x[0] * dy[0], dy[1]])

    assert gradcheck(forward, backward, x).verdict == "pass"
    report = gradcheck(forward, lambda dy, x: backward(dy, x, 2.1), x)
    assert report.verdict == "fail"
    assert report.tensors[0].wrong[0].index == (0,)
    # without complex numbers there is nothing to be said
    real = gradcheck(lambda x: (forward(np.real(x))[0], x), backward, x)
    assert real.verdict == "inconclusive"
