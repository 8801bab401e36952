/* Penalties on what a layer returns, in the table of kernels.h, and their structs of arguments. */
#ifndef MINIENC_PENALTIES_API_H
#define MINIENC_PENALTIES_API_H

#include <stddef.h>

struct signs { /* y = c sign(x) */
    ptrdiff_t n;
    double c;
    const void *x;
    void *y;
};

/* Of N samples' activities of K units: the units' means, and KL(target || mean) of each; and its
   backward, dh_ik = c / N (-target / mean_k + (1 - target) / (1 - mean_k)). */
struct sparsity {
    ptrdiff_t N, K;
    double target, c;
    const void *h; /* (N, K) */
    void *mean;    /* (K) */
    void *terms;   /* (K) */
    void *dh;      /* (N, K) */
};

#define PENALTIES_FUNCTIONS(F)       \
    F(signs, signs)                  \
    F(sparsity_forward, sparsity)    \
    F(sparsity_backward, sparsity)

#endif
