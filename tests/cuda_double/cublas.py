"""cuBLAS's functions, on memory of the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cuda_double.devices import Device, get_current_stream, refuse_while_recording


class Cublas:
    """The functions that ``minienc.fast.cublas`` asks for, on memory of the host."""

    def __init__(self) -> None:
        self.handles: list[dict[str, Any]] = []
        self.modes: list[int] = []

    def cublasCreate_v2(self, handle: Any) -> int:
        refuse_while_recording("cublasCreate")
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
