"""What comes in becomes a plain array, or is refused with a mend that works."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import Pixels
from minienc.data.labels import as_labels
from minienc.data.plain import plain_array

NUMBERS = np.arange(12.0).reshape(4, 3)


class Opened:
    """As an open HDF5 data set: a shape, a dtype, rows."""

    shape, dtype = (4, 3), np.dtype("float64")

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return NUMBERS[index]


def test_arrays_pass_as_they_are(tmp_path):
    mapped = np.memmap(tmp_path / "x", dtype="float32", mode="w+", shape=(4, 3))
    for x in (NUMBERS, mapped, Pixels(np.ones((2, 2), np.uint8)), Opened()):
        assert plain_array(x) is x


@pytest.mark.parametrize(
    "x",
    [
        NUMBERS.tolist(),
        list(NUMBERS),
        np.ones((4, 3)).view(np.recarray) * NUMBERS,
        np.ma.masked_array(NUMBERS),
        memoryview(NUMBERS),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_holds_numbers_becomes_them(x):
    made = plain_array(x)
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, NUMBERS)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.ma.masked_less(NUMBERS, 2), "2 of its 12 numbers are masked"),
        ([[1.0, 2.0], [3.0]], "a list of parts of different shapes ((2,), (1,))"),
        ((NUMBERS, NUMBERS[:, 0]), "a tuple of parts of different shapes ((4, 3), (4,))"),
        (None, "X is a NoneType, expected an array"),
        ({"a": NUMBERS}, "X is a dict, expected an array"),
        ((row for row in NUMBERS), "X is a generator, expected an array"),
        ("table.csv", "X is a str, expected an array"),
    ],
)
def test_what_does_not_is_refused(x, sentence):
    with pytest.raises((TypeError, ValueError)) as refusal:
        plain_array(x)
    assert sentence in str(refusal.value)


def test_frames_and_series_are_taken_by_place():
    pandas = pytest.importorskip("pandas")
    order = [2, 0, 3, 1]
    frame = pandas.DataFrame(NUMBERS).iloc[order]
    np.testing.assert_array_equal(plain_array(frame), NUMBERS[order])
    np.testing.assert_array_equal(plain_array(frame[1]), NUMBERS[order, 1])
    mixed = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]})
    np.testing.assert_array_equal(plain_array(mixed), [[1, 1, 0.5], [2, 0, 1.5]])
    whole = pandas.Series([1, 2], dtype="Int64")
    assert plain_array(whole).dtype.kind == "i"
    with pytest.raises(ValueError, match="missing values"):
        plain_array(pandas.Series([1, pandas.NA], dtype=object))
    with pytest.raises(TypeError, match="no numbers in 'city'"):
        plain_array(pandas.DataFrame({"a": [1, 2], "city": ["Ulm", "Bern"]}))


def test_tensors_and_sparse_matrices():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(NUMBERS, requires_grad=True)
    np.testing.assert_array_equal(plain_array(tensor), NUMBERS)
    with pytest.raises(TypeError, match=r"use X\.to_dense\(\)\.float\(\)"):
        plain_array(tensor.bfloat16())
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"csr_matrix, a sparse matrix.*X\.toarray\(\)"):
        plain_array(sparse.csr_matrix(NUMBERS))


NUMBERED = "np.unique(y, return_inverse=True)[1]"


@pytest.mark.parametrize(
    ("y", "mend"),
    [
        (np.array(["cat", "dog", "cat"]), NUMBERED),
        (np.array(["cat", "dog", "cat"], dtype=object), NUMBERED),
        (np.array([1.0, 0.0, 1.0]), "np.asarray(y, int)"),
        (np.array([[1.0], [0.0], [1.0]]), "np.asarray(y, int)"),
        (np.array([True, False, True]), "np.asarray(y, int)"),
        (np.eye(2)[[1, 0, 1]], "np.argmax(y, axis=1)"),
        (np.eye(2, dtype=int)[[1, 0, 1]], "np.argmax(y, axis=1)"),
    ],
)
def test_the_mend_for_labels_is_one(y, mend):
    with pytest.raises((TypeError, ValueError)) as refusal:
        as_labels(y, 3)
    assert mend in str(refusal.value)
    for given in (y, y.tolist()):  # it works on what is no array, too
        made = eval(mend, {"y": given, "np": np})
        np.testing.assert_array_equal(np.unique(as_labels(made, 3)), [0, 1])


def test_labels_are_integers_or_a_column_of_them():
    np.testing.assert_array_equal(as_labels([[2], [0]], 2), [2, 0])
    with pytest.raises(TypeError, match="these are quantities"):
        as_labels(np.array([0.5, 1.0]), 2)
    with pytest.raises(ValueError, match=r"expected \(2,\)"):
        as_labels([0, 1, 2], 2)
