/* Layer and root mean square normalisation: each row by its own numbers. (functions/normalization.py
   and rms_normalization.py)

   NumPy makes a pass over memory for every mean, difference and product. A row is short: here all of
   it happens while the row is in the nearest cache. Mean and variance take two passes over it, for
   mean x^2 - mean^2 would lose the digits of a small variance beside a large mean.

   dgamma and dbeta are sums over rows: of blocks of rows, the blocks' sums in their order, so the
   bits do not depend on the number of threads. */

#define NORM_BLOCK ((ptrdiff_t)64) /* rows */

struct NAME(norming) {
    const struct norm *p;
    REAL *sums; /* (blocks, 2, D): of dy x_hat and of dy; or NULL */
};

static void NAME(norm_row)(const struct norm *p, ptrdiff_t i)
{
    const ptrdiff_t D = p->D;
    const REAL *x = (const REAL *)p->x + i * D, *gamma = p->gamma, *beta = p->beta;
    REAL *y = (REAL *)p->y + i * D, *x_hat = (REAL *)p->x_hat + i * D;
    VEC sum = {0}, squares = {0};
    if (p->centred)
        EACH_VECTOR(sum += PART(x, 0))
    const REAL mean = NAME(sum_of_lanes)(sum) / (REAL)D;
    EACH_VECTOR(
        const VEC centred = PART(x, mean) - mean; /* 0 behind the end */
        squares += centred * centred)
    const REAL variance = NAME(sum_of_lanes)(squares) / (REAL)D;
    const REAL scale = (1 / NAME(vsqrt)(SPLAT(variance + (REAL)p->epsilon)))[0];
    ((REAL *)p->scale)[i] = scale;
    EACH_VECTOR(
        const VEC normal = (PART(x, mean) - mean) * scale;
        const VEC wide = gamma == NULL ? normal : normal * PART(gamma, 0);
        PUT(x_hat, normal);
        PUT(y, beta == NULL ? wide : wide + PART(beta, 0)))
}

static void NAME(norm_slope_row)(const struct norm *p, ptrdiff_t i, REAL *sums)
{
    const ptrdiff_t D = p->D;
    const REAL *x_hat = (const REAL *)p->x_hat + i * D, *dy = (const REAL *)p->dy + i * D;
    const REAL *gamma = p->gamma;
    REAL *dx = (REAL *)p->dx + i * D;
    VEC sum = {0}, slopes = {0};
    EACH_VECTOR(
        const VEC d = PART(dy, 0), normal = PART(x_hat, 0);
        const VEC dx_hat = gamma == NULL ? d : d * PART(gamma, 0);
        sum += dx_hat;
        slopes += dx_hat * normal;
        if (sums != NULL) {
            PUT(sums, PART(sums, 0) + d * normal);
            PUT(sums + D, PART(sums + D, 0) + d);
        })
    const REAL mean = p->centred ? NAME(sum_of_lanes)(sum) / (REAL)D : 0;
    const REAL slope = NAME(sum_of_lanes)(slopes) / (REAL)D, scale = ((const REAL *)p->scale)[i];
    EACH_VECTOR(
        const VEC dx_hat = gamma == NULL ? PART(dy, 0) : PART(dy, 0) * PART(gamma, 0);
        PUT(dx, scale * (dx_hat - mean - PART(x_hat, 0) * slope)))
}

static void NAME(norm_task)(void *context, int block)
{
    const struct norm *p = context;
    const ptrdiff_t end = NAME(least)(p->N, (block + 1) * NORM_BLOCK);
    for (ptrdiff_t i = block * NORM_BLOCK; i < end; i++)
        NAME(norm_row)(p, i);
}

static void NAME(norm_slope_task)(void *context, int block)
{
    const struct NAME(norming) *s = context;
    const ptrdiff_t end = NAME(least)(s->p->N, (block + 1) * NORM_BLOCK);
    for (ptrdiff_t i = block * NORM_BLOCK; i < end; i++)
        NAME(norm_slope_row)(s->p, i, s->sums == NULL ? NULL : s->sums + block * 2 * s->p->D);
}

static void NAME(share_rows)(const struct norm *p, void (*task)(void *, int), void *context)
{
    const int blocks = (int)((p->N + NORM_BLOCK - 1) / NORM_BLOCK);
    if (p->N * p->D >= 32768)
        parallel_run(task, context, blocks);
    else
        for (int i = 0; i < blocks; i++)
            task(context, i);
}

static int NAME(norm_forward)(const struct norm *p)
{
    NAME(share_rows)(p, NAME(norm_task), (void *)p);
    return 0;
}

static int NAME(norm_backward)(const struct norm *p)
{
    const ptrdiff_t blocks = (p->N + NORM_BLOCK - 1) / NORM_BLOCK, D = p->D;
    struct NAME(norming) s = {.p = p};
    if (p->dgamma != NULL || p->dbeta != NULL) {
        s.sums = calloc((size_t)((blocks + 1) * 2 * D), sizeof(REAL));
        if (s.sums == NULL)
            return -1;
    }
    NAME(share_rows)(p, NAME(norm_slope_task), &s);
    if (s.sums != NULL) {
        REAL *total = s.sums + blocks * 2 * D;
        for (ptrdiff_t i = 0; i < blocks * 2 * D; i++)
            total[i % (2 * D)] += s.sums[i];
        if (p->dgamma != NULL)
            memcpy(p->dgamma, total, (size_t)D * sizeof(REAL));
        if (p->dbeta != NULL)
            memcpy(p->dbeta, total + D, (size_t)D * sizeof(REAL));
    }
    free(s.sums);
    return 0;
}

/* An embedding's gradient: a row that was copied to several places receives the sum. */
static int NAME(add_rows)(const struct added_rows *p)
{
    const ptrdiff_t D = p->D;
    for (ptrdiff_t n = 0; n < p->N; n++) {
        const int64_t id = p->ids[n];
        if (id < 0 || id >= p->V)
            return -2;
        const REAL *row = (const REAL *)p->rows + n * D;
        REAL *to = (REAL *)p->table + id * D;
        EACH_VECTOR(PUT(to, PART(to, 0) + PART(row, 0)))
    }
    return 0;
}

static int NAME(take_rows)(const struct taken_rows *p)
{
    for (ptrdiff_t n = 0; n < p->N; n++) {
        const int64_t id = p->ids[n];
        if (id < 0 || id >= p->V)
            return -2;
        memcpy((REAL *)p->rows + n * p->D, (const REAL *)p->table + id * p->D,
               (size_t)p->D * sizeof(REAL));
    }
    return 0;
}
