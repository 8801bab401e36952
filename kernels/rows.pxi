# Softmax and the losses: checks, results, and the calls of rows.h.
#
# Every function here takes contiguous arrays of one type, and returns None for what it does not
# serve.

from libc.math cimport isfinite
from libc.stdint cimport int64_t
from numpy import float32, float64

cdef extern from "plan.h":
    struct rows_arguments "rows":
        int operation
        Py_ssize_t N, D
        const void *y
        const void *target
        const int64_t *labels
        const void *dl
        double smoothing
        void *losses
        void *out
    struct fill_arguments "fill":
        Py_ssize_t n
        double value
        void *out
    struct dot_arguments "dot":
        Py_ssize_t n
        const void *a
        const void *b
        double *out
    struct labels_arguments "labels":
        Py_ssize_t n, D
        const int64_t *labels
    struct counted_arguments "counted":
        Py_ssize_t n
        int64_t ignored
        int mean
        const int64_t *labels
        int64_t *kept
        void *factors
    int OP_rows, OP_fill, OP_dot, OP_labels, OP_counted
    int ROWS_SOFTMAX, ROWS_SOFTMAX_SLOPE, ROWS_SQUARED, ROWS_SQUARED_SLOPE
    int ROWS_BINARY, ROWS_BINARY_SLOPE, ROWS_BINARY_P, ROWS_BINARY_P_SLOPE
    int ROWS_CATEGORICAL, ROWS_CATEGORICAL_SLOPE, ROWS_CATEGORICAL_P, ROWS_CATEGORICAL_P_SLOPE

loss_codes = {  # the operations of pointwise_api.h: forward and backward
    "squared": (ROWS_SQUARED, ROWS_SQUARED_SLOPE),
    "binary": (ROWS_BINARY, ROWS_BINARY_SLOPE),
    "binary of p": (ROWS_BINARY_P, ROWS_BINARY_P_SLOPE),
    "categorical": (ROWS_CATEGORICAL, ROWS_CATEGORICAL_SLOPE),
    "categorical of p": (ROWS_CATEGORICAL_P, ROWS_CATEGORICAL_P_SLOPE),
}


cdef void run_rows(rows_arguments *s, int type_number) noexcept:
    with nogil:
        call(OP_rows, type_number, s)


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
    s.smoothing = 0
    s.out = cnp.PyArray_DATA(out)
    run_rows(&s, type_number)
    return out


# ---------------------------------------------------------------------------------------- losses

cdef bint labels_fit(cnp.ndarray labels, cnp.ndarray y):
    """One label for each row, from 0 to D - 1: they will be used as indices."""
    cdef labels_arguments p
    cdef int i
    if cnp.PyArray_NDIM(labels) != cnp.PyArray_NDIM(y) - 1:
        return False
    for i in range(cnp.PyArray_NDIM(labels)):
        if cnp.PyArray_DIM(labels, i) != cnp.PyArray_DIM(y, i):
            return False
    p.n = n_rows(y)
    p.D = last(y)
    p.labels = <const int64_t *>cnp.PyArray_DATA(labels)
    return call(OP_labels, cnp.PyArray_TYPE(y), &p) == 0


cdef object describe(rows_arguments *s, int operation, object y, object target):
    """Check y and its target (of y's shape, or labels in int64), and describe their rows.

    Returns what must be kept as long as C reads: the labels, or a copy of them. None for what is
    not served.
    """
    cdef int type_number = real_type(y)
    cdef cnp.ndarray a
    cdef bint has_labels = operation >= ROWS_CATEGORICAL and is_contiguous(target, cnp.NPY_INT64)
    s.smoothing = 0
    if has_labels:
        target = unless_noting_a_copy(target)
    if type_number < 0 or not is_contiguous(y, type_number):
        return None
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
            return None
    if s.N == 0 or s.D == 0:
        return None
    s.y = cnp.PyArray_DATA(a)
    s.target = NULL
    s.labels = NULL
    if has_labels:
        if not labels_fit(<cnp.ndarray>target, a):
            return None
        s.labels = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>target)
    elif operation == ROWS_SQUARED_SLOPE:
        pass
    elif is_like(target, a):
        s.target = cnp.PyArray_DATA(<cnp.ndarray>target)
    else:
        return None
    return target if has_labels else True


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


def loss_forward(y, target, int operation, double smoothing=0.0):
    """(losses, e): the loss l of each row and, for the squared error, y - target; else None."""
    cdef rows_arguments s
    held = describe(&s, operation, y, target)
    if held is None:
        return None
    s.smoothing = smoothing
    s.dl = NULL
    losses, e = start_loss(&s, y)
    run_rows(&s, cnp.PyArray_TYPE(<cnp.ndarray>y))
    return losses, e


def counted(labels, int64_t ignored, bint mean, y):
    """(labels with 0 in the place of those that are ignored, factors) of labels in int64: what each
    counts for the loss, in y's type; None for what is not served."""
    cdef counted_arguments p
    cdef int type_number = real_type(y)
    cdef cnp.ndarray kept, factors
    if type_number < 0 or not is_contiguous(labels, cnp.NPY_INT64):
        return None
    kept = empty_like(<cnp.ndarray>labels)
    factors = cnp.PyArray_EMPTY(
        cnp.PyArray_NDIM(kept), cnp.PyArray_DIMS(kept), type_number, 0
    )
    p = counted_arguments(
        cnp.PyArray_SIZE(kept), ignored, mean,
        <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>labels), <int64_t *>cnp.PyArray_DATA(kept),
        cnp.PyArray_DATA(factors)
    )
    with nogil:
        call(OP_counted, type_number, &p)
    return kept, factors


def reduced_loss(y, target, int operation, bint mean, factors=None, double smoothing=0.0):
    """(loss, factors, out): the mean or the sum of the rows' losses, and what each counts for it,
    where that is not given: 1/N or 1.

    out is y - target for the squared error; for a cross-entropy of logits it is the gradient of
    the loss by y, made in the same pass; None for one of probabilities.
    """
    cdef rows_arguments s
    cdef cnp.ndarray losses
    cdef void *factor
    cdef int type_number
    cdef fill_arguments fill
    cdef dot_arguments dot
    cdef double loss
    held = describe(&s, operation, y, target)
    if held is None:
        return None
    type_number = cnp.PyArray_TYPE(<cnp.ndarray>y)
    s.smoothing = smoothing
    if factors is not None:
        if not is_contiguous(factors, type_number) or cnp.PyArray_SIZE(<cnp.ndarray>factors) != s.N:
            return None
        factor = cnp.PyArray_DATA(<cnp.ndarray>factors)
    else:
        factors = new_of_rows(y)
        factor = cnp.PyArray_DATA(<cnp.ndarray>factors)
        fill = fill_arguments(s.N, 1.0 / s.N if mean else 1.0, factor)
        call(OP_fill, type_number, &fill)
    s.dl = factor if operation == ROWS_BINARY or operation == ROWS_CATEGORICAL else NULL
    losses, out = start_loss(&s, y)
    run_rows(&s, type_number)
    dot = dot_arguments(s.N, s.losses, factor, &loss)
    call(OP_dot, type_number, &dot)
    return (float32 if type_number == cnp.NPY_FLOAT32 else float64)(loss), factors, out


cdef bint all_finite(cnp.ndarray a) noexcept:
    cdef Py_ssize_t i
    for i in range(cnp.PyArray_SIZE(a)):
        if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
            if not isfinite((<float *>cnp.PyArray_DATA(a))[i]):
                return False
        elif not isfinite((<double *>cnp.PyArray_DATA(a))[i]):
            return False
    return True


def loss_backward(dl, y, target, int operation, double smoothing=0.0):
    """dy, of y's shape, for the derivative dl of each row's loss. (Squared error: y is e.)"""
    cdef rows_arguments s
    cdef cnp.ndarray dy
    cdef int type_number
    held = describe(&s, operation, y, target)
    if held is None:
        return None
    type_number = cnp.PyArray_TYPE(<cnp.ndarray>y)
    if not is_contiguous(dl, type_number) or cnp.PyArray_SIZE(<cnp.ndarray>dl) != s.N:
        return None
    if operation == ROWS_CATEGORICAL_SLOPE:
        plan_decline("the derivative of a loss is looked at")
        if not all_finite(<cnp.ndarray>dl):
            return None  # a product of 0 and infinity is left out of p sum t - t
    dy = empty_like(<cnp.ndarray>y)
    s.smoothing = smoothing
    s.dl = cnp.PyArray_DATA(<cnp.ndarray>dl)
    s.losses = NULL
    s.out = cnp.PyArray_DATA(dy)
    run_rows(&s, type_number)
    return dy
