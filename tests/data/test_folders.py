import gzip
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from minienc.data import read_csv, read_idx, read_npy, read_npz
from minienc.data.folders import read_path


def images(n, value=0):
    return struct.pack(">4B3I", 0, 0, 8, 3, n, 2, 3) + bytes([value]) * (6 * n)


def labels(n, value=0):
    return struct.pack(">4BI", 0, 0, 8, 1, n) + bytes([value]) * n


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def fill(folder, **files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_idx_files_are_paired_by_rank_and_count_whatever_their_names(tmp_path):
    fill(
        tmp_path,
        a=labels(7, 1),
        b=gzip.compress(images(3, 20)),
        c=images(7, 10),
        d=gzip.compress(labels(3, 2)),
        README=b"# A heading\n\nand text, with a comma\n",
    )
    (tmp_path / ".hidden").write_bytes(images(5))
    raw = read_path(tmp_path)
    assert (raw.x.shape, raw.test_x.shape) == ((7, 2, 3), (3, 2, 3))
    assert ((raw.x == 10).all(), (raw.test_x == 20).all()) == (True, True)
    assert (raw.y.tolist(), raw.test_y.tolist()) == ([1] * 7, [2] * 3)


def test_labels_may_be_missing_and_copies_do_not_count(tmp_path):
    fill(tmp_path, a=images(7), copy=gzip.compress(images(7)))
    raw = read_path(tmp_path)
    assert raw.x.shape == (7, 2, 3)
    assert raw.y is raw.test_x is raw.test_y is None
    fill(tmp_path, b=images(3), c=labels(3, 4))
    raw = read_path(tmp_path)
    assert (raw.y, raw.test_y.tolist()) == (None, [4, 4, 4])


def test_npy_files_are_paired_in_the_same_way(tmp_path):
    x = np.arange(12.0).reshape(4, 3)
    fill(tmp_path, u=npy(x), v=npy(np.arange(4)), w=npy(x[:2]), z=npy(np.ones(2)))
    raw = read_path(tmp_path)
    np.testing.assert_array_equal(raw.x, x)
    np.testing.assert_array_equal(raw.test_x, x[:2])
    assert (raw.y.tolist(), raw.test_y.tolist()) == ([0, 1, 2, 3], [1, 1])


@pytest.mark.parametrize(
    "files, message",
    [
        ({"a": images(3), "b": images(3, 1)}, "a, b have 3 entries each and cannot be told apart"),
        ({"a": images(3), "b": labels(3), "c": labels(3, 1)}, "b, c have 3 entries each"),
        ({"a": images(3), "b": images(4), "c": images(5)}, "3 files of samples, c, b, a"),
        ({"a": images(3), "b": labels(4)}, "b has 4 labels, expected .* 3"),
        ({"a": labels(3)}, "labels alone: a"),
        ({"a": images(3), "b": npy(np.ones((2, 5)))}, r"samples of \(2, 3\) and \(5,\)"),
        ({"a": images(3), "b": npz(x=np.ones((2, 3)))}, r"holds arrays .* and \.npz"),
        ({"a": npz(x=np.ones((2, 3))), "b": npz(x=np.ones((2, 3)))}, "holds a, b; give the path"),
        ({"a": b"1,2\n3,4\n", "b": b"1,2\n"}, "holds a, b; give the path"),
        ({"a": b"\x7fELF\1\2\3\0", "b": b"some words\n"}, "holds only a, b, expected IDX"),
        ({}, "holds no files"),
        ({"a": images(3)[:-1]}, "is cut short"),
    ],
)
def test_what_cannot_be_decided_is_said_with_the_names(tmp_path, files, message):
    with pytest.raises(ValueError, match=message) as error:
        read_path(fill(tmp_path, **files))
    assert str(tmp_path) in str(error.value)


def test_one_table_or_archive_in_a_folder_is_read(tmp_path):
    fill(tmp_path, notes=b"A heading\n\nsome words\n", table=b"a,b\n1,2\n3,4\n")
    assert read_path(tmp_path).x.tolist() == [[1, 2], [3, 4]]
    fill(tmp_path, archive=npz(x=np.ones((2, 3))))
    assert read_path(tmp_path).x.shape == (2, 3)  # text counts only where nothing else is


def test_a_folder_of_images_is_read(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((2, 3), 7, np.uint8)).save(tmp_path / name / "0", "PNG")
    assert read_path(tmp_path).class_names == ("a", "b")
    with pytest.raises(ValueError, match="is one image, expected a folder"):
        read_path(tmp_path / "a" / "0")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty, expected"),
        (b"\x7fELF\x01\x00", "begins with 7f 45 4c 46 01 00, expected IDX"),
        (gzip.compress(npy(np.ones(3)), mtime=0), "compressed and holds no IDX file and no table"),
        (b"\x1f\x8b\x08junk", "compressed and holds no IDX file and no table, or is corrupt"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_path(fill(tmp_path, thing=content) / "thing")


def zipped(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


FOREIGN = {
    "an Office file; save the sheet as CSV": zipped("[Content_Types].xml"),
    "an old Office file": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a file of torch.save": zipped("archive/data.pkl"),
    "a pickle, which may run anything and is never read": pickle.dumps([1, 2]),
    "HDF5; open it with h5py": b"\x89HDF\r\n\x1a\n\0\0",
    "a MATLAB file; open it with scipy.io.loadmat": b"MATLAB 5.0 MAT-file, of somebody",
    "Parquet": b"PAR1\x15\x04",
    "JSON": b'[{"a": 1}, {"a": 2}]',
    "ARFF, of Weka; delete all up to": b"% iris\n@RELATION iris\n@DATA\n1,2\n",
    "in the format of LIBSVM": b"1 1:0.5 2:1e-3\n-1 2:4\n",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\n",
    "one sound, expected a folder of sounds": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "an archive; unpack it first": b"\x28\xb5\x2f\xfd\x04\x00",
}


@pytest.mark.parametrize("said", FOREIGN)
def test_files_of_other_programs_are_known_and_the_way_from_there_is_told(tmp_path, said):
    with pytest.raises(ValueError, match=f"load_dataset: .*thing is {said}"):
        read_path(fill(tmp_path, thing=FOREIGN[said]) / "thing")


def test_tables_may_be_compressed_or_utf16(tmp_path):
    for name, content in {
        "a.csv.gz": gzip.compress(b"a,b\n1,2\n"),
        "b.csv": "a,b\n1,2\n".encode("utf-16"),
    }.items():
        assert read_path(fill(tmp_path, **{name: content}) / name).x.tolist() == [[1, 2]]


@pytest.mark.parametrize("read", [read_path, read_npy, read_npz, read_idx, read_csv])
def test_what_is_no_file_is_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=f"{tmp_path}/pipe is a named pipe, expected a file"):
        read(tmp_path / "pipe")
    with pytest.raises(OSError, match="/dev/zero is a device, expected a file"):
        read("/dev/zero")
    if read is not read_path:
        with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a folder, expected a file"):
            read(tmp_path)
