/* Rotary positions in the table of kernels.h, and their struct of arguments. */
#ifndef MINIENC_POSITIONS_API_H
#define MINIENC_POSITIONS_API_H

#include <stddef.h>

/* Rows of D numbers, contiguous, as (N, T, H, D): each pair (x_i, x_(i + D/2)) of a row is turned by
   the angle whose cosine and sine stand in row t of c and s, or turned back. */
struct rotation {
    ptrdiff_t N, T, H, D;
    int back;
    const void *x;
    const void *c, *s; /* (T, D / 2) */
    void *y;
};

#define POSITIONS_FUNCTIONS(F) \
    F(rotation, rotation)

#endif
