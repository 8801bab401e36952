# Noise, sums and copies: checks, results, and the calls of between.h.

cdef extern from "plan.h":
    struct copy_arguments "copy":
        Py_ssize_t n
        const void *x
        void *y
    struct noise_arguments "noise":
        Py_ssize_t n
        int kind
        double rate
        const void *x
        const float *drawn
        void *mask
        void *y
    struct plus_arguments "plus":
        Py_ssize_t n
        const void *a
        const void *b
        void *y
    int OP_copy, OP_plus, OP_noise
    int NOISE_MASKING, NOISE_DROPOUT, NOISE_SALT_AND_PEPPER, NOISE_GAUSSIAN, NOISE_SLOPE

noise_codes = {
    "masking": NOISE_MASKING,
    "dropout": NOISE_DROPOUT,
    "salt and pepper": NOISE_SALT_AND_PEPPER,
    "gaussian": NOISE_GAUSSIAN,
}


def noise_forward(x, drawn, int kind, double rate):
    """(y, mask) of contiguous x, from as many numbers drawn, in float32; no mask of Gaussian noise.
    None for what it does not serve."""
    cdef noise_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    if not is_contiguous(drawn, cnp.NPY_FLOAT32) or not same_shape(drawn, x):
        return None
    y = empty_like(<cnp.ndarray>x)
    mask = None if kind == NOISE_GAUSSIAN else empty_like(<cnp.ndarray>x)
    p = noise_arguments(
        cnp.PyArray_SIZE(y), kind, rate, cnp.PyArray_DATA(<cnp.ndarray>x),
        <const float *>cnp.PyArray_DATA(<cnp.ndarray>drawn), data_of(mask), cnp.PyArray_DATA(y)
    )
    with nogil:
        call(OP_noise, type_number, &p)
    return y, mask


def noise_backward(dy, mask):
    """dy mask, a new array; None for what it does not serve."""
    cdef noise_arguments p
    cdef int type_number = real_type(dy)
    cdef cnp.ndarray dx
    if type_number < 0 or not is_contiguous(dy, type_number) or not is_like(mask, dy):
        return None
    dx = empty_like(<cnp.ndarray>dy)
    p = noise_arguments(
        cnp.PyArray_SIZE(dx), NOISE_SLOPE, 0, cnp.PyArray_DATA(<cnp.ndarray>dy), NULL,
        cnp.PyArray_DATA(<cnp.ndarray>mask), cnp.PyArray_DATA(dx)
    )
    with nogil:
        call(OP_noise, type_number, &p)
    return dx


def copied(x):
    """A copy of contiguous x; None for what it does not serve."""
    cdef copy_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    y = empty_like(<cnp.ndarray>x)
    p = copy_arguments(
        cnp.PyArray_SIZE(y), cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(y)
    )
    with nogil:
        call(OP_copy, type_number, &p)
    return y


def added(a, b):
    """a + b of contiguous arrays of one shape; None for what it does not serve."""
    cdef plus_arguments p
    cdef int type_number = real_type(a)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(a, type_number) or not is_like(b, <cnp.ndarray>a):
        return None
    y = empty_like(<cnp.ndarray>a)
    p = plus_arguments(
        cnp.PyArray_SIZE(y), cnp.PyArray_DATA(<cnp.ndarray>a), cnp.PyArray_DATA(<cnp.ndarray>b),
        cnp.PyArray_DATA(y)
    )
    with nogil:
        call(OP_plus, type_number, &p)
    return y


def put(total, gradient, bint write):
    """Write the gradient to total, or add it; False, and nothing is changed, for arrays that are
    not contiguous and of one shape, or share memory."""
    cdef plus_arguments sum
    cdef copy_arguments copy
    cdef int type_number = real_type(total)
    cdef void *to
    if type_number < 0 or not is_contiguous(total, type_number):
        return False
    if not is_like(gradient, <cnp.ndarray>total) or overlap(<cnp.ndarray>total, gradient):
        return False
    if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>total):
        return False
    to = cnp.PyArray_DATA(<cnp.ndarray>total)
    copy = copy_arguments(
        cnp.PyArray_SIZE(<cnp.ndarray>total), cnp.PyArray_DATA(<cnp.ndarray>gradient), to
    )
    sum = plus_arguments(copy.n, to, copy.x, to)
    with nogil:
        if write:
            call(OP_copy, type_number, &copy)
        else:
            call(OP_plus, type_number, &sum)
    return True
