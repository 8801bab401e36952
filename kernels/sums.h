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

/* The first n numbers of x, and `rest` in the others' place. */
static inline __attribute__((always_inline)) VEC NAME(first_lanes)(VEC x, ptrdiff_t n, REAL rest)
{
    MASK lane;
    for (int l = 0; l < LANES; l++)
        lane[l] = l;
    return SELECT(lane < (MASK_INT)n, x, SPLAT(rest));
}

/* Add the first n numbers of x. */
static inline __attribute__((always_inline)) void NAME(add)(struct NAME(sum) *s, VEC x, ptrdiff_t n)
{
    s->lanes += n < LANES ? NAME(first_lanes)(x, n, 0) : x;
    if (++s->count == 32)
        NAME(flush)(s);
}

/* The sum and the largest of a vector's numbers: in halves, so that few wait for each other. */
#define HALVES(a, take)                                  \
    for (int half = LANES / 2; half > 0; half /= 2)      \
        for (int l = 0; l < half; l++)                   \
            a[l] = take;
static inline REAL NAME(sum_of_lanes)(VEC x)
{
#if BYTES == 64
    return INTRINSIC(reduce_add)(x);
#else
    REAL a[LANES];
    STORE(a, x);
    HALVES(a, a[l] + a[l + half])
    return a[0];
#endif
}
static inline REAL NAME(most_of_lanes)(VEC x)
{
#if BYTES == 64
    return INTRINSIC(reduce_max)(x);
#else
    REAL a[LANES];
    STORE(a, x);
    HALVES(a, a[l] > a[l + half] ? a[l] : a[l + half])
    return a[0];
#endif
}

/* The sum of D squares. */
static double NAME(squares)(const REAL *g, ptrdiff_t D)
{
    struct NAME(sum) total = {SPLAT(0), 0, 0};
    EACH_VECTOR(const VEC x = PART(g, 0); NAME(add)(&total, x * x, n))
    return NAME(flush)(&total);
}
