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

struct put { /* total = x, or total += x */
    ptrdiff_t n;
    int add;
    const void *x;
    void *total;
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

#define BETWEEN_FUNCTIONS(F) \
    F(fill, fill)            \
    F(put, put)              \
    F(dot, dot)              \
    F(labels, labels)

#endif
