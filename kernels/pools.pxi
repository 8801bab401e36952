# Pools of images: checks, results, and the calls of pools.h.

cdef extern from "plan.h":
    ctypedef unsigned char uint8_t
    struct pool_arguments "pool":
        Py_ssize_t N, H, W, C, KH, KW, SH, SW, OH, OW, top, left
        int mean
        void *x
        void *y
        uint8_t *which
    int OP_max_pool, OP_max_pool_slope, OP_sum_pool, OP_sum_pool_slope


cdef bint takes_pools(pool_arguments *p, image_shape, windows) except -1:
    """Windows (minienc/functions/windows.py) of which each sees a part of the image."""
    size, strides, n, margins = windows
    p.N, p.H, p.W, p.C = image_shape
    p.KH, p.KW = size
    p.SH, p.SW = strides
    p.OH, p.OW = n
    (p.top, _), (p.left, _) = margins
    return (
        min(p.N, p.H, p.W, p.C, p.KH, p.KW, p.SH, p.SW, p.OH, p.OW) > 0 and p.N < 2 ** 31
        and 0 <= p.top < p.KH and 0 <= p.left < p.KW
        and (p.OH - 1) * p.SH < p.H + p.top and (p.OW - 1) * p.SW < p.W + p.left
    )


cdef cnp.ndarray new_images(pool_arguments *p, int type_number, bint of_windows):
    cdef cnp.npy_intp *shape = [
        p.N, p.OH if of_windows else p.H, p.OW if of_windows else p.W, p.C
    ]
    return cnp.PyArray_EMPTY(4, shape, type_number, 0)


cdef bint is_image_of(object a, int type_number, pool_arguments *p, bint of_windows):
    cdef cnp.npy_intp *shape
    if not is_contiguous(a, type_number) or cnp.PyArray_NDIM(<cnp.ndarray>a) != 4:
        return False
    shape = cnp.PyArray_DIMS(<cnp.ndarray>a)
    return (
        shape[0] == p.N and shape[3] == p.C and shape[1] == (p.OH if of_windows else p.H)
        and shape[2] == (p.OW if of_windows else p.W)
    )


def max_pool(x, windows):
    """(y, which) of images (N, H, W, C); None for what it does not serve."""
    cdef pool_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y, which
    if type_number < 0 or cnp.PyArray_NDIM(<cnp.ndarray>x) != 4:
        return None
    if not takes_pools(&p, x.shape, windows) or not is_image_of(x, type_number, &p, False):
        return None
    if p.KH * p.KW > 256:
        return None  # `which` would need more than a byte
    y = new_images(&p, type_number, True)
    which = new_images(&p, cnp.NPY_UINT8, True)
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.y = cnp.PyArray_DATA(y)
    p.which = <uint8_t *>cnp.PyArray_DATA(which)
    with nogil:
        call(OP_max_pool, type_number, &p)
    return y, which


def max_pool_slope(dy, which, image_shape, windows):
    """dx of this shape; None for what it does not serve."""
    cdef pool_arguments p
    cdef int type_number = real_type(dy)
    cdef cnp.ndarray dx
    if type_number < 0 or not takes_pools(&p, image_shape, windows):
        return None
    if not is_image_of(dy, type_number, &p, True) or not is_image_of(
        which, cnp.NPY_UINT8, &p, True
    ):
        return None
    dx = new_images(&p, type_number, False)
    p.x = cnp.PyArray_DATA(dx)
    p.y = cnp.PyArray_DATA(<cnp.ndarray>dy)
    p.which = <uint8_t *>cnp.PyArray_DATA(<cnp.ndarray>which)
    with nogil:
        call(OP_max_pool_slope, type_number, &p)
    return dx


def sum_pool(x, windows, bint mean):
    """The sum of each window's pixels, or their mean; None for what it does not serve."""
    cdef pool_arguments p
    cdef int type_number = real_type(x)
    cdef cnp.ndarray y
    if type_number < 0 or cnp.PyArray_NDIM(<cnp.ndarray>x) != 4:
        return None
    if not takes_pools(&p, x.shape, windows) or not is_image_of(x, type_number, &p, False):
        return None
    y = new_images(&p, type_number, True)
    p.mean = mean
    p.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    p.y = cnp.PyArray_DATA(y)
    with nogil:
        call(OP_sum_pool, type_number, &p)
    return y


def sum_pool_slope(dy, image_shape, windows, bint mean):
    """Its backward, dx of this shape; None for what it does not serve."""
    cdef pool_arguments p
    cdef int type_number = real_type(dy)
    cdef cnp.ndarray dx
    if type_number < 0 or not takes_pools(&p, image_shape, windows):
        return None
    if not is_image_of(dy, type_number, &p, True):
        return None
    dx = new_images(&p, type_number, False)
    p.mean = mean
    p.x = cnp.PyArray_DATA(dx)
    p.y = cnp.PyArray_DATA(<cnp.ndarray>dy)
    with nogil:
        call(OP_sum_pool_slope, type_number, &p)
    return dx
