# Activations, losses and optimiser steps: checks, results, and the calls of kernels/pointwise.h.
#
# Every function here takes contiguous arrays of one type, and returns None for what it does not
# serve. What an array is (is_plain, real_type, same_shape, overlap) is decided in dense.pxi.

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from numpy import float32, float64

cdef extern from "kernels.h":
    struct sweep_arguments "sweep":
        int operation, code
        Py_ssize_t n
        void **arrays
        double *sums
        double *numbers
    struct rows_arguments "rows":
        int operation
        Py_ssize_t N, D
        const void *y
        const void *target
        const int64_t *labels
        const void *dl
        void *losses
        void *out
    struct pointwise_kernels "kernels":
        void (*sweep)(const sweep_arguments *) noexcept nogil
        void (*rows)(const rows_arguments *) noexcept nogil
    const pointwise_kernels *pointwise_f32 "kernels_f32"
    const pointwise_kernels *pointwise_f64 "kernels_f64"
    int SWEEP_ACTIVATE, SWEEP_SLOPE, SWEEP_SGD, SWEEP_MOMENTUM, SWEEP_NESTEROV, SWEEP_RMSPROP
    int SWEEP_ADAGRAD, SWEEP_ADAM, SWEEP_ADAMW, SWEEP_SCALE, SWEEP_SQUARES, SWEEP_ELEMENTARY
    int ELEMENTARY_EXP, ELEMENTARY_EXPM1, ELEMENTARY_LOG, ELEMENTARY_LOG1P
    int SWEEP_NUMBERS, SWEEP_BLOCK
    int ROWS_SOFTMAX, ROWS_SOFTMAX_SLOPE, ROWS_SQUARED, ROWS_SQUARED_SLOPE
    int ROWS_BINARY, ROWS_BINARY_SLOPE, ROWS_BINARY_P, ROWS_BINARY_P_SLOPE
    int ROWS_CATEGORICAL, ROWS_CATEGORICAL_SLOPE, ROWS_CATEGORICAL_P, ROWS_CATEGORICAL_P_SLOPE

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
loss_codes = {  # forward and backward
    "squared": (ROWS_SQUARED, ROWS_SQUARED_SLOPE),
    "binary": (ROWS_BINARY, ROWS_BINARY_SLOPE),
    "binary of p": (ROWS_BINARY_P, ROWS_BINARY_P_SLOPE),
    "categorical": (ROWS_CATEGORICAL, ROWS_CATEGORICAL_SLOPE),
    "categorical of p": (ROWS_CATEGORICAL_P, ROWS_CATEGORICAL_P_SLOPE),
}
elementary_codes = {
    "exp": ELEMENTARY_EXP,
    "expm1": ELEMENTARY_EXPM1,
    "log": ELEMENTARY_LOG,
    "log1p": ELEMENTARY_LOG1P,
}


# ---------------------------------------------------------------------------------- small pieces

cdef inline bint is_contiguous(object a, int type_number):
    """A plain array of at least one axis (NumPy makes a scalar of what has none)."""
    return (
        is_plain(a, type_number)
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>a)
        and cnp.PyArray_NDIM(<cnp.ndarray>a) > 0
    )


cdef inline bint is_like(object a, cnp.ndarray model):
    """A contiguous array of the same type and shape."""
    return is_contiguous(a, cnp.PyArray_TYPE(model)) and same_shape(<cnp.ndarray>a, model)


cdef inline cnp.ndarray empty_like(cnp.ndarray a):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)


cdef void run_sweep(sweep_arguments *s, int type_number) noexcept:
    with nogil:
        if type_number == cnp.NPY_FLOAT32:
            pointwise_f32.sweep(s)
        else:
            pointwise_f64.sweep(s)


cdef void run_rows(rows_arguments *s, int type_number) noexcept:
    with nogil:
        if type_number == cnp.NPY_FLOAT32:
            pointwise_f32.rows(s)
        else:
            pointwise_f64.rows(s)


# ----------------------------------------------------------------------------------- activations

def activation_forward(x, int code, double alpha=0.0):
    """f(x); for gelu (f(x), tanh(u))."""
    cdef sweep_arguments s
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y, t
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
    if code != ACT_GELU:
        run_sweep(&s, type_number)
        return y
    t = empty_like(y)
    s.arrays[2] = cnp.PyArray_DATA(t)
    run_sweep(&s, type_number)
    return y, t


def activation_backward(dy, y, t, int code, double alpha=0.0):
    """f'(x) dy from y = f(x); for gelu, y is x itself and t is tanh(u)."""
    cdef sweep_arguments s
    cdef int type_number = real_type(y)
    cdef cnp.ndarray dx
    if type_number < 0 or not is_contiguous(y, type_number) or not is_like(dy, <cnp.ndarray>y):
        return None
    memset(&s, 0, sizeof(s))
    if code == ACT_GELU:
        if not is_like(t, <cnp.ndarray>y):
            return None
        s.arrays[3] = cnp.PyArray_DATA(<cnp.ndarray>t)
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


def softmax(y, dy=None):
    """softmax(y) over the last axis; given dy and the softmax as y, dx."""
    cdef rows_arguments s
    cdef int type_number = real_type(y)
    cdef cnp.ndarray out
    if type_number < 0 or not is_contiguous(y, type_number) or last(<cnp.ndarray>y) == 0:
        return None
    if dy is not None and not is_like(dy, <cnp.ndarray>y):
        return None
    out = empty_like(<cnp.ndarray>y)
    s.operation = ROWS_SOFTMAX if dy is None else ROWS_SOFTMAX_SLOPE
    s.N = n_rows(out)
    s.D = last(out)
    s.y = cnp.PyArray_DATA(<cnp.ndarray>y)
    s.target = NULL if dy is None else cnp.PyArray_DATA(<cnp.ndarray>dy)
    s.labels = NULL
    s.dl = s.losses = NULL
    s.out = cnp.PyArray_DATA(out)
    run_rows(&s, type_number)
    return out


# ---------------------------------------------------------------------------------------- losses

cdef bint labels_fit(cnp.ndarray labels, cnp.ndarray y):
    """One label for each row, from 0 to D - 1."""
    cdef const int64_t *p = <const int64_t *>cnp.PyArray_DATA(labels)
    cdef Py_ssize_t i, n = n_rows(y), D = last(y)
    if cnp.PyArray_NDIM(labels) != cnp.PyArray_NDIM(y) - 1:
        return False
    for i in range(cnp.PyArray_NDIM(labels)):
        if cnp.PyArray_DIM(labels, i) != cnp.PyArray_DIM(y, i):
            return False
    for i in range(n):
        if p[i] < 0 or p[i] >= D:
            return False
    return True


cdef bint describe(rows_arguments *s, int operation, object y, object target):
    """Check y and its target (of y's shape, or labels in int64), and describe their rows."""
    cdef int type_number = real_type(y)
    cdef cnp.ndarray a
    if type_number < 0 or not is_contiguous(y, type_number):
        return False
    a = y
    s.operation = operation
    s.D = last(a)
    s.N = n_rows(a)
    if cnp.PyArray_NDIM(a) == 1:  # (N,): samples of one number
        s.N = s.D
        s.D = 1
        if operation != ROWS_SQUARED and operation != ROWS_SQUARED_SLOPE and (
            operation < ROWS_BINARY or operation > ROWS_BINARY_P_SLOPE
        ):
            return False
    if s.N == 0 or s.D == 0:
        return False
    s.y = cnp.PyArray_DATA(a)
    s.target = NULL
    s.labels = NULL
    if is_contiguous(target, cnp.NPY_INT64) and operation >= ROWS_CATEGORICAL:
        if not labels_fit(<cnp.ndarray>target, a):
            return False
        s.labels = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>target)
    elif operation == ROWS_SQUARED_SLOPE:
        pass
    elif is_like(target, a):
        s.target = cnp.PyArray_DATA(<cnp.ndarray>target)
    else:
        return False
    return True


cdef cnp.ndarray new_of_rows(cnp.ndarray y):
    """A new array with a number for each row of y."""
    cdef int ndim = max(cnp.PyArray_NDIM(y) - 1, 1)
    return cnp.PyArray_EMPTY(ndim, cnp.PyArray_DIMS(y), cnp.PyArray_TYPE(y), 0)


cdef object start_loss(rows_arguments *s, cnp.ndarray y):
    """New arrays for the loss l of each row and, where the operation leaves one, for what is as
    large as y: of the squared error y - target, of logits the gradient, if s.dl is there."""
    cdef cnp.npy_intp shape[2]
    cdef int ndim = cnp.PyArray_NDIM(y)
    cdef cnp.ndarray losses = new_of_rows(y)
    out = None
    if s.operation == ROWS_SQUARED and ndim == 1:
        shape[0] = s.N
        shape[1] = 1
        out = cnp.PyArray_EMPTY(2, shape, cnp.PyArray_TYPE(y), 0)
    elif s.operation == ROWS_SQUARED or s.dl != NULL:
        out = empty_like(y)
    s.losses = cnp.PyArray_DATA(losses)
    s.out = NULL if out is None else cnp.PyArray_DATA(<cnp.ndarray>out)
    return losses, out


def loss_forward(y, target, int operation):
    """(losses, e): the loss l of each row and, for the squared error, y - target; else None."""
    cdef rows_arguments s
    if not describe(&s, operation, y, target):
        return None
    s.dl = NULL
    losses, e = start_loss(&s, y)
    run_rows(&s, cnp.PyArray_TYPE(<cnp.ndarray>y))
    return losses, e


def reduced_loss(y, target, int operation, bint mean):
    """(loss, factor, out): the mean or the sum of the rows' losses, and what each counts for it.

    out is y - target for the squared error; for a cross-entropy of logits it is the gradient of
    the loss by y, made in the same pass; None for one of probabilities.
    """
    cdef rows_arguments s
    cdef cnp.ndarray losses, factors
    cdef void *factor
    cdef int type_number
    if not describe(&s, operation, y, target):
        return None
    type_number = cnp.PyArray_TYPE(<cnp.ndarray>y)
    factors = new_of_rows(y)
    factor = cnp.PyArray_DATA(factors)
    if type_number == cnp.NPY_FLOAT32:
        fill(<float *>factor, s.N, 1.0 / s.N if mean else 1.0)
    else:
        fill(<double *>factor, s.N, 1.0 / s.N if mean else 1.0)
    s.dl = factor if operation == ROWS_BINARY or operation == ROWS_CATEGORICAL else NULL
    losses, out = start_loss(&s, y)
    run_rows(&s, type_number)
    if type_number == cnp.NPY_FLOAT32:
        return float32(dot(<float *>s.losses, <float *>factor, s.N)), factors, out
    return float64(dot(<double *>s.losses, <double *>factor, s.N)), factors, out


ctypedef fused real:
    float
    double


cdef void fill(real *to, Py_ssize_t n, double value) noexcept:
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = <real>value


cdef double dot(const real *a, const real *b, Py_ssize_t n) noexcept:
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(n):
        total += <double>a[i] * <double>b[i]
    return total


def loss_backward(dl, y, target, int operation):
    """dy, of y's shape, for the derivative dl of each row's loss. (Squared error: y is e.)"""
    cdef rows_arguments s
    cdef cnp.ndarray dy
    cdef int type_number
    if not describe(&s, operation, y, target):
        return None
    type_number = cnp.PyArray_TYPE(<cnp.ndarray>y)
    if not is_contiguous(dl, type_number) or cnp.PyArray_SIZE(<cnp.ndarray>dl) != s.N:
        return None
    dy = empty_like(<cnp.ndarray>y)
    s.dl = cnp.PyArray_DATA(<cnp.ndarray>dl)
    s.losses = NULL
    s.out = cnp.PyArray_DATA(dy)
    run_rows(&s, type_number)
    return dy


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


def optimizer_step(int operation, w, g, a, b, numbers):
    """One step: w, and the remembered a and b (or None) change. False: not served, none changed.

    numbers begin with what clipping scales the gradient with.
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
    s.code = 0
    s.n = cnp.PyArray_SIZE(<cnp.ndarray>w)
    for i in range(len(numbers)):
        s.numbers[i] = numbers[i]
    run_sweep(&s, type_number)
    return True
