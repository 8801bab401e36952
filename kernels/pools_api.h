/* Pools of images in the table of kernels.h, and their struct of arguments. */
#ifndef MINIENC_POOLS_API_H
#define MINIENC_POOLS_API_H

#include <stddef.h>
#include <stdint.h>

/* Windows as in patches_api.h, but for x (N, H, W, C) and y (N, OH, OW, C), contiguous. What lies
   outside of the image takes no part. `which` (N, OH, OW, C) says which pixel of a window was the
   largest. With `mean`, y is the mean of the pixels that the window sees, else their sum. */
struct pool {
    ptrdiff_t N, H, W, C, KH, KW, SH, SW, OH, OW, top, left;
    int mean;
    void *x, *y;
    uint8_t *which;
};

#define POOLS_FUNCTIONS(F)    \
    F(max_pool, pool)         \
    F(max_pool_slope, pool)   \
    F(sum_pool, pool)         \
    F(sum_pool_slope, pool)

#endif
