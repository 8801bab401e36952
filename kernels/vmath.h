/* exp, expm1, log, log1p, tanh, sigmoid and sqrt of a vector; the activations and their slopes.

   No branches: all lanes go the same way, and where two ways are needed both are computed and SELECT
   chooses. No calls of libm. Each function has the same three parts (J.-M. Muller 2016, "Elementary
   functions", 3rd ed., chapters 3 and 11; W. Cody and W. Waite 1980, "Software manual for the
   elementary functions"):

   1. Range reduction: an identity brings the argument into a short interval around 0.
   2. A polynomial approximates what is left there.
   3. Reconstruction undoes the identity, with the last rounding on the largest term.

   THE POLYNOMIALS. f is written as its first Taylor terms, which are exact, plus a power of x times
   a smooth g, and g is what is approximated: exp(r) = 1 + r + r^2 g(r). The coefficients were fitted
   by least squares at Chebyshev's nodes (which comes within a fraction of a bit of the best possible
   maximum error), in 60 digits, from the lowest one up: one is rounded to the type, and the others
   are fitted again to what it leaves. The error of g stands beside them; in exp(r) it is multiplied
   by r^2, which is small.

   THE ERRORS, in units of the last place, are measured in tests/test_kernel_pointwise.py. */

#if IS_F32
#define EITHER(f32, f64) f32
#define BITS_INT uint32_t
#define MANTISSA 23 /* bits after the point */
#define BIAS 127    /* of the exponent: 2^n is the number whose bits are (n + BIAS) << MANTISSA */
#else
#define EITHER(f32, f64) f64
#define BITS_INT uint64_t
#define MANTISSA 52
#define BIAS 1023
#endif
#define SIGN_BIT ((BITS_INT)1 << (8 * sizeof(REAL) - 1))
#define HALF_ROOT_BITS ((BITS_INT)EITHER(0x3f3504f3, 0x3fe6a09e667f3bcd)) /* of sqrt(1/2) */

/* Added to |x| < 2^(MANTISSA - 1), MAGIC pushes the digits after the point out of the number: what
   remains in the low bits is x, rounded to an integer. Subtracting it again gives that as REAL. */
#define MAGIC ((REAL)EITHER(12582912.0, 6755399441055744.0)) /* 1.5 * 2^MANTISSA */
#define MAGIC_BITS ((BITS_INT)EITHER(0x4b400000, 0x4338000000000000))

/* ln 2 in two parts: n * LN2_HIGH is exact for every n that occurs, as its last bits are 0. */
#define LN2_HIGH ((REAL)EITHER(0x1.62e4p-1, 0x1.62e42fefa3p-1))
#define LN2_LOW ((REAL)EITHER(0x1.7f7d1cp-20, 0x1.3de6af278ece6p-42))

typedef BITS_INT NAME(bits) __attribute__((vector_size(BYTES)));
#define BITS NAME(bits)

/* ------------------------------------------------------------------------------ small pieces */

/* c[0] + c[1] x + ... + c[n - 1] x^(n - 1), as (c[0] + c[1] x) + x^2 ((c[2] + c[3] x) + x^2 (...)).
   That is Horner's rule in x^2: it takes half as many steps that wait for each other. */
static inline __attribute__((always_inline)) VEC NAME(polynomial)(VEC x, const REAL *c, const int n)
{
    const VEC z = x * x;
    VEC p = n % 2 ? SPLAT(c[n - 1]) : c[n - 1] * x + c[n - 2];
#pragma GCC unroll 16
    for (int i = (n - 1) / 2 * 2 - 2; i >= 0; i -= 2)
        p = p * z + (c[i + 1] * x + c[i]);
    return p;
}
#define POLYNOMIAL(x, c) NAME(polynomial)(x, c, (int)(sizeof(c) / sizeof(c[0])))

static inline VEC NAME(vabs)(VEC x) { return (VEC)((BITS)x & ~SIGN_BIT); }

/* |x| with the sign of s. */
static inline VEC NAME(with_sign)(VEC x, VEC s)
{
    return (VEC)(((BITS)x & ~SIGN_BIT) | ((BITS)s & SIGN_BIT));
}

/* sqrt, and the larger or smaller of x and a number; NaN as x stays NaN. The vector extensions have
   no words for these, and x86 one instruction for each. (Its max(a, b) is a > b ? a : b.) */
#if defined(__SSE2__)
#include <immintrin.h>
#if BYTES == 64
#define INTRINSIC(f) EITHER(_mm512_##f##_ps, _mm512_##f##_pd)
#elif BYTES == 32
#define INTRINSIC(f) EITHER(_mm256_##f##_ps, _mm256_##f##_pd)
#else
#define INTRINSIC(f) EITHER(_mm_##f##_ps, _mm_##f##_pd)
#endif
static inline VEC NAME(vsqrt)(VEC x) { return INTRINSIC(sqrt)(x); }
static inline VEC NAME(at_least)(VEC x, REAL low) { return INTRINSIC(max)(SPLAT(low), x); }
static inline VEC NAME(at_most)(VEC x, REAL high) { return INTRINSIC(min)(SPLAT(high), x); }
#else
static inline VEC NAME(vsqrt)(VEC x)
{
    for (int l = 0; l < LANES; l++)
        x[l] = EITHER(__builtin_sqrtf(x[l]), __builtin_sqrt(x[l]));
    return x;
}
static inline VEC NAME(at_least)(VEC x, REAL low) { return SELECT(low > x, SPLAT(low), x); }
static inline VEC NAME(at_most)(VEC x, REAL high) { return SELECT(high < x, SPLAT(high), x); }
#endif

/* ---------------------------------------------------------------------- exponential functions */

/* x = n ln 2 + r + c with a whole n and |r| <= ln(2) / 2, so that exp(x) = 2^n exp(r + c).

   x / ln 2 need not be exact, since a neighbouring n would do as well; but r must be. x - n ln 2
   loses the leading digits of both, so ln 2 is used with more digits than the type has, in two
   parts (Cody and Waite). c is what r loses by its own rounding. n comes as n + MAGIC. */
static inline VEC NAME(reduce)(VEC x, VEC *n, VEC *c)
{
    *n = x * (REAL)1.4426950408889634 + MAGIC; /* x / ln 2 */
    const VEC k = *n - MAGIC;
    const VEC a = x - k * LN2_HIGH;
    const VEC r = a - k * LN2_LOW;
    *c = (a - r) - k * LN2_LOW;
    return r;
}

/* Beyond these, exp(x) is infinite; exp(x) is 0, and so is exp(x) times ten. */
#define EXP_HIGHEST EITHER(89, 710)
#define EXP_LOWEST EITHER(-110, -752)

/* exp(r) = 1 + r + r^2 g(r) for |r| <= ln(2) / 2: this is g. Its error: 2^-28.9, 2^-59.2. */
static inline VEC NAME(exp_tail)(VEC r)
{
#if IS_F32
    static const REAL g[] = {0x1p-1f,         0x1.555556p-3f,  0x1.555502p-5f,
                             0x1.110fc8p-7f, 0x1.6d2e08p-10f, 0x1.a2cb56p-13f};
#else
    static const REAL g[] = {0x1p-1,
                             0x1.5555555555557p-3,
                             0x1.5555555555556p-5,
                             0x1.1111111110050p-7,
                             0x1.6c16c16c15ff9p-10,
                             0x1.a01a01ac1e915p-13,
                             0x1.a01a01a81968ep-16,
                             0x1.71de01aacd321p-19,
                             0x1.27e4d81523f67p-22,
                             0x1.af4ecf3207b21p-26,
                             0x1.1f78e7c32e010p-29};
#endif
    return POLYNOMIAL(r, g);
}

/* 2^n as a number, given n + MAGIC, for an n among the type's exponents: n + BIAS in its place. */
static inline VEC NAME(power_of_two)(VEC n)
{
    return (VEC)(((BITS)n << MANTISSA) + ((BITS_INT)BIAS << MANTISSA));
}

/* y 2^n, given n + MAGIC. 2^n itself may be beyond the type's range where y 2^n is within it: so it
   is split in two halves; only the second product can be subnormal, and is rounded once. (AVX-512
   has an instruction for it.) */
static inline VEC NAME(scale)(VEC y, VEC n)
{
#if BYTES == 64
    return INTRINSIC(scalef)(y, n - MAGIC);
#else
    const BITS both = (BITS)n - (MAGIC_BITS - 2 * BIAS), half = both >> 1;
    return y * (VEC)(half << MANTISSA) * (VEC)((both - half) << MANTISSA);
#endif
}

static inline VEC NAME(vexp)(VEC x)
{
    VEC n, c;
    const VEC r = NAME(reduce)(NAME(at_least)(NAME(at_most)(x, EXP_HIGHEST), EXP_LOWEST), &n, &c);
    return NAME(scale)(1 + (r + r * r * NAME(exp_tail)(r)), n);
}

/* exp(x) where `lowest` <= x <= 0, as is known; what is less counts as `lowest`. */
static inline VEC NAME(vexp_from)(VEC x, REAL lowest)
{
    VEC n, c;
    const VEC r = NAME(reduce)(NAME(at_least)(x, lowest), &n, &c);
    return NAME(scale)(1 + (r + r * r * NAME(exp_tail)(r)), n);
}

/* exp(x) where x <= 0 is known. */
static inline VEC NAME(vexp_below)(VEC x) { return NAME(vexp_from)(x, EXP_LOWEST); }

/* exp(x) - 1 = 2^n q + (2^n - 1) with q = exp(r) - 1; where n is 0, this is q. */
static inline VEC NAME(expm1_between)(VEC x)
{
    VEC n, c;
    const VEC r = NAME(reduce)(x, &n, &c);
    const VEC q = r + r * r * NAME(exp_tail)(r);
    const VEC power = NAME(power_of_two)(n);
    return power * q + (power - 1);
}

/* -1 is reached at the lower bound. At the upper end 2^n overflows where exp(x) - 1 does not yet:
   there 1 is nothing beside exp(x). The sign is x's, of zeros too. */
static inline VEC NAME(vexpm1)(VEC x)
{
    const VEC y = NAME(expm1_between)(NAME(at_least)(NAME(at_most)(x, 64), EITHER(-18, -40)));
    return NAME(with_sign)(SELECT(x > 60, NAME(vexp)(x), y), x);
}

/* The same where x <= 0 is known. */
static inline VEC NAME(vexpm1_below)(VEC x)
{
    return NAME(with_sign)(NAME(expm1_between)(NAME(at_least)(x, EITHER(-18, -40))), x);
}

/* 1 / (1 + exp(-x)), from e = exp(-|x|), which never overflows; for x < 0 it is e / (1 + e). */
static inline VEC NAME(vsigmoid)(VEC x)
{
    const VEC e = NAME(vexp_below)(-NAME(vabs)(x));
    return SELECT(x < 0, e, SPLAT(1)) / (1 + e);
}

/* tanh(|x|) = (1 - e) / (1 + e) with e = exp(-2|x|): that is -q / (2 + q) with q = e - 1, which
   keeps its digits for small x. It is 1 from the bound on; the sign comes last. */
static inline VEC NAME(vtanh)(VEC x)
{
    const VEC q = NAME(expm1_between)(-2 * NAME(at_most)(NAME(vabs)(x), EITHER(10, 20)));
    return NAME(with_sign)(q / (2 + q), x);
}

/* ------------------------------------------------------------------------------- logarithms */

/* log(1 + f) for sqrt(1/2) <= 1 + f < sqrt(2). With s = f / (2 + f), 1 + f = (1 + s) / (1 - s), so
   log(1 + f) = 2 artanh(s) = 2s + s^3 g(s^2); and as 2s = f - s f, that is f - s (f - s^2 g(s^2)),
   where f is exact and the rest small. The error of g: 2^-22.3, 2^-51.5, times s^2 / 2 < 2^-6. */
static inline VEC NAME(log_one_plus)(VEC f)
{
#if IS_F32
    static const REAL g[] = {0x1.55555cp-1f, 0x1.997b9ep-2f, 0x1.2ef622p-2f};
#else
    static const REAL g[] = {0x1.5555555555558p-1, 0x1.9999999995310p-2, 0x1.2492492df0f7cp-2,
                             0x1.c71c62e3d83bep-3, 0x1.7462b5611aa37p-3, 0x1.39fe456997227p-3,
                             0x1.2b59a79cd5082p-3};
#endif
    const VEC s = f / (2 + f), z = s * s;
    return s * (f - z * POLYNOMIAL(z, g)); /* f - log(1 + f) */
}

#define NOTHING_BESIDE_1 ((REAL)EITHER(0x1p-30, 0x1p-60))
/* log(1 + e) for e = exp(-|x|), 0 <= e <= 1, where nothing has to be reduced: the same, with a g
   for all s up to 1/3. Its error: 2^-25.6, 2^-53.3, times s^2 / 2 < 2^-4. An e that is nothing beside
   1 is the result, and s is 0 there: its powers might be subnormal (subnormal.h). */
static inline VEC NAME(log_one_plus_exp)(VEC e)
{
#if IS_F32
    static const REAL g[] = {0x1.555556p-1f, 0x1.999868p-2f, 0x1.24d702p-2f, 0x1.bb3e24p-3f,
                             0x1.e0e4cep-3f};
#else
    static const REAL g[] = {0x1.5555555555555p-1, 0x1.999999999a256p-2, 0x1.24924923e2322p-2,
                             0x1.c71c726a03bc8p-3, 0x1.745cf1b8a3e2bp-3, 0x1.3b189c6f3782dp-3,
                             0x1.10ad96f1062fap-3, 0x1.eb7ec6f92b9fdp-4, 0x1.68c5a4fb3b25ap-4,
                             0x1.4ac63bf11f878p-3};
#endif
    const VEC f = SELECT(e < NOTHING_BESIDE_1, SPLAT(0), e), s = f / (2 + f), z = s * s;
    return e - s * (e - z * POLYNOMIAL(z, g));
}

/* x = 2^k m with sqrt(1/2) <= m < sqrt(2), for x positive and not subnormal; k comes as k + BIAS. */
static inline VEC NAME(split)(VEC x, BITS *k)
{
    const BITS one = {0};
    const BITS moved = (BITS)x + (((BITS_INT)BIAS << MANTISSA) - HALF_ROOT_BITS) + one;
    *k = moved >> MANTISSA;
    return (VEC)((moved & (((BITS_INT)1 << MANTISSA) - 1)) + HALF_ROOT_BITS);
}

/* k as REAL, given k + BIAS. */
static inline VEC NAME(whole)(BITS k) { return (VEC)(k + MAGIC_BITS) - (MAGIC + BIAS); }

/* log x = k ln 2 + log m, for x positive and not subnormal, or NaN: what the losses need. */
static inline VEC NAME(vlog)(VEC x)
{
    BITS k;
    const VEC f = NAME(split)(x, &k) - 1, n = NAME(whole)(k);
    const VEC y = n * LN2_HIGH + (f - (NAME(log_one_plus)(f) - n * LN2_LOW));
    return SELECT(x == x, y, x);
}

/* log(1 + x) for -1 < x <= 1, or NaN. 1 + x = u + c: u the rounded sum, c what the rounding lost
   (D. Knuth, "The art of computer programming", vol. 2, section 4.2.2, theorem B). With
   u = 2^k m, f = m - 1 + c 2^-k; so for small x, where k = 0, f is x again. */
static inline VEC NAME(vlog1p)(VEC x)
{
    BITS k;
    const VEC u = 1 + x, b = u - 1;
    const VEC c = (1 - (u - b)) + (x - b);
    const VEC m = NAME(split)(u, &k), n = NAME(whole)(k);
    const VEC f = (m - 1) + c * (VEC)((2 * BIAS - k) << MANTISSA);
    const VEC y = n * LN2_HIGH + (f - (NAME(log_one_plus)(f) - n * LN2_LOW));
    return SELECT(x == x, y, x);
}

/* ------------------------------------------------------------------------------------- gelu */

/* a b = p + *low exactly: both are cut in halves, whose products are exact (T. Dekker 1971, "A
   floating-point technique for extending the available precision"). */
static inline VEC NAME(product_of_two)(VEC a, VEC b, VEC *low)
{
    const BITS_INT upper = ~(((BITS_INT)1 << EITHER(12, 27)) - 1);
    const VEC a1 = (VEC)((BITS)a & upper), b1 = (VEC)((BITS)b & upper);
    const VEC a2 = a - a1, b2 = b - b1;
    const VEC p = a * b;
    *low = ((a1 * b1 - p) + (a1 * b2 + a2 * b1)) + a2 * b2;
    return p;
}

/* y = x/2 (1 + tanh(u)) = x / (1 + exp(-w)), with w = 2u = x (K0 + K1 x^2).

   An error in w is a relative error of y where x is negative, and w goes up to a hundred there (745
   for double): so w is computed to twice the type's digits, w + low. And exp(-|w|) may be subnormal
   where y = x exp(-|w|) has all its digits: so x comes in before the power of two does. */
static inline VEC NAME(vgelu)(VEC x)
{
    /* K0 = 2 sqrt(2 / pi), K1 = 0.044715 K0, each with what rounding leaves of it. */
    const REAL K0 = (REAL)EITHER(0x1.988454p+0, 0x1.9884533d43651p+0);
    const REAL K0_LOW = (REAL)EITHER(-0x1.857936p-25, -0x1.cbc0d30ebfd15p-54);
    const REAL K1 = (REAL)EITHER(0x1.2444f2p-4, 0x1.2444f2a4d8b4bp-4);
    const REAL K1_LOW = (REAL)EITHER(0x1.49b16ap-29, -0x1.6c843a29d1c70p-61);

    const VEC a = NAME(at_most)(NAME(vabs)(x), EITHER(12, 24)); /* exp(-w) is 0 from there on */
    VEC n, z_low, q_low, w_low, n_low;
    const VEC z = NAME(product_of_two)(a, a, &z_low);
    const VEC q = NAME(product_of_two)(z, SPLAT(K1), &q_low);
    const VEC d = K0 + q, b = d - K0; /* Knuth's exact sum again */
    const VEC d_low = ((K0 - (d - b)) + (q - b)) + (q_low + z * K1_LOW + z_low * K1 + K0_LOW);
    const VEC w = NAME(product_of_two)(a, d, &w_low);

    const VEC leading = NAME(reduce)(-w, &n, &n_low);
    const VEC r = leading + (n_low - (w_low + a * d_low));
    const VEC m = 1 + (r + r * r * NAME(exp_tail)(r));
    const VEC e = NAME(scale)(m, n); /* exp(-|w|) */
    const VEC positive = x / (1 + e);
    const VEC negative = NAME(scale)(-a * m / (1 + e), n) + 0 * x; /* 0 * x: NaN at -infinity */
    return SELECT(x < 0, negative, positive);
}

/* dy [ (1 + t)/2 + x/2 (1 - t^2) u' ], see functions/activations.py. With s = sigmoid(2u) this is
   dy [ s + 2 x s (1 - s) u' ], where nothing cancels. */
static inline VEC NAME(gelu_slope_times)(VEC dy, VEC x)
{
    const REAL c = (REAL)0.797884560802865355879892119868763737, cubic = (REAL)0.044715;
    const VEC s = NAME(vsigmoid)(2 * c * (x + cubic * x * x * x));
    return s * dy + 2 * s * (1 - s) * x * dy * (c * (1 + 3 * cubic * x * x));
}

/* ------------------------------------------------------------------------- the activations */

/* y = f(z). `code` is a constant wherever this is inlined, and the switch disappears. */
static inline __attribute__((always_inline)) VEC NAME(activate)(const int code, VEC z, REAL alpha)
{
    switch (code) {
    case ACT_RELU:
        return SELECT(z <= 0, SPLAT(0), z); /* NaN stays */
    case ACT_LEAKY_RELU:
        return SELECT(z > 0, z, alpha * z);
    case ACT_ELU:
        return SELECT(z > 0, z, alpha * NAME(vexpm1_below)(NAME(at_most)(z, 0)));
    case ACT_SIGMOID:
        return NAME(vsigmoid)(z);
    case ACT_TANH:
        return NAME(vtanh)(z);
    case ACT_SOFTPLUS:
        return SELECT(z > 0, z, SPLAT(0)) + NAME(log_one_plus_exp)(NAME(vexp_below)(-NAME(vabs)(z)));
    case ACT_GELU:
        return NAME(vgelu)(z);
    default:
        return z;
    }
}

/* f'(z) dy from y = f(z); for gelu from z itself. */
static inline __attribute__((always_inline)) VEC NAME(slope_times)(const int code, VEC dy, VEC y,
                                                                  REAL alpha)
{
    switch (code) {
    case ACT_RELU:
        return dy * SELECT(y > 0, SPLAT(1), SPLAT(0)); /* a product: infinity times 0 is NaN */
    case ACT_LEAKY_RELU:
        return SELECT(y > 0, dy, alpha * dy);
    case ACT_ELU:
        return SELECT(y > 0, dy, dy * (y + alpha));
    case ACT_SIGMOID:
        return dy * (y * (1 - y));
    case ACT_TANH:
        return dy * (1 - y * y);
    case ACT_SOFTPLUS:
        return dy * -NAME(vexpm1_below)(-y);
    case ACT_GELU:
        return NAME(gelu_slope_times)(dy, y);
    default:
        return dy;
    }
}
