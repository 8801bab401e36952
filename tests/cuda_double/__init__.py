"""A stand-in for CuPy and a GPU, so that what runs there can be tried where there is none.

Arrays are NumPy's beneath, and refuse what CuPy's refuse. The CUDA C of the kernels is compiled by
g++ and run thread by thread: a thread that comes to ``__syncthreads`` waits until the others of its
block have come, too. cuBLAS's functions get the pointers that they would get, and compute with
NumPy on what they find there, column by column. And streams are strict:

- what is copied on a stream of its own arrives when somebody waits for it, not before: who does not
  wait reads what was there;
- while a stream is recorded nothing is computed: what is made holds NaN until a graph is launched,
  and nobody may look at it or bring something over from the host;
- the memory of a pool that is gone is overwritten.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tests.cuda_double.arrays import (
    FUNCTIONS,
    asarray,
    ascontiguousarray,
    empty,
    empty_pinned,
    ndarray,
    wrapped,
)
from tests.cuda_double.cublas import Cublas
from tests.cuda_double.devices import (
    Device,
    Event,
    Graph,
    MemoryPool,
    Stream,
    get_current_stream,
    using_allocator,
)
from tests.cuda_double.kernels import RawModule

__all__ = [
    "FOR_CUPY",
    "Graph",
    "asarray",
    "installed",
    "make",
    "ndarray",
]


def make() -> tuple[types.ModuleType, types.ModuleType]:
    """(cupy, cupyx)"""
    cupy, cupyx = types.ModuleType("cupy"), types.ModuleType("cupyx")
    for module in (cupy, cupyx):
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    runtime = types.SimpleNamespace(
        getDevice=lambda: Device.current,
        getDeviceCount=lambda: 2,
        getDeviceProperties=lambda i: {"name": b"a double"},
        runtimeGetVersion=lambda: 13000,
    )
    cuda = types.SimpleNamespace(
        Stream=Stream,
        Event=Event,
        Device=Device,
        MemoryPool=MemoryPool,
        using_allocator=using_allocator,
        get_current_stream=get_current_stream,
        runtime=runtime,
        nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
    )
    vars(cupy).update(
        __version__="double",
        ndarray=ndarray,
        RawModule=RawModule,
        asarray=asarray,
        asnumpy=lambda x: x.get() if isinstance(x, ndarray) else np.asarray(x),
        ascontiguousarray=ascontiguousarray,
        empty=empty,
        empty_like=lambda x: empty(x.shape, x.dtype),
        cuda=cuda,
        lib=types.SimpleNamespace(
            stride_tricks=types.SimpleNamespace(
                sliding_window_view=lambda x, *args, **kwargs: x._view(
                    np.lib.stride_tricks.sliding_window_view(x._values, *args, **kwargs)
                )
            )
        ),
        **{name: wrapped(name) for name in FUNCTIONS},
    )
    cupyx.empty_pinned = empty_pinned  # type: ignore[attr-defined]
    return cupy, cupyx


# the files of minienc/fast that import CuPy
FOR_CUPY = ("cuda", "cuda_launch", "cuda_losses", "cuda_steps", "cublas", "graphs")


@contextmanager
def installed() -> Iterator[types.ModuleType]:
    """Within the block, ``import cupy`` finds the stand-in; minienc's functions run on it."""
    import pytest

    import minienc.fast
    from minienc import arrays, devices, gpu, primitive

    cupy, cupyx = make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", cupy)
        patch.setitem(sys.modules, "cupyx", cupyx)
        for name in FOR_CUPY:
            patch.delitem(sys.modules, f"minienc.fast.{name}", raising=False)
            patch.delattr(minienc.fast, name, raising=False)
        patch.setattr(primitive, "_fast_of_type", {})
        patch.setattr(devices, "_pipelines", {})
        patch.setattr(primitive, "_to_load", {})
        patch.setattr(arrays, "_gpus_seen", set())
        library = Cublas()
        patch.setattr(gpu, "find_cublas", lambda major: library)
        patch.setitem(arrays._MODULE_OF_TYPE, ndarray, cupy)
        import minienc.fast.cublas as cublas

        patch.setattr(cublas, "_local", types.SimpleNamespace())
        cupy.cublas_library = library  # type: ignore[attr-defined]
        importlib.import_module("minienc.fast.cuda")  # registers

        yield cupy
        for name in FOR_CUPY:
            sys.modules.pop(f"minienc.fast.{name}", None)
