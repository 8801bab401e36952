/* Functions that go through their arrays once: activations, optimiser steps, softmax, the losses.

   NumPy makes one pass over memory for each +, * and exp, with a temporary array between them. Here
   everything that is done to a number is done while it is in a register. Two forms cover them all:

       sweep   one number depends on the numbers at the same place in other arrays
       rows    a row's softmax or loss depends on the whole row

   Arrays are cut into blocks that depend on n alone, which the threads share; a sum over more than
   one block (the squares of a gradient) is the sum of the blocks' sums, in their order. So the
   result's bits do not depend on the number of threads. */

/* The last vector of an array or a row may reach past its end: so n <= LANES numbers are read by
   way of a buffer, the others taken as `rest`. Where n is the constant LANES, the branch is gone. */
static inline __attribute__((always_inline)) VEC NAME(load_part)(const REAL *p, ptrdiff_t n, REAL rest)
{
    if (n >= LANES)
        return LOAD(p);
    REAL buffer[LANES];
    for (int l = 0; l < LANES; l++)
        buffer[l] = l < n ? p[l] : rest;
    return LOAD(buffer);
}

static inline __attribute__((always_inline)) void NAME(store_part)(REAL *p, VEC x, ptrdiff_t n)
{
    if (n >= LANES) {
        STORE(p, x);
        return;
    }
    REAL buffer[LANES];
    STORE(buffer, x);
    for (ptrdiff_t l = 0; l < n; l++)
        p[l] = buffer[l];
}

/* ------------------------------------------------------------------------------------- sweeps */

/* n <= LANES numbers of each array, from number i on. c: the operation's constants. */
static inline __attribute__((always_inline)) void NAME(sweep_vector)(
    const int operation, const int code, REAL *const *arrays, const REAL *c, ptrdiff_t i,
    const ptrdiff_t n)
{
#define ARRAY(k) NAME(load_part)(arrays[k] + i, n, 1)
#define PUT(k, x) NAME(store_part)(arrays[k] + i, x, n)
    const VEC x = ARRAY(0);
    switch (operation) {
    case SWEEP_ACTIVATE: { /* c = alpha */
        if (code != ACT_GELU) {
            PUT(1, NAME(activate)(code, x, c[0]));
            break;
        }
        VEC t;
        PUT(1, NAME(vgelu)(x, &t));
        PUT(2, t);
        break;
    }
    case SWEEP_SLOPE: /* c = alpha */
        if (code == ACT_GELU)
            PUT(2, NAME(gelu_slope_times)(x, ARRAY(1), ARRAY(3)));
        else
            PUT(2, NAME(slope_times)(code, x, ARRAY(1), c[0]));
        break;
    /* An optimiser's steps: c[0] is what clipping scales the gradient with. */
    case SWEEP_SGD: /* c[1] = lr */
        PUT(0, x - c[1] * (c[0] * ARRAY(1)));
        break;
    case SWEEP_MOMENTUM: { /* c[1 ...] = lr, momentum */
        const VEC v = c[2] * ARRAY(2) - c[1] * (c[0] * ARRAY(1));
        PUT(2, v);
        PUT(0, x + v);
        break;
    }
    case SWEEP_NESTEROV: {
        const VEC step = c[1] * (c[0] * ARRAY(1)), v = c[2] * ARRAY(2) - step;
        PUT(2, v);
        PUT(0, x + c[2] * v - step);
        break;
    }
    case SWEEP_RMSPROP: { /* c[1 ...] = lr, rho, 1 - rho, epsilon */
        const VEC g = c[0] * ARRAY(1), s = c[2] * ARRAY(2) + c[3] * (g * g);
        PUT(2, s);
        PUT(0, x - c[1] * g / NAME(vsqrt)(s + c[4]));
        break;
    }
    case SWEEP_ADAGRAD: { /* c[1 ...] = lr, epsilon */
        const VEC g = c[0] * ARRAY(1), s = ARRAY(2) + g * g;
        PUT(2, s);
        PUT(0, x - c[1] * g / NAME(vsqrt)(s + c[2]));
        break;
    }
    case SWEEP_ADAM: /* c[1 ...] = beta_1, 1 - beta_1, beta_2, 1 - beta_2, a, epsilon */
    case SWEEP_ADAMW: { /* and lr weight_decay, of w itself */
        const VEC g = c[0] * ARRAY(1);
        const VEC m = c[1] * ARRAY(2) + c[2] * g;
        const VEC v = c[3] * ARRAY(3) + c[4] * (g * g);
        const VEC decayed = operation == SWEEP_ADAMW ? x - c[7] * x : x;
        PUT(2, m);
        PUT(3, v);
        PUT(0, decayed - c[5] * m / (NAME(vsqrt)(v) + c[6]));
        break;
    }
    case SWEEP_SCALE: /* c = the factor */
        PUT(1, c[0] * x);
        break;
    case SWEEP_ELEMENTARY:
        PUT(1, code == ELEMENTARY_EXP     ? NAME(vexp)(x)
               : code == ELEMENTARY_EXPM1 ? NAME(vexpm1)(x)
               : code == ELEMENTARY_LOG   ? NAME(vlog)(x)
                                          : NAME(vlog1p)(x));
        break;
    }
#undef ARRAY
#undef PUT
}

/* One block; inlined once for each operation and code, which are constants then. */
static inline __attribute__((always_inline)) void NAME(sweep_block)(
    const int operation, const int code, const struct sweep *s, ptrdiff_t i, ptrdiff_t end)
{
    REAL *arrays[SWEEP_ARRAYS];
    REAL c[SWEEP_NUMBERS];
    for (int k = 0; k < SWEEP_ARRAYS; k++)
        arrays[k] = s->arrays[k];
    for (int k = 0; k < SWEEP_NUMBERS; k++)
        c[k] = (REAL)s->numbers[k];
    for (; i + LANES <= end; i += LANES)
        NAME(sweep_vector)(operation, code, arrays, c, i, LANES);
    if (i < end)
        NAME(sweep_vector)(operation, code, arrays, c, i, end - i);
}

static __attribute__((noinline)) void NAME(sweep_any)(const struct sweep *s, ptrdiff_t i,
                                                      ptrdiff_t end)
{
#define ONE(operation, code)                              \
    case code:                                            \
        NAME(sweep_block)(operation, code, s, i, end);    \
        return;
#define ACTIVATIONS(operation)                                                                   \
    case operation:                                                                              \
        switch (s->code) {                                                                       \
            ONE(operation, ACT_RELU) ONE(operation, ACT_LEAKY_RELU) ONE(operation, ACT_ELU)      \
            ONE(operation, ACT_SIGMOID) ONE(operation, ACT_TANH) ONE(operation, ACT_SOFTPLUS)    \
            ONE(operation, ACT_GELU)                                                             \
        }                                                                                        \
        return;
#define PLAIN(operation)                          \
    case operation:                               \
        NAME(sweep_block)(operation, 0, s, i, end); \
        return;
    switch (s->operation) {
        ACTIVATIONS(SWEEP_ACTIVATE)
        ACTIVATIONS(SWEEP_SLOPE)
        PLAIN(SWEEP_SGD)
        PLAIN(SWEEP_MOMENTUM)
        PLAIN(SWEEP_NESTEROV)
        PLAIN(SWEEP_RMSPROP)
        PLAIN(SWEEP_ADAGRAD)
        PLAIN(SWEEP_ADAM)
        PLAIN(SWEEP_ADAMW)
        PLAIN(SWEEP_SCALE)
    case SWEEP_ELEMENTARY:
        switch (s->code) {
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_EXP)
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_EXPM1)
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_LOG)
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_LOG1P)
        }
    }
#undef ONE
#undef ACTIVATIONS
#undef PLAIN
}

/* The sum of D squares, of one block; the blocks' sums are added up in their order. */
static double NAME(squares)(const REAL *g, ptrdiff_t D);

static void NAME(sweep_task)(void *context, int block)
{
    const struct sweep *s = context;
    const ptrdiff_t i = block * SWEEP_BLOCK;
    const ptrdiff_t end = i + SWEEP_BLOCK < s->n ? i + SWEEP_BLOCK : s->n;
    if (s->operation == SWEEP_SQUARES) {
        s->sums[block] = NAME(squares)((const REAL *)s->arrays[0] + i, end - i);
        return;
    }
    const int is_step = s->operation >= SWEEP_SGD && s->operation <= SWEEP_ADAMW;
    const unsigned mode = is_step ? without_subnormals() : 0;
    NAME(sweep_any)(s, i, end);
    if (is_step)
        with_subnormals(mode);
}

static void NAME(sweep)(const struct sweep *s)
{
    const int blocks = (int)((s->n + SWEEP_BLOCK - 1) / SWEEP_BLOCK);
    if (blocks >= 4) /* below that, waking a thread takes longer than it saves */
        parallel_run(NAME(sweep_task), (void *)s, blocks);
    else
        for (int i = 0; i < blocks; i++)
            NAME(sweep_task)((void *)s, i);
}

/* --------------------------------------------------------------------------------------- rows */

/* Do this for each vector of a row: j is where it begins, n how many of its numbers are the row's. */
#define EACH_VECTOR(...)                          \
    {                                             \
        ptrdiff_t j = 0;                          \
        for (; j + LANES <= D; j += LANES) {      \
            const ptrdiff_t n = LANES;            \
            __VA_ARGS__;                          \
        }                                         \
        if (j < D) {                              \
            const ptrdiff_t n = D - j;            \
            __VA_ARGS__;                          \
        }                                         \
    }
#define PART(p, rest) NAME(load_part)((p) + j, n, rest)
#define PUT(p, x) NAME(store_part)((p) + j, x, n)

/* A sum over a row: each lane sums every LANES-th number, 32 of them at most; these sums are added
   up in double. NumPy's pairwise summation adds 128 numbers in a chain of 16, so it errs no less. */
struct NAME(sum) {
    VEC lanes;
    double total;
    int count;
};

static inline __attribute__((always_inline)) double NAME(flush)(struct NAME(sum) *s)
{
    for (int l = 0; l < LANES; l++)
        s->total += s->lanes[l];
    s->lanes = SPLAT(0);
    s->count = 0;
    return s->total;
}

/* Add the first n numbers of x. */
static inline __attribute__((always_inline)) void NAME(add)(struct NAME(sum) *s, VEC x, ptrdiff_t n)
{
    if (n < LANES) {
        REAL part[LANES];
        STORE(part, x);
        x = NAME(load_part)(part, n, 0);
    }
    s->lanes += x;
    if (++s->count == 32)
        NAME(flush)(s);
}

static double NAME(squares)(const REAL *g, ptrdiff_t D)
{
    struct NAME(sum) total = {SPLAT(0), 0, 0};
    EACH_VECTOR(const VEC x = PART(g, 0); NAME(add)(&total, x * x, n))
    return NAME(flush)(&total);
}

static inline REAL NAME(largest)(const REAL *y, ptrdiff_t D)
{
    VEC most = SPLAT(-(REAL)INFINITY);
    EACH_VECTOR(
        const VEC x = PART(y, -(REAL)INFINITY);
        most = SELECT(x > most, x, most))
    REAL m = most[0];
    for (int l = 1; l < LANES; l++)
        m = most[l] > m ? most[l] : m;
    return m;
}

/* sum exp(y - shift), and the terms themselves to `out` unless it is NULL. */
static inline REAL NAME(sum_of_exp)(const REAL *y, REAL shift, REAL *out, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC e = NAME(vexp_below)(PART(y, -(REAL)INFINITY) - shift);
        NAME(add)(&sum, e, n);
        if (out != NULL)
            PUT(out, e))
    return (REAL)NAME(flush)(&sum);
}

static inline REAL NAME(log_of_one)(REAL x) { return NAME(vlog)(SPLAT(x))[0]; }

/* Probabilities are held between these two, see functions/losses.py. */
#define P_LOW ((REAL)1e-7)
#define P_HIGH ((REAL)(1 - 1e-7))
static inline VEC NAME(held)(VEC y) { return NAME(at_most)(NAME(at_least)(y, P_LOW), P_HIGH); }
static inline VEC NAME(is_within)(VEC p, VEC y) { return SELECT(p == y, SPLAT(1), SPLAT(0)); }

static void NAME(row_softmax)(const REAL *y, REAL *out, ptrdiff_t D)
{
    const REAL per_sum = 1 / NAME(sum_of_exp)(y, NAME(largest)(y, D), out, D);
    EACH_VECTOR(PUT(out, PART(out, 0) * per_sum))
}

static void NAME(row_softmax_slope)(const REAL *y, const REAL *dy, REAL *dx, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(NAME(add)(&sum, PART(dy, 0) * PART(y, 0), n))
    const REAL mean = (REAL)NAME(flush)(&sum);
    EACH_VECTOR(PUT(dx, PART(y, 0) * (PART(dy, 0) - mean)))
}

static REAL NAME(row_squared)(const REAL *y, const REAL *t, REAL *e, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC d = PART(y, 0) - PART(t, 0);
        PUT(e, d);
        NAME(add)(&sum, d * d, n))
    return (REAL)(NAME(flush)(&sum) / (double)D);
}

/* The loss of logits and, unless dy is NULL, its gradient: both need e = exp(-|z|), and the row is at
   hand. sigmoid(z) is 1 / (1 + e), or e / (1 + e) below 0. */
static REAL NAME(row_binary)(const REAL *y, const REAL *t, REAL dl, REAL *dy, ptrdiff_t D)
{
    const REAL each = dl / (REAL)D;
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC z = PART(y, 0), e = NAME(vexp_below)(-NAME(vabs)(z)), target = PART(t, 0);
        const VEC terms = SELECT(z < 0, SPLAT(0), z) - target * z + NAME(log_one_plus_exp)(e);
        NAME(add)(&sum, terms, n);
        if (dy != NULL)
            PUT(dy, each * (SELECT(z < 0, e, SPLAT(1)) / (1 + e) - target)))
    return (REAL)(NAME(flush)(&sum) / (double)D);
}

static REAL NAME(row_binary_p)(const REAL *y, const REAL *target, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC p = NAME(held)(PART(y, 0)), t = PART(target, 0);
        NAME(add)(&sum, -(t * NAME(vlog)(p) + (1 - t) * NAME(vlog1p)(-p)), n))
    return (REAL)(NAME(flush)(&sum) / (double)D);
}

/* The loss of logits, with its gradient p sum t - t, where p = exp(z - most) / sum; the exponentials lie
   in dy meanwhile. NULL for dy: the loss alone. */
static REAL NAME(row_categorical)(const REAL *y, const REAL *t, const int64_t *label, REAL dl, REAL *dy,
                                  ptrdiff_t D)
{
    const REAL most = NAME(largest)(y, D), exp_sum = NAME(sum_of_exp)(y, most, dy, D);
    const REAL log_sum = NAME(log_of_one)(exp_sum), per_sum = 1 / exp_sum;
    if (label != NULL) {
        if (dy != NULL) {
            EACH_VECTOR(PUT(dy, dl * (PART(dy, 0) * per_sum)))
            dy[*label] -= dl;
        }
        return log_sum - (y[*label] - most);
    }
    struct NAME(sum) sum = {{0}, 0, 0}, t_sum = {{0}, 0, 0};
    EACH_VECTOR(
        NAME(add)(&sum, PART(t, 0) * (log_sum - (PART(y, 0) - most)), n);
        NAME(add)(&t_sum, PART(t, 0), n))
    const REAL total = (REAL)NAME(flush)(&t_sum);
    if (dy != NULL) {
        EACH_VECTOR(PUT(dy, dl * (PART(dy, 0) * (per_sum * total) - PART(t, 0))))
    }
    return (REAL)NAME(flush)(&sum);
}

static REAL NAME(row_categorical_p)(const REAL *y, const REAL *t, const int64_t *label, ptrdiff_t D)
{
    if (label != NULL)
        return -NAME(vlog)(NAME(held)(SPLAT(y[*label])))[0];
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(NAME(add)(&sum, -PART(t, 0) * NAME(vlog)(NAME(held)(PART(y, 0))), n))
    return (REAL)NAME(flush)(&sum);
}

static void NAME(row_categorical_p_slope)(const REAL *y, const REAL *t, const int64_t *label, REAL dl,
                                          REAL *dy, ptrdiff_t D)
{
    EACH_VECTOR(
        const VEC x = PART(y, 0), p = NAME(held)(x);
        const VEC dlog_p = label == NULL ? -dl * PART(t, 0) : SPLAT(0) * dl;
        PUT(dy, dlog_p / p * NAME(is_within)(p, x)))
    if (label != NULL) {
        const VEC x = SPLAT(y[*label]), p = NAME(held)(x);
        dy[*label] = (-dl / p * NAME(is_within)(p, x))[0];
    }
}

static void NAME(one_row)(const struct rows *s, ptrdiff_t i)
{
    const ptrdiff_t D = s->D;
    const REAL *y = (const REAL *)s->y + i * D;
    const REAL *t = s->target == NULL ? NULL : (const REAL *)s->target + i * D;
    const int64_t *label = s->labels == NULL ? NULL : s->labels + i;
    REAL *out = s->out == NULL ? NULL : (REAL *)s->out + i * D;
    REAL *l = s->losses == NULL ? NULL : (REAL *)s->losses + i;
    const REAL dl = s->dl == NULL ? 0 : ((const REAL *)s->dl)[i];
    switch (s->operation) {
    case ROWS_SOFTMAX: NAME(row_softmax)(y, out, D); break;
    case ROWS_SOFTMAX_SLOPE: NAME(row_softmax_slope)(y, t, out, D); break;
    case ROWS_SQUARED: *l = NAME(row_squared)(y, t, out, D); break;
    case ROWS_SQUARED_SLOPE:
        EACH_VECTOR(PUT(out, dl * PART(y, 0) * (REAL)(2.0 / (double)D)))
        break;
    case ROWS_BINARY: *l = NAME(row_binary)(y, t, dl, out, D); break;
    case ROWS_BINARY_SLOPE:
        EACH_VECTOR(PUT(out, dl / (REAL)D * (NAME(vsigmoid)(PART(y, 0)) - PART(t, 0))))
        break;
    case ROWS_BINARY_P: *l = NAME(row_binary_p)(y, t, D); break;
    case ROWS_BINARY_P_SLOPE:
        EACH_VECTOR(
            const VEC x = PART(y, 0), p = NAME(held)(x);
            PUT(out, dl / (REAL)D * (p - PART(t, 0)) / (p * (1 - p)) * NAME(is_within)(p, x)))
        break;
    case ROWS_CATEGORICAL: *l = NAME(row_categorical)(y, t, label, dl, out, D); break;
    case ROWS_CATEGORICAL_SLOPE: NAME(row_categorical)(y, t, label, dl, out, D); break;
    case ROWS_CATEGORICAL_P: *l = NAME(row_categorical_p)(y, t, label, D); break;
    case ROWS_CATEGORICAL_P_SLOPE: NAME(row_categorical_p_slope)(y, t, label, dl, out, D); break;
    }
}

static inline ptrdiff_t NAME(rows_of_block)(const struct rows *s)
{
    return s->D < SWEEP_BLOCK / 2 ? SWEEP_BLOCK / 2 / (s->D > 0 ? s->D : 1) : 1;
}

static void NAME(rows_task)(void *context, int block)
{
    const struct rows *s = context;
    const ptrdiff_t size = NAME(rows_of_block)(s);
    const int is_loss = s->operation != ROWS_SOFTMAX && s->operation != ROWS_SOFTMAX_SLOPE;
    const unsigned mode = is_loss ? without_subnormals() : 0;
    for (ptrdiff_t i = block * size; i < (block + 1) * size && i < s->N; i++)
        NAME(one_row)(s, i);
    if (is_loss)
        with_subnormals(mode);
}

static void NAME(rows)(const struct rows *s)
{
    const ptrdiff_t size = NAME(rows_of_block)(s);
    const int blocks = (int)((s->N + size - 1) / size);
    if (blocks >= 4)
        parallel_run(NAME(rows_task), (void *)s, blocks);
    else
        for (int i = 0; i < blocks; i++)
            NAME(rows_task)((void *)s, i);
}

#undef EACH_VECTOR
#undef PART
#undef PUT
#undef P_LOW
#undef P_HIGH

/* What vmath.h defined. */
#undef EITHER
#undef BITS_INT
#undef BITS
#undef MANTISSA
#undef BIAS
#undef SIGN_BIT
#undef HALF_ROOT_BITS
#undef MAGIC
#undef MAGIC_BITS
#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_HIGHEST
#undef EXP_LOWEST
#undef INTRINSIC
#undef POLYNOMIAL
