"""Runs on data larger than memory: ``minienc pretrain 'shards/*.npy'``, or a folder of shards.

What is learned from are ``Shards``. The samples to test on, and what the report measures and shows,
are some of them, in memory.
"""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from minienc.data import Dataset, Shards, open_shards
from minienc.data.folders import find_kind
from minienc.data.idx import IdxHeader, read_idx_header
from minienc.data.limits import memory_there
from minienc.data.npy import NpyHeader, read_npy_header
from minienc.data.pixels import Samples
from minienc.data.safetensors_files import is_safetensors
from minienc.data.shard_parts import hold_out, some_samples
from minienc.files import atomic_write
from minienc.models import Model

# settings that are for data in memory, and what to do instead
_NOT_STREAMED = {
    "standardise": "scale the shards before",
    "label_column": "take a table in one file",
    "drop": "take a table in one file",
    "pattern": "take a folder of sounds",
    "held_out_speakers": "take a folder of sounds",
    "resample": "take a folder of sounds",
    "frames": "take a folder of sounds",
    "mels": "take a folder of sounds",
}


def is_stream(data: str | None) -> bool:
    """Whether this names shards: a pattern, a .safetensors file, an .npy or IDX file that half of
    the memory could not hold, or a folder with more files of samples than a data set in memory has,
    three of .npy or IDX, two of .npz.

    Examples
    --------
    >>> is_stream("shards/*.npy"), is_stream("digits")
    (True, False)
    """
    if data is None:
        return False
    path = Path(data)
    if not path.is_dir():
        is_pattern = glob.has_magic(data) and not path.exists()
        return is_pattern or (path.is_file() and (is_safetensors(path) or _is_large(path)))
    names: dict[str, set[str]] = {}
    for file in path.iterdir():
        if file.is_file() and not file.name.startswith("."):
            kind = "safetensors" if is_safetensors(file) else find_kind(file)
            if kind not in _HEADER or _holds_samples(file, kind):
                names.setdefault(kind, set()).add(file.name.removesuffix(".gz"))
    n = {kind: len(files) for kind, files in names.items()}
    return n.get("npy", 0) + n.get("idx", 0) > 2 or n.get("npz", 0) > 1 or "safetensors" in n


_HEADER: dict[str, Callable[[Path], NpyHeader | IdxHeader]] = {
    "npy": read_npy_header,
    "idx": read_idx_header,
}


def _is_large(path: Path) -> bool:
    there = memory_there()
    return there is not None and path.stat().st_size > there // 2 and find_kind(path) in _HEADER


def _holds_samples(file: Path, kind: str) -> bool:
    try:
        return len(_HEADER[kind](file).shape) > 1
    except ValueError:
        return True  # whoever reads it says what is wrong


def open_stream(settings: dict[str, Any], images: dict[str, Any]) -> Dataset:
    """The shards that the settings name, and some samples of them to test on; ``images`` says how
    images are read.

    Raises
    ------
    ValueError
        For settings that need all samples at once; and as of ``open_shards``.
    """
    for name, mend in _NOT_STREAMED.items():
        if settings.get(name):
            flag = "--" + name.replace("_", "-")
            raise ValueError(
                f"{settings['data']} is read shard by shard, for which there is no {flag}; {mend}"
            )
    X = _open(settings["data"], settings.get("scale"), settings.get("dtype", "float32"), images)
    rest, test = hold_out(X)
    name = _name(settings["data"])
    return Dataset(name, cast("Samples", rest), test_x=test, source=settings["data"])


def open_more(data: str, dtype: DTypeLike, scale: float | None, images: dict[str, Any]) -> Dataset:
    """Other shards than a run's, bytes scaled as the run's were."""
    return Dataset(_name(data), cast("Samples", _open(data, scale, dtype, images)), source=data)


def _open(data: str, scale: float | None, dtype: DTypeLike, images: dict[str, Any]) -> Shards:
    X = open_shards(data, dtype=dtype, **images)
    if scale is None or (scale == 1 and X.scale is None):
        return X
    return open_shards(data, dtype=dtype, scale=scale, **images)


def _name(data: str) -> str:
    path = Path(data)
    return (path.parent if glob.has_magic(data) and not path.exists() else path).resolve().stem


def in_memory(dataset: Dataset) -> Dataset:
    """The data set, or of one that is a stream some samples in its place: to be measured."""
    if not isinstance(dataset.x, Shards):
        return dataset
    return dataclasses.replace(dataset, x=some_samples(dataset.x))


def note_of(dataset: Dataset) -> list[str]:
    """What a report says of figures that were not made of all samples."""
    if not isinstance(dataset.x, Shards):
        return []
    n, of = len(some_samples(dataset.x)), len(dataset.x)
    return [f"What is compared with learned from {n:,} of the {of:,} samples."] if n < of else []


def write_codes(path: Path, encoder: Model, X: Shards) -> tuple[int, ...]:
    """The codes of all shards, written part by part; their shape."""
    shape = (len(X), *encoder.outputs[0].sample_shape)
    with atomic_write(path) as file:
        head = {"descr": np.dtype(encoder.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for start in range(0, len(X), 1000):
            file.write(encoder.predict(X[start : start + 1000], batch_size=1000).tobytes())
    return shape
