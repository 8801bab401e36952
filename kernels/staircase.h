/* The staircase: the matrix product C = A B in three steps. Steps 1 and 2 are here, to be read; the
   third, which the library uses, is gemm.h.

   All three do the same 2 M N K operations. What differs is how far the processor has to go for its
   numbers: a register answers at once, the first-level cache after about 5 cycles, the second after
   15, main memory after some hundred. Here A is (M, K), B (K, N), C (M, N), each row after row. */

/* STEP 1: three loops, as on the blackboard: C[i][j] = sum over k of A[i][k] B[k][j].

   B is read down its columns: each number lies a whole row from the one before, in another cache
   line, of which the other numbers are wasted. And each addition waits for the one before it, since
   they all go to one sum: no vector instruction can help without changing their order. */
static void NAME(gemm_1_loops)(ptrdiff_t M, ptrdiff_t N, ptrdiff_t K, const REAL *A, const REAL *B,
                               REAL *C)
{
    for (ptrdiff_t i = 0; i < M; i++)
        for (ptrdiff_t j = 0; j < N; j++) {
            REAL sum = 0;
            for (ptrdiff_t k = 0; k < K; k++)
                sum += A[i * K + k] * B[k * N + j];
            C[i * N + j] = sum;
        }
}

/* STEP 2: blocked. Two changes.

   The loop over j is the innermost now: C's row i gathers A[i][k] times B's row k. Rows are read
   from left to right, and the sums are independent of each other, so that the compiler makes vector
   instructions of the loop by itself.

   And B is taken in blocks that fit into the cache: 64 x 512 float are 128 KB. Without blocks, all
   of B passes through the processor for each row of A; with them, a block is fetched once and used
   for all rows.

   What remains: in each step the row of C is loaded and stored again, two of every three accesses
   to memory. That is what the register tile of step 3 does away with. */
static void NAME(gemm_2_blocked)(ptrdiff_t M, ptrdiff_t N, ptrdiff_t K, const REAL *A, const REAL *B,
                                 REAL *restrict C)
{
    const ptrdiff_t depth = 64, width = 512;
    memset(C, 0, (size_t)(M * N) * sizeof(REAL));
    for (ptrdiff_t k0 = 0; k0 < K; k0 += depth)
        for (ptrdiff_t j0 = 0; j0 < N; j0 += width) {
            const ptrdiff_t k1 = k0 + depth < K ? k0 + depth : K;
            const ptrdiff_t j1 = j0 + width < N ? j0 + width : N;
            for (ptrdiff_t i = 0; i < M; i++)
                for (ptrdiff_t k = k0; k < k1; k++) {
                    const REAL a = A[i * K + k];
                    for (ptrdiff_t j = j0; j < j1; j++)
                        C[i * N + j] += a * B[k * N + j];
                }
        }
}

/* One of the two, for matrices that lie row after row. */
static void NAME(staircase)(int step, const struct product *p)
{
    if (step == 1)
        NAME(gemm_1_loops)(p->M, p->N, p->K, p->a.data, p->b.data, p->c.data);
    else
        NAME(gemm_2_blocked)(p->M, p->N, p->K, p->a.data, p->b.data, p->c.data);
}
