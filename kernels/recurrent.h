/* Recurrent networks: a whole sequence in one call. (cells.h has what happens at one place of it.)

       forward    z_t = x_t W + h_(t-1) U + b,  h_t = the cell of z_t        for t = 0, 1, ...
       backward   dz_t = the cell's slope,  [dh_(t-1) | dx_t] = dz_t [U' | W']    for t = ..., 1, 0
                  dU = sum_t h_(t-1)' dz_t,  dW = sum_t x_t' dz_t                one product each

   WHY THE WHOLE SEQUENCE. A step alone is a product with few rows, whose matrix would be packed anew
   at every step, and whose result would go to memory and come back for the gates. Here U and W are
   packed once. Their panels interleave the gates: LANES units of every gate, side by side. So a tile
   ends with all that the cell of its units needs (wide.h), and h_t, c_t and the gates are made while
   the sums are in the nearest cache.

   WHAT THE THREADS SHARE is the batch, not the units: a sample never meets another one. Each thread
   takes its samples through all steps, and nobody waits for anybody before the last one: there is no
   barrier in time. (A barrier would also hang where the pool is busy, and one thread runs all tasks,
   threads.h.) And each sum is made in one order, so the bits are the same on any number of threads.

   The state and x_t lie side by side, in a row of `inputs`: then both products are one, and for the
   backward all of h and x lies there in the order of dz. */

struct NAME(recurrence) {
    const struct recurrent *p;
    REAL *units;   /* forward: for each LANES units a panel, of U's rows and then W's, by gates */
    REAL *biases;  /* and the slots that the sums start from */
    REAL *to_h;    /* backward: panels of U', and of W' */
    REAL *to_x;
    REAL *dh, *dc; /* (N, padded): what the state is owed */
    int tasks;
};

/* n zeros, in whole cache lines; `*scratch` is what must be freed. */
static REAL *NAME(zeros)(ptrdiff_t n, void **scratch)
{
    *scratch = calloc((size_t)n * sizeof(REAL) + 64, 1);
    return *scratch == NULL ? NULL : (REAL *)(((uintptr_t)*scratch + 63) / 64 * 64);
}

/* Each thread has a part of the samples, and small problems stay on the caller's. */
static int NAME(parts_of_batch)(const struct recurrent *p)
{
    const double work = (double)(p->N * p->T) * (double)(p->D + p->M) * (double)(p->M * NAME(gates)(p));
    return work < 1e6 ? 1 : (int)NAME(least)(threads_get(), p->N);
}

static inline ptrdiff_t NAME(first_sample)(const struct NAME(recurrence) *r, int task)
{
    return task * r->p->N / r->tasks;
}

/* ------------------------------------------------------------------------------- forward */

/* Copy rows of `width` numbers of any stride between them, to places `apart` from each other. */
static void NAME(spread)(const REAL *from, struct matrix m, ptrdiff_t K, ptrdiff_t width, REAL *to,
                         ptrdiff_t apart)
{
    for (ptrdiff_t k = 0; k < K; k++, from += m.row, to += apart)
        if (m.column == 1 && width == LANES)
            STORE(to, LOAD(from));
        else
            for (ptrdiff_t j = 0; j < width; j++)
                to[j] = from[j * m.column];
}

static void NAME(pack_units)(const struct NAME(recurrence) *r)
{
    const struct recurrent *p = r->p;
    const int G = NAME(gates)(p), S = NAME(slots)(p), h_slot = NAME(h_slot)(p);
    for (ptrdiff_t u = 0; u < p->padded; u += LANES) {
        const ptrdiff_t width = NAME(least)(LANES, p->M - u);
        REAL *of_h = r->units + u * G * (p->padded + p->D), *of_x = of_h + p->padded * G * LANES;
        for (int s = 0; s < G; s++) {
            const ptrdiff_t x_gate = NAME(gate_of_x)(p, s) * p->M + u, h_gate = s * p->M + u;
            NAME(spread)((const REAL *)p->U.data + h_gate * p->U.column, p->U, p->M, width,
                         of_h + s * LANES, G * LANES);
            NAME(spread)((const REAL *)p->W.data + x_gate * p->W.column, p->W, p->D, width,
                         of_x + s * LANES, G * LANES);
            for (ptrdiff_t j = 0; j < width; j++) {
                if (p->b != NULL)
                    r->biases[u * S + s * LANES + j] += ((const REAL *)p->b)[x_gate + j];
                if (p->v != NULL)
                    r->biases[u * S + (h_slot + s) * LANES + j] += ((const REAL *)p->v)[h_gate + j];
            }
        }
    }
}

/* One tile: samples n ... n + rows at step t, units u ... u + LANES; sums first, then the cells. */
static void NAME(cell_tile)(const struct NAME(recurrence) *r, ptrdiff_t t, ptrdiff_t n, ptrdiff_t rows,
                            ptrdiff_t u)
{
    const struct recurrent *p = r->p;
    const int G = NAME(gates)(p), S = NAME(slots)(p);
    const REAL *panel = r->units + u * G * (p->padded + p->D), *bias = r->biases + u * S;
    const REAL *input = NAME(input_of)(p, t, n);
    REAL z[ROWS * MOST_SLOTS * LANES] __attribute__((aligned(64)));
    for (ptrdiff_t i = 0; i < rows; i++)
        for (int s = 0; s < S; s++)
            STORE(z + (i * S + s) * LANES, LOAD(bias + s * LANES));
    if (p->kind == RECURRENT_GRU) { /* h's product and x's meet in two of their three gates */
        NAME(tile_of_3)[rows - 1](p->padded, input, p->input_row, panel, 3 * LANES, z + LANES,
                                  4 * LANES, NULL, 1);
        NAME(tile_of_3)[rows - 1](p->D, input + p->padded, p->input_row,
                                  panel + p->padded * 3 * LANES, 3 * LANES, z, 4 * LANES, NULL, 1);
    } else {
        NAME(tile_function) *tile = S == 4 ? NAME(tile_of_4)[rows - 1] : NAME(tile_of)[rows - 1][0][1];
        tile(p->padded + p->D, input, p->input_row, panel, S * LANES, z, S * LANES, NULL, 1);
    }
    for (ptrdiff_t i = 0; i < rows; i++)
        if (p->kind == RECURRENT_LSTM)
            NAME(lstm_cell)(p, t, n + i, u, z + i * S * LANES);
        else if (p->kind == RECURRENT_GRU)
            NAME(gru_cell)(p, t, n + i, u, z + i * S * LANES);
        else
            NAME(rnn_cell)(p, t, n + i, u, z + i * S * LANES);
}

/* Sample n of a state (N, M), or zeros where there is none. */
static void NAME(copy_state)(struct matrix from, ptrdiff_t M, REAL *to, ptrdiff_t n)
{
    if (from.data == NULL)
        memset(to, 0, (size_t)M * sizeof(REAL));
    else
        memcpy(to, (const REAL *)from.data + n * from.row, (size_t)M * sizeof(REAL));
}

static void NAME(give_state)(const REAL *from, ptrdiff_t M, struct matrix to, ptrdiff_t n)
{
    if (to.data != NULL)
        memcpy((REAL *)to.data + n * to.row, from, (size_t)M * sizeof(REAL));
}

static void NAME(first_states)(const struct recurrent *p, ptrdiff_t n)
{
    for (ptrdiff_t u = p->M; u < p->padded; u++) {
        NAME(input_of)(p, 0, n)[u] = 0;
        if (p->memory != NULL)
            NAME(memory_of)(p, 0, n)[u] = 0;
    }
    NAME(copy_state)(p->h0, p->M, NAME(input_of)(p, 0, n), n);
    if (p->memory != NULL)
        NAME(copy_state)(p->c0, p->M, NAME(memory_of)(p, 0, n), n);
}

/* A task: samples from ... to, through all steps. */
static void NAME(forward_task)(void *context, int i)
{
    const struct NAME(recurrence) *r = context;
    const struct recurrent *p = r->p;
    const ptrdiff_t from = NAME(first_sample)(r, i), N = NAME(first_sample)(r, i + 1) - from;
    const ptrdiff_t most = p->kind == RECURRENT_LSTM ? ROWS_OF_4
                           : p->kind == RECURRENT_GRU ? ROWS_OF_3 : ROWS;
    const ptrdiff_t tiles = (N + most - 1) / most;
    for (ptrdiff_t n = from; n < from + N; n++)
        NAME(first_states)(p, n);
    for (ptrdiff_t t = 0; t < p->T; t++) {
        for (ptrdiff_t n = from; n < from + N; n++)
            memcpy(NAME(input_of)(p, t, n) + p->padded, (const REAL *)p->x + (n * p->T + t) * p->D,
                   (size_t)p->D * sizeof(REAL));
        /* A panel stays in the second-level cache for all tiles of rows. */
        for (ptrdiff_t u = 0; u < p->padded; u += LANES)
            for (ptrdiff_t k = 0; k < tiles; k++)
                NAME(cell_tile)(r, t, from + k * N / tiles, (k + 1) * N / tiles - k * N / tiles, u);
    }
    for (ptrdiff_t n = from; n < from + N; n++) {
        NAME(give_state)(NAME(input_of)(p, p->T, n), p->M, p->h, n);
        if (p->memory != NULL)
            NAME(give_state)(NAME(memory_of)(p, p->T, n), p->M, p->c, n);
    }
}

static void NAME(share_batch)(struct NAME(recurrence) *r, void (*task)(void *context, int i))
{
    r->tasks = NAME(parts_of_batch)(r->p);
    if (r->tasks > 1)
        parallel_run(task, r, r->tasks);
    else if (r->tasks == 1)
        task(r, 0);
}

static int NAME(recurrent_forward)(const struct recurrent *p)
{
    struct NAME(recurrence) r = {.p = p};
    void *scratch;
    const ptrdiff_t size = p->padded * NAME(gates)(p) * (p->padded + p->D);
    r.units = NAME(zeros)(size + p->padded * NAME(slots)(p), &scratch);
    if (r.units == NULL)
        return -1;
    r.biases = r.units + size;
    NAME(pack_units)(&r);
    NAME(share_batch)(&r, NAME(forward_task));
    free(scratch);
    return 0;
}
