/* The cells of the recurrent networks: what becomes of a step's sums, for 16 units of one sample.

   SLOTS. For each unit a cell needs up to four numbers side by side, and leaves as many for the
   backward. The slots of a row of `gates`, `padded` numbers each, hold

       LSTM   i  f  g  o          z is the sum of both products, of x_t and of h
       GRU    n  z  r  q          n takes part in x's product alone, q = h U_n + v_n in h's alone
       RNN    h'

   and those of a row of dz hold the gradients by the sums: of GRU, dq = r dn lies in q's place. So
   each of the two products meets G slots that lie side by side: x's the first ones, h's the last.

   The formulas are those of minienc/functions/lstm.py, gru.py, recurrent.py, line by line. */

#define MOST_SLOTS 4

static inline int NAME(gates)(const struct recurrent *p)
{
    return p->kind == RECURRENT_LSTM ? 4 : p->kind == RECURRENT_GRU ? 3 : 1;
}
static inline int NAME(slots)(const struct recurrent *p) { return p->kind == RECURRENT_RNN ? 1 : 4; }

/* Which gate's columns of W slot s meets, and which of U the s-th of h's slots; h's first slot. */
static inline int NAME(gate_of_x)(const struct recurrent *p, int s)
{
    return p->kind == RECURRENT_GRU ? (s + 2) % 3 : s;
}
static inline int NAME(h_slot)(const struct recurrent *p) { return NAME(slots)(p) - NAME(gates)(p); }

/* Rows of the arrays that the forward leaves: of sample n before step t, or at it. */
static inline REAL *NAME(input_of)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n)
{
    return (REAL *)p->inputs + (t * p->N + n) * p->input_row;
}
static inline REAL *NAME(gates_of)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n)
{
    return (REAL *)p->gates + (t * p->N + n) * p->gate_row;
}
static inline REAL *NAME(memory_of)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n)
{
    return (REAL *)p->memory + (t * p->N + n) * p->padded;
}
static inline REAL *NAME(dz_of)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n)
{
    return (REAL *)p->dz + (t * p->N + n) * p->gate_row;
}

static inline int NAME(counts)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n)
{
    return p->lengths == NULL || t < p->lengths[n];
}

/* Units u ... u + LANES of a row (N, T, M) that the caller knows; the last vector may be a part. */
static inline REAL *NAME(shown_at)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, ptrdiff_t u)
{
    return (REAL *)p->y + (n * p->T + t) * p->M + u;
}

/* -------------------------------------------------------------------------------- forward */

/* h after the step; a sequence that has ended keeps what it had, and shows 0. */
static inline void NAME(keep)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, ptrdiff_t u, VEC h)
{
    const int counts = NAME(counts)(p, t, n);
    const VEC held = counts ? h : LOAD(NAME(input_of)(p, t, n) + u);
    STORE(NAME(input_of)(p, t + 1, n) + u, held);
    NAME(store_part)(NAME(shown_at)(p, t, n, u), counts ? h : SPLAT(0), p->M - u);
}

/* z: the sums of one row of a tile, a vector for each slot. */
static void NAME(lstm_cell)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, ptrdiff_t u,
                            const REAL *z)
{
    REAL *gates = NAME(gates_of)(p, t, n) + u;
    const VEC i = NAME(vsigmoid)(LOAD(z)), f = NAME(vsigmoid)(LOAD(z + LANES));
    const VEC g = NAME(vtanh)(LOAD(z + 2 * LANES)), o = NAME(vsigmoid)(LOAD(z + 3 * LANES));
    const VEC before = LOAD(NAME(memory_of)(p, t, n) + u), c = f * before + i * g;
    STORE(gates, i);
    STORE(gates + p->padded, f);
    STORE(gates + 2 * p->padded, g);
    STORE(gates + 3 * p->padded, o);
    STORE(NAME(memory_of)(p, t + 1, n) + u, NAME(counts)(p, t, n) ? c : before);
    NAME(keep)(p, t, n, u, o * NAME(vtanh)(c));
}

static void NAME(gru_cell)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, ptrdiff_t u,
                           const REAL *a)
{
    REAL *gates = NAME(gates_of)(p, t, n) + u;
    const VEC z = NAME(vsigmoid)(LOAD(a + LANES)), r = NAME(vsigmoid)(LOAD(a + 2 * LANES));
    const VEC q = LOAD(a + 3 * LANES), fresh = NAME(vtanh)(LOAD(a) + r * q);
    const VEC h = LOAD(NAME(input_of)(p, t, n) + u);
    STORE(gates, fresh);
    STORE(gates + p->padded, z);
    STORE(gates + 2 * p->padded, r);
    STORE(gates + 3 * p->padded, q);
    NAME(keep)(p, t, n, u, z * h + (1 - z) * fresh);
}

static void NAME(rnn_cell)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, ptrdiff_t u,
                           const REAL *z)
{
    VEC h = LOAD(z);
#define EACH(code)                                        \
    case code:                                            \
        h = NAME(activate)(code, h, (REAL)p->alpha);      \
        break;
    switch (p->activation) {
        EACH(ACT_RELU) EACH(ACT_LEAKY_RELU) EACH(ACT_ELU) EACH(ACT_SIGMOID) EACH(ACT_TANH)
        EACH(ACT_SOFTPLUS)
    }
#undef EACH
    STORE(NAME(gates_of)(p, t, n) + u, h);
    NAME(keep)(p, t, n, u, h);
}

/* ------------------------------------------------------------------------------- backward */

/* dh is what h after the step is owed by the steps behind it; it becomes what h before it is owed
   but for the product with U', which is added to it. (dc: the same of c.) The step's dz is written.
   Where the step does not count for the sample, dz is 0, and what is owed goes past it. */
static inline VEC NAME(owed)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, ptrdiff_t u,
                             const REAL *dh)
{
    return LOAD(dh + u) + NAME(load_part)(NAME(shown_at)(p, t, n, u), p->M - u, 0);
}

static void NAME(lstm_slope)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, REAL *dh, REAL *dc)
{
    const ptrdiff_t M = p->padded;
    const REAL *gates = NAME(gates_of)(p, t, n), *before = NAME(memory_of)(p, t, n);
    const REAL *after = NAME(memory_of)(p, t + 1, n);
    REAL *dz = NAME(dz_of)(p, t, n);
    for (ptrdiff_t u = 0; u < M; u += LANES) {
        const VEC i = LOAD(gates + u), f = LOAD(gates + M + u);
        const VEC g = LOAD(gates + 2 * M + u), o = LOAD(gates + 3 * M + u);
        const VEC d = NAME(owed)(p, t, n, u, dh), tanh_c = NAME(vtanh)(LOAD(after + u));
        const VEC dc_new = LOAD(dc + u) + d * o * (1 - tanh_c * tanh_c);
        STORE(dz + u, dc_new * g * i * (1 - i));
        STORE(dz + M + u, dc_new * LOAD(before + u) * f * (1 - f));
        STORE(dz + 2 * M + u, dc_new * i * (1 - g * g));
        STORE(dz + 3 * M + u, d * tanh_c * o * (1 - o));
        STORE(dc + u, dc_new * f);
        STORE(dh + u, SPLAT(0));
    }
}

static void NAME(gru_slope)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, REAL *dh)
{
    const ptrdiff_t M = p->padded;
    const REAL *gates = NAME(gates_of)(p, t, n), *before = NAME(input_of)(p, t, n);
    REAL *dz = NAME(dz_of)(p, t, n);
    for (ptrdiff_t u = 0; u < M; u += LANES) {
        const VEC fresh = LOAD(gates + u), z = LOAD(gates + M + u);
        const VEC r = LOAD(gates + 2 * M + u), q = LOAD(gates + 3 * M + u);
        const VEC d = NAME(owed)(p, t, n, u, dh);
        const VEC du = d * (1 - z) * (1 - fresh * fresh); /* of tanh's argument */
        STORE(dz + u, du);
        STORE(dz + M + u, d * (LOAD(before + u) - fresh) * z * (1 - z));
        STORE(dz + 2 * M + u, du * q * r * (1 - r));
        STORE(dz + 3 * M + u, du * r);
        STORE(dh + u, d * z);
    }
}

static void NAME(rnn_slope)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, REAL *dh)
{
    const REAL *after = NAME(gates_of)(p, t, n);
    REAL *dz = NAME(dz_of)(p, t, n);
#define EACH(code)                                                                    \
    case code:                                                                        \
        for (ptrdiff_t u = 0; u < p->padded; u += LANES) {                            \
            const VEC d = NAME(owed)(p, t, n, u, dh);                                 \
            STORE(dz + u, NAME(slope_times)(code, d, LOAD(after + u), (REAL)p->alpha)); \
            STORE(dh + u, SPLAT(0));                                                  \
        }                                                                             \
        break;
    switch (p->activation) {
        EACH(ACT_IDENTITY) EACH(ACT_RELU) EACH(ACT_LEAKY_RELU) EACH(ACT_ELU) EACH(ACT_SIGMOID)
        EACH(ACT_TANH) EACH(ACT_SOFTPLUS)
    }
#undef EACH
}

static void NAME(cell_slope)(const struct recurrent *p, ptrdiff_t t, ptrdiff_t n, REAL *dh, REAL *dc)
{
    if (!NAME(counts)(p, t, n))
        memset(NAME(dz_of)(p, t, n), 0, (size_t)(NAME(slots)(p) * p->padded) * sizeof(REAL));
    else if (p->kind == RECURRENT_LSTM)
        NAME(lstm_slope)(p, t, n, dh, dc);
    else if (p->kind == RECURRENT_GRU)
        NAME(gru_slope)(p, t, n, dh);
    else
        NAME(rnn_slope)(p, t, n, dh);
}
