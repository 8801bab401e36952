# Which arrays the kernels serve, as what matrix C sees one, and which outputs may be given.

cdef extern from "kernels.h":
    struct matrix:
        void *data
        Py_ssize_t row, column
    struct product_arguments "product"
    struct kernels:
        int (*lanes)() noexcept nogil
        void (*staircase)(int step, const product_arguments *) noexcept nogil
    const kernels *kernels_f32
    const kernels *kernels_f64

cdef extern from "plan.h":
    int kernels_call(const kernels *table, int operation, const void *arguments) noexcept nogil
    void plan_decline(const char *why) noexcept


# --------------------------------------------------------------------------------- calls of kernels

cdef inline const kernels *table_of(int type_number) noexcept nogil:
    return kernels_f32 if type_number == cnp.NPY_FLOAT32 else kernels_f64


cdef inline int call(int operation, int type_number, const void *arguments) noexcept nogil:
    """The kernel of this number for this type; OP_NAME of plan.h is that of NAME."""
    return kernels_call(table_of(type_number), operation, arguments)


# ------------------------------------------------------------------------------- what is an array

cdef inline bint is_plain(object a, int type_number):
    """An ndarray itself, of this type, in this machine's byte order."""
    return (
        cnp.PyArray_CheckExact(a)
        and cnp.PyArray_TYPE(<cnp.ndarray>a) == type_number
        and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>a)
    )


cdef inline int real_type(object a):
    """NPY_FLOAT32, NPY_FLOAT64, or -1 for what the kernels do not serve."""
    if is_plain(a, cnp.NPY_FLOAT32):
        return cnp.NPY_FLOAT32
    return cnp.NPY_FLOAT64 if is_plain(a, cnp.NPY_FLOAT64) else -1


cdef inline Py_ssize_t n_rows(cnp.ndarray a):
    """The product of all axes but the last: they are all samples."""
    cdef Py_ssize_t n = 1
    cdef int i
    for i in range(cnp.PyArray_NDIM(a) - 1):
        n *= cnp.PyArray_DIM(a, i)
    return n


cdef inline Py_ssize_t last(cnp.ndarray a):
    return cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - 1)


cdef inline bint has_rows(cnp.ndarray a, Py_ssize_t rows, Py_ssize_t columns):
    return cnp.PyArray_NDIM(a) > 0 and n_rows(a) == rows and last(a) == columns


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b):
    cdef int i
    if cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef cnp.ndarray laid_out(cnp.ndarray a):
    """A contiguous copy: of three axes by the kernel, so that a plan has it, else by NumPy."""
    cdef cnp.ndarray copy
    if cnp.PyArray_NDIM(a) == 3:
        copy = cnp.PyArray_EMPTY(3, cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)
        if placed(a, copy, False):
            return copy
    plan_decline("an array lies so that NumPy must copy it")
    return cnp.PyArray_NewCopy(a, cnp.NPY_CORDER)


cdef cnp.ndarray as_rows(cnp.ndarray a, Py_ssize_t rows, Py_ssize_t columns, bint side_by_side,
                         matrix *m):
    """Describe (..., M), of which so many rows and columns are expected, as a matrix of rows.

    Returns the array whose memory it describes: a itself or, where its layout cannot be said by
    two strides of whole elements, or its columns must lie side by side and do not, a copy. While
    NumPy copies, another thread may run, and give an array that was checked another shape.
    """
    cdef int ndim = cnp.PyArray_NDIM(a)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
    cdef Py_ssize_t row, column
    if not has_rows(a, rows, columns):
        raise ValueError("an array was given another shape while it was read")
    if cnp.PyArray_ISALIGNED(a):
        if cnp.PyArray_IS_C_CONTIGUOUS(a):  # strides of axes of length 1 may be anything
            m.data = cnp.PyArray_DATA(a)
            m.row = last(a)
            m.column = 1
            return a
        if ndim == 2:
            row = cnp.PyArray_STRIDE(a, 0)
            column = cnp.PyArray_STRIDE(a, 1)
            if row % size == 0 and column % size == 0 and (column == size or not side_by_side):
                m.data = cnp.PyArray_DATA(a)
                m.row = row // size
                m.column = column // size
                return a
    a = laid_out(a)
    if not has_rows(a, rows, columns):
        raise ValueError("an array was given another shape while it was read")
    m.data = cnp.PyArray_DATA(a)
    m.row = last(a)
    m.column = 1
    return a


cdef cnp.ndarray new_rows(cnp.ndarray like, Py_ssize_t columns, matrix *m):
    """A new array with the leading axes of `like` and this many columns."""
    cdef cnp.npy_intp shape[64]
    cdef int i, ndim = cnp.PyArray_NDIM(like)
    for i in range(ndim - 1):
        shape[i] = cnp.PyArray_DIM(like, i)
    shape[ndim - 1] = columns
    a = cnp.PyArray_EMPTY(ndim, shape, cnp.PyArray_TYPE(like), 0)
    m.data = cnp.PyArray_DATA(a)
    m.row = columns
    m.column = 1
    return a


cdef inline bint is_contiguous(object a, int type_number):
    """A plain array of at least one axis (NumPy makes a scalar of what has none)."""
    return (
        is_plain(a, type_number)
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>a)
        and cnp.PyArray_NDIM(<cnp.ndarray>a) > 0
    )


cdef inline bint is_like(object a, cnp.ndarray model):
    """A contiguous array of the same type and shape."""
    return is_contiguous(a, cnp.PyArray_TYPE(model)) and same_shape(<cnp.ndarray>a, model)


cdef inline cnp.ndarray empty_like(cnp.ndarray a):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)


# ------------------------------------------------------------------------------- given outputs

cdef void extent(cnp.ndarray a, size_t *low, size_t *high) noexcept:
    """The first address of an array's memory, and the one after its last."""
    cdef size_t first = <size_t>cnp.PyArray_DATA(a)
    cdef size_t end = first + <size_t>cnp.PyArray_ITEMSIZE(a)
    cdef Py_ssize_t reach
    cdef int i
    low[0] = high[0] = first
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) == 0:
            return
        reach = (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
        if reach < 0:
            first += reach
        else:
            end += reach
    low[0] = first
    high[0] = end


cdef bint overlap(cnp.ndarray a, object b):
    """Whether the extents of two arrays have addresses in common."""
    cdef size_t a_low, a_high, b_low, b_high
    if b is None:
        return False
    extent(a, &a_low, &a_high)
    extent(<cnp.ndarray>b, &b_low, &b_high)
    return a_low < b_high and b_low < a_high


cdef bint writable_rows(object a, int type_number):
    """Whether the kernel can write to this array as it lies."""
    cdef cnp.ndarray array
    if not is_plain(a, type_number):
        return False
    array = a
    if not cnp.PyArray_ISWRITEABLE(array) or not cnp.PyArray_ISALIGNED(array):
        return False
    if cnp.PyArray_IS_C_CONTIGUOUS(array):
        return True
    return (
        cnp.PyArray_NDIM(array) == 2
        and cnp.PyArray_STRIDE(array, 1) == cnp.PyArray_ITEMSIZE(array)
        and cnp.PyArray_STRIDE(array, 0) % cnp.PyArray_ITEMSIZE(array) == 0
        and cnp.PyArray_STRIDE(array, 0) >= cnp.PyArray_DIM(array, 1) * cnp.PyArray_ITEMSIZE(array)
    )


cdef cnp.ndarray checked_output(function, name, object a, cnp.ndarray like, Py_ssize_t columns,
                                matrix *m):
    """A given output array, which must be as new_rows would have made it."""
    cdef cnp.ndarray array
    cdef bint fits = False
    if cnp.PyArray_Check(a) and cnp.PyArray_NDIM(<cnp.ndarray>a) == cnp.PyArray_NDIM(like):
        array = a
        fits = last(array) == columns
        for i in range(cnp.PyArray_NDIM(like) - 1):
            fits = fits and cnp.PyArray_DIM(array, i) == cnp.PyArray_DIM(like, i)
    if not fits:
        expected = (*(<object>like).shape[:-1], columns)
        raise ValueError(f"{function}: {name} is {getattr(a, 'shape', a)!r}, expected {expected}")
    if not writable_rows(a, cnp.PyArray_TYPE(like)):
        raise ValueError(
            f"{function}: {name} is not an array of {(<object>like).dtype} that can be written to, "
            f"row after row"
        )
    return as_rows(array, n_rows(like), columns, True, m)


cdef object unless_noting_a_copy(a):
    """Whole numbers that another thread may write to, once they were looked at, while the lock is
    released; a plan's own are written to by nobody."""
    if is_contiguous(a, cnp.NPY_INT64) and plan_noting() == NULL:
        return cnp.PyArray_NewCopy(<cnp.ndarray>a, cnp.NPY_CORDER)
    return a
