"""Launching the kernels of ``cuda.cu``, and the arrays that they serve."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import cupy

from minienc.primitive import register_fast

register_cuda = partial(register_fast, array_type=cupy.ndarray)

_SOURCE = Path(__file__).with_name("cuda.cu").read_text(encoding="utf-8")
_THREADS = 256  # the kernels count on it
_NULL = 0  # what a kernel gets for an array that is not there


@cache
def _module(dtype: str, number: int) -> Any:
    """The kernels for a dtype on one GPU, compiled at first use; CuPy keeps them in a folder."""
    real = {"f": "float", "d": "double"}[dtype]
    return cupy.RawModule(code=_SOURCE, options=(f"-DREAL={real}", "-std=c++17"))


@cache
def _kernel(name: str, dtype: str, number: int) -> Any:
    return _module(dtype, number).get_function(name)


@cache
def most_blocks(number: int) -> int:
    """Eight blocks for each multiprocessor are all that it holds at a time."""
    return 8 * int(cupy.cuda.Device(number).attributes["MultiProcessorCount"])


def launch(name: str, like: Any, blocks: Any, *arguments: Any) -> None:
    """Run a kernel of ``like``'s dtype: arrays, whole numbers (long long) and floats (double)."""
    number = like.device.id
    grid = blocks if isinstance(blocks, tuple) else (min(blocks, most_blocks(number)),)
    given = tuple([_NULL if a is None else a for a in arguments])
    _kernel(name, like.dtype.char, number)(grid, (_THREADS,), given)


def blocks_for(n: int) -> int:
    """For n numbers, a thread each."""
    return max(1, -(-n // _THREADS))


def are_here(*arrays: Any) -> bool:
    """On the GPU where CuPy computes now: a kernel cannot count on reading another's memory."""
    here = cupy.cuda.runtime.getDevice()
    return all([a.data.device_id == here for a in arrays])


def is_served(*arrays: Any) -> bool:
    """Contiguous arrays, all of one shape, of float32 or float64."""
    first = arrays[0]
    if type(first) is not cupy.ndarray or first.dtype.char not in "fd":
        return False
    for a in arrays:
        if type(a) is not cupy.ndarray or a.dtype.char != first.dtype.char:
            return False
        if a.shape != first.shape or not a.flags.c_contiguous:
            return False
    return are_here(*arrays)
