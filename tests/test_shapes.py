"""``check_shapes``: what it lets through, and the whole sentences in which it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.shapes import check_shapes
from tests.guard_array import to_guard

DENSE = "x: ... D, W: D M, b: M"


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


def refusal(kind, spec, *arrays):
    """The sentence of the exception, of exactly this kind."""
    with pytest.raises((ValueError, TypeError)) as caught:
        check_shapes("f", spec, *arrays)
    assert caught.type is kind
    return str(caught.value)


# ----------------------------------------------------------------------------- what is let through


@given(
    leading=st.lists(st.integers(0, 3), max_size=3),
    d=st.integers(0, 4),
    m=st.integers(0, 4),
    bias=st.booleans(),
)
def test_whatever_fits_is_let_through(leading, d, m, bias):
    check_shapes("f", DENSE, zeros(*leading, d), zeros(d, m), zeros(m) if bias else None)


def test_an_argument_left_out_decides_nothing():
    check_shapes("f", "mask: ..., dy: ...", None, zeros(2, 3))


def test_integers_and_numbers_without_axes():
    check_shapes("f", "y: ... K, labels: ... int", zeros(2, 3), zeros(2, dtype="uint8"))
    check_shapes("f", "loss: ..., dloss: ...", np.float32(1), np.array(1, "float32"))


def test_a_number_in_the_specification_is_a_size():
    check_shapes("f", "image: N 28", zeros(5, 28))
    assert (
        refusal(ValueError, "image: N 28", zeros(5, 27)) == "f: image is (5, 27), expected (N, 28)"
    )


# --------------------------------------------------------------------------------- what is refused


def test_a_size_that_another_argument_fixes():
    assert refusal(ValueError, "x: N D, W: D M", zeros(2, 3), zeros(4, 5)) == (
        "f: W is (4, 5), expected (D, M) with D = 3 because x is (2, 3)"
    )
    assert refusal(ValueError, DENSE, zeros(2, 3), zeros(3, 5), zeros(4)) == (
        "f: b is (4,), expected (M,) with M = 5 because W is (3, 5)"
    )


def test_sizes_that_two_arguments_fix():
    arrays = zeros(2, 3), zeros(3, 5), zeros(2, 4)
    assert refusal(ValueError, "x: N D, W: D M, y: N M", *arrays) == (
        "f: y is (2, 4), expected (N, M) with N = 2 because x is (2, 3), M = 5 because W is (3, 5)"
    )


def test_too_many_or_too_few_axes():
    assert refusal(ValueError, "x: N D", zeros(3)) == "f: x is (3,), expected (N, D)"
    assert refusal(ValueError, "x: ... D", zeros()) == "f: x is (), expected (..., D)"


def test_the_same_shape_as_an_argument_before():
    assert refusal(ValueError, "y: ..., dy: ...", zeros(2, 3), zeros(2)) == (
        "f: dy is (2,), expected (2, 3)"
    )
    assert refusal(ValueError, "a: ..., b: ..., c: ...", None, zeros(2, 3), zeros(2)) == (
        "f: c is (2,), expected (2, 3)"
    )


def test_the_leading_axes_of_an_argument_before():
    labels = zeros(3, 2, dtype="int64")
    assert refusal(ValueError, "y: ... K, labels: ... int", zeros(3, 4), labels) == (
        "f: labels is (3, 2), expected (3,), for y is (3, 4)"
    )
    assert refusal(ValueError, "y: ... K, target: ... K", zeros(3, 4), zeros(2, 4)) == (
        "f: target is (2, 4), expected (..., K) with ... = (3,) and K = 4 because y is (3, 4)"
    )


def test_dtypes_that_differ_are_not_upcast():
    double = zeros(3, 5, dtype="float64")
    assert refusal(TypeError, "x: N D, W: D M", zeros(2, 3), double) == (
        "f: W is float64 but x is float32; nothing is silently upcast, so convert one of them with "
        ".astype"
    )


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "object", "<U3"])
def test_what_is_not_floating(dtype):
    assert refusal(TypeError, "x: N", zeros(2, dtype=dtype)) == (
        f"f: x is {np.dtype(dtype)}, expected float32 or float64; convert it with "
        f"x.astype(np.float32)"
    )


def test_labels_that_are_not_integers():
    assert refusal(TypeError, "labels: N int", zeros(2)) == (
        "f: labels is float32, expected integers"
    )


@pytest.mark.parametrize("value", [[1.0, 2.0], 3.0, "x"])
def test_what_is_no_array(value):
    assert refusal(TypeError, "x: N", value) == (
        f"f: x is a {type(value).__name__}, expected an array; make one with "
        f"np.asarray(x, dtype=np.float32)"
    )


def test_arrays_that_live_apart_are_named():
    x, W, b = np.zeros((2, 3)), to_guard(np.zeros((3, 4))), None
    with pytest.raises(TypeError, match=r"^f: x lives on cpu, W on guard; move one"):
        check_shapes("f", "x: N D, W: D M, b: M", x, W, b)
    check_shapes("f", "x: N D, W: D M, b: M", to_guard(x), W, b)
