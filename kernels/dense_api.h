/* The dense layer's functions in the table of kernels.h, and their structs of arguments. */
#ifndef MINIENC_DENSE_API_H
#define MINIENC_DENSE_API_H

#include <stddef.h>

/* A matrix of any layout: element (i, j) is data[i * row + j * column]. Strides count elements, not
   bytes, and may be negative or 0; a transposed matrix has its two strides exchanged. */
struct matrix {
    void *data;
    ptrdiff_t row, column;
};

/* y = f(x W + b). The outputs' columns lie side by side (column stride 1). */
struct dense_forward {
    ptrdiff_t N, D, M;
    struct matrix x, W;  /* (N, D), (D, M) */
    const void *b;       /* (M) side by side, or NULL */
    int activation;
    double alpha;
    struct matrix y;     /* (N, M) */
    struct matrix z;     /* (N, M) for gelu, which keeps x W + b; else data is NULL */
};

/* dz = f'(z) dy, then dx = dz W', dW = x' dz, db = sum of dz's rows. What has data NULL is left
   out; dW and db are added to what stands there if add is 1. dy, y and dx have column stride 1, dW
   has one stride of 1. */
struct dense_backward {
    ptrdiff_t N, D, M;
    struct matrix dy, x, W;
    struct matrix y;     /* what the activation kept: its output or, for gelu, z */
    int activation;
    double alpha;
    struct matrix dx, dW;
    void *db;
    int add;
};

/* C = A B, or C += A B: the matrix product by itself. */
struct product {
    ptrdiff_t M, N, K;
    struct matrix a, b, c;
    int add;
};

#define DENSE_FUNCTIONS(F) \
    F(dense_forward, dense_forward) \
    F(dense_backward, dense_backward) \
    F(product, product)

#endif
