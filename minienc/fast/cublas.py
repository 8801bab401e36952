"""Matrix products on a GPU: cuBLAS, asked through handles of our own.

CuPy has cuBLAS, too, but refuses to call it while a stream is being recorded into a CUDA graph
(until 14.2 at least), though cuBLAS itself allows that: of a handle whose pointers are read on the
host, and which has been given its workspace beforehand. So a handle is made here, once for each GPU
and thread, and the few functions that it takes are called through ctypes.

float32 is computed in float32, unless ``minienc.set_tf32(True)`` says otherwise.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import cupy

from minienc import gpu

_OPERATIONS = {"N": 0, "T": 1}
_DEFAULT_MATH, _TF32_MATH = 0, 3
# cuBLAS's manual, cublasSetWorkspace: 32 MiB is what it takes by itself on Hopper and newer, the
# largest; with less it leaves out its fastest kernels.
_WORKSPACE_BYTES = 32 << 20

_local = threading.local()  # .handles: number of the GPU -> Handle


class Handle:
    """A handle of cuBLAS on the current GPU, with its workspace."""

    def __init__(self) -> None:
        self.library = gpu.find_cublas(cupy.cuda.runtime.runtimeGetVersion() // 1000)
        self.pointer = ctypes.c_void_p()
        self.workspace = cupy.empty(_WORKSPACE_BYTES, dtype="uint8")
        self.settings: tuple[int, int] | None = None  # stream and mode of the call before
        self._call("cublasCreate_v2", ctypes.byref(self.pointer))

    def gemm(self, dtype: Any, *arguments: Any) -> None:
        """C = A B + beta C on the current stream, in columns; see ``matmul``."""
        self._follow(
            cupy.cuda.get_current_stream().ptr, _TF32_MATH if gpu.uses_tf32() else _DEFAULT_MATH
        )
        name = "cublasSgemm_v2" if dtype == "float32" else "cublasDgemm_v2"
        self._call(name, self.pointer, *arguments)

    def _follow(self, stream: int, mode: int) -> None:
        """Each is a call of its own, and seldom changes. A new stream takes the workspace away, so
        it is given again."""
        if self.settings == (stream, mode):
            return
        space = ctypes.c_void_p(self.workspace.data.ptr), ctypes.c_size_t(_WORKSPACE_BYTES)
        self._call("cublasSetStream_v2", self.pointer, ctypes.c_void_p(stream))
        self._call("cublasSetWorkspace_v2", self.pointer, *space)
        self._call("cublasSetMathMode", self.pointer, mode)
        self.settings = stream, mode

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} failed with status {status} (cublasStatus_t)")


def _handle() -> Handle:
    handles = _local.__dict__.setdefault("handles", {})
    number = cupy.cuda.runtime.getDevice()
    if number not in handles:
        handles[number] = Handle()
    return handles[number]


def prepare() -> None:
    """Make the handle of the current GPU: not while a stream is recorded."""
    _handle()


def matmul(a: Any, b: Any, out: Any = None, add: bool = False) -> Any:
    """a @ b of two matrices, both float32 or both float64; ``add`` adds it to what ``out`` holds.

    An operand may be a transposed view: cuBLAS reads it where it lies. Another kind of view is
    copied.

    Notes
    -----
    cuBLAS's matrices go column by column. A matrix that goes row by row is, read so, its own
    transpose; and C' = B' A', so C = A B by rows is asked for as B times A by columns.
    """
    (N, D), M = a.shape, b.shape[1]
    if out is None:
        out = cupy.empty((N, M), dtype=a.dtype)
    if out.size == 0:
        return out
    if D == 0:
        if not add:
            out[...] = 0
        return out
    layout = _layout(out)
    if layout is None:
        product = matmul(a, b)
        out[...] = out + product if add else product
        return out
    if layout[0] == "T":  # out goes by columns: C' = B' A' goes by rows
        matmul(b.T, a.T, out.T, add)
        return out
    a, (op_a, ld_a) = _readable(a)
    b, (op_b, ld_b) = _readable(b)
    real = ctypes.c_float if a.dtype == "float32" else ctypes.c_double
    one, beta = real(1), real(1 if add else 0)
    _handle().gemm(
        a.dtype,
        *(_OPERATIONS[op_b], _OPERATIONS[op_a], M, N, D, ctypes.byref(one)),
        *(ctypes.c_void_p(b.data.ptr), ld_b, ctypes.c_void_p(a.data.ptr), ld_a),
        *(ctypes.byref(beta), ctypes.c_void_p(out.data.ptr), layout[1]),
    )
    return out


def _readable(a: Any) -> tuple[Any, tuple[str, int]]:
    layout = _layout(a)
    if layout is None:
        a = cupy.ascontiguousarray(a)
        layout = _layout(a)
    assert layout is not None
    return a, layout


def _layout(a: Any) -> tuple[str, int] | None:
    """("N", numbers from row to row), of a transposed matrix ("T", from column to column); None for
    what is neither. An axis of length 1 has no step that anybody takes."""
    (rows, columns), size = a.shape, a.itemsize
    by_row, by_column = (step // size for step in a.strides)
    if (columns == 1 or by_column == 1) and (rows == 1 or by_row >= columns):
        return "N", columns if rows == 1 else by_row
    if (rows == 1 or by_row == 1) and (columns == 1 or by_column >= rows):
        return "T", rows if columns == 1 else by_column
    return None
