/* Pooling: a number for each window of pixels, channel by channel. (functions/pooling.py)

   The channels of a pixel lie side by side, so a vector holds those of one pixel. The sum of all
   pixels is a pool of one window; a pixel that becomes a block of equal ones is the backward of a sum
   over blocks. The threads share the images. */

/* The rows and columns of a window that lie in the image, counted from the window's first. */
struct NAME(view) {
    ptrdiff_t row, column; /* of the window's first pixel, in the image or before it */
    ptrdiff_t top, bottom, left, right;
};

static inline struct NAME(view) NAME(view_of)(const struct pool *p, ptrdiff_t oh, ptrdiff_t ow)
{
    const ptrdiff_t row = oh * p->SH - p->top, column = ow * p->SW - p->left;
    return (struct NAME(view)){row, column, row < 0 ? -row : 0, NAME(least)(p->KH, p->H - row),
                               column < 0 ? -column : 0, NAME(least)(p->KW, p->W - column)};
}

static inline REAL NAME(share_of)(const struct pool *p, const struct NAME(view) *v)
{
    return p->mean ? 1 / (REAL)((v->bottom - v->top) * (v->right - v->left)) : 1;
}

/* As by the definition: of equal pixels the first; after a NaN, the last of all; and what lies
   outside is less than anything. */
static void NAME(max_pool_task)(void *context, int image)
{
    const struct pool *p = context;
    const ptrdiff_t D = p->C;
    const REAL *pixels = (const REAL *)p->x + image * p->H * p->W * D, lowest = -(REAL)INFINITY;
    ptrdiff_t window = image * p->OH * p->OW;
    for (ptrdiff_t oh = 0; oh < p->OH; oh++)
        for (ptrdiff_t ow = 0; ow < p->OW; ow++, window++) {
            const struct NAME(view) v = NAME(view_of)(p, oh, ow);
            REAL *y = (REAL *)p->y + window * D;
            uint8_t *which = p->which + window * D;
            EACH_VECTOR(
                VEC most = SPLAT(lowest), place = SPLAT(0);
                for (ptrdiff_t k = 0; k < p->KH * p->KW; k++) {
                    const ptrdiff_t a = k / p->KW, b = k % p->KW;
                    const int is_inside =
                        a >= v.top && a < v.bottom && b >= v.left && b < v.right;
                    const VEC x = is_inside
                        ? PART(pixels + ((v.row + a) * p->W + v.column + b) * D, lowest)
                        : SPLAT(lowest);
                    const MASK larger = (x > most) | (x != x);
                    if (k > 0)
                        place = SELECT(larger | (most != most), SPLAT((REAL)k), place);
                    most = SELECT(larger, x, most);
                }
                PUT(y, most);
                for (ptrdiff_t l = 0; l < n; l++)
                    which[j + l] = (uint8_t)place[l];)
        }
}

/* From the last window to the first, as in patches.h: so that the bits are the definition's. */
static void NAME(max_pool_slope_task)(void *context, int image)
{
    const struct pool *p = context;
    const ptrdiff_t D = p->C, size = p->H * p->W * D, windows = p->OH * p->OW;
    REAL *dx = (REAL *)p->x + image * size;
    memset(dx, 0, (size_t)size * sizeof(REAL));
    for (ptrdiff_t i = windows - 1; i >= 0; i--) {
        const struct NAME(view) v = NAME(view_of)(p, i / p->OW, i % p->OW);
        const REAL *dy = (const REAL *)p->y + (image * windows + i) * D;
        const uint8_t *which = p->which + (image * windows + i) * D;
        for (ptrdiff_t d = 0; d < D; d++) {
            const ptrdiff_t a = which[d] / p->KW, b = which[d] % p->KW;
            if (a >= v.top && a < v.bottom && b >= v.left && b < v.right)
                dx[((v.row + a) * p->W + v.column + b) * D + d] += dy[d];
        }
    }
}

/* Each row of the window by itself, then the rows: of shorter sums. */
static void NAME(sum_pool_task)(void *context, int image)
{
    const struct pool *p = context;
    const ptrdiff_t D = p->C;
    const REAL *pixels = (const REAL *)p->x + image * p->H * p->W * D;
    ptrdiff_t window = image * p->OH * p->OW;
    for (ptrdiff_t oh = 0; oh < p->OH; oh++)
        for (ptrdiff_t ow = 0; ow < p->OW; ow++, window++) {
            const struct NAME(view) v = NAME(view_of)(p, oh, ow);
            const REAL share = NAME(share_of)(p, &v);
            REAL *y = (REAL *)p->y + window * D;
            EACH_VECTOR(
                VEC total = SPLAT(0);
                for (ptrdiff_t a = v.top; a < v.bottom; a++) {
                    VEC sum = SPLAT(0);
                    for (ptrdiff_t b = v.left; b < v.right; b++)
                        sum += PART(pixels + ((v.row + a) * p->W + v.column + b) * D, 0);
                    total += sum;
                }
                PUT(y, total * share))
        }
}

static void NAME(sum_pool_slope_task)(void *context, int image)
{
    const struct pool *p = context;
    const ptrdiff_t D = p->C, size = p->H * p->W * D, windows = p->OH * p->OW;
    REAL *dx = (REAL *)p->x + image * size;
    memset(dx, 0, (size_t)size * sizeof(REAL));
    for (ptrdiff_t i = windows - 1; i >= 0; i--) {
        const struct NAME(view) v = NAME(view_of)(p, i / p->OW, i % p->OW);
        const REAL share = NAME(share_of)(p, &v);
        const REAL *dy = (const REAL *)p->y + (image * windows + i) * D;
        for (ptrdiff_t a = v.top; a < v.bottom; a++)
            for (ptrdiff_t b = v.left; b < v.right; b++) {
                REAL *to = dx + ((v.row + a) * p->W + v.column + b) * D;
                EACH_VECTOR(PUT(to, PART(to, 0) + PART(dy, 0) * share))
            }
    }
}

static int NAME(share_pools)(const struct pool *p, void (*task)(void *, int))
{
    if (p->N * p->OH * p->OW * p->KH * p->KW * p->C >= 65536)
        parallel_run(task, (void *)p, (int)p->N);
    else
        for (int n = 0; n < p->N; n++)
            task((void *)p, n);
    return 0;
}

static int NAME(max_pool)(const struct pool *p) { return NAME(share_pools)(p, NAME(max_pool_task)); }
static int NAME(max_pool_slope)(const struct pool *p)
{
    return NAME(share_pools)(p, NAME(max_pool_slope_task));
}
static int NAME(sum_pool)(const struct pool *p) { return NAME(share_pools)(p, NAME(sum_pool_task)); }
static int NAME(sum_pool_slope)(const struct pool *p)
{
    return NAME(share_pools)(p, NAME(sum_pool_slope_task));
}
