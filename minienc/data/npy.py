"""NumPy's own files: .npy holds one array, .npz is a zip archive of named ones.

Both can hold pickled objects, which run code when they are read: those are refused. A header is
read by one schema, and the sizes that it declares are compared with what is there before memory is
taken for them.

bytes 0 to 5  \\x93NUMPY
bytes 6, 7    the version, 1.0 or 2.0
2 or 4 bytes  the length of what follows, little-endian: at most 10,000
              {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}, these keys and no others
"""

from __future__ import annotations

import ast
import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minienc.data.limits import check_expansion, read_numbers
from minienc.data.raw import RawData, as_labels, check_file

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
_LENGTHS = {b"\x01\x00": 2, b"\x02\x00": 4}  # bytes of the header's length, by version
_LONGEST_HEADER = 10_000
_KEYS = {"descr", "fortran_order", "shape"}
_MOST_AXES = 32
_MOST_EXPANSION = 1032  # of deflate: a compressed byte stands for no more bytes than that

# Names under which arrays are looked for in an .npz, in this order; upper or lower case.
X_NAMES = ("x_train", "train_x", "train_images", "x", "data", "images", "features", "inputs")
Y_NAMES = ("y_train", "train_y", "train_labels", "y", "labels", "label", "targets", "target")
TEST_X_NAMES = ("x_test", "test_x", "test_images")
TEST_Y_NAMES = ("y_test", "test_y", "test_labels")
_SPARSE = {"format", "shape", "data"}  # what scipy.sparse.save_npz writes, beside the indices


class NpyHeader(NamedTuple):
    """What the first bytes of an .npy file declare."""

    shape: tuple[int, ...]
    dtype: np.dtype
    n_bytes: int  # of the numbers
    offset: int  # where they begin
    fortran_order: bool = False  # the first axis is the fastest


def read_npy(path: str | Path) -> np.ndarray:
    """Return the array of an .npy file.

    Raises
    ------
    OSError
        If the file is missing, may not be read, or is a pipe or a device.
    ValueError
        If it is no .npy file, if it holds objects or records, if it is cut short.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.npy")
    ...     np.save(path, np.arange(3))
    ...     a = read_npy(path)
    >>> a
    array([0, 1, 2])
    """
    path = check_file(path, "read_npy")
    with open(path, "rb") as file:
        return read_array(file, f"read_npy: {path}", os.path.getsize(path))


def read_npy_header(path: str | Path) -> NpyHeader:
    """Return what an .npy file declares, without reading its numbers."""
    path = check_file(path, "read_npy")
    with open(path, "rb") as file:
        return read_header(file, f"read_npy: {path}", os.path.getsize(path))


def read_npz(path: str | Path) -> RawData:
    """Return the samples, and what else is there, of an .npz archive.

    The names looked for are ``X_NAMES``, ``Y_NAMES``, ``TEST_X_NAMES`` and ``TEST_Y_NAMES``, in
    this order, in upper or lower case. An archive of a single array needs no name for it, unless
    it is one of labels or test samples. Other arrays are not read.

    Raises
    ------
    OSError
        If the file is missing, may not be read, or is a pipe or a device.
    ValueError
        If no array or more than one goes by such a name, if an array holds objects, if it is a
        sparse matrix of SciPy's, if the archive is cut short, corrupt, or declares more than it
        can hold or should: more than a hundred times its size, and than 256 MiB.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.npz")
    ...     np.savez(path, x=np.zeros((5, 2)), y=np.arange(5))
    ...     data = read_npz(path)
    >>> data.x.shape, data.y
    ((5, 2), array([0, 1, 2, 3, 4]))
    """
    path = check_file(path, "read_npz")
    where = f"read_npz: {path}"
    with open(path, "rb") as file, _sentences(where), zipfile.ZipFile(file) as archive:
        members = _members(archive, where)
        x_key = _find(members, X_NAMES, where) or _only(members)
        if x_key is None:
            raise ValueError(_without_samples(sorted(members), where))
        keys = [
            x_key,
            *(_find(members, n, where) for n in (Y_NAMES, TEST_X_NAMES, TEST_Y_NAMES)),
        ]
        parts: list[Any] = [
            None if key is None else _read_member(archive, members[key], where) for key in keys
        ]
    x, y, test_x, test_y = parts
    return RawData(
        x,
        None if y is None else as_labels(y, where),
        test_x,
        None if test_y is None or test_x is None else as_labels(test_y, where),
    )


def read_npz_header(path: str | Path, name: str | None = None) -> NpyHeader:
    """Return what one array of an .npz archive declares, without reading its numbers; without
    ``name`` of the samples, which are found as by ``read_npz``."""
    path = check_file(path, "read_npz")
    where = f"read_npz: {path}"
    with open(path, "rb") as file, _sentences(where), zipfile.ZipFile(file) as archive:
        info = _wanted(archive, name, where)
        with archive.open(info) as member:
            return read_header(member, f"{where}: {info.filename}", info.file_size)


def read_npz_array(path: str | Path, name: str | None = None) -> np.ndarray:
    """Return one array of an .npz archive; without ``name`` the samples."""
    path = check_file(path, "read_npz")
    where = f"read_npz: {path}"
    with open(path, "rb") as file, _sentences(where), zipfile.ZipFile(file) as archive:
        return _read_member(archive, _wanted(archive, name, where), where)


def _wanted(archive: zipfile.ZipFile, name: str | None, where: str) -> zipfile.ZipInfo:
    members = _members(archive, where)
    if name is not None and name not in members:
        raise ValueError(f"{where} holds {', '.join(sorted(members)[:5])}, and no {name!r}")
    key = name or _find(members, X_NAMES, where) or _only(members)
    if key is None:
        raise ValueError(_without_samples(sorted(members), where))
    return members[key]


@contextmanager
def _sentences(where: str) -> Iterator[None]:
    """What zipfile and zlib say of a damaged archive, by any exception, as one that names it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(where):
            raise
        why = getattr(error, "strerror", None) or error or type(error).__name__
        raise ValueError(f"{where} is cut short or corrupt: {why}; get the file again") from None


# ----------------------------------------------------------------------------- names in an archive


def _members(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The arrays of an archive by their names."""
    files = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    members = {info.filename.removesuffix(".npy"): info for info in files}
    if not members:
        raise ValueError(f"{where} is a zip archive without .npy arrays; unpack it first")
    if len(members) < len(files):
        raise ValueError(f"{where} holds two arrays of one name; save it again with numpy.savez")
    if members.keys() >= _SPARSE:
        raise ValueError(
            f"{where} holds a sparse matrix of SciPy ({', '.join(sorted(members))}), expected "
            f"arrays; load it with scipy.sparse.load_npz and save its toarray()"
        )
    return members


def _find(members: Iterable[str], names: tuple[str, ...], where: str) -> str | None:
    for name in names:
        found = [key for key in members if key.lower() == name]
        if len(found) > 1:
            raise ValueError(f"{where} holds {' and '.join(found)}; which is meant? Keep one")
        if found:
            return found[0]
    return None


def _only(members: Iterable[str]) -> str | None:
    """The name of a single array, unless it says that these are no samples to learn from."""
    names = list(members)
    others = (*Y_NAMES, *TEST_X_NAMES, *TEST_Y_NAMES)
    return names[0] if len(names) == 1 and names[0].lower() not in others else None


def _without_samples(names: list[str], where: str) -> str:
    if all(name.lower() in (*Y_NAMES, *TEST_Y_NAMES) for name in names):
        return f"{where} holds labels alone, {', '.join(names)}, expected samples, too, named x"
    return (
        f"{where} holds {', '.join(names)}; which are the samples? Name that array x (labels y, "
        f"and x_test, y_test for a test set)"
    )


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> np.ndarray:
    where = f"{where}: {info.filename}"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{where} is compressed as numpy never does; save it again with numpy.savez"
        )
    check_expansion(info.file_size, info.compress_size, where)
    with archive.open(info) as file:
        array = read_array(file, where, info.file_size)
        file.read(1)  # at the end zipfile compares the checksum
    return array


# --------------------------------------------------------------------------------------- one array


def read_array(file: IO[bytes], where: str, there: int) -> np.ndarray:
    """Return the array of an open .npy file of ``there`` bytes, in this machine's byte order.

    ``where`` begins the messages: who reads, and the file's name.
    """
    header = read_header(file, where, there)
    content, came = read_numbers(file, header.n_bytes, where)
    if came < header.n_bytes:
        raise ValueError(_cut_short(header.shape, header.dtype, came, where))
    array = content.view(header.dtype)
    if header.fortran_order:
        array = array.reshape(header.shape[::-1]).T
    else:
        array = array.reshape(header.shape)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def read_header(file: IO[bytes], where: str, there: int) -> NpyHeader:
    """Return what an open .npy file of ``there`` bytes declares, once it fits in them."""
    if file.read(len(NPY_MAGIC)) != NPY_MAGIC:
        raise ValueError(f"{where} does not begin with \\x93NUMPY: it is not an .npy array")
    version = file.read(2)
    if version not in _LENGTHS:  # 3.0 is for records with names beyond ASCII
        raise ValueError(
            f"{where} has a header that cannot be read: its version is "
            f"{'.'.join(map(str, version)) or 'missing'}, expected 1.0 or 2.0"
        )
    n_length = _LENGTHS[version]
    length = int.from_bytes(file.read(n_length), "little")
    text = file.read(min(length, _LONGEST_HEADER + 1))
    if not 0 < length == len(text) <= _LONGEST_HEADER:
        raise ValueError(
            f"{where} has a header that cannot be read: it is {len(text):,} bytes long and "
            f"declares {length:,}, expected as many, and at most {_LONGEST_HEADER:,}"
        )
    try:
        shape, dtype, fortran_order = _parse(text.decode("latin-1"), where)
    except (SyntaxError, TypeError, RecursionError, MemoryError, OverflowError) as error:
        why = f"it is no Python literal: {error}"
        raise ValueError(f"{where} has a header that cannot be read: {why}") from None
    n_bytes, offset = math.prod(shape) * dtype.itemsize, len(NPY_MAGIC) + 2 + n_length + length
    if n_bytes + offset > there:
        raise ValueError(_cut_short(shape, dtype, there - offset, where))
    return NpyHeader(shape, dtype, n_bytes, offset, fortran_order)


def _parse(text: str, where: str) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Return shape, dtype and fortran_order, each of the type that the schema says."""
    wrong = f"{where} has a header that cannot be read: "
    text = re.sub(r"(?<=\d)L(?=[,)])", "", text)  # Python 2 wrote (3L, 4L)
    try:
        header = ast.literal_eval(text.strip())
    except ValueError:
        raise ValueError(f"{wrong}it is {text[:60]!r}, expected a dictionary") from None
    if not isinstance(header, dict) or header.keys() != _KEYS:
        raise ValueError(f"{wrong}it is {text[:60]!r}, expected the keys {sorted(_KEYS)}")
    shape, descr, fortran_order = header["shape"], header["descr"], header["fortran_order"]
    if not (isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**63 for n in shape)):
        raise ValueError(f"{wrong}its shape is {str(shape)[:60]}, expected whole numbers from 0 up")
    if len(shape) > _MOST_AXES:
        raise ValueError(f"{wrong}it has {len(shape)} axes, expected at most {_MOST_AXES}")
    if type(fortran_order) is not bool:
        raise ValueError(f"{wrong}its fortran_order is {str(fortran_order)[:60]}, expected a bool")
    if isinstance(descr, str) and re.fullmatch(r"[<>=|]?O\d*", descr):
        raise ValueError(
            f"{where} holds Python objects, which are never read because unpickling them can run "
            f"code; save it as an array of numbers, for example with x.astype('float32')"
        )
    if not (isinstance(descr, str) and re.fullmatch(r"[<>=|]?[buif]\d{1,2}", descr)):
        raise ValueError(f"{where} holds {str(descr)[:60]}, expected real numbers")
    try:
        dtype = np.dtype(descr)
    except TypeError:
        raise ValueError(f"{where} holds {descr}, which this machine does not know") from None
    return shape, dtype, fortran_order


def _cut_short(shape: tuple[int, ...], dtype: np.dtype, came: int, where: str) -> str:
    n_bytes = math.prod(shape) * dtype.itemsize
    return f"{where} is cut short: {shape} of {dtype} are {n_bytes:,} bytes, it holds {came:,}"
