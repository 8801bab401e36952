"""Where arrays live: which module computes with an array, and how an array changes place.

One source serves NumPy, CuPy and JAX: a function asks ``xp = get_array_module(x)`` and writes
``xp.exp(x)``. The answer depends on the arrays' types alone, never on a flag, and neither CuPy nor
JAX is imported to give it: an array of theirs exists only where they are imported already.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray, cupy.ndarray, jax.Array, or a type that register_array_module let in

_MODULE_OF_TYPE: dict[type, Any] = {np.ndarray: np}


def register_array_module(array_type: type, module: Any) -> None:
    """Let another NumPy-like array in.

    Parameters
    ----------
    array_type : type
        The type of the arrays.
    module : module or object
        What ``get_array_module`` shall answer for them: the functions of NumPy's names. A function
        ``asnumpy`` in it, where there is one, is what ``to_numpy`` calls.
    """
    _MODULE_OF_TYPE[array_type] = module


def get_array_module(*arrays: Any) -> Any:
    """Return the module that computes with these arrays: ``numpy``, ``cupy`` or ``jax.numpy``.

    Python numbers, NumPy scalars, None and strings decide nothing; without any array the answer
    is ``numpy``.

    Raises
    ------
    TypeError
        If arrays of two modules are mixed; the message says which argument is of which.
    """
    found, where = None, 0
    for position, array in enumerate(arrays):
        kind = type(array)
        module = _MODULE_OF_TYPE[kind] if kind in _MODULE_OF_TYPE else _find_module(kind)
        if module is None or module is found:
            continue
        if found is not None:
            raise TypeError(
                f"arrays of two kinds are mixed: argument {where} is a "
                f"{_type_name(arrays[where])}, argument {position} a {_type_name(array)}; "
                f"move one of them with minienc.arrays.to_device or to_numpy"
            )
        found, where = module, position
    return np if found is None else found


def _find_module(kind: type) -> Any:
    """Decide for a type seen for the first time, and remember the answer."""
    module: ModuleType | None = None
    if issubclass(kind, np.ndarray):  # np.memmap and other subclasses
        module = np
    elif (cupy := sys.modules.get("cupy")) and issubclass(kind, cupy.ndarray):
        module = cupy
    elif (jax := sys.modules.get("jax")) and (
        issubclass(kind, jax.Array) or issubclass(kind, jax.core.Tracer)
    ):
        module = jax.numpy
    _MODULE_OF_TYPE[kind] = module
    return module


def _type_name(array: Any) -> str:
    return f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array of any known module."""
    kind = type(x)
    return (_MODULE_OF_TYPE[kind] if kind in _MODULE_OF_TYPE else _find_module(kind)) is not None


def to_numpy(x: Any) -> np.ndarray:
    """Return ``x`` as a ``numpy.ndarray``, copied to the host where it lives elsewhere."""
    module = get_array_module(x)
    if hasattr(module, "asnumpy"):
        return module.asnumpy(x)
    return np.asarray(x)


def to_device(x: Any, device: str) -> Array:
    """Return ``x`` on a device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises
    ------
    ValueError
        If the device's name is unknown.
    RuntimeError
        If CuPy, which every CUDA device needs, is not installed.
    """
    if device == "cpu":
        return to_numpy(x)
    name, _, number = device.partition(":")
    if name != "cuda" or not (number == "" or number.isdigit()):
        raise ValueError(f'device is {device!r}, expected "cpu", "cuda" or "cuda:<number>"')
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            f"device {device!r} needs CuPy, which is not installed: pip install 'minienc[gpu]'"
        ) from error
    with cupy.cuda.Device(int(number or 0)):
        return cupy.asarray(x)


def zeros_aligned(xp: Any, n: int, dtype: Any) -> Array:
    """A vector of n zeros that begins at the start of a cache line.

    NumPy begins a large array 16 bytes after a page; then every vector register that is loaded
    from it touches two cache lines of 64 bytes instead of one. Other modules align by themselves.
    """
    if xp is not np:
        return xp.zeros(n, dtype=dtype)
    dtype = np.dtype(dtype)
    raw = np.zeros(n * dtype.itemsize + 64, dtype=np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    return raw[start : start + n * dtype.itemsize].view(dtype)
