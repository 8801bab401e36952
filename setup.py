"""The one thing that pyproject.toml cannot say: how the compiled kernel is built.

``kernels/_kernels.pyx`` becomes the module ``minienc._kernels`` (every ``kernels/NAME.pyx`` becomes
``minienc.NAME``). Where there is no such file, or no working C compiler, the installation is
complete without it: the NumPy definitions serve, and ``minienc info`` says so. Two environment
variables decide:

    MINIENC_REQUIRE_KERNEL=1   either is an error instead
    MINIENC_PURE=1             nothing is compiled: a wheel for every system, py3-none-any
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

REQUIRED = os.environ.get("MINIENC_REQUIRE_KERNEL") == "1"
DEPENDS = {".h", ".c", ".pxi"}


def kernel_extensions():
    """One extension for each Cython source in kernels/; none with MINIENC_PURE=1."""
    if os.environ.get("MINIENC_PURE") == "1":
        if REQUIRED:
            raise SystemExit("MINIENC_PURE=1 leaves out what MINIENC_REQUIRE_KERNEL=1 asks for")
        return []
    sources = sorted(Path("kernels").glob("*.pyx"))
    if not sources:
        if REQUIRED:
            raise SystemExit("MINIENC_REQUIRE_KERNEL=1, but kernels/ holds no .pyx to build")
        return []
    import numpy  # only where there is something to compile
    from Cython.Build import cythonize

    extensions = [
        Extension(
            f"minienc.{source.stem}",
            [str(source), *map(str, sorted(Path("kernels").glob("*.c")))],
            include_dirs=["kernels", numpy.get_include()],
            depends=[str(f) for f in sorted(Path("kernels").iterdir()) if f.suffix in DEPENDS],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
            # No -ffast-math: if it reaches the link, the whole process rounds its subnormal
            # numbers to zero. -Wno-psabi: a vector as argument is passed otherwise where the
            # processor has no such register, which functions within one file need not mind.
            extra_compile_args=["-O3", "-pthread", "-Wno-psabi"],
            extra_link_args=["-pthread"],
        )
        for source in sources
    ]
    # The generated C goes to build/, so that a .c in kernels/ is always one that somebody wrote.
    extensions = cythonize(extensions, build_dir="build/cython", language_level=3)
    for extension in extensions:  # said here, because cythonize forgets what it was told of it
        extension.optional = not REQUIRED  # a compiler that fails leaves the extension out
    return extensions


class BuildWithExercises(build_py):
    """The exercises lie beside the tutorials, where they are read; an installed ``minienc grade``
    finds them in the package."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for source in sorted(Path("tutorials/exercises").glob("e[0-9][0-9]_*.py")):
            target = Path(self.build_lib, "minienc", "course", "exercises", source.name)
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))


setup(ext_modules=kernel_extensions(), cmdclass={"build_py": BuildWithExercises})
