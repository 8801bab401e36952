import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.data import read_idx

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def as_idx(array):
    header = struct.pack(
        f">4B{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape
    )
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
PLAIN = as_idx(IMAGES)
GZ = gzip.compress(PLAIN, mtime=0)  # no time of day in the names of tests


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


@given(
    st.sampled_from(list(CODES)).flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(max_dims=4, max_side=4))
    ),
    st.booleans(),
)
def test_what_was_written_is_read(tmp_path_factory, array, compressed):
    content = as_idx(array)
    path = tmp_path_factory.mktemp("idx") / "a"
    path.write_bytes(gzip.compress(content) if compressed else content)
    got = read_idx(path)
    assert got.dtype == array.dtype and got.dtype.isnative and got.flags.writeable
    np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("whole", [PLAIN, GZ], ids=["plain", "gz"])
def test_every_cut_is_noticed(tmp_path, whole):
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"file (is cut short|begins with|is corrupt)"):
            read_idx(written(tmp_path, whole[:length]))


def test_every_changed_byte_of_the_numbers_is_noticed_by_the_checksum(tmp_path):
    for place in range(10, len(GZ)):  # what stands before is time and system
        changed = bytearray(GZ)
        changed[place] ^= 0x55
        try:
            got = read_idx(written(tmp_path, bytes(changed)))
        except ValueError as error:
            assert str(tmp_path / "file") in str(error)
        else:
            np.testing.assert_array_equal(got, IMAGES)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "begins with nothing"),
        (b"hello", "begins with 68 65 6c 6c"),
        (b"\0\0\x0a\x01", "begins with 00 00 0a 01"),
        (b"\0\0\x08\0", "begins with 00 00 08 00"),
        (PLAIN + b"!", "goes on after the 24 bytes"),
        (gzip.compress(PLAIN + b"!", mtime=0), "goes on after the 24 bytes"),
        (struct.pack(">4B2I", 0, 0, 8, 2, 0, 5), r"declares \(0, 5\), expected at least one"),
        (b"\0\0\x08\x08" + b"\xff" * 32, "it holds 0"),
        (
            gzip.compress(b"\0\0\x0e\x08" + b"\xff" * 32, mtime=0),
            "more than .* compressed bytes can hold",
        ),
    ],
)
def test_what_is_no_idx_file_or_lies_about_its_size_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_idx(written(tmp_path, content))
    assert str(tmp_path / "file") in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no {tmp_path}/a/b; .* exists is {tmp_path}"):
        read_idx(tmp_path / "a" / "b")


def test_memory_is_that_of_the_result(tmp_path):
    images = np.zeros((4000, 28, 28), np.uint8)
    bomb = gzip.compress(as_idx(IMAGES) + bytes(20_000_000), 1)
    good = written(tmp_path, gzip.compress(as_idx(images), 1))
    tracemalloc.start()
    read_idx(good)
    peak = tracemalloc.get_traced_memory()[1]
    assert peak < images.nbytes * 1.05 + 1.5e6  # the pieces that is decompressed at a time
    tracemalloc.reset_peak()
    with pytest.raises(ValueError, match="goes on after"):
        read_idx(written(tmp_path, bomb))
    assert tracemalloc.get_traced_memory()[1] < 1.5e6
    tracemalloc.stop()
