/* The slope of a dense layer's activation, dz = f'(z) dy, with db = the sums of dz's columns.

   dW = x' dz reads each number of dz once, when it packs it (gemm.h). So there dz need not exist:
   the packing reads dy and what the activation kept, multiplies, adds the columns up, and puts the
   product where the packed number belongs. That is one routine, for a part of the rows and at most
   STRIPE columns; where dx = dz W' follows, it leaves dz behind on its way, and where dW is not
   wanted, it does nothing but that. */

#define STRIPE ((ptrdiff_t)1024) /* columns at most: their sums lie on the stack */

struct NAME(slopes) {
    int activation;
    REAL alpha;
    struct matrix dy, y; /* y: what the activation kept, its output or, for gelu, z */
    REAL *db;            /* (M), or NULL */
    int add;             /* to what stands in db */
    REAL *dz;            /* (N, M) to be written, or NULL */
    ptrdiff_t dz_row;
};

static inline __attribute__((always_inline)) VEC NAME(slope)(const int code, const REAL *dy,
                                                             const REAL *y, REAL alpha)
{
    return code == ACT_IDENTITY ? LOAD(dy) : NAME(slope_times)(code, LOAD(dy), LOAD(y), alpha);
}

/* `keep` says that db and dz are this call's to write: of two blocks that pack the same numbers, one
   does. In `packed`, each 2 LANES columns lie below each other, the last LANES or fewer as well. */
static inline __attribute__((always_inline)) void NAME(slope_rows)(
    const int code, const struct NAME(slopes) *s, const int keep, ptrdiff_t k0, ptrdiff_t K,
    ptrdiff_t j0, ptrdiff_t width, REAL *packed)
{
    const ptrdiff_t paired = (width + LANES - 1) / (2 * LANES) * (2 * LANES); /* in wide panels */
    REAL sums[STRIPE + LANES];
    memset(sums, 0, (size_t)(width + LANES) * sizeof(REAL));
    for (ptrdiff_t k = 0; k < K; k++) {
        const REAL *dy = (const REAL *)s->dy.data + (k0 + k) * s->dy.row + j0;
        const REAL *y = code == ACT_IDENTITY ? dy : (const REAL *)s->y.data + (k0 + k) * s->y.row + j0;
        REAL *dz = keep && s->dz != NULL ? s->dz + (k0 + k) * s->dz_row + j0 : NULL;
        for (ptrdiff_t j = 0; j < width; j += LANES) {
            const ptrdiff_t n = width - j;
            VEC d;
            if (n >= LANES)
                d = NAME(slope)(code, dy + j, y + j, s->alpha);
            else {
                REAL pad[2][LANES] = {{0}};
                NAME(copy_row)(dy + j, pad[0], n);
                NAME(copy_row)(y + j, pad[1], n);
                d = NAME(slope)(code, pad[0], pad[1], s->alpha);
            }
            STORE(sums + j, LOAD(sums + j) + d);
            if (packed != NULL) {
                const ptrdiff_t panel = j / (2 * LANES) * (2 * LANES);
                STORE(packed + panel * K + k * (j < paired ? 2 * LANES : LANES) + j - panel, d);
            }
            if (dz != NULL && n >= LANES)
                STORE(dz + j, d);
            else if (dz != NULL)
                for (ptrdiff_t l = 0; l < n; l++)
                    dz[j + l] = d[l];
        }
    }
    if (!keep || s->db == NULL)
        return;
    for (ptrdiff_t j = 0; j < width; j++)
        s->db[j0 + j] = s->add || k0 > 0 ? s->db[j0 + j] + sums[j] : sums[j];
}

static void NAME(slope_pass)(const struct NAME(slopes) *s, int keep, ptrdiff_t k0, ptrdiff_t K,
                             ptrdiff_t j0, ptrdiff_t width, REAL *packed)
{
#define EACH(code)                                                          \
    case code:                                                              \
        NAME(slope_rows)(code, s, keep, k0, K, j0, width, packed);          \
        break;
    switch (s->activation) {
        EACH(ACT_IDENTITY)
        EACH(ACT_RELU)
        EACH(ACT_LEAKY_RELU)
        EACH(ACT_ELU)
        EACH(ACT_SIGMOID)
        EACH(ACT_TANH)
        EACH(ACT_SOFTPLUS)
        EACH(ACT_GELU)
    }
#undef EACH
}
