# cython: cdivision=True
"""The boundary between Python and the kernels in C.

It checks dtype, shape, strides and overlap, allocates results, releases the interpreter lock, and
calls C. The C is reached through two tables of functions (kernels.h), one for each type, chosen
here when the module is loaded: the best instruction set that this machine has, or the one that
``MINIENC_ISA`` names.
"""

import os

cimport numpy as cnp

import numpy as np

cnp.import_array()

# The declarations of what a .pxi calls stand at its top: the struct of arguments of each kernel,
# and its number, OP_NAME.
cdef extern from "kernels.h":
    int kernels_use(const char *isa)
    const char *kernels_available(int i)

cdef extern from "threads.h":
    void threads_set(int n)
    int threads_get()


# ------------------------------------------------------------------------------ instruction sets

instruction_sets = ()  # those that this machine has, from the plainest
while kernels_available(len(instruction_sets)) != NULL:
    instruction_sets += (kernels_available(len(instruction_sets)).decode(),)

instruction_set = None  # the one in use


def _use_isa(isa=None):
    """Use this instruction set from now on (the tests go through all); None: the best one."""
    global instruction_set
    cdef bytes name
    cdef int error
    if isa is None:
        error = kernels_use(NULL)
        isa = instruction_sets[-1]
    else:
        name = isa.encode()
        error = kernels_use(name)
    if error:
        fault = "is unknown" if error == -1 else "is not what this machine has"
        raise ValueError(
            f"MINIENC_ISA: the instruction set {isa!r} {fault}; "
            f"expected one of {', '.join(instruction_sets)}"
        )
    instruction_set = isa


try:
    _use_isa(os.environ.get("MINIENC_ISA") or None)
except ValueError as error:
    raise ImportError(str(error)) from None


# --------------------------------------------------------------------------------------- threads

def set_num_threads(n):
    """Let the kernels use n threads, the caller's among them."""
    if n < 1:
        raise ValueError(f"set_num_threads: n is {n}, expected a whole number from 1")
    threads_set(min(n, 256))


def get_num_threads():
    """Return how many threads the kernels use."""
    return threads_get()


def _default_num_threads():
    said = os.environ.get("OMP_NUM_THREADS", "").strip()
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


set_num_threads(_default_num_threads())


# ---------------------------------------------------------------------------------- the functions

include "arrays.pxi"
include "dense.pxi"
include "sweep.pxi"
include "rows.pxi"
include "norms.pxi"
include "patches.pxi"
include "pools.pxi"
include "columns.pxi"
include "variational.pxi"
include "recurrent.pxi"
include "attention.pxi"
include "positions.pxi"
include "quantization.pxi"
include "between.pxi"
include "sequences.pxi"
include "penalties.pxi"
include "workspace.pxi"
include "plan.pxi"
include "steps.pxi"
