/* What stands between the large functions of a training step: between_api.h. */

static int NAME(fill)(const struct fill *p)
{
    for (ptrdiff_t i = 0; i < p->n; i++)
        ((REAL *)p->out)[i] = (REAL)p->value;
    return 0;
}

static int NAME(copy)(const struct copy *p)
{
    memcpy(p->y, p->x, (size_t)p->n * sizeof(REAL));
    return 0;
}

static void NAME(add_row)(const REAL *restrict x, REAL *restrict y, ptrdiff_t n)
{
    for (ptrdiff_t k = 0; k < n; k++)
        y[k] += x[k];
}

static int NAME(place)(const struct place *p)
{
    const struct three n = p->n, from = p->x_step, to = p->y_step;
    const int side_by_side = from.c == 1 && to.c == 1;
    for (ptrdiff_t i = 0; i < n.a; i++)
        for (ptrdiff_t j = 0; j < n.b; j++) {
            const REAL *x = p->x == NULL ? NULL : (const REAL *)p->x + i * from.a + j * from.b;
            REAL *y = (REAL *)p->y + i * to.a + j * to.b;
            if (x == NULL)
                for (ptrdiff_t k = 0; k < n.c; k++)
                    y[k * to.c] = 0;
            else if (side_by_side && p->add)
                NAME(add_row)(x, y, n.c);
            else if (side_by_side)
                memcpy(y, x, (size_t)n.c * sizeof(REAL));
            else if (p->add)
                for (ptrdiff_t k = 0; k < n.c; k++)
                    y[k * to.c] += x[k * from.c];
            else
                for (ptrdiff_t k = 0; k < n.c; k++)
                    y[k * to.c] = x[k * from.c];
        }
    return 0;
}

static int NAME(plus)(const struct plus *p)
{
    const REAL *a = p->a, *b = p->b, c = (REAL)p->c;
    REAL *y = p->y;
    for (ptrdiff_t i = 0; i < p->n; i++)
        y[i] = a[i] + c * b[i];
    return 0;
}

static void NAME(times_block)(void *context, int block)
{
    const struct times *p = context;
    const ptrdiff_t end = NAME(least)(p->n, (block + 1) * SWEEP_BLOCK);
    const REAL *restrict a = p->a, *restrict b = p->b, c = (REAL)p->c;
    REAL *restrict y = p->y;
    for (ptrdiff_t i = block * SWEEP_BLOCK; i < end; i++)
        y[i] = c * a[i] * b[i];
}

static int NAME(times)(const struct times *p)
{
    const int blocks = (int)((p->n + SWEEP_BLOCK - 1) / SWEEP_BLOCK);
    if (blocks > 1)
        parallel_run(NAME(times_block), (void *)p, blocks);
    else
        NAME(times_block)((void *)p, 0);
    return 0;
}

static int NAME(dot)(const struct dot *p)
{
    double total = 0;
    for (ptrdiff_t i = 0; i < p->n; i++)
        total += (double)((const REAL *)p->a)[i] * (double)((const REAL *)p->b)[i];
    *p->out = total;
    return 0;
}

static int NAME(labels)(const struct labels *p)
{
    for (ptrdiff_t i = 0; i < p->n; i++)
        if (p->labels[i] < 0 || p->labels[i] >= p->D)
            return -2;
    return 0;
}

static int NAME(counted)(const struct counted *p)
{
    ptrdiff_t count = 0;
    for (ptrdiff_t i = 0; i < p->n; i++)
        count += p->labels[i] != p->ignored;
    const REAL factor = p->mean && count > 0 ? 1 / (REAL)count : 1;
    for (ptrdiff_t i = 0; i < p->n; i++) {
        const int64_t label = p->labels[i];
        p->kept[i] = label == p->ignored ? 0 : label;
        ((REAL *)p->factors)[i] = label == p->ignored ? 0 : factor;
    }
    return 0;
}

/* What is compared and divided has the type that NumPy compares and divides in. */
static int NAME(noise)(const struct noise *p)
{
    const REAL *x = p->x, kept = p->kind == NOISE_DROPOUT ? 1 / (REAL)(1 - p->rate) : 1;
    REAL *mask = p->mask, *y = p->y;
    const float rate = (float)p->rate, half = (float)(p->rate / 2);
    if (p->kind == NOISE_GAUSSIAN)
        for (ptrdiff_t i = 0; i < p->n; i++)
            y[i] = x[i] + (REAL)p->rate * (REAL)p->drawn[i];
    else if (p->kind == NOISE_SLOPE)
        for (ptrdiff_t i = 0; i < p->n; i++)
            y[i] = x[i] * mask[i];
    else
        for (ptrdiff_t i = 0; i < p->n; i++) {
            mask[i] = p->drawn[i] >= rate ? kept : 0;
            y[i] = x[i] * mask[i];
            if (p->kind == NOISE_SALT_AND_PEPPER)
                y[i] += p->drawn[i] < half ? 1 : 0;
        }
    return 0;
}
