/* Functions of the numbers at one place in several arrays: activations, slopes, optimisers' steps.

   NumPy makes one pass over memory for each +, * and exp, with a temporary array between them. Here
   everything that is done to a number is done while it is in a register. (What depends on a whole
   row is in rows.h.)

   Arrays are cut into blocks that depend on n alone, which the threads share; a sum over more than
   one block (the squares of a gradient) is the sum of the blocks' sums, in their order. So the
   result's bits do not depend on the number of threads. */

/* n <= LANES numbers of each array, from number i on. c: the operation's constants. */
static inline __attribute__((always_inline)) void NAME(sweep_vector)(
    const int operation, const int code, REAL *const *arrays, const REAL *c, ptrdiff_t i,
    const ptrdiff_t n)
{
#define ARRAY(k) NAME(load_part)(arrays[k] + i, n, 1)
#define ASSIGN(k, x) NAME(store_part)(arrays[k] + i, x, n)
    const VEC x = ARRAY(0);
    switch (operation) {
    case SWEEP_ACTIVATE: /* c = alpha */
        ASSIGN(1, NAME(activate)(code, x, c[0]));
        break;
    case SWEEP_SLOPE: /* c = alpha */
        ASSIGN(2, NAME(slope_times)(code, x, ARRAY(1), c[0]));
        break;
    /* An optimiser's steps: c[0] is what clipping scales the gradient with. */
    case SWEEP_SGD: /* c[1] = lr */
        ASSIGN(0, x - c[1] * (c[0] * ARRAY(1)));
        break;
    case SWEEP_MOMENTUM: { /* c[1 ...] = lr, momentum */
        const VEC v = c[2] * ARRAY(2) - c[1] * (c[0] * ARRAY(1));
        ASSIGN(2, v);
        ASSIGN(0, x + v);
        break;
    }
    case SWEEP_NESTEROV: {
        const VEC step = c[1] * (c[0] * ARRAY(1)), v = c[2] * ARRAY(2) - step;
        ASSIGN(2, v);
        ASSIGN(0, x + c[2] * v - step);
        break;
    }
    case SWEEP_RMSPROP: { /* c[1 ...] = lr, rho, 1 - rho, epsilon */
        const VEC g = c[0] * ARRAY(1), s = c[2] * ARRAY(2) + c[3] * (g * g);
        ASSIGN(2, s);
        ASSIGN(0, x - c[1] * g / NAME(vsqrt)(s + c[4]));
        break;
    }
    case SWEEP_ADAGRAD: { /* c[1 ...] = lr, epsilon */
        const VEC g = c[0] * ARRAY(1), s = ARRAY(2) + g * g;
        ASSIGN(2, s);
        ASSIGN(0, x - c[1] * g / NAME(vsqrt)(s + c[2]));
        break;
    }
    case SWEEP_ADAM: /* c[1 ...] = beta_1, 1 - beta_1, beta_2, 1 - beta_2, a, epsilon */
    case SWEEP_ADAMW: { /* and lr weight_decay, of w itself */
        const VEC g = c[0] * ARRAY(1);
        const VEC m = c[1] * ARRAY(2) + c[2] * g;
        const VEC v = c[3] * ARRAY(3) + c[4] * (g * g);
        const VEC decayed = operation == SWEEP_ADAMW ? x - c[7] * x : x;
        ASSIGN(2, m);
        ASSIGN(3, v);
        ASSIGN(0, decayed - c[5] * m / (NAME(vsqrt)(v) + c[6]));
        break;
    }
    case SWEEP_SCALE: /* c = the factor */
        ASSIGN(1, c[0] * x);
        break;
    case SWEEP_ELEMENTARY:
        ASSIGN(1, code == ELEMENTARY_EXP     ? NAME(vexp)(x)
               : code == ELEMENTARY_EXPM1 ? NAME(vexpm1)(x)
               : code == ELEMENTARY_LOG   ? NAME(vlog)(x)
                                          : NAME(vlog1p)(x));
        break;
    }
#undef ARRAY
#undef ASSIGN
}

/* One block; inlined once for each operation and code, which are constants then. */
static inline __attribute__((always_inline)) void NAME(sweep_block)(
    const int operation, const int code, const struct sweep *s, ptrdiff_t i, ptrdiff_t end)
{
    REAL *arrays[SWEEP_ARRAYS];
    REAL c[SWEEP_NUMBERS];
    for (int k = 0; k < SWEEP_ARRAYS; k++)
        arrays[k] = s->arrays[k];
    for (int k = 0; k < SWEEP_NUMBERS; k++)
        c[k] = (REAL)s->numbers[k];
    for (; i + LANES <= end; i += LANES)
        NAME(sweep_vector)(operation, code, arrays, c, i, LANES);
    if (i < end)
        NAME(sweep_vector)(operation, code, arrays, c, i, end - i);
}

static __attribute__((noinline)) void NAME(sweep_any)(const struct sweep *s, ptrdiff_t i,
                                                      ptrdiff_t end)
{
#define ONE(operation, code)                              \
    case code:                                            \
        NAME(sweep_block)(operation, code, s, i, end);    \
        return;
#define ACTIVATIONS(operation)                                                                   \
    case operation:                                                                              \
        switch (s->code) {                                                                       \
            ONE(operation, ACT_RELU) ONE(operation, ACT_LEAKY_RELU) ONE(operation, ACT_ELU)      \
            ONE(operation, ACT_SIGMOID) ONE(operation, ACT_TANH) ONE(operation, ACT_SOFTPLUS)    \
            ONE(operation, ACT_GELU)                                                             \
        }                                                                                        \
        return;
#define PLAIN(operation)                          \
    case operation:                               \
        NAME(sweep_block)(operation, 0, s, i, end); \
        return;
    switch (s->operation) {
        ACTIVATIONS(SWEEP_ACTIVATE)
        ACTIVATIONS(SWEEP_SLOPE)
        PLAIN(SWEEP_SGD)
        PLAIN(SWEEP_MOMENTUM)
        PLAIN(SWEEP_NESTEROV)
        PLAIN(SWEEP_RMSPROP)
        PLAIN(SWEEP_ADAGRAD)
        PLAIN(SWEEP_ADAM)
        PLAIN(SWEEP_ADAMW)
        PLAIN(SWEEP_SCALE)
    case SWEEP_ELEMENTARY:
        switch (s->code) {
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_EXP)
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_EXPM1)
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_LOG)
            ONE(SWEEP_ELEMENTARY, ELEMENTARY_LOG1P)
        }
    }
#undef ONE
#undef ACTIVATIONS
#undef PLAIN
}

static void NAME(sweep_task)(void *context, int block)
{
    const struct sweep *s = context;
    const ptrdiff_t i = block * SWEEP_BLOCK;
    const ptrdiff_t end = i + SWEEP_BLOCK < s->n ? i + SWEEP_BLOCK : s->n;
    if (s->operation == SWEEP_SQUARES) {
        s->sums[block] = NAME(squares)((const REAL *)s->arrays[0] + i, end - i);
        return;
    }
    const unsigned mode = s->flush ? without_subnormals() : 0;
    NAME(sweep_any)(s, i, end);
    if (s->flush)
        with_subnormals(mode);
}

static int NAME(sweep)(const struct sweep *s)
{
    const int blocks = (int)((s->n + SWEEP_BLOCK - 1) / SWEEP_BLOCK);
    if (blocks >= 4) /* below that, waking a thread takes longer than it saves */
        parallel_run(NAME(sweep_task), (void *)s, blocks);
    else
        for (int i = 0; i < blocks; i++)
            NAME(sweep_task)((void *)s, i);
    return 0;
}
