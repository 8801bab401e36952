import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.data import Pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 4), dtype=np.uint8)

INDICES = [
    0,
    -1,
    np.int64(3),
    slice(None),
    slice(1, 6, 2),
    slice(3, 3),
    np.array([4, 0, 0, 6]),
    np.array([], dtype=np.int64),
    np.arange(7) % 2 == 0,
    [1, 2],
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_is_that_of_the_float_array(index, dtype):
    x = Pixels(IMAGES, dtype)
    expected = (IMAGES / 255)[index]
    got = x[index]
    assert got.dtype == x.dtype == dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=np.finfo(dtype).eps, atol=0)


def test_it_looks_like_an_array_and_holds_bytes():
    x = Pixels(IMAGES)
    assert (x.shape, x.ndim, x.size, len(x)) == ((7, 3, 4), 3, 84, 7)
    assert x.nbytes == 84
    whole = np.asarray(x)
    assert whole.dtype == np.float32
    assert (whole == x[:]).all()
    assert np.asarray(x, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, copy=False)


def test_batches_are_new_and_rows_share_the_bytes():
    images = IMAGES.copy()
    x = Pixels(images)
    batch = x[0:2]
    batch[:] = 9
    assert (images == IMAGES).all()
    rows = x.flatten_samples()
    assert rows.shape == (7, 12)
    assert np.shares_memory(rows.images, images)
    assert (rows[:] == x[:].reshape(7, 12)).all()
    some = x.take(np.array([5, 1]))
    assert isinstance(some, Pixels)
    assert (some[:] == x[np.array([5, 1])]).all()


def test_a_memory_map_will_do(tmp_path):
    IMAGES.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=IMAGES.shape)
    x = Pixels(mapped)
    assert (x[np.array([6, 2])] == Pixels(IMAGES)[np.array([6, 2])]).all()


@given(st.integers(1, 255), st.sampled_from(["float32", "float64"]))
def test_the_brightest_pixel_is_never_above_one(brightest, dtype):
    x = Pixels(np.arange(brightest + 1, dtype=np.uint8)[:, None], dtype, scale=1 / brightest)
    assert 0 <= x[:].min() and x[:].max() <= 1
    np.testing.assert_allclose(x[brightest], 1, rtol=np.finfo(dtype).eps)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)))
def test_any_shape_flattens_to_rows(images):
    rows = Pixels(images).flatten_samples()
    assert rows.shape == (len(images), images[0].size)


@pytest.mark.parametrize(
    "images, kwargs, error, message",
    [
        (IMAGES.astype(float), {}, TypeError, "images is float64, expected an ndarray of uint8"),
        ([[1, 2]], {}, TypeError, "images is list"),
        (np.array(3, np.uint8), {}, ValueError, "single number"),
        (IMAGES, {"dtype": "int8"}, ValueError, "dtype is 'int8'"),
        (IMAGES, {"dtype": "no"}, ValueError, "dtype is 'no'"),
        (IMAGES, {"dtype": None}, ValueError, "dtype is None"),
        (IMAGES, {"scale": 0}, ValueError, "scale is 0"),
        (IMAGES, {"scale": np.nan}, ValueError, "scale is nan"),
    ],
)
def test_bad_arguments_are_refused(images, kwargs, error, message):
    with pytest.raises(error, match=message):
        Pixels(images, **kwargs)
