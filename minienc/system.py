"""What this machine has: versions, kernel, threads, GPU. ``minienc info`` prints it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from typing import Any

import numpy as np

_n_threads: int | None = None  # what set_num_threads said


def kernel_info() -> dict[str, Any]:
    """Say whether the compiled kernel is built and in use.

    Returns
    -------
    dict
        ``built``, ``in_use`` (bool), ``instruction_set`` (str or None), ``reason`` (str).
    """
    built = importlib.util.find_spec("minienc._kernels") is not None
    if not built:
        reason = "no compiled kernel in this installation: the NumPy definitions serve"
    elif os.environ.get("MINIENC_KERNEL") == "0":
        reason = "switched off by MINIENC_KERNEL=0: the NumPy definitions serve"
    else:
        reason = "in use"
    return {
        "built": built,
        "in_use": reason == "in use",
        "instruction_set": None,
        "reason": reason,
    }


def require_kernel() -> None:
    """Raise ImportError where MINIENC_REQUIRE_KERNEL=1 and there is no kernel."""
    if os.environ.get("MINIENC_REQUIRE_KERNEL") == "1" and not kernel_info()["built"]:
        raise ImportError(f"MINIENC_REQUIRE_KERNEL=1, but there is {kernel_info()['reason']}")


def set_num_threads(n: int) -> None:
    """Let the compiled kernel use ``n`` threads.

    NumPy's own matrix products are not under this: their library reads OMP_NUM_THREADS (or
    OPENBLAS_NUM_THREADS) once, when Python starts.
    """
    global _n_threads
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_num_threads: n is {n!r}, expected a whole number from 1")
    _n_threads = n


def get_num_threads() -> int:
    """What ``set_num_threads`` said, else OMP_NUM_THREADS, else the processors one may use."""
    if _n_threads is not None:
        return _n_threads
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdigit() and int(named) > 0 else usable_cpus()


def usable_cpus() -> int:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def system_info() -> dict[str, Any]:
    """Collect what ``minienc info`` prints."""
    from minienc import __version__

    kernel = kernel_info()
    omp = os.environ.get("OMP_NUM_THREADS", "not set")
    return {
        "minienc": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        "NumPy": f"{np.__version__}, matrix products by {_blas()}",
        "machine": f"{platform.system()} {platform.machine()}, {usable_cpus()} processors usable",
        "threads": f"{get_num_threads()} (OMP_NUM_THREADS is {omp})",
        "kernel": kernel["reason"],
        "GPU": _gpu(),
        "optional": _optional(),
    }


def _blas() -> str:
    try:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index]
        return f"{blas['name']} {blas.get('version', '')}".strip()
    except (KeyError, TypeError):
        return "an unknown library"


def _gpu() -> str:
    if importlib.util.find_spec("cupy") is None:
        return "not used: CuPy is not installed (pip install 'minienc[gpu]')"
    try:
        import cupy

        n = cupy.cuda.runtime.getDeviceCount()
        names = [cupy.cuda.runtime.getDeviceProperties(i)["name"].decode() for i in range(n)]
        return f"CuPy {cupy.__version__}: {', '.join(names)}"
    except Exception as error:  # CuPy raises many kinds where there is no driver
        return f"CuPy is installed, but finds no GPU: {str(error).splitlines()[0]}"


def _optional() -> str:
    found = []
    for name in ("matplotlib", "tqdm", "pooch", "safetensors", "scipy", "scikit-learn", "torch"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found) or "none"


def format_info(info: dict[str, Any]) -> str:
    """One line for each entry, names in a column."""
    width = max(map(len, info))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in info.items())
