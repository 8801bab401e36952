"""What this machine has: versions, the kernel, threads, a GPU. ``minienc info`` prints it."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import numpy as np

from minienc import __version__
from minienc.gpu import gpu_info
from minienc.kernel import get_num_threads, kernel_info, usable_cpus

# what mpiexec tells the processes that it starts, MPICH's and Open MPI's
STARTED_BY = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS")
THREAD_VARIABLES = (  # what the libraries behind NumPy read, once, when they are loaded
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

PACKAGES = (  # distributions that minienc, its tests or its benchmarks know how to use
    "matplotlib",
    "tqdm",
    "pillow",
    "pooch",
    "safetensors",
    "scipy",
    "scikit-learn",
    "torch",
    "jax",
)


def system_info() -> dict[str, Any]:
    """Collect what matters when results are compared or help is asked for.

    Returns
    -------
    dict
        minienc : str, the version
        python : dict of version, executable
        numpy : dict of version, blas (the library behind its matrix products), simd
        machine : dict of system, processor, usable_cpus
        threads : dict of kernel (``get_num_threads()``) and each variable that is set
        kernel : ``kernel_info()``
        gpu : dict of cupy (version or None), driver (the newest CUDA it supports, or None),
        devices (tuple of names), reason (the same in a sentence)
        packages : dict of name to version, for those installed
    """
    return {
        "minienc": __version__,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "numpy": {"version": np.__version__, **_numpy_build()},
        "machine": {
            "system": platform.platform(aliased=True, terse=True),
            "processor": platform.machine(),
            "usable_cpus": usable_cpus(),
        },
        "threads": {
            "kernel": get_num_threads(),
            **{name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        },
        "kernel": kernel_info(),
        "gpu": gpu_info(),
        "packages": {name: v for name in PACKAGES if (v := _version(name)) is not None},
    }


def format_info(info: dict[str, Any]) -> str:
    """Write ``system_info()`` as text: a line for each subject, the names in a column."""
    numpy, machine, threads = info["numpy"], info["machine"], dict(info["threads"])
    kernel_threads = threads.pop("kernel")
    variables = ", ".join(f"{name}={value}" for name, value in threads.items())
    kernel = info["kernel"]["reason"]
    if not info["kernel"]["serves"]:
        kernel += "; the NumPy definitions serve"
    elif info["kernel"]["instruction_set"]:
        kernel = f"{info['kernel']['instruction_set']}, {kernel}"
    lines = {
        "minienc": info["minienc"],
        "Python": f"{info['python']['version']} at {info['python']['executable']}",
        "NumPy": f"{numpy['version']}, matrix products by {numpy['blas'] or 'an unknown library'}",
        "processor": f"{machine['processor']}, {machine['usable_cpus']} usable"
        + (f", with {', '.join(numpy['simd'])}" if numpy["simd"] else ""),
        "system": machine["system"],
        "kernel": kernel,
        "steps": "forward, backward and update as one call where model and optimizer are all the "
        "kernel's; what a fit did stands in history.steps"
        if info["kernel"]["serves"]
        else "as they are written",
        "threads": f"NumPy's: {variables or 'its default (OMP_NUM_THREADS is not set)'}"
        + (f"; the kernel's: {kernel_threads}" if info["kernel"]["loaded"] else ""),
        "GPU": info["gpu"]["reason"],
        "packages": ", ".join(f"{name} {v}" for name, v in info["packages"].items()) or "none",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _numpy_build() -> dict[str, Any]:
    """How NumPy was built: the BLAS (None if unknown) and the SIMD extensions."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    simd = config.get("SIMD Extensions", {})
    return {
        "blas": f"{blas['name']} {blas.get('version', '')}".strip() if "name" in blas else None,
        "simd": (*simd.get("baseline", ()), *simd.get("found", ())),
    }


def _version(distribution: str) -> str | None:
    import importlib.metadata  # here, because it is slow to import

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def n_started() -> int:
    """How many processes were started together, by the variables that mpiexec sets; 1 without."""
    for name in STARTED_BY:
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return 1
