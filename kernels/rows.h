/* Functions of whole rows: softmax and the losses, each with its gradient.

   A row is read once or twice while it is in the cache, and the threads share the rows. Each sum is
   made in an order of its own (sums.h), so the result's bits do not depend on their number. */

static inline REAL NAME(largest)(const REAL *y, ptrdiff_t D)
{
    VEC most = SPLAT(-(REAL)INFINITY);
    EACH_VECTOR(
        const VEC x = PART(y, -(REAL)INFINITY);
        most = SELECT(x > most, x, most))
    return NAME(most_of_lanes)(most);
}

/* sum exp(y - shift), no term less than exp(lowest), and the terms themselves to `out` unless it is NULL. */
static inline REAL NAME(sum_of_exp)(const REAL *y, REAL shift, REAL lowest, REAL *out, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC e = NAME(vexp_from)(PART(y, -(REAL)INFINITY) - shift, lowest);
        NAME(add)(&sum, e, n);
        if (out != NULL)
            PUT(out, e))
    return (REAL)NAME(flush)(&sum);
}

/* WHAT IS TOO SMALL. Where a network has learned something by heart, the gradient of what is right
   shrinks towards 0 and past LEAST, below which numbers have fewer digits and an x86 processor takes
   some hundred times as long to multiply one (subnormal.h). So a gradient of logits that is smaller
   than twice LEAST is 0, and what would lead to it is not computed:

   - an exponential is LEAST at least, where no factor makes it larger;
   - a slope that would be too small by the time its factor is applied is 0.

   The gradient is off by twice LEAST at most, a loss that is made with it by LEAST. */
#define LEAST ((REAL)EITHER(0x1p-126, 0x1p-1022))
#define LOG_LEAST ((REAL)EITHER(-87.3365, -708.396)) /* exp of it is LEAST, or a little more */

static inline REAL NAME(size_of)(REAL x) { return x < 0 ? -x : x; }
static inline REAL NAME(lowest_for)(REAL factor)
{
    return NAME(size_of)(factor) <= 1 ? LOG_LEAST : EXP_LOWEST;
}
static inline VEC NAME(unless_below)(VEC x, REAL least)
{
    return SELECT(NAME(vabs)(x) < least, SPLAT(0), x); /* NaN stays */
}

static inline REAL NAME(log_of_one)(REAL x) { return NAME(vlog)(SPLAT(x))[0]; }

/* Probabilities are held between these two, see functions/losses.py. */
#define P_LOW ((REAL)1e-7)
#define P_HIGH ((REAL)(1 - 1e-7))
static inline VEC NAME(held)(VEC y) { return NAME(at_most)(NAME(at_least)(y, P_LOW), P_HIGH); }
static inline VEC NAME(is_within)(VEC p, VEC y) { return SELECT(p == y, SPLAT(1), SPLAT(0)); }

static void NAME(row_softmax)(const REAL *y, REAL *out, ptrdiff_t D)
{
    const REAL per_sum = 1 / NAME(sum_of_exp)(y, NAME(largest)(y, D), EXP_LOWEST, out, D);
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

/* dy = dl/D (sigmoid(z) - t), given e = exp(-|z|): sigmoid(z) is 1 / (1 + e), or e / (1 + e) below 0. */
static inline VEC NAME(binary_slope)(VEC z, VEC e, VEC t, REAL each, REAL least)
{
    return each * NAME(unless_below)(SELECT(z < 0, e, SPLAT(1)) / (1 + e) - t, least);
}

/* The loss of logits and, unless dy is NULL, its gradient: both need e, and the row is at hand. */
static REAL NAME(row_binary)(const REAL *y, const REAL *t, REAL dl, REAL *dy, ptrdiff_t D)
{
    const REAL each = dl / (REAL)D, least = 2 * LEAST / NAME(size_of)(each);
    const REAL lowest = dy == NULL ? EXP_LOWEST : NAME(lowest_for)(each);
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC z = PART(y, 0), e = NAME(vexp_from)(-NAME(vabs)(z), lowest), target = PART(t, 0);
        const VEC terms = SELECT(z < 0, SPLAT(0), z) - target * z + NAME(log_one_plus_exp)(e);
        NAME(add)(&sum, terms, n);
        if (dy != NULL)
            PUT(dy, NAME(binary_slope)(z, e, target, each, least)))
    return (REAL)(NAME(flush)(&sum) / (double)D);
}

static void NAME(row_binary_slope)(const REAL *y, const REAL *t, REAL dl, REAL *dy, ptrdiff_t D)
{
    const REAL each = dl / (REAL)D, least = 2 * LEAST / NAME(size_of)(each);
    const REAL lowest = NAME(lowest_for)(each);
    EACH_VECTOR(
        const VEC z = PART(y, 0), e = NAME(vexp_from)(-NAME(vabs)(z), lowest);
        PUT(dy, NAME(binary_slope)(z, e, PART(t, 0), each, least)))
}

static REAL NAME(row_binary_p)(const REAL *y, const REAL *target, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(
        const VEC p = NAME(held)(PART(y, 0)), t = PART(target, 0);
        NAME(add)(&sum, -(t * NAME(vlog)(p) + (1 - t) * NAME(vlog1p)(-p)), n))
    return (REAL)(NAME(flush)(&sum) / (double)D);
}

static inline REAL NAME(mean_of)(const REAL *y, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0};
    EACH_VECTOR(NAME(add)(&sum, PART(y, 0), n))
    return (REAL)(NAME(flush)(&sum) / (double)D);
}

/* The loss of logits, with its gradient p sum t - t, where p = exp(z - most) / sum; the exponentials lie
   in dy meanwhile. NULL for dy: the loss alone. A label stands for t = 1 - s there, and s/D everywhere. */
static REAL NAME(row_categorical)(const REAL *y, const REAL *t, const int64_t *label, REAL s, REAL dl,
                                  REAL *dy, ptrdiff_t D)
{
    struct NAME(sum) sum = {{0}, 0, 0}, t_sum = {{0}, 0, 0};
    if (label == NULL)
        EACH_VECTOR(NAME(add)(&t_sum, PART(t, 0), n))
    const REAL total = label == NULL ? (REAL)NAME(flush)(&t_sum) : 1;
    const REAL most = NAME(largest)(y, D);
    const REAL lowest = dy == NULL ? EXP_LOWEST : NAME(lowest_for)(dl * total);
    const REAL exp_sum = NAME(sum_of_exp)(y, most, lowest, dy, D);
    const REAL log_sum = NAME(log_of_one)(exp_sum), per_sum = 1 / exp_sum;
    const REAL least = 2 * LEAST / NAME(size_of)(dl * (per_sum * total));
    if (label != NULL) {
        if (dy != NULL) {
            const REAL e = NAME(size_of)(dy[*label]) < least ? 0 : dy[*label];
            EACH_VECTOR(PUT(dy, dl * (NAME(unless_below)(PART(dy, 0), least) * per_sum - s / (REAL)D)))
            dy[*label] = dl * (e * per_sum - ((1 - s) + s / (REAL)D));
        }
        const REAL l = log_sum - (y[*label] - most);
        return s == 0 ? l : (1 - s) * l + s * (log_sum - (NAME(mean_of)(y, D) - most));
    }
    EACH_VECTOR(NAME(add)(&sum, PART(t, 0) * (log_sum - (PART(y, 0) - most)), n))
    if (dy != NULL) {
        EACH_VECTOR(
            const VEC e = NAME(unless_below)(PART(dy, 0), least);
            PUT(dy, dl * (e * (per_sum * total) - PART(t, 0))))
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
    const REAL smoothing = (REAL)s->smoothing;
    switch (s->operation) {
    case ROWS_SOFTMAX: NAME(row_softmax)(y, out, D); break;
    case ROWS_SOFTMAX_SLOPE: NAME(row_softmax_slope)(y, t, out, D); break;
    case ROWS_SQUARED: *l = NAME(row_squared)(y, t, out, D); break;
    case ROWS_SQUARED_SLOPE:
        EACH_VECTOR(PUT(out, dl * PART(y, 0) * (REAL)(2.0 / (double)D)))
        break;
    case ROWS_BINARY: *l = NAME(row_binary)(y, t, dl, out, D); break;
    case ROWS_BINARY_SLOPE: NAME(row_binary_slope)(y, t, dl, out, D); break;
    case ROWS_BINARY_P: *l = NAME(row_binary_p)(y, t, D); break;
    case ROWS_BINARY_P_SLOPE:
        EACH_VECTOR(
            const VEC x = PART(y, 0), p = NAME(held)(x);
            PUT(out, dl / (REAL)D * (p - PART(t, 0)) / (p * (1 - p)) * NAME(is_within)(p, x)))
        break;
    case ROWS_CATEGORICAL: *l = NAME(row_categorical)(y, t, label, smoothing, dl, out, D); break;
    case ROWS_CATEGORICAL_SLOPE: NAME(row_categorical)(y, t, label, smoothing, dl, out, D); break;
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
    for (ptrdiff_t i = block * size; i < (block + 1) * size && i < s->N; i++)
        NAME(one_row)(s, i);
}

static int NAME(rows)(const struct rows *s)
{
    const ptrdiff_t size = NAME(rows_of_block)(s);
    const int blocks = (int)((s->N + size - 1) / size);
    if (blocks >= 4)
        parallel_run(NAME(rows_task), (void *)s, blocks);
    else
        for (int i = 0; i < blocks; i++)
            NAME(rows_task)((void *)s, i);
    return 0;
}
