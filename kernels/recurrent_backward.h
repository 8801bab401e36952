/* The backward of a whole sequence; recurrent.h says how it goes. */

/* Pack m' for the product of G slots of dz with it: panels of 2 vectors of its columns, the last one
   perhaps of 1; `by_x` says in which order x's slots stand. What is left of a slot behind M is 0. */
static void NAME(pack_gates)(const struct recurrent *p, struct matrix m, ptrdiff_t columns, int by_x,
                             REAL *to)
{
    const int G = NAME(gates)(p);
    for (ptrdiff_t j = 0; j < columns; j += PANEL) {
        const ptrdiff_t wide = NAME(least)(columns - j, PANEL), panel = wide <= LANES ? LANES : PANEL;
        for (int s = 0; s < G; s++, to += p->padded * panel) {
            const ptrdiff_t gate = by_x ? NAME(gate_of_x)(p, s) : s;
            NAME(pack)((const REAL *)m.data + gate * p->M * m.column + j * m.row, m.column, m.row, p->M,
                       wide, to, panel);
        }
    }
}

/* C = A B, or C += A B, with B packed in whole panels: gemm.h's 4th, 1st and 2nd loop. */
static void NAME(product_of_packed)(const struct NAME(job) *job, const REAL *packed)
{
    const ptrdiff_t slices = (job->K + DEPTH - 1) / DEPTH, tiles = (job->M + ROWS - 1) / ROWS;
    for (ptrdiff_t s = 0; s < slices; s++) {
        const ptrdiff_t k = s * job->K / slices, K = (s + 1) * job->K / slices - k;
        for (ptrdiff_t t = 0; t < tiles; t++) {
            const ptrdiff_t i = t * job->M / tiles, rows = (t + 1) * job->M / tiles - i;
            for (ptrdiff_t j = 0; j < job->N; j += PANEL) {
                const ptrdiff_t wide = NAME(least)(job->N - j, PANEL);
                const ptrdiff_t panel = wide <= LANES ? LANES : PANEL;
                NAME(one_tile)(job, rows, K, job->a + i * job->a_row + k, job->a_row, 1,
                               packed + j * job->K + k * panel, panel, i, j, wide, s == 0, 0);
            }
        }
    }
}

/* A task: samples from ... to, from the last step to the first. */
static void NAME(backward_task)(void *context, int i)
{
    const struct NAME(recurrence) *r = context;
    const struct recurrent *p = r->p;
    const ptrdiff_t from = NAME(first_sample)(r, i), N = NAME(first_sample)(r, i + 1) - from;
    const ptrdiff_t K = NAME(gates)(p) * p->padded;
    for (ptrdiff_t t = p->T - 1; t >= 0; t--) {
        for (ptrdiff_t n = from; n < from + N; n++)
            NAME(cell_slope)(p, t, n, r->dh + n * p->padded, r->dc + n * p->padded);
        const REAL *dz = NAME(dz_of)(p, t, from);
        const struct NAME(job) to_h = {
            .M = N, .N = p->padded, .K = K, .a = dz + NAME(h_slot)(p) * p->padded, .a_row = p->gate_row,
            .c = r->dh + from * p->padded, .c_row = p->padded, .add = 1, .activation = ACT_IDENTITY,
        };
        NAME(product_of_packed)(&to_h, r->to_h);
        if (p->dx == NULL)
            continue;
        const struct NAME(job) to_x = {
            .M = N, .N = p->D, .K = K, .a = dz, .a_row = p->gate_row,
            .c = (REAL *)p->dx + (from * p->T + t) * p->D, .c_row = p->T * p->D,
            .activation = ACT_IDENTITY,
        };
        NAME(product_of_packed)(&to_x, r->to_x);
    }
}

/* dW or dU by slots (rows, G padded), with the sums of dz's columns where `sums` is not NULL. */
static struct NAME(job) NAME(weights_job)(const struct recurrent *p, const REAL *inputs, ptrdiff_t rows,
                                          REAL *dz, REAL *to, struct NAME(slopes) *slopes, REAL *sums)
{
    const ptrdiff_t columns = NAME(gates)(p) * p->padded;
    *slopes = (struct NAME(slopes)){
        .activation = ACT_IDENTITY, .dy = {dz, p->gate_row, 1}, .y = {dz, p->gate_row, 1}, .db = sums,
    };
    return (struct NAME(job)){
        .M = rows, .N = columns, .K = p->T * p->N,
        .a = inputs, .a_row = 1, .a_column = p->input_row,
        .b = dz, .b_row = p->gate_row, .b_column = 1,
        .c = to, .c_row = columns, .activation = ACT_IDENTITY,
        .slopes = sums == NULL ? NULL : slopes,
    };
}

/* From slots of `padded` numbers to gates of M. */
static void NAME(by_gates)(const struct recurrent *p, const REAL *from, ptrdiff_t rows, int by_x,
                           REAL *to)
{
    const int G = NAME(gates)(p);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (int s = 0; s < G; s++, from += p->padded) {
            const ptrdiff_t gate = by_x ? NAME(gate_of_x)(p, s) : s;
            memcpy(to + (i * G + gate) * p->M, from, (size_t)p->M * sizeof(REAL));
        }
}

/* dW, dU, db and dv: one product each, for all steps. */
static int NAME(gradients_of_weights)(const struct recurrent *p)
{
    const ptrdiff_t columns = NAME(gates)(p) * p->padded;
    void *scratch;
    REAL *dW = NAME(zeros)(columns * (p->D + p->M + 2), &scratch), *dz = p->dz;
    if (dW == NULL)
        return -1;
    REAL *dU = dW + columns * p->D, *db = dU + columns * p->M, *dv = db + columns;
    struct NAME(slopes) slopes[2];
    const struct NAME(job) jobs[2] = {
        NAME(weights_job)(p, NAME(input_of)(p, 0, 0) + p->padded, p->D, dz, dW, &slopes[0],
                          p->db == NULL ? NULL : db),
        NAME(weights_job)(p, NAME(input_of)(p, 0, 0), p->M, dz + NAME(h_slot)(p) * p->padded, dU,
                          &slopes[1], p->dv == NULL ? NULL : dv),
    };
    const int error = NAME(run_jobs)(jobs, 2);
    NAME(by_gates)(p, dW, p->D, 1, p->dW);
    NAME(by_gates)(p, dU, p->M, 0, p->dU);
    if (p->db != NULL)
        NAME(by_gates)(p, db, 1, 1, p->db);
    if (p->dv != NULL)
        NAME(by_gates)(p, dv, 1, 0, p->dv);
    free(scratch);
    return error;
}

static int NAME(recurrent_backward)(const struct recurrent *p)
{
    struct NAME(recurrence) r = {.p = p};
    void *scratch;
    const ptrdiff_t K = NAME(gates)(p) * p->padded, states = p->N * p->padded;
    const ptrdiff_t of_x = p->dx == NULL ? 0 : K * ((p->D + LANES - 1) / LANES * LANES);
    r.to_h = NAME(zeros)(K * p->padded + of_x + 2 * states, &scratch);
    if (r.to_h == NULL)
        return -1;
    r.to_x = r.to_h + K * p->padded;
    r.dh = r.to_x + of_x;
    r.dc = r.dh + states;
    NAME(pack_gates)(p, p->U, p->M, 0, r.to_h);
    if (p->dx != NULL)
        NAME(pack_gates)(p, p->W, p->D, 1, r.to_x);
    for (ptrdiff_t n = 0; n < p->N; n++) {
        NAME(copy_state)(p->h, p->M, r.dh + n * p->padded, n);
        NAME(copy_state)(p->c, p->M, r.dc + n * p->padded, n);
    }
    NAME(share_batch)(&r, NAME(backward_task));
    for (ptrdiff_t n = 0; n < p->N; n++) {
        NAME(give_state)(r.dh + n * p->padded, p->M, p->h0, n);
        NAME(give_state)(r.dc + n * p->padded, p->M, p->c0, n);
    }
    free(scratch);
    return NAME(gradients_of_weights)(p);
}

static int NAME(lanes)(void) { return LANES; }
