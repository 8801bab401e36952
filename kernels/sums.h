/* Going through a row of D numbers vector by vector, and adding them up. */

/* Do this for each vector of D numbers: j is where it begins, n how many of its numbers there are. */
#define EACH_VECTOR(...)                          \
    {                                             \
        ptrdiff_t j = 0;                          \
        for (; j + LANES <= D; j += LANES) {      \
            const ptrdiff_t n = LANES;            \
            __VA_ARGS__;                          \
        }                                         \
        if (j < D) {                              \
            const ptrdiff_t n = D - j;            \
            __VA_ARGS__;                          \
        }                                         \
    }
#define PART(p, rest) NAME(load_part)((p) + j, n, rest)
#define PUT(p, x) NAME(store_part)((p) + j, x, n)

/* A sum over a row: each lane sums every LANES-th number, 32 of them at most; these sums are added
   up in double. NumPy's pairwise summation adds 128 numbers in a chain of 16, so it errs no less. */
struct NAME(sum) {
    VEC lanes;
    double total;
    int count;
};

static inline __attribute__((always_inline)) double NAME(flush)(struct NAME(sum) *s)
{
    for (int l = 0; l < LANES; l++)
        s->total += s->lanes[l];
    s->lanes = SPLAT(0);
    s->count = 0;
    return s->total;
}

/* Add the first n numbers of x. */
static inline __attribute__((always_inline)) void NAME(add)(struct NAME(sum) *s, VEC x, ptrdiff_t n)
{
    if (n < LANES) {
        REAL part[LANES];
        STORE(part, x);
        x = NAME(load_part)(part, n, 0);
    }
    s->lanes += x;
    if (++s->count == 32)
        NAME(flush)(s);
}

/* The sum of D squares. */
static double NAME(squares)(const REAL *g, ptrdiff_t D)
{
    struct NAME(sum) total = {SPLAT(0), 0, 0};
    EACH_VECTOR(const VEC x = PART(g, 0); NAME(add)(&total, x * x, n))
    return NAME(flush)(&total);
}
