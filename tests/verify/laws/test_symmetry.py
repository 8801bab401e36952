"""Second derivatives."""

from __future__ import annotations

import numpy as np

from minienc.functions import dense_backward, dense_forward
from minienc.verify import gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


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
