/* cases.h: runs a table of cases (harness.h). */
#ifndef FNN_CASES_H
#define FNN_CASES_H

#include "harness.h"

static const int64_t flat_sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 300};
static const int64_t matrix_sizes[][2] = {{0, 3}, {1, 1}, {5, 1},  {33, 1}, {1, 2},  {4, 2},   {3, 10},  {17, 10}, {40, 3},
                                          {2, 7}, {3, 8}, {2, 15}, {3, 16}, {2, 17}, {5, 31},  {2, 32},  {3, 33},  {2, 64},
                                          {3, 65}, {1, 100}, {2, 130}, {70, 5}, {7, 200}};

/* Buffers with their contents; the same for the same seed of the test numbers. */
static void set_up(const test_case *c, problem *q, int place)
{
    problem_begins();
    memset(q->length, 0, sizeof q->length);
    c->lengths(q);
    for (int i = 0; i < BUFFERS; i++) {
        q->b[i] = REALS(i, q->length[i], place);
        for (int64_t j = 0; j < q->length[i]; j++) q->b[i][j] = (real)uniform(-4, 4);
    }
    q->index = placed(BUFFERS, (size_t)q->rows * sizeof *q->index, sizeof *q->index, place);
    q->labels = placed(BUFFERS + 1, (size_t)q->rows * sizeof *q->labels, sizeof *q->labels, place);
    for (int64_t i = 0; i < q->rows; i++) {
        q->index[i] = below(q->rows);
        q->labels[i] = (int32_t)below(q->cols);
    }
    q->result = 0;
    q->want = q->size = 0;
    if (c->fill) c->fill(q);
}

static int close_enough(real got, long double want, double relative, double absolute)
{
    if (isnan(want) || isnan((double)got)) return isnan(want) && isnan((double)got);
    if (isinf((real)want) || isinf((double)got)) return (real)want == got;
    long double error = fabsl((long double)got - want);
    return error <= EPSILON * ((long double)relative * fabsl(want) + (long double)absolute) + SMALLEST;
}

static void compare(const test_case *c, const problem *q, const char *target, int placement)
{
    static const char *const places[] = {"guard after", "guard before", "off its line", "anywhere"};
    const char *place = places[placement];
    for (int i = 0; i < BUFFERS; i++)
        for (int64_t j = 0; j < q->length[i]; j++)
            if (!close_enough(q->b[i][j], q->w[i][j], c->relative, c->absolute)) {
                CHECK(0, "%s f%d %s variant %d, %ld x %ld, %s: buffer %d [%ld] is %.17g, not %.17Lg", c->name, REAL_BITS,
                      target, q->variant, (long)q->rows, (long)q->cols, place, i, (long)j, (double)q->b[i][j], q->w[i][j]);
                return;
            }
    /* Sums are in double whatever the precision; their own rounding adds up like a random walk. */
    long double walk = c->scalar > 0 ? (long double)DBL_EPSILON / 2 * sqrtl((long double)q->n) : 0;
    long double error = fabsl((long double)q->result - q->want);
    CHECK(error <= (EPSILON * (long double)c->scalar + walk) * q->size && guards_intact(),
          "%s f%d %s variant %d, %ld x %ld, %s: %.17g, not %.17Lg (or a guard was written)", c->name, REAL_BITS, target,
          q->variant, (long)q->rows, (long)q->cols, place, q->result, q->want);
}

static void run_problem(const test_case *c, const fnn_target *target, int variant, int64_t rows, int64_t cols, int place)
{
    fnn_ctx cx = {.threads = 1};
    problem q = {.k = TABLE(target), .cx = &cx, .variant = variant, .rows = rows, .cols = cols, .n = rows * cols};
    set_up(c, &q, place);
    for (int i = 0; i < BUFFERS; i++) {
        q.w[i] = malloc((size_t)(q.length[i] + 1) * sizeof *q.w[i]);
        for (int64_t j = 0; j < q.length[i]; j++) q.w[i][j] = (long double)q.b[i][j];
    }
    c->run(&q);
    c->reference(&q);
    compare(c, &q, target->name, place);
    for (int i = 0; i < BUFFERS; i++) free(q.w[i]);
}

/* The same large problem on 1, 3, 2 and 8 threads: every bit must agree. */
static void run_threads(const test_case *c, const fnn_target *target, int variant)
{
    static const int threads[] = {3, 2, 8};
    int64_t rows = c->shape == FLAT ? 300007 : variant % 2 ? 3001 : 127, cols = c->shape == FLAT ? 1 : variant % 2 ? 67 : 2003;
    if (thinned) /* large enough still to be shared out */
        rows = c->shape == FLAT ? 140007 : variant % 2 ? 2101 : 70;
    fnn_ctx cx = {.threads = 1};
    problem q = {.k = TABLE(target), .cx = &cx, .variant = variant, .rows = rows, .cols = cols, .n = rows * cols};
    real *before[BUFFERS], *after[BUFFERS];
    set_up(c, &q, AT_END);
    for (int i = 0; i < BUFFERS; i++) {
        size_t bytes = (size_t)q.length[i] * sizeof(real);
        before[i] = malloc(bytes + 1);
        after[i] = malloc(bytes + 1);
        memcpy(before[i], q.b[i], bytes);
    }
    c->run(&q);
    double result = q.result;
    for (int i = 0; i < BUFFERS; i++) memcpy(after[i], q.b[i], (size_t)q.length[i] * sizeof(real));
    for (int t = 0; t < (thinned ? 1 : COUNT(threads)); t++) {
        int same = 1;
        for (int i = 0; i < BUFFERS; i++) memcpy(q.b[i], before[i], (size_t)q.length[i] * sizeof(real));
        cx.threads = threads[t];
        q.result = 0;
        c->run(&q);
        for (int i = 0; i < BUFFERS; i++) same &= !memcmp(q.b[i], after[i], (size_t)q.length[i] * sizeof(real));
        CHECK(same && memcmp(&result, &q.result, sizeof result) == 0, "%s f%d %s variant %d: %d threads differ from one",
              c->name, REAL_BITS, target->name, variant, threads[t]);
    }
    for (int i = 0; i < BUFFERS; i++) {
        free(before[i]);
        free(after[i]);
    }
}

/* One problem of one of the cases. */
static void random_case(const fnn_target *target, const test_case *cases, int count)
{
    const test_case *c = &cases[below(count)];
    const int flat = c->shape == FLAT, large = below(20) == 0;
    int64_t rows = below(flat ? (large ? 700 : 80) : large ? 40 : 6), cols = flat ? 1 : 1 + below(large ? 150 : 40);
    run_problem(c, target, (int)below(c->variants), rows, cols, ANYWHERE);
}

static void run_cases(const test_case *cases, int count)
{
    const fnn_target *targets[8];
    int target_count = usable_targets(targets);
    for (int t = 0; t < target_count; t++)
        for (int c = 0; c < count; c++)
            for (int v = 0; v < cases[c].variants; v++) {
                int sizes = cases[c].shape == FLAT ? COUNT(flat_sizes) : COUNT(matrix_sizes);
                for (int s = 0; s < ANYWHERE * sizes; s++) {
                    int size = s / ANYWHERE, place = s % ANYWHERE;
                    if (thinned && place != size % ANYWHERE) continue; /* every size, at alternating places */
                    int64_t rows = cases[c].shape == FLAT ? flat_sizes[size] : matrix_sizes[size][0];
                    int64_t cols = cases[c].shape == FLAT ? 1 : matrix_sizes[size][1];
                    run_problem(&cases[c], targets[t], v, rows, cols, place);
                }
                run_threads(&cases[c], targets[t], v);
            }
}

#endif
