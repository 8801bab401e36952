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

import ctypes
import functools
import importlib
import importlib.machinery
import re
import shutil
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# ------------------------------------------------------------------------------------- the devices


class Device:
    """A GPU with few multiprocessors, so that blocks have more than one turn. There are two."""

    attributes = {"MultiProcessorCount": 1}  # noqa: RUF012
    current = 0
    _before: list[int] = []  # noqa: RUF012

    def __init__(self, number: int = 0) -> None:
        self.id = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    __hash__ = None  # type: ignore[assignment]

    def __enter__(self) -> Device:
        Device._before.append(Device.current)
        Device.current = self.id
        return self

    def __exit__(self, *_: object) -> None:
        Device.current = Device._before.pop()


# ----------------------------------------------------------------------------- streams and graphs


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


class Stream:
    """What is done on a stream other than the default one is done when somebody waits for it."""

    _stack: list[Stream] = []  # noqa: RUF012
    null: Stream

    def __init__(self, non_blocking: bool = False) -> None:
        self.non_blocking = non_blocking
        self.pending: list[Callable[[], None]] = []
        self.n_done = 0
        self.graph: Graph | None = None
        self.device_id = Device.current if non_blocking else 0

    @property
    def ptr(self) -> int:
        return 0 if self is Stream.null else id(self)

    def __enter__(self) -> Stream:
        assert self.device_id == Device.current
        Stream._stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Stream._stack.pop()

    def do(self, action: Callable[[], None]) -> None:
        if self.graph is not None:
            self.graph.nodes.append(action)
        elif self is Stream.null:
            action()
        else:
            self.pending.append(action)

    def flush(self, until: int) -> None:
        while self.n_done < until and self.pending:
            self.pending.pop(0)()
            self.n_done += 1

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.stream, event.until = self, self.n_done + len(self.pending)
        return event

    def wait_event(self, event: Event) -> None:
        event.synchronize()

    def synchronize(self) -> None:
        self.flush(self.n_done + len(self.pending))

    def begin_capture(self) -> None:
        if not self.non_blocking:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.graph = Graph()

    def end_capture(self) -> Graph:
        graph, self.graph = self.graph, None
        assert graph is not None
        return graph


class Event:
    def __init__(self, disable_timing: bool = False) -> None:
        self.stream, self.until = Stream.null, 0

    def synchronize(self) -> None:
        self.stream.flush(self.until)


class Graph:
    """What was done while a stream was recorded."""

    launches = 0  # of all graphs

    def __init__(self) -> None:
        self.nodes: list[Callable[[], None]] = []

    def launch(self) -> None:
        Graph.launches += 1
        for node in self.nodes:
            get_current_stream().do(node)


Stream.null = Stream()


def get_current_stream() -> Stream:
    return Stream._stack[-1] if Stream._stack else Stream.null


def _refuse_while_recording(what: str) -> None:
    if get_current_stream().graph is not None:
        raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what}")


# ------------------------------------------------------------------------------------------ memory


class MemoryPool:
    """Remembers what it gave, and spoils it in the end."""

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def malloc(self, size: int) -> None: ...

    def __del__(self) -> None:
        for values in self.given:
            values[...] = np.nan if values.dtype.kind == "f" else 77


_pools: list[MemoryPool] = []


@contextmanager
def using_allocator(malloc: Any) -> Iterator[None]:
    _pools.append(malloc.__self__)
    try:
        yield
    finally:
        _pools.pop()


def _allocated(values: Any) -> np.ndarray:
    """A copy in memory of the pool in use."""
    values = np.array(values)
    if _pools:
        _pools[-1].given.append(values)
    elif get_current_stream().graph is not None:
        raise AssertionError("what is recorded takes memory that another may be given")
    return values


# ------------------------------------------------------------------------------------------ arrays


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801  (CuPy's name)
    """A NumPy-backed stand-in for ``cupy.ndarray``."""

    def __init__(self, values: np.ndarray, device: int | None = None) -> None:
        assert isinstance(values, np.ndarray)
        self._values = values
        self._device = Device.current if device is None else device

    def _view(self, values: np.ndarray) -> ndarray:
        return ndarray(values, self._device)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc is np.matmul and get_current_stream().graph is not None:
            raise NotImplementedError(
                "calling cuBLAS API during stream capture is currently unsupported"
            )
        out = kwargs.pop("out", None)
        bare = [_bare(x) for x in inputs]
        function = functools.partial(getattr(ufunc, method), *bare, **kwargs)
        if out is None:
            return _made(function)
        (target,) = out
        get_current_stream().do(lambda: ufunc(*bare, out=target._values, casting="same_kind"))
        return target

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def strides(self) -> tuple[int, ...]:
        return self._values.strides

    @property
    def dtype(self) -> np.dtype:
        return self._values.dtype

    @property
    def itemsize(self) -> int:
        return self._values.itemsize

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    @property
    def ndim(self) -> int:
        return self._values.ndim

    @property
    def size(self) -> int:
        return self._values.size

    @property
    def flags(self) -> Any:
        return self._values.flags

    @property
    def device(self) -> Device:
        return Device(self._device)

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self._values.ctypes.data, device_id=self._device)

    @property
    def T(self) -> ndarray:
        return self._view(self._values.T)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> ndarray:
        index = tuple(map(_bare, index)) if isinstance(index, tuple) else _bare(index)
        part = self._values[index] if index is Ellipsis else np.asarray(self._values[index])
        if not np.may_share_memory(part, self._values):  # NumPy's own views of single numbers
            if isinstance(index, int):
                return self._view(self._values[index : index + 1].reshape(()))
            return _made(lambda: _bare(self)[index])
        return self._view(part)

    def __setitem__(self, index: Any, value: Any) -> None:
        target, bare = _bare(self)[index], _bare(value)
        get_current_stream().do(lambda: np.copyto(target, bare, casting="same_kind"))

    def _look(self) -> np.ndarray:
        _refuse_while_recording("an array is looked at")
        return self._values

    def __bool__(self) -> bool:
        return bool(self._look())

    def __float__(self) -> float:
        return float(self._look())

    def get(self) -> np.ndarray:
        return self._look().copy()

    def set(self, values: np.ndarray, stream: Stream | None = None) -> None:
        assert values.dtype == self.dtype and values.shape == self.shape
        if stream not in (None, Stream.null):  # else the host would wait for the copy
            assert values.ctypes.data in _pinned, "copied from memory that may move"
        (stream or get_current_stream()).do(lambda: np.copyto(self._values, values))

    def reshape(self, *shape: Any) -> ndarray:
        view = self._values.view()
        try:
            return self._view(np.reshape(view, shape[0] if len(shape) == 1 else shape, copy=False))
        except ValueError:
            return _made(lambda: _bare(self).reshape(*shape))

    def ravel(self) -> ndarray:
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self._values.transpose(*axes))

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        if self.dtype == dtype and not copy:
            return self
        return _made(lambda: _bare(self).astype(dtype))

    def fill(self, value: Any) -> None:
        self[...] = value


def _method(name: str) -> Any:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return _made(lambda: getattr(_bare(self), name)(*args, **kwargs))

    return method


for _name in ("sum", "mean", "max", "min", "argmax", "argmin", "all", "any", "std", "copy"):
    setattr(ndarray, _name, _method(_name))


def _bare(x: Any) -> Any:
    if isinstance(x, ndarray):
        if x._device != Device.current:
            raise ValueError(
                f"Array device must be same as the current device: array device = {x._device} "
                f"while current = {Device.current}"
            )
        return x._values
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return x


def _made(function: Callable[[], Any]) -> ndarray:
    """A new array of what the function returns; while recording, of that at each launch."""
    array = ndarray(_allocated(function()))
    stream = get_current_stream()
    if stream.graph is not None:
        array._values[...] = np.nan if array.dtype.kind == "f" else 0
        stream.do(lambda: np.copyto(array._values, function()))
    return array


# ----------------------------------------------------------------------------------------- kernels

THREADS_IN_C = """
#include <cmath>
#include <functional>
#include <ucontext.h>
#include <vector>
using namespace std;
struct Triple { unsigned x, y; };
static Triple threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __shared__ static
/* Each thread of a block runs until it waits for the others, or is done; then the next does. */
static ucontext_t scheduler;
static vector<ucontext_t> threads;
static vector<vector<char>> stacks;
static vector<char> done;
static unsigned running;
static const function<void()> *body;
static void __syncthreads() { swapcontext(&threads[running], &scheduler); }
static void thread_main() { (*body)(); done[running] = 1; }
static void run_grid(unsigned gx, unsigned gy, unsigned bx, const function<void()> &f)
{
    body = &f;
    threads.resize(bx); stacks.resize(bx); done.resize(bx);
    gridDim = {gx, gy}; blockDim = {bx, 1};
    for (unsigned y = 0; y < gy; y++) for (unsigned x = 0; x < gx; x++) {
        blockIdx = {x, y};
        for (unsigned t = 0; t < bx; t++) {
            stacks[t].resize(65536);
            getcontext(&threads[t]);
            threads[t].uc_stack.ss_sp = stacks[t].data();
            threads[t].uc_stack.ss_size = stacks[t].size();
            threads[t].uc_link = &scheduler;
            makecontext(&threads[t], thread_main, 0);
            done[t] = 0;
        }
        for (unsigned left = bx; left;)
            for (unsigned t = 0; t < bx; t++) if (!done[t]) {
                running = t; threadIdx = {t, 0};
                swapcontext(&scheduler, &threads[t]);
                left -= done[t];
            }
    }
}
"""

_C_TYPES = {"long long": ctypes.c_longlong, "double": ctypes.c_double}


@functools.cache
def _compiled(code: str, real: str) -> tuple[Any, dict[str, list[str]]]:
    """The library, and the types of each kernel's arguments, REAL spelt out."""
    expanded = subprocess.run(
        ["g++", "-E", "-P", "-xc++", f"-DREAL={real}", "-D__global__=__global__", "-"],
        input=code,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    kernels = {}
    launchers = []
    for name, given in re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', expanded):
        declared = [" ".join(a.split()) for a in given.split(",")]
        kinds = [re.sub(r"\w+$", "", a.replace("*", "* ")).replace("const ", "") for a in declared]
        kernels[name] = ["".join(k.split()) if "*" in k else k.strip() for k in kinds]
        names = ", ".join(re.findall(r"\w+$", a)[0] for a in declared)
        launchers.append(
            f'extern "C" void launch_{name}(unsigned gx, unsigned gy, unsigned bx, {given}) '
            f"{{ run_grid(gx, gy, bx, [&] {{ {name}({names}); }}); }}"
        )
    folder = Path(tempfile.mkdtemp(prefix="cuda_double_"))
    try:
        source = folder / "kernels.cpp"
        source.write_text("\n".join([THREADS_IN_C, f"#define REAL {real}", code, *launchers]))
        library = folder / "kernels.so"
        subprocess.run(
            ["g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", str(source), "-o", str(library)],
            check=True,
        )
        return ctypes.CDLL(str(library)), kernels
    finally:
        shutil.rmtree(folder)


class RawModule:
    """CUDA C, compiled by g++. CuPy hands a Python int over as long long, a float as double."""

    launched: dict[str, int] = {}  # noqa: RUF012  (by the kernel's name)

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        (self.real,) = [o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL=")]
        self.code = code

    def get_function(self, name: str) -> Callable[..., None]:
        library, kernels = _compiled(self.code, self.real)
        launcher, kinds = getattr(library, f"launch_{name}"), kernels[name]

        def launch(grid: tuple, block: tuple, arguments: tuple) -> None:
            grid = (*grid, 1)[:2]
            assert block == (256,) and min(grid) >= 1 and len(arguments) == len(kinds), name
            given = [_argument(name, a, kind) for a, kind in zip(arguments, kinds, strict=True)]
            sizes = [ctypes.c_uint(n) for n in (*grid, *block)]
            keep = arguments  # the graph holds addresses alone; here it holds the arrays, too
            get_current_stream().do(lambda: (launcher(*sizes, *given), keep)[0])
            RawModule.launched[name] = RawModule.launched.get(name, 0) + 1

        return launch


def _argument(name: str, a: Any, kind: str) -> Any:
    if kind.endswith("*"):
        if isinstance(a, int):
            assert a == 0, (name, a)
            return ctypes.c_void_p(None)
        dtype = {"float": "float32", "double": "float64", "longlong": "int64"}[kind[:-1]]
        assert isinstance(a, ndarray) and a.dtype == dtype, (name, kind, a)
        _bare(a)  # is where it is computed
        assert a.flags.c_contiguous, name
        return ctypes.c_void_p(a.data.ptr)
    expected = {"long long": int, "double": float}[kind]
    assert type(a) is expected, (name, kind, a)
    return _C_TYPES[kind](a)


# ------------------------------------------------------------------------------------------ cuBLAS


class Cublas:
    """The functions that ``minienc.fast.cublas`` asks for, on memory of the host."""

    def __init__(self) -> None:
        self.handles: list[dict[str, Any]] = []
        self.modes: list[int] = []

    def cublasCreate_v2(self, handle: Any) -> int:
        _refuse_while_recording("cublasCreate")
        self.handles.append({"device": Device.current, "stream": None, "has_workspace": False})
        handle._obj.value = len(self.handles)
        return 0

    def _settings(self, handle: Any) -> dict[str, Any]:
        settings = self.handles[handle.value - 1]
        assert settings["device"] == Device.current, "a handle of another GPU"
        return settings

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        self._settings(handle).update(stream=stream.value or 0, has_workspace=False)
        return 0

    def cublasSetWorkspace_v2(self, handle: Any, workspace: Any, size: Any) -> int:
        self._settings(handle)["has_workspace"] = bool(workspace.value) and size.value > 0
        return 0

    def cublasSetMathMode(self, handle: Any, mode: int) -> int:
        self.modes.append(mode)
        return 0

    def cublasSgemm_v2(self, *arguments: Any) -> int:
        return self._gemm("float32", *arguments)

    def cublasDgemm_v2(self, *arguments: Any) -> int:
        return self._gemm("float64", *arguments)

    def _gemm(self, dtype: str, handle: Any, ta: int, tb: int, *rest: Any) -> int:
        m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = rest
        settings = self._settings(handle)
        assert min(m, n, k) > 0 and settings["has_workspace"]
        assert settings["stream"] == get_current_stream().ptr
        A = _matrix(a, dtype, *((k, m) if ta else (m, k)), lda)
        B = _matrix(b, dtype, *((n, k) if tb else (k, n)), ldb)
        C = _matrix(c, dtype, m, n, ldc)
        one, add = alpha._obj.value, beta._obj.value

        def multiply() -> None:
            product = one * ((A.T if ta else A) @ (B.T if tb else B))
            C[...] = product if add == 0 else product + add * C

        get_current_stream().do(multiply)
        return 0


def _matrix(pointer: Any, dtype: str, rows: int, columns: int, ld: int) -> np.ndarray:
    """What lies at an address, column by column."""
    assert ld >= rows
    real = np.ctypeslib.as_ctypes_type(dtype)
    n = ld * (columns - 1) + rows
    flat = np.ctypeslib.as_array((real * n).from_address(pointer.value))
    size = flat.itemsize
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (size, ld * size))


# ------------------------------------------------------------------------------------- the modules


def asarray(x: Any, dtype: Any = None) -> ndarray:
    if isinstance(x, ndarray):
        if x._device != Device.current:
            x = _made(lambda: x._values)
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)
    _refuse_while_recording("an array is brought over from the host")
    return ndarray(_allocated(np.asarray(x, dtype=dtype)))


def _empty(shape: Any, dtype: Any = "float64") -> ndarray:
    values = np.empty(shape, dtype)
    values[...] = np.nan if values.dtype.kind == "f" else 77  # whoever reads it before writing
    return ndarray(_allocated(values))


_pinned: set[int] = set()  # addresses


def _empty_pinned(shape: Any, dtype: Any = "float64") -> np.ndarray:
    values = np.empty(shape, dtype)
    _pinned.add(values.ctypes.data)
    return values


def _ascontiguousarray(x: ndarray, dtype: Any = None) -> ndarray:
    x = x if dtype is None or x.dtype == dtype else x.astype(dtype)
    return x if x.flags.c_contiguous else _made(lambda: np.ascontiguousarray(x._values))


def _wrapped(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        bare = [tuple(map(_bare, a)) if isinstance(a, (tuple, list)) else _bare(a) for a in args]
        return _made(lambda: function(*bare, **{k: _bare(v) for k, v in kwargs.items()}))

    return wrapped


FUNCTIONS = (
    *("abs", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "sign", "maximum", "minimum"),
    *("where", "clip", "concatenate", "take_along_axis", "arange", "isfinite", "pad", "repeat"),
    *("sort", "cumsum"),
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like"),
)


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
        ascontiguousarray=_ascontiguousarray,
        empty=_empty,
        empty_like=lambda x: _empty(x.shape, x.dtype),
        cuda=cuda,
        lib=types.SimpleNamespace(
            stride_tricks=types.SimpleNamespace(
                sliding_window_view=lambda x, *args, **kwargs: x._view(
                    np.lib.stride_tricks.sliding_window_view(x._values, *args, **kwargs)
                )
            )
        ),
        **{name: _wrapped(name) for name in FUNCTIONS},
    )
    cupyx.empty_pinned = _empty_pinned  # type: ignore[attr-defined]
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
