"""CUDA C, compiled by g++ and run thread by thread."""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cuda_double.arrays import ndarray, values_of
from tests.cuda_double.devices import get_current_stream

THREADS_IN_C = """
#include <cmath>
#include <functional>
#include <ucontext.h>
#include <vector>
using namespace std;
struct Triple { unsigned x, y; };
static Triple threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __shared__ static
/* Each thread of a block runs until it waits for the others, or is done; then the next does. */
static ucontext_t scheduler;
static vector<ucontext_t> threads;
static vector<vector<char>> stacks;
static vector<char> done;
static unsigned running;
static const function<void()> *body;
static void __syncthreads() { swapcontext(&threads[running], &scheduler); }
static void thread_main() { (*body)(); done[running] = 1; }
static void run_grid(unsigned gx, unsigned gy, unsigned bx, const function<void()> &f)
{
    body = &f;
    threads.resize(bx); stacks.resize(bx); done.resize(bx);
    gridDim = {gx, gy}; blockDim = {bx, 1};
    for (unsigned y = 0; y < gy; y++) for (unsigned x = 0; x < gx; x++) {
        blockIdx = {x, y};
        for (unsigned t = 0; t < bx; t++) {
            stacks[t].resize(65536);
            getcontext(&threads[t]);
            threads[t].uc_stack.ss_sp = stacks[t].data();
            threads[t].uc_stack.ss_size = stacks[t].size();
            threads[t].uc_link = &scheduler;
            makecontext(&threads[t], thread_main, 0);
            done[t] = 0;
        }
        for (unsigned left = bx; left;)
            for (unsigned t = 0; t < bx; t++) if (!done[t]) {
                running = t; threadIdx = {t, 0};
                swapcontext(&scheduler, &threads[t]);
                left -= done[t];
            }
    }
}
"""

_C_TYPES = {"long long": ctypes.c_longlong, "double": ctypes.c_double}


@functools.cache
def _compiled(code: str, real: str) -> tuple[Any, dict[str, list[str]]]:
    """The library, and the types of each kernel's arguments, REAL spelt out."""
    expanded = subprocess.run(
        ["g++", "-E", "-P", "-xc++", f"-DREAL={real}", "-D__global__=__global__", "-"],
        input=code,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    kernels = {}
    launchers = []
    for name, given in re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', expanded):
        declared = [" ".join(a.split()) for a in given.split(",")]
        kinds = [re.sub(r"\w+$", "", a.replace("*", "* ")).replace("const ", "") for a in declared]
        kernels[name] = ["".join(k.split()) if "*" in k else k.strip() for k in kinds]
        names = ", ".join(re.findall(r"\w+$", a)[0] for a in declared)
        launchers.append(
            f'extern "C" void launch_{name}(unsigned gx, unsigned gy, unsigned bx, {given}) '
            f"{{ run_grid(gx, gy, bx, [&] {{ {name}({names}); }}); }}"
        )
    folder = Path(tempfile.mkdtemp(prefix="cuda_double_"))
    try:
        source = folder / "kernels.cpp"
        source.write_text("\n".join([THREADS_IN_C, f"#define REAL {real}", code, *launchers]))
        library = folder / "kernels.so"
        subprocess.run(
            ["g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", str(source), "-o", str(library)],
            check=True,
        )
        return ctypes.CDLL(str(library)), kernels
    finally:
        shutil.rmtree(folder)


class RawModule:
    """CUDA C, compiled by g++. CuPy hands a Python int over as long long, a float as double."""

    launched: dict[str, int] = {}  # noqa: RUF012  (by the kernel's name)

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        (self.real,) = [o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL=")]
        self.code = code

    def get_function(self, name: str) -> Callable[..., None]:
        library, kernels = _compiled(self.code, self.real)
        launcher, kinds = getattr(library, f"launch_{name}"), kernels[name]

        def launch(grid: tuple, block: tuple, arguments: tuple) -> None:
            grid = (*grid, 1)[:2]
            assert block == (256,) and min(grid) >= 1 and len(arguments) == len(kinds), name
            given = [_argument(name, a, kind) for a, kind in zip(arguments, kinds, strict=True)]
            sizes = [ctypes.c_uint(n) for n in (*grid, *block)]
            keep = arguments  # the graph holds addresses alone; here it holds the arrays, too
            get_current_stream().do(lambda: (launcher(*sizes, *given), keep)[0])
            RawModule.launched[name] = RawModule.launched.get(name, 0) + 1

        return launch


def _argument(name: str, a: Any, kind: str) -> Any:
    if kind.endswith("*"):
        if isinstance(a, int):
            assert a == 0, (name, a)
            return ctypes.c_void_p(None)
        dtype = {"float": "float32", "double": "float64", "longlong": "int64"}[kind[:-1]]
        assert isinstance(a, ndarray) and a.dtype == dtype, (name, kind, a)
        values_of(a)  # is where it is computed
        assert a.flags.c_contiguous, name
        return ctypes.c_void_p(a.data.ptr)
    expected = {"long long": int, "double": float}[kind]
    assert type(a) is expected, (name, kind, a)
    return _C_TYPES[kind](a)
