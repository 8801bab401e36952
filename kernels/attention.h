/* Attention, head by head: p = softmax(q k' / sqrt(D)), y = p v. (functions/attention.py)

   A head is small: its queries, keys and values fit into the second-level cache, and a tile of
   queries with its row of weights into the first. So the products are made tile by tile, and what
   stands between them, the softmax and its slope, while the tile's weights are still there. Of a
   causal head, what lies above the diagonal is never computed: half of all.

   The heads of a layer lie side by side in the rows of one matrix (N, T, H D). Nothing is copied
   apart for it: a head's rows are read, and its results written, where they lie.

   The threads share the heads. Each row's sums are made in one order, whatever else stands in its
   tile, so a query has the same bits by itself, behind kept keys, as among the others. */

#define QUERIES ((ptrdiff_t)(8 * ROWS)) /* of a block of the backward */

struct NAME(head) {
    const struct attention *p;
    const REAL *q, *k, *v;
    REAL *y, *weights, *dq, *dk, *dv;
    ptrdiff_t keys; /* that count */
    REAL scale;     /* 1 / sqrt(D) */
};

static REAL *NAME(rows_of)(const struct heads *a, ptrdiff_t n, ptrdiff_t h)
{
    return a->data == NULL ? NULL : (REAL *)a->data + n * a->sample + h * a->head;
}

static struct NAME(head) NAME(head_of)(const struct attention *p, ptrdiff_t i)
{
    const ptrdiff_t n = i / p->H, h = i % p->H;
    return (struct NAME(head)){
        .p = p, .q = NAME(rows_of)(&p->q, n, h), .k = NAME(rows_of)(&p->k, n, h),
        .v = NAME(rows_of)(&p->v, n, h), .y = NAME(rows_of)(&p->y, n, h),
        .dq = NAME(rows_of)(&p->dq, n, h), .dk = NAME(rows_of)(&p->dk, n, h),
        .dv = NAME(rows_of)(&p->dv, n, h), .weights = (REAL *)p->p + i * p->T * p->S,
        .keys = p->lengths == NULL ? p->S : (ptrdiff_t)p->lengths[n],
        .scale = (REAL)(1 / sqrt((double)p->D)),
    };
}

/* How many keys query t sees: the first ones. */
static inline ptrdiff_t NAME(sees)(const struct NAME(head) *a, ptrdiff_t t)
{
    return a->p->causal ? NAME(least)(a->keys, a->p->S - a->p->T + t + 1) : a->keys;
}

/* The first query that sees key j, of those from t to the end of their block. */
static inline ptrdiff_t NAME(seen_from)(const struct NAME(head) *a, ptrdiff_t j, ptrdiff_t t,
                                        ptrdiff_t end)
{
    const ptrdiff_t first = a->p->causal ? j - (a->p->S - a->p->T) : 0;
    return first < t ? t : NAME(least)(first, end);
}

/* ---------------------------------------------------------------------------- small products */

/* B as panels, one behind the other, each with all K rows. */
static void NAME(pack_panels)(const REAL *b, ptrdiff_t row, ptrdiff_t column, ptrdiff_t K, ptrdiff_t N,
                              REAL *to)
{
    for (ptrdiff_t j = 0; j < N; j += PANEL) {
        const ptrdiff_t wide = NAME(least)(N - j, PANEL);
        NAME(pack)(b + j * column, row, column, K, wide, to + j * K, wide <= LANES ? LANES : PANEL);
    }
}

static inline ptrdiff_t NAME(size_of_panels)(ptrdiff_t K, ptrdiff_t N)
{
    return K * ((N + LANES - 1) / LANES * LANES);
}

/* B that is packed: K rows and N columns. */
struct NAME(panels) {
    const REAL *b;
    ptrdiff_t K, N;
};

/* c = a b (or c += a b) for a tile's rows, the first `columns` columns of C, and rows k0 ... k1 of B. */
static void NAME(row_of_tiles)(ptrdiff_t rows, const REAL *a, ptrdiff_t a_stride, int by_rows,
                               struct NAME(panels) b, ptrdiff_t k0, ptrdiff_t k1, ptrdiff_t columns,
                               REAL *c, ptrdiff_t c_row, int add)
{
    const struct NAME(job) job = {.c = c, .c_row = c_row, .add = add, .activation = ACT_IDENTITY};
    for (ptrdiff_t j = 0; j < columns; j += PANEL) {
        const ptrdiff_t wide = NAME(least)(b.N - j, PANEL), panel = wide <= LANES ? LANES : PANEL;
        NAME(one_tile)(&job, rows, k1 - k0, a, a_stride, by_rows,
                       b.b + j * b.K + k0 * panel, panel, 0, j, wide, 1, 0);
    }
}

/* ---------------------------------------------------------------------------------- forward */

/* A row of S numbers, of which the first D count: in whole vectors as far as the row goes. To write
   a part of a vector and read it back whole takes longer than to compute all of it. */
static inline __attribute__((always_inline)) VEC NAME(seen_part)(const REAL *row, ptrdiff_t j,
                                                                 ptrdiff_t D, ptrdiff_t S, REAL rest)
{
    const VEC x = NAME(load_part)(row + j, S - j, rest);
    return D - j >= LANES ? x : NAME(first_lanes)(x, D - j, rest);
}

static inline void NAME(nothing_from)(REAL *row, ptrdiff_t j, ptrdiff_t S)
{
    for (; j < S; j += LANES)
        NAME(store_part)(row + j, SPLAT(0), S - j);
}

/* A row's first D scores become weights, the others of S become 0. */
static void NAME(weigh)(REAL *row, ptrdiff_t D, ptrdiff_t S, REAL scale)
{
    ptrdiff_t j;
    VEC most = SPLAT(-(REAL)INFINITY), sum = {0};
    for (j = 0; j < D; j += LANES) {
        const VEC x = NAME(seen_part)(row, j, D, S, -(REAL)INFINITY);
        most = SELECT(x > most, x, most);
    }
    const REAL largest = NAME(most_of_lanes)(most);
    const REAL shift = largest > -(REAL)INFINITY ? largest * scale : 0;
    for (j = 0; j < D; j += LANES) {
        VEC e = NAME(vexp)(NAME(seen_part)(row, j, D, S, largest) * scale - shift);
        if (D - j < LANES) /* not by exp(-infinity): on its way to 0 are slow, subnormal numbers */
            e = NAME(first_lanes)(e, D - j, 0);
        sum += e;
        NAME(store_part)(row + j, e, S - j);
    }
    NAME(nothing_from)(row, j, S);
    const REAL total = NAME(sum_of_lanes)(sum), part = total > 0 ? 1 / total : 1;
    for (j = 0; j < D; j += LANES)
        NAME(store_part)(row + j, NAME(load_part)(row + j, S - j, 0) * part, S - j);
}

static void NAME(attend)(const struct NAME(head) *a, REAL *scratch)
{
    const struct attention *p = a->p;
    const ptrdiff_t tiles = (p->T + ROWS - 1) / ROWS;
    const struct NAME(panels) keys = {scratch, p->D, p->S};
    const struct NAME(panels) values = {scratch + NAME(size_of_panels)(p->D, p->S), p->S, p->M};
    NAME(pack_panels)(a->k, 1, p->k.row, p->D, p->S, scratch);
    NAME(pack_panels)(a->v, p->v.row, 1, p->S, p->M, scratch + NAME(size_of_panels)(p->D, p->S));
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t t = i * p->T / tiles, end = (i + 1) * p->T / tiles;
        const ptrdiff_t seen = NAME(sees)(a, end - 1);
        REAL *weights = a->weights + t * p->S;
        NAME(row_of_tiles)(end - t, a->q + t * p->q.row, p->q.row, 1, keys, 0, p->D, seen, weights,
                           p->S, 0);
        for (ptrdiff_t s = t; s < end; s++)
            NAME(weigh)(a->weights + s * p->S, NAME(sees)(a, s), p->S, a->scale);
        NAME(row_of_tiles)(end - t, weights, p->S, 1, values, 0, seen, p->M, a->y + t * p->y.row,
                           p->y.row, 0);
    }
}

/* --------------------------------------------------------------------------------- backward */

/* ds = p (dp - sum dp p) / sqrt(D) of a row's first D weights, in the place of dp; 0 behind them. */
static void NAME(weigh_slope)(const REAL *weights, REAL *dp, ptrdiff_t D, ptrdiff_t S, REAL scale)
{
    ptrdiff_t j;
    VEC sum = {0};
    for (j = 0; j < D; j += LANES)
        sum += NAME(seen_part)(dp, j, D, S, 0) * NAME(load_part)(weights + j, S - j, 0);
    const REAL mean = NAME(sum_of_lanes)(sum);
    for (j = 0; j < D; j += LANES) {
        const VEC p = NAME(load_part)(weights + j, S - j, 0);
        const VEC ds = p * (NAME(seen_part)(dp, j, D, S, 0) - mean) * scale;
        NAME(store_part)(dp + j, D - j >= LANES ? ds : NAME(first_lanes)(ds, D - j, 0), S - j);
    }
    NAME(nothing_from)(dp, j, S);
}

/* The keys' side: dk += ds' q and dv += p' dy, for the queries t ... end of a block. */
static void NAME(give_back)(const struct NAME(head) *a, ptrdiff_t t, ptrdiff_t end, const REAL *ds,
                            struct NAME(panels) queries, struct NAME(panels) dy)
{
    const struct attention *p = a->p;
    const ptrdiff_t tiles = (p->S + ROWS - 1) / ROWS;
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t j = i * p->S / tiles, rows = (i + 1) * p->S / tiles - j;
        const ptrdiff_t first = NAME(seen_from)(a, j, t, end) - t;
        NAME(row_of_tiles)(rows, ds + first * p->S + j, p->S, 0, queries, first, end - t, p->D,
                           a->dk + j * p->dk.row, p->dk.row, t > 0);
        NAME(row_of_tiles)(rows, a->weights + (t + first) * p->S + j, p->S, 0, dy, first, end - t, p->M,
                           a->dv + j * p->dv.row, p->dv.row, t > 0);
    }
}

/* The queries' side, and the keys' after it: a block of queries at a time, whose ds is `scratch`. */
static void NAME(attend_slope)(const struct NAME(head) *a, REAL *scratch)
{
    const struct attention *p = a->p;
    REAL *ds = scratch, *to = scratch + NAME(least)(QUERIES, p->T) * p->S;
    const struct NAME(panels) keys = {to, p->S, p->D};
    NAME(pack_panels)(a->k, p->k.row, 1, p->S, p->D, to);
    to += NAME(size_of_panels)(p->S, p->D);
    const struct NAME(panels) values = {to, p->M, p->S};
    NAME(pack_panels)(a->v, 1, p->v.row, p->M, p->S, to);
    to += NAME(size_of_panels)(p->M, p->S);
    for (ptrdiff_t t = 0; t < p->T; t += QUERIES) {
        const ptrdiff_t N = NAME(least)(p->T - t, QUERIES), tiles = (N + ROWS - 1) / ROWS;
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t s = t + i * N / tiles, end = t + (i + 1) * N / tiles;
            const ptrdiff_t seen = NAME(sees)(a, end - 1);
            REAL *dp = ds + (s - t) * p->S;
            NAME(row_of_tiles)(end - s, a->y + s * p->y.row, p->y.row, 1, values, 0, p->M, seen, dp,
                               p->S, 0);
            for (ptrdiff_t k = s; k < end; k++)
                NAME(weigh_slope)(a->weights + k * p->S, ds + (k - t) * p->S, NAME(sees)(a, k), p->S,
                                  a->scale);
            NAME(row_of_tiles)(end - s, dp, p->S, 1, keys, 0, seen, p->D, a->dq + s * p->dq.row,
                               p->dq.row, 0);
        }
        const struct NAME(panels) queries = {to, N, p->D};
        NAME(pack_panels)(a->q + t * p->q.row, p->q.row, 1, N, p->D, to);
        REAL *behind = to + NAME(size_of_panels)(N, p->D);
        const struct NAME(panels) dy = {behind, N, p->M};
        NAME(pack_panels)(a->y + t * p->y.row, p->y.row, 1, N, p->M, behind);
        NAME(give_back)(a, t, t + N, ds, queries, dy);
    }
}

/* -------------------------------------------------------------------------- the shares of heads */

struct NAME(attending) {
    const struct attention *p;
    int backward, tasks, failed;
};

static ptrdiff_t NAME(attention_scratch)(const struct attention *p, int backward)
{
    const ptrdiff_t N = NAME(least)(p->T, QUERIES);
    const ptrdiff_t keys = NAME(size_of_panels)(p->D, p->S), values = NAME(size_of_panels)(p->S, p->M);
    if (!backward)
        return keys + values;
    return N * p->S + NAME(size_of_panels)(p->S, p->D) + NAME(size_of_panels)(p->M, p->S) +
           NAME(size_of_panels)(N, p->D) + NAME(size_of_panels)(N, p->M);
}

static void NAME(attention_task)(void *context, int i)
{
    struct NAME(attending) *s = context;
    const struct attention *p = s->p;
    const ptrdiff_t heads = p->N * p->H;
    REAL *scratch = malloc((size_t)NAME(attention_scratch)(p, s->backward) * sizeof(REAL) + 64);
    if (scratch == NULL) {
        __atomic_store_n(&s->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    REAL *aligned = (REAL *)(((uintptr_t)scratch + 63) / 64 * 64);
    for (ptrdiff_t h = i * heads / s->tasks; h < (i + 1) * heads / s->tasks; h++) {
        const struct NAME(head) a = NAME(head_of)(p, h);
        if (s->backward)
            NAME(attend_slope)(&a, aligned);
        else
            NAME(attend)(&a, aligned);
    }
    free(scratch);
}

static int NAME(attention)(const struct attention *p, int backward)
{
    const double work = (double)(p->N * p->H * p->T) * (double)(p->S * (p->D + p->M));
    const int shares = work < 2e5 ? 1 : 2 * threads_get(); /* a late thread leaves some to the others */
    struct NAME(attending) s = {.p = p, .backward = backward};
    s.tasks = (int)NAME(least)(shares, p->N * p->H);
    if (threads_get() == 1)
        s.tasks = 1;
    parallel_run(NAME(attention_task), &s, s.tasks);
    return s.failed ? -1 : 0;
}

static int NAME(attention_forward)(const struct attention *p) { return NAME(attention)(p, 0); }
static int NAME(attention_backward)(const struct attention *p) { return NAME(attention)(p, 1); }
