# Activations by themselves and optimisers' steps: checks, results, and the calls of sweep.h.
#
# Every function here takes contiguous arrays of one type, and returns None for what it does not
# serve.

from libc.math cimport fabs
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "plan.h":
    struct sweep_arguments "sweep":
        int operation, code, flush
        Py_ssize_t n
        void **arrays
        double *sums
        double *numbers
    int OP_sweep
    int SWEEP_ACTIVATE, SWEEP_SLOPE, SWEEP_SGD, SWEEP_MOMENTUM, SWEEP_NESTEROV, SWEEP_RMSPROP
    int SWEEP_ADAGRAD, SWEEP_ADAM, SWEEP_ADAMW, SWEEP_SCALE, SWEEP_SQUARES, SWEEP_ELEMENTARY
    int ELEMENTARY_EXP, ELEMENTARY_EXPM1, ELEMENTARY_LOG, ELEMENTARY_LOG1P
    int SWEEP_NUMBERS, SWEEP_BLOCK

# The operations of pointwise_api.h that Python names.
step_codes = {
    "sgd": SWEEP_SGD,
    "momentum": SWEEP_MOMENTUM,
    "nesterov": SWEEP_NESTEROV,
    "rmsprop": SWEEP_RMSPROP,
    "adagrad": SWEEP_ADAGRAD,
    "adam": SWEEP_ADAM,
    "adamw": SWEEP_ADAMW,
}
elementary_codes = {
    "exp": ELEMENTARY_EXP,
    "expm1": ELEMENTARY_EXPM1,
    "log": ELEMENTARY_LOG,
    "log1p": ELEMENTARY_LOG1P,
}


cdef void run_sweep(sweep_arguments *s, int type_number) noexcept:
    with nogil:
        call(OP_sweep, type_number, s)


# ----------------------------------------------------------------------------------- activations

def activation_forward(x, int code, double alpha=0.0):
    """f(x)."""
    cdef sweep_arguments s
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    y = empty_like(<cnp.ndarray>x)
    memset(&s, 0, sizeof(s))
    s.operation = SWEEP_ACTIVATE
    s.code = code
    s.n = cnp.PyArray_SIZE(y)
    s.arrays[0] = cnp.PyArray_DATA(<cnp.ndarray>x)
    s.arrays[1] = cnp.PyArray_DATA(y)
    s.numbers[0] = alpha
    run_sweep(&s, type_number)
    return y


def activation_backward(dy, y, int code, double alpha=0.0):
    """f'(x) dy from y = f(x); for gelu, y is x itself."""
    cdef sweep_arguments s
    cdef int type_number = real_type(y)
    cdef cnp.ndarray dx
    if type_number < 0 or not is_contiguous(y, type_number) or not is_like(dy, <cnp.ndarray>y):
        return None
    memset(&s, 0, sizeof(s))
    dx = empty_like(<cnp.ndarray>y)
    s.operation = SWEEP_SLOPE
    s.code = code
    s.n = cnp.PyArray_SIZE(dx)
    s.arrays[0] = cnp.PyArray_DATA(<cnp.ndarray>dy)
    s.arrays[1] = cnp.PyArray_DATA(<cnp.ndarray>y)
    s.arrays[2] = cnp.PyArray_DATA(dx)
    s.numbers[0] = alpha
    run_sweep(&s, type_number)
    return dx


def elementary(x, int code):
    """exp, expm1, log (of positive, not subnormal numbers) or log1p (of -1 < x <= 1)."""
    cdef sweep_arguments s
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    y = empty_like(<cnp.ndarray>x)
    memset(&s, 0, sizeof(s))
    s.operation = SWEEP_ELEMENTARY
    s.code = code
    s.n = cnp.PyArray_SIZE(y)
    s.arrays[0] = cnp.PyArray_DATA(<cnp.ndarray>x)
    s.arrays[1] = cnp.PyArray_DATA(y)
    run_sweep(&s, type_number)
    return y


def scaled(x, double factor):
    """factor x, a new array."""
    cdef sweep_arguments s
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    y = empty_like(<cnp.ndarray>x)
    memset(&s, 0, sizeof(s))
    s.operation = SWEEP_SCALE
    s.n = cnp.PyArray_SIZE(y)
    s.arrays[0] = cnp.PyArray_DATA(<cnp.ndarray>x)
    s.arrays[1] = cnp.PyArray_DATA(y)
    s.numbers[0] = factor
    run_sweep(&s, type_number)
    return y


# ------------------------------------------------------------------------------- optimiser steps

def sum_of_squares(g):
    """The sum of g^2 as a float; None for what is not served."""
    cdef sweep_arguments s
    cdef int type_number = real_type(g)
    cdef Py_ssize_t i, blocks
    cdef double total = 0
    memset(&s, 0, sizeof(s))
    if type_number < 0 or not is_contiguous(g, type_number):
        return None
    plan_decline("the norm of a gradient is looked at")
    s.operation = SWEEP_SQUARES
    s.n = cnp.PyArray_SIZE(<cnp.ndarray>g)
    s.arrays[0] = cnp.PyArray_DATA(<cnp.ndarray>g)
    blocks = (s.n + SWEEP_BLOCK - 1) // SWEEP_BLOCK
    if blocks == 0:
        return 0.0
    s.sums = <double *>malloc(blocks * sizeof(double))
    if s.sums == NULL:
        raise MemoryError("sum_of_squares: no memory for the sums")
    run_sweep(&s, type_number)
    for i in range(blocks):  # in their order, whichever thread was first
        total += s.sums[i]
    free(s.sums)
    return total


def optimizer_step(int operation, w, g, a, b, numbers, rate, epsilon):
    """One step: w, and the remembered a and b (or None) change. False: not served, none changed.

    numbers begin with what clipping scales the gradient with. What the step is multiplied with and
    what is added to its divisor say whether subnormal numbers may be taken for 0: subnormal.h.
    """
    cdef sweep_arguments s
    cdef int type_number = real_type(w)
    cdef int i, j
    cdef int n_arrays = 2 if operation == SWEEP_SGD else 3 if operation < SWEEP_ADAM else 4
    cdef tuple arrays = (w, g, a, b)
    memset(&s, 0, sizeof(s))
    if type_number < 0 or not is_contiguous(w, type_number) or len(numbers) > SWEEP_NUMBERS:
        return False
    for i in range(n_arrays):
        if not is_like(arrays[i], <cnp.ndarray>w):
            return False
        if i != 1 and not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>arrays[i]):
            return False
        for j in range(i):
            if overlap(<cnp.ndarray>arrays[i], arrays[j]):
                return False
        s.arrays[i] = cnp.PyArray_DATA(<cnp.ndarray>arrays[i])
    s.operation = operation
    s.n = cnp.PyArray_SIZE(<cnp.ndarray>w)
    for i in range(len(numbers)):
        s.numbers[i] = numbers[i]
    s.flush = fabs(s.numbers[0]) <= 1 and fabs(rate) <= 1 and epsilon >= 1e-12
    run_sweep(&s, type_number)
    return True
