"""Right gradients of functions that are not defined everywhere, not in float64 throughout, or far
from size 1: none of them may fail, and what has no derivative at all is called inconclusive."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import gradcheck

RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.standard_normal(shape)


def strict_log(x):
    if (x <= 0).any():
        raise ValueError("log of what is not positive")
    return np.log(x), x


MIXED = np.array([1e-6, 0.3, 2.0, 1e-3])


@pytest.mark.parametrize("log", [lambda x: (np.log(x), x), strict_log])
def test_a_small_element_beside_large_ones_at_the_edge_of_a_domain(log):
    assert gradcheck(log, lambda dy, x: dy / x, MIXED)
    assert gradcheck(log, lambda dy, x: dy / x**1.01, MIXED).verdict == "fail"


def test_a_pole_nearer_than_the_first_step():
    def divide(a, b):
        return a / b, (a, b)

    b = np.array([1e-5, 1.0, -2.0, 1e5, 0.5])
    right = gradcheck(divide, lambda dy, c: (dy / c[1], -dy * c[0] / c[1] ** 2), normal(5), b)
    assert right, right
    wrong = gradcheck(divide, lambda dy, c: (dy / c[1], dy * c[0] / c[1] ** 2), normal(5), b)
    assert wrong.tensors[1].n_wrong == 5


def test_a_cholesky_factor_of_what_is_no_longer_positive_definite():
    a = normal(3, 3)

    def cholesky(a):
        factor = np.linalg.cholesky(a)
        return factor, factor

    def backward(dy, factor):
        p = np.tril(factor.T @ dy)
        p[np.diag_indices(3)] /= 2
        inverse = np.linalg.inv(factor)
        s = inverse.T @ p @ inverse
        return np.tril(s + s.T) - np.diag(np.diag(s))

    report = gradcheck(cholesky, backward, a @ a.T + np.eye(3))
    assert report, report


def test_units_that_are_as_many_as_the_samples():
    """With one sample, a bias of N units must not be cut as if it held N samples."""
    report = gradcheck(
        lambda x, b: (x + b, None),
        lambda dy, _: (dy.copy(), dy.sum(axis=0)),
        normal(4, 4),
        normal(4),
    )
    assert report, report


@pytest.mark.parametrize("size", [1e-310, 1e-150, 1e150, 1e300])
def test_sizes_at_the_ends_of_float64(size):
    report = gradcheck(lambda x: (3 * x, None), lambda dy, _: 3 * dy, normal(4) * size)
    # the square of 1e300 is no number, so rounding cannot be told from a change there
    assert report.verdict == ("inconclusive" if size == 1e300 else "pass"), report


@pytest.mark.parametrize("through", [np.float32, float])
def test_a_forward_that_computes_in_float32_inside(through):
    def square(x):
        y = np.zeros(x.shape, np.float32)
        y[...] = x**2
        return y.astype(through), x

    right = gradcheck(square, lambda dy, x: 2 * x * dy, normal(5) + 3)
    assert right, right
    assert any("rounds to" in note for note in right.notes)
    assert gradcheck(square, lambda dy, x: 2.02 * x * dy, normal(5) + 3).verdict == "fail"


def test_zero_gradients_that_a_complex_step_confirms():
    x = np.array([0.0, 1.0, -2.0])
    assert gradcheck(lambda x: (x**3, x), lambda dy, x: 3 * x**2 * dy, x)
    y = np.array([300.0, -300.0, 0.0])
    assert gradcheck(lambda x: (np.exp(x), np.exp(x)), lambda dy, y: dy * y, y)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("x", "says"), [(-1.0, "the output is nan at [1]"), (np.nan, "x is nan at [1]")]
)
def test_no_derivative_is_no_mistake(x, says):
    report = gradcheck(lambda x: (np.log(x), x), lambda dy, x: dy / x, np.array([2.0, x]))
    assert report.verdict == "inconclusive"
    assert says in str(report)


@pytest.mark.parametrize("seed", range(5))
def test_many_kinks_along_one_direction(seed):
    """Activations after a relu, half of them zeros, into the next: too many for one by one. What
    a kink does to the differences is not the forward's noise."""
    x = np.maximum(np.random.default_rng(seed).standard_normal(5000), 0)

    def relu(x):
        return np.maximum(x, 0), x

    right = gradcheck(relu, lambda dy, x: dy * (x > 0), x)
    assert right, right
    assert "redrawn" in str(right)
    assert gradcheck(relu, lambda dy, x: 1.3 * dy * (x > 0), x).verdict == "fail"


def test_a_tied_maximum_counted_twice():
    """Each of the tied elements alone could be the one; all together they are too much."""
    x = np.array([[1.0, 1.0, 0.0], [0.2, 0.5, 0.3], [0.0, 2.0, 2.0]])

    def largest(x):
        y = x.max(axis=1)
        return y, x == y[:, None]

    twice = gradcheck(largest, lambda dy, tied: dy[:, None] * tied, x)
    assert twice.verdict == "fail", twice
    assert gradcheck(largest, lambda dy, m: dy[:, None] * m / m.sum(axis=1, keepdims=True), x)


def test_probabilities_near_zero_among_many():
    x = np.exp(-30 * RNG.random(3000))
    assert gradcheck(lambda x: (np.log(x), x), lambda dy, x: dy / x, x).verdict != "fail"
    x[:10] = 1e-30
    assert gradcheck(lambda x: (np.log(x), x), lambda dy, x: dy / x, x).verdict != "fail"


def test_an_output_that_is_what_two_nearly_equal_numbers_left():
    """gelu at -5 is known to eight digits less than its last one."""
    a, b = 0.79788456, 0.044715

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(a * (x + b * x**3))), x

    def backward(dy, x):
        t = np.tanh(a * (x + b * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * a * (1 + 3 * b * x**2))

    x = np.array([-5.2, -4.93, -4.0, 1.0, 0.5])
    assert gradcheck(gelu, backward, x).verdict != "fail"
    wrong = gradcheck(gelu, lambda dy, x: 1.1 * backward(dy, x), x)
    assert wrong.verdict == "fail"


def test_one_sample_far_out_on_a_tail():
    """With N = 1 nothing else covers what log(1 + exp(-17)) has lost."""

    def softplus(x):
        return np.log(1 + np.exp(x)), x

    rng = np.random.default_rng(0)
    for _ in range(20):
        x = np.array([rng.uniform(-20, -14), 0.5, 1.0])
        report = gradcheck(softplus, lambda dy, x: dy / (1 + np.exp(-x)), x)
        assert report.verdict != "fail", report
