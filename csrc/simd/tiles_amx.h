/* tiles_amx.h: the tile registers of AMX and their products of bfloat16 (Intel SDM volume 1, chapter 18).
 *
 * A tile has 16 rows of 64 bytes. tile_multiply adds the product of a (16 rows of 32 numbers along k) with b (16 rows of
 * pairs: rows 2p and 2p + 1 of k, for 16 columns) to the floats of c. Registers are named by literals, 0 to 7. In
 * assembly, since the intrinsics would ask for flags under which a compiler may use tiles of its own accord.
 *
 * Only between tiles_begin and tiles_end: a thread that holds tiles pays 8 KB more at each context switch. */
#ifndef FNN_TILES_AMX_H
#define FNN_TILES_AMX_H

#include <immintrin.h>

enum { TILE_ROWS = 16, TILE_PAIRS = 16, TILE_STEPS = 2 * TILE_PAIRS, TILE_WORDS = TILE_ROWS * TILE_STEPS };

#define tile_zero(t) __asm__ volatile("tilezero %%tmm" #t ::: "memory")
#define tile_load(t, at, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(at), "r"((int64_t)(stride)) : "memory")
#define tile_store(t, at, stride) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(at), "r"((int64_t)(stride)) : "memory")
#define tile_multiply(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory")

/* All eight tiles, whole. */
ALWAYS_INLINE void tiles_begin(void)
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } whole = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile("ldtilecfg %0" ::"m"(whole));
}

ALWAYS_INLINE void tiles_end(void) { __asm__ volatile("tilerelease" ::: "memory"); }

/* 32 floats to bfloat16, to nearest even: those of `first`, then those of `second`. */
ALWAYS_INLINE __m512i bf16_round(__m512 first, __m512 second)
{
    __m512i words;
    __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(words) : "v"(first), "v"(second));
    return words;
}

/* What rounding left of them, rounded in its turn. */
ALWAYS_INLINE __m512i bf16_rest(__m512 first, __m512 second, __m512i words)
{
    __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(words));
    __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, 1));
    first = _mm512_sub_ps(first, _mm512_castsi512_ps(_mm512_slli_epi32(low, 16)));
    second = _mm512_sub_ps(second, _mm512_castsi512_ps(_mm512_slli_epi32(high, 16)));
    return bf16_round(first, second);
}

/* Word j of the first half beside word j of the second: two rows become a row of pairs. */
ALWAYS_INLINE __m512i bf16_pairs(__m512i rows)
{
    const __m512i one = _mm512_set1_epi32(16 << 16);
    const __m512i both = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                            _mm512_set1_epi32(0x10001));
    return _mm512_permutexvar_epi16(_mm512_or_si512(both, one), rows);
}

#endif
