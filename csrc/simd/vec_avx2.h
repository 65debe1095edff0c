/* vec_avx2.h: the vocabulary on AVX2 and FMA. Included once for each precision. A mask is a vector of all-ones and
 * all-zeros lanes. */
#include <immintrin.h>

#undef OP
#undef OP_INT
#undef AS_INT
#undef AS_REAL
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#if REAL_BITS == 32
#define OP(name) _mm256_##name##_ps
#define OP_INT(name) _mm256_##name##_epi32
#define AS_INT(a) _mm256_castps_si256(a)
#define AS_REAL(a) _mm256_castsi256_ps(a)
#define SET1_INT(k) _mm256_set1_epi32((int32_t)(k))
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define IOTA _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)
typedef __m256 vec;
typedef struct {
    __m256d lo, hi;
} wide;
#else
#undef SET1_INT
#undef IOTA
#define OP(name) _mm256_##name##_pd
#define OP_INT(name) _mm256_##name##_epi64
#define AS_INT(a) _mm256_castpd_si256(a)
#define AS_REAL(a) _mm256_castsi256_pd(a)
#define SET1_INT(k) _mm256_set1_epi64x((int64_t)(k))
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define IOTA _mm256_setr_epi64x(0, 1, 2, 3)
typedef __m256d vec;
typedef struct {
    __m256d lo;
} wide;
#endif
typedef vec vmask;
#define VL (32 / (int)sizeof(real))

ALWAYS_INLINE vec v_load(const real *p) { return OP(loadu)(p); }
ALWAYS_INLINE void v_store(real *p, vec a) { OP(storeu)(p, a); }
ALWAYS_INLINE vec v_load_mask(const real *p, vmask m) { return OP(maskload)(p, AS_INT(m)); }
ALWAYS_INLINE void v_store_mask(real *p, vmask m, vec a) { OP(maskstore)(p, AS_INT(m), a); }
ALWAYS_INLINE vmask mask_first(int64_t n) { return AS_REAL(OP_INT(cmpgt)(SET1_INT(n), IOTA)); }
ALWAYS_INLINE vmask mask_at_least(const uint32_t *p, uint32_t t)
{
#if REAL_BITS == 32
    __m256i a = _mm256_loadu_si256((const __m256i *)p);
    return AS_REAL(_mm256_cmpeq_epi32(a, _mm256_max_epu32(a, _mm256_set1_epi32((int32_t)t))));
#else
    __m128i a = _mm_loadu_si128((const __m128i *)p);
    return AS_REAL(_mm256_cvtepi32_epi64(_mm_cmpeq_epi32(a, _mm_max_epu32(a, _mm_set1_epi32((int32_t)t)))));
#endif
}
typedef uint64_t vwords __attribute__((vector_size(32)));
ALWAYS_INLINE vwords words_mul(vwords a, vwords b) { return (vwords)_mm256_mul_epu32((__m256i)a, (__m256i)b); }

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
#if REAL_BITS == 32
/* An estimate and one step of Newton's method. */
ALWAYS_INLINE vec v_near_sqrt(vec a)
{
    a = v_min(v_set1(FLT_MAX), v_max(v_set1(FLT_MIN), a));
    vec r = _mm256_rsqrt_ps(a), root = v_mul(a, r);
    return v_fma(v_mul(v_set1(0.5f), root), v_fnma(root, r, v_set1(1)), root);
}
ALWAYS_INLINE vec v_near_div(vec a, vec b)
{
    vec r = _mm256_rcp_ps(b);
    r = v_fma(r, v_fnma(b, r, v_set1(1)), r);
    return v_mul(a, r);
}
#else
ALWAYS_INLINE vec v_near_sqrt(vec a) { return v_sqrt(a); }
ALWAYS_INLINE vec v_near_div(vec a, vec b) { return v_div(a, b); }
#endif
ALWAYS_INLINE vec v_abs(vec a) { return OP(andnot)(OP(set1)((real)-0.0), a); }
ALWAYS_INLINE vec v_neg(vec a) { return OP(xor)(a, OP(set1)((real)-0.0)); }
ALWAYS_INLINE vec v_copysign(vec a, vec sign)
{
    vec bit = OP(set1)((real)-0.0);
    return OP(or)(OP(andnot)(bit, a), OP(and)(bit, sign));
}
ALWAYS_INLINE vec v_round(vec a) { return OP(round)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

ALWAYS_INLINE vmask v_lt(vec a, vec b) { return OP(cmp)(a, b, _CMP_LT_OQ); }
ALWAYS_INLINE vmask v_le(vec a, vec b) { return OP(cmp)(a, b, _CMP_LE_OQ); }
ALWAYS_INLINE vmask v_eq(vec a, vec b) { return OP(cmp)(a, b, _CMP_EQ_OQ); }
ALWAYS_INLINE vmask v_isnan(vec a) { return OP(cmp)(a, a, _CMP_UNORD_Q); }
ALWAYS_INLINE vec v_select(vmask m, vec a, vec b) { return OP(blendv)(b, a, m); }
ALWAYS_INLINE vec v_keep(vmask m, vec a) { return OP(and)(m, a); }
ALWAYS_INLINE vmask m_and(vmask a, vmask b) { return OP(and)(a, b); }
ALWAYS_INLINE vmask m_or(vmask a, vmask b) { return OP(or)(a, b); }
ALWAYS_INLINE int m_any(vmask m) { return OP(movemask)(m) != 0; }

/* An integral value of modest size as the integer lane next to 1.5 2^MANTISSA_BITS, and back: AVX2 has no conversion
 * between double and 64-bit integers. */
#define SHIFTER ((real)1.5 * (real)(1LL << MANTISSA_BITS))
ALWAYS_INLINE __m256i FN(to_int)(vec k)
{
    vec shifter = v_set1(SHIFTER);
    return OP_INT(sub)(AS_INT(v_add(k, shifter)), AS_INT(shifter));
}
ALWAYS_INLINE vec FN(from_int)(__m256i k)
{
    vec shifter = v_set1(SHIFTER);
    return v_sub(AS_REAL(OP_INT(add)(k, AS_INT(shifter))), shifter);
}
/* 2^k, for results in the normal range */
ALWAYS_INLINE vec FN(power_of_two)(__m256i k)
{
    return AS_REAL(OP_INT(slli)(OP_INT(add)(k, SET1_INT(EXPONENT_BIAS)), MANTISSA_BITS));
}
/* In two steps, as 2^k itself may be out of range; only the second one can round. */
ALWAYS_INLINE vec v_ldexp(vec a, vec k)
{
    vec half = v_round(v_mul(k, v_set1((real)0.5)));
    a = v_mul(a, FN(power_of_two)(FN(to_int)(half)));
    return v_mul(a, FN(power_of_two)(FN(to_int)(v_sub(k, half))));
}
/* Denormals are first brought into the normal range. */
#define DENORMAL_SCALE ((real)(1LL << (MANTISSA_BITS + 2)))
ALWAYS_INLINE vec v_exponent(vec a)
{
    vmask small = v_lt(a, v_set1(REAL_MIN));
    vec b = v_select(small, v_mul(a, v_set1(DENORMAL_SCALE)), a);
    vec k = FN(from_int)(OP_INT(srli)(AS_INT(b), MANTISSA_BITS));
    return v_sub(k, v_add(v_set1(EXPONENT_BIAS), v_keep(small, v_set1(MANTISSA_BITS + 2))));
}
ALWAYS_INLINE vec v_mantissa(vec a)
{
    vmask small = v_lt(a, v_set1(REAL_MIN));
    vec b = v_select(small, v_mul(a, v_set1(DENORMAL_SCALE)), a);
    vec digits = AS_REAL(SET1_INT((1LL << MANTISSA_BITS) - 1));
    return OP(or)(OP(and)(b, digits), v_set1(1));
}

ALWAYS_INLINE vec v_zip_low(vec a, vec b) { return OP(permute2f128)(OP(unpacklo)(a, b), OP(unpackhi)(a, b), 0x20); }
ALWAYS_INLINE vec v_zip_high(vec a, vec b) { return OP(permute2f128)(OP(unpacklo)(a, b), OP(unpackhi)(a, b), 0x31); }

ALWAYS_INLINE double FN(sum4)(__m256d a)
{
    __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}
#if REAL_BITS == 32
ALWAYS_INLINE real v_reduce_add(vec a)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
ALWAYS_INLINE real v_reduce_max(vec a)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}
ALWAYS_INLINE __m256d FN(low_half)(vec a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
ALWAYS_INLINE __m256d FN(high_half)(vec a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
ALWAYS_INLINE wide wide_zero(void) { return (wide){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
ALWAYS_INLINE wide wide_join(wide w, wide x)
{
    return (wide){_mm256_add_pd(w.lo, x.lo), _mm256_add_pd(w.hi, x.hi)};
}
ALWAYS_INLINE wide wide_add(wide w, vec a)
{
    return wide_join(w, (wide){FN(low_half)(a), FN(high_half)(a)});
}
ALWAYS_INLINE wide wide_add_at(wide w, const real *p)
{
    return wide_join(w, (wide){_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4))});
}
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b)
{
    return (wide){_mm256_fmadd_pd(FN(low_half)(a), FN(low_half)(b), w.lo),
                  _mm256_fmadd_pd(FN(high_half)(a), FN(high_half)(b), w.hi)};
}
ALWAYS_INLINE double wide_reduce(wide w) { return FN(sum4)(_mm256_add_pd(w.lo, w.hi)); }
ALWAYS_INLINE void wide_store(double *p, wide w)
{
    _mm256_storeu_pd(p, w.lo);
    _mm256_storeu_pd(p + 4, w.hi);
}
#else
ALWAYS_INLINE real v_reduce_add(vec a) { return FN(sum4)(a); }
ALWAYS_INLINE real v_reduce_max(vec a)
{
    __m128d b = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(b, _mm_unpackhi_pd(b, b)));
}
ALWAYS_INLINE wide wide_zero(void) { return (wide){_mm256_setzero_pd()}; }
ALWAYS_INLINE wide wide_join(wide w, wide x) { return (wide){_mm256_add_pd(w.lo, x.lo)}; }
ALWAYS_INLINE wide wide_add(wide w, vec a) { return (wide){_mm256_add_pd(w.lo, a)}; }
ALWAYS_INLINE wide wide_add_at(wide w, const real *p) { return wide_add(w, v_load(p)); }
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b) { return (wide){_mm256_fmadd_pd(a, b, w.lo)}; }
ALWAYS_INLINE double wide_reduce(wide w) { return FN(sum4)(w.lo); }
ALWAYS_INLINE void wide_store(double *p, wide w) { _mm256_storeu_pd(p, w.lo); }
#endif
