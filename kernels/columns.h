/* What goes column by column: sums over rows, a bias, batch normalisation. (functions/
   convolution.py, normalization.py)

   Channels are few: rows of 8 or of 3 numbers would leave most of a vector empty. So as many rows are
   read as one as make whole vectors; their sums are folded at the end, and what belongs to a column
   (a mean, gamma) is laid out as often. The threads share blocks of rows; the blocks' sums are added
   in double and in their order, so the bits do not depend on the number of threads. */

#define COLUMN_BLOCK ((ptrdiff_t)64) /* wide rows */

struct NAME(columns) {
    ptrdiff_t n, D, W;            /* n numbers of rows of D, read in rows of W, a multiple of D */
    const REAL *x, *other, *mean; /* sums of x and x other, or of (x - mean)^2: NULL, or mean (W) */
    int kinds;                    /* of sums: one, or two with `other` */
    REAL *sums;                   /* (blocks, kinds, W) */
};

static ptrdiff_t NAME(wide_row)(ptrdiff_t D)
{
    return D >= LANES ? D : LANES % D == 0 ? LANES : D * LANES;
}

static int NAME(column_blocks)(ptrdiff_t n, ptrdiff_t W)
{
    return (int)((n + W * COLUMN_BLOCK - 1) / (W * COLUMN_BLOCK));
}

static void NAME(columns_task)(void *context, int block)
{
    const struct NAME(columns) *s = context;
    REAL *sums = s->sums + block * s->kinds * s->W;
    const ptrdiff_t end = NAME(least)(s->n, (block + 1) * COLUMN_BLOCK * s->W);
    for (ptrdiff_t j = 0; j < s->W; j += LANES) {
        const ptrdiff_t width = NAME(least)(LANES, s->W - j);
        const VEC mean = s->mean == NULL ? SPLAT(0) : NAME(load_part)(s->mean + j, width, 0);
        VEC sum = {0}, slopes = {0};
        for (ptrdiff_t at = block * COLUMN_BLOCK * s->W + j; at < end; at += s->W) {
            const ptrdiff_t n = NAME(least)(width, end - at);
            VEC x = NAME(load_part)(s->x + at, n, 0);
            if (s->mean != NULL) {
                x = n < LANES ? NAME(first_lanes)(x - mean, n, 0) : x - mean;
                x *= x;
            }
            sum += x;
            if (s->other != NULL)
                slopes += x * NAME(load_part)(s->other + at, n, 0);
        }
        NAME(store_part)(sums + j, sum, width);
        if (s->other != NULL)
            NAME(store_part)(sums + s->W + j, slopes, width);
    }
}

static void NAME(share_columns)(ptrdiff_t n, ptrdiff_t W, void (*task)(void *, int), void *context)
{
    const int blocks = NAME(column_blocks)(n, W);
    if (n >= 65536)
        parallel_run(task, context, blocks);
    else
        for (int i = 0; i < blocks; i++)
            task(context, i);
}

/* total (kinds, D) of what s describes, in double; -1: no memory. */
static int NAME(total_columns)(struct NAME(columns) *s, double *total)
{
    const int blocks = NAME(column_blocks)(s->n, s->W);
    s->kinds = s->other == NULL ? 1 : 2;
    s->sums = malloc((size_t)(blocks * s->kinds * s->W) * sizeof(REAL));
    if (s->sums == NULL)
        return -1;
    NAME(share_columns)(s->n, s->W, NAME(columns_task), s);
    for (ptrdiff_t d = 0; d < s->kinds * s->D; d++)
        total[d] = 0;
    for (ptrdiff_t i = 0; i < blocks * s->kinds; i++)
        for (ptrdiff_t j = 0; j < s->W; j += s->D)
            for (ptrdiff_t d = 0; d < s->D; d++)
                total[i % s->kinds * s->D + d] += (double)s->sums[i * s->W + j + d];
    free(s->sums);
    return 0;
}

static void NAME(put_columns)(const double *total, REAL *out, ptrdiff_t D, int add)
{
    for (ptrdiff_t d = 0; d < D && out != NULL; d++)
        out[d] = add ? out[d] + (REAL)total[d] : (REAL)total[d];
}

static int NAME(column_sums)(const struct column_sums *p)
{
    struct NAME(columns) s = {.n = p->N * p->D, .D = p->D, .W = NAME(wide_row)(p->D), .x = p->x};
    double *total = malloc((size_t)p->D * sizeof(double));
    const int error = total == NULL ? -1 : NAME(total_columns)(&s, total);
    if (!error)
        NAME(put_columns)(total, p->out, p->D, p->add);
    free(total);
    return error;
}

static int NAME(biased)(const struct biased *p)
{
    const REAL *b = p->b;
    REAL *x = p->x;
    for (ptrdiff_t i = 0; i < p->N; i++, x += p->D)
        for (ptrdiff_t d = 0; d < p->D; d++)
            x[d] += b[d];
    return 0;
}

/* ------------------------------------------------------------------------ batch normalisation */

struct NAME(batch_norming) {
    const struct batch_norm *p;
    ptrdiff_t n, W;
    REAL *of_columns; /* (4, W): forward mean, scale, gamma, beta; backward mean dy, slope, scale gamma */
};

/* Lay out what belongs to a column as often as there are rows in one of W; NULL is `rest`. */
static void NAME(lay_out)(const REAL *column, REAL rest, REAL *wide, ptrdiff_t D, ptrdiff_t W)
{
    for (ptrdiff_t j = 0; j < W; j++)
        wide[j] = column == NULL ? rest : column[j % D];
}

static void NAME(batch_norm_task)(void *context, int block)
{
    const struct NAME(batch_norming) *s = context;
    const ptrdiff_t W = s->W, end = NAME(least)(s->n, (block + 1) * COLUMN_BLOCK * W);
    const REAL *mean = s->of_columns, *scale = mean + W, *gamma = scale + W, *beta = gamma + W;
    for (ptrdiff_t at = block * COLUMN_BLOCK * W; at < end; at += W) {
        const ptrdiff_t D = NAME(least)(W, end - at);
        const REAL *x = (const REAL *)s->p->x + at;
        REAL *y = (REAL *)s->p->y + at, *x_hat = (REAL *)s->p->x_hat + at;
        EACH_VECTOR(
            const VEC normal = (PART(x, 0) - PART(mean, 0)) * PART(scale, 0);
            PUT(x_hat, normal);
            PUT(y, normal * PART(gamma, 0) + PART(beta, 0)))
    }
}

static void NAME(batch_norm_slope_task)(void *context, int block)
{
    const struct NAME(batch_norming) *s = context;
    const ptrdiff_t W = s->W, end = NAME(least)(s->n, (block + 1) * COLUMN_BLOCK * W);
    const REAL *mean = s->of_columns, *slope = mean + W, *scale = slope + W;
    for (ptrdiff_t at = block * COLUMN_BLOCK * W; at < end; at += W) {
        const ptrdiff_t D = NAME(least)(W, end - at);
        const REAL *dy = (const REAL *)s->p->dy + at, *x_hat = (const REAL *)s->p->x_hat + at;
        REAL *dx = (REAL *)s->p->dx + at;
        EACH_VECTOR(
            const VEC apart = PART(dy, 0) - PART(mean, 0) - PART(x_hat, 0) * PART(slope, 0);
            PUT(dx, PART(scale, 0) * apart))
    }
}

/* Mean and variance of the columns; -1: no memory. */
static int NAME(moments)(const struct batch_norm *p, REAL *wide, double *total)
{
    struct NAME(columns) s = {.n = p->N * p->D, .D = p->D, .W = NAME(wide_row)(p->D), .x = p->x};
    REAL *mean = p->mean, *variance = p->variance;
    if (NAME(total_columns)(&s, total))
        return -1;
    for (ptrdiff_t d = 0; d < p->D; d++)
        mean[d] = (REAL)(total[d] / (double)p->N);
    NAME(lay_out)(mean, 0, wide, p->D, s.W);
    s.mean = wide;
    if (NAME(total_columns)(&s, total))
        return -1;
    for (ptrdiff_t d = 0; d < p->D; d++)
        variance[d] = (REAL)(total[d] / (double)p->N);
    return 0;
}

static int NAME(batch_norm_forward)(const struct batch_norm *p)
{
    const ptrdiff_t W = NAME(wide_row)(p->D);
    struct NAME(batch_norming) s = {p, p->N * p->D, W, malloc((size_t)(4 * W) * sizeof(REAL))};
    double *total = malloc((size_t)p->D * sizeof(double));
    int error = s.of_columns == NULL || total == NULL ? -1 : 0;
    if (!error && p->of_batch)
        error = NAME(moments)(p, s.of_columns, total);
    if (!error) {
        const REAL *variance = p->variance;
        REAL *scale = p->scale;
        for (ptrdiff_t d = 0; d < p->D; d++)
            scale[d] = (1 / NAME(vsqrt)(SPLAT(variance[d] + (REAL)p->epsilon)))[0];
        NAME(lay_out)(p->mean, 0, s.of_columns, p->D, W);
        NAME(lay_out)(scale, 1, s.of_columns + W, p->D, W);
        NAME(lay_out)(p->gamma, 1, s.of_columns + 2 * W, p->D, W);
        NAME(lay_out)(p->beta, 0, s.of_columns + 3 * W, p->D, W);
        NAME(share_columns)(s.n, W, NAME(batch_norm_task), &s);
    }
    free(total);
    free(s.of_columns);
    return error;
}

/* dbeta = sum dy, dgamma = sum dy x_hat; and as gamma is the column's, it may stand before the rest:
   dx = scale gamma (dy - mean dy - x_hat mean(dy x_hat)). So a batch of one has 0, to the bit. */
static int NAME(batch_norm_backward)(const struct batch_norm *p)
{
    const ptrdiff_t W = NAME(wide_row)(p->D), D = p->D;
    struct NAME(columns) sums = {.n = p->N * D, .D = D, .W = W, .x = p->dy, .other = p->x_hat};
    struct NAME(batch_norming) s = {p, p->N * D, W, malloc((size_t)(4 * W) * sizeof(REAL))};
    double *total = malloc((size_t)(2 * D) * sizeof(double));
    int error = s.of_columns == NULL || total == NULL ? -1 : 0;
    if (!error)
        error = NAME(total_columns)(&sums, total);
    if (!error) {
        NAME(put_columns)(total, p->dbeta, D, 0);
        NAME(put_columns)(total + D, p->dgamma, D, 0);
        REAL *mean = s.of_columns, *slope = mean + W, *scale = slope + W, *gamma = scale + W;
        NAME(lay_out)(p->gamma, 1, gamma, D, W);
        NAME(lay_out)(p->scale, 1, scale, D, W);
        for (ptrdiff_t j = 0; j < W; j++) {
            mean[j] = p->of_batch ? (REAL)(total[j % D] / (double)p->N) : 0;
            slope[j] = p->of_batch ? (REAL)(total[D + j % D] / (double)p->N) : 0;
            scale[j] *= gamma[j];
        }
        NAME(share_columns)(s.n, W, NAME(batch_norm_slope_task), &s);
    }
    free(total);
    free(s.of_columns);
    return error;
}
