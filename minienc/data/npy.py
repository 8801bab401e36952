"""NumPy's own files: .npy holds one array, .npz is a zip archive of named ones.

Both can hold pickled objects, which run code when they are read: those are refused. Sizes that a
header declares are compared with what is there before memory is taken for them.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minienc.data.raw import RawData, as_labels, check_exists

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
_MOST_EXPANSION = 1032  # of deflate: a compressed byte stands for no more bytes than that

# Names under which arrays are looked for in an .npz, in this order; upper or lower case.
X_NAMES = ("x_train", "train_x", "train_images", "x", "data", "images", "features", "inputs")
Y_NAMES = ("y_train", "train_y", "train_labels", "y", "labels", "label", "targets", "target")
TEST_X_NAMES = ("x_test", "test_x", "test_images")
TEST_Y_NAMES = ("y_test", "test_y", "test_labels")


class NpyHeader(NamedTuple):
    """What the first bytes of an .npy file declare."""

    shape: tuple[int, ...]
    dtype: np.dtype
    n_bytes: int  # of the numbers
    offset: int  # where they begin


def read_npy(path: str | Path) -> np.ndarray:
    """Return the array of an .npy file.

    Raises
    ------
    FileNotFoundError, PermissionError
        If the file is missing or may not be read.
    ValueError
        If it is no .npy file, if it holds objects or records, if it is cut short.
    """
    path = check_exists(path, "read_npy")
    with open(path, "rb") as file:
        return _read_array(file, f"read_npy: {path}", os.path.getsize(path))


def read_npy_header(path: str | Path) -> NpyHeader:
    """Return what an .npy file declares, without reading its numbers."""
    path = check_exists(path, "read_npy")
    with open(path, "rb") as file:
        return _read_header(file, f"read_npy: {path}", os.path.getsize(path))


def read_npz(path: str | Path) -> RawData:
    """Return the samples, and what else is there, of an .npz archive.

    The names looked for are ``X_NAMES``, ``Y_NAMES``, ``TEST_X_NAMES`` and ``TEST_Y_NAMES``, in
    this order, in upper or lower case. An archive of a single array needs no name for it. Other
    arrays are not read.

    Raises
    ------
    FileNotFoundError, PermissionError
        If the file is missing or may not be read.
    ValueError
        If no array or more than one goes by such a name, if an array holds objects, if the
        archive is cut short, corrupt, or declares more than it can hold.
    """
    path = check_exists(path, "read_npz")
    where = f"read_npz: {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                i.filename.removesuffix(".npy"): i
                for i in archive.infolist()
                if i.filename.endswith(".npy")
            }
            if not members:
                raise ValueError(f"{where} is a zip archive without .npy arrays; unpack it first")
            x_key = _find(members, X_NAMES, where) or _only(list(members))
            if x_key is None:
                raise ValueError(
                    f"{where} holds {', '.join(sorted(members))}; which are the samples? Name "
                    f"that array x (labels y, and x_test, y_test for a test set)"
                )
            keys = [
                x_key,
                *(_find(members, n, where) for n in (Y_NAMES, TEST_X_NAMES, TEST_Y_NAMES)),
            ]
            parts: list[Any] = [
                None if key is None else _read_member(archive, members[key], where) for key in keys
            ]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{where} is cut short or corrupt: {error}; get the file again") from None
    x, y, test_x, test_y = parts
    return RawData(
        x,
        None if y is None else as_labels(y, where),
        test_x,
        None if test_y is None or test_x is None else as_labels(test_y, where),
    )


# ----------------------------------------------------------------------------- names in an archive


def _find(members: Iterable[str], names: tuple[str, ...], where: str) -> str | None:
    for name in names:
        found = [key for key in members if key.lower() == name]
        if len(found) > 1:
            raise ValueError(f"{where} holds {' and '.join(found)}; which is meant? Keep one")
        if found:
            return found[0]
    return None


def _only(members: Sequence[str]) -> str | None:
    return members[0] if len(members) == 1 else None


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> np.ndarray:
    where = f"{where}: {info.filename}"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{where} is compressed as numpy never does; save it again with numpy.savez"
        )
    if info.file_size > (info.compress_size + 1) * _MOST_EXPANSION:
        raise ValueError(
            f"{where} declares {info.file_size:,} bytes, more than its {info.compress_size:,} "
            f"compressed bytes can hold: the archive is corrupt"
        )
    with archive.open(info) as file:
        array = _read_array(file, where, info.file_size)
        file.read(1)  # at the end zipfile compares the checksum
    return array


# --------------------------------------------------------------------------------------- one array


def _read_array(file: IO[bytes], where: str, there: int) -> np.ndarray:
    _read_header(file, where, there)
    file.seek(0)
    try:
        return np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        raise ValueError(f"{where} is larger than this machine's memory") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{where} cannot be read: {error}") from None


def _read_header(file: IO[bytes], where: str, there: int) -> NpyHeader:
    """Read the header and compare what it declares with the ``there`` bytes of the file."""
    if file.read(len(NPY_MAGIC)) != NPY_MAGIC:
        raise ValueError(f"{where} does not begin with \\x93NUMPY: it is not an .npy array")
    file.seek(0)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(file)
        if version not in read:  # (3, 0) is for records with names beyond ASCII
            raise ValueError(f"its format is version {version}, expected (1, 0) or (2, 0)")
        shape, _, dtype = read[version](file)
    except Exception as error:  # the header is a Python literal: parsing one fails in many ways
        raise ValueError(f"{where} has a header that cannot be read: {error}") from None
    if dtype.hasobject:
        raise ValueError(
            f"{where} holds Python objects, which are never read because unpickling them can run "
            f"code; save it as an array of numbers, for example with x.astype('float32')"
        )
    if dtype.kind not in "buif":
        raise ValueError(f"{where} holds {dtype}, expected real numbers")
    n_bytes, offset = math.prod(shape) * dtype.itemsize, file.tell()
    if n_bytes + offset > there:
        raise ValueError(
            f"{where} is cut short: {shape} of {dtype} are {n_bytes:,} bytes, it holds "
            f"{there - offset:,}"
        )
    return NpyHeader(shape, dtype, n_bytes, offset)
