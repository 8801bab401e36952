/* The functions of sweep.h and rows.h in the table of kernels.h, and their structs of arguments. */
#ifndef MINIENC_POINTWISE_API_H
#define MINIENC_POINTWISE_API_H

#include <stddef.h>
#include <stdint.h>

/* One pass over n numbers of up to four arrays, all contiguous. */
enum sweep_operation {
    SWEEP_ACTIVATE, /* y = f(x)                          x, y */
    SWEEP_SLOPE,    /* dx = f'(x) dy                     dy, y (gelu: x), dx */
    SWEEP_SGD,      /* one step of an optimiser          w, g */
    SWEEP_MOMENTUM, /*                                   w, g, velocity */
    SWEEP_NESTEROV, /*                                   w, g, velocity */
    SWEEP_RMSPROP,  /*                                   w, g, s */
    SWEEP_ADAGRAD,  /*                                   w, g, s */
    SWEEP_ADAM,     /*                                   w, g, m, v */
    SWEEP_ADAMW,    /*                                   w, g, m, v */
    SWEEP_SCALE,    /* y = c x                           x, y */
    SWEEP_SQUARES,  /* the sum of x^2 of each block      x */
    SWEEP_ELEMENTARY /* y = exp(x), ...                  x, y */
};
#define SWEEP_ARRAYS 4
#define SWEEP_NUMBERS 8
#define SWEEP_BLOCK ((ptrdiff_t)16384) /* numbers of a task; the cache holds four such arrays */

enum elementary { ELEMENTARY_EXP, ELEMENTARY_EXPM1, ELEMENTARY_LOG, ELEMENTARY_LOG1P };

struct sweep {
    int operation, code; /* code: which activation, or which elementary function */
    int flush;           /* a step may take subnormal numbers for 0: subnormal.h */
    ptrdiff_t n;
    void *arrays[SWEEP_ARRAYS];
    double *sums; /* of each block: SWEEP_SQUARES */
    double numbers[SWEEP_NUMBERS]; /* the operation's constants, in the order of sweep.h */
};

/* The functions that need whole rows: softmax and the losses. N rows of D numbers, contiguous. */
enum rows_operation {
    ROWS_SOFTMAX,          /* out = softmax(y) */
    ROWS_SOFTMAX_SLOPE,    /* out = dx, from y (softmax's output) and target = dy */
    ROWS_SQUARED,          /* l = 1/D sum (y - t)^2, out = y - t */
    ROWS_SQUARED_SLOPE,    /* out = dl 2/D y, y the difference */
    ROWS_BINARY,           /* l = 1/D sum of cross-entropies of sigmoid(y), out = dy or NULL */
    ROWS_BINARY_SLOPE,     /* out = dy */
    ROWS_BINARY_P,         /* the same of probabilities y */
    ROWS_BINARY_P_SLOPE,
    ROWS_CATEGORICAL,      /* l = cross-entropy of softmax(y), labels or target; out = dy or NULL */
    ROWS_CATEGORICAL_SLOPE,
    ROWS_CATEGORICAL_P,    /* the same of probabilities y */
    ROWS_CATEGORICAL_P_SLOPE
};

struct rows {
    int operation;
    ptrdiff_t N, D;
    const void *y, *target;
    const int64_t *labels; /* (N) or NULL; each is from 0 to D - 1 */
    const void *dl;        /* (N): the loss's derivative by l */
    double smoothing;      /* of labels: s/D of the target is spread over all D numbers */
    void *losses;          /* (N): l of each row */
    void *out;             /* (N, D) */
};

#define POINTWISE_FUNCTIONS(F) \
    F(sweep, sweep) \
    F(rows, rows)

#endif
