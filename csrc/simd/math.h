/* math.h: the elementary functions on the vector vocabulary, once for both precisions.
 *
 * Bounds on the error in units in the last place, with and without fused multiply-add, over the whole range:
 *
 *     exp, log          1.5     (measured: 1.03, 0.82)
 *     erf               2       (1.30)
 *     tanh, sigmoid     3       (2.56, 2.23)
 *
 * csrc/tests/test_math.c checks them against long double; expm1 and log1p are checked to 4 as parts of elu and softplus.
 *
 * NaN comes back as NaN. Results below the normal range are rounded to denormals, not flushed. Polynomials are minimax
 * fits (Remez exchange, relative error) and the rational function interpolates at Chebyshev nodes; the degree was chosen
 * so that the fit's error, given beside it, is below a quarter of the precision's. */

#undef EXP_LOWEST
#undef EXP_HIGHEST
#undef EXPM1_LOWEST
#undef LN2_HI
#undef LN2_LO
#undef ERFCX_LIMIT
#undef LENGTH
#define LENGTH(a) ((int)(sizeof(a) / sizeof(a)[0]))
/* LN2_HI has trailing zeros, so that k LN2_HI is exact for every exponent k without a fused multiply-add. */
#if REAL_BITS == 32
#define EXP_LOWEST (-104)
#define EXP_HIGHEST 89
#define EXPM1_LOWEST (-20)
#define LN2_HI 0.693359375f
#define LN2_LO (-2.12194440054690583e-4f)
#define ERFCX_LIMIT 10.5f
/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2; 2^-26.2 in expm1, 2^-27.7 in exp */
static const float FN(exp_fit)[] = {0.500000006170546798f, 0.1666654297346889f, 0.0416662826049654648f,
                                    0.00836658577987108514f, 0.0013946417906029542f};
/* (2 atanh(s) / s - 2) / s^2 in s^2, for s <= (sqrt(2) - 1) / (sqrt(2) + 1); 2^-29.2 */
static const float FN(log_fit)[] = {0.666667767114782281f, 0.399774961844251549f, 0.298730596547942501f};
/* erf(x) / x - 1 in x^2 for |x| <= 1; 2^-29.6 of erf */
static const float FN(erf_fit)[] = {0.12837916572712354f,      -0.376126258253730685f,   0.112835851540282753f,
                                    -0.0268538119940355928f,  0.00518832760635096235f,  -0.000801019175800309006f,
                                    0.000078538521470148733f};
/* exp(x^2) erfc(x) for 0 <= x <= 10.5, numerator and denominator; 2^-26.9 */
static const float FN(erfcx_top)[] = {1.00000000319238504f, 1.23458747358593448f, 0.727278483626316624f,
                                      0.227028374486112922f, 0.0322874099637757122f};
static const float FN(erfcx_bottom)[] = {1.0f, 2.36296701270921084f, 2.39359452539954957f, 1.31724240527009864f,
                                         0.402424058064900187f, 0.0572272440332076379f};
/* sin(pi/4 s) / s and cos(pi/4 s) in s^2, for |s| <= 1; 2^-28.6, 2^-34 */
static const float FN(sin_fit)[] = {0.785398161004788606f, -0.0807454348200403304f, 0.00249000709650179551f,
                                    -0.0000359544872622503794f};
static const float FN(cos_fit)[] = {0.999999999952600502f, -0.308425135161843962f, 0.0158543252462076693f,
                                    -0.000325938614358328947f, 3.52981134114211968e-6f};
#else
#define EXP_LOWEST (-746)
#define EXP_HIGHEST 710
#define EXPM1_LOWEST (-40)
#define LN2_HI 6.93147180369123816490e-01
#define LN2_LO 1.90821492927058770002e-10
#define ERFCX_LIMIT 27.6
/* as above; 2^-61.7 */
static const double FN(exp_fit)[] = {
    0.5,
    0.166666666666666766,
    0.0416666666666667016,
    0.00833333333332161624,
    0.00138888888888667746,
    0.000198412698861575596,
    0.0000248015873606356939,
    2.75572441827619422e-6,
    2.75572427160104376e-7,
    2.51090446530610972e-8,
    2.09244521445057375e-9,
};
/* 2^-58.5 */
static const double FN(log_fit)[] = {
    0.666666666666673489, 0.399999999994110582, 0.285714287432754401, 0.222221984744653207,
    0.181835698240612929, 0.153139010165640422, 0.147975304973139887,
};
/* 2^-62.7 */
static const double FN(erf_fit)[] = {
    0.12837916709551257,     -0.376126389031837476,    0.112837916709548575,    -0.0268661706450728934,
    0.00522397762478084921,  -0.000854832697874121831, 0.00012055331036867641,  -0.0000149255935062541351,
    1.64609728091459494e-6,  -1.63500251636663162e-7,  1.4657879601536978e-8,   -1.13656655831280122e-9,
    5.94526194118383622e-11,
};
/* for 0 <= x <= 27.6; 2^-59.0 */
static const double FN(erfcx_top)[] = {
    1.0,
    2.3468535141152244,
    2.72970189861596398,
    2.03368546901864343,
    1.06481355814631392,
    0.407574202142504133,
    0.11534921062475905,
    0.0238651456649582767,
    0.00346789289895920844,
    0.00032188457223907229,
    0.0000146731763222358395,
};
static const double FN(erfcx_bottom)[] = {
    1.0,
    3.47523268121073719,
    5.6510820569036283,
    5.68726883042916216,
    3.94538060602600316,
    1.98651760082860582,
    0.74327113805387034,
    0.207511488781078268,
    0.0425851321138148721,
    0.00615968388716834569,
    0.000570525549612979589,
    0.0000260075278773580303,
};
/* 2^-58.5, 2^-64.8 */
static const double FN(sin_fit)[] = {
    0.785398163397448307,    -0.0807455121882805397, 0.00249039457018884628, -0.000036576204158923966,
    3.13361622562612632e-7,  -1.75715009174118726e-9, 6.87736623134823417e-12,
};
static const double FN(cos_fit)[] = {
    1.0,
    -0.308425137534042453,
    0.0158543442438154194,
    -0.00032599188692673793,
    3.5908604460287738e-6,
    -2.4611364034857797e-8,
    1.15005121158653099e-10,
    -3.85819151149669595e-13,
};
#endif

ALWAYS_INLINE vec FN(polynomial)(vec x, const real *c, int terms)
{
    vec y = v_set1(c[terms - 1]);
    for (int i = terms - 2; i >= 0; i--) y = v_fma(y, x, v_set1(c[i]));
    return y;
}
#define POLYNOMIAL(x, c) FN(polynomial)(x, c, LENGTH(c))

/* x - k ln(2), of absolute value ln(2)/2 at most */
ALWAYS_INLINE vec FN(exp_remainder)(vec x, vec *k)
{
    *k = v_round(v_mul(x, v_set1((real)1.44269504088896340736)));
    return v_fnma(*k, v_set1(LN2_LO), v_fnma(*k, v_set1(LN2_HI), x));
}

/* exp(r) - 1 for such a remainder. */
ALWAYS_INLINE vec FN(exp_fraction)(vec r) { return v_fma(v_mul(r, r), POLYNOMIAL(r, FN(exp_fit)), r); }

/* 2^-k exp(x) - 1 */
ALWAYS_INLINE vec FN(exp_reduced)(vec x, vec *k) { return FN(exp_fraction)(FN(exp_remainder)(x, k)); }

/* The same of n vectors that take each operation in turn, to y; x is spent. */
ALWAYS_INLINE void FN(exps_reduced)(int n, vec *x, vec *k, vec *y)
{
    for (int v = 0; v < n; v++) k[v] = v_round(v_mul(x[v], v_set1((real)1.44269504088896340736)));
    for (int v = 0; v < n; v++) x[v] = v_fnma(k[v], v_set1(LN2_HI), x[v]);
    for (int v = 0; v < n; v++) x[v] = v_fnma(k[v], v_set1(LN2_LO), x[v]);
    for (int v = 0; v < n; v++) y[v] = v_set1(FN(exp_fit)[LENGTH(FN(exp_fit)) - 1]);
    for (int i = LENGTH(FN(exp_fit)) - 2; i >= 0; i--)
        for (int v = 0; v < n; v++) y[v] = v_fma(y[v], x[v], v_set1(FN(exp_fit)[i]));
    for (int v = 0; v < n; v++) y[v] = v_fma(v_mul(x[v], x[v]), y[v], x[v]);
}

/* v_max(limit, x), in this order, keeps NaN. */
ALWAYS_INLINE vec FN(clamp)(real low, real high, vec x) { return v_min(v_set1(high), v_max(v_set1(low), x)); }

ALWAYS_INLINE vec FN(v_exp)(vec x)
{
    vec k, y = FN(exp_reduced)(FN(clamp)(EXP_LOWEST, EXP_HIGHEST, x), &k);
    return v_ldexp(v_add(y, v_set1(1)), k);
}

/* 2^k (exp(r) - 1) + (2^k - 1), halved so that 2^k does not overflow before the result does. */
ALWAYS_INLINE vec FN(v_expm1)(vec x)
{
    vec k, y = FN(exp_reduced)(FN(clamp)(EXPM1_LOWEST, EXP_HIGHEST, x), &k);
    vec half = v_ldexp(v_set1((real)0.5), k);
    y = v_fma(half, y, v_sub(half, v_set1((real)0.5)));
    return v_add(y, y);
}

/* log(2^k (1 + f)) for sqrt(1/2) - 1 <= f <= sqrt(2) - 1, with s = f / (2 + f): log(1 + f) = 2 atanh(s). The order of
 * the sums is that of fdlibm (Sun Microsystems 1993): the parts are added from the smallest to the largest. */
ALWAYS_INLINE vec FN(log_reduced)(vec k, vec f)
{
    vec s = v_div(f, v_add(f, v_set1(2)));
    vec z = v_mul(s, s);
    vec half_square = v_mul(v_mul(f, f), v_set1((real)0.5));
    vec tail = v_fma(z, POLYNOMIAL(z, FN(log_fit)), half_square);
    tail = v_fma(s, tail, v_mul(k, v_set1(LN2_LO)));
    return v_fma(k, v_set1(LN2_HI), v_sub(f, v_sub(half_square, tail)));
}

/* x = 2^k m with sqrt(1/2) < m <= sqrt(2) */
ALWAYS_INLINE vec FN(log_split)(vec x, vec *k)
{
    vec m = v_mantissa(x);
    vmask high = v_lt(v_set1((real)1.41421356237309504880), m);
    *k = v_add(v_exponent(x), v_keep(high, v_set1(1)));
    return v_select(high, v_mul(m, v_set1((real)0.5)), m);
}

/* log where x is 0, negative, infinite or NaN */
ALWAYS_INLINE vec FN(log_special)(vec x, vec y)
{
    y = v_select(v_lt(x, v_set1((real)INFINITY)), y, x);
    y = v_select(v_eq(x, v_zero()), v_set1(-(real)INFINITY), y);
    return v_select(v_lt(x, v_zero()), v_set1((real)NAN), y);
}

ALWAYS_INLINE vec FN(v_log)(vec x)
{
    vec k, m = FN(log_split)(x, &k);
    return FN(log_special)(x, FN(log_reduced)(k, v_sub(m, v_set1(1))));
}

/* What 1 + x loses in rounding (Knuth's two-sum) is handed on in f. */
ALWAYS_INLINE vec FN(v_log1p)(vec x)
{
    vec one = v_set1(1), u = v_add(one, x), b = v_sub(u, one);
    vec lost = v_add(v_sub(one, v_sub(u, b)), v_sub(x, b));
    vec k, m = FN(log_split)(u, &k);
    vec f = v_add(v_sub(m, one), v_ldexp(lost, v_neg(k)));
    return FN(log_special)(u, FN(log_reduced)(k, f));
}

/* With t = exp(-2|x|) - 1, tanh |x| = -t / (t + 2): nothing cancels, and large |x| give 1. */
ALWAYS_INLINE vec FN(v_tanh)(vec x)
{
    vec a = v_abs(x);
    vec t = FN(v_expm1)(v_neg(v_add(a, a)));
    return v_copysign(v_div(t, v_add(t, v_set1(2))), x);
}

/* e / (1 + e) with e = exp(x) for x < 0, else 1 / (1 + exp(-x)): no overflow on either side. */
ALWAYS_INLINE vec FN(v_sigmoid)(vec x)
{
    vec one = v_set1(1), e = FN(v_exp)(v_neg(v_abs(x)));
    return v_div(v_select(v_lt(x, v_zero()), e, one), v_add(one, e));
}

/* exp(-factor a^2) for 0 <= a <= 2 ERFCX_LIMIT and a power of two; exp would magnify the rounding error of a^2. */
ALWAYS_INLINE vec FN(exp_minus_square)(vec a, real factor)
{
    vec square = v_mul(a, a), k;
    vec r = FN(exp_remainder)(v_max(v_set1(EXP_LOWEST), v_mul(square, v_set1(-factor))), &k);
    r = v_fma(v_square_error(a, square), v_set1(factor), r);
    return v_ldexp(v_add(FN(exp_fraction)(r), v_set1(1)), k);
}

/* exp(a^2) erfc(a) for 0 <= a <= ERFCX_LIMIT; every coefficient is positive, so the sums are well conditioned. */
ALWAYS_INLINE vec FN(v_erfcx)(vec a)
{
    return v_div(POLYNOMIAL(a, FN(erfcx_top)), POLYNOMIAL(a, FN(erfcx_bottom)));
}

ALWAYS_INLINE vec FN(v_erf)(vec x)
{
    vec one = v_set1(1), a = v_min(v_set1(ERFCX_LIMIT), v_abs(x));
    vec large = v_fnma(FN(exp_minus_square)(a, 1), FN(v_erfcx)(a), one);
    vec small = v_fma(a, POLYNOMIAL(v_mul(a, a), FN(erf_fit)), a);
    return v_copysign(v_select(v_lt(a, one), small, large), x);
}

/* The normal distribution function at -|x|, to a small relative error, and sqrt(2 pi) times the density there. *a is
 * |x|, but no more than a number from which on the function is 0. */
ALWAYS_INLINE vec FN(v_normal_tail)(vec x, vec *a, vec *density)
{
    real limit = (real)1.41421356237309504880 * ERFCX_LIMIT;
    *a = v_min(v_set1(limit), v_abs(x));
    *density = FN(exp_minus_square)(*a, (real)0.5);
    vec tail = FN(v_erfcx)(v_mul(*a, v_set1((real)0.70710678118654752440)));
    return v_mul(v_mul(tail, *density), v_set1((real)0.5));
}

/* sin and cos of 2 pi u for 0 <= u <= 1: u = (q + s/2) / 4 with a quarter q and |s| <= 1 */
ALWAYS_INLINE void FN(v_sincos_turn)(vec u, vec *sine, vec *cosine)
{
    vec v = v_mul(u, v_set1(4)), q = v_round(v);
    vec s = v_mul(v_sub(v, q), v_set1(2)), z = v_mul(s, s);
    vec sin_s = v_mul(s, POLYNOMIAL(z, FN(sin_fit))), cos_s = POLYNOMIAL(z, FN(cos_fit));
    vmask q1 = v_eq(q, v_set1(1)), q2 = v_eq(q, v_set1(2)), q3 = v_eq(q, v_set1(3));
    vmask odd = m_or(q1, q3);
    vec a = v_select(odd, cos_s, sin_s), b = v_select(odd, sin_s, cos_s);
    *sine = v_select(m_or(q2, q3), v_neg(a), a);
    *cosine = v_select(m_or(q1, q2), v_neg(b), b);
}
