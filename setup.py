"""The one thing that pyproject.toml cannot say: how the compiled kernel is built.

Every ``kernels/*.pyx`` becomes an extension module ``minienc.<name>``. A machine without a C
compiler gets a working installation without it (and ``minienc info`` says so), unless
``MINIENC_REQUIRE_KERNEL=1`` makes that an error.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

REQUIRED = os.environ.get("MINIENC_REQUIRE_KERNEL") == "1"
sources = sorted(Path("kernels").glob("*.pyx"))
if REQUIRED and not sources:
    raise SystemExit("MINIENC_REQUIRE_KERNEL=1, but kernels/ holds no .pyx source")

extensions = []
if sources:
    import numpy
    from Cython.Build import cythonize

    # -O3 and no -ffast-math: at the link it would make the whole process flush subnormals to zero
    extensions = cythonize(
        [
            Extension(
                f"minienc.{source.stem}",
                [str(source)],
                include_dirs=["kernels", numpy.get_include()],
                extra_compile_args=["-O3", "-fopenmp-simd"],
                optional=not REQUIRED,
            )
            for source in sources
        ],
        language_level=3,
    )

setup(ext_modules=extensions)
