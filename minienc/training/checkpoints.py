"""Files of named arrays with a header: weights, models, and whole states of training.

An archive is an ``.npz`` (a zip of ``.npy`` arrays) whose entry ``header`` holds JSON text.
Nothing in it is ever unpickled, so a hostile file can be refused but not executed. Writing is
atomic: a reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import Array, DTypeLike, to_numpy
from minienc.files import atomic_write, plain
from minienc.training.archives import (
    check_numbers,
    damage_is_told,
    first_line,
    parse_json,
    read_npz,
    short,
    take,
)

if TYPE_CHECKING:
    from minienc.training.optimizer import Optimizer


def write_archive(path: str | Path, header: dict[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write ``header`` (JSON values) and ``arrays`` to ``path``, all or nothing; NumPy's numbers in
    the header as Python's.

    A path that ends in ``.safetensors`` is written in that format (extra ``safetensors``).
    """
    host = {name: np.ascontiguousarray(to_numpy(a)) for name, a in arrays.items()}
    text = json.dumps(plain(header))
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
    OSError
        If it is not there (``FileNotFoundError``) or may not be read.
    ValueError
        If the file is truncated, corrupt, holds Python objects, NaN or infinity, declares more
        numbers than it has, or is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"
    try:
        header, arrays = read_npz(path) if is_zip else _read_safetensors(path)
        if not isinstance(header, dict):
            raise ValueError(f"its header is {short(header)}, expected values by their names")
    except Exception as error:  # a stranger's bytes: parsing them fails in many ways
        if isinstance(error, PermissionError):
            raise
        raise ValueError(
            f"{path}: not a file of minienc's weights, or damaged: {first_line(error)}"
        ) from error
    with damage_is_told(path, "it"):
        check_numbers(arrays, infinity=True)  # an optimiser may remember a square that overflowed
    return header, arrays


def _read_safetensors(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    try:
        from safetensors import safe_open
    except ImportError:
        raise ValueError("it is no .npz file (and safetensors is not installed)") from None
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        if not metadata or "header" not in metadata:
            raise ValueError("it has no entry 'header'")
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    strange = [name for name, array in arrays.items() if array.dtype.kind not in "buif"]
    if strange:
        raise ValueError(f"its entry {strange[0]!r} holds {arrays[strange[0]].dtype}")
    return parse_json(metadata["header"]), arrays


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


def check_floats(what: str, found: dict[str, np.ndarray], dtype: DTypeLike) -> None:
    for name, array in found.items():
        if array.dtype.kind != "f":
            raise ValueError(f"{what}: {name} holds {array.dtype}, expected {np.dtype(dtype)}")


def check_weights(what: str, found: dict[str, np.ndarray], dtype: DTypeLike) -> None:
    """Refuse arrays that cannot be the weights of a model of this dtype."""
    most = np.finfo(dtype).max
    check_floats(what, found, dtype)
    with damage_is_told(what, "it"):
        check_numbers(found)
    for name, array in found.items():
        if array.dtype.itemsize > np.dtype(dtype).itemsize and (np.abs(array) > most).any():
            raise ValueError(f"{what}: {name} has numbers beyond {np.dtype(dtype)}'s")


SQUARES = ("s", "v")  # what an optimiser remembers of squares: never below 0, perhaps infinite


def check_optimizer_state(
    optimizer: Optimizer, state: dict[str, Any], n: int, dtype: DTypeLike
) -> None:
    """Refuse numbers and vectors that are not those of an optimiser of ``n`` weights."""
    who = type(optimizer).__name__
    iterations = take(state, "iterations", int, f"the state of {who}")
    if iterations < 0:
        raise ValueError(f"the state of {who}: iterations is {iterations}, expected at least 0")
    vectors = {k: v for k, v in state.items() if k not in ("iterations", "learning_rate")}
    if not all(isinstance(v, np.ndarray) for v in vectors.values()):
        raise ValueError(f"the state of {who} has {', '.join(vectors)}, expected vectors")
    if (vectors or iterations) and set(vectors) != set(optimizer.slots):
        raise ValueError(
            f"the state of {who} has {', '.join(vectors) or 'nothing'}, expected "
            f"{', '.join(optimizer.slots) or 'none'}"
        )
    if "learning_rate" in state and not 0 < take(state, "learning_rate", float, who) < np.inf:
        raise ValueError(f"the state of {who}: learning_rate is {state['learning_rate']}")
    for name, vector in vectors.items():
        if vector.shape != (n,):
            raise ValueError(f"the state of {who}: {name} is {vector.shape}, expected ({n},)")
    of_squares = {name: v for name, v in vectors.items() if name in SQUARES}
    others = {name: v for name, v in vectors.items() if name not in SQUARES}
    check_weights(f"the state of {who}", others, dtype)
    check_floats(f"the state of {who}", of_squares, dtype)
    for name, vector in of_squares.items():
        if (vector < 0).any():
            raise ValueError(f"the state of {who}: {name} has numbers below 0, and is of squares")
