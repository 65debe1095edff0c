/* random.c: what random numbers do for both precisions: permutations. */
#include <stdint.h>

#include "fastnn.h"
#include "rng.h"

/* The words of a stream one after the other; BLOCKS at a time, as independent blocks overlap in the CPU. */
enum { BLOCKS = 16 };

typedef struct word_source {
    const fnn_key *key;
    uint64_t block;
    int used;
    uint32_t words[4 * BLOCKS];
} word_source;

static uint32_t next_word(word_source *s)
{
    if (s->used == 4 * BLOCKS) {
        for (int i = 0; i < BLOCKS; i++) philox(s->key, s->block++, s->words + 4 * i);
        s->used = 0;
    }
    return s->words[s->used++];
}

/* Uniform in 0 .. bound-1, without bias (Lemire, Fast random integer generation in an interval, 2019); beyond 32 bits
 * the bias of a plain remainder is below 2^-20 of the probability for any array that fits a memory. */
static uint64_t next_below(word_source *s, uint64_t bound)
{
    if (bound > UINT32_MAX) {
        uint64_t high = next_word(s);
        return (high << 32 | next_word(s)) % bound;
    }
    uint64_t product = next_word(s) * bound;
    if ((uint32_t)product < bound) {
        uint32_t reject = (uint32_t)(-(uint32_t)bound) % (uint32_t)bound;
        while ((uint32_t)product < reject) product = next_word(s) * bound;
    }
    return product >> 32;
}

void fnn_permutation(const fnn_key *key, int64_t n, int64_t *out)
{
    word_source s = {.key = key, .used = 4 * BLOCKS};
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        if (i % 65536 == 0 && fnn_stopped()) return;
        int64_t j = (int64_t)next_below(&s, (uint64_t)i + 1), kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}
