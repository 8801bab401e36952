"""One tensor of a .safetensors file, by its name: read by the library of that name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minienc.data.npy import X_NAMES
from minienc.data.raw import check_file

_DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}

Opened = Any  # what ``safe_open`` gives


def is_safetensors(path: Path) -> bool:
    """Whether a file is called as one of that format."""
    return path.suffix == ".safetensors"


def read_tensor_header(
    path: str | Path, name: str | None = None
) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a tensor, without reading its numbers.

    Raises
    ------
    ValueError
        If it is not there, or holds numbers that NumPy does not know; if the file is no such file;
        without ``name``, if it cannot be told which tensor is meant.
    ImportError
        If safetensors is not installed.
    """
    with _opened(path) as file:
        tensor = file.get_slice(_which(file, name))
        kind = tensor.get_dtype()
        if kind not in _DTYPES:
            raise ValueError(
                f"it holds {kind}, which NumPy does not know, expected F32 or the like"
            )
        return tuple(tensor.get_shape()), np.dtype(_DTYPES[kind])


def read_tensor(path: str | Path, name: str | None = None) -> np.ndarray:
    """A tensor as an array; refusals as of ``read_tensor_header``."""
    with _opened(path) as file:
        return file.get_tensor(_which(file, name))


@contextmanager
def _opened(path: str | Path) -> Iterator[Opened]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ImportError(f"{path}: to read it, pip install safetensors") from None
    try:
        with safe_open(check_file(path, "read_tensor"), framework="np") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"it is cut short or corrupt: {error}; get the file again") from None


def _which(file: Opened, name: str | None) -> str:
    names = sorted(file.keys())
    if name is None:
        known = [n for wanted in X_NAMES for n in names if n.lower() == wanted]
        name = names[0] if len(names) == 1 else known[0] if known else None
    if name is None or name not in names:
        asked = f"no {name!r}" if name is not None else "none that is called x"
        raise ValueError(
            f"it holds {', '.join(names[:5]) or 'no tensors'}, and {asked}; say array="
        )
    return name
