/* The matrix product C = A B, packed and fused: step 3 of the staircase (staircase.h has 1 and 2).

   K. Goto and R. van de Geijn 2008, "Anatomy of high-performance matrix multiplication"; F. Van Zee
   and R. van de Geijn 2015, "BLIS: a framework for rapidly instantiating BLAS functionality".

   THE LOOP NEST. Around the micro-kernel, which makes one tile of C (tile.h), the loops are cut so
   that each level of cache holds what the next loop uses again. Their numbers are BLIS's, where the
   1st is the innermost; the order of the 4th and 5th, and of the 2nd and 1st, is our own:

       4th loop: for each slice of k, of at most DEPTH
         5th loop: for each block of WIDTH columns: pack B's DEPTH x WIDTH     second-level cache
           3rd loop: for each GROUP of tiles of rows: pack their part of A
             1st loop: for each tile, of at most ROWS rows: A's ROWS x DEPTH   first-level cache
               2nd loop: for each panel of 2 vectors of columns
                 the micro-kernel: for each k of the slice                     registers

   A's tile is used again for every panel, from the nearest cache; the panels of B stream past it from
   the second one, 2 vectors in ROWS cycles, which is well within what that can deliver. (BLIS holds
   a panel of B in the nearest cache and lets A's tiles stream past: there the 1st loop is inside the
   2nd.) What is copied, and how often, is the same whichever of the 4th and 5th loop is outside.

   POLICY. How large these parts are, what is worth packing (packing.h) and how many threads take
   part is decided before the first loop begins: the plan of a block below, and the grid of blocks,
   one for each thread, in grid.h.

   FUSING. The bias is what the sums start from, and the activation is applied to a tile of C when
   its last slice of k is done, while it is still in the first-level cache: C passes through the
   processor once, instead of once for the product, once for the bias and once for f. In the
   backward, B may be f'(z) dy, which the packing makes from dy (slope.h).

   THE SAME BITS. Each element of C is summed in the same order, k = 0, 1, ... within each slice of
   DEPTH, whatever the tile, the block or the thread it falls to. */

#define DEPTH ((ptrdiff_t)(1600 / sizeof(REAL)))    /* k of a slice */
#define WIDTH ((ptrdiff_t)((BYTES == 64 ? 2048 : 1024) / sizeof(REAL))) /* columns of a block */
#define GROUP ((ptrdiff_t)8)                         /* tiles of A that are packed at a time */
#define A_WIDTH ((ROWS + LANES - 1) / LANES * LANES) /* of packed columns of A */
#define SKEW ((ptrdiff_t)(64 / sizeof(REAL)))       /* keeps packed rows off the same cache sets */

/* -------------------------------------------------------------------- the product's description */

struct NAME(job) {
    ptrdiff_t M, N, K;
    const REAL *a;
    ptrdiff_t a_row, a_column;
    const REAL *b;
    ptrdiff_t b_row, b_column;
    REAL *c; /* (M, N); for gelu this is z */
    ptrdiff_t c_row;
    int add;
    const REAL *bias;
    int activation;
    REAL alpha;
    REAL *y; /* gelu's other result */
    ptrdiff_t y_row;
    const struct NAME(slopes) *slopes; /* or NULL: B is f'(z) dy, and made while it is packed */
};

/* ------------------------------------------------------------------ the activation, on a tile */

static void NAME(activate_tile)(const struct NAME(job) *job, ptrdiff_t rows, ptrdiff_t width,
                                REAL *c, ptrdiff_t c_row)
{
#define EACH(code)                                                       \
    case code:                                                           \
        for (ptrdiff_t i = 0; i < rows; i++)                             \
            for (ptrdiff_t j = 0; j < width; j += LANES) {               \
                REAL *p = c + i * c_row + j;                             \
                STORE(p, NAME(activate)(code, LOAD(p), job->alpha));     \
            }                                                            \
        break;
    switch (job->activation) {
        EACH(ACT_RELU)
        EACH(ACT_LEAKY_RELU)
        EACH(ACT_ELU)
        EACH(ACT_SIGMOID)
        EACH(ACT_TANH)
        EACH(ACT_SOFTPLUS)
    }
#undef EACH
}

/* gelu has two results: z, which its slope needs, and y. */
static void NAME(gelu_tile)(ptrdiff_t rows, ptrdiff_t width, const REAL *z, ptrdiff_t z_row, REAL *y,
                            ptrdiff_t y_row)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < width; j += LANES)
            STORE(y + i * y_row + j, NAME(vgelu)(LOAD(z + i * z_row + j)));
}

static void NAME(copy_tile)(ptrdiff_t rows, ptrdiff_t width, const REAL *from, ptrdiff_t from_row,
                            REAL *to, ptrdiff_t to_row)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        NAME(copy_row)(from + i * from_row, to + i * to_row, width);
}

/* ---------------------------------------------------------------------------- one tile of C */

/* One tile: rows i ... i + rows and columns j ... j + width of C. A tile that is narrower than its
   vectors (of the last panel) is computed in a buffer, of which the part that exists is copied. */
static inline void NAME(one_tile)(const struct NAME(job) *job, ptrdiff_t rows, ptrdiff_t K,
                                  const REAL *a, ptrdiff_t a_stride, int by_rows, const REAL *b,
                                  ptrdiff_t b_row, ptrdiff_t i, ptrdiff_t j, ptrdiff_t width,
                                  int first, int last)
{
    const int vectors = width <= LANES ? 1 : 2;
    const int add = job->add || !first;
    const int narrow = width < vectors * LANES;
    REAL buffer[2][ROWS * PANEL], start[PANEL];
    const REAL *bias = first && job->bias != NULL ? job->bias + j : NULL;
    REAL *to = job->c + i * job->c_row + j, *c = narrow ? buffer[0] : to;
    const ptrdiff_t c_row = narrow ? PANEL : job->c_row;
    if (narrow && add)
        NAME(copy_tile)(rows, width, to, job->c_row, c, c_row);
    if (narrow && bias != NULL) {
        for (ptrdiff_t l = 0; l < PANEL; l++)
            start[l] = l < width ? bias[l] : 0;
        bias = start;
    }
    NAME(tile_of)[rows - 1][vectors - 1][by_rows](K, a, a_stride, b, b_row, c, c_row, bias,
                                                  add);
    if (last && job->activation == ACT_GELU) {
        REAL *y = job->y + i * job->y_row + j;
        if (narrow) {
            NAME(gelu_tile)(rows, width, c, c_row, buffer[1], PANEL);
            NAME(copy_tile)(rows, width, buffer[1], PANEL, y, job->y_row);
        } else
            NAME(gelu_tile)(rows, width, c, c_row, y, job->y_row);
    } else if (last && job->activation != ACT_IDENTITY)
        NAME(activate_tile)(job, rows, width, c, c_row);
    if (narrow)
        NAME(copy_tile)(rows, width, c, c_row, to, job->c_row);
}

/* ---------------------------------------------------------------- policy: the plan of a block */

/* Whether every row begins where a cache line does: a vector that is read where it lies then touches
   one line, not two. */
static inline int NAME(whole_lines)(const REAL *first, ptrdiff_t apart)
{
    return (uintptr_t)first % 64 == 0 && apart * (ptrdiff_t)sizeof(REAL) % 64 == 0;
}

/* Rows that lie `apart` numbers from each other are read again and again. Are they better copied
   first? Yes where they are a multiple of 4096 bytes apart: all compete for the same few places of
   the cache. And where n of them reach over many pages, if they are read often. */
static inline int NAME(compete)(ptrdiff_t apart)
{
    return apart != 0 && apart * (ptrdiff_t)sizeof(REAL) % 4096 == 0;
}

static inline int NAME(lie_far)(ptrdiff_t apart, ptrdiff_t n)
{
    return (apart < 0 ? -apart : apart) * n * (ptrdiff_t)sizeof(REAL) > 65536;
}

/* How the block of a thread is worked through. */
struct NAME(plan) {
    ptrdiff_t slices;           /* of k: the 4th loop */
    ptrdiff_t tiles;            /* of rows: the 1st and 3rd loop together */
    int by_rows;                /* the numbers of a row of A lie side by side, else those of a column */
    int pack_a, pack_b;
    ptrdiff_t a_stride, a_size; /* of a packed tile of A: to its next row (column); numbers in all */
    ptrdiff_t b_size;           /* numbers of the packed part of B */
};

/* The plan for M rows and N columns of C. Copying pays where what is copied is used often enough. */
static struct NAME(plan) NAME(plan_block)(const struct NAME(job) *job, ptrdiff_t M, ptrdiff_t N)
{
    struct NAME(plan) p;
    /* Slices of k as even as possible: the sums in C are loaded and stored once for each. There is
       one at least: with K = 0, C is f(b). */
    p.slices = job->K == 0 ? 1 : (job->K + DEPTH - 1) / DEPTH;
    const ptrdiff_t depth = (job->K + p.slices - 1) / p.slices;
    /* As few tiles as possible, as even as possible: 32 rows are 10 + 11 + 11, not 14 + 14 + 4. */
    p.tiles = (M + ROWS - 1) / ROWS;

    const int in_lines = NAME(whole_lines)(job->b, job->b_row);
    p.pack_b = job->slopes != NULL || job->b_column != 1 ||
               (M > 2 * ROWS && NAME(compete)(job->b_row)) ||
               (M > (in_lines ? 12 : 6) * ROWS && NAME(lie_far)(job->b_row, job->K));
    const int pad_b = !p.pack_b && N % LANES != 0; /* a whole vector would reach past the end of B */
    const ptrdiff_t width =
        p.pack_b ? NAME(least)((N + LANES - 1) / LANES * LANES, WIDTH) : PANEL;
    p.b_size = p.pack_b || pad_b ? depth * width : 0;

    p.by_rows = job->a_column == 1 || job->a_row != 1;
    const ptrdiff_t apart = p.by_rows ? job->a_row : job->a_column;
    p.pack_a = (job->a_column != 1 && job->a_row != 1) ||
               (N > 3 * PANEL &&
                (NAME(compete)(apart) || NAME(lie_far)(apart, p.by_rows ? ROWS : job->K)));
    p.a_stride = p.by_rows ? depth + SKEW : A_WIDTH;
    p.a_size = p.pack_a ? p.a_stride * (p.by_rows ? ROWS : depth) : 0;
    return p;
}

/* ------------------------------------------------------------------------------------ the nest */

/* What the loops have chosen so far: a part of C, and of the sums over k that it consists of. */
struct NAME(part) {
    ptrdiff_t i0, M;    /* the block's rows: they are cut into the plan's tiles */
    ptrdiff_t j0, N;    /* columns: at first the block's, then those of the 5th loop */
    ptrdiff_t k0, K;    /* the slice of the 4th loop */
    int first, last;    /* is it the first, the last slice? */
    ptrdiff_t t0, t1;   /* the tiles of the 3rd loop */
};

/* Where tile t of the plan begins; it ends where the next one does. */
static inline ptrdiff_t NAME(tile_row)(const struct NAME(plan) *plan, const struct NAME(part) *at,
                                       ptrdiff_t t)
{
    return at->i0 + t * at->M / plan->tiles;
}

/* Pack A's rows of the tiles t0 ... t1, each tile to a place of its own. All at a time: a row of A' is
   in one page, and the next tile's part of it comes right after this one's. */
static void NAME(pack_a)(const struct NAME(job) *job, const struct NAME(plan) *plan,
                         const struct NAME(part) *at, REAL *packed)
{
    const ptrdiff_t chunk = plan->by_rows ? at->K : 32, stride = plan->a_stride;
    for (ptrdiff_t k = 0; k < at->K; k += chunk)
        for (ptrdiff_t t = at->t0; t < at->t1; t++) {
            const ptrdiff_t i = NAME(tile_row)(plan, at, t);
            const ptrdiff_t rows = NAME(tile_row)(plan, at, t + 1) - i;
            const ptrdiff_t depth = NAME(least)(at->K - k, chunk);
            const REAL *a = job->a + i * job->a_row + (at->k0 + k) * job->a_column;
            REAL *to = packed + (t - at->t0) * plan->a_size;
            if (plan->by_rows)
                NAME(pack)(a, job->a_row, job->a_column, rows, depth, to, stride);
            else /* whole vectors, where a row of A' goes on: its next numbers do no harm */
                NAME(pack)(a, job->a_column, 1, depth, NAME(least)(A_WIDTH, job->M - i),
                           to + k * stride, stride);
        }
}

/* Pack B's rows k0 ... k0 + K, panel after panel; or, where B is read as it lies, the last panel
   alone, if it is not made of whole vectors. */
static void NAME(pack_b)(const struct NAME(job) *job, const struct NAME(plan) *plan,
                         const struct NAME(part) *at, REAL *packed)
{
    const REAL *b = job->b + at->k0 * job->b_row + at->j0 * job->b_column;
    if (job->slopes != NULL) {
        NAME(slope_pass)(job->slopes, at->i0 == 0, at->k0, at->K, at->j0, at->N, packed);
        return;
    }
    for (ptrdiff_t j = 0; j < at->N; j += PANEL) {
        const ptrdiff_t wide = NAME(least)(at->N - j, PANEL);
        if (plan->pack_b || wide % LANES != 0)
            NAME(pack)(b + j * job->b_column, job->b_row, job->b_column, at->K, wide,
                       packed + (plan->pack_b ? j * at->K : 0), wide <= LANES ? LANES : PANEL);
    }
}

/* The 1st and 2nd loop: the tiles t0 ... t1, each over all panels of the columns j0 ... j0 + N. */
static void NAME(macro_kernel)(const struct NAME(job) *job, const struct NAME(plan) *plan,
                               const struct NAME(part) *at, const REAL *packed_a,
                               const REAL *packed_b)
{
    /* 1st loop around the micro-kernel: a tile of rows, whose part of A stays in the nearest cache */
    for (ptrdiff_t t = at->t0; t < at->t1; t++) {
        const ptrdiff_t i = NAME(tile_row)(plan, at, t);
        const ptrdiff_t rows = NAME(tile_row)(plan, at, t + 1) - i;
        const REAL *a = job->a + i * job->a_row + at->k0 * job->a_column;
        ptrdiff_t a_stride = plan->by_rows ? job->a_row : job->a_column;
        if (plan->pack_a) {
            a = packed_a + (t - at->t0) * plan->a_size;
            a_stride = plan->a_stride;
        }
        /* 2nd loop around the micro-kernel: a panel of columns */
        for (ptrdiff_t j = 0; j < at->N; j += PANEL) {
            const ptrdiff_t wide = NAME(least)(at->N - j, PANEL);
            const REAL *b = packed_b + (plan->pack_b ? j * at->K : 0);
            ptrdiff_t b_row = wide <= LANES ? LANES : PANEL;
            if (!plan->pack_b && wide % LANES == 0) { /* as it lies */
                b = job->b + at->k0 * job->b_row + at->j0 + j;
                b_row = job->b_row;
            }
            NAME(one_tile)(job, rows, at->K, a, a_stride, plan->by_rows, b, b_row, i, at->j0 + j,
                           wide, at->first, at->last);
        }
    }
}

/* The 4th, 5th and 3rd loop, over a block of C. */
static void NAME(nest)(const struct NAME(job) *job, const struct NAME(plan) *plan,
                       struct NAME(part) at, REAL *packed_a, REAL *packed_b)
{
    const ptrdiff_t start = at.j0, end = at.j0 + at.N;
    /* 4th loop around the micro-kernel: a slice of k */
    for (ptrdiff_t s = 0; s < plan->slices; s++) {
        at.k0 = s * job->K / plan->slices;
        at.K = (s + 1) * job->K / plan->slices - at.k0;
        at.first = s == 0;
        at.last = s == plan->slices - 1;
        /* 5th loop around the micro-kernel: a block of columns, whose part of B is packed */
        for (at.j0 = start; at.j0 < end; at.j0 += WIDTH) {
            at.N = NAME(least)(end - at.j0, WIDTH);
            NAME(pack_b)(job, plan, &at, packed_b);
            /* 3rd loop around the micro-kernel: a group of tiles of rows, whose part of A is packed */
            for (at.t0 = 0; at.t0 < plan->tiles; at.t0 += GROUP) {
                at.t1 = NAME(least)(plan->tiles, at.t0 + GROUP);
                if (plan->pack_a)
                    NAME(pack_a)(job, plan, &at, packed_a);
                NAME(macro_kernel)(job, plan, &at, packed_a, packed_b);
            }
        }
    }
}

/* Rows i0 ... i1 and columns j0 ... j1 of C, by one thread: its plan, its memory, its loops. */
static int NAME(block)(const struct NAME(job) *job, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j0,
                       ptrdiff_t j1)
{
    const struct NAME(plan) plan = NAME(plan_block)(job, i1 - i0, j1 - j0);
    const struct NAME(part) all = {.i0 = i0, .M = i1 - i0, .j0 = j0, .N = j1 - j0};
    const ptrdiff_t size = plan.b_size + plan.a_size * NAME(least)(plan.tiles, GROUP);
    REAL *scratch = NULL, *packed_b = NULL;
    if (size > 0) {
        scratch = malloc((size_t)size * sizeof(REAL) + 64);
        if (scratch == NULL)
            return -1;
        packed_b = (REAL *)(((uintptr_t)scratch + 63) / 64 * 64);
    }
    NAME(nest)(job, &plan, all, size > 0 ? packed_b + plan.b_size : NULL, packed_b);
    free(scratch);
    return 0;
}
