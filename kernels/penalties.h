/* Penalties on what a layer returns: penalties_api.h. (functions/penalties.py, sparsity.py) */

static int NAME(signs)(const struct signs *p)
{
    const REAL *restrict x = p->x, c = (REAL)p->c;
    REAL *restrict y = p->y;
    for (ptrdiff_t i = 0; i < p->n; i++)
        y[i] = x[i] > 0 ? c : x[i] < 0 ? -c : x[i]; /* 0, or NaN */
    return 0;
}

/* Means are held off 0 and 1, as EPSILON of functions/losses.py says. */
static REAL NAME(mean_held)(REAL mean)
{
    const REAL least = (REAL)1e-7, most = (REAL)(1 - 1e-7);
    return mean < least ? least : mean > most ? most : mean;
}

static int NAME(sparsity_forward)(const struct sparsity *p)
{
    REAL *restrict mean = p->mean;
    memset(mean, 0, (size_t)p->K * sizeof(REAL));
    for (ptrdiff_t i = 0; i < p->N; i++)
        NAME(add_row)((const REAL *)p->h + i * p->K, mean, p->K);
    for (ptrdiff_t k = 0; k < p->K; k++) {
        mean[k] /= (REAL)p->N;
        const double m = (double)NAME(mean_held)(mean[k]), r = p->target;
        ((REAL *)p->terms)[k] = (REAL)(r * log(r / m) + (1 - r) * log((1 - r) / (1 - m)));
    }
    return 0;
}

static int NAME(sparsity_backward)(const struct sparsity *p)
{
    const REAL r = (REAL)p->target, c = (REAL)p->c;
    REAL *first = p->dh; /* the same for every sample */
    for (ptrdiff_t k = 0; k < p->K; k++) {
        const REAL m = NAME(mean_held)(((const REAL *)p->mean)[k]);
        first[k] = c * ((1 - r) / (1 - m) - r / m) / (REAL)p->N;
    }
    for (ptrdiff_t i = 1; i < p->N; i++)
        memcpy(first + i * p->K, first, (size_t)p->K * sizeof(REAL));
    return 0;
}
