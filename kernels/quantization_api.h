/* Vector quantisation in the table of kernels.h, and its struct of arguments. */
#ifndef MINIENC_QUANTIZATION_API_H
#define MINIENC_QUANTIZATION_API_H

#include <stddef.h>
#include <stdint.h>

/* Forward: for each row of z the nearest row of C, its number, itself and its squared distance; of
   several that are equally near, the first. Backward: dz and dC from de. */
struct quantization {
    ptrdiff_t N, D, K;
    const void *z, *C; /* (N, D), (K, D) */
    int64_t *index;    /* (N) */
    void *q, *e;       /* (N, D), (N) */
    const void *de;    /* (N) */
    void *dz, *dC;     /* (N, D), (K, D) */
};

#define QUANTIZATION_FUNCTIONS(F) \
    F(quantization_forward, quantization) \
    F(quantization_backward, quantization)

#endif
