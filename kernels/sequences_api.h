/* Sequences of which so many steps count, in the table of kernels.h, and their struct of arguments. */
#ifndef MINIENC_SEQUENCES_API_H
#define MINIENC_SEQUENCES_API_H

#include <stddef.h>
#include <stdint.h>

/* reversed:       y_t = x_(L - 1 - t) for the L steps that count; behind them y_t = x_t
   mean_of_steps:  y = the mean of the steps that count, 0 where none does
   share_of_steps: y_t = x / L for the steps that count, else 0: the mean's backward */
struct padded {
    ptrdiff_t N, T, D;
    const int64_t *lengths; /* (N), each from 0 to T, or NULL: all T */
    const void *x;          /* (N, T, D); of share_of_steps (N, D) */
    void *y;                /* (N, T, D); of mean_of_steps (N, D) */
};

#define SEQUENCES_FUNCTIONS(F) \
    F(reversed, padded)        \
    F(mean_of_steps, padded)   \
    F(share_of_steps, padded)

#endif
