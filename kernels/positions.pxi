# Rotary positions: checks, results, and the call of positions.h.

cdef extern from "plan.h":
    struct rotation_arguments "rotation":
        Py_ssize_t N, T, H, D
        int back
        const void *x
        const void *c
        const void *s
        void *y
    int OP_rotation


def turned(x, c, s, Py_ssize_t H, bint back):
    """x (..., T, H, D) with each pair of features turned, or turned back, by the angles of c and s
    (T, D / 2), which all H rows of a step share; with H = 1, x may be (..., T, D).

    Returns None for what it does not serve.
    """
    cdef rotation_arguments p
    cdef int type_number = real_type(x)
    cdef Py_ssize_t size
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number) or H < 1:
        return None
    if not is_contiguous(c, type_number) or not is_like(s, <cnp.ndarray>c):
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>c) != 2:
        return None
    p.T = cnp.PyArray_DIM(<cnp.ndarray>c, 0)
    p.H = H
    p.D = last(x)
    size = cnp.PyArray_SIZE(<cnp.ndarray>x)
    if size == 0 or p.D != 2 * last(c) or size % (p.T * H * p.D):
        return None
    p.N = size // (p.T * H * p.D)
    y = empty_like(<cnp.ndarray>x)
    p.back = back
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.c = cnp.PyArray_DATA(<cnp.ndarray>c)
    p.s = cnp.PyArray_DATA(<cnp.ndarray>s)
    p.y = cnp.PyArray_DATA(y)
    with nogil:
        call(OP_rotation, type_number, &p)
    return y
