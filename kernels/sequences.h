/* Sequences of which so many steps count: sequences_api.h. (functions/reversing.py, pooling1d.py) */

static ptrdiff_t NAME(length_of)(const struct padded *p, ptrdiff_t n)
{
    return p->lengths == NULL ? p->T : (ptrdiff_t)p->lengths[n];
}

static int NAME(reversed)(const struct padded *p)
{
    for (ptrdiff_t n = 0; n < p->N; n++) {
        const REAL *x = (const REAL *)p->x + n * p->T * p->D;
        REAL *y = (REAL *)p->y + n * p->T * p->D;
        const ptrdiff_t length = NAME(length_of)(p, n);
        for (ptrdiff_t t = 0; t < p->T; t++)
            memcpy(y + t * p->D, x + (t < length ? length - 1 - t : t) * p->D,
                   (size_t)p->D * sizeof(REAL));
    }
    return 0;
}

static int NAME(mean_of_steps)(const struct padded *p)
{
    for (ptrdiff_t n = 0; n < p->N; n++) {
        const ptrdiff_t length = NAME(length_of)(p, n);
        const REAL share = length > 0 ? 1 / (REAL)length : 0;
        const REAL *x = (const REAL *)p->x + n * p->T * p->D;
        REAL *restrict y = (REAL *)p->y + n * p->D;
        memset(y, 0, (size_t)p->D * sizeof(REAL));
        for (ptrdiff_t t = 0; t < length; t++)
            NAME(add_row)(x + t * p->D, y, p->D);
        for (ptrdiff_t d = 0; d < p->D; d++)
            y[d] *= share;
    }
    return 0;
}

static int NAME(share_of_steps)(const struct padded *p)
{
    for (ptrdiff_t n = 0; n < p->N; n++) {
        const ptrdiff_t length = NAME(length_of)(p, n);
        const REAL share = length > 0 ? 1 / (REAL)length : 0, *restrict x = (const REAL *)p->x + n * p->D;
        REAL *restrict y = (REAL *)p->y + n * p->T * p->D;
        for (ptrdiff_t t = 0; t < length; t++)
            for (ptrdiff_t d = 0; d < p->D; d++)
                y[t * p->D + d] = x[d] * share;
        memset(y + length * p->D, 0, (size_t)((p->T - length) * p->D) * sizeof(REAL));
    }
    return 0;
}
