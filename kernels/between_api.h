/* What stands between the large functions of a training step, and its place in the table of
   kernels.h: so that a step can be noted as calls of kernels alone (plan.h). */
#ifndef MINIENC_BETWEEN_API_H
#define MINIENC_BETWEEN_API_H

#include <stddef.h>
#include <stdint.h>

struct fill { /* n numbers become this one */
    ptrdiff_t n;
    double value;
    void *out;
};

struct copy { /* y = x */
    ptrdiff_t n;
    const void *x;
    void *y;
};

struct three {
    ptrdiff_t a, b, c;
};

struct place { /* y = x, or y += x, of three axes with strides of their own; no x: y = 0 */
    struct three n, x_step, y_step;
    int add;
    const void *x;
    void *y;
};

struct plus { /* y = a + c b */
    ptrdiff_t n;
    double c;
    const void *a, *b;
    void *y;
};

struct times { /* y = c a b */
    ptrdiff_t n;
    double c;
    const void *a, *b;
    void *y;
};

struct dot { /* the sum of a b, in double whatever the type: a loss of the losses of rows */
    ptrdiff_t n;
    const void *a, *b;
    double *out;
};

struct labels { /* each is from 0 to D - 1, for it will be an index; else the function returns -2 */
    ptrdiff_t n, D;
    const int64_t *labels;
};

struct counted { /* labels of a loss, of which those that are `ignored` become 0 and count 0 */
    ptrdiff_t n;
    int64_t ignored;
    int mean; /* the others count 1 / how many they are; else 1 */
    const int64_t *labels;
    int64_t *kept;
    void *factors;
};

/* Noise of minienc/functions/noise.py, from n numbers that were drawn: float, whatever the type. */
enum noise_kind {
    NOISE_MASKING,         /* mask = 1 where drawn >= rate, else 0;  y = x mask */
    NOISE_DROPOUT,         /* the same with 1 / (1 - rate) in the place of 1 */
    NOISE_SALT_AND_PEPPER, /* y = x mask + (1 where drawn < rate / 2, else 0) */
    NOISE_GAUSSIAN,        /* y = x + rate drawn */
    NOISE_SLOPE            /* y = x mask: the backward of all but the last */
};

struct noise {
    ptrdiff_t n;
    int kind;
    double rate;
    const void *x;
    const float *drawn;
    void *mask, *y;
};

#define BETWEEN_FUNCTIONS(F) \
    F(fill, fill)            \
    F(copy, copy)            \
    F(place, place)          \
    F(plus, plus)            \
    F(times, times)          \
    F(dot, dot)              \
    F(labels, labels)        \
    F(counted, counted)      \
    F(noise, noise)

#endif
