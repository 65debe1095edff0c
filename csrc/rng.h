/* rng.h: counter-based random numbers, Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, 2011).
 *
 * Block b of the stream (seed, stream) is Philox of the counter (b, stream) under the key seed: four 32-bit words, a
 * function of nothing else, so any stretch can be made by any thread. This is the plain form; kernels/random.h makes the
 * same blocks on vectors. */
#ifndef FNN_RNG_H
#define FNN_RNG_H

#include <stdint.h>

#include "fastnn.h"

#define PHILOX_MULTIPLIER_0 0xD2511F53u
#define PHILOX_MULTIPLIER_1 0xCD9E8D57u
#define PHILOX_WEYL_0 0x9E3779B9u
#define PHILOX_WEYL_1 0xBB67AE85u
enum { PHILOX_ROUNDS = 10 };

static inline void philox(const fnn_key *key, uint64_t block, uint32_t word[4])
{
    uint32_t x0 = (uint32_t)block, x1 = (uint32_t)(block >> 32);
    uint32_t x2 = (uint32_t)key->stream, x3 = (uint32_t)(key->stream >> 32);
    uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        uint64_t a = (uint64_t)x0 * PHILOX_MULTIPLIER_0, b = (uint64_t)x2 * PHILOX_MULTIPLIER_1;
        x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)b;
        x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)a;
        k0 += PHILOX_WEYL_0;
        k1 += PHILOX_WEYL_1;
    }
    word[0] = x0;
    word[1] = x1;
    word[2] = x2;
    word[3] = x3;
}

#endif
