# Column by column: checks, results, and the calls of columns.h.

cdef extern from "plan.h":
    struct column_sums_arguments "column_sums":
        Py_ssize_t N, D
        const void *x
        void *out
        int add
    struct biased_arguments "biased":
        Py_ssize_t N, D
        const void *b
        void *x
    struct batch_norm_arguments "batch_norm":
        Py_ssize_t N, D
        int of_batch
        double epsilon
        const void *x
        const void *gamma
        const void *beta
        void *y
        void *x_hat
        void *scale
        void *mean
        void *variance
        const void *dy
        void *dx
        void *dgamma
        void *dbeta
    int OP_column_sums, OP_biased, OP_batch_norm_forward, OP_batch_norm_backward


cdef inline cnp.ndarray new_column(int type_number, Py_ssize_t D):
    cdef cnp.npy_intp size = D
    return cnp.PyArray_EMPTY(1, &size, type_number, 0)


def column_sums(x, out=None, bint add=False):
    """The sums (D,) of x (..., D) over all axes but the last: a new array, or put into ``out``.
    None for what it does not serve."""
    cdef column_sums_arguments p
    cdef int type_number = real_type(x), error
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    p.N = n_rows(x)
    p.D = last(x)
    if p.N * p.D == 0:
        return None
    if out is None:
        out = new_column(type_number, p.D)
    elif (
        not is_of_columns(out, type_number, p.D) or overlap(<cnp.ndarray>out, x)
        or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out)
    ):
        return None
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.out = cnp.PyArray_DATA(<cnp.ndarray>out)
    p.add = add
    with nogil:
        error = call(OP_column_sums, type_number, &p)
    if error:
        raise MemoryError("column_sums: no memory for the sums")
    return out


def add_bias(x, b):
    """x += b for x (..., D), b (D,); False, and nothing is changed, for what it does not serve."""
    cdef biased_arguments p
    cdef int type_number = real_type(x)
    if type_number < 0 or not is_contiguous(x, type_number) or b is None:
        return False
    if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>x) or overlap(<cnp.ndarray>x, b):
        return False
    p.N = n_rows(x)
    p.D = last(x)
    if not is_of_columns(b, type_number, p.D):
        return False
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.b = cnp.PyArray_DATA(<cnp.ndarray>b)
    with nogil:
        call(OP_biased, type_number, &p)
    return True


def batch_norm_forward(x, gamma, beta, mean, variance, double epsilon):
    """(y, x_hat, scale, mean, variance) of contiguous x (..., D); the last two are those that are
    given, or the batch's. None for what it does not serve."""
    cdef batch_norm_arguments p
    cdef int type_number = real_type(x), error
    cdef cnp.ndarray y, x_hat, scale
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    p.N = n_rows(x)
    p.D = last(x)
    p.of_batch = mean is None
    if p.N * p.D == 0 or (mean is None) != (variance is None):
        return None
    for a in (gamma, beta, mean, variance):
        if not is_of_columns(a, type_number, p.D):
            return None
    if p.of_batch:
        mean = new_column(type_number, p.D)
        variance = new_column(type_number, p.D)
    y = empty_like(x)
    x_hat = empty_like(x)
    scale = new_column(type_number, p.D)
    p.epsilon = epsilon
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.gamma = data_of(gamma)
    p.beta = data_of(beta)
    p.y = cnp.PyArray_DATA(y)
    p.x_hat = cnp.PyArray_DATA(x_hat)
    p.scale = cnp.PyArray_DATA(scale)
    p.mean = data_of(mean)
    p.variance = data_of(variance)
    with nogil:
        error = call(OP_batch_norm_forward, type_number, &p)
    if error:
        raise MemoryError("batch_norm_forward: no memory for the sums")
    return y, x_hat, scale, mean, variance


def batch_norm_backward(dy, x_hat, gamma, scale, bint has_beta, bint of_batch):
    """(dx, dgamma, dbeta); None for what it does not serve."""
    cdef batch_norm_arguments p
    cdef int type_number = real_type(dy), error
    cdef cnp.ndarray dx
    if type_number < 0 or not is_contiguous(dy, type_number) or not is_like(x_hat, dy):
        return None
    p.N = n_rows(dy)
    p.D = last(dy)
    if p.N * p.D == 0 or scale is None:
        return None
    if not is_of_columns(gamma, type_number, p.D) or not is_of_columns(scale, type_number, p.D):
        return None
    dx = empty_like(dy)
    dgamma = None if gamma is None else new_column(type_number, p.D)
    dbeta = new_column(type_number, p.D) if has_beta else None
    p.of_batch = of_batch
    p.gamma = data_of(gamma)
    p.x_hat = cnp.PyArray_DATA(<cnp.ndarray>x_hat)
    p.scale = cnp.PyArray_DATA(<cnp.ndarray>scale)
    p.dy = cnp.PyArray_DATA(<cnp.ndarray>dy)
    p.dx = cnp.PyArray_DATA(dx)
    p.dgamma = data_of(dgamma)
    p.dbeta = data_of(dbeta)
    with nogil:
        error = call(OP_batch_norm_backward, type_number, &p)
    if error:
        raise MemoryError("batch_norm_backward: no memory for the sums")
    return dx, dgamma, dbeta
