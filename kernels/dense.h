/* The dense layer: its products (gemm.h), with the bias and the activation inside the forward's, and
   the activation's slope in one pass before the backward's:

       forward    y = f(x W + b)                                                  x (N, D), W (D, M)
       backward   dz = f'(z) dy,  db = sum dz,  dx = dz W',  dW = x' dz            dy, y, dz (N, M)

   minienc/functions/dense.py has the derivation. */

static int NAME(product)(const struct product *p)
{
    const struct NAME(job) job = {
        .M = p->M, .N = p->N, .K = p->K,
        .a = p->a.data, .a_row = p->a.row, .a_column = p->a.column,
        .b = p->b.data, .b_row = p->b.row, .b_column = p->b.column,
        .c = p->c.data, .c_row = p->c.row, .add = p->add, .activation = ACT_IDENTITY,
    };
    return NAME(run_jobs)(&job, 1);
}

static int NAME(dense_forward)(const struct dense_forward *p)
{
    const int gelu = p->activation == ACT_GELU;
    const struct NAME(job) job = {
        .M = p->N, .N = p->M, .K = p->D, /* the paper's names: C is M x N */
        .a = p->x.data, .a_row = p->x.row, .a_column = p->x.column,
        .b = p->W.data, .b_row = p->W.row, .b_column = p->W.column,
        .c = gelu ? p->z.data : p->y.data, .c_row = gelu ? p->z.row : p->y.row,
        .bias = p->b, .activation = p->activation, .alpha = (REAL)p->alpha,
        .y = p->y.data, .y_row = p->y.row, .t = p->t.data, .t_row = p->t.row,
    };
    return NAME(run_jobs)(&job, 1);
}

/* dz = f'(z) dy and the sums of its columns, in one pass over rows, cut into stripes of columns: so
   each column's sum is made by one thread, in the order of the rows. */
struct NAME(slopes) {
    const struct dense_backward *p;
    REAL *dz; /* (N, M), or NULL: only the sums are wanted */
    int stripes;
};

#define STRIPE ((ptrdiff_t)1024) /* columns at most: their sums lie on the stack */

static inline VEC NAME(slope)(int code, VEC dy, const REAL *y, const REAL *t, REAL alpha)
{
    if (code == ACT_IDENTITY)
        return dy;
    if (code != ACT_GELU)
        return NAME(slope_times)(code, dy, LOAD(y), alpha);
    return NAME(gelu_slope_times)(dy, LOAD(y), LOAD(t));
}

/* Columns j0 ... j1. Where they are no multiple of LANES, the last vector repeats some columns of
   the one before it, and of its sums only the others are used; fewer columns than one vector are
   copied to a vector's place. */
static inline __attribute__((always_inline)) void NAME(slope_stripe)(
    const int code, const struct NAME(slopes) *s, ptrdiff_t j0, ptrdiff_t j1)
{
    const struct dense_backward *p = s->p;
    const ptrdiff_t width = j1 - j0, whole = width / LANES * LANES;
    const REAL alpha = (REAL)p->alpha;
    REAL sums[STRIPE + LANES], pad[4][LANES];
    memset(sums, 0, (size_t)(whole + LANES) * sizeof(REAL));
    memset(pad, 0, sizeof pad);
    for (ptrdiff_t i = 0; i < p->N; i++) {
        const REAL *dy = (const REAL *)p->dy.data + i * p->dy.row + j0;
        const REAL *y = code == ACT_IDENTITY ? dy : (const REAL *)p->y.data + i * p->y.row + j0;
        const REAL *t = code == ACT_GELU ? (const REAL *)p->t.data + i * p->t.row + j0 : dy;
        REAL *dz = s->dz == NULL ? NULL : s->dz + i * p->M + j0;
        if (width < LANES) {
            const size_t size = (size_t)width * sizeof(REAL);
            dy = memcpy(pad[0], dy, size);
            y = memcpy(pad[1], y, size);
            t = memcpy(pad[2], t, size);
        }
        for (ptrdiff_t j = 0; j < width; j += LANES) {
            const ptrdiff_t at = j < whole || whole == 0 ? j : width - LANES;
            VEC d = NAME(slope)(code, LOAD(dy + at), y + at, t + at, alpha);
            STORE(sums + j, LOAD(sums + j) + d);
            if (dz != NULL)
                STORE(whole == 0 ? pad[3] : dz + at, d);
        }
        if (dz != NULL && whole == 0)
            memcpy(dz, pad[3], (size_t)width * sizeof(REAL));
    }
    if (p->db == NULL)
        return;
    REAL *db = (REAL *)p->db + j0;
    for (ptrdiff_t j = 0; j < width; j++) {
        const REAL sum = sums[j < whole || whole == 0 ? j : j + whole + LANES - width];
        db[j] = p->add ? db[j] + sum : sum;
    }
}

static void NAME(slope_task)(void *context, int stripe)
{
    const struct NAME(slopes) *s = context;
    const ptrdiff_t M = s->p->M, n = s->stripes;
    const ptrdiff_t j0 = stripe * M / n / LANES * LANES;
    const ptrdiff_t j1 = stripe + 1 == n ? M : (stripe + 1) * M / n / LANES * LANES;
#define EACH(code)                               \
    case code:                                   \
        NAME(slope_stripe)(code, s, j0, j1);     \
        break;
    switch (s->p->activation) {
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

static int NAME(dense_backward)(const struct dense_backward *p)
{
    struct matrix dz = p->dy;
    REAL *scratch = NULL;
    if (p->activation != ACT_IDENTITY && p->N * p->M > 0) {
        scratch = malloc((size_t)(p->N * p->M) * sizeof(REAL));
        if (scratch == NULL)
            return -1;
        dz = (struct matrix){scratch, p->M, 1};
    }
    if (scratch != NULL || p->db != NULL) {
        ptrdiff_t stripes = (p->M + STRIPE - LANES - 1) / (STRIPE - LANES);
        if (p->N * p->M >= 32768 && stripes < threads_get())
            stripes = NAME(least)(threads_get(), (p->M + 4 * LANES - 1) / (4 * LANES));
        struct NAME(slopes) slopes = {p, scratch, (int)stripes};
        if (p->N * p->M < 32768)
            for (int i = 0; i < stripes; i++)
                NAME(slope_task)(&slopes, i);
        else
            parallel_run(NAME(slope_task), &slopes, (int)stripes);
    }
    struct NAME(job) jobs[2];
    int n = 0;
    if (p->dx.data != NULL)
        jobs[n++] = (struct NAME(job)){
            .M = p->N, .N = p->D, .K = p->M,
            .a = dz.data, .a_row = dz.row, .a_column = dz.column,
            .b = p->W.data, .b_row = p->W.column, .b_column = p->W.row, /* W' */
            .c = p->dx.data, .c_row = p->dx.row, .activation = ACT_IDENTITY,
        };
    if (p->dW.data != NULL && p->dW.column == 1)
        jobs[n++] = (struct NAME(job)){
            .M = p->D, .N = p->M, .K = p->N,
            .a = p->x.data, .a_row = p->x.column, .a_column = p->x.row, /* x' */
            .b = dz.data, .b_row = dz.row, .b_column = dz.column,
            .c = p->dW.data, .c_row = p->dW.row, .add = p->add, .activation = ACT_IDENTITY,
        };
    else if (p->dW.data != NULL) /* dW lies transposed, as a tied layer's does: dW' = dz' x */
        jobs[n++] = (struct NAME(job)){
            .M = p->M, .N = p->D, .K = p->N,
            .a = dz.data, .a_row = dz.column, .a_column = dz.row, /* dz' */
            .b = p->x.data, .b_row = p->x.row, .b_column = p->x.column,
            .c = p->dW.data, .c_row = p->dW.column, .add = p->add, .activation = ACT_IDENTITY,
        };
    const int error = NAME(run_jobs)(jobs, n);
    free(scratch);
    return error;
}

/* gemm.h's names end here, where the last one that uses them does. */
#undef ROWS
#undef PANEL
#undef DEPTH
#undef WIDTH
#undef SKEW
#undef GROUP
#undef A_WIDTH
#undef STRIPE
#undef SHUFFLE4
