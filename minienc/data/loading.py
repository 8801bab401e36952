"""``load_dataset``: from a name, a file or a folder to a ``Dataset``."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from minienc.data import fsdd
from minienc.data.checks import check_data
from minienc.data.datasets import Dataset
from minienc.data.digits import load_digits
from minienc.data.downloads import FILES, MNIST_SHA256, NAMED, find_named
from minienc.data.folders import read_path
from minienc.data.images import as_size
from minienc.data.limits import check_memory
from minienc.data.pixels import Pixels, Samples, check_float_dtype
from minienc.data.raw import Choices, RawData
from minienc.data.recordings import as_raw_data, of_clips, read_recordings
from minienc.data.sequences import LogMel
from minienc.data.sounds import make_vowels
from minienc.data.tables import as_choices
from minienc.data.wav import MOST_RATE
from minienc.shapes import is_whole

NAMED_SOUNDS = ("vowels", "fsdd")


def load_dataset(
    source: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    dtype: DTypeLike = "float32",
    *,
    scale: float | None = None,
    pixel_scale: float | None = None,
    grey: bool = False,
    resize: int | tuple[int, int] | None = None,
    crop: bool = False,
    label_column: str | int | None = None,
    drop: str | int | Sequence[str | int] = (),
    may_lack: bool = False,
    pattern: str | None = None,
    held_out_speakers: str | Sequence[str] = (),
    resample: int | None = None,
    frames: int | None = None,
    mels: int | None = None,
    sound: LogMel | None = None,
) -> Dataset:
    """Load a data set by its name or from a path.

    Parameters
    ----------
    source : str or path, optional
        None or ``"digits"``: the digits that come with the package. ``"vowels"``: sounds that are
        made (``sounds.py``). ``"mnist"``, ``"fashion-mnist"`` or ``"fsdd"``: read from ``data_dir``
        or ``$MINIENC_DATA``, else downloaded. Anything else is the path of a file (IDX, .npy, .npz,
        CSV) or folder (of those, of images, or of sounds), recognised by what it holds; a folder
        that is called mnist is ``"./mnist"``.
    data_dir : str or path, optional
        Folder of the named data sets, itself or in sub-folders of their names.
    dtype : {"float32", "float64"}
        Of the samples when they are used. Bytes stay bytes in memory, as ``Pixels``.
    scale : float, optional
        What the samples are multiplied by. By default bytes by 1/255 (by 1 if all are 0 or 1),
        and other numbers by 1. Integers of another type that run from exactly 0 to exactly 255
        count as bytes.
    pixel_scale : float, optional
        In the place of what ``scale`` guesses from the values: what images, integers and tables of
        whole numbers are multiplied by; arrays of floats stay as they are. It is the scale of the
        data that an encoder has learned from, for more of the same kind.
    grey, resize, crop
        Of images, as in ``read_image_folder``.
    label_column, drop
        Of tables, as in ``read_csv``.
    may_lack : bool
        ``label_column`` and ``drop`` may name columns that are not there, as labels are not in
        what is encoded later.
    pattern, held_out_speakers : str, names
        Of sounds, as at the top of ``recordings.py``.
    resample : int, optional
        Of sounds: the rate in Hz that all are brought to; nothing is resampled without it.
    frames, mels : int, optional
        Of sounds: T of a sample, and bands of a frame.
    sound : LogMel, optional
        Of sounds: how those were read that an encoder has learned from, for more of the same kind;
        one file will then do, and nothing is kept for testing.

    Raises
    ------
    OSError
        If the path is not there, may not be read, or is a pipe or a device.
    ImportError, ConnectionError
        If a named data set has to be downloaded and cannot be.
    ValueError
        If what is there is not recognised, ambiguous, cut short or corrupt, or holds NaN or
        infinity, as it is or in ``dtype`` (the rows are named); if something was said of images
        or tables and there are none.

    Examples
    --------
    >>> load_dataset("digits").name
    'digits'
    """
    check_float_dtype(dtype, "load_dataset")
    for name, factor in (("scale", scale), ("pixel_scale", pixel_scale)):
        if factor is not None and not 0 < factor < np.inf:
            raise ValueError(f"load_dataset: {name} is {factor}, expected a positive number")
    how = as_choices(label_column, drop)
    how = how._replace(grey=grey, resize=as_size(resize), crop=crop, may_lack=may_lack)
    check_sound_choices(resample, frames=frames, mels=mels)
    out = (held_out_speakers,) if isinstance(held_out_speakers, str) else tuple(held_out_speakers)
    said_of_others = how != Choices(may_lack=may_lack)
    how = how._replace(pattern=pattern, held_out_speakers=out, resample=resample, sound=sound)
    how = how._replace(frames=frames, mels=mels)
    if source in NAMED_SOUNDS:
        if said_of_others and not may_lack:
            raise ValueError(
                f"load_dataset: grey, resize, crop, label_column and drop are for images and "
                f"tables, not for {source}"
            )
        return _load_sounds(str(source), data_dir, dtype, how)
    if source is None or source == "digits" or source in NAMED:
        if not may_lack and (scale is not None or how != Choices(grey)):
            raise ValueError(
                f"load_dataset: scale, resize, crop, label_column, drop, pattern, speakers and "
                f"frames are for your own images, tables and sounds, not for {source or 'digits'}"
            )
        named = source in NAMED
        return _load_named(str(source), data_dir, dtype) if named else load_digits(dtype)
    if not Path(source).exists():
        raise FileNotFoundError(
            f"load_dataset: there is no {source}; expected a file, a folder, or one of "
            f"{', '.join(['digits', *NAMED, *NAMED_SOUNDS])}"
        )
    raw = read_path(Path(source), dtype, how)
    return _as_dataset(Path(source), raw, np.dtype(dtype), scale, pixel_scale)


def _load_named(name: str, data_dir: str | os.PathLike | None, dtype: DTypeLike) -> Dataset:
    folder = find_named(name, None if data_dir is None else Path(data_dir))
    raw = read_path(folder, dtype)
    named = NAMED[name]
    if raw.test_x is None or raw.x.dtype != np.uint8 or raw.x.shape != (60000, 28, 28):
        raise ValueError(
            f"load_dataset: {folder} holds {raw.x.dtype} {raw.x.shape}, expected {name}'s uint8 "
            f"(60000, 28, 28) and as many for testing as published; load it by its path instead"
        )
    _check_named(name, raw, folder)
    return Dataset(
        name,
        Pixels(raw.x, dtype),
        raw.y,
        Pixels(raw.test_x, dtype),
        raw.test_y,
        named.class_names,
        named.source,
    )


def find_data(name: str, data_dir: str | os.PathLike | None, download: bool) -> str:
    """Where a named data set lies, and what it holds, in a line; with ``download`` it is fetched.

    Raises
    ------
    FileNotFoundError
        If it is not there and is not to be fetched.
    """
    root = None if data_dir is None else Path(data_dir)
    find = fsdd.find_fsdd if name == "fsdd" else partial(find_named, name)
    where = find(root, fetch=download)
    dataset = load_dataset(name, data_dir)
    return (
        f"{where}: {len(dataset.x):,} samples to train on, {len(dataset.test_x):,} to test; "
        f"{dataset.source}"
    )


def _load_sounds(
    name: str, data_dir: str | os.PathLike | None, dtype: DTypeLike, how: Choices
) -> Dataset:
    """Sounds that are known by a name: made, or found in a folder."""
    if name == "vowels":
        raw = as_raw_data(of_clips(make_vowels()), how, dtype, "load_dataset: vowels")
        return _of_sounds(name, raw, "made, with the formants of Peterson and Barney 1952")
    folder = fsdd.find_fsdd(data_dir)
    raw = read_recordings(folder, how._replace(pattern=fsdd.PATTERN), dtype)
    if how.sound is None:
        fsdd.check_is_fsdd(raw, folder)
    return _of_sounds(name, raw, fsdd.SOURCE)


def _of_sounds(name: str, raw: RawData, source: str) -> Dataset:
    parts = raw.x, raw.y, raw.test_x, raw.test_y
    return Dataset(name, *parts, raw.class_names, source, sound=raw.sound)


def check_sound_choices(resample: int | None, **counts: int | None) -> None:
    """Refuse what is no rate, or no number of frames or bands."""
    if resample is not None and not (is_whole(resample, 1) and resample <= MOST_RATE):
        raise ValueError(
            f"load_dataset: resample is {resample!r}, expected a rate in Hz, 1 to {MOST_RATE:,}"
        )
    for name, n in counts.items():
        if n is not None and not is_whole(n, 1):
            raise ValueError(f"load_dataset: {name} is {n!r}, expected a whole number from 1")


def _check_named(name: str, raw: RawData, folder: Path) -> None:
    """Refuse files that have the right shapes and are another data set, or are blank."""
    parts = dict(zip(FILES, raw[:4], strict=True))
    digests = map(_idx_digest, parts.values())
    are_mnist = {f: a == b for f, a, b in zip(FILES, digests, MNIST_SHA256, strict=True)}
    if are_mnist[FILES[2]] != (name == "mnist"):
        came = "MNIST's digits" if are_mnist[FILES[2]] else "other test images than MNIST's"
        raise ValueError(f"load_dataset: {folder} holds {came}, expected {name}; check data_dir")
    if name == "mnist":
        wrong = [file for file, same in are_mnist.items() if not same]
    else:  # ten classes of equally many, and hardly a blank image
        wrong = [
            file
            for file, part in parts.items()
            if part is None
            or (part.ndim == 1 and set(np.bincount(part.astype(np.int64))) != {len(part) // 10})
            or (part.ndim == 3 and part.any(axis=(1, 2)).mean() < 0.99)
        ]
    if wrong:
        raise ValueError(
            f"load_dataset: {folder}: what {', '.join(wrong)} should hold is not {name}'s; get it "
            f"again"
        )


def _idx_digest(array: np.ndarray | None) -> str:
    """SHA-256 of the decompressed IDX file that holds these bytes."""
    if array is None:
        return ""
    digest = hashlib.sha256(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape))
    digest.update(np.ascontiguousarray(array, np.uint8).data)
    return digest.hexdigest()


def _as_dataset(
    path: Path, raw: RawData, dtype: np.dtype, scale: float | None, pixel_scale: float | None
) -> Dataset:
    wheres = [f"load_dataset: {path}", f"load_dataset: {path} (test samples)"]
    parts = [raw.x] if raw.test_x is None else [raw.x, raw.test_x]
    for x, y, where in zip(parts, (raw.y, raw.test_y), wheres, strict=False):
        if x.ndim < 2:
            raise ValueError(
                f"{where} is {x.shape}, expected (N, ...), samples in rows; labels alone are "
                f"not enough"
            )
        if y is not None and len(y) != len(x):
            raise ValueError(
                f"{where} holds {len(x)} samples and {len(y)} labels, expected as many of each"
            )
        check_data(x, name=where, minimum=1)
        if x.size == 0:
            raise ValueError(f"{where} is {x.shape}: its samples hold no numbers")
    if scale is None and pixel_scale is not None:
        scale = _scale_of_run(parts, raw.columns is not None, pixel_scale, wheres[0])
    inputs = _as_inputs(parts, dtype, scale, wheres)
    return Dataset(
        name=path.resolve().name.partition(".")[0] or str(path),
        x=inputs[0],
        y=raw.y,
        test_x=inputs[1] if len(inputs) > 1 else None,
        test_y=raw.test_y,
        class_names=raw.class_names,
        source=str(path),
        columns=raw.columns,
        sound=raw.sound,
    )


def _scale_of_run(parts: list[np.ndarray], is_table: bool, pixel_scale: float, where: str) -> float:
    """``pixel_scale`` for whole numbers, 1 for arrays of floats: whatever the values are."""
    if is_table and not all((np.rint(x) == x).all() for x in parts):
        raise ValueError(
            f"{where} holds numbers that are not whole, expected whole ones, which are multiplied "
            f"by {pixel_scale:.6g}; if they are scaled already, say scale=1 (--scale 1)"
        )
    return pixel_scale if is_table or all(x.dtype.kind in "bui" for x in parts) else 1.0


def _as_inputs(
    parts: list[np.ndarray], dtype: np.dtype, scale: float | None, wheres: list[str]
) -> Sequence[Samples]:
    """Bytes as Pixels, everything else as floats; one rule for training and test samples."""
    if all(_is_bytes(x) for x in parts):
        if scale is None:
            scale = 1.0 if max(int(x.max()) for x in parts) <= 1 else 1 / 255
        return [Pixels(x.astype(np.uint8, copy=False), dtype, scale) for x in parts]
    return [_as_floats(x, dtype, scale, where) for x, where in zip(parts, wheres, strict=False)]


def _as_floats(x: np.ndarray, dtype: np.dtype, scale: float | None, where: str) -> np.ndarray:
    """Cast and scale; what was finite before has to be afterwards."""
    if x.dtype == dtype and scale is None:
        return x
    check_memory(x.size * dtype.itemsize, where)
    with np.errstate(over="ignore"):
        y = x.astype(dtype, copy=False)
        y = y if scale is None else y * dtype.type(scale)
    check_data(y, name=f"{where} as {dtype}", minimum=1)
    return y


def _is_bytes(x: np.ndarray) -> bool:
    if x.dtype == np.uint8 or x.dtype.kind == "b":
        return True
    return x.dtype.kind in "iu" and int(x.min()) == 0 and int(x.max()) == 255
