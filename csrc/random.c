/* random.c: what random numbers do for both precisions: permutations. */
#include <stdint.h>

#include "fastnn.h"
#include "rng.h"

/* The words of a stream one after the other; several blocks at a time, as they are independent and overlap in the CPU,
 * but no more than are wanted for sure. */
enum { BLOCKS = 16 };

typedef struct word_source {
    const fnn_key *key;
    uint64_t block;
    int64_t wanted; /* words still wanted, at least */
    int used, made;
    uint32_t words[4 * BLOCKS];
} word_source;

static void make_words(word_source *s)
{
    int blocks = s->wanted >= 4 * BLOCKS ? BLOCKS : s->wanted > 4 ? (int)((s->wanted + 3) / 4) : 1;
    for (int i = 0; i < blocks; i++) philox(s->key, s->block++, s->words + 4 * i);
    s->wanted -= s->made = 4 * blocks;
    s->used = 0;
}

static inline uint32_t next_word(word_source *s)
{
    if (s->used == s->made) make_words(s);
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
    word_source s = {.key = key, .wanted = n - 1};
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        if (i % 65536 == 0 && fnn_stopped()) return;
        int64_t j = (int64_t)next_below(&s, (uint64_t)i + 1), kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}
