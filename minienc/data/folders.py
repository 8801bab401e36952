"""What a file or folder holds, found from its bytes and never from its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.foreign import foreign
from minienc.data.idx import IdxHeader, is_idx, read_idx, read_idx_header
from minienc.data.images import holds_images, is_image, read_image, read_images
from minienc.data.npy import (
    NPY_MAGIC,
    ZIP_MAGIC,
    NpyHeader,
    read_npy,
    read_npy_header,
    read_npz,
)
from minienc.data.raw import Choices, RawData, as_labels, check_exists, check_file
from minienc.data.recordings import holds_sounds, read_recordings
from minienc.data.tables import is_table, read_table
from minienc.data.wav import is_sound


def read_path(
    path: str | Path,
    dtype: DTypeLike = "float32",
    how: Choices = Choices(),  # noqa: B008
) -> RawData:
    """Read what ``path`` holds: a file of arrays, a table, a folder of arrays, images or sounds.

    Raises
    ------
    OSError
        If nothing is there, or a pipe or a device.
    ValueError
        If it holds nothing that can be read, or several things of which one has to be chosen; if
        ``how`` says something of images or tables and it holds none.
    """
    path = check_exists(path, "load_dataset")
    if path.is_dir():
        return _read_folder(path, dtype, how)
    kind = find_kind(check_file(path, "load_dataset"))
    if kind in ("npz", "text", "unknown") and (told := foreign(_start(path))):
        raise ValueError(f"load_dataset: {path} {told}")
    if kind == "text":
        return _read_table(path, dtype, how)
    if kind == "sound" and how.sound is not None:
        return read_recordings(path, how, dtype)
    if kind == "image" and how.may_lack:
        return read_image(path, how)
    if kind in ("image", "sound"):
        raise ValueError(f"load_dataset: {path} is one {kind}, expected a folder of {kind}s")
    if kind not in ("npz", *_READ_ARRAY):
        raise ValueError(_not_recognised(path, kind))
    _check_choices(path, how, "arrays")
    return read_npz(path) if kind == "npz" else RawData(_READ_ARRAY[kind](path))


def _read_table(path: Path, dtype: DTypeLike, how: Choices) -> RawData:
    _check_choices(path, how, "a table")
    return read_table(path, dtype, how)


def _check_choices(path: Path, how: Choices, what: str) -> None:
    """Refuse what was said of images where there are none, and of tables where there is none."""
    of_images: dict[str, Any] = {"resize": how.resize, "crop": how.crop}
    of_tables: dict[str, Any] = {"label_column": how.label_column, "drop": how.drop}
    of_sounds: dict[str, Any] = {
        name: getattr(how, name)
        for name in ("pattern", "held_out_speakers", "resample", "frames", "mels")
    }
    if what == "sounds":
        of_tables.pop("label_column")  # of the CSV that lists them
    if how.may_lack:
        return
    kinds = {"folders of images": of_images, "tables": of_tables, "folders of sounds": of_sounds}
    own = {"images": "folders of images", "a table": "tables", "sounds": "folders of sounds"}
    for kind, named in kinds.items():
        for name, value in named.items() if kind != own.get(what) else ():
            if not value:
                continue
            raise ValueError(
                f"load_dataset: {name} is {value!r} (--{name.replace('_', '-')}), which is for "
                f"{kind}; {path} holds {what}"
            )


def find_kind(path: Path) -> str:
    """Return "idx", "npy", "npz", "image", "sound", "text", "empty", "gzip" or "unknown".

    Compressed with gzip, an IDX file or a table is what it is; everything else is "gzip".
    """
    start = _start(path)
    if not start:
        return "empty"
    if start[:2] == b"\x1f\x8b":
        return _kind_in_gzip(path)
    if is_idx(start):
        return "idx"
    if start.startswith(NPY_MAGIC):
        return "npy"
    if start.startswith((ZIP_MAGIC + b"\x03\x04", ZIP_MAGIC + b"\x05\x06")):
        return "npz"
    if is_image(start):
        return "image"
    if is_sound(start):
        return "sound"
    return "text" if _is_text(start) else "unknown"


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4096)


def _kind_in_gzip(path: Path) -> str:
    import gzip
    import zlib

    try:
        with gzip.open(path, "rb") as file:
            start = file.read1(4096)  # what comes first, though the rest be cut short
    except (OSError, EOFError, zlib.error):
        return "gzip"
    if is_idx(start):
        return "idx"
    return "text" if start and _is_text(start) else "gzip"


def _is_text(start: bytes) -> bool:
    """Whether it could be a table: no control characters but tabs and line ends, or UTF-16."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in start)


def _not_recognised(path: Path, kind: str) -> str:
    readable = "IDX or CSV (plain or gz), .npy, .npz, or a folder of these, of images or sounds"
    if kind == "empty":
        return f"load_dataset: {path} is empty, expected {readable}"
    if kind == "gzip":
        return (
            f"load_dataset: {path} is compressed and holds no IDX file and no table, or is "
            f"corrupt; decompress it first; readable are {readable}"
        )
    return f"load_dataset: {path} begins with {_start(path)[:8].hex(' ')}, expected {readable}"


# --------------------------------------------------------------------------------------- a folder


def _read_folder(folder: Path, dtype: DTypeLike, how: Choices) -> RawData:
    """Read the one kind of data in a folder; text files count only if there is nothing else."""
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            files.setdefault(find_kind(file), []).append(file)
    arrays = [*files.get("idx", []), *files.get("npy", [])]
    archives = files.get("npz", [])
    images = bool(files.get("image")) or holds_images(folder)
    sounds = bool(files.get("sound")) or holds_sounds(folder)
    kinds = {"arrays (IDX, .npy)": bool(arrays), ".npz": bool(archives), "images": images}
    kinds["sounds"] = sounds
    found = [kind for kind, there in kinds.items() if there]
    if len(found) > 1:
        raise ValueError(
            f"load_dataset: {folder} holds {' and '.join(found)}; give the path of one of them"
        )
    if arrays or archives:
        _check_choices(folder, how, "arrays")
    if arrays:
        return _pair([_describe(file, find_kind(file)) for file in arrays], folder)
    if archives:
        return read_npz(_the_one(archives, folder))
    if images:
        _check_choices(folder, how, "images")
        return read_images(folder, how)
    if sounds:
        _check_choices(folder, how, "sounds")
        return read_recordings(folder, how, dtype)
    if tables := [file for file in files.get("text", []) if is_table(file)]:
        return _read_table(_the_one(tables, folder), dtype, how)
    inside = [file.name for group in files.values() for file in group]
    came = f"only {', '.join(inside[:5])}" if inside else "no files"
    raise ValueError(
        f"load_dataset: {folder} holds {came}, expected IDX files, .npy, .npz, a CSV, images, or "
        f"sounds"
    )


def _the_one(files: list[Path], folder: Path) -> Path:
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:5])
        raise ValueError(f"load_dataset: {folder} holds {names}; give the path of one of them")
    return files[0]


# ---------------------------------------------------------------- which array belongs to which


class _ArrayFile(NamedTuple):
    """A file with one array: labels if it has one axis, samples if it has more."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Path], np.ndarray]


_READ_ARRAY = {"idx": read_idx, "npy": read_npy}
_READ_HEADER: dict[str, Callable[[Path], IdxHeader | NpyHeader]] = {
    "idx": read_idx_header,
    "npy": read_npy_header,
}


def _describe(path: Path, kind: str) -> _ArrayFile:
    header = _READ_HEADER[kind](path)
    return _ArrayFile(path, header.shape, header.dtype, _READ_ARRAY[kind])


def _pair(files: list[_ArrayFile], folder: Path) -> RawData:
    """Pair samples with labels by their number; the larger pair is for training."""
    files = _without_copies(files)
    samples = sorted((f for f in files if len(f.shape) > 1), key=lambda f: -f.shape[0])
    labels = [f for f in files if len(f.shape) == 1]
    if not samples:
        raise ValueError(f"load_dataset: {folder} holds labels alone: {_names(labels)}")
    if len(samples) > 2:
        raise ValueError(
            f"load_dataset: {folder} holds {len(samples)} files of samples, {_names(samples)}, "
            f"expected one, or two of which the larger is for training"
        )
    counts = [f.shape[0] for f in samples]
    for group in (samples, labels):
        for count in {f.shape[0] for f in group}:
            same = [f for f in group if f.shape[0] == count]
            if len(same) > 1:
                raise ValueError(
                    f"load_dataset: {folder}: {_names(same)} have {count} entries each and "
                    f"cannot be told apart; move one of them elsewhere"
                )
    spare = [f for f in labels if f.shape[0] not in counts]
    if spare:
        raise ValueError(
            f"load_dataset: {folder}: {_names(spare)} has {spare[0].shape[0]} labels, expected as "
            f"many as there are samples, {' or '.join(map(str, counts))}"
        )
    if len({f.shape[1:] for f in samples}) > 1:
        raise ValueError(
            f"load_dataset: {folder}: {_names(samples)} hold samples of {samples[0].shape[1:]} and "
            f"{samples[1].shape[1:]}, expected the same"
        )
    by_count = {f.shape[0]: f for f in labels}
    parts: list[Any] = []  # x, y, test_x, test_y
    for f in samples:
        own = by_count.get(f.shape[0])
        y = None if own is None else as_labels(own.read(own.path), f"load_dataset: {own.path}")
        parts += [f.read(f.path), y]
    return RawData(*parts)


def _without_copies(files: list[_ArrayFile]) -> list[_ArrayFile]:
    """Keep one of files with the same content: a file often stands beside its .gz."""
    kept: list[_ArrayFile] = []
    for file in files:
        alike = [k for k in kept if (k.shape, k.dtype) == (file.shape, file.dtype)]
        if not any(_digest(k) == _digest(file) for k in alike):
            kept.append(file)
    return kept


def _digest(file: _ArrayFile) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(file.read(file.path)).data).digest()


def _names(files: list[_ArrayFile]) -> str:
    return ", ".join(f.path.name for f in files[:6])
