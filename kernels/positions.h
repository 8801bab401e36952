/* Rotary positions: positions_api.h. (functions/positions.py)

   The heads of a layer lie side by side, H rows of each step: all of them are turned by the same
   angles. A row is short, so there is a task for all rows of a sample. */

static void NAME(turn_sample)(void *context, int n)
{
    const struct rotation *p = context;
    const ptrdiff_t half = p->D / 2, rows = p->T * p->H;
    const REAL sign = p->back ? -1 : 1;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const REAL *c = (const REAL *)p->c + i / p->H * half, *s = (const REAL *)p->s + i / p->H * half;
        const REAL *restrict a = (const REAL *)p->x + (n * rows + i) * p->D, *restrict b = a + half;
        REAL *restrict y = (REAL *)p->y + (n * rows + i) * p->D, *restrict z = y + half;
        for (ptrdiff_t j = 0; j < half; j++) {
            y[j] = a[j] * c[j] - sign * (b[j] * s[j]);
            z[j] = b[j] * c[j] + sign * (a[j] * s[j]);
        }
    }
}

static int NAME(rotation)(const struct rotation *p)
{
    if (p->N * p->T * p->H * p->D >= 32768)
        parallel_run(NAME(turn_sample), (void *)p, (int)p->N);
    else
        for (int n = 0; n < (int)p->N; n++)
            NAME(turn_sample)((void *)p, n);
    return 0;
}
