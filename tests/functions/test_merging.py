"""Addition, concatenation, reshaping: where numbers go, and who is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    add_backward,
    add_forward,
    concatenate_backward,
    concatenate_forward,
    reshape_backward,
    reshape_forward,
)


def test_add_hands_the_gradient_to_every_path():
    y, cache = add_forward(np.ones((2, 3)), np.full((2, 3), 2.0), np.full((2, 3), 4.0))
    np.testing.assert_array_equal(y, np.full((2, 3), 7.0))
    dy = np.arange(6.0).reshape(2, 3)
    for dx in add_backward(dy, cache):
        np.testing.assert_array_equal(dx, dy)


@given(sizes=st.lists(st.integers(0, 3), min_size=1, max_size=4), axis=st.integers(-3, 2))
def test_concatenate_backward_cuts_where_forward_joined(sizes, axis):
    rng = np.random.default_rng(0)
    shapes = [[2, 3, 4] for _ in sizes]
    for shape, size in zip(shapes, sizes, strict=True):
        shape[axis] = size
    xs = [rng.standard_normal(shape) for shape in shapes]
    y, cache = concatenate_forward(*xs, axis=axis)
    for x, dx in zip(xs, concatenate_backward(y, cache), strict=True):
        np.testing.assert_array_equal(dx, x)


def test_reshape_goes_there_and_back():
    x = np.arange(12.0).reshape(2, 6)
    y, cache = reshape_forward(x, (3, 2))
    np.testing.assert_array_equal(y, x.reshape(2, 3, 2))
    np.testing.assert_array_equal(reshape_backward(y, cache), x)
    y, _ = reshape_forward(np.zeros((0, 6)), (3, 2))
    assert y.shape == (0, 3, 2)


def test_refusals():
    a, b = np.zeros((2, 3)), np.zeros((4, 5))
    with pytest.raises(ValueError, match=r"add_forward: xs\[1\] is \(4, 5\), expected \(2, 3\)$"):
        add_forward(a, b)
    with pytest.raises(ValueError, match="add_forward: no arrays came, expected one or more"):
        add_forward()
    with pytest.raises(ValueError, match="concatenate_forward: no arrays came"):
        concatenate_forward()
    with pytest.raises(ValueError) as caught:
        concatenate_forward(a, b)
    assert str(caught.value) == (
        "concatenate_forward: xs[1] is (4, 5), expected the shape of xs[0], (2, 3), but "
        "along axis -1"
    )
    with pytest.raises(ValueError, match=r"axis is 2, but xs\[0\] is \(2, 3\), which has 2 axes"):
        concatenate_forward(a, a, axis=2)
    with pytest.raises(TypeError, match=r"xs\[1\] is float32 but xs\[0\] is float64"):
        concatenate_forward(a, a.astype("float32"))
    with pytest.raises(ValueError) as caught:
        reshape_forward(a, (2, 2))
    assert str(caught.value) == (
        "reshape_forward: x is (2, 3), expected (N, ...) with 4 numbers in each sample because "
        "shape is (2, 2)"
    )


def test_a_foreign_dy_is_refused():
    a = np.zeros((2, 3))
    for forward, arguments in (
        (add_forward, (a, a)),
        (concatenate_forward, (a, a)),
        (reshape_forward, (a, (3, 1))),
    ):
        _, cache = forward(*arguments)
        with pytest.raises(ValueError, match=r"dy is \(7,\), expected"):
            forward.backward(np.zeros(7), cache)
