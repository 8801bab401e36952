/* See steps.h. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "threads.h"

/* -------------------------------------------------------------------------------------- the rows */

#define TAKE_BYTES 32768 /* of a task. Four of them are the least that a second thread is woken for */
#define FETCH_BYTES 262144

struct taking {
    const struct taken *taken;
    const int64_t *indices;
    ptrdiff_t n, rows_of_task;
};

static size_t size_of(enum kind kind)
{
    static const size_t sizes[N_KINDS] = {1, 4, 8, 4, 8};
    return sizes[kind];
}

int steps_can_take(enum kind from, enum kind to)
{
    return from == to || (from < KIND_INT64 && to >= KIND_INT64) ||
           (from >= KIND_FLOAT32 && to >= KIND_FLOAT32);
}

#define ROW(FROM, TO)                                     \
    for (ptrdiff_t k = 0; k < width; k++)                 \
        ((TO *)to)[k] = (TO)((const FROM *)from)[k];      \
    return;

/* One row, as NumPy's astype has it. */
static void take_row(enum kind from_kind, enum kind to_kind, const char *from, char *to,
                     ptrdiff_t width)
{
    switch (from_kind * N_KINDS + to_kind) {
    case KIND_UINT8 * N_KINDS + KIND_INT64:
        ROW(uint8_t, int64_t)
    case KIND_UINT8 * N_KINDS + KIND_FLOAT32:
        ROW(uint8_t, float)
    case KIND_UINT8 * N_KINDS + KIND_FLOAT64:
        ROW(uint8_t, double)
    case KIND_INT32 * N_KINDS + KIND_INT64:
        ROW(int32_t, int64_t)
    case KIND_INT32 * N_KINDS + KIND_FLOAT32:
        ROW(int32_t, float)
    case KIND_INT32 * N_KINDS + KIND_FLOAT64:
        ROW(int32_t, double)
    case KIND_FLOAT32 * N_KINDS + KIND_FLOAT64:
        ROW(float, double)
    case KIND_FLOAT64 * N_KINDS + KIND_FLOAT32:
        ROW(double, float)
    default: /* of one kind */
        memcpy(to, from, (size_t)width * size_of(to_kind));
    }
}

static void take_task(void *context, int task)
{
    const struct taking *t = context;
    const struct taken *a = t->taken;
    const size_t from_row = (size_t)a->width * size_of(a->from_kind);
    const size_t to_row = (size_t)a->width * size_of(a->to_kind);
    const ptrdiff_t begin = task * t->rows_of_task;
    const ptrdiff_t end = begin + t->rows_of_task < t->n ? begin + t->rows_of_task : t->n;
    for (ptrdiff_t i = begin; i < end; i++)
        take_row(a->from_kind, a->to_kind, (const char *)a->from + (size_t)t->indices[i] * from_row,
                 (char *)a->to + (size_t)i * to_row, a->width);
}

static int take_rows(const struct steps *s, const int64_t *indices)
{
    for (int k = 0; k < s->n_taken; k++) {
        const struct taken *a = &s->taken[k];
        for (ptrdiff_t i = 0; i < s->batch; i++)
            if (indices[i] < 0 || indices[i] >= a->rows)
                return STEPS_INDEX;
        struct taking t = {a, indices, s->batch, s->batch};
        const size_t row = (size_t)a->width * size_of(a->to_kind);
        if (row * (size_t)s->batch >= 4 * TAKE_BYTES) {
            t.rows_of_task = row < TAKE_BYTES ? (ptrdiff_t)(TAKE_BYTES / row) : 1;
            parallel_run(take_task, &t, (int)((t.n + t.rows_of_task - 1) / t.rows_of_task));
        } else {
            take_task(&t, 0);
        }
    }
    return 0;
}

/* Ask for the rows of the next batch, some between any two calls of this step: they come from memory
   while it computes. Rows that no cache would keep until then are not asked for. */
static void fetch_rows(const struct steps *s, const int64_t *indices, ptrdiff_t begin, ptrdiff_t end)
{
    for (int k = 0; k < s->n_taken; k++) {
        const struct taken *a = &s->taken[k];
        const size_t row = (size_t)a->width * size_of(a->from_kind);
        if (row * (size_t)s->batch > FETCH_BYTES)
            continue;
        for (ptrdiff_t i = begin; i < end; i++)
            if (indices[i] >= 0 && indices[i] < a->rows)
                for (size_t byte = 0; byte < row; byte += 64)
                    __builtin_prefetch((const char *)a->from + (size_t)indices[i] * row + byte, 0, 2);
    }
}

/* ------------------------------------------------------------------------------------ the update */

/* What the gradient is multiplied with, so that its norm is at most clipnorm. `sums` has room for
   the squares of each block. */
static double clipping_scale(const struct steps *s, double *sums)
{
    double total = 0;
    for (int i = 0; i < s->update->n; i++) {
        const struct noted *call = &s->update->calls[i];
        struct sweep squares = {.operation = SWEEP_SQUARES, .sums = sums};
        squares.n = call->arguments.sweep.n;
        squares.arrays[0] = call->arguments.sweep.arrays[1];
        call->table->sweep(&squares);
        double part = 0;
        for (ptrdiff_t block = 0; block * SWEEP_BLOCK < squares.n; block++)
            part += sums[block]; /* in their order, whichever thread was first */
        total += part;
    }
    const double norm = sqrt(total);
    return norm > s->clipnorm ? s->clipnorm / norm : 1;
}

/* The same operations in double, in the same order, as the functions of minienc/fast/pointwise.py
   have them: `noted` is what they made of a learning rate of 1. */
static void put_numbers(const struct sweep *noted, struct sweep *now, double step, double rate,
                        double scale)
{
    const double *c = noted->numbers;
    double *numbers = now->numbers, epsilon = 1, factor = rate;
    numbers[0] = scale;
    if (noted->operation == SWEEP_ADAM || noted->operation == SWEEP_ADAMW) {
        factor = rate * sqrt(1 - pow(c[3], step)) / (1 - pow(c[1], step));
        numbers[5] = factor;
        numbers[7] = rate * c[7]; /* Adam itself has 0 there */
        epsilon = c[6];
    } else {
        numbers[1] = rate;
        if (noted->operation == SWEEP_RMSPROP)
            epsilon = c[4];
        if (noted->operation == SWEEP_ADAGRAD)
            epsilon = c[2];
    }
    now->flush = fabs(scale) <= 1 && fabs(factor) <= 1 && epsilon >= 1e-12; /* subnormal.h */
}

int steps_can_update(const struct plan *update)
{
    if (update->declined != NULL)
        return 0;
    for (int i = 0; i < update->n; i++) {
        const struct noted *call = &update->calls[i];
        if (call->operation != OP_sweep || call->arguments.sweep.operation < SWEEP_SGD ||
            call->arguments.sweep.operation > SWEEP_ADAMW)
            return 0;
    }
    return 1;
}

static void update(const struct steps *s, double step, double rate, double *sums)
{
    const double scale = s->clipnorm > 0 ? clipping_scale(s, sums) : 1;
    for (int i = 0; i < s->update->n; i++) {
        const struct noted *call = &s->update->calls[i];
        const double multiplier = s->multipliers[i];
        struct sweep now = call->arguments.sweep;
        put_numbers(&call->arguments.sweep, &now, step, multiplier == 1 ? rate : rate * multiplier,
                    scale);
        call->table->sweep(&now);
    }
}

/* ------------------------------------------------------------------------------------- the steps */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Forward and backward of one step, whose numbers are put down; next: the rows of the one behind it,
   or NULL. */
static int compute(const struct steps *s, const int64_t *indices, const int64_t *next,
                   double *numbers)
{
    int error = indices == NULL ? 0 : take_rows(s, indices);
    for (int k = 0; k < s->n_zeroed; k++)
        memset(s->zeroed[k].data, 0, s->zeroed[k].bytes);
    for (int i = 0; i < s->plan->n && !error; i++) {
        if (next != NULL)
            fetch_rows(s, next, s->batch * i / s->plan->n, s->batch * (i + 1) / s->plan->n);
        error = noted_run(&s->plan->calls[i]);
    }
    if (error)
        return error;
    for (int k = 0; k < s->plan->n_numbers; k++) {
        const double number = s->plan->numbers[k];
        numbers[k] = s->is_single ? (float)number : number;
    }
    return isfinite(numbers[s->loss]) ? 0 : STEPS_LOSS;
}

int steps_run(const struct steps *s, int n, const int64_t *const *indices, int64_t first,
              const double *rates, double seconds, double *numbers, int *error)
{
    const double end = n > 1 ? now() + seconds : 0;
    double *sums = NULL;
    int done = 0;
    *error = 0;
    if (s->clipnorm > 0) {
        ptrdiff_t most = 0;
        for (int i = 0; i < s->update->n; i++)
            if (most < s->update->calls[i].arguments.sweep.n)
                most = s->update->calls[i].arguments.sweep.n;
        sums = malloc((size_t)(most / SWEEP_BLOCK + 1) * sizeof *sums);
        if (sums == NULL) {
            *error = -1;
            return 0;
        }
    }
    while (done < n && (done == 0 || now() < end)) {
        *error = compute(s, indices == NULL ? NULL : indices[done],
                         done + 1 < n ? indices[done + 1] : NULL,
                         numbers + (ptrdiff_t)done * s->plan->n_numbers);
        if (*error)
            break;
        update(s, (double)(first + done), rates[done], sums);
        done++;
    }
    free(sums);
    return done;
}
