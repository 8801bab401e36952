import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data import Dataset, Pixels, load_digits


def make(y, **kwargs):
    y = np.asarray(y, np.int64)
    return Dataset("d", np.arange(len(y) * 2.0).reshape(-1, 2), y, **kwargs)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.floats(0.05, 0.95))
def test_a_split_keeps_every_sample_its_label_and_each_class_share(y, fraction):
    whole = make(y)
    n_test = round(len(y) * fraction)
    if not 0 < n_test < len(y):
        with pytest.raises(ValueError, match="leaves a sample for each part"):
            whole.split(fraction)
        return
    part = whole.split(fraction, seed=3)
    assert len(part.test_x) == n_test
    # x holds its own row number, so that samples can be followed
    rows = np.concatenate([part.x[:, 0], part.test_x[:, 0]]) / 2
    assert sorted(rows) == list(range(len(y)))
    assert (whole.y[(part.x[:, 0] / 2).astype(int)] == part.y).all()
    assert (whole.y[(part.test_x[:, 0] / 2).astype(int)] == part.test_y).all()
    assert (np.diff(part.x[:, 0]) > 0).all()
    for label in set(y):
        share = fraction * y.count(label)
        assert abs((part.test_y == label).sum() - share) <= 1.5


def test_a_split_is_fixed_by_its_seed():
    d = make(np.arange(50) % 5)
    assert (d.split(seed=1).test_x == d.split(seed=1).test_x).all()
    assert (d.split(seed=1).test_x != d.split(seed=2).test_x).any()
    assert d.x.shape == (50, 2)
    split = d.split()
    assert split.split() is split


def test_pixels_stay_bytes_and_labels_are_not_needed():
    images = np.arange(40, dtype=np.uint8).reshape(10, 2, 2)
    d = Dataset("d", Pixels(images)).split(0.3)
    assert isinstance(d.x, Pixels) and isinstance(d.test_x, Pixels)
    assert (len(d.x), len(d.test_x), d.y, d.test_y) == (7, 3, None, None)
    assert (d.sample_shape, d.n_features) == ((2, 2), 4)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, 0.001, float("nan")])
def test_a_fraction_that_leaves_nothing_is_refused(fraction):
    with pytest.raises(ValueError, match="test_fraction is"):
        make([0, 1, 0, 1]).split(fraction)


X = np.zeros((3, 2))
Y = np.zeros(3, np.int64)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"x": X, "y": Y[:2]}, r"y is int64 \(2,\), expected int64 \(3,\)"),
        ({"x": X, "y": Y.astype("int32")}, r"y is int32 \(3,\)"),
        ({"x": X, "y": [0, 0, 0]}, "y is list"),
        ({"x": X, "test_y": Y}, "test_y came without test_x"),
        ({"x": X, "test_x": np.zeros((3, 5))}, r"test samples are \(5,\), expected \(2,\)"),
        ({"x": X, "test_x": X, "test_y": Y[:1]}, "test_y is"),
        ({"x": X, "y": Y + 2, "class_names": ("a", "b")}, "y runs from 2 to 2, expected 0 to 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Dataset("d", **kwargs)


def test_the_digits_are_those_of_uci():
    digits = load_digits()
    assert (digits.x.shape, digits.test_x.shape) == ((1437, 8, 8), (360, 8, 8))
    assert (digits.x[:].min(), digits.x[:].max()) == (0, 1)
    assert digits.x.dtype == np.float32 and load_digits("float64").x.dtype == np.float64
    assert set(digits.y) == set(digits.test_y) == set(range(10))
    assert "10.24432/C50P49" in digits.source


def test_the_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    ours = load_digits("float64")
    assert (np.concatenate([ours.x[:], ours.test_x[:]]) * 16 == theirs.images).all()
    assert (np.concatenate([ours.y, ours.test_y]) == theirs.target).all()
