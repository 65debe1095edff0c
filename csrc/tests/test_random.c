/* test_random.c: known answers, independence of the stretch and the target, and the distributions. */
#include "../rng.h"
#include "harness.h"

enum { MANY = 400000 };
static real values[MANY], others[MANY];

/* kat_vectors of Random123 1.14 (Salmon et al.): philox 4x32 10. The counter's words are (block, stream). */
static void test_known_answers(void)
{
    static const struct {
        uint64_t seed, stream, block;
        uint32_t words[4];
    } rows[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        fnn_key key = {rows[i].seed, rows[i].stream};
        uint32_t word[4];
        philox(&key, rows[i].block, word);
        CHECK(memcmp(word, rows[i].words, sizeof word) == 0, "row %d: %08x %08x %08x %08x", i, word[0], word[1], word[2],
              word[3]);
    }
}

/* Number i of [0, 1), by the layout that kernels/random.h promises: tiles of 16 blocks, word by word. */
static long double plain_uniform(const fnn_key *key, int64_t i)
{
    int64_t tile = REAL_BITS == 32 ? 64 : 32, within = i % tile, w = within / 16 * (REAL_BITS / 32);
    uint32_t word[4];
    philox(key, (uint64_t)(i / tile * 16 + within % 16), word);
    return REAL_BITS == 32 ? ldexpl(word[w] >> 8, -24) : ldexpl(word[w] >> 5, -27) + ldexpl(word[(w + 1) % 4] >> 6, -53);
}

/* Number i of the standard normal distribution, by Box and Muller, and its radius: the first half of a tile's numbers are
 * cosines, the second the sines of the same pairs. */
static long double plain_normal(const fnn_key *key, int64_t i, long double *radius)
{
    const int64_t pairs = REAL_BITS == 32 ? 32 : 16, pair = i % (2 * pairs) % pairs, w = pair / 16 * 2;
    uint32_t word[4];
    philox(key, (uint64_t)(i / (2 * pairs) * 16 + pair % 16), word);
    real u1 = (real)word[w] * (real)0x1p-32 + (real)0x1p-33; /* rounded: near 1 its logarithm shows it */
    long double u2 = ldexpl(word[w + 1] >> 8, -24);
    if (REAL_BITS == 64) {
        u1 = (real)(ldexpl(word[0] >> 5, -27) + ldexpl(word[1] >> 6, -53) + 0x1p-54L);
        u2 = ldexpl(word[2] >> 5, -27) + ldexpl(word[3] >> 6, -53);
    }
    const long double angle = 2 * acosl(-1) * u2;
    *radius = sqrtl(-2 * logl((long double)u1));
    return *radius * (i % (2 * pairs) < pairs ? cosl(angle) : sinl(angle));
}

/* What dropout goes by, in both precisions. */
static uint32_t plain_word(const fnn_key *key, int64_t i)
{
    uint32_t word[4];
    philox(key, (uint64_t)(i / 64 * 16 + i % 16), word);
    return word[i / 16 % 4];
}

/* Uniform and normal numbers are those of plain Philox; dropout drops where its words, as fractions, are below the rate. */
RANDOM_PROBLEM(random)
{
    const fnn_key key = {(uint64_t)below(INT64_MAX), (uint64_t)below(INT64_MAX)};
    const int64_t n = below(below(10) ? 140 : 1000);
    const double rates[] = {0.25, 0.5, 0.75}, rate = rates[below(COUNT(rates))];
    fnn_ctx cx = {.threads = 1};
    problem_begins();
    real *u = REALS(0, n, ANYWHERE), *x = REALS(1, n, ANYWHERE), *y = REALS(2, n, ANYWHERE);
    real *z = REALS(3, n, ANYWHERE);
    for (int64_t i = 0; i < n; i++) x[i] = (real)uniform(1, 2);
    TABLE(target)->random_uniform(&cx, &key, n, 0, 1, u);
    TABLE(target)->random_normal(&cx, &key, n, 0, 1, z);
    TABLE(target)->dropout(&cx, &key, n, rate, x, y, 0);
    int same = 1, kept = 1, normal = 1;
    for (int64_t i = 0; i < n; i++) {
        same &= (long double)u[i] == plain_uniform(&key, i);
        long double want = (long double)x[i] / (1 - (long double)rate);
        if (ldexp(plain_word(&key, i), -32) < rate) want = 0;
        kept &= fabsl((long double)y[i] - want) <= 2 * EPSILON * want;
        long double radius, wanted = plain_normal(&key, i, &radius);
        normal &= fabsl((long double)z[i] - wanted) <= 3 * EPSILON * radius; /* of the logarithm, the sine, the product */
    }
    CHECK(same, "f%d %s: uniform numbers differ from plain Philox", REAL_BITS, target->name);
    CHECK(normal, "f%d %s: normal numbers differ from those of plain Philox", REAL_BITS, target->name);
    CHECK(kept && guards_intact(), "f%d %s: dropout of %ld at rate %g", REAL_BITS, target->name, (long)n, rate);
}

static void make(const fnn_target *t, int threads, int kind, const fnn_key *key, int64_t n, real *y)
{
    fnn_ctx cx = {.threads = threads};
    if (kind == 0) TABLE(t)->random_uniform(&cx, key, n, -2, 3, y);
    if (kind == 1) TABLE(t)->random_normal(&cx, key, n, 0.5, 2, y);
    if (kind == 2) {
        for (int64_t i = 0; i < n; i++) y[i] = 1;
        TABLE(t)->dropout(&cx, key, n, 0.25, y, y, 0);
    }
}

/* A shorter stretch, other threads and other targets give the same values (targets: but for rounding). */
static void test_positions(const fnn_target *const *targets, int count)
{
    static const int64_t lengths[] = {0, 1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1000};
    fnn_key key = {123, 456};
    for (int t = 0; t < count; t++)
        for (int kind = 0; kind < 3; kind++) {
            make(targets[t], 1, kind, &key, MANY, values);
            for (int i = 0; i < COUNT(lengths); i++) {
                size_t bytes = (size_t)lengths[i] * sizeof(real);
                for (int place = AT_END; place < ANYWHERE; place++) {
                    real *y = REALS(0, lengths[i], place);
                    make(targets[t], 1, kind, &key, lengths[i], y);
                    CHECK(memcmp(y, values, bytes) == 0 && guards_intact(), "f%d %s kind %d: the first %d differ", REAL_BITS,
                          targets[t]->name, kind, (int)lengths[i]);
                }
            }
            make(targets[t], 3, kind, &key, MANY, others);
            CHECK(memcmp(values, others, sizeof values) == 0, "f%d %s kind %d: threads differ", REAL_BITS, targets[t]->name,
                  kind);
            make(targets[0], 1, kind, &key, MANY, others);
            long double worst = 0;
            for (int i = 0; i < MANY; i++) worst = fmaxl(worst, fabsl((long double)values[i] - (long double)others[i]));
            CHECK(worst <= (kind == 2 ? 0 : 16 * EPSILON), "f%d %s kind %d: %Lg from %s", REAL_BITS, targets[t]->name, kind,
                  worst, targets[0]->name);
        }
}

/* Moments within five standard errors. */
static void test_moments(const fnn_target *t, int kind, double mean, double variance, double fourth)
{
    fnn_key key = {7, 9};
    double m = 0, v = 0, skew = 0, k = 0;
    make(t, 1, kind, &key, MANY, values);
    for (int i = 0; i < MANY; i++) m += (double)values[i] / MANY;
    for (int i = 0; i < MANY; i++) {
        double e = (double)values[i] - mean;
        v += e * e / MANY;
        skew += e * e * e / MANY;
        k += e * e * e * e / MANY;
    }
    double error = 5 / sqrt((double)MANY);
    CHECK(fabs(m - mean) <= error * sqrt(variance), "f%d %s kind %d: mean %g", REAL_BITS, t->name, kind, m);
    CHECK(fabs(v - variance) <= error * sqrt(fourth - variance * variance), "f%d %s kind %d: variance %g", REAL_BITS,
          t->name, kind, v);
    CHECK(kind == 2 || fabs(skew) <= error * 4 * pow(variance, 1.5), "f%d %s kind %d: third moment %g", REAL_BITS, t->name,
          kind, skew);
    CHECK(kind == 2 || fabs(k - fourth) <= error * 10 * fourth, "f%d %s kind %d: fourth moment %g", REAL_BITS, t->name, kind, k);
}

/* Kolmogorov-Smirnov against the normal distribution, at the 1 in 10^6 level: sup |F_n - F| < 2.7 / sqrt(n). */
static int ascending(const void *a, const void *b)
{
    real x = *(const real *)a, y = *(const real *)b;
    return (x > y) - (x < y);
}
static void test_normal_shape(const fnn_target *t)
{
    fnn_key key = {11, 13};
    double worst = 0;
    make(t, 1, 1, &key, MANY, values);
    qsort(values, MANY, sizeof *values, ascending);
    for (int i = 0; i < MANY; i++) {
        double f = 0.5 * erfc(-((double)values[i] - 0.5) / 2 * sqrt(0.5));
        worst = fmax(worst, fabs(f - (i + 0.5) / MANY));
    }
    CHECK(worst < 2.7 / sqrt((double)MANY), "f%d %s: distance from the normal distribution %g", REAL_BITS, t->name, worst);
}

static void test_range(const fnn_target *t)
{
    fnn_key key = {1, 2};
    real low = INFINITY, high = -INFINITY;
    fnn_ctx cx = {.threads = 1};
    TABLE(t)->random_uniform(&cx, &key, MANY, 1, 1 + 3 * (double)EPSILON, values);
    for (int i = 0; i < MANY; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    CHECK(low == 1 && (double)high == 1 + 2 * (double)EPSILON, "f%d %s: [%.17g, %.17g]", REAL_BITS, t->name, (double)low,
          (double)high);
}

/* What is dropped is 0 whatever it was; what is kept is scaled; the same mask when added. */
static void test_dropout(const fnn_target *t)
{
    fnn_ctx cx = {.threads = 1};
    fnn_key key = {3, 4};
    real x[300], y[300], z[300];
    for (int i = 0; i < 300; i++) x[i] = i % 2 ? (real)(i + 1) : (real)INFINITY;
    for (int i = 0; i < 300; i++) z[i] = 1;
    TABLE(t)->dropout(&cx, &key, 300, 0.5, x, y, 0);
    TABLE(t)->dropout(&cx, &key, 300, 0.5, x, z, 1);
    int right = 1;
    for (int i = 0; i < 300; i++) right &= (y[i] == 0 || y[i] == 2 * x[i]) && z[i] == y[i] + 1;
    CHECK(right, "f%d %s: dropout", REAL_BITS, t->name);
    TABLE(t)->dropout(&cx, &key, 300, 0, x, y, 0);
    CHECK(memcmp(x, y, sizeof x) == 0, "f%d %s: dropout at rate 0", REAL_BITS, t->name);
}

/* Fisher and Yates, from the words of the stream in their order; Lemire's way to a number below a bound. */
static void plain_permutation(const fnn_key *key, int64_t n, int64_t *p)
{
    uint32_t word[4];
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) p[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint64_t bound = (uint64_t)i + 1, product;
        do {
            if (used % 4 == 0) philox(key, (uint64_t)used / 4, word);
            product = word[used++ % 4] * bound;
        } while ((uint32_t)product < ((uint64_t)1 << 32) % bound);
        int64_t j = (int64_t)(product >> 32), kept = p[i];
        p[i] = p[j];
        p[j] = kept;
    }
}

static void test_permutation(const fnn_target *t)
{
    enum { MOST = 150000 }; /* so many draws that some are refused, to be without bias */
    static const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 50, 64, 65, 66, 73, 74, 100, 129, 5000, MOST};
    static int64_t p[MOST], q[MOST];
    for (int i = 0; i < COUNT(sizes); i++) {
        fnn_key key = {5, (uint64_t)i};
        TABLE(t)->permutation(&key, sizes[i], p);
        plain_permutation(&key, sizes[i], q);
        CHECK(memcmp(p, q, (size_t)sizes[i] * sizeof *p) == 0, "f%d %s: permutation of %d", REAL_BITS, t->name,
              (int)sizes[i]);
    }
    /* All 24 orders of 4, each within five standard errors of its share. */
    int counts[256] = {0}, worst = 0;
    for (int i = 0; i < 24000; i++) {
        fnn_key key = {99, (uint64_t)i};
        TABLE(t)->permutation(&key, 4, p);
        counts[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
    }
    int orders = 0;
    for (int i = 0; i < 256; i++)
        if (counts[i]) {
            orders++;
            worst = abs(counts[i] - 1000) > worst ? abs(counts[i] - 1000) : worst;
        }
    CHECK(orders == 24 && worst < 5 * 31, "%d orders, farthest from 1000 by %d", orders, worst);
}

SUITE(random)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    if (REAL_BITS == 32) test_known_answers();
    test_positions(targets, count);
    for (int t = 0; t < count; t++) {
        for (int i = 0; i < problems(300); i++) RANDOM(random)(targets[t]);
        test_moments(targets[t], 0, 0.5, 25.0 / 12, 625.0 / 80);
        test_moments(targets[t], 1, 0.5, 4, 48);
        test_moments(targets[t], 2, 1, 1.0 / 3, 0.75 * pow(1.0 / 3, 4) + 0.25);
        test_normal_shape(targets[t]);
        test_range(targets[t]);
        test_permutation(targets[t]);
        test_dropout(targets[t]);
    }
}
