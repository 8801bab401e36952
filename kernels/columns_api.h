/* What goes column by column: sums, a bias, batch normalisation; its place in the table of
   kernels.h. */
#ifndef MINIENC_COLUMNS_API_H
#define MINIENC_COLUMNS_API_H

#include <stddef.h>

/* N rows of D numbers, contiguous. */
struct column_sums { /* out = the sum of the rows; with `add`, out += it */
    ptrdiff_t N, D;
    const void *x;
    void *out;
    int add;
};

struct biased { /* x += b, each row */
    ptrdiff_t N, D;
    const void *b;
    void *x;
};

/* Forward: x_hat = (x - mean) scale, scale = 1 / sqrt(variance + epsilon), y = gamma x_hat + beta.
   Mean and variance are written if `of_batch`, for they are the columns'; else they are given.
   Backward: dx, dgamma, dbeta from dy. NULL: gamma is 1, beta 0, and of the last two those that nobody
   wants. */
struct batch_norm {
    ptrdiff_t N, D;
    int of_batch;
    double epsilon;
    const void *x, *gamma, *beta;
    void *y, *x_hat;                /* (N, D) */
    void *scale, *mean, *variance;  /* (D) */
    const void *dy;
    void *dx, *dgamma, *dbeta;
};

#define COLUMNS_FUNCTIONS(F)           \
    F(column_sums, column_sums)        \
    F(biased, biased)                  \
    F(batch_norm_forward, batch_norm)  \
    F(batch_norm_backward, batch_norm)

#endif
