/* Vectors of one type on one instruction set: VEC, LANES, and how to load and store them.

   Included once for each pair of instruction set and type (see kernels.c), which define

       REAL    float or double
       BYTES   the width of a vector register: 16 (baseline), 32 (AVX2), 64 (AVX-512)
       NAME(f) f with the pair's ending, such as f_f32_avx512

   These are GCC's and Clang's vector extensions, so the same lines become SSE2, AVX2, AVX-512 or
   (at 16 bytes) NEON code; +, -, *, / and comparisons work lane by lane, and a comparison gives a
   vector of integers, all bits set where it holds. */

#define LANES ((int)(BYTES / sizeof(REAL)))

typedef REAL NAME(vec) __attribute__((vector_size(BYTES)));
typedef REAL NAME(vec_u) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
typedef MASK_INT NAME(mask) __attribute__((vector_size(BYTES)));

#define VEC NAME(vec)
#define VEC_U NAME(vec_u)
#define MASK NAME(mask)

static inline VEC NAME(load)(const REAL *p) { return *(const VEC_U *)p; }
static inline void NAME(store)(REAL *p, VEC v) { *(VEC_U *)p = v; }
static inline VEC NAME(splat)(REAL a) { return a - (VEC){0}; }

/* Lanes of a where the mask is set, of b elsewhere. */
static inline VEC NAME(select)(MASK m, VEC a, VEC b)
{
    return (VEC)((m & (MASK)a) | (~m & (MASK)b));
}

#define LOAD NAME(load)
#define STORE NAME(store)
#define SPLAT NAME(splat)
#define SELECT NAME(select)

/* Copy a row of fewer than LANES, or of LANES and up to 2 LANES numbers: the second vector may repeat
   some of the first, and shorter pieces have sizes that the compiler knows. */
static inline void NAME(copy_row)(const REAL *from, REAL *to, ptrdiff_t width)
{
    if (width >= LANES) {
        VEC v = LOAD(from + width - LANES);
        STORE(to, LOAD(from));
        STORE(to + width - LANES, v);
        return;
    }
#define PIECE(n)                                 \
    if (LANES > n && (width & n)) {              \
        memcpy(to, from, n * sizeof(REAL));      \
        from += n;                               \
        to += n;                                 \
    }
    PIECE(8) PIECE(4) PIECE(2) PIECE(1)
#undef PIECE
}

/* The last vector of an array or a row may reach past its end: so n <= LANES numbers are read by
   way of a buffer (or, by AVX-512, where a mask has its bits set), the others taken as `rest`. Where
   n is the constant LANES, the branch is gone. */
#if BYTES == 64
#include <immintrin.h>
#endif
static inline __attribute__((always_inline)) VEC NAME(load_part)(const REAL *p, ptrdiff_t n, REAL rest)
{
    if (n >= LANES)
        return LOAD(p);
#if BYTES == 64
    const unsigned bits = (1u << (n > 0 ? n : 0)) - 1;
#if IS_F32
    return _mm512_mask_loadu_ps(SPLAT(rest), (__mmask16)bits, p);
#else
    return _mm512_mask_loadu_pd(SPLAT(rest), (__mmask8)bits, p);
#endif
#else
    REAL buffer[LANES];
    for (int l = 0; l < LANES; l++)
        buffer[l] = l < n ? p[l] : rest;
    return LOAD(buffer);
#endif
}

static inline __attribute__((always_inline)) void NAME(store_part)(REAL *p, VEC x, ptrdiff_t n)
{
    if (n >= LANES) {
        STORE(p, x);
        return;
    }
#if BYTES == 64
    const unsigned bits = (1u << (n > 0 ? n : 0)) - 1;
#if IS_F32
    _mm512_mask_storeu_ps(p, (__mmask16)bits, x);
#else
    _mm512_mask_storeu_pd(p, (__mmask8)bits, x);
#endif
#else
    REAL buffer[LANES];
    STORE(buffer, x);
    for (ptrdiff_t l = 0; l < n; l++)
        p[l] = buffer[l];
#endif
}
