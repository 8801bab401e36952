# Patches of images: checks, results, and the calls of patches.h.

cdef extern from "plan.h":
    struct patches_arguments "patches":
        Py_ssize_t N, H, W, C, KH, KW, SH, SW, OH, OW, top, left
        void *x
        void *y
    int OP_cut_patches, OP_lay_patches_back


cdef bint takes_windows(patches_arguments *p, image_shape, size, strides, n, margins) except -1:
    """Sizes of which none is 0, and windows of which each touches the image."""
    p.N, p.H, p.W, p.C = image_shape
    p.KH, p.KW = size
    p.SH, p.SW = strides
    p.OH, p.OW = n
    (p.top, _), (p.left, _) = margins
    return (
        min(p.N, p.H, p.W, p.C, p.KH, p.KW, p.SH, p.SW, p.OH, p.OW) > 0
        and p.N < 2 ** 31 and min(p.top, p.left) >= 0
    )


def cut_patches(x, size, strides, n, margins):
    """Patches (N, OH, OW, KH KW C) of images (N, H, W, C); None for what it does not serve."""
    cdef patches_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or not is_contiguous(x, type_number) or cnp.PyArray_NDIM(x) != 4:
        return None
    if not takes_windows(&p, x.shape, size, strides, n, margins):
        return None
    cdef cnp.npy_intp *shape = [p.N, p.OH, p.OW, p.KH * p.KW * p.C]
    y = cnp.PyArray_EMPTY(4, shape, type_number, 0)
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.y = cnp.PyArray_DATA(y)
    with nogil:
        call(OP_cut_patches, type_number, &p)
    return y


def lay_patches_back(dy, image_shape, size, strides, n, margins):
    """Images of this shape: the sums of the patches that see each pixel."""
    cdef patches_arguments p
    cdef int type_number = real_type(dy)
    cdef cnp.ndarray dx
    if type_number < 0 or not is_contiguous(dy, type_number):
        return None
    if not takes_windows(&p, image_shape, size, strides, n, margins):
        return None
    if dy.shape != (p.N, p.OH, p.OW, p.KH * p.KW * p.C):
        return None
    cdef cnp.npy_intp *shape = [p.N, p.H, p.W, p.C]
    dx = cnp.PyArray_EMPTY(4, shape, type_number, 0)
    p.x = cnp.PyArray_DATA(dx)
    p.y = cnp.PyArray_DATA(<cnp.ndarray>dy)
    with nogil:
        call(OP_lay_patches_back, type_number, &p)
    return dx
