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
        double c
        const void *a
        const void *b
        void *y
    struct three:
        Py_ssize_t a, b, c
    struct place_arguments "place":
        three n, x_step, y_step
        int add
        const void *x
        void *y
    struct times_arguments "times":
        Py_ssize_t n
        double c
        const void *a
        const void *b
        void *y
    int OP_copy, OP_place, OP_plus, OP_times, OP_noise
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


cdef bint in_steps(cnp.ndarray a, three *n, three *step):
    """Describe an array of three axes; False where its numbers do not lie at whole steps."""
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(a)
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(a)
    if cnp.PyArray_NDIM(a) != 3 or not cnp.PyArray_ISALIGNED(a):
        return False
    n[0] = three(shape[0], shape[1], shape[2])
    step[0] = three(strides[0] // size, strides[1] // size, strides[2] // size)
    return strides[0] % size == strides[1] % size == strides[2] % size == 0


cdef bint placed(object x, object y, bint add):
    cdef place_arguments p
    cdef three n
    cdef int type_number = real_type(y)
    if type_number < 0 or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>y):
        return False
    if not in_steps(y, &p.n, &p.y_step):
        return False
    p.x = NULL
    p.x_step = three(0, 0, 0)
    if x is not None:
        if not is_plain(x, type_number) or not in_steps(x, &n, &p.x_step):
            return False
        if not same_shape(<cnp.ndarray>x, <cnp.ndarray>y) or overlap(<cnp.ndarray>y, x):
            return False
        p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.add = add
    p.y = cnp.PyArray_DATA(<cnp.ndarray>y)
    with nogil:
        call(OP_place, type_number, &p)
    return True


def place(x, y, bint add=False):
    """y = x, or y += x, of arrays of three axes and any strides; y = 0 where x is None. What the
    kernel does not serve, NumPy does, and a plan that is noted declines."""
    if not placed(x, y, add):
        decline(b"an array lies so that NumPy must copy it")
        y[...] = (y if add else 0) + (0 if x is None else x)


def added(a, b, double c=1):
    """a + c b of contiguous arrays of one shape; None for what it does not serve."""
    cdef plus_arguments p
    cdef int type_number = real_type(a)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(a, type_number) or not is_like(b, <cnp.ndarray>a):
        return None
    y = empty_like(<cnp.ndarray>a)
    p = plus_arguments(
        cnp.PyArray_SIZE(y), c, cnp.PyArray_DATA(<cnp.ndarray>a), cnp.PyArray_DATA(<cnp.ndarray>b),
        cnp.PyArray_DATA(y)
    )
    with nogil:
        call(OP_plus, type_number, &p)
    return y


def times(double c, a, b):
    """c a b of contiguous arrays of one shape; None for what it does not serve."""
    cdef times_arguments p
    cdef int type_number = real_type(a)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(a, type_number) or not is_like(b, <cnp.ndarray>a):
        return None
    y = empty_like(<cnp.ndarray>a)
    p = times_arguments(
        cnp.PyArray_SIZE(y), c, cnp.PyArray_DATA(<cnp.ndarray>a), cnp.PyArray_DATA(<cnp.ndarray>b),
        cnp.PyArray_DATA(y)
    )
    with nogil:
        call(OP_times, type_number, &p)
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
    sum = plus_arguments(copy.n, 1, to, copy.x, to)
    with nogil:
        if write:
            call(OP_copy, type_number, &copy)
        else:
            call(OP_plus, type_number, &sum)
    return True
