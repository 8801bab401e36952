"""Files of named arrays with a header: weights, models, and whole states of training.

An archive is an ``.npz`` (a zip of ``.npy`` arrays) whose entry ``header`` holds JSON text.
Nothing in it is ever unpickled, so a hostile file can be refused but not executed. Writing is
atomic: a reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from minienc.arrays import to_numpy
from minienc.files import atomic_write


def write_archive(path: str | Path, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write ``header`` (JSON values) and ``arrays`` to ``path``, all or nothing.

    A path that ends in ``.safetensors`` is written in that format (extra ``safetensors``).
    """
    host = {name: np.ascontiguousarray(to_numpy(a)) for name, a in arrays.items()}
    text = json.dumps(header)
    if Path(path).suffix == ".safetensors":
        from safetensors.numpy import save

        content = save(host, metadata={"header": text})
        with atomic_write(path) as file:
            file.write(content)
        return
    with atomic_write(path) as file:
        np.savez(file, header=np.array(text), **host)  # type: ignore[arg-type]


def read_archive(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what ``write_archive`` wrote, recognised by its content.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is truncated, corrupt, holds Python objects, or is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with open(path, "rb") as file:
            is_zip = file.read(2) == b"PK"
        return _read_npz(path) if is_zip else _read_safetensors(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(
            f"{path}: not a file of minienc's weights, or damaged: {_first_line(error)}"
        ) from error


def _read_npz(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as archive:
        if "header" not in archive.files:
            raise ValueError("it has no entry 'header'")
        header = json.loads(str(archive["header"][()]))
        arrays = {name: archive[name] for name in archive.files if name != "header"}
    return header, arrays


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ValueError("it is no .npz file (and safetensors is not installed)") from None
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads(file.metadata()["header"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:
        raise ValueError(_first_line(error)) from error
    return header, arrays


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_fit(
    what: str, found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    """Refuse arrays that are not those of a model, saying which names and shapes differ."""
    wrong = [
        f"{name} is {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    missing = [
        f"{name} {shape} is missing" for name, shape in expected.items() if name not in found
    ]
    extra = [
        f"{name} {shape} is not in the model"
        for name, shape in found.items()
        if name not in expected
    ]
    problems = wrong + missing + extra
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"{what} does not fit the model: {'; '.join(problems[:5])}{more}")
