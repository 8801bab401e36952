"""What this machine has: versions, the compiled kernel, threads, a GPU. ``minienc info`` prints it.

Nothing here decides how minienc computes; it looks, and says what it saw. The switches that it
reads are environment variables:

    MINIENC_KERNEL=0           leave a compiled kernel unused
    MINIENC_REQUIRE_KERNEL=1   `import minienc` fails where there is none (the build does, too)
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
import warnings
from typing import Any

import numpy as np

from minienc.gpu import gpu_info

KERNEL = "minienc._kernels"

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

_num_threads: int | None = None  # what set_num_threads said


# ------------------------------------------------------------------------------------- the kernel


def kernel_info() -> dict[str, Any]:
    """Say whether the compiled kernel is there, whether it is in use, and if not, why.

    Returns
    -------
    dict
        built : bool
            The module ``minienc._kernels`` is part of this installation.
        enabled, required : bool
            ``MINIENC_KERNEL`` is not 0; ``MINIENC_REQUIRE_KERNEL`` is 1.
        loaded : bool
            It is built and enabled, and it could be imported.
        serves : tuple of str
            The primitives that run compiled. Empty: their definitions in NumPy serve.
        instruction_set : str or None
            The one that the kernel chose, where it is loaded and says so.
        reason : str
            The same in a sentence.
    """
    info: dict[str, Any] = {
        "built": importlib.util.find_spec(KERNEL) is not None,
        "enabled": os.environ.get("MINIENC_KERNEL") != "0",
        "required": os.environ.get("MINIENC_REQUIRE_KERNEL") == "1",
        "loaded": False,
        "serves": (),
        "instruction_set": None,
    }
    if not info["built"]:
        return info | {"reason": "no compiled kernel is built"}
    if not info["enabled"]:
        return info | {"reason": "MINIENC_KERNEL=0 switches the compiled kernel off"}
    try:
        kernel = importlib.import_module(KERNEL)
    except ImportError as error:
        return info | {"reason": f"the compiled kernel cannot be loaded: {error}"}
    info["loaded"] = True
    info["instruction_set"] = getattr(kernel, "instruction_set", None)
    info["serves"] = _compiled_primitives()
    if not info["serves"]:
        return info | {"reason": "the compiled kernel is loaded, but minienc.fast uses none of it"}
    return info | {"reason": f"in use for {len(info['serves'])} of the functions"}


def _compiled_primitives() -> tuple[str, ...]:
    from minienc import primitive

    importlib.import_module("minienc.fast")  # it registers what it has
    return tuple(sorted(primitive.REGISTRY.keys() & primitive._fast.keys()))


def require_kernel() -> None:
    """Refuse to go on without the kernel where ``MINIENC_REQUIRE_KERNEL=1``.

    ``import minienc`` calls it there, so that a test run that is meant for the kernel cannot pass
    by testing the definitions instead.

    Raises
    ------
    ImportError
        If it is required, and is not built or cannot be loaded. One that ``MINIENC_KERNEL=0``
        switches off need only be built.
    """
    info = kernel_info()
    if info["required"] and not (info["loaded"] or (info["built"] and not info["enabled"])):
        raise ImportError(
            f"MINIENC_REQUIRE_KERNEL=1, but {info['reason']}; pip install . builds it from "
            f"kernels/*.pyx where there is a C compiler"
        )


# ------------------------------------------------------------------------------------ the threads


def set_num_threads(n: int) -> None:
    """Let the compiled kernel use ``n`` threads.

    Without a kernel in use, the number is kept and a ``UserWarning`` says that nothing follows it.
    NumPy's own matrix products never do: their library reads ``OMP_NUM_THREADS`` (or its own
    variable, such as ``OPENBLAS_NUM_THREADS``) once, when NumPy is first imported. So set that
    before Python starts, or use the package ``threadpoolctl``.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not a whole number, or is less than 1.
    """
    global _num_threads
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"set_num_threads: n is {n!r}, expected a whole number from 1")
    if n < 1:
        raise ValueError(f"set_num_threads: n is {n}, expected a whole number from 1")
    _num_threads = int(n)
    info = kernel_info()
    if info["loaded"]:
        sys.modules[KERNEL].set_num_threads(_num_threads)
    else:
        warnings.warn(
            f"set_num_threads: nothing follows the {n} ({info['reason']}); NumPy's own threads are "
            f"set by OMP_NUM_THREADS before Python starts",
            stacklevel=2,
        )


def get_num_threads() -> int:
    """Return the threads of the kernel: as set, else ``OMP_NUM_THREADS``, else all processors."""
    if _num_threads is not None:
        return _num_threads
    said = os.environ.get("OMP_NUM_THREADS", "").strip()
    return int(said) if said.isdecimal() and int(said) > 0 else usable_cpus()


def usable_cpus() -> int:
    """Count the processors that this process may run on; they can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ------------------------------------------------------------------------------------- everything


def system_info() -> dict[str, Any]:
    """Collect what one wants to know of a machine before comparing results or asking for help.

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
    from minienc import __version__

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
    """Write ``system_info()`` for a reader: a line for each subject, the names in a column."""
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
        "threads": f"NumPy's: {variables or 'its default (OMP_NUM_THREADS is not set)'}"
        + (f"; the kernel's: {kernel_threads}" if info["kernel"]["loaded"] else ""),
        "GPU": info["gpu"]["reason"],
        "packages": ", ".join(f"{name} {v}" for name, v in info["packages"].items()) or "none",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _numpy_build() -> dict[str, Any]:
    """How NumPy was built; a build that does not say leaves None and ()."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    simd = config.get("SIMD Extensions", {})
    return {
        "blas": f"{blas['name']} {blas.get('version', '')}".strip() if "name" in blas else None,
        "simd": (*simd.get("baseline", ()), *simd.get("found", ())),
    }


def _version(distribution: str) -> str | None:
    import importlib.metadata  # here, for it is slow to import, and a required kernel imports this

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
