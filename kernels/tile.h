/* The register tile of the matrix product: the micro-kernel around which gemm.h puts its loops.

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

   With 32 registers (AVX-512) 14 rows fill 28 of them with sums; with 16 (AVX2) it is 6 rows. */

#if BYTES == 64
#define ROWS 14
#elif BYTES == 32
#define ROWS 6
#elif defined(__aarch64__)
#define ROWS 8
#else
#define ROWS 4
#endif
#define PANEL (2 * LANES) /* columns of a tile */

/* c = bias + a b (or c += a b) for a tile of `rows` rows and `vectors` vectors of columns. It is
   inlined where rows and vectors are constants, so that both loops over them disappear and every
   acc[i][v] is a register. One of A's strides is 1: of its rows or of its columns. */
static inline __attribute__((always_inline)) void NAME(tile)(
    const int rows, const int vectors, const int by_rows, ptrdiff_t K, const REAL *a,
    ptrdiff_t a_stride, const REAL *b, ptrdiff_t b_row, REAL *c, ptrdiff_t c_row,
    const REAL *bias, int add)
{
    VEC acc[ROWS][4];
    VEC start[4] = {{0}, {0}, {0}, {0}};
    if (bias != NULL)
        for (int v = 0; v < vectors; v++)
            start[v] = LOAD(bias + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            acc[i][v] = start[v];

    /* Of rows that lie a_stride apart, one pointer serves three: address + stride * {0, 1, 2} is
       one operand, and 14 pointers would not fit into the registers. */
    const REAL *three[(ROWS + 2) / 3];
#pragma GCC unroll 8
    for (int g = 0; g < (rows + 2) / 3; g++)
        three[g] = a + (by_rows ? 3 * g * a_stride : 3 * g);

    /* Fetch the tile of C into the cache while the sums are made, */
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(c + i * c_row + v * LANES, 1);

    /* and the rows of B that come 16 steps later. (Past the last row the hint does nothing.) */
    const uintptr_t ahead = (uintptr_t)(16 * b_row) * sizeof(REAL);

    /* The micro-kernel's own loop: for each k, a column of A times a row of B is added to the tile. */
    for (ptrdiff_t k = 0; k < K; k++) {
        VEC row[4];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            row[v] = LOAD(b + v * LANES);
            if (v * BYTES % 64 == 0) /* once for each cache line */
                __builtin_prefetch((const void *)((uintptr_t)(b + v * LANES) + ahead));
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            VEC x = SPLAT(by_rows ? three[i / 3][(i % 3) * a_stride + k] : a[i]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                acc[i][v] += x * row[v];
        }
        b += b_row;
        if (!by_rows)
            a += a_stride;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
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
