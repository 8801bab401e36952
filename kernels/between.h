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

static int NAME(plus)(const struct plus *p)
{
    const REAL *a = p->a, *b = p->b;
    REAL *y = p->y;
    for (ptrdiff_t i = 0; i < p->n; i++)
        y[i] = a[i] + b[i];
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
