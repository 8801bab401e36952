"""What a shrinking step shows."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import dense_backward, dense_forward, softmax_backward, softmax_forward
from minienc.verify import gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


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
