/* The recurrent networks in the table of kernels.h, and their struct of arguments. */
#ifndef MINIENC_RECURRENT_API_H
#define MINIENC_RECURRENT_API_H

#include <stddef.h>
#include <stdint.h>

#include "dense_api.h" /* struct matrix */

/* LSTM: gates i f g o. GRU: gates z r n, the reset after the product. RNN: f(x W + h U + b). */
enum recurrent_kind { RECURRENT_LSTM, RECURRENT_GRU, RECURRENT_RNN };

/* A whole sequence, forward or backward. G gates of M units each; arrays without a comment on their
   layout are contiguous, and what has NULL is left out. `padded` is M in whole vectors. */
struct recurrent {
    int kind;
    int activation; /* f of the RNN */
    double alpha;
    ptrdiff_t N, T, D, M, padded;
    const void *x;                /* (N, T, D) */
    struct matrix W, U;           /* (D, G M), (M, G M) */
    const void *b, *v;            /* (G M): of x W, of h U (GRU) */
    struct matrix h0, c0;         /* (N, M), their columns side by side; in the backward dh0, dc0 */
    const int64_t *lengths;       /* (N), each from 0 to T */

    /* What the forward leaves to the backward, time first, one row for each sample. */
    void *inputs;                 /* (T + 1, N, input_row): h before the step, then x_t */
    void *gates;                  /* (T, N, gate_row): the slots of cells.h, `padded` numbers each */
    void *memory;                 /* (T + 1, N, padded): LSTM's c before the step */
    ptrdiff_t input_row, gate_row;

    void *y;                      /* (N, T, M); in the backward what it is owed */
    struct matrix h, c;           /* (N, M), the last states; in the backward what they are owed */
    void *dz;                     /* (T, N, gate_row): room for the backward */
    void *dx, *dW, *dU, *db, *dv; /* gradients, of the shapes of x, W, U, b, v */
};

#define RECURRENT_FUNCTIONS(F) \
    F(recurrent_forward, recurrent) \
    F(recurrent_backward, recurrent)

#endif
