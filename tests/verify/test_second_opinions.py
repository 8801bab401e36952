"""What stands beside the differences: complex steps, automatic differentiation, the curves of the
step, second derivatives, declared surrogates; each shown to see a mistake."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minienc.functions import dense_backward, dense_forward, softmax_backward, softmax_forward
from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


# ---------------------------------------------------------------------------------- complex step


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


# --------------------------------------------------------------------------------------- jax.vjp


def test_jax_differentiates_the_same_lines():
    pytest.importorskip("jax")
    report = dense(oracle="jax")
    assert all(t.oracles["jax.vjp"] < 1e-14 for t in report.tensors)
    report = gradcheck(lambda x: (np.linalg.svd(x)[1], x), lambda dy, x: x, X, oracle="jax")
    assert "cannot be traced" in report.oracles["jax.vjp"]


def test_an_unknown_oracle_is_refused():
    with pytest.raises(SubjectError, match="oracle is 'delphi', expected 'jax'"):
        dense(oracle="delphi")


# ---------------------------------------------------------------------------------------- Taylor


def test_the_slope_of_the_remainder():
    assert [t.taylor.verdict for t in dense().tensors] == ["right", "right", "right"]
    assert dense().tensors[0].taylor.slope == pytest.approx(2, abs=0.2)
    wrong = gradcheck(
        dense_forward,
        lambda dy, c: tuple(1.001 * g for g in dense_backward(dy, c)),
        X,
        W,
        B,
        activation="tanh",
    )
    assert [t.taylor.verdict for t in wrong.tensors] == ["wrong"] * 3
    assert wrong.tensors[0].taylor.slope == pytest.approx(1, abs=0.2)
    linear = gradcheck(dense_forward, dense_backward, X, W, B)
    assert {str(t.taylor) for t in linear.tensors} == {"flat"}


def test_the_v_curve_has_a_valley_or_a_plateau():
    right = next(t for t in dense().tensors if t.v_curve)
    errors = [e for _, e in right.v_curve]
    assert min(errors) < 1e-6 * max(errors)
    wrong = gradcheck(softmax_forward, lambda dy, c: 2 * softmax_backward(dy, c), X)
    errors = [e for _, e in wrong.tensors[0].v_curve]
    assert min(errors) > 0.2 * np.median(errors)


# ----------------------------------------------------------------------------------- second order


def test_the_hessian_of_a_function_is_symmetric():
    assert any("symmetric" in note for note in dense(second_order=True).notes)


def test_a_field_that_is_the_gradient_of_nothing():
    """At x = 0 it has the right value, 0, but it turns: no function has it as its gradient."""
    x = np.array([1.0, 1.0])

    def rotation(x):
        return 2 * x + np.array([x[1] - 1, -(x[0] - 1)])

    assert gradcheck(lambda x: np.sum(x**2), x, gradient=rotation).verdict == "pass"
    report = gradcheck(lambda x: np.sum(x**2), x, gradient=rotation, second_order=True)
    assert report.verdict == "fail"
    assert "the gradient of no function" in report.problems[0]


def test_hessian_vector_products_of_a_quadratic():
    from minienc.verify.adapters.recognize import make_subject
    from minienc.verify.laws.symmetry import hessian_vector_product

    A = RNG.standard_normal((3, 3))
    subject = make_subject(
        lambda x: x @ A @ x / 2, (B[[0, 1, 1]],), gradient=lambda x: (A + A.T) @ x / 2, options={}
    )
    u = RNG.standard_normal(3)
    product = hessian_vector_product(subject, subject.arguments, (np.array(1.0),), {"x": u})
    np.testing.assert_allclose(product["x"], (A + A.T) @ u / 2, rtol=1e-9)


# ------------------------------------------------------------------------------------- surrogates


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
    assert report
    leaks = gradcheck(forward, lambda dy, c: (dy.copy(), -dy), X, X[::-1], stop_gradient=("t",))
    assert leaks.tensors[1].verdict == "fail"
    with pytest.raises(SubjectError, match="stop_gradient names 'z', expected one of x, t"):
        gradcheck(forward, lambda dy, c: (dy, None), X, X, stop_gradient="z")


# ------------------------------------------------------------------------- pages, JSON and layouts


def test_the_page_and_the_notebook(tmp_path):
    report = gradcheck(softmax_forward, lambda dy, c: 2 * softmax_backward(dy, c), X)
    report.save_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert report._repr_html_() in page
    assert "<svg" in page and "http" not in page and "<script" not in page
    assert "2 times what it should be" in page
    assert math.isfinite(report.tensors[0].v_curve[0][1])
    assert '"v_curve"' in report.to_json()


def test_names_are_escaped():
    def f(x):
        return x * 1, None

    f.__name__ = "<b>&"
    assert "<b>&" not in gradcheck(f, lambda dy, c: 2 * dy, X)._repr_html_()


@pytest.mark.parametrize(
    ("problem", "backward"),
    {
        "Fortran order": lambda dy, x: np.ravel(dy, "K").reshape(dy.shape, order="C").copy(),
        "negative strides": lambda dy, x: dy * np.sign(dy.strides[0]),
        "every second column": lambda dy, x: dy * (dy.strides[-1] == 8 or dy.strides[0] == 8),
        "read-only": lambda dy, x: np.multiply(dy, 1, out=dy if dy.base is None else None).copy(),
    }.items(),
)
def test_a_layout_that_changes_the_result(problem, backward):
    report = gradcheck(lambda x: (x.copy(), x), backward, X)
    assert report.verdict == "fail"
    assert any(problem in sentence for sentence in report.problems), report.problems


def test_arrays_of_ones_rows_are_layouts_too():
    assert gradcheck(dense_forward, dense_backward, X, W, B, activation="gelu")
