"""``open_shards``: files of arrays, or a folder of images, as shards that are read when needed.

    .npy          the array, straight into the room for it
    .npz          one array of it, by its name
    IDX           as MNIST is published; plain straight into the room, or compressed with gzip
    .safetensors  one tensor of it, by its name
    images        so many files at a time

What a file holds is seen from its first bytes. Its header is read when it is opened, its numbers by
the readers that read them without streaming, so what is damaged is told in the same words.
"""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.folders import find_kind
from minienc.data.idx import IdxHeader, read_idx, read_idx_header
from minienc.data.images import as_size, images_under, read_image_files
from minienc.data.npy import NpyHeader, read_npy, read_npy_header, read_npz_array, read_npz_header
from minienc.data.pixels import Pixels
from minienc.data.raw import Choices, check_file
from minienc.data.safetensors_files import is_safetensors, read_tensor, read_tensor_header
from minienc.data.shards import Shard, Shards

IMAGES = 500  # of a shard
PART = 1 << 24  # bytes: larger files of .npy and IDX are cut
_READABLE = ".npy, .npz, IDX, .safetensors"


def open_shards(
    where: str | Path | Sequence[str | Path],
    window: int = 4,
    *,
    array: str | None = None,
    scale: float | None = None,
    dtype: DTypeLike = "float32",
    grey: bool = False,
    resize: int | tuple[int, int] | None = None,
    crop: bool = False,
) -> Shards:
    """Samples in files, which are read when they are needed.

    Parameters
    ----------
    where : path or sequence of paths
        A folder, whose files are taken in the order of their names; a pattern,
        ``"shards/*.npy"``; or the files. Of one kind: .npy, .npz, IDX (plain or gz), .safetensors;
        arrays of one axis beside others are labels, and are passed over. Files of .npy and IDX
        that are larger than 16 MB are cut into shards of that. A folder of images, or of
        sub-folders of images, is cut into shards of 500, as a pattern of images is.
    window : int
        As of ``Shards``.
    array : str, optional
        The name of the array in each .npz or .safetensors file; by default the only one, or the one
        that is called as samples are, x, x_train, data, ...
    scale : float, optional
        What bytes are multiplied by, as by ``load_dataset``: by default 1/255, or 1 where the first
        shard holds no others than 0 and 1. Numbers of another type stay as they are.
    dtype : {"float32", "float64"}
        What bytes become.
    grey, resize, crop
        Of images, as in ``read_image_folder``.

    Returns
    -------
    Shards

    Raises
    ------
    FileNotFoundError
        If there are no such files.
    ValueError
        If a file is of no such kind or damaged, or samples are of several shapes or dtypes.

    Examples
    --------
    >>> for i in range(3):
    ...     np.save(f"part-{i}.npy", np.zeros((10, 4), "float32"))
    >>> open_shards("part-*.npy").shape
    (30, 4)
    """
    how = Choices(grey=grey, resize=as_size(resize), crop=crop)
    is_folder = isinstance(where, (str, Path)) and Path(where).is_dir()
    images = images_under(Path(where)) if is_folder else []  # type: ignore[arg-type]
    paths = [] if images else _paths(where)
    if paths and _kind(check_file(paths[0], "open_shards")) == "image":
        images = [str(path) for path in paths]
    if images:
        files = _of_images(images, how)
    else:
        if how != Choices():
            raise ValueError(f"open_shards: grey, resize and crop are for images, not for {where}")
        files = [file for path in paths for file in _opened(path, array)]
        if isinstance(where, (str, Path)) and any(file.shape for file in files):
            files = [file for file in files if file.shape]  # the others are labels
    kinds: dict[tuple, str] = {}
    for file in files:
        kinds.setdefault((file.shape, file.dtype), file.shard.name)
    if len(kinds) > 1:
        told = ", ".join(f"{name} has {shape} of {kind}" for (shape, kind), name in kinds.items())
        raise ValueError(f"shards of several kinds: {told}; expected samples all of one")
    ((shape, kind),) = kinds
    shards = [file.shard for file in files]
    if kind != np.uint8:
        if scale is not None:
            raise ValueError(f"open_shards: scale is for bytes, and {where} holds {kind}")
        return Shards(shards, shape, kind, window)
    if scale is not None:
        Pixels(np.zeros((1, 1), np.uint8), dtype, scale)  # which refuses what is no scale
        return Shards(shards, shape, kind, window, scale=scale, seen=dtype)
    is_binary = int(np.max(shards[0].load(), initial=0)) <= 1
    opened = Shards(shards, shape, kind, window, scale=1 if is_binary else 1 / 255, seen=dtype)
    if is_binary:  # the first shard speaks for all
        opened.watch(domain=(0, 1))
    return opened


class _File(NamedTuple):
    """A shard, and of what its samples are."""

    shard: Shard
    shape: tuple[int, ...]  # of a sample
    dtype: np.dtype


def _paths(where: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that are meant: of a folder those that hold arrays, which must be of one kind."""
    if not isinstance(where, (str, Path)):
        return [Path(one) for one in where]
    if not Path(where).is_dir():
        found = [Path(one) for one in sorted(glob.glob(str(where)))]
        if not found:
            raise FileNotFoundError(f"{where}: no files are there; expected {_READABLE}")
        return found
    kinds: dict[str, list[Path]] = {}
    for path in sorted(Path(where).iterdir()):
        if path.is_file() and not path.name.startswith("."):
            kinds.setdefault(_kind(path), []).append(path)
    arrays = {kind: paths for kind, paths in kinds.items() if kind in _OPEN}
    if not arrays:
        came = f"only {', '.join(kinds)}" if kinds else "no files"
        raise FileNotFoundError(f"{where}: holds {came}, expected {_READABLE}, or images")
    if len(arrays) > 1:
        told = " and ".join(f"{kind} ({paths[0].name})" for kind, paths in arrays.items())
        raise ValueError(f"{where}: holds {told}; say which by a pattern, '{where}/*.npy'")
    ((paths),) = arrays.values()
    return paths


def _kind(path: Path) -> str:
    return "safetensors" if is_safetensors(path) else find_kind(path)


def _opened(path: Path, array: str | None) -> list[_File]:
    """A file as a shard, or several, once its header is read."""
    kind = _kind(check_file(path, "open_shards"))
    if kind not in _OPEN:
        raise ValueError(f"{path}: holds {kind}, which cannot be streamed; expected {_READABLE}")
    try:
        shape, dtype, load, fill = _OPEN[kind](path, array)
    except ValueError as error:
        raise ValueError(f"{path}: no {kind} file, or damaged: {error}") from error
    if not shape:
        raise ValueError(f"{path}: a single number, expected samples in rows")
    native, rows = dtype.newbyteorder("="), _rows_of_part(shape, dtype)
    if rows >= shape[0] or kind not in _HEADER or not _is_plain(path, _HEADER[kind](path)):
        return [_File(Shard(str(path), shape[0], load, fill), shape[1:], native)]
    parts = []
    for start in range(0, shape[0], rows):
        n = min(rows, shape[0] - start)
        part = _Part(path, _HEADER[kind], shape, start)
        name = f"{path}, rows {start} to {start + n - 1}"
        parts.append(_File(Shard(name, n, partial(part.load, n), part.fill), shape[1:], native))
    return parts


def _rows_of_part(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """How many rows of a large file make a shard, all of about the same number."""
    of_row = max(1, math.prod(shape[1:]) * dtype.itemsize)
    n_parts = max(1, math.ceil(shape[0] * of_row / PART))
    return max(1, math.ceil(shape[0] / n_parts))


_Header = NpyHeader | IdxHeader
_Opened = tuple[tuple[int, ...], np.dtype, Callable[[], np.ndarray], Callable[[np.ndarray], bool]]


def _open_npy(path: Path, array: str | None) -> _Opened:
    return _open_plain(path, read_npy_header, read_npy)


def _open_idx(path: Path, array: str | None) -> _Opened:
    return _open_plain(path, read_idx_header, read_idx)


def _open_plain(
    path: Path, read_header: Callable[[Path], _Header], read: Callable[[Path], np.ndarray]
) -> _Opened:
    header = read_header(path)
    fill = _Part(path, read_header, header.shape, 0).fill
    return header.shape, header.dtype, partial(read, path), fill


def _open_npz(path: Path, array: str | None) -> _Opened:
    header = read_npz_header(path, array)
    return header.shape, header.dtype, partial(read_npz_array, path, array), lambda room: False


def _open_safetensors(path: Path, array: str | None) -> _Opened:
    shape, dtype = read_tensor_header(path, array)
    return shape, dtype, partial(read_tensor, path, array), lambda room: False


_OPEN = {"npy": _open_npy, "npz": _open_npz, "idx": _open_idx, "safetensors": _open_safetensors}
_HEADER: dict[str, Callable[[Path], _Header]] = {"npy": read_npy_header, "idx": read_idx_header}


# --------------------------------------------------------------------- numbers as they lie there


class _Part(NamedTuple):
    """Rows of a file that is not compressed, from ``start`` on."""

    path: Path
    read_header: Callable[[Path], _Header]
    shape: tuple[int, ...]  # of the whole, when it was opened
    start: int

    def fill(self, room: np.ndarray) -> bool:
        """Read them to room for them; False where they lie there otherwise than in memory."""
        header = self.read_header(self.path)
        lies_so = header.shape == self.shape and header.dtype == room.dtype and room.size > 0
        if not lies_so or getattr(header, "fortran_order", False):
            return False
        if not _is_plain(self.path, header):
            return False
        to, done = room.data.cast("B"), 0
        with open(self.path, "rb", buffering=0) as file:
            file.seek(header.offset + self.start * (room.nbytes // len(room)))
            while done < len(to) and (count := file.readinto(to[done:])):
                done += count
        return done == len(to)

    def load(self, n: int) -> np.ndarray:
        """The next n rows, in this machine's byte order."""
        header = self.read_header(self.path)
        if header.shape != self.shape:
            raise ValueError(f"{self.path}: holds {header.shape}, expected {self.shape} as before")
        order: Literal["F", "C"] = "F" if getattr(header, "fortran_order", False) else "C"
        whole = np.memmap(self.path, header.dtype, "r", header.offset, header.shape, order)
        rows = whole[self.start : self.start + n]
        return np.array(rows, header.dtype.newbyteorder("="))


def _is_plain(path: Path, header: _Header) -> bool:
    """Whether the numbers lie in the file as they are: in one of gzip they do not."""
    return isinstance(header, NpyHeader) or (
        os.path.getsize(path) == header.offset + header.n_bytes
    )


# ----------------------------------------------------------------------------------------- images


def _of_images(paths: list[str], how: Choices) -> list[_File]:
    """So many images at a time, all of the first one's size."""
    first = read_image_files(paths[:1], how)
    files = []
    for start in range(0, len(paths), IMAGES):
        part = paths[start : start + IMAGES]
        shard = Shard(f"{part[0]} ...", len(part), partial(read_image_files, part, how))
        files.append(_File(shard, first.shape[1:], first.dtype))
    return files
