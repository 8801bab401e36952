"""``load_dataset``: from a name, a file or a folder to a ``Dataset``."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from minienc.data.checks import check_data
from minienc.data.datasets import Dataset
from minienc.data.digits import load_digits
from minienc.data.downloads import MNIST_TEST_IMAGES, NAMED, find_named
from minienc.data.folders import read_path
from minienc.data.pixels import Pixels, Samples, check_float_dtype


def load_dataset(
    source: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    dtype: DTypeLike = "float32",
    *,
    scale: float | None = None,
    grey: bool = False,
) -> Dataset:
    """Load a data set by its name or from a path.

    Parameters
    ----------
    source : str or path, optional
        None or ``"digits"``: the digits that come with the package. ``"mnist"`` or
        ``"fashion-mnist"``: read from ``data_dir`` or ``$MINIENC_DATA``, else downloaded. Anything
        else is the path of a file (IDX, .npy, .npz, CSV) or folder (of those, or of images),
        recognised by what it holds; a folder that is called mnist is ``"./mnist"``.
    data_dir : str or path, optional
        Folder of the named data sets, itself or in sub-folders of their names.
    dtype : {"float32", "float64"}
        Of the samples when they are used. Bytes stay bytes in memory, as ``Pixels``.
    scale : float, optional
        What the samples are multiplied by. By default bytes by 1/255 (by 1 if all are 0 or 1),
        and other numbers by 1. Integers of another type that run from exactly 0 to exactly 255
        count as bytes.
    grey : bool
        Convert colour images to grey.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError
        If the path is not there or may not be read.
    ImportError, ConnectionError
        If a named data set has to be downloaded and cannot be.
    ValueError
        If what is there is not recognised, ambiguous, cut short or corrupt, or holds NaN or
        infinity (the rows are named).
    """
    check_float_dtype(dtype, "load_dataset")
    if source is None or source == "digits":
        return load_digits(dtype)
    if source in NAMED:
        return _load_named(str(source), data_dir, dtype)
    if not Path(source).exists():
        raise FileNotFoundError(
            f"load_dataset: there is no {source}; expected a file, a folder, or one of "
            f"{', '.join(['digits', *NAMED])}"
        )
    return _load_path(Path(source), dtype, scale, grey)


def _load_named(name: str, data_dir: str | os.PathLike | None, dtype: DTypeLike) -> Dataset:
    folder = find_named(name, None if data_dir is None else Path(data_dir))
    raw = read_path(folder, dtype)
    named = NAMED[name]
    if raw.test_x is None or raw.x.dtype != np.uint8 or raw.x.shape != (60000, 28, 28):
        raise ValueError(
            f"load_dataset: {folder} holds {raw.x.dtype} {raw.x.shape}, expected {name}'s uint8 "
            f"(60000, 28, 28) and as many for testing as published; load it by its path instead"
        )
    is_mnist = _idx_digest(raw.test_x) == MNIST_TEST_IMAGES
    if is_mnist != (name == "mnist"):
        came = "MNIST's digits" if is_mnist else "other test images than MNIST's"
        raise ValueError(f"load_dataset: {folder} holds {came}, expected {name}; check data_dir")
    return Dataset(
        name,
        Pixels(raw.x, dtype),
        raw.y,
        Pixels(raw.test_x, dtype),
        raw.test_y,
        named.class_names,
        named.source,
    )


def _idx_digest(images: np.ndarray) -> str:
    """SHA-256 of the decompressed IDX file that holds these bytes."""
    digest = hashlib.sha256(struct.pack(f">4B{images.ndim}I", 0, 0, 8, images.ndim, *images.shape))
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def _load_path(path: Path, dtype: DTypeLike, scale: float | None, grey: bool) -> Dataset:
    raw = read_path(path, dtype, grey)
    parts = [raw.x] if raw.test_x is None else [raw.x, raw.test_x]
    for x, y, which in zip(parts, (raw.y, raw.test_y), ("", " (test samples)"), strict=False):
        where = f"load_dataset: {path}{which}"
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
    inputs = _as_inputs(parts, dtype, scale)
    return Dataset(
        name=path.resolve().name.partition(".")[0] or str(path),
        x=inputs[0],
        y=raw.y,
        test_x=inputs[1] if len(inputs) > 1 else None,
        test_y=raw.test_y,
        class_names=raw.class_names,
        source=str(path),
    )


def _as_inputs(parts: list[np.ndarray], dtype: DTypeLike, scale: float | None) -> Sequence[Samples]:
    """Bytes as Pixels, everything else as floats; one rule for training and test samples."""
    if all(_is_bytes(x) for x in parts):
        if scale is None:
            scale = 1.0 if max(int(x.max()) for x in parts) <= 1 else 1 / 255
        return [Pixels(x.astype(np.uint8, copy=False), dtype, scale) for x in parts]
    floats = [x.astype(dtype, copy=False) for x in parts]
    return floats if scale is None else [x * x.dtype.type(scale) for x in floats]


def _is_bytes(x: np.ndarray) -> bool:
    if x.dtype == np.uint8 or x.dtype.kind == "b":
        return True
    return x.dtype.kind in "iu" and int(x.min()) == 0 and int(x.max()) == 255
