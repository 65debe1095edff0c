/* vec_neon.h: the vocabulary on the Advanced SIMD (NEON) of AArch64. Included once for each precision. A mask is a
 * vector of unsigned integers, all ones and all zeros. There are no masked loads and stores: lanes are moved one by one,
 * and since nearly every mask is the constant of a loop, its lanes are tested by branches that the CPU foresees. */
#include <arm_neon.h>

#undef OP
#undef OP_INT
#undef OP_N
#undef OP_LANE
#undef OP_SHIFT
#undef LANE_IN
#undef LANE_OUT
#undef AS_INT
#undef AS_BITS
#undef AS_REAL
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef IOTA
#define vint FN(vint)
#if REAL_BITS == 32
#define OP(name) v##name##q_f32
#define OP_N(name) v##name##q_n_f32
#define OP_LANE(name) v##name##q_lane_f32
#define OP_INT(name) v##name##q_s32
#define OP_SHIFT(name) v##name##q_n_s32
#define AS_INT(a) vreinterpretq_s32_f32(a)
#define AS_BITS(a) vreinterpretq_u32_f32(a)
#define AS_REAL(a) vreinterpretq_f32_u32(a)
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define SIGN_BIT 0x80000000u
#define IOTA ((vint){0, 1, 2, 3})
typedef float32x4_t vec;
typedef int32x4_t vint;
typedef uint32x4_t vmask;
typedef struct {
    float64x2_t lo, hi;
} wide;
#else
#undef SIGN_BIT
#define OP(name) v##name##q_f64
#define OP_N(name) v##name##q_n_f64
#define OP_LANE(name) v##name##q_lane_f64
#define OP_INT(name) v##name##q_s64
#define OP_SHIFT(name) v##name##q_n_s64
#define AS_INT(a) vreinterpretq_s64_f64(a)
#define AS_BITS(a) vreinterpretq_u64_f64(a)
#define AS_REAL(a) vreinterpretq_f64_u64(a)
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SIGN_BIT 0x8000000000000000u
#define IOTA ((vint){0, 1})
typedef float64x2_t vec;
typedef int64x2_t vint;
typedef uint64x2_t vmask;
typedef struct {
    float64x2_t lo;
} wide;
#endif
#define VL (16 / (int)sizeof(real))

#if REAL_BITS == 32
ALWAYS_INLINE vint FN(int_set1)(int64_t k) { return vdupq_n_s32((int32_t)k); }
ALWAYS_INLINE vmask FN(bits_set1)(uint64_t k) { return vdupq_n_u32((uint32_t)k); }
#else
ALWAYS_INLINE vint FN(int_set1)(int64_t k) { return vdupq_n_s64(k); }
ALWAYS_INLINE vmask FN(bits_set1)(uint64_t k) { return vdupq_n_u64(k); }
#endif

ALWAYS_INLINE vec v_zero(void) { return OP_N(dup)(0); }
ALWAYS_INLINE vec v_set1(real a) { return OP_N(dup)(a); }

ALWAYS_INLINE vec v_load(const real *p) { return OP(ld1)(p); }
ALWAYS_INLINE void v_store(real *p, vec a) { OP(st1)(p, a); }
#define LANE_IN(i) if (m[i]) a = OP_LANE(ld1)(p + (i), a, i)
#define LANE_OUT(i) if (m[i]) OP_LANE(st1)(p + (i), a, i)
ALWAYS_INLINE vec v_load_mask(const real *p, vmask m)
{
    vec a = v_zero();
    LANE_IN(0);
    LANE_IN(1);
#if REAL_BITS == 32
    LANE_IN(2);
    LANE_IN(3);
#endif
    return a;
}
ALWAYS_INLINE void v_store_mask(real *p, vmask m, vec a)
{
    LANE_OUT(0);
    LANE_OUT(1);
#if REAL_BITS == 32
    LANE_OUT(2);
    LANE_OUT(3);
#endif
}
ALWAYS_INLINE vmask mask_first(int64_t n) { return OP_INT(cgt)(FN(int_set1)(n), IOTA); }
ALWAYS_INLINE vmask mask_at_least(const uint32_t *p, uint32_t t)
{
#if REAL_BITS == 32
    return vcgeq_u32(vld1q_u32(p), vdupq_n_u32(t));
#else
    uint32x2_t m = vcge_u32(vld1_u32(p), vdup_n_u32(t));
    return vreinterpretq_u64_s64(vmovl_s32(vreinterpret_s32_u32(m)));
#endif
}
typedef uint64_t vwords __attribute__((vector_size(16)));
ALWAYS_INLINE vwords words_mul(vwords a, vwords b)
{
    return (vwords)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
}

ALWAYS_INLINE vec v_add(vec a, vec b) { return OP(add)(a, b); }
ALWAYS_INLINE vec v_sub(vec a, vec b) { return OP(sub)(a, b); }
ALWAYS_INLINE vec v_mul(vec a, vec b) { return OP(mul)(a, b); }
ALWAYS_INLINE vec v_div(vec a, vec b) { return OP(div)(a, b); }
ALWAYS_INLINE vec v_fma(vec a, vec b, vec c) { return OP(fma)(c, a, b); }
ALWAYS_INLINE vec v_fnma(vec a, vec b, vec c) { return OP(fms)(c, a, b); }
ALWAYS_INLINE vec v_square_error(vec a, vec square) { return v_fnma(a, a, square); }
/* Not FMAX and FMIN, which give NaN where only a is NaN. */
ALWAYS_INLINE vec v_max(vec a, vec b) { return OP(bsl)(OP(cgt)(a, b), a, b); }
ALWAYS_INLINE vec v_min(vec a, vec b) { return OP(bsl)(OP(clt)(a, b), a, b); }
ALWAYS_INLINE vec v_sqrt(vec a) { return OP(sqrt)(a); }
/* Exact: the estimates hold 8 bits and would ask for two steps of Newton's method. */
ALWAYS_INLINE vec v_near_sqrt(vec a) { return v_sqrt(a); }
ALWAYS_INLINE vec v_near_div(vec a, vec b) { return v_div(a, b); }
ALWAYS_INLINE vec v_abs(vec a) { return OP(abs)(a); }
ALWAYS_INLINE vec v_neg(vec a) { return OP(neg)(a); }
ALWAYS_INLINE vec v_copysign(vec a, vec sign) { return OP(bsl)(FN(bits_set1)(SIGN_BIT), sign, a); }
ALWAYS_INLINE vec v_round(vec a) { return OP(rndn)(a); }

ALWAYS_INLINE vmask v_lt(vec a, vec b) { return OP(clt)(a, b); }
ALWAYS_INLINE vmask v_le(vec a, vec b) { return OP(cle)(a, b); }
ALWAYS_INLINE vmask v_eq(vec a, vec b) { return OP(ceq)(a, b); }
ALWAYS_INLINE vmask v_isnan(vec a) { return ~OP(ceq)(a, a); }
ALWAYS_INLINE vec v_select(vmask m, vec a, vec b) { return OP(bsl)(m, a, b); }
ALWAYS_INLINE vec v_keep(vmask m, vec a) { return AS_REAL(m & AS_BITS(a)); }
ALWAYS_INLINE vmask m_and(vmask a, vmask b) { return a & b; }
ALWAYS_INLINE vmask m_or(vmask a, vmask b) { return a | b; }
ALWAYS_INLINE int m_any(vmask m) { return vmaxvq_u32((uint32x4_t)m) != 0; }

#if REAL_BITS == 32
ALWAYS_INLINE vint FN(to_int)(vec k) { return vcvtq_s32_f32(k); }
ALWAYS_INLINE vec FN(from_int)(vint k) { return vcvtq_f32_s32(k); }
#else
ALWAYS_INLINE vint FN(to_int)(vec k) { return vcvtq_s64_f64(k); }
ALWAYS_INLINE vec FN(from_int)(vint k) { return vcvtq_f64_s64(k); }
#endif
/* 2^k, for results in the normal range */
ALWAYS_INLINE vec FN(power_of_two)(vint k)
{
    return (vec)OP_SHIFT(shl)(OP_INT(add)(k, FN(int_set1)(EXPONENT_BIAS)), MANTISSA_BITS);
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
    vec k = FN(from_int)(OP_SHIFT(shr)(AS_INT(b), MANTISSA_BITS));
    return v_sub(k, v_add(v_set1(EXPONENT_BIAS), v_keep(small, v_set1(MANTISSA_BITS + 2))));
}
ALWAYS_INLINE vec v_mantissa(vec a)
{
    vmask small = v_lt(a, v_set1(REAL_MIN));
    vec b = v_select(small, v_mul(a, v_set1(DENORMAL_SCALE)), a);
    return OP(bsl)(FN(bits_set1)((1ULL << MANTISSA_BITS) - 1), b, v_set1(1));
}

ALWAYS_INLINE vec v_zip_low(vec a, vec b) { return OP(zip1)(a, b); }
ALWAYS_INLINE vec v_zip_high(vec a, vec b) { return OP(zip2)(a, b); }

ALWAYS_INLINE real v_reduce_add(vec a) { return OP(addv)(a); } /* pairs, then their sums */
ALWAYS_INLINE real v_reduce_max(vec a) { return OP(maxv)(a); }

#if REAL_BITS == 32
ALWAYS_INLINE float64x2_t FN(low_half)(vec a) { return vcvt_f64_f32(vget_low_f32(a)); }
ALWAYS_INLINE float64x2_t FN(high_half)(vec a) { return vcvt_high_f64_f32(a); }
ALWAYS_INLINE wide wide_zero(void) { return (wide){vdupq_n_f64(0), vdupq_n_f64(0)}; }
ALWAYS_INLINE wide wide_join(wide w, wide x) { return (wide){vaddq_f64(w.lo, x.lo), vaddq_f64(w.hi, x.hi)}; }
ALWAYS_INLINE wide wide_add(wide w, vec a) { return wide_join(w, (wide){FN(low_half)(a), FN(high_half)(a)}); }
ALWAYS_INLINE wide wide_add_at(wide w, const real *p) { return wide_add(w, v_load(p)); }
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b)
{
    return (wide){vfmaq_f64(w.lo, FN(low_half)(a), FN(low_half)(b)),
                  vfmaq_f64(w.hi, FN(high_half)(a), FN(high_half)(b))};
}
ALWAYS_INLINE double wide_reduce(wide w) { return vaddvq_f64(vaddq_f64(w.lo, w.hi)); }
ALWAYS_INLINE void wide_store(double *p, wide w)
{
    vst1q_f64(p, w.lo);
    vst1q_f64(p + 2, w.hi);
}
#else
ALWAYS_INLINE wide wide_zero(void) { return (wide){vdupq_n_f64(0)}; }
ALWAYS_INLINE wide wide_join(wide w, wide x) { return (wide){vaddq_f64(w.lo, x.lo)}; }
ALWAYS_INLINE wide wide_add(wide w, vec a) { return (wide){vaddq_f64(w.lo, a)}; }
ALWAYS_INLINE wide wide_add_at(wide w, const real *p) { return wide_add(w, v_load(p)); }
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b) { return (wide){vfmaq_f64(w.lo, a, b)}; }
ALWAYS_INLINE double wide_reduce(wide w) { return vaddvq_f64(w.lo); }
ALWAYS_INLINE void wide_store(double *p, wide w) { vst1q_f64(p, w.lo); }
#endif
