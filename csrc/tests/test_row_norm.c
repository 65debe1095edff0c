/* test_row_norm.c: layer norm and RMSNorm, forward and backward, against long double on every target. */
#include "harness.h"

typedef struct {
    fnn_row_norm d;
    const fnn_target *target;
    int threads;
    real *x, *weight, *bias, *y, *stats, *dy, *dx, *dweight, *dbias, *scratch;
    size_t scratch_size;
} problem_norm;

static void set_up(problem_norm *q, const fnn_target *target, fnn_row_norm d, double offset)
{
    problem_begins();
    *q = (problem_norm){.d = d, .target = target, .threads = 1};
    real **wide[] = {&q->x, &q->y, &q->dy, &q->dx}, **narrow[] = {&q->weight, &q->bias, &q->dweight, &q->dbias};
    for (int i = 0; i < 4; i++) {
        *wide[i] = REALS(i, d.rows * d.cols, ANYWHERE), *narrow[i] = REALS(4 + i, d.cols, ANYWHERE);
        for (int64_t j = 0; j < d.rows * d.cols; j++) (*wide[i])[j] = (real)(uniform(-2, 2) + (i ? 0 : offset));
        for (int64_t j = 0; j < d.cols; j++) (*narrow[i])[j] = (real)uniform(-2, 2);
    }
    q->stats = REALS(8, 2 * d.rows, ANYWHERE);
    fnn_ctx cx = {.threads = 1};
    TABLE(target)->row_norm_scratch(&cx, &d, &q->scratch_size);
    q->scratch = scratch_of(9, q->scratch_size);
}

static void run(problem_norm *q, int inputs)
{
    fnn_ctx cx = {.threads = q->threads, .scratch = q->scratch, .scratch_size = q->scratch_size};
    const KERNELS *k = TABLE(q->target);
    k->row_norm_forward(&cx, &q->d, q->x, q->weight, q->d.centered ? q->bias : NULL, q->y, q->stats);
    k->row_norm_backward(&cx, &q->d, q->x, q->stats, q->weight, q->dy, inputs ? q->dx : NULL, q->dweight,
                         q->d.centered ? q->dbias : NULL);
}

/* |got - want| <= factor EPSILON size, for each of n numbers */
static void compare(const problem_norm *q, const char *what, int64_t n, const real *got, const long double *want,
                    const long double *size, long double factor)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsl(got[i] - want[i]) <= factor * EPSILON * size[i])) {
            CHECK(0, "row_norm %s f%d %s: %ld x %ld centered %d adds %d: [%ld] is %.17g, not %.17Lg", what, REAL_BITS,
                  q->target->name, (long)q->d.rows, (long)q->d.cols, q->d.centered, q->d.adds_dx, (long)i, (double)got[i],
                  want[i]);
            return;
        }
    CHECK(guards_intact(), "row_norm %s f%d %s wrote beyond a buffer", what, REAL_BITS, q->target->name);
}

static void check(problem_norm *q, int inputs)
{
    const fnn_row_norm *d = &q->d;
    const int64_t rows = d->rows, cols = d->cols, n = rows * cols;
    long double *want = calloc((size_t)(6 * n + 4 * cols), sizeof *want), *size = want + n, *dx = size + n;
    long double *dx_size = dx + n, *normal = dx_size + n, *g = normal + n, *dw = g + n, *db = dw + cols;
    long double *dw_size = db + cols, *db_size = dw_size + cols;
    for (int64_t j = 0; j < cols; j++) {
        dw[j] = d->adds_dw ? q->dweight[j] : 0, db[j] = d->adds_dw ? q->dbias[j] : 0;
        dw_size[j] = fabsl(dw[j]), db_size[j] = fabsl(db[j]);
    }
    long double worst = 1; /* how much a mean far from 0 magnifies rounding */
    for (int64_t i = 0; i < rows; i++) {
        const real *x = q->x + i * cols;
        long double mean = 0, variance = 0, top = 0, sum_g = 0, sum_gn = 0, size_g = 0, size_gn = 0;
        for (int64_t j = 0; j < cols; j++) mean += d->centered ? (long double)x[j] / cols : 0;
        for (int64_t j = 0; j < cols; j++) {
            variance += (x[j] - mean) * (x[j] - mean) / cols;
            if (fabsl(x[j]) > top) top = fabsl(x[j]);
        }
        long double inverse = 1 / sqrtl(variance + d->epsilon);
        if (top * inverse > worst) worst = top * inverse;
        for (int64_t j = 0; j < cols; j++) {
            int64_t at = i * cols + j;
            normal[at] = (x[j] - mean) * inverse, g[at] = (long double)q->dy[at] * q->weight[j];
            want[at] = normal[at] * q->weight[j] + (d->centered ? q->bias[j] : 0);
            size[at] = (fabsl(normal[at]) + 1) * fabsl((long double)q->weight[j]) + fabsl((long double)q->bias[j]);
            sum_g += d->centered ? g[at] : 0, sum_gn += g[at] * normal[at];
            size_g += fabsl(g[at]), size_gn += fabsl(g[at] * normal[at]);
            dw[j] += q->dy[at] * normal[at], db[j] += q->dy[at];
            dw_size[j] += fabsl(q->dy[at]) * (fabsl(normal[at]) + 1), db_size[j] += fabsl((long double)q->dy[at]);
        }
        for (int64_t j = 0; j < cols; j++) {
            int64_t at = i * cols + j;
            long double before = d->adds_dx ? q->dx[at] : 0;
            dx[at] = before + inverse * (g[at] - sum_g / cols - normal[at] * sum_gn / cols);
            dx_size[at] = fabsl(before) + inverse * (fabsl(g[at]) + size_g / cols + (fabsl(normal[at]) + 1) * size_gn / cols);
        }
    }
    run(q, inputs);
    compare(q, "y", n, q->y, want, size, 8 * worst);
    if (inputs) compare(q, "dx", n, q->dx, dx, dx_size, 12 * worst);
    compare(q, "dweight", cols, q->dweight, dw, dw_size, 12 * worst);
    if (d->centered) compare(q, "dbias", cols, q->dbias, db, db_size, 8);
    free(want);
}

RANDOM_PROBLEM(row_norm)
{
    problem_norm q;
    const int64_t most_rows = below(100) ? 6 : 300, most_cols = below(8) ? 40 : 150;
    fnn_row_norm d = {.rows = 1 + below(most_rows), .cols = 1 + below(most_cols), .epsilon = below(2) ? 1e-5 : 1e-2,
                      .centered = below(3) != 0, .adds_dx = (int)below(2), .adds_dw = (int)below(2)};
    set_up(&q, target, d, below(7) ? 0 : 50);
    q.threads = 1 + (int)below(3);
    check(&q, below(4) != 0);
}

static void test_random(const fnn_target *target)
{
    for (int i = 0; i < problems(1500); i++) RANDOM(row_norm)(target);
}

/* Equal values have no variance: the output is the bias, and nothing is divided by 0. */
static void test_constant_rows(const fnn_target *target)
{
    problem_norm q;
    set_up(&q, target, (fnn_row_norm){.rows = 3, .cols = 20, .epsilon = 1e-5, .centered = 1}, 0);
    for (int i = 0; i < 60; i++) q.x[i] = (real)(i / 20 * 1024);
    run(&q, 1);
    for (int i = 0; i < 60; i++)
        if (!CHECK(q.y[i] == q.bias[i % 20] && isfinite(q.dx[i]), "row_norm f%d %s of equal values: %g", REAL_BITS,
                   target->name, (double)q.y[i]))
            return;
}

static void test_threads(const fnn_target *target)
{
    problem_norm q;
    set_up(&q, target, (fnn_row_norm){.rows = 3001, .cols = 67, .epsilon = 1e-5, .centered = 1}, 0);
    size_t all = (size_t)(q.d.rows * q.d.cols) * sizeof(real), row = (size_t)q.d.cols * sizeof(real);
    char *first = malloc(2 * all + 2 * row);
    for (q.threads = 1; q.threads <= 5; q.threads++) {
        soil(q.scratch, q.scratch_size);
        run(&q, 1);
        if (q.threads == 1) {
            memcpy(first, q.y, all), memcpy(first + all, q.dx, all);
            memcpy(first + 2 * all, q.dweight, row), memcpy(first + 2 * all + row, q.dbias, row);
        }
        CHECK(!memcmp(first, q.y, all) && !memcmp(first + all, q.dx, all) && !memcmp(first + 2 * all, q.dweight, row)
                  && !memcmp(first + 2 * all + row, q.dbias, row),
              "row_norm f%d %s: %d threads differ from one", REAL_BITS, target->name, q.threads);
    }
    free(first);
}

SUITE(row_norm)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_random(targets[t]);
        test_constant_rows(targets[t]);
        test_threads(targets[t]);
    }
}
