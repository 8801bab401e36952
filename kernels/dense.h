/* The dense layer: its products (gemm.h), with the bias and the activation inside the forward's, and
   the activation's slope (slope.h) inside the backward's:

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
        .y = p->y.data, .y_row = p->y.row,
    };
    return NAME(run_jobs)(&job, 1);
}

/* Where packing cannot make dz, because dW is not wanted or lies transposed: a pass of its own, cut
   into stripes of columns, so that each column's sum is made by one thread, in the order of rows. */
struct NAME(stripes) {
    const struct NAME(slopes) *slopes;
    ptrdiff_t N, M;
    int n;
};

static void NAME(stripe_task)(void *context, int i)
{
    const struct NAME(stripes) *s = context;
    const ptrdiff_t j0 = i * s->M / s->n / LANES * LANES;
    const ptrdiff_t j1 = i + 1 == s->n ? s->M : (i + 1) * s->M / s->n / LANES * LANES;
    NAME(slope_pass)(s->slopes, 1, 0, s->N, j0, j1 - j0, NULL);
}

static void NAME(run_stripes)(const struct NAME(slopes) *slopes, ptrdiff_t N, ptrdiff_t M)
{
    const int shared = N * M >= 32768;
    ptrdiff_t stripes = (M + STRIPE - LANES - 1) / (STRIPE - LANES);
    if (shared && stripes < threads_get())
        stripes = NAME(least)(threads_get(), (M + 4 * LANES - 1) / (4 * LANES));
    struct NAME(stripes) s = {slopes, N, M, (int)stripes};
    if (shared)
        parallel_run(NAME(stripe_task), &s, s.n);
    else
        for (int i = 0; i < s.n; i++)
            NAME(stripe_task)(&s, i);
}

static struct NAME(job) NAME(dW_job)(const struct dense_backward *p, const struct NAME(slopes) *slopes)
{
    return (struct NAME(job)){
        .M = p->D, .N = p->M, .K = p->N,
        .a = p->x.data, .a_row = p->x.column, .a_column = p->x.row, /* x' */
        .b = p->dy.data, .b_row = p->dy.row, .b_column = p->dy.column,
        .c = p->dW.data, .c_row = p->dW.row, .add = p->add, .activation = ACT_IDENTITY,
        .slopes = p->activation == ACT_IDENTITY && p->db == NULL ? NULL : slopes,
    };
}

/* Of a dW that lies transposed, as a tied layer's does: dW' = dz' x. */
static struct NAME(job) NAME(transposed_dW_job)(const struct dense_backward *p, struct matrix dz)
{
    return (struct NAME(job)){
        .M = p->M, .N = p->D, .K = p->N,
        .a = dz.data, .a_row = dz.column, .a_column = dz.row, /* dz' */
        .b = p->x.data, .b_row = p->x.row, .b_column = p->x.column,
        .c = p->dW.data, .c_row = p->dW.column, .add = p->add, .activation = ACT_IDENTITY,
    };
}

static struct NAME(job) NAME(dx_job)(const struct dense_backward *p, struct matrix dz)
{
    return (struct NAME(job)){
        .M = p->N, .N = p->D, .K = p->M,
        .a = dz.data, .a_row = dz.row, .a_column = dz.column,
        .b = p->W.data, .b_row = p->W.column, .b_column = p->W.row, /* W' */
        .c = p->dx.data, .c_row = p->dx.row, .activation = ACT_IDENTITY,
    };
}

static int NAME(dense_backward)(const struct dense_backward *p)
{
    const int upright = p->dW.data != NULL && p->dW.column == 1; /* its packing makes dz and db */
    const int has_slope = p->activation != ACT_IDENTITY && p->N * p->M > 0;
    struct matrix dz = p->dy;
    REAL *scratch = NULL; /* for a dz that is read again */
    if (has_slope && (!upright || p->dx.data != NULL)) {
        scratch = malloc((size_t)(p->N * p->M) * sizeof(REAL));
        if (scratch == NULL)
            return -1;
        dz = (struct matrix){scratch, p->M, 1};
    }
    const struct NAME(slopes) slopes = {
        .activation = p->activation, .alpha = (REAL)p->alpha, .dy = p->dy, .y = p->y,
        .db = p->db, .add = p->add, .dz = scratch, .dz_row = p->M,
    };
    struct NAME(job) jobs[2];
    int n = 0, error = 0;
    if (upright)
        jobs[n++] = NAME(dW_job)(p, &slopes);
    else if (scratch != NULL || p->db != NULL)
        NAME(run_stripes)(&slopes, p->N, p->M);
    if (upright && scratch != NULL) { /* before dx, which reads the dz that it leaves behind */
        error = NAME(run_jobs)(jobs, n);
        n = 0;
    }
    if (p->dW.data != NULL && !upright)
        jobs[n++] = NAME(transposed_dW_job)(p, dz);
    if (p->dx.data != NULL)
        jobs[n++] = NAME(dx_job)(p, dz);
    if (error == 0)
        error = NAME(run_jobs)(jobs, n);
    free(scratch);
    return error;
}
