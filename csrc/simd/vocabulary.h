/* vocabulary.h: the vector operations that kernel bodies are written on.
 *
 * A body is compiled once for each target and precision. Each name below stands for the function (or type) of the
 * current pair: v_add is v_add_f32_avx512 in the AVX-512 float instance, so instances live side by side in one
 * translation unit and a debugger steps into plain functions. The vec_*.h headers define them and hold every
 * intrinsic; a new CPU is one such header. PRECISION, REAL_BITS, real and TARGET are set by targets/target.h. */
#ifndef FNN_VOCABULARY_H
#define FNN_VOCABULARY_H

#define FN_PASTE(name, precision, target) name##_##precision##_##target
#define FN_EXPAND(name, precision, target) FN_PASTE(name, precision, target)
#define FN(name) FN_EXPAND(name, PRECISION, TARGET)

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* For functions shared by bodies of which some instance may not use them. */
#define MAYBE_UNUSED __attribute__((unused))

/* Types. VL, a macro, is the number of lanes. A wide holds VL sums in double, whatever the precision. */
#define vec FN(vec)
#define vmask FN(vmask)
#define wide FN(wide)

/* Memory: no alignment is asked for. Masked-out lanes are never touched; a masked load gives 0 there. */
#define v_load FN(v_load)             /* (p) */
#define v_store FN(v_store)           /* (p, a) */
#define v_load_mask FN(v_load_mask)   /* (p, m) */
#define v_store_mask FN(v_store_mask) /* (p, m, a) */
#define mask_first FN(mask_first)     /* (n): lanes 0 .. n-1; 0 <= n <= VL */

#define mask_at_least FN(mask_at_least) /* (p, t): lanes l whose 32-bit p[l] >= t, unsigned; reads VL of them */

/* Unsigned 64-bit lanes, for which C's own operators do but for the product of the lower halves. */
#define vwords FN(vwords)
#define words_mul FN(words_mul) /* (a, b) */

#define v_zero FN(v_zero) /* () */
#define v_set1 FN(v_set1) /* (real) */

#define v_add FN(v_add)
#define v_sub FN(v_sub)
#define v_mul FN(v_mul)
#define v_div FN(v_div)
#define v_fma FN(v_fma)   /* (a, b, c): a b + c; fused where the target can */
#define v_fnma FN(v_fnma) /* (a, b, c): c - a b */
#define v_max FN(v_max)   /* (a, b): b where either is NaN, so v_max(limit, x) keeps the NaN of x */
#define v_min FN(v_min)   /* likewise */
#define v_sqrt FN(v_sqrt)
/* To 3 units in the last place, without the divider where the target has estimates of reciprocals. The argument of the
 * root and the divisor are 0 or normal; beyond the largest number the root stays finite. */
#define v_near_sqrt FN(v_near_sqrt)
#define v_near_div FN(v_near_div)
#define v_abs FN(v_abs)
#define v_neg FN(v_neg)
#define v_copysign FN(v_copysign) /* (magnitude, sign) */
#define v_round FN(v_round)       /* to nearest, ties to even; |x| < 2^22 (double: 2^51) */

/* Parts of a number. */
#define v_ldexp FN(v_ldexp)       /* (x, k): x 2^k, rounded once; k integral, within twice the exponent range */
#define v_exponent FN(v_exponent) /* floor(log2(x)) for finite x > 0, denormals too */
#define v_mantissa FN(v_mantissa) /* x / 2^v_exponent(x), in [1, 2), for finite x > 0 */

/* (x, x x as rounded): square - x^2, exactly. */
#define v_square_error FN(v_square_error)

/* Comparisons are false where either side is NaN. */
#define v_lt FN(v_lt)
#define v_le FN(v_le)
#define v_eq FN(v_eq)
#define v_isnan FN(v_isnan)
#define v_select FN(v_select) /* (m, a, b): a where m, else b */
#define v_keep FN(v_keep)     /* (m, a): a where m, else 0 */
#define m_and FN(m_and)
#define m_or FN(m_or)
#define m_any FN(m_any)

/* Interleaved: a0 b0 a1 b1 ... of the lower halves, and of the upper halves. */
#define v_zip_low FN(v_zip_low)
#define v_zip_high FN(v_zip_high)

/* Across lanes, in a fixed order. */
#define v_reduce_add FN(v_reduce_add)
#define v_reduce_max FN(v_reduce_max)
#define wide_zero FN(wide_zero)
#define wide_add FN(wide_add)       /* (w, a): w + a, a widened to double */
#define wide_add_at FN(wide_add_at) /* (w, p): w + the VL reals from p on; cheaper than a load and wide_add */
#define wide_fma FN(wide_fma)       /* (w, a, b): w + a b, the product in double */
#define wide_join FN(wide_join)     /* (w, w') */
#define wide_reduce FN(wide_reduce) /* -> double */
#define wide_store FN(wide_store)   /* (double *p, w): VL doubles, in the order of the lanes */

#endif
