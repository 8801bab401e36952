"""Faster functions of the definitions' own names, reached through ``primitive`` alone.

A module here defines functions of the same name and signature as a primitive's and registers each
with ``register_fast``; a function that does not serve the arrays it is given returns
``NotImplemented``, and the definition runs. ``into.py`` has second entries, ``X_backward_into``.

For arrays of NumPy, nothing else is registered where ``minienc._kernels`` is not built; for arrays
of CuPy, not before somebody has imported CuPy. With ``MINIENC_KERNEL=0`` the definitions serve
alone.

A function here serves none but the definition that it was proved equal to: ``proved.py`` knows
which those are.
"""

import importlib
import importlib.util
import os

from minienc import primitive
from minienc.primitive import load_fast_with

if os.environ.get("MINIENC_KERNEL") != "0":
    from minienc.fast import into, proved  # noqa: F401  (into registers what it has)

if os.environ.get("MINIENC_KERNEL") != "0" and importlib.util.find_spec("minienc._kernels"):
    _before = dict(primitive._fast)
    try:
        import minienc._kernels
        from minienc.fast import (  # noqa: F401  (each registers what it has)
            attention,
            conv1d,
            copying,
            cpu,
            merging,
            noise,
            normalization,
            patches,
            penalties,
            pointwise,
            pooling,
            positions,
            quantization,
            recurrent,
            sequences,
            variational,
        )
    except (ImportError, AttributeError) as error:
        # built for another machine, or MINIENC_ISA names what it lacks; or of older sources
        if os.environ.get("MINIENC_REQUIRE_KERNEL") == "1" or os.environ.get("MINIENC_ISA"):
            raise
        import warnings

        primitive._fast.clear()  # all of the kernel or nothing of it
        primitive._fast.update(_before)
        older = " (is it built of older sources? build it again)"
        hint = older if isinstance(error, AttributeError) else ""
        warnings.warn(f"the compiled kernel cannot be loaded: {error}{hint}", stacklevel=2)
    else:
        from minienc.devices import register_plans, register_workspace

        register_workspace(minienc._kernels.Workspace, minienc._kernels.release_workspace)
        register_plans(
            minienc._kernels.Plan, minienc._kernels.Steps, minienc._kernels.steps_of_a_call
        )

if os.environ.get("MINIENC_KERNEL") != "0":
    load_fast_with("cupy", lambda: importlib.import_module("minienc.fast.cuda"))
