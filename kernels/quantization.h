/* Vector quantisation: quantization_api.h. (functions/quantization.py)

   A codebook has many codes of few numbers. So the codes are turned round once, and for a row all
   distances are summed up side by side, number by number: C' (D, K). Blocks of rows are tasks. */

#define QUANTIZATION_BLOCK ((ptrdiff_t)32) /* rows */

struct NAME(quantizing) {
    const struct quantization *p;
    const REAL *turned;   /* (D, K) */
    REAL *distances;      /* (blocks, K) */
};

static void NAME(quantize_row)(const struct NAME(quantizing) *s, ptrdiff_t n, REAL *restrict distances)
{
    const struct quantization *p = s->p;
    const REAL *z = (const REAL *)p->z + n * p->D;
    for (ptrdiff_t k = 0; k < p->K; k++)
        distances[k] = 0;
    for (ptrdiff_t d = 0; d < p->D; d++) {
        const REAL *restrict c = s->turned + d * p->K, z_d = z[d];
        for (ptrdiff_t k = 0; k < p->K; k++)
            distances[k] += (z_d - c[k]) * (z_d - c[k]);
    }
    ptrdiff_t best = 0;
    for (ptrdiff_t k = 1; k < p->K; k++)
        if (!(distances[k] >= distances[best]) && distances[best] == distances[best])
            best = k; /* of NaN, too: so it is seen */
    p->index[n] = best;
    ((REAL *)p->e)[n] = distances[best];
    memcpy((REAL *)p->q + n * p->D, (const REAL *)p->C + best * p->D, (size_t)p->D * sizeof(REAL));
}

static void NAME(quantize_block)(void *context, int block)
{
    const struct NAME(quantizing) *s = context;
    const ptrdiff_t end = NAME(least)(s->p->N, (block + 1) * QUANTIZATION_BLOCK);
    for (ptrdiff_t n = block * QUANTIZATION_BLOCK; n < end; n++)
        NAME(quantize_row)(s, n, s->distances + block * s->p->K);
}

static int NAME(quantization_forward)(const struct quantization *p)
{
    const ptrdiff_t blocks = (p->N + QUANTIZATION_BLOCK - 1) / QUANTIZATION_BLOCK, D = p->D, K = p->K;
    REAL *turned = malloc((size_t)((D + blocks) * K) * sizeof(REAL));
    struct NAME(quantizing) s = {p, turned, turned + D * K};
    if (turned == NULL)
        return -1;
    for (ptrdiff_t k = 0; k < K; k++)
        for (ptrdiff_t d = 0; d < D; d++)
            turned[d * K + k] = ((const REAL *)p->C)[k * D + d];
    if (p->N * D * K >= 100000)
        parallel_run(NAME(quantize_block), &s, (int)blocks);
    else
        for (int i = 0; i < (int)blocks; i++)
            NAME(quantize_block)(&s, i);
    free(turned);
    return 0;
}

/* e = |z - c|^2: dz = 2 de (z - q), and the code that was chosen gets the opposite. */
static int NAME(quantization_backward)(const struct quantization *p)
{
    REAL *dC = p->dC;
    memset(dC, 0, (size_t)(p->K * p->D) * sizeof(REAL));
    for (ptrdiff_t n = 0; n < p->N; n++) {
        const REAL *z = (const REAL *)p->z + n * p->D, *q = (const REAL *)p->q + n * p->D;
        REAL *dz = (REAL *)p->dz + n * p->D, *dc = dC + p->index[n] * p->D;
        const REAL de = 2 * ((const REAL *)p->de)[n];
        for (ptrdiff_t d = 0; d < p->D; d++) {
            dz[d] = de * (z[d] - q[d]);
            dc[d] -= dz[d];
        }
    }
    return 0;
}
