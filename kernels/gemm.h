/* The matrix product C = A B, packed and fused: step 3 of the staircase (staircase.h has 1 and 2).

   K. Goto and R. van de Geijn 2008, "Anatomy of high-performance matrix multiplication"; F. Van Zee
   and R. van de Geijn 2015, "BLIS: a framework for rapidly instantiating BLAS functionality".

   THE REGISTER TILE. One multiply-add instruction works on a vector of LANES numbers, and a
   processor starts two of them in a cycle, but loads only two vectors in a cycle, and waits four
   cycles for a result. So a product that loads two numbers for each multiply-add is bound by its
   loads. The way out: hold a tile of C, ROWS x 2 vectors, in registers for the whole of the sum
   over k. Each step k then loads 2 vectors of B's row and ROWS single numbers of A's column, and
   does 2 ROWS multiply-adds with them, all independent of each other:

              B:  k -> [ b0 | b1 ]                 acc[i][0] += a[i] * b0
       A:                                          acc[i][1] += a[i] * b1      i = 0 ... ROWS - 1
       a[0]       [ acc[0][0] | acc[0][1] ]
       a[1]       [ acc[1][0] | acc[1][1] ]

   With 32 registers (AVX-512) 14 rows fill 28 of them with sums; with 16 (AVX2) it is 6 rows.

   THE LOOP NEST. Around the tile, the loops are cut so that each level of cache holds what the next
   loop uses again:

       for each slice of k, of at most DEPTH
         for each block of WIDTH columns: pack B's DEPTH x WIDTH     fits into the second-level cache
           for each tile of at most ROWS rows: pack A's ROWS x DEPTH  fits into the first-level cache
             for each panel of 2 vectors of columns
               the register tile, over the slice of k

   A's part is used again for every panel, from the nearest cache; the panels of B stream past it
   from the second one, 2 vectors in ROWS cycles, which is well within what that can deliver.

   PACKING. In B itself, the rows of a panel lie a whole row of B apart: each in a page of its own
   and, where a row is a multiple of 4096 bytes, all in the same few places of the cache. So the panel
   is first copied to where its rows follow each other. The copy can as well transpose, or pad the
   last, narrower panel with zeros: x W, dz W' and x' dz are all this one routine. Where the copy
   would be used too few times to pay, A and B are read where they lie.

   FUSING. The bias is what the sums start from, and the activation is applied to a tile of C when
   its last slice of k is done, while it is still in the first-level cache: C passes through the
   processor once, instead of once for the product, once for the bias and once for f. In the
   backward, B may be f'(z) dy, which the packing makes from dy (slope.h).

   THE SAME BITS. Each element of C is summed in the same order, k = 0, 1, ... within each slice of
   DEPTH, whatever the tile, the block or the thread it falls to. */

#if BYTES == 64
#define ROWS 14
#elif BYTES == 32
#define ROWS 6
#elif defined(__aarch64__)
#define ROWS 8
#else
#define ROWS 4
#endif
#define PANEL (2 * LANES)                           /* columns of a tile */
#define DEPTH ((ptrdiff_t)(1600 / sizeof(REAL)))    /* k of a slice */
#define WIDTH ((ptrdiff_t)((BYTES == 64 ? 2048 : 1024) / sizeof(REAL))) /* columns of a block */
#define A_WIDTH ((ROWS + LANES - 1) / LANES * LANES) /* of packed columns of A */
#define GROUP ((ptrdiff_t)8)                         /* tiles of A that are packed at a time */
#define SKEW ((ptrdiff_t)(64 / sizeof(REAL)))       /* keeps packed rows off the same cache sets */

/* ------------------------------------------------------------------------- the register tile */

/* c = bias + a b (or c += a b) for a tile of `rows` rows and `vectors` vectors of columns. It is
   inlined where rows and vectors are constants, so that both loops over them disappear and every
   acc[i][v] is a register. One of A's strides is 1: of its rows or of its columns. */
static inline __attribute__((always_inline)) void NAME(tile)(
    const int rows, const int vectors, const int by_rows, ptrdiff_t K, const REAL *a,
    ptrdiff_t a_stride, const REAL *b, ptrdiff_t b_row, REAL *c, ptrdiff_t c_row,
    const REAL *bias, int add)
{
    VEC acc[ROWS][2];
    VEC start[2] = {{0}, {0}};
    if (bias != NULL)
        for (int v = 0; v < vectors; v++)
            start[v] = LOAD(bias + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            acc[i][v] = start[v];

    /* Of rows that lie a_stride apart, one pointer serves three: address + stride * {0, 1, 2} is
       one operand, and 14 pointers would not fit into the registers. */
    const REAL *three[(ROWS + 2) / 3];
#pragma GCC unroll 8
    for (int g = 0; g < (rows + 2) / 3; g++)
        three[g] = a + (by_rows ? 3 * g * a_stride : 3 * g);

    /* The tile of C is on its way while the sums are made. */
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(c + i * c_row + v * LANES, 1);

    /* So are the rows of B to come; past the last one they are a hint that leads nowhere. */
    const uintptr_t ahead = (uintptr_t)(16 * b_row) * sizeof(REAL);

    for (ptrdiff_t k = 0; k < K; k++) {
        VEC row[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            row[v] = LOAD(b + v * LANES);
            if (v * BYTES % 64 == 0) /* once for each cache line */
                __builtin_prefetch((const void *)((uintptr_t)(b + v * LANES) + ahead));
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            VEC x = SPLAT(by_rows ? three[i / 3][(i % 3) * a_stride + k] : a[i]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                acc[i][v] += x * row[v];
        }
        b += b_row;
        if (!by_rows)
            a += a_stride;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            REAL *p = c + i * c_row + v * LANES;
            STORE(p, add ? LOAD(p) + acc[i][v] : acc[i][v]);
        }
}

/* One function for each number of rows, of vectors, and for A's two layouts. */
#define TILE(rows, vectors, by_rows)                                                              \
    static void NAME(tile_##rows##_##vectors##_##by_rows)(                                        \
        ptrdiff_t K, const REAL *a, ptrdiff_t a_stride, const REAL *b, ptrdiff_t b_row, REAL *c, \
        ptrdiff_t c_row, const REAL *bias, int add)                                               \
    {                                                                                             \
        NAME(tile)(rows, vectors, by_rows, K, a, a_stride, b, b_row, c, c_row, bias, add);        \
    }
#define TILES(rows) TILE(rows, 1, 0) TILE(rows, 1, 1) TILE(rows, 2, 0) TILE(rows, 2, 1)
TILES(1) TILES(2) TILES(3) TILES(4)
#if ROWS >= 6
TILES(5) TILES(6)
#endif
#if ROWS >= 8
TILES(7) TILES(8)
#endif
#if ROWS >= 14
TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
#endif
#undef TILES
#undef TILE

typedef void NAME(tile_function)(ptrdiff_t, const REAL *, ptrdiff_t, const REAL *, ptrdiff_t,
                                 REAL *, ptrdiff_t, const REAL *, int);
#define TILES(rows)                                                          \
    {{NAME(tile_##rows##_1_0), NAME(tile_##rows##_1_1)},                     \
     {NAME(tile_##rows##_2_0), NAME(tile_##rows##_2_1)}},
static NAME(tile_function) *const NAME(tile_of)[ROWS][2][2] = { /* [rows - 1][vectors - 1][by_rows] */
    TILES(1) TILES(2) TILES(3) TILES(4)
#if ROWS >= 6
    TILES(5) TILES(6)
#endif
#if ROWS >= 8
    TILES(7) TILES(8)
#endif
#if ROWS >= 14
    TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
#endif
};
#undef TILES

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
    REAL *y, *t; /* gelu's other two results */
    ptrdiff_t y_row, t_row;
    const struct NAME(slopes) *slopes; /* or NULL: B is f'(z) dy, and made while it is packed */
    int backward; /* subnormal numbers may be taken for 0: subnormal.h */
};

/* ------------------------------------------------------------------------------------- packing */

static inline ptrdiff_t NAME(least)(ptrdiff_t p, ptrdiff_t q) { return p < q ? p : q; }

/* Transpose LANES x LANES numbers in registers: exchange the off-diagonal halves of 2 x 2 blocks, of
   1 number, of 2, of 4 ... Each round is one shuffle a vector: log2(LANES) of them for each LANES
   numbers, where a copy number by number takes a load and a store for each. */
#if defined(__clang__)
#define SHUFFLE(p, q, picks) NAME(shuffle)(p, q, picks)
static inline VEC NAME(shuffle)(VEC p, VEC q, MASK picks)
{
    REAL both[2 * LANES], out[LANES];
    STORE(both, p);
    STORE(both + LANES, q);
    for (int l = 0; l < LANES; l++)
        out[l] = both[picks[l]];
    return LOAD(out);
}
#else
#define SHUFFLE(p, q, picks) __builtin_shuffle(p, q, picks)
#endif
static inline void NAME(transpose)(const REAL *from, ptrdiff_t stride, REAL *to, ptrdiff_t to_stride)
{
    VEC a[LANES];
    MASK lane;
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) {
        a[l] = LOAD(from + l * stride);
        lane[l] = l;
    }
#pragma GCC unroll 4
    for (int h = 1; h < LANES; h *= 2) {
        const MASK odd = (lane & h) != 0;
        const MASK low = (odd & (lane + LANES - h)) | (~odd & lane);
        const MASK high = (odd & (lane + LANES)) | (~odd & (lane + h));
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if ((i & h) == 0) {
                const VEC p = a[i], q = a[i + h];
                a[i] = SHUFFLE(p, q, low);
                a[i + h] = SHUFFLE(p, q, high);
            }
    }
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++)
        STORE(to + l * to_stride, a[l]);
}

/* Copy K x width numbers of any strides to rows of `panel` numbers, the rest of a row zeros. */
static void NAME(pack)(const REAL *from, ptrdiff_t row, ptrdiff_t column, ptrdiff_t K,
                       ptrdiff_t width, REAL *to, ptrdiff_t panel)
{
    if (column == 1) {
        for (ptrdiff_t k = 0; k < K; k++, from += row, to += panel) {
            ptrdiff_t j = 0;
            for (; j + LANES <= width; j += LANES)
                STORE(to + j, LOAD(from + j));
            for (; j < width; j++)
                to[j] = from[j];
            for (; j < panel; j++)
                to[j] = 0;
        }
        return;
    }
    ptrdiff_t copied = 0; /* columns */
    if (row == 1 && K >= LANES && width >= LANES) { /* transposed: the last blocks repeat some */
        for (ptrdiff_t k = 0; k < K; k += LANES)
            for (ptrdiff_t j = 0; j < width; j += LANES) {
                const ptrdiff_t k0 = NAME(least)(k, K - LANES), j0 = NAME(least)(j, width - LANES);
                NAME(transpose)(from + k0 + j0 * column, column, to + k0 * panel + j0, panel);
            }
        copied = width;
    }
    for (ptrdiff_t k = 0; k < K; k++)
        for (ptrdiff_t j = copied; j < panel; j++)
            to[k * panel + j] = j < width ? from[k * row + j * column] : 0;
}

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

/* gelu has three results: z, y = z/2 (1 + t), and t = tanh(u), which its slope needs. */
static void NAME(gelu_tile)(ptrdiff_t rows, ptrdiff_t width, const REAL *z, ptrdiff_t z_row, REAL *y,
                            ptrdiff_t y_row, REAL *t, ptrdiff_t t_row)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < width; j += LANES) {
            VEC th;
            STORE(y + i * y_row + j, NAME(vgelu)(LOAD(z + i * z_row + j), &th));
            STORE(t + i * t_row + j, th);
        }
}

static void NAME(copy_tile)(ptrdiff_t rows, ptrdiff_t width, const REAL *from, ptrdiff_t from_row,
                            REAL *to, ptrdiff_t to_row)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        NAME(copy_row)(from + i * from_row, to + i * to_row, width);
}

/* ---------------------------------------------------------------------------- tiles in a block */

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
    REAL buffer[3][ROWS * PANEL], start[PANEL];
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
        REAL *y = job->y + i * job->y_row + j, *t = job->t + i * job->t_row + j;
        if (narrow) {
            NAME(gelu_tile)(rows, width, c, c_row, buffer[1], PANEL, buffer[2], PANEL);
            NAME(copy_tile)(rows, width, buffer[1], PANEL, y, job->y_row);
            NAME(copy_tile)(rows, width, buffer[2], PANEL, t, job->t_row);
        } else
            NAME(gelu_tile)(rows, width, c, c_row, y, job->y_row, t, job->t_row);
    } else if (last && job->activation != ACT_IDENTITY)
        NAME(activate_tile)(job, rows, width, c, c_row);
    if (narrow)
        NAME(copy_tile)(rows, width, c, c_row, to, job->c_row);
}

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

/* Pack A's rows of the tiles t0 ... t1 (of `tiles`, from i0), each tile to a place of its own, `size`
   numbers after the one before. Several at a time: a row of A' is in one page, and the next tile's
   part of it comes right after this one's. */
static void NAME(pack_a)(const struct NAME(job) *job, ptrdiff_t i0, ptrdiff_t M, ptrdiff_t t0,
                         ptrdiff_t t1, ptrdiff_t tiles, ptrdiff_t k0, ptrdiff_t K, int by_rows,
                         REAL *to, ptrdiff_t stride, ptrdiff_t size)
{
    const ptrdiff_t chunk = by_rows ? K : 32;
    for (ptrdiff_t k = 0; k < K; k += chunk)
        for (ptrdiff_t t = t0; t < t1; t++) {
            const ptrdiff_t i = i0 + t * M / tiles, rows = i0 + (t + 1) * M / tiles - i;
            const REAL *a = job->a + i * job->a_row + (k0 + k) * job->a_column;
            const ptrdiff_t depth = NAME(least)(K - k, chunk);
            if (by_rows)
                NAME(pack)(a, job->a_row, job->a_column, rows, depth, to + (t - t0) * size, stride);
            else /* whole vectors, where a row of A' goes on: its next numbers do no harm */
                NAME(pack)(a, job->a_column, 1, depth, NAME(least)(A_WIDTH, job->M - i),
                           to + (t - t0) * size + k * stride, stride);
        }
}

/* Rows i0 ... i1 and columns j0 ... j1 of C: the loop nest of this page's top. */
static int NAME(block)(const struct NAME(job) *job, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j0,
                       ptrdiff_t j1)
{
    const ptrdiff_t M = i1 - i0, N = j1 - j0, K = job->K;
    /* Slices of k as even as possible: the sums in C are loaded and stored once for each. */
    const ptrdiff_t slices = K == 0 ? 1 : (K + DEPTH - 1) / DEPTH;
    const ptrdiff_t depth = (K + slices - 1) / slices;
    /* Copying pays where what is copied is used often enough. */
    const int by_rows = job->a_column == 1 || job->a_row != 1;
    const int pack_b = job->slopes != NULL || job->b_column != 1 || (M > 2 * ROWS && NAME(compete)(job->b_row)) ||
                       (M > (NAME(whole_lines)(job->b, job->b_row) ? 12 : 6) * ROWS && NAME(lie_far)(job->b_row, K));
    const ptrdiff_t a_apart = by_rows ? job->a_row : job->a_column;
    const int pack_a =
        (job->a_column != 1 && job->a_row != 1) ||
        (N > 3 * PANEL && (NAME(compete)(a_apart) || NAME(lie_far)(a_apart, by_rows ? ROWS : K)));
    const int pad_b = !pack_b && N % LANES != 0; /* a whole vector would reach past the end of B */
    const ptrdiff_t width = pack_b ? NAME(least)((N + LANES - 1) / LANES * LANES, WIDTH) : PANEL;
    const ptrdiff_t a_stride = by_rows ? depth + SKEW : A_WIDTH;
    /* As few tiles as possible, as even as possible: 32 rows are 10 + 11 + 11, not 14 + 14 + 4. */
    const ptrdiff_t tiles = (M + ROWS - 1) / ROWS;
    const ptrdiff_t b_size = pack_b || pad_b ? depth * width : 0;
    const ptrdiff_t a_size = pack_a ? a_stride * (by_rows ? ROWS : depth) : 0;
    const ptrdiff_t size = b_size + a_size * NAME(least)(tiles, GROUP);

    REAL *scratch = NULL, *packed_b = NULL, *packed_a = NULL;
    if (size > 0) {
        scratch = malloc((size_t)size * sizeof(REAL) + 64);
        if (scratch == NULL)
            return -1;
        packed_b = (REAL *)(((uintptr_t)scratch + 63) / 64 * 64);
        packed_a = packed_b + b_size;
    }
    for (ptrdiff_t s = 0; s < slices; s++) { /* once at least: with K = 0, C is f(b) */
        const ptrdiff_t k0 = s * K / slices, k = (s + 1) * K / slices - k0;
        const int first = s == 0, last = s == slices - 1;
        for (ptrdiff_t jj = 0; jj < N; jj += WIDTH) {
            const ptrdiff_t w = NAME(least)(N - jj, WIDTH);
            const REAL *b_slice = job->b + k0 * job->b_row + (j0 + jj) * job->b_column;
            if (job->slopes != NULL)
                NAME(slope_pass)(job->slopes, i0 == 0, k0, k, j0 + jj, w, packed_b);
            for (ptrdiff_t j = 0; j < w && job->slopes == NULL; j += PANEL) {
                const ptrdiff_t wide = NAME(least)(w - j, PANEL);
                if (pack_b || wide % LANES != 0)
                    NAME(pack)(b_slice + j * job->b_column, job->b_row, job->b_column, k, wide,
                               packed_b + (pack_b ? j * k : 0), wide <= LANES ? LANES : PANEL);
            }
            for (ptrdiff_t t = 0; t < tiles; t++) {
                const ptrdiff_t i = t * M / tiles, rows = (t + 1) * M / tiles - i;
                const REAL *a = job->a + (i0 + i) * job->a_row + k0 * job->a_column;
                ptrdiff_t stride = by_rows ? job->a_row : job->a_column;
                if (pack_a) {
                    if (t % GROUP == 0)
                        NAME(pack_a)(job, i0, M, t, NAME(least)(tiles, t + GROUP), tiles, k0, k,
                                     by_rows, packed_a, a_stride, a_size);
                    a = packed_a + t % GROUP * a_size;
                    stride = a_stride;
                }
                for (ptrdiff_t j = 0; j < w; j += PANEL) {
                    const ptrdiff_t wide = NAME(least)(w - j, PANEL);
                    const int direct = !pack_b && wide % LANES == 0;
                    NAME(one_tile)(job, rows, k, a, stride, by_rows,
                                   direct ? b_slice + j : packed_b + (pack_b ? j * k : 0),
                                   direct ? job->b_row : wide <= LANES ? LANES : PANEL, i0 + i,
                                   j0 + jj + j, wide, first, last);
                }
            }
        }
    }
    free(scratch);
    return 0;
}

/* -------------------------------------------------------------------------------------- threads */

/* A product cut into rows x columns blocks of C, each the task of one thread. Every block packs what
   it needs, so blocks close to a square repeat the least work, and there are as many as threads. */
struct NAME(grid) {
    const struct NAME(job) *job;
    int rows, columns;
};

static double NAME(work)(const struct NAME(job) *job)
{
    return (double)job->M * (double)job->N * (double)job->K;
}

static struct NAME(grid) NAME(cut)(const struct NAME(job) *job, int threads)
{
    struct NAME(grid) best = {job, 1, 1};
    const ptrdiff_t panels = (job->N + PANEL - 1) / PANEL;
    double least = 0;
    for (int rows = 1; rows <= threads; rows++) {
        const int columns = threads / rows;
        const double m = (double)((job->M + rows - 1) / rows);
        const double n = (double)((panels + columns - 1) / columns);
        /* In units of a row's multiply-adds with a panel: these, and reading a panel of B (twice as
           much where it is dy and y) and a row of A, which come from beyond the thread's own cache. */
        const double cost = m * n + (job->slopes != NULL ? 28 : 18) * n + 0.6 * m;
        if (rows == 1 || cost < least) {
            least = cost;
            best.rows = rows;
            best.columns = columns;
        }
    }
    return best;
}

static int NAME(do_block)(const struct NAME(grid) *grid, int i)
{
    const struct NAME(job) *job = grid->job;
    const ptrdiff_t row = i / grid->columns, column = i % grid->columns;
    const ptrdiff_t panels = (job->N + PANEL - 1) / PANEL;
    const ptrdiff_t j0 = column * panels / grid->columns * PANEL;
    const ptrdiff_t j1 = NAME(least)((column + 1) * panels / grid->columns * PANEL, job->N);
    return NAME(block)(job, row * job->M / grid->rows, (row + 1) * job->M / grid->rows, j0, j1);
}

struct NAME(jobs) { /* of products that do not depend on each other */
    struct NAME(grid) grid[2];
    int n;
    int failed;
};

/* Block i / n of product i % n: a thread's share of the tasks has a part of each product. */
static void NAME(jobs_task)(void *context, int i)
{
    struct NAME(jobs) *jobs = context;
    const struct NAME(grid) *grid = &jobs->grid[i % jobs->n];
    if (i / jobs->n >= grid->rows * grid->columns)
        return;
    const unsigned mode = grid->job->backward ? without_subnormals() : 0;
    if (NAME(do_block)(grid, i / jobs->n) != 0)
        __atomic_store_n(&jobs->failed, 1, __ATOMIC_RELAXED);
    if (grid->job->backward)
        with_subnormals(mode);
}

static int NAME(run_jobs)(const struct NAME(job) *job, int n)
{
    struct NAME(jobs) jobs = {.n = n, .failed = 0};
    int threads = threads_get(), most = 0;
    double work = 0;
    for (int j = 0; j < n; j++)
        work += NAME(work)(&job[j]);
    if (work < 4e5 * n)
        threads = 1; /* waking another thread would take longer */
    /* Of two smaller products each has half of the threads, so that less is packed twice. */
    const int each = n > 1 && work < 6e7 ? threads / n : threads;
    for (int j = 0; j < n; j++) {
        jobs.grid[j] = NAME(cut)(&job[j], each);
        const int blocks = jobs.grid[j].rows * jobs.grid[j].columns;
        most = blocks > most ? blocks : most;
    }
    if (threads == 1)
        for (int i = 0; i < n * most; i++)
            NAME(jobs_task)(&jobs, i);
    else
        parallel_run(NAME(jobs_task), &jobs, n * most);
    return jobs.failed ? -1 : 0;
}
