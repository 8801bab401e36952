/* Patches of images, cut out and laid back. (functions/convolution.py)

   In channels-last order the KW pixels of one row of a window are KW C numbers that lie side by side,
   in the image as in the patch: so a patch is KH pieces, whose parts outside of the image are 0. The
   threads share the images, of which none touches another. */

static inline void NAME(copy_piece)(const REAL *from, REAL *to, ptrdiff_t n)
{
    if (n <= 2 * LANES) {
        NAME(copy_row)(from, to, n);
        return;
    }
    for (ptrdiff_t j = 0; j + LANES < n; j += LANES)
        STORE(to + j, LOAD(from + j));
    STORE(to + n - LANES, LOAD(from + n - LANES));
}

static inline void NAME(add_piece)(const REAL *from, REAL *to, ptrdiff_t n)
{
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES)
        STORE(to + j, LOAD(to + j) + LOAD(from + j));
    if (n - j < 4) /* a few pixels of one channel */
        for (; j < n; j++)
            to[j] += from[j];
    else
        NAME(store_part)(
            to + j, NAME(load_part)(to + j, n - j, 0) + NAME(load_part)(from + j, n - j, 0), n - j);
}

/* The part of a window's row that lies in the image: where it begins there and in the piece, and how
   many numbers it has. */
struct NAME(piece) {
    REAL *pixels;
    ptrdiff_t before, n;
};

static inline struct NAME(piece) NAME(piece_of)(const struct patches *p, REAL *image, ptrdiff_t oh,
                                                ptrdiff_t ow, ptrdiff_t i)
{
    const ptrdiff_t row = oh * p->SH + i - p->top, column = ow * p->SW - p->left;
    const ptrdiff_t first = column < 0 ? -column : 0, end = NAME(least)(p->KW, p->W - column);
    if (row < 0 || row >= p->H || end <= first)
        return (struct NAME(piece)){NULL, 0, 0};
    return (struct NAME(piece)){image + (row * p->W + column + first) * p->C, first * p->C,
                                (end - first) * p->C};
}

static void NAME(cut_task)(void *context, int n)
{
    const struct patches *p = context;
    const ptrdiff_t length = p->KW * p->C;
    REAL *image = (REAL *)p->x + n * p->H * p->W * p->C;
    REAL *to = (REAL *)p->y + n * p->OH * p->OW * p->KH * length;
    for (ptrdiff_t oh = 0; oh < p->OH; oh++)
        for (ptrdiff_t ow = 0; ow < p->OW; ow++)
            for (ptrdiff_t i = 0; i < p->KH; i++, to += length) {
                const struct NAME(piece) piece = NAME(piece_of)(p, image, oh, ow, i);
                if (piece.n < length)
                    memset(to, 0, (size_t)length * sizeof(REAL));
                NAME(copy_piece)(piece.pixels, to + piece.before, piece.n);
            }
}

/* From the last window to the first: so the first rows and columns of the windows that see a pixel
   are added first, as by the definition, and the bits are the same. */
static void NAME(lay_back_task)(void *context, int n)
{
    const struct patches *p = context;
    const ptrdiff_t length = p->KW * p->C, size = p->H * p->W * p->C;
    REAL *image = (REAL *)p->x + n * size;
    memset(image, 0, (size_t)size * sizeof(REAL));
    for (ptrdiff_t oh = p->OH - 1; oh >= 0; oh--)
        for (ptrdiff_t ow = p->OW - 1; ow >= 0; ow--) {
            const ptrdiff_t window = (n * p->OH + oh) * p->OW + ow;
            const REAL *from = (const REAL *)p->y + window * p->KH * length;
            for (ptrdiff_t i = 0; i < p->KH; i++, from += length) {
                const struct NAME(piece) piece = NAME(piece_of)(p, image, oh, ow, i);
                NAME(add_piece)(from + piece.before, piece.pixels, piece.n);
            }
        }
}

static int NAME(share_images)(const struct patches *p, void (*task)(void *, int))
{
    if (p->N * p->OH * p->OW * p->KH * p->KW * p->C >= 65536)
        parallel_run(task, (void *)p, (int)p->N);
    else
        for (int n = 0; n < p->N; n++)
            task((void *)p, n);
    return 0;
}

static int NAME(cut_patches)(const struct patches *p) { return NAME(share_images)(p, NAME(cut_task)); }
static int NAME(lay_patches_back)(const struct patches *p)
{
    return NAME(share_images)(p, NAME(lay_back_task));
}
