import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data import Pixels, check_data, checks


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", "bool"])
def test_numbers_pass(dtype):
    check_data(np.ones((3, 2, 2), dtype))
    check_data(np.ones(2, dtype), domain=(0, 1))


@pytest.mark.parametrize(
    "x, what",
    [
        (np.array([[None]]), "Python objects"),
        (np.array([["a"]]), "text"),
        (np.array([[b"a"]]), "bytes"),
        (np.array([[1j]]), "complex"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "datetime64"),
        ([[1.0]], "X is a list"),
        (None, "X is a NoneType"),
    ],
)
def test_what_is_not_a_real_number_is_refused(x, what):
    with pytest.raises(TypeError, match=what):
        check_data(x)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"images has no samples: its shape is \(0, 4\)"):
        check_data(np.ones((0, 4)), name="images")
    with pytest.raises(ValueError, match="X has one sample, expected at least 2"):
        check_data(np.ones((1, 4)))
    with pytest.raises(ValueError, match="X has one sample"):
        check_data(Pixels(np.ones((1, 4), np.uint8)))
    with pytest.raises(ValueError, match="single number"):
        check_data(np.array(1.0))
    check_data(np.ones((1, 4)), minimum=1)


@given(st.sets(st.integers(0, 299)), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(1, 64))
def test_the_rows_with_nan_or_infinity_are_named(rows, value, chunk):
    x = np.ones((300, 3))
    x[sorted(rows), 1] = value
    before, checks._CHUNK = checks._CHUNK, chunk
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if not rows:
                check_data(x)
                return
            with pytest.raises(ValueError) as error:
                check_data(x)
    finally:
        checks._CHUNK = before
    first = sorted(rows)[:5]
    assert f"in {len(rows)} of 300 rows" in str(error.value)
    assert f" {', '.join(map(str, first))}" in str(error.value)
    assert (", ..." in str(error.value)) == (len(rows) > 5)


def test_values_outside_the_domain_are_refused_with_the_mend():
    with pytest.raises(ValueError, match=r"X runs from 0 to 255, .* divide by 255"):
        check_data(np.array([[0.0], [255.0]]), domain=(0, 1))
    with pytest.raises(ValueError, match=r"X runs from -2 to 0\.5, .* mean squared error"):
        check_data(np.array([[-2.0], [0.5]]), domain=(0, 1))
    with pytest.raises(ValueError, match="X runs from 0 to 3"):
        check_data(np.array([[0], [3]]), domain=(0, 1))
    with pytest.raises(ValueError, match=r"X runs from -1 to 1, expected values in \[0, inf\]"):
        check_data(np.array([-1.0, 1.0]), domain=(0, np.inf))
    check_data(np.array([0.0, 1.0]), domain=(0, 1))


def test_pixels_pass_and_their_domain_is_that_of_the_scaled_values():
    images = np.array([[0], [17]], np.uint8)
    check_data(Pixels(images), domain=(0, 1))
    with pytest.raises(ValueError, match=r"X runs from 0 to 1\.0625"):
        check_data(Pixels(images, scale=1 / 16), domain=(0, 1))


def test_memory_stays_small():
    import tracemalloc

    x = np.ones((40_000, 100), np.float32)  # 16 MB
    x[123, 4] = np.nan
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"\(row 123,"):
        check_data(x, domain=(0, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 2


def test_of_a_sequence_the_step_is_named_too():
    x = np.zeros((6, 5, 3))
    x[2, 3, 1] = x[4, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"rows 2, 4, counted from 0, first at \[2, 3, 1\]"):
        check_data(x)
