# The dense layer and the matrix product: checks, results, and the calls of dense.h.

cdef extern from "plan.h":
    struct dense_forward_arguments "dense_forward":
        Py_ssize_t N, D, M
        matrix x, W
        const void *b
        int activation
        double alpha
        matrix y, z
    struct dense_backward_arguments "dense_backward":
        Py_ssize_t N, D, M
        matrix dy, x, W, y
        int activation
        double alpha
        matrix dx, dW
        void *db
        int add
    struct product_arguments "product":
        Py_ssize_t M, N, K
        matrix a, b, c
        int add
    int OP_dense_forward, OP_dense_backward, OP_product
    int ACT_IDENTITY, ACT_RELU, ACT_LEAKY_RELU, ACT_ELU, ACT_SIGMOID, ACT_TANH, ACT_SOFTPLUS
    int ACT_GELU

# The codes of the activations, by the names of minienc/functions/activations.py.
activation_codes = {
    "identity": ACT_IDENTITY,
    "relu": ACT_RELU,
    "leaky_relu": ACT_LEAKY_RELU,
    "elu": ACT_ELU,
    "sigmoid": ACT_SIGMOID,
    "tanh": ACT_TANH,
    "softplus": ACT_SOFTPLUS,
    "gelu": ACT_GELU,
}


def dense_forward(x, W, b, int code, double alpha=0.0, out=None):
    """f(x W + b) in one pass.

    Returns None for arrays that it does not serve; else y or, for gelu, (y, x W + b). y is ``out``,
    where that is given.
    """
    cdef dense_forward_arguments p
    cdef int type_number = real_type(x)
    cdef int error
    cdef matrix bias
    cdef cnp.ndarray x_array, W_array, b_array, y
    if type_number < 0 or not is_plain(W, type_number):
        return None
    x_array = x
    W_array = W
    if cnp.PyArray_NDIM(x_array) < 1 or cnp.PyArray_NDIM(W_array) != 2:
        return None
    p.N = n_rows(x_array)
    p.D = cnp.PyArray_DIM(W_array, 0)
    p.M = cnp.PyArray_DIM(W_array, 1)
    if last(x_array) != p.D:
        return None
    p.b = NULL
    if b is not None:
        if not is_plain(b, type_number):
            return None
        b_array = b
        if cnp.PyArray_NDIM(b_array) != 1 or cnp.PyArray_DIM(b_array, 0) != p.M:
            return None
    if out is None:
        y = new_rows(x_array, p.M, &p.y)
    else:
        y = checked_output("dense_forward", "out", out, x_array, p.M, &p.y)
        if overlap(y, x) or overlap(y, W) or overlap(y, b):
            out[...] = dense_forward(x, W, b, code, alpha)
            return out
    p.activation = code
    p.alpha = alpha
    p.z.data = NULL
    p.z.row = 0
    z = None
    if code == ACT_GELU:
        z = new_rows(y, p.M, &p.z)
    if b is not None:
        b_array = as_rows(b_array, 1, p.M, True, &bias)
        p.b = bias.data
    x_array = as_rows(x_array, p.N, p.D, False, &p.x)
    W_array = as_rows(W_array, p.D, p.M, False, &p.W)
    with nogil:
        error = call(OP_dense_forward, type_number, &p)
    if error:
        raise MemoryError("dense_forward: no memory for the packed matrices")
    return y if z is None else (y, z)


cdef bint takes_sums(object dW, object db, cnp.ndarray W, bint has_bias):
    """Whether the kernel can add to these as they lie: dW row after row, or its transpose."""
    cdef int type_number = cnp.PyArray_TYPE(W)
    if not cnp.PyArray_CheckExact(dW) or not same_shape(<cnp.ndarray>dW, W):
        return False
    if not writable_rows(dW, type_number) and not writable_rows(dW.T, type_number):
        return False
    return not has_bias or (
        writable_rows(db, type_number)
        and cnp.PyArray_NDIM(<cnp.ndarray>db) == 1
        and cnp.PyArray_DIM(<cnp.ndarray>db, 0) == cnp.PyArray_DIM(W, 1)
    )


cdef bint lies_apart(cnp.ndarray output, dy, x, W, y):
    """Whether an output can be written to while these are read."""
    return not (
        overlap(output, dy) or overlap(output, x) or overlap(output, W) or overlap(output, y)
    )


def dense_backward(dy, x, W, bint has_bias, int code, double alpha, y,
                   dW=None, db=None, bint need_dx=True, bint need_dW=True, bint write=False):
    """(dx, dW, db, added) of f(x W + b), for dy and what the activation kept.

    y is the output (for gelu x W + b). Given dW and db, the gradients are added to
    them (with ``write``, written to them) if ``added`` comes back as True; what their layout does
    not allow, or memory that reaches into an argument's, is returned anew. What is not needed is
    None. Returns None for arrays that it does not serve.
    """
    cdef dense_backward_arguments p
    cdef int type_number = real_type(x)
    cdef int error
    cdef cnp.ndarray x_array, W_array, dy_array, y_array
    cdef cnp.npy_intp size
    cdef bint add
    if type_number < 0 or not is_plain(W, type_number) or not is_plain(dy, type_number):
        return None
    if not is_plain(y, type_number):
        return None
    x_array = x
    W_array = W
    dy_array = dy
    y_array = y
    if cnp.PyArray_NDIM(x_array) < 1 or cnp.PyArray_NDIM(W_array) != 2:
        return None
    p.N = n_rows(x_array)
    p.D = cnp.PyArray_DIM(W_array, 0)
    p.M = cnp.PyArray_DIM(W_array, 1)
    if last(x_array) != p.D or not same_shape(dy_array, y_array):
        return None
    if cnp.PyArray_NDIM(dy_array) < 1 or last(dy_array) != p.M or n_rows(dy_array) != p.N:
        return None

    add = (
        need_dW and dW is not None and takes_sums(dW, db, W_array, has_bias)
        and lies_apart(dW, dy, x, W, y)
        and (not has_bias or (lies_apart(db, dy, x, W, y) and not overlap(db, dW)))
    )
    p.add = add and not write
    p.dx.data = p.dW.data = p.db = NULL
    p.dx.row = p.dW.row = 0
    dx = new_rows(x_array, p.D, &p.dx) if need_dx else None
    if not need_dW:
        dW = db = None
    elif add:
        p.dW.data = cnp.PyArray_DATA(<cnp.ndarray>dW)
        if cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>dW):
            p.dW.row = p.M
            p.dW.column = 1
        elif cnp.PyArray_IS_F_CONTIGUOUS(<cnp.ndarray>dW):
            p.dW.row = 1
            p.dW.column = p.D
        else:
            p.dW.row = cnp.PyArray_STRIDE(<cnp.ndarray>dW, 0) // cnp.PyArray_ITEMSIZE(W_array)
            p.dW.column = cnp.PyArray_STRIDE(<cnp.ndarray>dW, 1) // cnp.PyArray_ITEMSIZE(W_array)
    else:
        dW = new_rows(W_array, p.M, &p.dW)
        size = p.M
        db = cnp.PyArray_EMPTY(1, &size, type_number, 0) if has_bias else None
    if has_bias and db is not None:
        p.db = cnp.PyArray_DATA(<cnp.ndarray>db)

    p.activation = code
    p.alpha = alpha
    x_array = as_rows(x_array, p.N, p.D, False, &p.x)
    W_array = as_rows(W_array, p.D, p.M, False, &p.W)
    dy_array = as_rows(dy_array, p.N, p.M, True, &p.dy)
    p.y.data = NULL
    p.y.row = 0
    if code != ACT_IDENTITY:
        y_array = as_rows(y_array, p.N, p.M, True, &p.y)
    with nogil:
        error = call(OP_dense_backward, type_number, &p)
    if error:
        raise MemoryError("dense_backward: no memory for dz and the packed matrices")
    return dx, dW, db, add


def matmul(a, b, out=None, bint add=False, int step=3):
    """a b for two matrices of any layout; into out, or added to it.

    step 1 and 2 are the staircase that leads to step 3, for lessons: kernels/staircase.h.
    """
    cdef product_arguments p
    cdef int type_number = real_type(a)
    cdef int error
    cdef cnp.ndarray a_array, b_array, c
    if type_number < 0 or not is_plain(b, type_number):
        raise TypeError("matmul: expected two arrays of float32, or two of float64")
    a_array = a
    b_array = b
    if cnp.PyArray_NDIM(a_array) != 2 or cnp.PyArray_NDIM(b_array) != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"matmul: a is {a.shape} and b {b.shape}, expected (M, K) and (K, N)")
    p.M = cnp.PyArray_DIM(a_array, 0)
    p.K = cnp.PyArray_DIM(a_array, 1)
    p.N = cnp.PyArray_DIM(b_array, 1)
    p.add = add and out is not None
    if out is None:
        c = new_rows(a_array, p.N, &p.c)
    else:
        c = checked_output("matmul", "out", out, a_array, p.N, &p.c)
        if overlap(c, a) or overlap(c, b):
            out[...] = (out if add else 0) + matmul(a, b)
            return out
    if step != 3:  # these two know no strides
        if out is not None or step not in (1, 2):
            raise ValueError(f"matmul: step is {step}, expected 1 or 2 without out, or 3")
        a_array = np.ascontiguousarray(a)
        b_array = np.ascontiguousarray(b)
    a_array = as_rows(a_array, p.M, p.K, False, &p.a)
    b_array = as_rows(b_array, p.K, p.N, False, &p.b)
    with nogil:
        if step != 3:
            table_of(type_number).staircase(step, &p)
            error = 0
        else:
            error = call(OP_product, type_number, &p)
    if error:
        raise MemoryError("matmul: no memory for the packed matrices")
    return c
