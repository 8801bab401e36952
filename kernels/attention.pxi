# Attention: checks, results, and the calls of attention.h.

cdef extern from "plan.h":
    struct heads:
        void *data
        Py_ssize_t sample, head, row
    struct attention_arguments "attention":
        Py_ssize_t N, H, T, S, D, M
        int causal
        const int64_t *lengths
        heads q, k, v, y
        void *p
        heads dq, dk, dv
    int OP_attention_forward, OP_attention_backward


cdef bint fits_heads(attention_arguments *p, object a, int type_number, Py_ssize_t rows,
                     Py_ssize_t columns):
    """A plain array (N, H, rows, columns)."""
    cdef cnp.npy_intp *shape
    if not is_plain(a, type_number) or cnp.PyArray_NDIM(<cnp.ndarray>a) != 4:
        return False
    shape = cnp.PyArray_DIMS(<cnp.ndarray>a)
    return shape[0] == p.N and shape[1] == p.H and shape[2] == rows and shape[3] == columns


cdef cnp.ndarray as_heads(attention_arguments *p, cnp.ndarray a, Py_ssize_t rows,
                          Py_ssize_t columns, heads *h):
    """Describe (N, H, rows, columns), whose columns must lie side by side: a itself, or a copy."""
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(a)
    cdef bint lies_well = cnp.PyArray_ISALIGNED(a) and strides[3] == size
    for i in range(3):
        lies_well = lies_well and strides[i] % size == 0
    if not lies_well:
        plan_decline("an array lies so that NumPy must copy it")
        a = cnp.PyArray_NewCopy(a, cnp.NPY_CORDER)
    if not fits_heads(p, a, cnp.PyArray_TYPE(a), rows, columns):
        raise ValueError("an array was given another shape while it was read")
    strides = cnp.PyArray_STRIDES(a)
    h.data = cnp.PyArray_DATA(a)
    h.sample = strides[0] // size
    h.head = strides[1] // size
    h.row = strides[2] // size
    return a


cdef cnp.ndarray new_heads(attention_arguments *p, cnp.ndarray like, Py_ssize_t rows,
                           Py_ssize_t columns, heads *h):
    """A new array (N, H, rows, columns). Where the heads of `like` lie side by side in its rows, so
    do its own: to join them then takes no copy."""
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(like)
    cdef bint side_by_side = strides[1] < strides[2]
    cdef cnp.npy_intp *shape = [p.N, rows if side_by_side else p.H, p.H if side_by_side else rows,
                                columns]
    cdef cnp.ndarray a = cnp.PyArray_EMPTY(4, shape, cnp.PyArray_TYPE(like), 0)
    if side_by_side:
        a = cnp.PyArray_SwapAxes(a, 1, 2)
    h.data = cnp.PyArray_DATA(a)
    h.sample = p.H * rows * columns
    h.head = columns if side_by_side else rows * columns
    h.row = p.H * columns if side_by_side else columns
    return a


cdef bint describe_attention(attention_arguments *p, q, k, v, lengths, bint causal) except -1:
    """Check the shapes; False for what is not served."""
    cdef int type_number = real_type(q)
    if type_number < 0 or cnp.PyArray_NDIM(<cnp.ndarray>q) != 4 or not is_plain(k, type_number):
        return False
    if cnp.PyArray_NDIM(<cnp.ndarray>k) != 4 or not is_plain(v, type_number):
        return False
    p.N = cnp.PyArray_DIM(<cnp.ndarray>q, 0)
    p.H = cnp.PyArray_DIM(<cnp.ndarray>q, 1)
    p.T = cnp.PyArray_DIM(<cnp.ndarray>q, 2)
    p.D = last(q)
    p.S = cnp.PyArray_DIM(<cnp.ndarray>k, 2)
    p.M = last(v) if cnp.PyArray_NDIM(<cnp.ndarray>v) == 4 else 0
    p.causal = causal
    if p.N * p.H * p.T * p.D * p.S * p.M == 0 or (causal and p.S < p.T):
        return False
    if not fits_heads(p, k, type_number, p.S, p.D) or not fits_heads(p, v, type_number, p.S, p.M):
        return False
    p.lengths = NULL
    if lengths is None:
        return True
    if not are_lengths(lengths, p.N, p.S):
        return False
    p.lengths = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>lengths)
    return True


def attention_forward(q, k, v, lengths, bint causal):
    """(y, p) of heads (N, H, T, D), (N, H, S, D), (N, H, S, M).

    lengths is None or an array of int64. Returns None for what it does not serve.
    """
    cdef attention_arguments p
    cdef int error
    cdef cnp.ndarray y, weights
    lengths = unless_noting_a_copy(lengths)
    if not describe_attention(&p, q, k, v, lengths, causal):
        return None
    y = new_heads(&p, q, p.T, p.M, &p.y)
    cdef cnp.npy_intp *shape = [p.N, p.H, p.T, p.S]
    weights = cnp.PyArray_EMPTY(4, shape, cnp.PyArray_TYPE(<cnp.ndarray>q), 0)
    p.p = cnp.PyArray_DATA(weights)
    q = as_heads(&p, q, p.T, p.D, &p.q)
    k = as_heads(&p, k, p.S, p.D, &p.k)
    v = as_heads(&p, v, p.S, p.M, &p.v)
    p.dq = p.dk = p.dv = heads(NULL, 0, 0, 0)
    with nogil:
        error = call(OP_attention_forward, cnp.PyArray_TYPE(y), &p)
    if error:
        raise MemoryError("attention_forward: no memory for the packed keys and values")
    return y, weights


def attention_backward(dy, q, k, v, weights, lengths, bint causal):
    """(dq, dk, dv). What a query did not see by `lengths` and `causal` has the weight 0."""
    cdef attention_arguments p
    cdef int type_number = real_type(q), error
    cdef cnp.ndarray dq, dk, dv
    lengths = unless_noting_a_copy(lengths)
    if not describe_attention(&p, q, k, v, lengths, causal):
        return None
    if not fits_heads(&p, dy, type_number, p.T, p.M):
        return None
    if not fits_heads(&p, weights, type_number, p.T, p.S):
        return None
    if not is_contiguous(weights, type_number):
        return None
    p.p = cnp.PyArray_DATA(<cnp.ndarray>weights)
    dq = new_heads(&p, q, p.T, p.D, &p.dq)
    dk = new_heads(&p, k, p.S, p.D, &p.dk)
    dv = new_heads(&p, v, p.S, p.M, &p.dv)
    dy = as_heads(&p, dy, p.T, p.M, &p.y)
    q = as_heads(&p, q, p.T, p.D, &p.q)
    k = as_heads(&p, k, p.S, p.D, &p.k)
    v = as_heads(&p, v, p.S, p.M, &p.v)
    with nogil:
        error = call(OP_attention_backward, type_number, &p)
    if error:
        raise MemoryError("attention_backward: no memory for the packed keys and values")
    return dq, dk, dv
