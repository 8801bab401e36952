"""``check_shapes``: what it lets through, and the whole sentences in which it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.shapes import Form, check_shapes
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


def test_booleans_and_lengths():
    x, lengths = zeros(3, 5, 2), np.array([5, 0, 3])
    check_shapes("f", "x: N T D, mask: N T bool", x, zeros(3, 5, dtype="bool"))
    check_shapes("f", "x: N T D, lengths: N int <= T", x, lengths)
    check_shapes("f", "y: ... K, labels: ... int < K", zeros(2, 3), np.array([0, 2], "uint8"))
    check_shapes("f", "tokens: N T int < 256", np.full((2, 3), 255))
    check_shapes("f", "x: N T, lengths: N int <= T", zeros(0, 5), zeros(0, dtype="int64"))


def test_a_plain_number_may_stand_for_an_array_where_it_says_so():
    spec = "loss: ..., dloss: ... number"
    for number in (1, 0.5):
        check_shapes("f", spec, zeros(4), number)
    check_shapes("f", spec, zeros(4), zeros(4))
    assert refusal(ValueError, spec, zeros(4), zeros(3)) == "f: dloss is (3,), expected (4,)"
    assert refusal(TypeError, spec, zeros(4), True).startswith("f: dloss is a bool, expected")
    assert refusal(TypeError, spec, 1.0, 1.0).startswith("f: loss is a float, expected an array")


def test_the_form_of_an_array_stands_for_it():
    form = Form((2, 3), np.dtype("float32"))
    check_shapes("f", "y: ..., dy: ...", form, zeros(2, 3))
    check_shapes("f", "y: N M, dy: N M", form, to_guard(zeros(2, 3)))
    assert refusal(ValueError, "y: N M, dy: N M", form, zeros(2, 4)) == (
        "f: dy is (2, 4), expected (N, M) with N = 2 and M = 3 because y is (2, 3)"
    )
    assert refusal(TypeError, "y: ..., dy: ...", form, zeros(2, 3, dtype="float64")) == (
        "f: dy is float64 but y is float32; nothing is silently upcast, so convert one of them "
        "with .astype"
    )


def test_good_arrays_are_looked_at_in_one_function():
    """It is called for every primitive, twice a step: no other function of minienc is entered."""
    entered = []

    def listen(frame, event, _):
        if event == "call" and "minienc" in frame.f_globals["__name__"]:
            entered.append(frame.f_code.co_name)

    arrays = zeros(2, 3), zeros(3, 4), None
    check_shapes("f", "x: ... D, W: D M, b: M", *arrays)
    sys.setprofile(listen)
    check_shapes("f", "x: ... D, W: D M, b: M", *arrays)
    sys.setprofile(None)
    assert entered == ["check_shapes"]


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


def test_what_is_not_boolean():
    assert refusal(TypeError, "x: N T, mask: N T bool", zeros(2, 3), zeros(2, 3)) == (
        "f: mask is float32, expected booleans; make them with a comparison, such as mask != 0"
    )


def test_integers_out_of_range():
    x = zeros(2, 5, 3)
    assert refusal(ValueError, "x: N T D, lengths: N int <= T", x, np.array([5, 6])) == (
        "f: lengths[1] is 6, expected 0 to 5 because x is (2, 5, 3)"
    )
    labels = np.array([[0, 2], [-1, 3]])
    assert refusal(ValueError, "y: ... K, labels: ... int < K", zeros(2, 2, 3), labels) == (
        "f: labels[1, 0] is -1, expected 0 to 2 because y is (2, 2, 3)"
    )
    assert refusal(ValueError, "tokens: N int < 256", np.array([0, 256])) == (
        "f: tokens[1] is 256, expected 0 to 255"
    )
    assert refusal(ValueError, "x: N T, lengths: N int <= T", zeros(2, 5), np.array([5])) == (
        "f: lengths is (1,), expected (N,) with N = 2 because x is (2, 5)"
    )
    assert refusal(TypeError, "x: N T, lengths: N int <= T", zeros(2, 5), zeros(2)) == (
        "f: lengths is float32, expected integers"
    )
    check_shapes("f", "y: N K, labels: N int < K", to_guard(zeros(2, 3)), to_guard(labels[1]))


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
