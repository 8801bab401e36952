/* A draw that gradients pass, and its divergence, in the table of kernels.h. */
#ifndef MINIENC_VARIATIONAL_API_H
#define MINIENC_VARIATIONAL_API_H

#include <stddef.h>

/* n numbers of N(mean, exp(log_variance)). z = mean + 2 half, half = 1/2 sigma noise; kl is the
   divergence from N(0, 1), and dmean, dlog_variance are its slopes, times dkl. */
struct normals {
    ptrdiff_t n;
    double dkl;
    const void *mean, *log_variance, *noise;
    void *z, *half, *variance, *kl, *dmean, *dlog_variance;
};

#define VARIATIONAL_FUNCTIONS(F)   \
    F(reparameterize, normals)     \
    F(normal_kl, normals)          \
    F(normal_kl_slope, normals)

#endif
