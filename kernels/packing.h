/* Packing: a part of A or of B is copied to where the product reads it from left to right.

   PACKING. In B itself, the rows of a panel lie a whole row of B apart: each in a page of its own
   and, where a row is a multiple of 4096 bytes, all in the same few places of the cache. So the panel
   is first copied to where its rows follow each other. The copy can as well transpose, or pad the
   last, narrower panel with zeros: x W, dz W' and x' dz are all this one routine. Where the copy
   would be used too few times to pay, A and B are read where they lie. */

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
