/* vec_avx512.h: the vocabulary on AVX-512 F, BW, DQ and VL. Included once for each precision. */
#include <immintrin.h>

#undef OP
#undef OP_INT
#undef OP_MASK
#if REAL_BITS == 32
#define OP(name) _mm512_##name##_ps
#define OP_INT(name) _mm512_##name##_epi32
#define OP_MASK(name) _mm512_##name##_ps_mask
typedef __m512 vec;
typedef __mmask16 vmask;
typedef struct {
    __m512d lo, hi;
} wide;
#else
#define OP(name) _mm512_##name##_pd
#define OP_INT(name) _mm512_##name##_epi64
#define OP_MASK(name) _mm512_##name##_pd_mask
typedef __m512d vec;
typedef __mmask8 vmask;
typedef struct {
    __m512d lo;
} wide;
#endif
#define VL (64 / (int)sizeof(real))

ALWAYS_INLINE vec v_load(const real *p) { return OP(loadu)(p); }
ALWAYS_INLINE void v_store(real *p, vec a) { OP(storeu)(p, a); }
ALWAYS_INLINE vec v_load_mask(const real *p, vmask m) { return OP(maskz_loadu)(m, p); }
ALWAYS_INLINE void v_store_mask(real *p, vmask m, vec a) { OP(mask_storeu)(p, m, a); }
ALWAYS_INLINE vmask mask_first(int64_t n) { return (vmask)((1u << n) - 1); }
ALWAYS_INLINE vmask mask_at_least(const uint32_t *p, uint32_t t)
{
#if REAL_BITS == 32
    return _mm512_cmpge_epu32_mask(_mm512_loadu_si512(p), _mm512_set1_epi32((int32_t)t));
#else
    return _mm256_cmpge_epu32_mask(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi32((int32_t)t));
#endif
}
typedef uint64_t vwords __attribute__((vector_size(64)));
ALWAYS_INLINE vwords words_mul(vwords a, vwords b) { return (vwords)_mm512_mul_epu32((__m512i)a, (__m512i)b); }

ALWAYS_INLINE vec v_zero(void) { return OP(setzero)(); }
ALWAYS_INLINE vec v_set1(real a) { return OP(set1)(a); }

ALWAYS_INLINE vec v_add(vec a, vec b) { return OP(add)(a, b); }
ALWAYS_INLINE vec v_sub(vec a, vec b) { return OP(sub)(a, b); }
ALWAYS_INLINE vec v_mul(vec a, vec b) { return OP(mul)(a, b); }
ALWAYS_INLINE vec v_div(vec a, vec b) { return OP(div)(a, b); }
ALWAYS_INLINE vec v_fma(vec a, vec b, vec c) { return OP(fmadd)(a, b, c); }
ALWAYS_INLINE vec v_fnma(vec a, vec b, vec c) { return OP(fnmadd)(a, b, c); }
ALWAYS_INLINE vec v_square_error(vec a, vec square) { return v_fnma(a, a, square); }
ALWAYS_INLINE vec v_max(vec a, vec b) { return OP(max)(a, b); }
ALWAYS_INLINE vec v_min(vec a, vec b) { return OP(min)(a, b); }
ALWAYS_INLINE vec v_sqrt(vec a) { return OP(sqrt)(a); }
/* Estimates of 14 bits, which each step of Newton's method doubles: one for float, two for double. */
ALWAYS_INLINE vec v_near_sqrt(vec a)
{
    a = v_min(v_set1(REAL_MAX), v_max(v_set1(REAL_MIN), a));
    vec half = v_set1((real)0.5), one = v_set1(1), r = OP(rsqrt14)(a);
    if (REAL_BITS == 64) r = v_fma(v_mul(half, r), v_fnma(v_mul(a, r), r, one), r);
    vec root = v_mul(a, r);
    return v_fma(v_mul(half, root), v_fnma(root, r, one), root);
}
ALWAYS_INLINE vec v_near_div(vec a, vec b)
{
    vec one = v_set1(1), r = OP(rcp14)(b);
    r = v_fma(r, v_fnma(b, r, one), r);
    if (REAL_BITS == 64) r = v_fma(r, v_fnma(b, r, one), r);
    return v_mul(a, r);
}
ALWAYS_INLINE vec v_abs(vec a) { return OP(abs)(a); }
ALWAYS_INLINE vec v_neg(vec a) { return OP(xor)(a, OP(set1)((real)-0.0)); }
ALWAYS_INLINE vec v_copysign(vec a, vec sign)
{
    vec bit = OP(set1)((real)-0.0);
    return OP(or)(OP(andnot)(bit, a), OP(and)(bit, sign));
}
ALWAYS_INLINE vec v_round(vec a) { return OP(roundscale)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

ALWAYS_INLINE vec v_ldexp(vec a, vec k) { return OP(scalef)(a, k); }
ALWAYS_INLINE vec v_exponent(vec a) { return OP(getexp)(a); }
ALWAYS_INLINE vec v_mantissa(vec a) { return OP(getmant)(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src); }

ALWAYS_INLINE vmask v_lt(vec a, vec b) { return OP_MASK(cmp)(a, b, _CMP_LT_OQ); }
ALWAYS_INLINE vmask v_le(vec a, vec b) { return OP_MASK(cmp)(a, b, _CMP_LE_OQ); }
ALWAYS_INLINE vmask v_eq(vec a, vec b) { return OP_MASK(cmp)(a, b, _CMP_EQ_OQ); }
ALWAYS_INLINE vmask v_isnan(vec a) { return OP_MASK(cmp)(a, a, _CMP_UNORD_Q); }
ALWAYS_INLINE vec v_select(vmask m, vec a, vec b) { return OP(mask_blend)(m, b, a); }
ALWAYS_INLINE vec v_keep(vmask m, vec a) { return OP(maskz_mov)(m, a); }
ALWAYS_INLINE vmask m_and(vmask a, vmask b) { return (vmask)(a & b); }
ALWAYS_INLINE vmask m_or(vmask a, vmask b) { return (vmask)(a | b); }
ALWAYS_INLINE int m_any(vmask m) { return m != 0; }

#if REAL_BITS == 32
#define ZIP(a, b, i)                                                                                                 \
    OP(permutex2var)(a, _mm512_setr_epi32(i, 16 + i, 1 + i, 17 + i, 2 + i, 18 + i, 3 + i, 19 + i, 4 + i, 20 + i,     \
                                          5 + i, 21 + i, 6 + i, 22 + i, 7 + i, 23 + i), b)
#else
#undef ZIP
#define ZIP(a, b, i) OP(permutex2var)(a, _mm512_setr_epi64(i, 8 + i, 1 + i, 9 + i, 2 + i, 10 + i, 3 + i, 11 + i), b)
#endif
ALWAYS_INLINE vec v_zip_low(vec a, vec b) { return ZIP(a, b, 0); }
ALWAYS_INLINE vec v_zip_high(vec a, vec b) { return ZIP(a, b, VL / 2); }

ALWAYS_INLINE real v_reduce_add(vec a) { return OP(reduce_add)(a); }
ALWAYS_INLINE real v_reduce_max(vec a) { return OP(reduce_max)(a); }

#if REAL_BITS == 32
ALWAYS_INLINE __m512d FN(low_half)(vec a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
ALWAYS_INLINE __m512d FN(high_half)(vec a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
ALWAYS_INLINE wide wide_zero(void) { return (wide){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
ALWAYS_INLINE wide wide_join(wide w, wide x)
{
    return (wide){_mm512_add_pd(w.lo, x.lo), _mm512_add_pd(w.hi, x.hi)};
}
ALWAYS_INLINE wide wide_add(wide w, vec a)
{
    return wide_join(w, (wide){FN(low_half)(a), FN(high_half)(a)});
}
ALWAYS_INLINE wide wide_add_at(wide w, const real *p)
{
    return wide_join(w, (wide){_mm512_cvtps_pd(_mm256_loadu_ps(p)), _mm512_cvtps_pd(_mm256_loadu_ps(p + 8))});
}
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b)
{
    return (wide){_mm512_fmadd_pd(FN(low_half)(a), FN(low_half)(b), w.lo),
                  _mm512_fmadd_pd(FN(high_half)(a), FN(high_half)(b), w.hi)};
}
ALWAYS_INLINE double wide_reduce(wide w) { return _mm512_reduce_add_pd(_mm512_add_pd(w.lo, w.hi)); }
ALWAYS_INLINE void wide_store(double *p, wide w)
{
    _mm512_storeu_pd(p, w.lo);
    _mm512_storeu_pd(p + 8, w.hi);
}
#else
ALWAYS_INLINE wide wide_zero(void) { return (wide){_mm512_setzero_pd()}; }
ALWAYS_INLINE wide wide_join(wide w, wide x) { return (wide){_mm512_add_pd(w.lo, x.lo)}; }
ALWAYS_INLINE wide wide_add(wide w, vec a) { return (wide){_mm512_add_pd(w.lo, a)}; }
ALWAYS_INLINE wide wide_add_at(wide w, const real *p) { return wide_add(w, v_load(p)); }
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b) { return (wide){_mm512_fmadd_pd(a, b, w.lo)}; }
ALWAYS_INLINE double wide_reduce(wide w) { return _mm512_reduce_add_pd(w.lo); }
ALWAYS_INLINE void wide_store(double *p, wide w) { _mm512_storeu_pd(p, w.lo); }
#endif
