"""The IDX format, in which MNIST was published: a header of sizes, then the numbers.

bytes 0, 1   zero
byte  2      the type of the numbers
byte  3      how many sizes follow
4 bytes each the sizes, big-endian; then the numbers, big-endian, last axis fastest
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minienc.data.limits import check_expansion, read_numbers
from minienc.data.raw import check_file

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_EXPANSION = 1032  # of deflate: a compressed byte stands for no more bytes than that
_MOST_AXES = 8


class IdxHeader(NamedTuple):
    """What the first bytes of an IDX file declare."""

    shape: tuple[int, ...]
    dtype: np.dtype
    n_bytes: int  # of the numbers
    offset: int  # where they begin


def read_idx(path: str | Path) -> np.ndarray:
    """Return the array of an IDX file, plain or compressed with gzip (seen by its content).

    Memory is taken for the result alone, and only after the declared size has been compared with
    the size of the file.

    Returns
    -------
    ndarray
        Of the file's type (uint8, int8, int16, int32, float32, float64), in this machine's byte
        order.

    Raises
    ------
    OSError
        If the file is missing, may not be read, or is a pipe or a device.
    ValueError
        If it is no IDX file, if it ends early or goes on after its numbers, if it is corrupt, if
        it would become more than a hundred times its size when decompressed, and than 256 MiB.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     labels = read_idx(path)
    >>> labels
    array([7, 2, 1], dtype=uint8)
    """
    path = check_file(path, "read_idx")
    with _opened(path) as (file, is_gzip):
        header = _read_header(file, path)
        _check_size(header, path, is_gzip)
        content, came = read_numbers(file, header.n_bytes, f"read_idx: {path}")
        if came < header.n_bytes:
            raise ValueError(_ends_early(path, header, came))
        if file.read(1):  # at the end gzip also compares its checksum
            raise ValueError(
                f"read_idx: {path} goes on after the {header.n_bytes:,} bytes that its header "
                f"declares, {header.shape} of {header.dtype}; it is corrupt, get it again"
            )
    array = content.view(header.dtype).reshape(header.shape)
    if not array.dtype.isnative:
        array = array.byteswap(inplace=True).view(array.dtype.newbyteorder())
    return array


def read_idx_header(path: str | Path) -> IdxHeader:
    """Return what an IDX file declares, without reading its numbers."""
    path = check_file(path, "read_idx")
    with _opened(path) as (file, is_gzip):
        header = _read_header(file, path)
        _check_size(header, path, is_gzip)
    return header


def is_idx(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an IDX file."""
    return (
        len(start) >= 4
        and start[:2] == b"\0\0"
        and start[2] in _TYPES
        and 0 < start[3] <= _MOST_AXES
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedIOBase, bool]]:
    """Yield (file, whether it is compressed); corrupt compression becomes a ValueError."""
    with open(path, "rb") as plain:
        is_gzip = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        try:
            if is_gzip:
                with gzip.GzipFile(fileobj=plain) as file:
                    yield file, True
            else:
                yield plain, False
        except EOFError:
            raise ValueError(
                f"read_idx: {path} is cut short: the gzip stream ends before its end mark; "
                f"get the file again"
            ) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"read_idx: {path} is corrupt: {error}; get the file again") from None


def _read_header(file: io.BufferedIOBase, path: Path) -> IdxHeader:
    start = file.read(4)
    if not is_idx(start):
        came = start.hex(" ") or "nothing"
        raise ValueError(
            f"read_idx: {path} begins with {came}, expected 00 00, a type from 08 to 0e and "
            f"the number of axes: it is not an IDX file"
        )
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError(f"read_idx: {path} is cut short within its header")
    shape = struct.unpack(f">{start[3]}I", sizes)
    if 0 in shape:
        raise ValueError(f"read_idx: {path} declares {shape}, expected at least one of each axis")
    dtype = np.dtype(_TYPES[start[2]])
    return IdxHeader(shape, dtype, math.prod(shape) * dtype.itemsize, 4 + len(sizes))


def _check_size(header: IdxHeader, path: Path, is_gzip: bool) -> None:
    """Compare the declared size with the file's, before memory is taken for it."""
    there = os.path.getsize(path)
    if not is_gzip and header.offset + header.n_bytes > there:
        raise ValueError(_ends_early(path, header, there - header.offset))
    if is_gzip and header.n_bytes > there * _MOST_EXPANSION:
        raise ValueError(
            f"read_idx: {path} declares {header.shape} of {header.dtype}, {header.n_bytes:,} "
            f"bytes, more than {there:,} compressed bytes can hold: it is cut short or corrupt"
        )
    if is_gzip:
        check_expansion(header.n_bytes, there, f"read_idx: {path}")


def _ends_early(path: Path, header: IdxHeader, came: int) -> str:
    return (
        f"read_idx: {path} is cut short: {header.shape} of {header.dtype} are {header.n_bytes:,} "
        f"bytes, it holds {came:,}; get the file again"
    )
