"""Which GPU is here, and where none can be used, what is missing.

CuPy is imported only where somebody asks, and is installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
from typing import Any


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
            Where there is no device: what is missing, and what to install.
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
        says = f"{names}; CuPy {info['cupy']} for CUDA {info['cuda']}, driver for {info['driver']}"
        return info | {"why_not": None, "reason": says}
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
        says = next(iter(str(error).splitlines()), type(error).__name__)
        return f"CuPy {info['cupy'] or ''} finds no GPU ({says})".replace("  ", " ")
    return None if info["devices"] else f"CuPy {info['cupy']} finds no GPU"


def _mend(info: dict[str, Any]) -> str:
    """What to do about a GPU that cannot be used."""
    driver = info["driver"]
    if driver is None:
        return "there is no NVIDIA driver here, which comes with the GPU"
    major = int(driver.split(".")[0])
    packages = {12: "cupy-cuda12x", 13: "'minienc[gpu]'"}
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
