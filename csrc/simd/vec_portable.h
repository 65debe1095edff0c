/* vec_portable.h: the vocabulary on the compiler's own 16-byte vectors (GCC and Clang), without a single intrinsic:
 * SSE2 on the oldest x86-64, NEON on any ARMv8, and right, if slow, everywhere else. Included once for each precision.
 * A mask is a vector of integers, -1 and 0. */

#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef HEAD_MASK
#undef IOTA
#define lane_int FN(lane_int)
#define vint FN(vint)
#if REAL_BITS == 32
typedef int32_t lane_int;
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define HEAD_MASK (~0xfff)
#define IOTA ((vint){0, 1, 2, 3})
#else
typedef int64_t lane_int;
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define HEAD_MASK (~0x7ffffffLL)
#define IOTA ((vint){0, 1})
#endif
#define VL (16 / (int)sizeof(real))
#define vpair FN(vpair)
typedef real vec __attribute__((vector_size(16)));
typedef lane_int vint __attribute__((vector_size(16)));
typedef vint vmask;
typedef double vpair __attribute__((vector_size(16)));
#if REAL_BITS == 32
typedef struct {
    vpair lo, hi;
} wide;
#else
typedef struct {
    vpair lo;
} wide;
#endif

ALWAYS_INLINE vec v_load(const real *p)
{
    vec a;
    memcpy(&a, p, sizeof a);
    return a;
}
ALWAYS_INLINE void v_store(real *p, vec a) { memcpy(p, &a, sizeof a); }
ALWAYS_INLINE vec v_load_mask(const real *p, vmask m)
{
    vec a = {0};
    for (int i = 0; i < VL; i++)
        if (m[i]) a[i] = p[i];
    return a;
}
ALWAYS_INLINE void v_store_mask(real *p, vmask m, vec a)
{
    for (int i = 0; i < VL; i++)
        if (m[i]) p[i] = a[i];
}
ALWAYS_INLINE vint FN(int_set1)(lane_int k) { return k - (vint){0}; }
ALWAYS_INLINE vmask mask_first(int64_t n) { return IOTA < FN(int_set1)((lane_int)n); }
ALWAYS_INLINE vmask mask_at_least(const uint32_t *p, uint32_t t)
{
    vmask m = {0}; /* which compilers that do not unroll the loop ask for */
    for (int i = 0; i < VL; i++) m[i] = -(p[i] >= t);
    return m;
}
typedef uint64_t vwords __attribute__((vector_size(16)));
ALWAYS_INLINE vwords words_mul(vwords a, vwords b) { return (a & UINT32_MAX) * (b & UINT32_MAX); }

ALWAYS_INLINE vec v_zero(void) { return (vec){0}; }
/* a - 0, not a + 0, which would lose the sign of -0 */
ALWAYS_INLINE vec v_set1(real a) { return a - (vec){0}; }

ALWAYS_INLINE vec v_add(vec a, vec b) { return a + b; }
ALWAYS_INLINE vec v_sub(vec a, vec b) { return a - b; }
ALWAYS_INLINE vec v_mul(vec a, vec b) { return a * b; }
ALWAYS_INLINE vec v_div(vec a, vec b) { return a / b; }
ALWAYS_INLINE vec v_fma(vec a, vec b, vec c) { return a * b + c; }
ALWAYS_INLINE vec v_fnma(vec a, vec b, vec c) { return c - a * b; }

ALWAYS_INLINE vmask v_lt(vec a, vec b) { return a < b; }
ALWAYS_INLINE vmask v_le(vec a, vec b) { return a <= b; }
ALWAYS_INLINE vmask v_eq(vec a, vec b) { return a == b; }
ALWAYS_INLINE vmask v_isnan(vec a) { return a != a; }
ALWAYS_INLINE vec v_select(vmask m, vec a, vec b) { return (vec)((m & (vint)a) | (~m & (vint)b)); }
ALWAYS_INLINE vec v_keep(vmask m, vec a) { return (vec)(m & (vint)a); }
ALWAYS_INLINE vmask m_and(vmask a, vmask b) { return a & b; }
ALWAYS_INLINE vmask m_or(vmask a, vmask b) { return a | b; }
ALWAYS_INLINE int m_any(vmask m)
{
    lane_int any = 0;
    for (int i = 0; i < VL; i++) any |= m[i];
    return any != 0;
}

ALWAYS_INLINE vec v_max(vec a, vec b) { return v_select(a > b, a, b); }
ALWAYS_INLINE vec v_min(vec a, vec b) { return v_select(a < b, a, b); }
ALWAYS_INLINE vec v_sqrt(vec a)
{
    for (int i = 0; i < VL; i++) a[i] = REAL_BITS == 32 ? (real)sqrtf((float)a[i]) : (real)sqrt((double)a[i]);
    return a;
}
ALWAYS_INLINE vec v_near_sqrt(vec a) { return v_sqrt(a); }
ALWAYS_INLINE vec v_near_div(vec a, vec b) { return v_div(a, b); }
ALWAYS_INLINE vint FN(sign_bit)(void) { return (vint)v_set1((real)-0.0); }
ALWAYS_INLINE vec v_abs(vec a) { return (vec)((vint)a & ~FN(sign_bit)()); }
ALWAYS_INLINE vec v_neg(vec a) { return (vec)((vint)a ^ FN(sign_bit)()); }
ALWAYS_INLINE vec v_copysign(vec a, vec sign)
{
    return (vec)(((vint)a & ~FN(sign_bit)()) | ((vint)sign & FN(sign_bit)()));
}
/* Adding and taking away 1.5 2^MANTISSA_BITS leaves no digit behind the point; its bits hold the integer. */
#define SHIFTER v_set1((real)1.5 * (real)(1LL << MANTISSA_BITS))
ALWAYS_INLINE vec v_round(vec a) { return (a + SHIFTER) - SHIFTER; }

ALWAYS_INLINE vint FN(to_int)(vec k) { return (vint)(k + SHIFTER) - (vint)SHIFTER; }
ALWAYS_INLINE vec FN(from_int)(vint k) { return (vec)(k + (vint)SHIFTER) - SHIFTER; }
/* 2^k, for results in the normal range */
ALWAYS_INLINE vec FN(power_of_two)(vint k) { return (vec)((k + FN(int_set1)(EXPONENT_BIAS)) << MANTISSA_BITS); }
/* In two steps, as 2^k itself may be out of range; only the second one can round. */
ALWAYS_INLINE vec v_ldexp(vec a, vec k)
{
    vec half = v_round(k * v_set1((real)0.5));
    return a * FN(power_of_two)(FN(to_int)(half)) * FN(power_of_two)(FN(to_int)(k - half));
}
/* Denormals are first brought into the normal range. */
#define DENORMAL_SCALE v_set1((real)(1LL << (MANTISSA_BITS + 2)))
ALWAYS_INLINE vec v_exponent(vec a)
{
    vmask small = a < v_set1(REAL_MIN);
    vint b = (vint)v_select(small, a * DENORMAL_SCALE, a);
    return FN(from_int)((b >> MANTISSA_BITS) - FN(int_set1)(EXPONENT_BIAS) - (small & FN(int_set1)(MANTISSA_BITS + 2)));
}
ALWAYS_INLINE vec v_mantissa(vec a)
{
    vint b = (vint)v_select(a < v_set1(REAL_MIN), a * DENORMAL_SCALE, a);
    return (vec)((b & FN(int_set1)(((lane_int)1 << MANTISSA_BITS) - 1)) | (vint)v_set1(1));
}
/* Dekker 1971: the square of the upper half of the digits is exact. */
ALWAYS_INLINE vec v_square_error(vec a, vec square)
{
    vec head = (vec)((vint)a & FN(int_set1)(HEAD_MASK)), rest = a - head;
    return (square - head * head) - rest * (a + head);
}

#if REAL_BITS == 32
ALWAYS_INLINE vec v_zip_low(vec a, vec b) { return (vec){a[0], b[0], a[1], b[1]}; }
ALWAYS_INLINE vec v_zip_high(vec a, vec b) { return (vec){a[2], b[2], a[3], b[3]}; }
#else
ALWAYS_INLINE vec v_zip_low(vec a, vec b) { return (vec){a[0], b[0]}; }
ALWAYS_INLINE vec v_zip_high(vec a, vec b) { return (vec){a[1], b[1]}; }
#endif

ALWAYS_INLINE real v_reduce_add(vec a)
{
    return REAL_BITS == 32 ? (a[0] + a[2 % VL]) + (a[1] + a[3 % VL]) : a[0] + a[1];
}
ALWAYS_INLINE real v_reduce_max(vec a)
{
    real top = a[0];
    for (int i = 1; i < VL; i++) top = a[i] > top ? a[i] : top;
    return top;
}

#if REAL_BITS == 32
ALWAYS_INLINE wide FN(widen)(vec a) { return (wide){{a[0], a[1]}, {a[2], a[3]}}; }
ALWAYS_INLINE wide wide_zero(void) { return (wide){{0}, {0}}; }
ALWAYS_INLINE wide wide_join(wide w, wide x) { return (wide){w.lo + x.lo, w.hi + x.hi}; }
ALWAYS_INLINE wide wide_add(wide w, vec a) { return wide_join(w, FN(widen)(a)); }
ALWAYS_INLINE wide wide_add_at(wide w, const real *p) { return wide_add(w, v_load(p)); }
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b)
{
    wide x = FN(widen)(a), y = FN(widen)(b);
    return (wide){w.lo + x.lo * y.lo, w.hi + x.hi * y.hi};
}
ALWAYS_INLINE double wide_reduce(wide w)
{
    vpair a = w.lo + w.hi;
    return a[0] + a[1];
}
#else
ALWAYS_INLINE wide wide_zero(void) { return (wide){{0}}; }
ALWAYS_INLINE wide wide_join(wide w, wide x) { return (wide){w.lo + x.lo}; }
ALWAYS_INLINE wide wide_add(wide w, vec a) { return (wide){w.lo + a}; }
ALWAYS_INLINE wide wide_add_at(wide w, const real *p) { return wide_add(w, v_load(p)); }
ALWAYS_INLINE wide wide_fma(wide w, vec a, vec b) { return (wide){w.lo + a * b}; }
ALWAYS_INLINE double wide_reduce(wide w) { return w.lo[0] + w.lo[1]; }
#endif
ALWAYS_INLINE void wide_store(double *p, wide w) { memcpy(p, &w, sizeof w); }
