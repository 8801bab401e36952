"""Arrays laid out in every way."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import dense_backward, dense_forward
from minienc.verify import gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


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
