"""The compiled kernel: whether it is there and in use, and how many threads it may take.

Two environment variables decide:

    MINIENC_KERNEL=0           leave a compiled kernel unused
    MINIENC_REQUIRE_KERNEL=1   `import minienc` fails where there is none (the build does, too)
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from minienc import primitive
from minienc.shapes import is_whole

KERNEL = "minienc._kernels"

_num_threads: int | None = None  # what set_num_threads said


# ------------------------------------------------------------------------------------- the kernel


def kernel_info() -> dict[str, Any]:
    """Whether the compiled kernel is there, whether it is in use, and if not, why.

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
        edited : tuple of str
            Those that run as they are written although there is a faster function: they are not
            what it was proved equal to.
        instruction_set : str or None
            The one that the kernel chose, where it is loaded.
        reason : str
            All of it in a sentence.

    Examples
    --------
    >>> sorted(kernel_info())[:3]
    ['built', 'edited', 'enabled']
    """
    info: dict[str, Any] = {
        "built": importlib.util.find_spec(KERNEL) is not None,
        "enabled": os.environ.get("MINIENC_KERNEL") != "0",
        "required": os.environ.get("MINIENC_REQUIRE_KERNEL") == "1",
        "loaded": False,
        "serves": (),
        "edited": (),
        "instruction_set": None,
    }
    if not info["built"]:
        where = Path(__file__).parent
        return info | {"reason": f"no compiled kernel is built in {where}"}
    if not info["enabled"]:
        return info | {"reason": "MINIENC_KERNEL=0 switches the compiled kernel off"}
    try:
        kernel = importlib.import_module(KERNEL)
    except ImportError as error:
        return info | {"reason": f"the compiled kernel cannot be loaded: {error}"}
    info["loaded"] = True
    info["instruction_set"] = getattr(kernel, "instruction_set", None)
    primitive.open_the_door()
    served = sorted(primitive.REGISTRY.keys() & primitive._fast.keys())
    info["edited"] = importlib.import_module("minienc.fast.proved").edited()
    info["serves"] = tuple(name for name in served if name not in info["edited"])
    if not info["serves"]:
        return info | {"reason": "the compiled kernel is loaded, but minienc.fast uses none of it"}
    reason = f"in use for {len(info['serves'])} of the functions"
    if info["edited"]:
        reason += f"; edited, and run as they are written: {', '.join(info['edited'])}"
    return info | {"reason": reason}


def require_kernel() -> None:
    """Refuse to go on without the kernel where ``MINIENC_REQUIRE_KERNEL=1``.

    ``import minienc`` calls it, so that a test run that is meant for the kernel cannot pass by
    testing the definitions instead.

    Raises
    ------
    ImportError
        If it is required, but is not built or cannot be loaded. (If ``MINIENC_KERNEL=0``
        switches it off, it need only be built.)
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

    Without a kernel in use, the number is kept, and a ``UserWarning`` says that it has no effect.
    It never has one on NumPy's own matrix products: their library reads ``OMP_NUM_THREADS`` (or
    its own variable, such as ``OPENBLAS_NUM_THREADS``) once, when NumPy is first imported. So set
    that before Python starts, or use the package ``threadpoolctl``.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not a whole number, or is less than 1.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _num_threads
    if not is_whole(n):
        raise TypeError(f"set_num_threads: n is {n!r}, expected a whole number from 1")
    if n < 1:
        raise ValueError(f"set_num_threads: n is {n}, expected a whole number from 1")
    _num_threads = int(n)
    info = kernel_info()
    if info["loaded"]:
        sys.modules[KERNEL].set_num_threads(_num_threads)
    else:
        warnings.warn(
            f"set_num_threads: {n} has no effect ({info['reason']}); NumPy's own threads are set "
            f"by OMP_NUM_THREADS before Python starts",
            stacklevel=2,
        )


def get_num_threads() -> int:
    """How many threads the kernel uses: as set, else ``OMP_NUM_THREADS``, else all processors."""
    if _num_threads is not None:
        return _num_threads
    said = os.environ.get("OMP_NUM_THREADS", "").strip()
    return int(said) if said.isdecimal() and int(said) > 0 else usable_cpus()


def usable_cpus() -> int:
    """Count the processors that this process may run on; they can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
