/* random.h: random numbers by position: value i depends on the key and i alone, whatever the target, the threads, or
 * the stretch that is asked for.
 *
 * TILE_BLOCKS blocks make one tile of values, laid out word by word so that nothing is transposed: with 32 bits a value
 * (float, and dropout in both precisions) value i is word i / TILE_BLOCKS % 4 of block i % TILE_BLOCKS of its tile; a
 * double takes two words. Tiles are made whole; the end of the last one is dropped. */

#undef TILE
#undef TILE_BLOCKS
#define TILE_BLOCKS 16
#define TILE (4 * TILE_BLOCKS)
#undef REAL_TILE
#define REAL_TILE (REAL_BITS == 32 ? TILE : TILE / 2)

typedef struct {
    const fnn_key *key;
    int64_t n;
    uint32_t threshold; /* dropout */
    int32_t accumulate;
    double a, b; /* low and range, or mean and deviation */
    real factor, highest;
    const real *x;
    real *y;
} FN(random_args);

typedef uint32_t FN(half_words) __attribute__((vector_size(sizeof(vwords) / 2)));

/* Word w of block l of the tile goes to word[w * TILE_BLOCKS + l]. The upper halves of the lanes hold what the products
 * left there: only the lower halves count. */
static void FN(philox_tile)(const fnn_key *key, uint64_t tile, uint32_t *word)
{
    enum { LANES = sizeof(vwords) / sizeof(uint64_t) };
    const vwords zero = {0}, m0 = zero + PHILOX_MULTIPLIER_0, m1 = zero + PHILOX_MULTIPLIER_1;
    for (int group = 0; group < TILE_BLOCKS; group += LANES) {
        vwords x[4] = {zero, zero, zero + (uint32_t)key->stream, zero + (key->stream >> 32)};
        uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
        uint64_t counters[LANES];
        for (int l = 0; l < LANES; l++) counters[l] = tile * TILE_BLOCKS + (uint64_t)(group + l);
        memcpy(&x[0], counters, sizeof x[0]);
        x[1] = x[0] >> 32;
        for (int r = 0; r < PHILOX_ROUNDS; r++) {
            vwords a = words_mul(x[0], m0), b = words_mul(x[2], m1);
            x[0] = (b >> 32) ^ x[1] ^ k0;
            x[1] = b;
            x[2] = (a >> 32) ^ x[3] ^ k1;
            x[3] = a;
            k0 += PHILOX_WEYL_0;
            k1 += PHILOX_WEYL_1;
        }
        for (int w = 0; w < 4; w++) {
            FN(half_words) low = __builtin_convertvector(x[w], FN(half_words));
            memcpy(word + w * TILE_BLOCKS + group, &low, sizeof low);
        }
    }
}

/* A tile of uniform numbers in [0, 1): 24 bits for float, 53 for double. */
static void FN(uniform_tile)(const fnn_key *key, uint64_t tile, real *u)
{
    uint32_t word[TILE];
    FN(philox_tile)(key, tile, word);
#if REAL_BITS == 32
    for (int i = 0; i < TILE; i++) u[i] = (float)(int32_t)(word[i] >> 8) * 0x1p-24f;
#else
    for (int w = 0; w < 2; w++)
        for (int l = 0; l < TILE_BLOCKS; l++) {
            double high = (int32_t)(word[2 * w * TILE_BLOCKS + l] >> 5), low = (int32_t)(word[(2 * w + 1) * TILE_BLOCKS + l] >> 6);
            u[w * TILE_BLOCKS + l] = (high * 0x1p26 + low) * 0x1p-53;
        }
#endif
}

/* Where tile number `tile` begins in the buffer, and how many of its values are asked for. */
ALWAYS_INLINE int64_t FN(tile_length)(int64_t n, int64_t tile, int64_t size)
{
    return n - tile * size < size ? n - tile * size : size;
}

static void FN(uniform_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(random_args) *a = args;
    vec low = v_set1((real)a->a), range = v_set1((real)a->b), highest = v_set1(a->highest);
    (void)chunk;
    for (int64_t tile = begin; tile < end; tile++) {
        real u[REAL_TILE];
        FN(uniform_tile)(a->key, (uint64_t)tile, u);
        for (int k = 0; k < REAL_TILE; k += VL) v_store(u + k, v_min(highest, v_fma(range, v_load(u + k), low)));
        FN(copy_row)(FN(tile_length)(a->n, tile, REAL_TILE), u, a->y + tile * REAL_TILE);
    }
}

/* A tile of pairs for Box and Muller (1958): u1 in (0, 1], u2 in [0, 1), of all the bits that a value may take. */
static void FN(pair_tile)(const fnn_key *key, uint64_t tile, real *u1, real *u2)
{
#if REAL_BITS == 32
    uint32_t word[TILE];
    FN(philox_tile)(key, tile, word);
    for (int w = 0; w < 2; w++)
        for (int l = 0; l < TILE_BLOCKS; l++) {
            u1[w * TILE_BLOCKS + l] = (float)word[2 * w * TILE_BLOCKS + l] * 0x1p-32f + 0x1p-33f;
            u2[w * TILE_BLOCKS + l] = (float)(int32_t)(word[(2 * w + 1) * TILE_BLOCKS + l] >> 8) * 0x1p-24f;
        }
#else
    double u[REAL_TILE];
    FN(uniform_tile)(key, tile, u);
    for (int l = 0; l < TILE_BLOCKS; l++) {
        u1[l] = u[l] + 0x1p-54;
        u2[l] = u[TILE_BLOCKS + l];
    }
#endif
}

static void FN(normal_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    enum { PAIRS = REAL_TILE / 2 };
    const FN(random_args) *a = args;
    vec mean = v_set1((real)a->a), deviation = v_set1((real)a->b);
    (void)chunk;
    for (int64_t tile = begin; tile < end; tile++) {
        real u1[PAIRS], u2[PAIRS], z[REAL_TILE];
        FN(pair_tile)(a->key, (uint64_t)tile, u1, u2);
        for (int k = 0; k < PAIRS; k += VL) {
            vec sine, cosine, radius = v_sqrt(v_mul(v_set1(-2), FN(v_log)(v_load(u1 + k))));
            FN(v_sincos_turn)(v_load(u2 + k), &sine, &cosine);
            radius = v_mul(radius, deviation);
            v_store(z + k, v_fma(radius, cosine, mean));
            v_store(z + PAIRS + k, v_fma(radius, sine, mean));
        }
        FN(copy_row)(FN(tile_length)(a->n, tile, REAL_TILE), z, a->y + tile * REAL_TILE);
    }
}

ALWAYS_INLINE vec FN(dropped)(const FN(random_args) *a, vmask kept, vec x, vec old)
{
    vec y = v_keep(kept, v_mul(x, v_set1(a->factor)));
    return a->accumulate ? v_add(old, y) : y;
}

static void FN(dropout_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(random_args) *a = args;
    (void)chunk;
    for (int64_t tile = begin; tile < end; tile++) {
        uint32_t bits[TILE];
        FN(philox_tile)(a->key, (uint64_t)tile, bits);
        const real *x = a->x + tile * TILE;
        real *y = a->y + tile * TILE;
        int64_t n = FN(tile_length)(a->n, tile, TILE), i = 0;
        for (; i + VL <= n; i += VL) {
            vmask kept = mask_at_least(bits + i, a->threshold);
            v_store(y + i, FN(dropped)(a, kept, v_load(x + i), v_load(y + i)));
        }
        if (i == n) continue;
        vmask m = mask_first(n - i), kept = mask_at_least(bits + i, a->threshold);
        v_store_mask(y + i, m, FN(dropped)(a, kept, v_load_mask(x + i, m), v_load_mask(y + i, m)));
    }
}

static void FN(random_run)(const fnn_ctx *cx, int64_t size, FN(range_body) body, FN(random_args) *a)
{
    FN(for_items)(cx, (a->n + size - 1) / size, size, body, a);
}

static void FN(random_uniform)(const fnn_ctx *cx, const fnn_key *key, int64_t n, double low, double high, real *y)
{
    real below = REAL_BITS == 32 ? (real)nextafterf((float)high, (float)low) : (real)nextafter(high, low);
    FN(random_args) a = {.key = key, .n = n, .a = low, .b = high - low, .highest = below, .y = y};
    FN(random_run)(cx, REAL_TILE, FN(uniform_range), &a);
}

static void FN(random_normal)(const fnn_ctx *cx, const fnn_key *key, int64_t n, double mean, double deviation, real *y)
{
    FN(random_args) a = {.key = key, .n = n, .a = mean, .b = deviation, .y = y};
    FN(random_run)(cx, REAL_TILE, FN(normal_range), &a);
}

/* A value is kept where its 32 bits, as a fraction of 2^32, are at least the rate. At a rate of 1 the factor is 0. */
static void FN(dropout)(const fnn_ctx *cx, const fnn_key *key, int64_t n, double rate, const real *x, real *y,
                        int32_t accumulate)
{
    double threshold = ceil(rate * 0x1p32);
    FN(random_args) a = {.key = key, .n = n, .accumulate = accumulate, .x = x, .y = y};
    a.threshold = threshold < 0x1p32 ? (uint32_t)threshold : UINT32_MAX;
    a.factor = rate < 1 ? (real)(1 / (1 - rate)) : 0;
    FN(random_run)(cx, TILE, FN(dropout_range), &a);
}

/* ---- permutations -------------------------------------------------------------------------------------------- */

/* The words of a stream one after the other, as many blocks at a time as are wanted for sure: a whole tile of them, or
 * one by one where only a few are. On vectors: 110 to 45 ns for the 49 words of 50 rows (AVX-512). */
typedef struct {
    const fnn_key *key;
    uint64_t block;
    int64_t wanted; /* words still wanted, at least */
    int used, made;
    uint32_t words[TILE]; /* as philox_tile lays them */
} FN(word_source);

static void FN(make_words)(FN(word_source) *s)
{
    enum { FEW = 2 };
    uint32_t word[4];
    s->used = 0;
    if (s->wanted > 4 * FEW && s->block % TILE_BLOCKS == 0) {
        FN(philox_tile)(s->key, s->block / TILE_BLOCKS, s->words);
        s->block += TILE_BLOCKS;
        s->made = TILE;
    } else {
        philox(s->key, s->block++, word);
        for (int w = 0; w < 4; w++) s->words[w * TILE_BLOCKS] = word[w];
        s->made = 4;
    }
    s->wanted -= s->made;
}

ALWAYS_INLINE uint32_t FN(next_word)(FN(word_source) *s)
{
    if (s->used == s->made) FN(make_words)(s);
    int at = s->used++;
    return s->words[at % 4 * TILE_BLOCKS + at / 4];
}

/* Uniform in 0 .. bound-1, without bias (Lemire, Fast random integer generation in an interval, 2019); beyond 32 bits
 * the bias of a plain remainder is below 2^-20 of the probability for any array that fits a memory. */
ALWAYS_INLINE uint64_t FN(next_below)(FN(word_source) *s, uint64_t bound)
{
    if (bound > UINT32_MAX) {
        uint64_t high = FN(next_word)(s);
        return (high << 32 | FN(next_word)(s)) % bound;
    }
    uint64_t product = FN(next_word)(s) * bound;
    if ((uint32_t)product < bound) {
        uint32_t reject = (uint32_t)(-(uint32_t)bound) % (uint32_t)bound;
        while ((uint32_t)product < reject) product = FN(next_word)(s) * bound;
    }
    return product >> 32;
}

static void FN(permutation)(const fnn_key *key, int64_t n, int64_t *order)
{
    FN(word_source) s = {.key = key, .wanted = n - 1};
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        if (i % 65536 == 0 && fnn_stopped()) return;
        int64_t j = (int64_t)FN(next_below)(&s, (uint64_t)i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
