"""minienc: unsupervised pretraining from scratch in NumPy, from raw data to a fine-tuned model.

Read ``functions`` first, then ``layers``, ``models``, ``training``, ``pretraining``.
"""

from __future__ import annotations

import os
from typing import Any

__version__ = "0.1.0"

_HOME = {  # public name -> where it is defined; loaded when it is asked for
    "get_array_module": "minienc.arrays",
    "load_model": "minienc.models",
    "gradcheck": "minienc.verify",
    "kernel_info": "minienc.kernel",
    "set_num_threads": "minienc.kernel",
    "set_tf32": "minienc.gpu",
    "step": "minienc.stepper.step_through",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    try:  # minienc.layers without an import of its own
        return importlib.import_module(f"minienc.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"minienc.{name}":
            raise
        raise AttributeError(f"module 'minienc' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


if os.environ.get("MINIENC_REQUIRE_KERNEL") == "1":
    from minienc.kernel import require_kernel

    require_kernel()
