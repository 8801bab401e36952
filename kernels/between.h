/* What stands between the large functions of a training step: between_api.h. */

static int NAME(fill)(const struct fill *p)
{
    for (ptrdiff_t i = 0; i < p->n; i++)
        ((REAL *)p->out)[i] = (REAL)p->value;
    return 0;
}

static int NAME(put)(const struct put *p)
{
    const REAL *x = p->x;
    REAL *total = p->total;
    if (!p->add)
        memcpy(total, x, (size_t)p->n * sizeof(REAL));
    else
        for (ptrdiff_t i = 0; i < p->n; i++)
            total[i] += x[i];
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
