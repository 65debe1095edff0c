/* rng.h: counter-based random numbers, Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, 2011).
 *
 * Block b of the stream (seed, stream) is Philox of the counter (b, stream) under the key seed: four 32-bit words, a
 * function of nothing else, so any stretch can be made by any thread. PHILOX_LANES blocks are made at once, word by
 * word: plain loops that compilers turn into vector code on every target. */
#ifndef FNN_RNG_H
#define FNN_RNG_H

#include <stdint.h>

#include "fastnn.h"

enum { PHILOX_LANES = 16, PHILOX_ROUNDS = 10 };

/* word[w][l] is word w of block first + l. */
typedef struct philox_words {
    uint32_t word[4][PHILOX_LANES];
} philox_words;

static inline void philox(const fnn_key *key, uint64_t first, philox_words *out)
{
    uint32_t x0[PHILOX_LANES], x1[PHILOX_LANES], x2[PHILOX_LANES], x3[PHILOX_LANES];
    uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
    for (int l = 0; l < PHILOX_LANES; l++) {
        x0[l] = (uint32_t)(first + (uint64_t)l);
        x1[l] = (uint32_t)((first + (uint64_t)l) >> 32);
        x2[l] = (uint32_t)key->stream;
        x3[l] = (uint32_t)(key->stream >> 32);
    }
    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        for (int l = 0; l < PHILOX_LANES; l++) {
            uint64_t a = (uint64_t)x0[l] * 0xD2511F53u, b = (uint64_t)x2[l] * 0xCD9E8D57u;
            x0[l] = (uint32_t)(b >> 32) ^ x1[l] ^ k0;
            x1[l] = (uint32_t)b;
            x2[l] = (uint32_t)(a >> 32) ^ x3[l] ^ k1;
            x3[l] = (uint32_t)a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int l = 0; l < PHILOX_LANES; l++) {
        out->word[0][l] = x0[l];
        out->word[1][l] = x1[l];
        out->word[2][l] = x2[l];
        out->word[3][l] = x3[l];
    }
}

#endif
