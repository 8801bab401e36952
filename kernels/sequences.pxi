# Sequences of which so many steps count: checks, results, and the calls of sequences.h.

cdef extern from "plan.h":
    struct padded_arguments "padded":
        Py_ssize_t N, T, D
        const int64_t *lengths
        const void *x
        void *y
    int OP_reversed, OP_mean_of_steps, OP_share_of_steps


cdef bint are_lengths(object lengths, Py_ssize_t N, Py_ssize_t T):
    """N whole numbers from 0 to T: they are used as bounds."""
    cdef labels_arguments p
    if not is_contiguous(lengths, cnp.NPY_INT64) or cnp.PyArray_NDIM(<cnp.ndarray>lengths) != 1:
        return False
    if cnp.PyArray_DIM(<cnp.ndarray>lengths, 0) != N:
        return False
    p = labels_arguments(N, T + 1, <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>lengths))
    return call(OP_labels, cnp.NPY_FLOAT32, &p) == 0


cdef object over_steps(int operation, object x, object lengths, Py_ssize_t T):
    """What the operation makes of x: (N, T, D), or (N, D) where T is not 0."""
    cdef padded_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.npy_intp shape[3]
    cdef cnp.npy_intp *given
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number):
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>x) != (2 if T else 3):
        return None
    given = cnp.PyArray_DIMS(<cnp.ndarray>x)
    p.N = given[0]
    p.T = T if T else given[1]
    p.D = last(x)
    lengths = unless_noting_a_copy(lengths)
    p.lengths = NULL
    if lengths is not None:
        if not are_lengths(lengths, p.N, p.T):
            return None
        p.lengths = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>lengths)
    shape[0] = p.N
    shape[1] = p.D if operation == OP_mean_of_steps else p.T
    shape[2] = p.D
    y = cnp.PyArray_EMPTY(2 if operation == OP_mean_of_steps else 3, shape, type_number, 0)
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.y = cnp.PyArray_DATA(y)
    with nogil:
        call(operation, type_number, &p)
    return y


def reversed_steps(x, lengths):
    """x (N, T, D) with the steps that count, by lengths (N,) in int64 or None, from the last to
    the first. None for what it does not serve; so below."""
    return over_steps(OP_reversed, x, lengths, 0)


def mean_of_steps(x, lengths):
    """(N, D): the mean of the steps that count, 0 where none does."""
    return over_steps(OP_mean_of_steps, x, lengths, 0)


def share_of_steps(dy, lengths, Py_ssize_t T):
    """(N, T, D): dy (N, D) by their number to each step that counts, 0 to the others."""
    return over_steps(OP_share_of_steps, dy, lengths, T) if T > 0 else None
