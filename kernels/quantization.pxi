# Vector quantisation: checks, results, and the calls of quantization.h.

cdef extern from "plan.h":
    struct quantization_arguments "quantization":
        Py_ssize_t N, D, K
        const void *z
        const void *C
        int64_t *index
        void *q
        void *e
        const void *de
        void *dz
        void *dC
    int OP_quantization_forward, OP_quantization_backward


def quantization_forward(z, C):
    """(e, index, q) of z (N, D) and a codebook C (K, D); None for what it does not serve."""
    cdef quantization_arguments p
    cdef int type_number = real_type(z), error
    cdef cnp.npy_intp rows
    cdef cnp.ndarray e, index, q
    if type_number < 0 or not is_contiguous(z, type_number) or not is_contiguous(C, type_number):
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>z) != 2 or cnp.PyArray_NDIM(<cnp.ndarray>C) != 2:
        return None
    p.N = rows = n_rows(z)
    p.D = last(z)
    p.K = n_rows(C)
    if p.N * p.D * p.K == 0 or last(C) != p.D:
        return None
    e = cnp.PyArray_EMPTY(1, &rows, type_number, 0)
    index = cnp.PyArray_EMPTY(1, &rows, cnp.NPY_INT64, 0)
    q = empty_like(<cnp.ndarray>z)
    p.z = cnp.PyArray_DATA(<cnp.ndarray>z)
    p.C = cnp.PyArray_DATA(<cnp.ndarray>C)
    p.e = cnp.PyArray_DATA(e)
    p.index = <int64_t *>cnp.PyArray_DATA(index)
    p.q = cnp.PyArray_DATA(q)
    p.de = NULL
    p.dz = p.dC = NULL
    with nogil:
        error = call(OP_quantization_forward, type_number, &p)
    if error:
        raise MemoryError("quantization_forward: no memory for the distances")
    return e, index, q


def quantization_backward(de, z, index, q, Py_ssize_t K):
    """(dz, dC) of what ``quantization_forward`` found; None for what it does not serve."""
    cdef quantization_arguments p
    cdef labels_arguments codes
    cdef int type_number = real_type(z), error
    cdef cnp.npy_intp shape[2]
    cdef cnp.ndarray dz, dC
    if type_number < 0 or not is_contiguous(z, type_number) or not is_like(q, <cnp.ndarray>z):
        return None
    if cnp.PyArray_NDIM(<cnp.ndarray>z) != 2 or not is_contiguous(index, cnp.NPY_INT64):
        return None
    p.N = n_rows(z)
    p.D = last(z)
    p.K = K
    if not is_contiguous(de, type_number) or cnp.PyArray_NDIM(<cnp.ndarray>de) != 1:
        return None
    if cnp.PyArray_SIZE(<cnp.ndarray>de) != p.N or cnp.PyArray_SIZE(<cnp.ndarray>index) != p.N:
        return None
    index = unless_noting_a_copy(index)
    codes = labels_arguments(p.N, K, <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>index))
    if call(OP_labels, type_number, &codes):
        return None
    shape[0] = K
    shape[1] = p.D
    dz = empty_like(<cnp.ndarray>z)
    dC = cnp.PyArray_EMPTY(2, shape, type_number, 0)
    p.z = cnp.PyArray_DATA(<cnp.ndarray>z)
    p.C = NULL
    p.e = NULL
    p.index = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>index)
    p.q = cnp.PyArray_DATA(<cnp.ndarray>q)
    p.de = cnp.PyArray_DATA(<cnp.ndarray>de)
    p.dz = cnp.PyArray_DATA(dz)
    p.dC = cnp.PyArray_DATA(dC)
    with nogil:
        error = call(OP_quantization_backward, type_number, &p)
    return None if error else (dz, dC)
