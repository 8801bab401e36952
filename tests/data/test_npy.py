import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.data import limits, read_npy, read_npz

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
        (npz(labels=np.zeros((4, 1))), "holds labels alone, labels"),
        (npz(y=np.zeros(4), y_test=np.zeros(4)), "holds labels alone, y, y_test"),
        (npz(x_test=X), "holds x_test; which are the samples"),
        (npz(data=X, indices=X, indptr=X, format=X, shape=X), "holds a sparse matrix of SciPy"),
        (npz(data=X, row=X, col=X, format=X, shape=X), "holds a sparse matrix of SciPy"),
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


def headed(header, numbers=b"", version=b"\1\0"):
    length = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
    return b"\x93NUMPY" + version + length + header + numbers


GOOD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"


def test_the_header_is_read_by_one_schema(tmp_path):
    numbers = np.array([1, 2], "<f4").tobytes()
    for header in (GOOD, GOOD.replace(b"(2,)", b"(2L,)")):  # as Python 2 wrote it
        for version in (b"\1\0", b"\2\0"):
            content = headed(header, numbers, version)
            assert read_npy(written(tmp_path, content)).tolist() == [1, 2]


@pytest.mark.parametrize(
    "header, message",
    [
        (GOOD.replace(b"(2,)", b"(-2,)"), r"its shape is \(-2,\)"),
        (GOOD.replace(b"(2,)", b"(2.0,)"), r"its shape is \(2.0,\)"),
        (GOOD.replace(b"(2,)", b"(True,)"), r"its shape is \(True,\)"),
        (GOOD.replace(b"(2,)", b"[2]"), r"its shape is \[2\]"),
        (GOOD.replace(b"(2,)", b"2"), "its shape is 2"),
        (GOOD.replace(b"(2,)", b"(1,)*2"), "expected a dictionary"),
        (GOOD.replace(b"(2,)", b"(" + b"1," * 40 + b")"), "has 40 axes"),
        (GOOD.replace(b"(2,)", b"(9999999999999999999,)"), "its shape is"),
        (GOOD.replace(b"False", b"0"), "its fortran_order is 0"),
        (GOOD.replace(b"'<f4'", b"['<f4']"), "expected real numbers"),
        (GOOD.replace(b"'<f4'", b"('<f4', (9,))"), "expected real numbers"),
        (GOOD.replace(b"'<f4'", b"'f4,f4'"), "expected real numbers"),
        (GOOD.replace(b"'<f4'", b"'<f3'"), "which this machine does not know"),
        (GOOD.replace(b"'<f4'", b"'|O'"), "holds Python objects"),
        (GOOD.replace(b"'shape'", b"'shapes'"), "expected the keys"),
        (GOOD.replace(b"}", b"'more': 1}"), "expected the keys"),
        (b"[" * 9000, "has a header that cannot be read"),
        (b"1+", "has a header that cannot be read"),
        (GOOD.ljust(20_000), "20,000, expected as many, and at most 10,000"),
        (b"", "has a header that cannot be read"),
    ],
)
def test_headers_of_another_form_are_refused(tmp_path, header, message):
    with pytest.raises(ValueError, match=message) as error:
        read_npy(written(tmp_path, headed(header, bytes(8))))
    assert str(tmp_path / "file") in str(error.value)
    with pytest.raises(ValueError, match=r"version is 3\.0"):
        read_npy(written(tmp_path, headed(GOOD, bytes(8), b"\3\0")))


def test_two_members_of_one_name_are_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", npy(X))
        archive.writestr("x.npy", npy(X + 1))
    with pytest.raises(ValueError, match="two arrays of one name"):
        read_npz(written(tmp_path, file.getvalue()))


def test_a_few_bytes_that_stand_for_many_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_ALWAYS", 10_000)
    content = npz(np.savez_compressed, x=np.zeros((100, 1000)))
    with pytest.raises(ValueError, match=r"x\.npy declares 800,128 bytes, more than 100 times"):
        read_npz(written(tmp_path, content))
    monkeypatch.setattr(limits, "_EXPANSION", 1000)
    assert read_npz(written(tmp_path, content)).x.shape == (100, 1000)


@pytest.mark.parametrize("value", [0, 255, 128])
def test_a_damaged_archive_is_named_in_a_sentence(tmp_path, value):
    whole = npz(x=X.astype("float32"))
    for i in range(len(whole)):
        changed = whole[:i] + bytes([value]) + whole[i + 1 :]
        try:
            read_npz(written(tmp_path, changed))
        except ValueError as error:
            assert str(error).startswith(f"read_npz: {tmp_path}/file")
            assert "Errno" not in str(error)


def test_what_is_larger_than_the_machine_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits.os, "sysconf", lambda name: 9)  # 9 pages of 9 bytes
    for read, content in ((read_npy, npy(X)), (read_npz, npz(x=X))):
        with pytest.raises(ValueError, match="would take 96 bytes, more than this machine's"):
            read(written(tmp_path, content))
