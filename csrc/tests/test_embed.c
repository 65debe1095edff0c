/* test_embed.c: rows of a table by token ids, the table's gradient with and without the optimizer's rule, and positions,
 * on every target. Gradients are sums in the order of the places, so they are compared bit by bit. */
#include "harness.h"

typedef struct {
    fnn_embed d;
    const fnn_target *target;
    int threads;
    int32_t *ids;
    real *table, *y, *dy, *dtable, *first, *second;
    void *scratch;
    size_t scratch_size;
} problem_embed;

static void set_up(problem_embed *q, const fnn_target *target, fnn_embed d)
{
    problem_begins();
    const int64_t size = d.tokens * d.cols, out = d.count * d.cols;
    *q = (problem_embed){.d = d, .target = target, .threads = 1};
    q->ids = placed(0, (size_t)d.count * sizeof(int32_t), sizeof(int32_t), ANYWHERE);
    real **tables[] = {&q->table, &q->dtable, &q->first, &q->second}, **places[] = {&q->y, &q->dy};
    for (int i = 0; i < 4; i++) {
        *tables[i] = REALS(1 + i, size, ANYWHERE);
        for (int64_t j = 0; j < size; j++) (*tables[i])[j] = (real)uniform(0, 2);
    }
    for (int i = 0; i < 2; i++) {
        *places[i] = REALS(5 + i, out, ANYWHERE);
        for (int64_t j = 0; j < out; j++) (*places[i])[j] = (real)uniform(-2, 2);
    }
    for (int64_t i = 0; i < d.count; i++) q->ids[i] = (int32_t)below(d.tokens);
    fnn_ctx cx = {.threads = 1};
    TABLE(target)->embed_scratch(&cx, &d, &q->scratch_size);
    q->scratch = scratch_of(7, q->scratch_size);
}

static fnn_ctx context(const problem_embed *q)
{
    return (fnn_ctx){.threads = q->threads, .scratch = q->scratch, .scratch_size = q->scratch_size};
}

/* The table's gradient, place by place. */
static real *expected(const problem_embed *q)
{
    const int64_t cols = q->d.cols, size = q->d.tokens * cols;
    real *want = calloc((size_t)size + 1, sizeof *want);
    int *met = calloc((size_t)q->d.tokens + 1, sizeof *met);
    if (q->d.accumulate) memcpy(want, q->dtable, (size_t)size * sizeof(real));
    for (int64_t i = 0; i < q->d.count; i++) {
        real *row = want + q->ids[i] * cols;
        int adds = q->d.accumulate || met[q->ids[i]]++;
        for (int64_t j = 0; j < cols; j++) row[j] = adds ? row[j] + q->dy[i * cols + j] : q->dy[i * cols + j];
    }
    free(met);
    return want;
}

static void check(problem_embed *q)
{
    const KERNELS *k = TABLE(q->target);
    const int64_t cols = q->d.cols, size = q->d.tokens * cols;
    fnn_ctx cx = context(q);
    k->embed_forward(&cx, &q->d, q->ids, q->table, q->y);
    int same = 1;
    for (int64_t i = 0; i < q->d.count; i++)
        same &= !memcmp(q->y + i * cols, q->table + q->ids[i] * cols, (size_t)cols * sizeof(real));
    CHECK(same, "embed_forward f%d %s: %ld ids of %ld x %ld", REAL_BITS, q->target->name, (long)q->d.count,
          (long)q->d.tokens, (long)cols);
    real *want = expected(q);
    k->embed_backward(&cx, &q->d, q->ids, q->dy, q->dtable);
    CHECK(!memcmp(want, q->dtable, (size_t)size * sizeof(real)) && guards_intact(),
          "embed_backward f%d %s: %ld ids of %ld x %ld, accumulate %d", REAL_BITS, q->target->name, (long)q->d.count,
          (long)q->d.tokens, (long)cols, q->d.accumulate);
    free(want);
}

/* The rule in the same walk gives the bits of the gradient followed by the optimizer. */
static void check_update(problem_embed *q)
{
    const KERNELS *k = TABLE(q->target);
    const int64_t size = q->d.tokens * q->d.cols;
    const size_t bytes = (size_t)size * sizeof(real);
    fnn_ctx cx = context(q);
    real *before = malloc(3 * bytes), *after = malloc(3 * bytes), *vectors[] = {q->table, q->first, q->second};
    fnn_update u = {.method = FNN_ADAM, .h = {.learning_rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 3},
                    .p = q->table, .slots = {q->first, q->second}};
    for (int i = 0; i < 3; i++) memcpy(before + i * size, vectors[i], bytes);
    k->embed_backward(&cx, &q->d, q->ids, q->dy, q->dtable);
    k->optimize(&cx, size, &u, q->dtable);
    for (int i = 0; i < 3; i++) memcpy(after + i * size, vectors[i], bytes), memcpy(vectors[i], before + i * size, bytes);
    q->d.update = &u;
    k->embed_backward(&cx, &q->d, q->ids, q->dy, q->dtable);
    int same = 1;
    for (int i = 0; i < 3; i++) same &= !memcmp(after + i * size, vectors[i], bytes);
    CHECK(same && guards_intact(), "embed_backward with a rule f%d %s: %ld ids of %ld x %ld", REAL_BITS, q->target->name,
          (long)q->d.count, (long)q->d.tokens, (long)q->d.cols);
    free(before), free(after);
}

RANDOM_PROBLEM(embed)
{
    problem_embed q;
    const int64_t most_ids = below(20) ? 12 : 300, most_tokens = below(10) ? 9 : 200, most_cols = below(500) ? 40 : 2100;
    set_up(&q, target, (fnn_embed){.count = 1 + below(most_ids), .tokens = 1 + below(most_tokens), .cols = 1 + below(most_cols)});
    q.threads = 1 + (int)below(3);
    if (below(3) == 0) check_update(&q);
    else q.d.accumulate = (int)below(2), check(&q);
}

static void test_random(const fnn_target *target)
{
    for (int i = 0; i < problems(1500); i++) RANDOM(embed)(target);
}

static void test_threads(const fnn_target *target)
{
    for (int updates = 0; updates < 2; updates++)
        for (int threads = 1; threads <= 5; threads += 2) {
            problem_embed q; /* large enough to be shared out */
            set_up(&q, target, (fnn_embed){.count = 4000, .tokens = 5003, .cols = 67});
            q.threads = threads;
            soil(q.scratch, q.scratch_size);
            if (updates) check_update(&q);
            else check(&q);
        }
}

static void test_add_row(const fnn_target *target)
{
    for (int64_t n = 1; n < 70; n++) {
        fnn_ctx cx = {.threads = 1};
        real *x = REALS(0, 3 * n, ANYWHERE), *row = REALS(1, n, ANYWHERE), *y = REALS(2, 3 * n, ANYWHERE);
        for (int64_t i = 0; i < 3 * n; i++) x[i] = (real)uniform(-1, 1), row[i % n] = (real)uniform(-1, 1);
        TABLE(target)->add_row(&cx, 3, n, x, row, y);
        int same = 1;
        for (int64_t i = 0; i < 3 * n; i++) same &= y[i] == x[i] + row[i % n];
        CHECK(same && guards_intact(), "add_row f%d %s: 3 x %ld", REAL_BITS, target->name, (long)n);
    }
}

SUITE(embed)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_random(targets[t]);
        test_threads(targets[t]);
        test_add_row(targets[t]);
    }
}
