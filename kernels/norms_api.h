/* Normalisation by rows, and rows added into a table: their place in the table of kernels.h. */
#ifndef MINIENC_NORMS_API_H
#define MINIENC_NORMS_API_H

#include <stddef.h>
#include <stdint.h>

/* N rows of D numbers, contiguous. Forward: x_hat = (x - mean) scale (without the mean if `centred`
   is 0), y = gamma x_hat + beta. Backward: dx, dgamma, dbeta from dy. NULL: gamma is 1, beta 0, and
   of the sums those that nobody wants. */
struct norm {
    ptrdiff_t N, D;
    int centred;
    double epsilon;
    const void *x, *gamma, *beta;
    void *y, *x_hat, *scale; /* (N, D), (N, D), (N) */
    const void *dy;
    void *dx, *dgamma, *dbeta;
};

/* table[ids[n]] += rows[n], for N rows of D numbers, in the order of n; or rows[n] = table[ids[n]].
   An id that is not one of the V rows is returned as -2, as soon as it is met. */
struct added_rows {
    ptrdiff_t N, D, V;
    const int64_t *ids;
    const void *rows;
    void *table;
};

struct taken_rows {
    ptrdiff_t N, D, V;
    const int64_t *ids;
    const void *table;
    void *rows;
};

#define NORMS_FUNCTIONS(F) \
    F(norm_forward, norm) \
    F(norm_backward, norm) \
    F(add_rows, added_rows) \
    F(take_rows, taken_rows)

#endif
