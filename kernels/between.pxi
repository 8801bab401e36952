# Noise, and copies: checks, results, and the calls of between.h.

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
    int OP_copy, OP_noise
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
