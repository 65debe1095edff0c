/* test_attention.c: attention forward and backward against long double, on every target: causal, masked, with keys of
 * another length, operands side by side in one buffer as a fused projection leaves them, and a cache of keys. */
#include "harness.h"

enum { Q, K, V, Y, DY, DQ, DK, DV, STATS, MASK, SCRATCH, USED };

typedef struct {
    fnn_attention d;
    const fnn_target *target;
    int threads, masked;
    real *b[USED];
    int64_t length[USED];
    size_t scratch_size;
} problem_attention;

static void set_up(problem_attention *q, const fnn_target *target, fnn_attention d, int masked, int loose)
{
    problem_begins();
    const int64_t units = d.heads * d.size;
    *q = (problem_attention){.d = d, .target = target, .threads = 1, .masked = masked};
    d.ldq = units + loose * below(5), d.ldk = units + loose * below(5), d.ldy = units + loose * below(5);
    d.next_k = (d.keys + loose * below(3)) * d.ldk;
    q->d = d;
    for (int i = 0; i < STATS; i++) {
        int of_query = i == Q || i == DQ, of_key = i == K || i == V || i == DK || i == DV;
        q->length[i] = of_key ? d.rows * d.next_k : d.rows * d.queries * (of_query ? d.ldq : d.ldy);
    }
    q->length[STATS] = d.rows * d.heads * d.queries, q->length[MASK] = d.rows * d.keys;
    fnn_ctx cx = {.threads = 3};
    TABLE(target)->attention_scratch(&cx, &q->d, &q->scratch_size);
    q->length[SCRATCH] = (int64_t)(q->scratch_size / sizeof(real));
    for (int i = 0; i < USED; i++) {
        q->b[i] = i == SCRATCH ? scratch_of(i, q->scratch_size) : REALS(i, q->length[i], ANYWHERE);
        for (int64_t j = 0; j < q->length[i]; j++)
            q->b[i][j] = i == MASK ? (real)(below(3) > 0) : i == SCRATCH ? (real)NAN : (real)uniform(-2, 2);
    }
}

static int allowed(const problem_attention *q, int64_t row, int64_t i, int64_t j)
{
    return (!q->d.causal || j <= i + q->d.first) && (!q->masked || q->b[MASK][row * q->d.keys + j] != 0);
}

static int64_t query_at(const problem_attention *q, int64_t ld, int64_t row, int64_t head, int64_t i)
{
    return (row * q->d.queries + i) * ld + head * q->d.size;
}
static int64_t key_at(const problem_attention *q, int64_t row, int64_t head, int64_t j)
{
    return row * q->d.next_k + j * q->d.ldk + head * q->d.size;
}

static long double dot(int64_t n, const real *a, const real *b)
{
    long double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (long double)a[i] * b[i];
    return sum;
}

typedef struct {
    long double *y, *dq, *dk, *dv;
} expected;

/* One query: its output, and what it adds to the gradients. p holds a number for each key. */
static void query(const problem_attention *q, expected *w, int64_t row, int64_t head, int64_t i, long double *p)
{
    const fnn_attention *d = &q->d;
    const int64_t at_q = query_at(q, d->ldq, row, head, i), at_y = query_at(q, d->ldy, row, head, i);
    const long double scale = 1 / sqrtl((long double)d->size);
    long double sum = 0, mean = 0, top = -1e30L;
    for (int64_t j = 0; j < d->keys; j++) {
        p[j] = scale * dot(d->size, q->b[Q] + at_q, q->b[K] + key_at(q, row, head, j));
        if (allowed(q, row, i, j) && p[j] > top) top = p[j];
    }
    for (int64_t j = 0; j < d->keys; j++) sum += p[j] = allowed(q, row, i, j) ? expl(p[j] - top) : 0;
    for (int64_t j = 0; j < d->keys; j++) {
        p[j] = sum > 0 ? p[j] / sum : 0;
        mean += p[j] * dot(d->size, q->b[DY] + at_y, q->b[V] + key_at(q, row, head, j));
    }
    for (int64_t j = 0; j < d->keys; j++) {
        const int64_t at_k = key_at(q, row, head, j);
        long double ds = scale * p[j] * (dot(d->size, q->b[DY] + at_y, q->b[V] + at_k) - mean);
        for (int64_t e = 0; e < d->size; e++) {
            w->y[at_y + e] += p[j] * q->b[V][at_k + e];
            w->dq[at_q + e] += ds * q->b[K][at_k + e];
            w->dk[at_k + e] += ds * q->b[Q][at_q + e];
            w->dv[at_k + e] += p[j] * q->b[DY][at_y + e];
        }
    }
}

static void compare(const problem_attention *q, int buffer, const long double *want, long double bound)
{
    static const char *names[] = {"q", "k", "v", "y", "dy", "dq", "dk", "dv"};
    const fnn_attention *d = &q->d;
    for (int64_t i = 0; i < q->length[buffer]; i++)
        if (!(fabsl(q->b[buffer][i] - want[i]) <= bound * EPSILON)) {
            CHECK(0, "attention %s f%d %s: %ld rows, %ld heads of %ld, %ld queries, %ld keys, causal %d first %ld masked %d: "
                  "[%ld] is %.17g, not %.17Lg", names[buffer], REAL_BITS, q->target->name, (long)d->rows, (long)d->heads,
                  (long)d->size, (long)d->queries, (long)d->keys, d->causal, (long)d->first, q->masked, (long)i,
                  (double)q->b[buffer][i], want[i]);
            return;
        }
    CHECK(guards_intact(), "attention f%d %s wrote beyond a buffer", REAL_BITS, q->target->name);
}

static void run(problem_attention *q, int backward)
{
    fnn_ctx cx = {.threads = q->threads, .scratch = q->b[SCRATCH], .scratch_size = q->scratch_size};
    const KERNELS *k = TABLE(q->target);
    const real *mask = q->masked ? q->b[MASK] : NULL;
    real **b = q->b;
    k->attention_forward(&cx, &q->d, b[Q], b[K], b[V], mask, b[Y], backward ? b[STATS] : NULL);
    if (backward)
        k->attention_backward(&cx, &q->d, b[Q], b[K], b[V], mask, b[Y], b[STATS], b[DY], b[DQ], b[DK], b[DV]);
}

/* What is between the heads' elements stays as it was; gradients are added where d.adds. */
static void check(problem_attention *q, int backward)
{
    const fnn_attention *d = &q->d;
    long double *all = calloc((size_t)(q->length[Y] + q->length[DQ] + 2 * q->length[DK] + d->keys), sizeof *all);
    expected w = {all, all + q->length[Y], all + q->length[Y] + q->length[DQ], NULL};
    w.dv = w.dk + q->length[DK];
    long double *buffers[] = {w.y, w.dq, w.dk, w.dv}, *p = w.dv + q->length[DV];
    const int names[] = {Y, DQ, DK, DV};
    for (int i = 0; i < 4; i++)
        for (int64_t j = 0; j < q->length[names[i]]; j++) {
            const int64_t ld = i == 0 ? d->ldy : i == 1 ? d->ldq : d->ldk;
            int used = j % ld < d->heads * d->size && (i < 2 || j % d->next_k < d->keys * d->ldk);
            buffers[i][j] = !used || (i > 0 && d->adds) ? q->b[names[i]][j] : 0;
        }
    for (int64_t row = 0; row < d->rows; row++)
        for (int64_t head = 0; head < d->heads; head++)
            for (int64_t i = 0; i < d->queries; i++) query(q, &w, row, head, i, p);
    run(q, backward);
    /* scores have the size of their head, 4 sqrt(size); their errors are the exponents', and add up over keys */
    long double bound = 60 + 8 * sqrtl((long double)d->size * (d->keys > d->queries ? d->keys : d->queries));
    compare(q, Y, w.y, bound);
    for (int i = 1; i < 4 && backward; i++) compare(q, names[i], buffers[i], 4 * bound);
    free(all);
}

static void try_attention(const fnn_target *target, int64_t longest, int64_t widest)
{
    problem_attention q;
    fnn_attention d = {.rows = 1 + below(3), .heads = 1 + below(3), .queries = 1 + below(longest), .size = 1 + below(widest),
                       .causal = below(3) == 0, .adds = (int32_t)below(2)};
    d.keys = d.causal ? d.queries : 1 + below(longest);
    set_up(&q, target, d, (int)below(2), below(7) != 0);
    q.threads = 1 + (int)below(3);
    check(&q, 1);
}

RANDOM_PROBLEM(attention)
{
    int large = below(100) == 0;
    try_attention(target, large ? 100 : 12, large ? 70 : 20);
}

static void test_random(const fnn_target *target)
{
    for (int i = 0; i < problems(700); i++) try_attention(target, i % 25 == 0 ? 150 : i % 5 == 0 ? 70 : 12, i % 4 ? 20 : 70);
}

/* Forward of a few queries that follow upon many keys, as from a cache. */
static void test_cache(const fnn_target *target)
{
    for (int i = 0; i < problems(100); i++) {
        problem_attention q;
        fnn_attention d = {.rows = 1 + below(3), .heads = 1 + below(3), .queries = 1 + below(3), .size = 1 + below(40),
                           .causal = 1};
        d.first = below(140), d.keys = d.first + d.queries;
        set_up(&q, target, d, i % 2, 1);
        check(&q, 0);
    }
}

/* A query without a key gives zeros, and no gradient. */
static void test_without_keys(const fnn_target *target)
{
    problem_attention q;
    set_up(&q, target, (fnn_attention){.rows = 2, .heads = 2, .queries = 70, .keys = 70, .size = 8}, 1, 0);
    memset(q.b[MASK], 0, 70 * sizeof(real));
    run(&q, 1);
    int zero = 1;
    for (int64_t i = 0; i < 70 * 16; i++)
        zero &= q.b[Y][i] == 0 && q.b[DQ][i] == 0 && q.b[DK][i] == 0 && q.b[DV][i] == 0;
    CHECK(zero, "attention f%d %s: a row without keys is not 0", REAL_BITS, target->name);
}

/* Scores far apart neither overflow nor vanish: the largest takes all. */
static void test_large_scores(const fnn_target *target)
{
    problem_attention q;
    set_up(&q, target, (fnn_attention){.rows = 1, .heads = 1, .queries = 1, .keys = 100, .size = 4}, 0, 0);
    for (int64_t j = 0; j < 400; j++) q.b[K][j] = (real)(j / 4 == 90 ? 3000 : j / 4 == 20 ? 2000 : -3000);
    for (int64_t j = 0; j < 4; j++) q.b[Q][j] = 1;
    run(&q, 0);
    CHECK(!memcmp(q.b[Y], q.b[V] + 360, 4 * sizeof(real)), "attention f%d %s: large scores", REAL_BITS, target->name);
}

static void test_threads(const fnn_target *target)
{
    for (int causal = 0; causal < 2; causal++) {
        problem_attention q;
        const fnn_attention d = {.rows = 3, .heads = 5, .queries = 130, .keys = 130, .size = 33, .causal = causal};
        set_up(&q, target, d, 1, 0);
        real *first[USED];
        for (q.threads = 1; q.threads <= 3; q.threads++) {
            soil(q.b[SCRATCH], q.scratch_size);
            run(&q, 1);
            for (int i = Y; i <= STATS; i++) {
                size_t bytes = (size_t)q.length[i] * sizeof(real);
                if (q.threads == 1) memcpy(first[i] = malloc(bytes), q.b[i], bytes);
                CHECK(!memcmp(first[i], q.b[i], bytes), "attention f%d %s: %d threads differ from one in buffer %d",
                      REAL_BITS, target->name, q.threads, i);
            }
        }
        for (int i = Y; i <= STATS; i++) free(first[i]);
    }
}

SUITE(attention)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_random(targets[t]);
        test_cache(targets[t]);
        test_without_keys(targets[t]);
        test_large_scores(targets[t]);
        test_threads(targets[t]);
    }
}
