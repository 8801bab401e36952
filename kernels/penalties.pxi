# Penalties on what a layer returns: checks, results, and the calls of penalties.h.

cdef extern from "plan.h":
    struct signs_arguments "signs":
        Py_ssize_t n
        double c
        const void *x
        void *y
    struct sparsity_arguments "sparsity":
        Py_ssize_t N, K
        double target, c
        const void *h
        void *mean
        void *terms
        void *dh
    int OP_signs, OP_sparsity_forward, OP_sparsity_backward


def signs(double c, x):
    """c sign(x), a new array; None for what it does not serve."""
    cdef signs_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    y = empty_like(<cnp.ndarray>x)
    p = signs_arguments(
        cnp.PyArray_SIZE(y), c, cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(y)
    )
    with nogil:
        call(OP_signs, type_number, &p)
    return y


def sum_of_products(a, b):
    """The sum of a b, of contiguous arrays of one shape, a number of a loss; None for what it does
    not serve."""
    cdef dot_arguments p
    cdef int type_number = real_type(a)
    cdef double total
    if type_number < 0 or not is_contiguous(a, type_number) or not is_like(b, <cnp.ndarray>a):
        return None
    p = dot_arguments(
        cnp.PyArray_SIZE(<cnp.ndarray>a), cnp.PyArray_DATA(<cnp.ndarray>a),
        cnp.PyArray_DATA(<cnp.ndarray>b), &total
    )
    call(OP_dot, type_number, &p)
    return (float32 if type_number == cnp.NPY_FLOAT32 else float64)(total)


def filled(like, double value):
    """A new array of this shape, full of one number; None for what it does not serve."""
    cdef fill_arguments p
    cdef int type_number = real_type(like)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(like, type_number):
        return None
    y = empty_like(<cnp.ndarray>like)
    p = fill_arguments(cnp.PyArray_SIZE(y), value, cnp.PyArray_DATA(y))
    call(OP_fill, type_number, &p)
    return y


def sparsity_forward(h, double target):
    """(mean (K,), KL(target || mean) (K,)) of h (N, K); None for what it does not serve."""
    cdef sparsity_arguments p
    cdef int type_number = real_type(h)
    cdef cnp.ndarray mean, terms
    if type_number < 0 or not is_contiguous(h, type_number):
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>h) != 2 or cnp.PyArray_SIZE(<cnp.ndarray>h) == 0:
        return None
    mean = new_column(type_number, last(h))
    terms = new_column(type_number, last(h))
    p = sparsity_arguments(
        n_rows(h), last(h), target, 0, cnp.PyArray_DATA(<cnp.ndarray>h), cnp.PyArray_DATA(mean),
        cnp.PyArray_DATA(terms), NULL
    )
    with nogil:
        call(OP_sparsity_forward, type_number, &p)
    return mean, terms


def sparsity_backward(mean, Py_ssize_t N, double target, double c):
    """dh (N, K) of c times the sum of the terms; None for what it does not serve."""
    cdef sparsity_arguments p
    cdef int type_number = real_type(mean)
    cdef cnp.npy_intp shape[2]
    cdef cnp.ndarray dh
    if type_number < 0 or not is_contiguous(mean, type_number) or N < 1:
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>mean) != 1:
        return None
    shape[0] = N
    shape[1] = last(mean)
    dh = cnp.PyArray_EMPTY(2, shape, type_number, 0)
    p = sparsity_arguments(
        N, last(mean), target, c, NULL, cnp.PyArray_DATA(<cnp.ndarray>mean), NULL,
        cnp.PyArray_DATA(dh)
    )
    with nogil:
        call(OP_sparsity_backward, type_number, &p)
    return dh
