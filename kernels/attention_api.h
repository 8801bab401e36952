/* Attention in the table of kernels.h, and its struct of arguments. */
#ifndef MINIENC_ATTENTION_API_H
#define MINIENC_ATTENTION_API_H

#include <stddef.h>
#include <stdint.h>

/* The rows of N x H heads: row t of head (n, h) begins at data[n * sample + h * head + t * row]. */
struct heads {
    void *data;
    ptrdiff_t sample, head, row;
};

/* y = softmax(q k' / sqrt(D)) v of each head, over the keys that a query may see: with `causal` none
   after its own place, where the queries are the last T of S places; with `lengths` none behind
   their end. Backward: dq, dk, dv from dy and the weights p. */
struct attention {
    ptrdiff_t N, H, T, S, D, M;
    int causal;
    const int64_t *lengths; /* (N), each from 0 to S, or NULL */
    struct heads q, k, v;   /* T x D, S x D, S x M */
    struct heads y;         /* T x M; in the backward dy */
    void *p;                /* (N, H, T, S), contiguous */
    struct heads dq, dk, dv;
};

#define ATTENTION_FUNCTIONS(F) \
    F(attention_forward, attention) \
    F(attention_backward, attention)

#endif
