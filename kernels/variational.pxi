# A draw that gradients pass, and its divergence: checks, results, and the calls of variational.h.

cdef extern from "plan.h":
    struct normals_arguments "normals":
        Py_ssize_t n
        double dkl
        const void *mean
        const void *log_variance
        const void *noise
        void *z
        void *half
        void *variance
        void *kl
        void *dmean
        void *dlog_variance
    int OP_reparameterize, OP_normal_kl, OP_normal_kl_slope


def reparameterize(mean, log_variance, noise):
    """(mean + sigma noise, 1/2 sigma noise) of contiguous arrays of one shape; None for what it
    does not serve."""
    cdef normals_arguments p
    cdef int type_number = real_type(mean)
    cdef cnp.ndarray z, half
    if type_number < 0 or not is_contiguous(mean, type_number):
        return None
    if not is_like(log_variance, mean) or not is_like(noise, mean):
        return None
    z = empty_like(mean)
    half = empty_like(mean)
    p.n = cnp.PyArray_SIZE(z)
    p.mean = cnp.PyArray_DATA(<cnp.ndarray>mean)
    p.log_variance = cnp.PyArray_DATA(<cnp.ndarray>log_variance)
    p.noise = cnp.PyArray_DATA(<cnp.ndarray>noise)
    p.z = cnp.PyArray_DATA(z)
    p.half = cnp.PyArray_DATA(half)
    with nogil:
        call(OP_reparameterize, type_number, &p)
    return z, half


def normal_kl(mean, log_variance):
    """(kl, variance); None for what it does not serve."""
    cdef normals_arguments p
    cdef int type_number = real_type(mean)
    cdef cnp.ndarray kl, variance
    if type_number < 0 or not is_contiguous(mean, type_number) or not is_like(log_variance, mean):
        return None
    kl = empty_like(mean)
    variance = empty_like(mean)
    p.n = cnp.PyArray_SIZE(kl)
    p.mean = cnp.PyArray_DATA(<cnp.ndarray>mean)
    p.log_variance = cnp.PyArray_DATA(<cnp.ndarray>log_variance)
    p.kl = cnp.PyArray_DATA(kl)
    p.variance = cnp.PyArray_DATA(variance)
    with nogil:
        call(OP_normal_kl, type_number, &p)
    return kl, variance


def normal_kl_slope(double dkl, mean, variance):
    """(dmean, dlog_variance) where dkl is the same for all; None for what it does not serve."""
    cdef normals_arguments p
    cdef int type_number = real_type(mean)
    cdef cnp.ndarray dmean, dlog_variance
    if type_number < 0 or not is_contiguous(mean, type_number) or not is_like(variance, mean):
        return None
    dmean = empty_like(mean)
    dlog_variance = empty_like(mean)
    p.n = cnp.PyArray_SIZE(dmean)
    p.dkl = dkl
    p.mean = cnp.PyArray_DATA(<cnp.ndarray>mean)
    p.variance = cnp.PyArray_DATA(<cnp.ndarray>variance)
    p.dmean = cnp.PyArray_DATA(dmean)
    p.dlog_variance = cnp.PyArray_DATA(dlog_variance)
    with nogil:
        call(OP_normal_kl_slope, type_number, &p)
    return dmean, dlog_variance
