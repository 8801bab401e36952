import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.data import read_npy, read_npz

X = np.arange(12.0).reshape(4, 3)


def npy(array, **kwargs):
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


@given(
    st.sampled_from(["float32", ">f8", "int64", "uint8", "bool"]).flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(max_side=4))
    )
)
def test_what_numpy_saved_is_read(tmp_path_factory, array):
    folder = tmp_path_factory.mktemp("npy")
    np.testing.assert_array_equal(read_npy(written(folder, npy(array))), array)
    np.testing.assert_array_equal(read_npy(written(folder, npy(array.T))), array.T)
    for save in (np.savez, np.savez_compressed):
        np.testing.assert_array_equal(read_npz(written(folder, npz(save, a=array))).x, array)


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y", "x_test", "y_test"),
        ("X", "Y", "X_test", "Y_test"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("data", "target", "test_x", "test_y"),
        ("images", "labels", "x_test", "y_test"),
    ],
)
def test_samples_and_labels_are_found_by_their_names(tmp_path, names):
    y, test_y = np.array([0, 1, 2, 1], np.uint8), np.array([[1.0], [0.0]])
    arrays = dict(zip(names, (X, y, X[:2], test_y), strict=True))
    raw = read_npz(written(tmp_path, npz(**arrays, another=np.zeros(9))))
    np.testing.assert_array_equal(raw.x, X)
    np.testing.assert_array_equal(raw.test_x, X[:2])
    assert raw.y.dtype == raw.test_y.dtype == np.int64
    assert (raw.y.tolist(), raw.test_y.tolist()) == ([0, 1, 2, 1], [1, 0])


@pytest.mark.parametrize("whole", [npy(X), npz(np.savez_compressed, x=X)], ids=["npy", "npz"])
def test_every_cut_is_noticed(tmp_path, whole):
    read = read_npy if whole[:1] == b"\x93" else read_npz
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=str(tmp_path / "file")):
            read(written(tmp_path, whole[:length]))


def test_a_changed_byte_of_the_numbers_is_noticed_by_the_checksum(tmp_path):
    content = bytearray(npz(x=X))
    content[content.find(X.tobytes()) + 50] ^= 1
    with pytest.raises(ValueError, match="cut short or corrupt: Bad CRC"):
        read_npz(written(tmp_path, bytes(content)))


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it ran",))

    trap = np.array([Trap()], dtype=object)
    with pytest.raises(ValueError, match="holds Python objects, which are never read"):
        read_npy(written(tmp_path, npy(trap, allow_pickle=True)))
    with pytest.raises(ValueError, match=r"x\.npy holds Python objects"):
        read_npz(written(tmp_path, npz(x=trap)))
    assert (read_npz(written(tmp_path, npz(x=X, other=trap))).x == X).all()


def test_declared_sizes_are_compared_with_what_is_there(tmp_path):
    content = npy(X)
    lie = content.replace(b"(4, 3), }    ", b"(999999999, 3), }"[:13].ljust(13))
    huge = content.replace(b"(4, 3), }" + b" " * 9, b"(999999999999,), }")
    assert len(huge) == len(content)
    with pytest.raises(ValueError, match=r"is cut short: \(999999999999,\)"):
        read_npy(written(tmp_path, huge))
    with pytest.raises(ValueError, match="has a header that cannot be read"):
        read_npy(written(tmp_path, lie))

    bomb = bytearray(npz(np.savez_compressed, x=X))
    entry = bomb.find(b"PK\1\2")
    bomb[entry + 24 : entry + 28] = struct.pack("<I", 0xFFFFFFF0)  # the size once decompressed
    with pytest.raises(ValueError, match=r"x\.npy declares 4,294,967,280 bytes, more than"):
        read_npz(written(tmp_path, bytes(bomb)))


def _zip(name, content, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    "content, message",
    [
        (npz(a=X, b=X), "holds a, b; which are the samples"),
        (npz(x=X, X=X), "holds x and X; which is meant"),
        (npz(x=X, y=np.zeros((4, 2))), r"labels are \(4, 2\), expected \(N,\)"),
        (npz(x=X, y=np.array([0.0, 1.0, 0.5, 1.0])), "label of sample 2 is 0.5"),
        (npz(x=X, y=np.array([0.0, np.nan, 0.0, 1.0])), "label of sample 1 is nan"),
        (npz(x=X, y=np.array([0, 1, -1, 0])), "label of sample 2 is -1"),
        (npz(x=np.array([["a"]])), "holds <U1, expected real numbers"),
        (npz(x=np.zeros(2, [("a", "f4")])), "expected real numbers"),
        (_zip("a.txt", b"hello"), r"without \.npy arrays"),
        (_zip("x.npy", b"hello"), "does not begin with"),
        (_zip("x.npy", npy(X), zipfile.ZIP_LZMA), "compressed as numpy never does"),
        (b"hello", "cut short or corrupt"),
        (b"", "cut short or corrupt"),
    ],
)
def test_other_archives_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_npz(written(tmp_path, content))
    assert str(tmp_path / "file") in str(error.value)


def test_missing_files_are_named(tmp_path):
    for read in (read_npy, read_npz):
        with pytest.raises(FileNotFoundError, match=f"there is no {tmp_path}/none"):
            read(tmp_path / "none")
