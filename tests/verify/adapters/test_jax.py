"""JAX: its functions, and its differentiation as an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import dense_backward, dense_forward
from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


def test_functions_of_jax():
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def wrong(x):
        return x**2

    wrong.defvjp(lambda x: (x**2, x), lambda x, dy: (3 * x * dy,))
    x = jax.numpy.asarray(X)
    assert gradcheck(lambda x, w: jax.numpy.tanh(x @ w), x, jax.numpy.ones((3, 2)) / 3)
    assert gradcheck(wrong, x).verdict == "fail"


SPOILS = {"right": lambda g: g, "zero": lambda g: 0 * g, "twice": lambda g: 2 * g}
SPOILS["turned"] = lambda g: g.T


@pytest.mark.parametrize("spoil", SPOILS)
def test_gradients_by_hand_of_jax_arrays(spoil):
    """A jax.custom_vjp directly; its two rules as a pair; gradient=."""
    jax = pytest.importorskip("jax")
    square = jax.numpy.asarray(RNG.standard_normal((3, 3)))

    @jax.custom_vjp
    def cube(x):
        return x**3

    def forward(x):
        return x**3, x

    def backward(x, dy):
        return (SPOILS[spoil](3 * x**2 * dy),)

    cube.defvjp(forward, backward)
    for report in (
        gradcheck(cube, square),
        gradcheck(forward, lambda cache, dy: backward(cache, dy)[0], square),
        gradcheck(lambda w: (w**2).sum(), square, gradient=lambda w: SPOILS[spoil](2 * w)),
    ):
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)


def test_jax_differentiates_the_same_lines():
    pytest.importorskip("jax")
    report = dense(oracle="jax")
    assert all(t.oracles["jax.vjp"] < 1e-14 for t in report.tensors)
    report = gradcheck(lambda x: (np.linalg.svd(x)[1], x), lambda dy, x: x, X, oracle="jax")
    assert "cannot be traced" in report.oracles["jax.vjp"]


def test_an_unknown_oracle_is_refused():
    with pytest.raises(SubjectError, match="oracle is 'delphi', expected 'jax'"):
        dense(oracle="delphi")
