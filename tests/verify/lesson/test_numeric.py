"""``numerical_gradient``, against derivatives known from the blackboard."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import numerical_gradient

RNG = np.random.default_rng(0)


def test_a_quadratic_form():
    A = RNG.standard_normal((4, 4))
    x = RNG.standard_normal(4)
    np.testing.assert_allclose(numerical_gradient(lambda x: x @ A @ x, x), (A + A.T) @ x, rtol=1e-9)


def test_the_cotangent_weighs_the_outputs():
    A, x, dy = RNG.standard_normal((3, 4)), RNG.standard_normal(4), RNG.standard_normal(3)
    np.testing.assert_allclose(numerical_gradient(lambda x: A @ x, x, dy), A.T @ dy, rtol=1e-9)


def test_several_outputs_are_a_tuple():
    x, dy = RNG.standard_normal((2, 3)), (RNG.standard_normal((2, 3)), 2.0)
    numeric = numerical_gradient(lambda x: (np.sin(x), np.sum(x**2)), x, dy)
    np.testing.assert_allclose(numeric, dy[0] * np.cos(x) + 4 * x, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_ten_digits_at_every_size_of_x(scale):
    x = scale * RNG.uniform(1, 2, 5)
    np.testing.assert_allclose(
        numerical_gradient(lambda x: np.sum(x**2), x), 2 * x, rtol=1e-9, atol=1e-10
    )


def test_x_is_not_written_to_even_when_f_fails():
    x = RNG.standard_normal(3)
    x.flags.writeable = False
    before = x.copy()
    seen = []

    def f(x):
        seen.append(x)
        if len(seen) > 3:
            raise ZeroDivisionError
        return np.sum(x)

    with pytest.raises(ZeroDivisionError):
        numerical_gradient(f, x)
    np.testing.assert_array_equal(x, before)
    assert not any(np.shares_memory(x, given) for given in seen)


def test_float32_is_refused():
    with pytest.raises(TypeError, match="x is float32, expected float64"):
        numerical_gradient(np.sum, np.ones(2, "float32"))


def test_as_many_cotangents_as_outputs():
    with pytest.raises(ValueError, match="zip"):
        numerical_gradient(lambda x: (x, x), np.ones(2), (1.0,))
