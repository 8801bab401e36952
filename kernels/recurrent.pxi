# Recurrent networks: checks, results, and the calls of recurrent.h.

cdef extern from "plan.h":
    struct recurrent_arguments "recurrent":
        int kind, activation
        double alpha
        Py_ssize_t N, T, D, M, padded
        const void *x
        matrix W, U
        const void *b
        const void *v
        matrix h0, c0
        const int64_t *lengths
        void *inputs
        void *gates
        void *memory
        Py_ssize_t input_row, gate_row
        void *y
        matrix h, c
        void *dz
        void *dx
        void *dW
        void *dU
        void *db
        void *dv
    int OP_recurrent_forward, OP_recurrent_backward
    int RECURRENT_LSTM, RECURRENT_GRU, RECURRENT_RNN

recurrent_codes = {"lstm": RECURRENT_LSTM, "gru": RECURRENT_GRU, "rnn": RECURRENT_RNN}


cdef inline int gates_of(int kind):
    return 4 if kind == RECURRENT_LSTM else 3 if kind == RECURRENT_GRU else 1


cdef inline bint has_shape(object a, int type_number, int ndim, Py_ssize_t n, Py_ssize_t m,
                           Py_ssize_t k=1):
    """A plain array of one to three axes of these sizes."""
    cdef cnp.npy_intp *shape
    if not is_plain(a, type_number) or cnp.PyArray_NDIM(<cnp.ndarray>a) != ndim:
        return False
    shape = cnp.PyArray_DIMS(<cnp.ndarray>a)
    return shape[0] == n and (ndim < 2 or shape[1] == m) and (ndim < 3 or shape[2] == k)


cdef cnp.ndarray new_array(int type_number, int ndim, Py_ssize_t n, Py_ssize_t m=1,
                           Py_ssize_t k=1):
    cdef cnp.npy_intp *shape = [n, m, k]
    return cnp.PyArray_EMPTY(ndim, shape, type_number, 0)


cdef Py_ssize_t rows_apart(Py_ssize_t n, Py_ssize_t size):
    """Rows of n numbers or a little more, so that they do not compete for the same few places of
    the cache, as multiples of 4096 bytes do."""
    return n + 64 // size if n * size % 2048 == 0 else n


cdef inline bint packing_pays(recurrent_arguments *p, int G, Py_ssize_t size):
    """Matrices that the second-level cache does not hold are read from further away at each step:
    for a few samples, or a few steps, they are better read where they lie."""
    return (p.D + p.M) * G * p.M * size <= 524288 or (p.N >= 8 and p.N * p.T >= 64)


cdef bint takes_lengths(recurrent_arguments *p, object lengths) except -1:
    """Whether they are (N,) in int64, each from 0 to T: they are used as bounds."""
    p.lengths = NULL
    if lengths is None:
        return True
    if not are_lengths(lengths, p.N, p.T):
        return False
    p.lengths = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>lengths)
    return True


cdef int run_recurrent(recurrent_arguments *p, int type_number, bint forward) except -1:
    cdef int error
    with nogil:
        error = call(OP_recurrent_forward if forward else OP_recurrent_backward, type_number, p)
    if error:
        raise MemoryError("no memory for the packed matrices of a recurrent network")
    return 0


def recurrent_forward(int kind, x, W, U, b, v, h0, c0, lengths, int code=ACT_IDENTITY,
                      double alpha=0.0):
    """(y, h, c, kept, padded) of a sequence; c is None but for LSTM.

    kept is (inputs, gates, memory) for the backward; ``padded`` numbers of a row of them belong to
    one state or slot (recurrent_api.h). lengths is None or an array of int64. Returns None for
    arrays that it does not serve.
    """
    cdef recurrent_arguments p
    cdef int type_number = real_type(x)
    cdef int G = gates_of(kind)
    cdef int S = 1 if kind == RECURRENT_RNN else 4
    cdef Py_ssize_t size, lanes
    cdef matrix rows
    cdef cnp.ndarray y, h, inputs, gates
    lengths = unless_noting_a_copy(lengths)
    if type_number < 0 or cnp.PyArray_NDIM(<cnp.ndarray>x) != 3 or not is_plain(U, type_number):
        return None
    p.N = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
    p.T = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    p.D = cnp.PyArray_DIM(<cnp.ndarray>x, 2)
    p.M = cnp.PyArray_DIM(<cnp.ndarray>U, 0) if cnp.PyArray_NDIM(<cnp.ndarray>U) == 2 else 0
    if p.N == 0 or p.T == 0 or p.D == 0 or p.M == 0:
        return None
    if not has_shape(U, type_number, 2, p.M, G * p.M):
        return None
    if not has_shape(W, type_number, 2, p.D, G * p.M):
        return None
    for bias in (b, v):
        if bias is not None and not has_shape(bias, type_number, 1, G * p.M, 1):
            return None
    for state in (h0, c0):
        if state is not None and not has_shape(state, type_number, 2, p.N, p.M):
            return None
    size = cnp.PyArray_ITEMSIZE(<cnp.ndarray>x)
    if not takes_lengths(&p, lengths) or not packing_pays(&p, G, size):
        return None

    p.kind = kind
    p.activation = code
    p.alpha = alpha
    lanes = table_of(type_number).lanes()
    p.padded = (p.M + lanes - 1) // lanes * lanes
    p.input_row = rows_apart(p.padded + p.D, size)
    p.gate_row = rows_apart(S * p.padded, size)
    inputs = new_array(type_number, 3, p.T + 1, p.N, p.input_row)
    gates = new_array(type_number, 3, p.T, p.N, p.gate_row)
    y = new_array(type_number, 3, p.N, p.T, p.M)
    h = new_array(type_number, 2, p.N, p.M)
    p.inputs = cnp.PyArray_DATA(inputs)
    p.gates = cnp.PyArray_DATA(gates)
    p.y = cnp.PyArray_DATA(y)
    p.h = matrix(cnp.PyArray_DATA(h), p.M, 1)
    p.c = p.h0 = p.c0 = matrix(NULL, 0, 0)
    p.memory = p.dx = NULL
    p.b = p.v = NULL
    c = memory = None
    if kind == RECURRENT_LSTM:
        memory = new_array(type_number, 3, p.T + 1, p.N, p.padded)
        c = new_array(type_number, 2, p.N, p.M)
        p.memory = cnp.PyArray_DATA(<cnp.ndarray>memory)
        p.c = matrix(cnp.PyArray_DATA(<cnp.ndarray>c), p.M, 1)

    x = as_rows(x, p.N * p.T, p.D, True, &rows)
    p.x = rows.data
    W = as_rows(W, p.D, G * p.M, False, &p.W)
    U = as_rows(U, p.M, G * p.M, False, &p.U)
    if b is not None:
        b = as_rows(b, 1, G * p.M, True, &rows)
        p.b = rows.data
    if v is not None:
        v = as_rows(v, 1, G * p.M, True, &rows)
        p.v = rows.data
    if h0 is not None:
        h0 = as_rows(h0, p.N, p.M, True, &p.h0)
    if c0 is not None:
        c0 = as_rows(c0, p.N, p.M, True, &p.c0)
    run_recurrent(&p, type_number, True)
    return y, h, c, (inputs, gates, memory), p.padded


cdef bint takes_kept(recurrent_arguments *p, int type_number, kept):
    """Whether these are what a forward left, on the instruction set that is in use now."""
    cdef int S = 1 if p.kind == RECURRENT_RNN else 4
    cdef Py_ssize_t size = 4 if type_number == cnp.NPY_FLOAT32 else 8
    cdef Py_ssize_t lanes = table_of(type_number).lanes()
    inputs, gates, memory = kept
    p.padded = (p.M + lanes - 1) // lanes * lanes
    p.input_row = rows_apart(p.padded + p.D, size)
    p.gate_row = rows_apart(S * p.padded, size)
    p.memory = NULL
    if not has_shape(inputs, type_number, 3, p.T + 1, p.N, p.input_row):
        return False
    if not has_shape(gates, type_number, 3, p.T, p.N, p.gate_row):
        return False
    if not is_contiguous(inputs, type_number) or not is_contiguous(gates, type_number):
        return False
    p.inputs = cnp.PyArray_DATA(<cnp.ndarray>inputs)
    p.gates = cnp.PyArray_DATA(<cnp.ndarray>gates)
    if p.kind == RECURRENT_LSTM:
        if not is_contiguous(memory, type_number):
            return False
        if not has_shape(memory, type_number, 3, p.T + 1, p.N, p.padded):
            return False
        p.memory = cnp.PyArray_DATA(<cnp.ndarray>memory)
    return True


def recurrent_backward(int kind, dy, dh, dc, W, U, bint has_b, bint has_v, kept, lengths,
                       int code=ACT_IDENTITY, double alpha=0.0):
    """(dx, dW, dU, db, dv, dh0, dc0), for what the forward kept; None in the place of what there
    is not. Returns None for arrays that it does not serve."""
    cdef recurrent_arguments p
    cdef int type_number = real_type(dy)
    cdef int G = gates_of(kind)
    cdef matrix rows
    cdef cnp.ndarray dx, dW, dU, dh0, dz
    lengths = unless_noting_a_copy(lengths)
    if type_number < 0 or cnp.PyArray_NDIM(<cnp.ndarray>dy) != 3:
        return None
    if not is_plain(W, type_number) or cnp.PyArray_NDIM(<cnp.ndarray>W) != 2:
        return None
    p.N = cnp.PyArray_DIM(<cnp.ndarray>dy, 0)
    p.T = cnp.PyArray_DIM(<cnp.ndarray>dy, 1)
    p.M = cnp.PyArray_DIM(<cnp.ndarray>dy, 2)
    p.D = cnp.PyArray_DIM(<cnp.ndarray>W, 0)
    if not has_shape(U, type_number, 2, p.M, G * p.M):
        return None
    if not has_shape(W, type_number, 2, p.D, G * p.M):
        return None
    if not has_shape(dh, type_number, 2, p.N, p.M):
        return None
    if kind == RECURRENT_LSTM and not has_shape(dc, type_number, 2, p.N, p.M):
        return None
    p.kind = kind
    p.activation = code
    p.alpha = alpha
    if not takes_lengths(&p, lengths) or not takes_kept(&p, type_number, kept):
        return None

    dx = new_array(type_number, 3, p.N, p.T, p.D)
    dW = new_array(type_number, 2, p.D, G * p.M)
    dU = new_array(type_number, 2, p.M, G * p.M)
    dh0 = new_array(type_number, 2, p.N, p.M)
    dz = new_array(type_number, 3, p.T, p.N, p.gate_row)
    p.dx = cnp.PyArray_DATA(dx)
    p.dW = cnp.PyArray_DATA(dW)
    p.dU = cnp.PyArray_DATA(dU)
    p.dz = cnp.PyArray_DATA(dz)
    p.h0 = matrix(cnp.PyArray_DATA(dh0), p.M, 1)
    p.c = p.c0 = matrix(NULL, 0, 0)
    p.db = p.dv = NULL
    db = dv = dc0 = None
    if has_b:
        db = new_array(type_number, 1, G * p.M)
        p.db = cnp.PyArray_DATA(<cnp.ndarray>db)
    if has_v:
        dv = new_array(type_number, 1, G * p.M)
        p.dv = cnp.PyArray_DATA(<cnp.ndarray>dv)
    dy = as_rows(dy, p.N * p.T, p.M, True, &rows)
    p.y = rows.data
    dh = as_rows(dh, p.N, p.M, True, &p.h)
    if kind == RECURRENT_LSTM:
        dc0 = new_array(type_number, 2, p.N, p.M)
        p.c0 = matrix(cnp.PyArray_DATA(<cnp.ndarray>dc0), p.M, 1)
        dc = as_rows(dc, p.N, p.M, True, &p.c)
    W = as_rows(W, p.D, G * p.M, False, &p.W)
    U = as_rows(U, p.M, G * p.M, False, &p.U)
    run_recurrent(&p, type_number, False)
    return dx, dW, dU, db, dv, dh0, dc0
