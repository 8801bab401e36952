"""Which GPU is here, and where none can be used, what is missing.

CuPy is imported only where somebody asks, and is installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from functools import cache
from types import ModuleType
from typing import Any

_tf32 = os.environ.get("MINIENC_TF32") == "1"


def set_tf32(use: bool) -> None:
    """Let a GPU round the operands of float32 matrix products to TF32: 10 bits of mantissa, not 23.

    Tensor cores multiply them several times as fast as float32, and each product is off by up to
    about one part in 1,000. It is off unless it is turned on, here or by MINIENC_TF32=1. float64 is
    never rounded. Turn it on before ``fit``: a training step that is already recorded as a graph
    keeps its products.
    """
    global _tf32
    if not isinstance(use, bool):
        raise TypeError(f"set_tf32: use is {use!r}, expected True or False")
    _tf32 = use


def uses_tf32() -> bool:
    """Whether ``set_tf32`` or MINIENC_TF32 turned it on."""
    return _tf32


def gpu_info() -> dict[str, Any]:
    """Say what was found.

    Returns
    -------
    dict
        driver : str or None
            The newest CUDA that the installed NVIDIA driver supports, such as "13.0".
        cupy : str or None
            CuPy's version.
        cuda : str or None
            The CUDA that this CuPy was built for, such as "13.0".
        devices : tuple of str
            The names of the GPUs that CuPy can use, in the order of their numbers.
        why_not : str or None
            Where none can be used: what is missing, and what to install.
        reason : str
            All of it in a sentence.
    """
    info: dict[str, Any] = {"driver": cuda_driver(), "cupy": None, "cuda": None, "devices": ()}
    missing = None
    if importlib.util.find_spec("cupy") is None:
        missing = "CuPy is not installed"
    else:
        missing = _ask_cupy(info)
    if missing is None:
        names = ", ".join(info["devices"])
        reason = (
            f"{names}; CuPy {info['cupy']} for CUDA {info['cuda']}, driver for {info['driver']}"
        )
        return info | {"why_not": None, "reason": reason}
    why_not = f"{missing}; {_mend(info)}"
    return info | {"why_not": why_not, "reason": f"not used: {why_not}"}


def _ask_cupy(info: dict[str, Any]) -> str | None:
    """Fill in what CuPy sees; return what keeps it from seeing a GPU."""
    try:
        import cupy

        info["cupy"] = cupy.__version__
        runtime = cupy.cuda.runtime
        built_for = runtime.runtimeGetVersion()
        info["cuda"] = f"{built_for // 1000}.{built_for % 1000 // 10}"
        info["devices"] = tuple(
            runtime.getDeviceProperties(i)["name"].decode() for i in range(runtime.getDeviceCount())
        )
    except Exception as error:  # without a driver CuPy raises errors of its own, of many kinds
        return f"CuPy {info['cupy'] or ''} finds no GPU ({_first_line(error)})".replace("  ", " ")
    if not info["devices"]:
        return f"CuPy {info['cupy']} finds no GPU"
    return _ask_for_libraries(cupy, built_for // 1000)


def _ask_for_libraries(cupy: ModuleType, major: int) -> str | None:
    """Return which of NVRTC (it compiles the kernels) and cuBLAS is missing, or None.

    Neither comes with the driver, nor with CuPy alone; without them the first computation would
    fail, long after the start.
    """
    try:
        cupy.cuda.nvrtc.getVersion()
        find_cublas(major)
    except Exception as error:
        return f"CuPy {cupy.__version__} lacks a library of CUDA {major} ({_first_line(error)})"
    return None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@cache
def find_cublas(major: int) -> Any:
    """cuBLAS of this CUDA, where CuPy finds it: NVIDIA's wheels, a conda environment, the system,
    CUDA_PATH.

    Raises
    ------
    OSError
        If it is nowhere.
    """
    loader: Any = getattr(ctypes, "WinDLL", ctypes.CDLL)  # the first where there is Windows
    try:  # comes with CuPy since 14
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return loader(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception:  # older, or found nothing: the loader of the system may know
        names = (
            [f"cublas64_{major}.dll"]
            if sys.platform == "win32"
            else [f"libcublas.so.{major}", "libcublas.so"]
        )
    for folder in ("", os.path.join(os.environ.get("CUDA_PATH", ""), "lib64")):
        for name in names:
            try:
                return loader(os.path.join(folder, name))
            except OSError:
                continue
    raise OSError(f"{names[0]} is neither in NVIDIA's wheels, nor the system's, nor in CUDA_PATH")


def _mend(info: dict[str, Any]) -> str:
    """What to do about a GPU that cannot be used."""
    if info["devices"]:
        return f"pip install 'cupy-cuda{info['cuda'].split('.')[0]}x[ctk]' brings it"
    driver = info["driver"]
    if driver is None:
        return "there is no NVIDIA driver here, which comes with the GPU"
    major = int(driver.split(".")[0])
    packages = {12: "'cupy-cuda12x[ctk]'", 13: "'minienc[gpu]'"}
    install = packages.get(major, "'minienc[gpu]'" if major > 13 else None)
    if install is None:
        return f"the driver is for CUDA {driver}, and CuPy needs one for CUDA 12 or newer"
    if info["cupy"] is None:
        return f"the driver is for CUDA {driver}: pip install {install}"
    return f"the driver is for CUDA {driver}; see that CuPy is the one of pip install {install}"


def cuda_driver() -> str | None:
    """The newest CUDA that the installed NVIDIA driver supports, such as "13.0"."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            version = ctypes.c_int(0)
            if ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(version)) == 0:
                return f"{version.value // 1000}.{version.value % 1000 // 10}"
        except (OSError, AttributeError):
            continue
    return None
