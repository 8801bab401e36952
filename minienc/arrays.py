"""Where arrays live: which module computes with an array, and how an array changes place.

One source serves NumPy, CuPy and JAX: a function asks ``xp = get_array_module(x)`` and writes
``xp.exp(x)``. The answer depends on the arrays' types alone, never on a flag, and neither CuPy nor
JAX is imported to give it: an array of theirs exists only where they are imported already.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import DTypeLike

from minienc.gpu import gpu_info

# An array of NumPy, CuPy, JAX or a registered type. To a type checker it is NumPy's, and the others
# come in the same way: no method is used that CuPy's has not (tests/test_names.py).
if TYPE_CHECKING:
    Array = np.ndarray
else:
    Array = Any  # nothing is asked of it: is_array tells an array by its type
Arrays = Any  # an Array, or a tuple of them: of what has several inputs or outputs
Scalar = float | Array  # a number of Python, or an array without axes, which may be on a device
Cache = Any  # what a forward keeps: it belongs to the call, its own backward alone looks inside
Rng = np.random.Generator | None  # what is drawn comes from it; None: nothing is, or by a seed

_MODULE_OF_TYPE: dict[type, ModuleType | None] = {np.ndarray: np}
_MODULE_OF_DEVICE: dict[str, ModuleType] = {}  # devices of registered modules, beside cpu and cuda
_OPENED_BY = {"jax": "minienc.fast.jax_steps"}  # devices whose module comes when they are named
_gpus_seen: set[int] = set()  # numbers of GPUs that are known to be here


def register_array_module(array_type: type, module: Any, device: str | None = None) -> None:
    """Make another NumPy-like type of array known.

    Parameters
    ----------
    array_type : type
        The type of the arrays.
    module : module or object
        What ``get_array_module`` returns for them: their functions, under NumPy's names. If it has
        a function ``asnumpy``, ``to_numpy`` calls that.
    device : str, optional
        A name for the place where they live, for ``to_device`` and ``model.to``.
    """
    _MODULE_OF_TYPE[array_type] = module
    if device is not None:
        _MODULE_OF_DEVICE[device] = module


def get_array_module(*arrays: object) -> ModuleType:
    """Return the module that computes with these arrays: ``numpy``, ``cupy`` or ``jax.numpy``.

    Python numbers, NumPy scalars, None and strings are passed over; without any array the answer
    is ``numpy``.

    Raises
    ------
    TypeError
        If arrays of two modules or of two devices are mixed; the message says which argument
        lives where.

    Examples
    --------
    >>> get_array_module(np.ones(3)).__name__
    'numpy'
    """
    found, where = None, 0
    for position, array in enumerate(arrays):
        kind = type(array)
        module = _MODULE_OF_TYPE[kind] if kind in _MODULE_OF_TYPE else _find_module(kind)
        if module is None or (module is found and module is np):
            continue
        if found is None:
            found, where = module, position
        elif module is not found or device_of(array) != device_of(arrays[where]):
            raise TypeError(
                f"arrays of two devices are mixed: argument {where} is a "
                f"{_type_name(arrays[where])} on {device_of(arrays[where])}, argument {position} a "
                f"{_type_name(array)} on {device_of(array)}; move one of them with "
                f"minienc.arrays.to_device(x, {device_of(arrays[where])!r})"
            )
    return np if found is None else found


def device_of(x: object) -> str:
    """Say where an array lives: ``"cpu"``, ``"cuda:0"``, ..., or its registered device's name.

    An array of JAX that is not on the CPU is called by JAX's own name.
    """
    module = get_array_module(x)
    if module is np:
        return "cpu"
    for name, registered in _MODULE_OF_DEVICE.items():
        if registered is module:
            return name
    device: Any = getattr(x, "device", "cpu")  # CuPy's has an id, JAX's a platform, too
    if hasattr(device, "platform"):
        return "cpu" if device.platform == "cpu" else f"{device.platform}:{device.id}"
    return f"cuda:{device.id}" if hasattr(device, "id") else str(device)


def _find_module(kind: type) -> ModuleType | None:
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


def _type_name(array: object) -> str:
    return f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"


def is_array(x: object) -> TypeGuard[Array]:
    """Whether ``x`` is an array of any known module."""
    kind = type(x)
    return (_MODULE_OF_TYPE[kind] if kind in _MODULE_OF_TYPE else _find_module(kind)) is not None


def to_numpy(x: object) -> np.ndarray:
    """Return ``x`` as a ``numpy.ndarray``, copied to the host where it lives elsewhere.

    Examples
    --------
    >>> to_numpy(np.ones(2))
    array([1., 1.])
    """
    module = get_array_module(x)
    if hasattr(module, "asnumpy"):
        return module.asnumpy(x)
    return np.asarray(x)


def lives_on_device(x: object) -> bool:
    """Whether ``x`` is an array that NumPy's functions cannot take. Those of JAX they can."""
    if not is_array(x):
        return False
    module = get_array_module(x)
    return module is not np and getattr(module, "__name__", "") != "jax.numpy"


def to_host(x: object) -> Any:
    """An array, or all arrays of a tuple or dictionary, as arrays of the host."""
    if isinstance(x, dict):
        return {k: to_host(part) for k, part in x.items()}
    if isinstance(x, tuple):
        return tuple(map(to_host, x))
    return to_numpy(x) if lives_on_device(x) else x


def as_number(x: Scalar) -> Scalar:
    """A Python float of a NumPy number. An array of a device is returned as it is: to look at it
    would mean to wait until the device has done all that it was given."""
    if isinstance(x, (float, np.generic)):  # what the functions of NumPy return, nearly always
        return float(x)
    return float(x) if get_array_module(x) is np else x


def to_device(x: Array, device: str) -> Array:
    """Return ``x`` on a device: ``"cpu"``, ``"cuda"`` (the first GPU), ``"cuda:1"`` or ``"jax"``.

    What is there already is returned as it is.

    Raises
    ------
    ValueError
        If the device's name is unknown, or there is no GPU of this number.
    RuntimeError
        If there is no GPU that CuPy can use, or no CuPy; the message says what to install.
    """
    if device == "cpu":
        return to_numpy(x)
    if is_registered(device):
        module = _MODULE_OF_DEVICE[device]
        return x if get_array_module(x) is module else module.asarray(to_numpy(x))
    number = cuda_number(device)
    if device_of(x) == f"cuda:{number}":
        return x
    cupy = find_cupy(device)
    with cupy.cuda.Device(number):
        return cupy.asarray(x if get_array_module(x) is cupy else to_numpy(x))


def to_device_of(x: Array, like: Array) -> Array:
    """Return ``x`` where ``like`` lives."""
    if get_array_module(like) is get_array_module(x) is np:
        return x
    device = device_of(like)
    if device == "cpu" and get_array_module(like) is not np:  # JAX: its own asarray decides
        return get_array_module(like).asarray(x)
    return to_device(x, device)


def rows_at(x: Any, indices: Any, dtype: DTypeLike | None = None) -> Array:
    """``x[indices]`` of an array (the indices go where it lives), a memory map, or
    ``minienc.data.Pixels``; in ``dtype``, where one is given."""
    if isinstance(x, np.ndarray) or not is_array(x):
        rows = x[indices]
        return rows if dtype is None or rows.dtype == dtype else rows.astype(dtype)
    with on_device(device_of(x)):
        rows = x[to_device_of(indices, x) if is_array(indices) else indices]
        return rows if dtype is None or rows.dtype == dtype else rows.astype(dtype)


def rows_of(arrays: tuple, dtypes: tuple, indices: Array, into: tuple | None = None) -> tuple:
    """``rows_at`` of several arrays, each in its dtype; one that stands there twice (a target that
    is the input) is taken once. With ``into``, what an earlier call returned for as many rows is
    written to, and returned again."""
    if into is not None:
        for i, (room, a) in enumerate(zip(into, arrays, strict=True)):
            if i > 0 and room is into[i - 1]:
                continue
            if type(a) is np.ndarray and a.dtype is room.dtype:
                # "clip" alone writes to ``room`` directly; who cuts batches knows the indices
                a.take(indices, 0, room, "clip")
            elif hasattr(a, "take_into"):  # shards
                a.take_into(indices, room)
            else:
                room[...] = a[indices]
        return into
    taken: dict[tuple[int, np.dtype], Array] = {}
    rows = []
    for a, dtype in zip(arrays, dtypes, strict=True):
        if (id(a), dtype) not in taken:
            taken[id(a), dtype] = rows_at(a, indices, dtype)
        rows.append(taken[id(a), dtype])
    return tuple(rows)


def cuda_number(device: str) -> int:
    """The number of a GPU by its device's name: 0 of ``"cuda"``, 1 of ``"cuda:1"``."""
    name, colon, number = device.partition(":")
    if name != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        others = "".join(f', "{name}"' for name in _MODULE_OF_DEVICE)
        raise ValueError(f'device is {device!r}, expected "cpu", "cuda" or "cuda:<number>"{others}')
    return int(number or 0)


def check_device(device: str) -> None:
    """Refuse a device that arrays cannot be moved to, with what is missing."""
    if device != "cpu" and not is_registered(device):
        cuda_number(device)
        find_cupy(device)


def is_registered(device: str) -> bool:
    """Whether this is the device of a registered module; JAX's comes when it is first named."""
    if device in _OPENED_BY and device not in _MODULE_OF_DEVICE:
        try:
            importlib.import_module(_OPENED_BY[device])
        except ImportError as error:
            raise RuntimeError(
                f"device {device!r} cannot be used: {error}; pip install jax"
            ) from error
    return device in _MODULE_OF_DEVICE


def find_cupy(device: str) -> ModuleType:
    """Import CuPy for a device, and see that the device is there."""
    number = cuda_number(device)
    if number not in _gpus_seen:
        info = gpu_info()
        names = info["devices"]
        if info["why_not"]:
            raise RuntimeError(f"device {device!r} cannot be used: {info['why_not']}")
        if number >= len(names):
            here = ", ".join(f"cuda:{i} ({name})" for i, name in enumerate(names))
            raise ValueError(f"device is {device!r}, and the GPUs here are {here}")
        _gpus_seen.update(range(len(names)))
    import cupy

    return cupy


def on_device(device: str) -> AbstractContextManager:
    """A context in which CuPy computes on this GPU; elsewhere it does nothing."""
    if device.partition(":")[0] != "cuda":
        return nullcontext()
    return find_cupy(device).cuda.Device(cuda_number(device))


def zeros_where(like: Array, n: int) -> Array:
    """``zeros_aligned`` where ``like`` lives, of its dtype."""
    with on_device(device_of(like)):
        return zeros_aligned(get_array_module(like), n, like.dtype)


def zeros_aligned(xp: ModuleType, n: int, dtype: DTypeLike) -> Array:
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
