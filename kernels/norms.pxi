# Normalisation by rows, and an embedding's gradient: checks, results, and the calls of norms.h.

cdef extern from "plan.h":
    struct norm_arguments "norm":
        Py_ssize_t N, D
        int centred
        double epsilon
        const void *x
        const void *gamma
        const void *beta
        void *y
        void *x_hat
        void *scale
        const void *dy
        void *dx
        void *dgamma
        void *dbeta
    struct added_rows_arguments "added_rows":
        Py_ssize_t N, D, V
        const int64_t *ids
        const void *rows
        void *table
    struct taken_rows_arguments "taken_rows":
        Py_ssize_t N, D, V
        const int64_t *ids
        const void *table
        void *rows
    int OP_norm_forward, OP_norm_backward, OP_add_rows, OP_take_rows


cdef bint is_of_columns(object a, int type_number, Py_ssize_t D):
    return a is None or (
        is_contiguous(a, type_number)
        and cnp.PyArray_NDIM(<cnp.ndarray>a) == 1
        and cnp.PyArray_DIM(<cnp.ndarray>a, 0) == D
    )


cdef inline void *data_of(object a):
    return NULL if a is None else cnp.PyArray_DATA(<cnp.ndarray>a)


cdef cnp.ndarray new_scale(cnp.ndarray x):
    """A new array (..., 1)."""
    cdef matrix m
    return new_rows(x, 1, &m)


def norm_forward(x, gamma, beta, double epsilon, bint centred):
    """(y, x_hat, scale) of contiguous rows; None for what it does not serve."""
    cdef norm_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y, x_hat, scale
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    p.N = n_rows(x)
    p.D = last(x)
    if p.N * p.D == 0:
        return None
    if not is_of_columns(gamma, type_number, p.D) or not is_of_columns(beta, type_number, p.D):
        return None
    y = empty_like(x)
    x_hat = empty_like(x)
    scale = new_scale(x)
    p.centred = centred
    p.epsilon = epsilon
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.gamma = data_of(gamma)
    p.beta = data_of(beta)
    p.y = cnp.PyArray_DATA(y)
    p.x_hat = cnp.PyArray_DATA(x_hat)
    p.scale = cnp.PyArray_DATA(scale)
    with nogil:
        call(OP_norm_forward, type_number, &p)
    return y, x_hat, scale


def norm_backward(dy, x_hat, gamma, scale, bint has_beta, bint centred):
    """(dx, dgamma, dbeta); None for what it does not serve."""
    cdef norm_arguments p
    cdef int type_number = real_type(dy), error
    cdef cnp.ndarray dx
    cdef cnp.npy_intp size
    if type_number < 0 or not is_contiguous(dy, type_number) or not is_like(x_hat, dy):
        return None
    p.N = n_rows(dy)
    p.D = last(dy)
    if p.N * p.D == 0 or not is_of_columns(gamma, type_number, p.D):
        return None
    if not is_contiguous(scale, type_number) or cnp.PyArray_SIZE(<cnp.ndarray>scale) != p.N:
        return None
    size = p.D
    dx = empty_like(dy)
    dgamma = None if gamma is None else cnp.PyArray_EMPTY(1, &size, type_number, 0)
    dbeta = cnp.PyArray_EMPTY(1, &size, type_number, 0) if has_beta else None
    p.centred = centred
    p.gamma = data_of(gamma)
    p.x_hat = cnp.PyArray_DATA(<cnp.ndarray>x_hat)
    p.scale = cnp.PyArray_DATA(<cnp.ndarray>scale)
    p.dy = cnp.PyArray_DATA(<cnp.ndarray>dy)
    p.dx = cnp.PyArray_DATA(dx)
    p.dgamma = data_of(dgamma)
    p.dbeta = data_of(dbeta)
    with nogil:
        error = call(OP_norm_backward, type_number, &p)
    if error:
        raise MemoryError("norm_backward: no memory for the sums of gamma and beta")
    return dx, dgamma, dbeta


def add_rows(rows, ids, Py_ssize_t V):
    """A new table (V, D) of the sums of rows (..., D) by ids (...) in int64.

    Returns None for what it does not serve, ids that are none among it.
    """
    cdef added_rows_arguments p
    cdef fill_arguments zero
    cdef int type_number = real_type(rows), error
    cdef cnp.ndarray table
    cdef cnp.npy_intp shape[2]
    if type_number < 0 or not is_contiguous(rows, type_number) or V < 0:
        return None
    if not is_plain(ids, cnp.NPY_INT64) or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>ids):
        return None
    p.N = n_rows(rows)
    p.D = last(rows)
    p.V = V
    if cnp.PyArray_SIZE(<cnp.ndarray>ids) != p.N:
        return None
    p.ids = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>ids)
    shape[0] = V
    shape[1] = p.D
    table = cnp.PyArray_EMPTY(2, shape, type_number, 0)
    p.rows = cnp.PyArray_DATA(<cnp.ndarray>rows)
    p.table = cnp.PyArray_DATA(table)
    zero = fill_arguments(V * p.D, 0, p.table)
    with nogil:
        call(OP_fill, type_number, &zero)
        error = call(OP_add_rows, type_number, &p)
    return None if error else table


def take_rows(table, ids):
    """table[ids] (..., D) of a table (V, D), for ids (...) in int64; None for what it does not
    serve, ids that are none among it."""
    cdef taken_rows_arguments p
    cdef int type_number = real_type(table), error, i, ndim
    cdef cnp.npy_intp shape[64]
    cdef cnp.ndarray rows
    if type_number < 0 or not is_contiguous(table, type_number):
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>table) != 2 or not is_contiguous(ids, cnp.NPY_INT64):
        return None
    ndim = cnp.PyArray_NDIM(<cnp.ndarray>ids)
    if ndim > 60:
        return None
    for i in range(ndim):
        shape[i] = cnp.PyArray_DIM(<cnp.ndarray>ids, i)
    p.N = cnp.PyArray_SIZE(<cnp.ndarray>ids)
    p.V = cnp.PyArray_DIM(<cnp.ndarray>table, 0)
    p.D = last(table)
    shape[ndim] = p.D
    rows = cnp.PyArray_EMPTY(ndim + 1, shape, type_number, 0)
    p.ids = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>ids)
    p.table = cnp.PyArray_DATA(<cnp.ndarray>table)
    p.rows = cnp.PyArray_DATA(rows)
    with nogil:
        error = call(OP_take_rows, type_number, &p)
    return None if error else rows
