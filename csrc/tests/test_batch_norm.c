/* test_batch_norm.c: batch normalization, its gradients and its affine form against long double, on every target, with
 * columns far from 0, constant columns and every activation that may be fused. Every buffer lies against an inaccessible
 * page. */
#include "harness.h"

typedef struct {
    const fnn_target *target;
    fnn_batch_norm d;
    fnn_ctx cx;
    int64_t n;
    real *x, *y, *dy, *dx, *weight, *bias, *mean, *variance, *dweight, *dbias;
} problem_norm;

static const int activations[] = {FNN_LINEAR, FNN_RELU, FNN_TANH};

/* offset: how far from 0 the columns lie */
static void set_up(problem_norm *q, const fnn_target *target, int64_t rows, int64_t cols, double offset)
{
    int slot = 0;
    size_t bytes;
    problem_begins();
    *q = (problem_norm){.target = target, .n = rows * cols, .cx = {.threads = 1}};
    q->d = (fnn_batch_norm){.rows = rows, .cols = cols, .epsilon = 1e-5, .adds_dx = (int)below(2), .adds_dw = (int)below(2),
                            .activation = activations[below(COUNT(activations))]};
    real **matrices[] = {&q->x, &q->y, &q->dy, &q->dx}, **vectors[] = {&q->weight, &q->bias, &q->mean, &q->variance,
                                                                       &q->dweight, &q->dbias};
    for (int i = 0; i < COUNT(matrices); i++) *matrices[i] = REALS(slot++, rows * cols, ANYWHERE);
    for (int i = 0; i < COUNT(vectors); i++) *vectors[i] = REALS(slot++, cols, ANYWHERE);
    TABLE(target)->batch_norm_scratch(&q->cx, &q->d, &bytes);
    q->cx.scratch = scratch_of(slot, bytes), q->cx.scratch_size = bytes;
    for (int64_t i = 0; i < q->n; i++) {
        q->x[i] = (real)(offset + (i % cols == 1 ? 0 : uniform(-4, 4))); /* the second column is constant */
        q->dy[i] = (real)uniform(-1, 1), q->dx[i] = (real)uniform(-1, 1);
    }
    for (int64_t j = 0; j < cols; j++) {
        q->weight[j] = (real)uniform(-2, 2), q->bias[j] = (real)uniform(-1, 1);
        q->dweight[j] = (real)uniform(-1, 1), q->dbias[j] = (real)uniform(-1, 1);
    }
}

static long double activated(int kind, long double z) { return kind == FNN_RELU ? fmaxl(z, 0) : kind == FNN_TANH ? tanhl(z) : z; }

static void expect(const problem_norm *q, const char *what, int64_t at, real got, long double want, long double bound)
{
    if (fabsl(got - want) <= bound * EPSILON) return;
    CHECK(0, "%s f%d %s: %ld x %ld, activation %d: [%ld] is %.17g, not %.17Lg (within %Lg)", what, REAL_BITS,
          q->target->name, (long)q->d.rows, (long)q->d.cols, q->d.activation, (long)at, (double)got, want, bound * EPSILON);
}

/* Statistics and outputs; a column's size is that of what was added and taken away. The sums' own errors, which add up like
 * a random walk over the rows, show in double, where sums are no wider than what is summed. */
static void check_forward(problem_norm *q)
{
    const int64_t rows = q->d.rows, cols = q->d.cols;
    const long double walk = sqrtl(rows);
    TABLE(q->target)->batch_norm_forward(&q->cx, &q->d, q->x, q->weight, q->bias, q->y, q->mean, q->variance);
    for (int64_t j = 0; j < cols; j++) {
        long double mean = 0, variance = 0, size = 0;
        for (int64_t i = j; i < q->n; i += cols) mean += q->x[i] / (long double)rows, size = fmaxl(size, fabsl(q->x[i]));
        for (int64_t i = j; i < q->n; i += cols) variance += (q->x[i] - mean) * (q->x[i] - mean) / (long double)rows;
        expect(q, "mean", j, q->mean[j], mean, (2 + walk / 4) * size);
        expect(q, "variance", j, q->variance[j], variance, (20 + walk) * variance + 1e-9L * size);
        long double scale = q->weight[j] / sqrtl(variance + (long double)q->d.epsilon);
        for (int64_t i = j; i < q->n; i += cols) {
            long double z = (q->x[i] - mean) * scale + q->bias[j];
            expect(q, "batch_norm_forward", i, q->y[i], activated(q->d.activation, z), 4 * fabsl(scale) * size + 30 * fabsl(z) + 8);
        }
    }
}

/* Gradients at the outputs that forward stored, whose derivatives are those that backward takes. */
static void check_backward(problem_norm *q)
{
    const int64_t rows = q->d.rows, cols = q->d.cols;
    real *before[] = {q->dy, q->dx, q->dweight, q->dbias}, *kept[COUNT(before)];
    for (int i = 0; i < COUNT(before); i++) {
        size_t bytes = (size_t)(i < 2 ? q->n : cols) * sizeof(real);
        kept[i] = malloc(bytes + 1);
        memcpy(kept[i], before[i], bytes);
    }
    TABLE(q->target)->batch_norm_backward(&q->cx, &q->d, q->x, q->weight, q->mean, q->variance, q->y, q->dy, q->dx,
                                          q->dweight, q->dbias);
    for (int64_t j = 0; j < cols; j++) {
        long double mean = q->mean[j], inverse = 1 / sqrtl((long double)q->variance[j] + (long double)q->d.epsilon);
        long double scale = q->weight[j] * inverse, u = 0, uv = 0, size = 0, spread = 0;
        for (int64_t i = j; i < q->n; i += cols) {
            long double y = q->y[i], dz = kept[0][i];
            if (q->d.activation == FNN_RELU) dz = y > 0 ? dz : 0;
            if (q->d.activation == FNN_TANH) dz *= 1 - y * y;
            u += dz, uv += dz * (q->x[i] - mean);
            size += fabsl(dz), spread = fmaxl(spread, fabsl(q->x[i] - mean));
            kept[0][i] = q->dy[i]; /* dz to the precision of the type */
        }
        expect(q, "dweight", j, q->dweight[j], uv * inverse + (q->d.adds_dw ? kept[2][j] : 0), 4 + 4 * size * spread * inverse);
        expect(q, "dbias", j, q->dbias[j], u + (q->d.adds_dw ? kept[3][j] : 0), 4 + 4 * size);
        for (int64_t i = j; i < q->n; i += cols) {
            long double v = (q->x[i] - mean) * inverse, share = u / rows + v * uv * inverse / rows;
            long double want = scale * (kept[0][i] - share) + (q->d.adds_dx ? kept[1][i] : 0);
            long double bound = 2 + 8 * fabsl(scale) * (1 + size / rows + 2 * fabsl(v) * spread * inverse * size / rows);
            expect(q, "batch_norm_backward", i, q->dx[i], want, bound);
        }
    }
    for (int i = 0; i < COUNT(before); i++) free(kept[i]);
}

/* The affine form, by other statistics, and applied in place. */
static void check_affine(problem_norm *q)
{
    const int64_t cols = q->d.cols;
    for (int64_t j = 0; j < cols; j++) q->mean[j] = (real)uniform(-3, 3), q->variance[j] = (real)uniform(0, 4);
    real *scale = q->dweight, *shift = q->dbias;
    TABLE(q->target)->batch_norm_affine(&q->cx, &q->d, q->weight, q->bias, q->mean, q->variance, scale, shift);
    for (int64_t j = 0; j < cols; j++) {
        long double want = q->weight[j] / sqrtl((long double)q->variance[j] + (long double)q->d.epsilon);
        expect(q, "scale", j, scale[j], want, 2 * fabsl(want));
        expect(q, "shift", j, shift[j], q->bias[j] - q->mean[j] * want, 2 + 4 * fabsl(q->mean[j] * want));
    }
    const int shifted = (int)below(2);
    memcpy(q->y, q->x, (size_t)q->n * sizeof(real));
    TABLE(q->target)->scale_shift(&q->cx, &q->d, q->y, scale, shifted ? shift : NULL, q->y);
    for (int64_t i = 0; i < q->n; i++) {
        long double product = (long double)q->x[i] * scale[i % cols], z = product + (shifted ? shift[i % cols] : 0);
        expect(q, "scale_shift", i, q->y[i], activated(q->d.activation, z), 4 + 4 * fabsl(product) + 8 * fabsl(z));
    }
}

static void try_sizes(const fnn_target *target, int64_t most_rows, int64_t most_cols)
{
    problem_norm q;
    set_up(&q, target, 1 + below(most_rows), 1 + below(most_cols), below(3) ? 0 : 1000);
    check_forward(&q);
    check_backward(&q);
    check_affine(&q);
    CHECK(guards_intact(), "batch_norm f%d %s wrote beyond a buffer", REAL_BITS, target->name);
}

RANDOM_PROBLEM(batch_norm)
{
    int large = below(500) == 0;
    try_sizes(target, large ? 2000 : 12, large ? 100 : 40);
}

static void test_sizes(const fnn_target *target)
{
    for (int i = 0; i < problems(1200); i++) try_sizes(target, i % 20 ? 40 : 3000, i % 6 ? 40 : 200);
}

/* Without dx, only the parameters' gradients are made; they are the same. */
static void test_without_dx(const fnn_target *target)
{
    problem_norm q;
    real with[2][50];
    set_up(&q, target, 77, 50, 0);
    q.d.adds_dw = 0, q.d.activation = FNN_LINEAR;
    TABLE(target)->batch_norm_forward(&q.cx, &q.d, q.x, q.weight, q.bias, q.y, q.mean, q.variance);
    for (int i = 0; i < 2; i++) {
        TABLE(target)->batch_norm_backward(&q.cx, &q.d, q.x, q.weight, q.mean, q.variance, q.y, q.dy, i ? NULL : q.dx,
                                           q.dweight, q.dbias);
        memcpy(with[i], q.dweight, sizeof with[i]);
    }
    CHECK(!memcmp(with[0], with[1], sizeof with[0]), "batch_norm f%d %s: dx matters to dweight", REAL_BITS, target->name);
}

static void test_threads(const fnn_target *target)
{
    problem_norm q;
    for (int64_t cols = 3; cols < 100; cols += 37) {
        set_up(&q, target, 300000 / cols, cols, 3);
        q.d.adds_dx = q.d.adds_dw = 0;
        size_t bytes = (size_t)q.n * sizeof(real), row = (size_t)cols * sizeof(real);
        real *y = malloc(bytes), *dx = malloc(bytes), *dy = malloc(bytes), *dweight = malloc(row);
        memcpy(dy, q.dy, bytes);
        for (int threads = 1; threads <= (thinned ? 2 : 8); threads++) {
            q.cx.threads = threads;
            soil(q.cx.scratch, q.cx.scratch_size);
            memcpy(q.dy, dy, bytes);
            TABLE(target)->batch_norm_forward(&q.cx, &q.d, q.x, q.weight, q.bias, q.y, q.mean, q.variance);
            TABLE(target)->batch_norm_backward(&q.cx, &q.d, q.x, q.weight, q.mean, q.variance, q.y, q.dy, q.dx, q.dweight,
                                               q.dbias);
            if (threads == 1) memcpy(y, q.y, bytes), memcpy(dx, q.dx, bytes), memcpy(dweight, q.dweight, row);
            CHECK(!memcmp(y, q.y, bytes) && !memcmp(dx, q.dx, bytes) && !memcmp(dweight, q.dweight, row),
                  "batch_norm f%d %s: %d threads differ from one", REAL_BITS, target->name, threads);
        }
        free(y), free(dx), free(dy), free(dweight);
    }
}

SUITE(batch_norm)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_sizes(targets[t]);
        test_without_dx(targets[t]);
        test_threads(targets[t]);
    }
}
