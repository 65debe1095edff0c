/* test_preprocessing.c: standardizing and one-hot columns, forward and backward, and the search for values that are
 * refused, against plain loops on every target. */
#include "harness.h"

/* ---- standardizing ----------------------------------------------------------------------------------------------- */

typedef struct {
    fnn_standardize d;
    const fnn_target *target;
    int threads, fills;
    real *x, *mean, *deviation, *fill, *tables, *y, *dy, *dx;
} problem_scale;

static void set_up_scale(problem_scale *q, const fnn_target *target, fnn_standardize d, int fills)
{
    const int64_t all = d.rows * d.cols, wide = all * (d.indicators ? 2 : 1);
    problem_begins();
    *q = (problem_scale){.d = d, .target = target, .threads = 1, .fills = fills};
    q->x = REALS(0, all, ANYWHERE), q->dx = REALS(1, all, ANYWHERE);
    q->y = REALS(2, wide, ANYWHERE), q->dy = REALS(3, wide, ANYWHERE);
    q->mean = REALS(4, d.cols, ANYWHERE), q->deviation = REALS(5, d.cols, ANYWHERE);
    q->fill = REALS(6, d.cols, ANYWHERE), q->tables = REALS(7, 2 * d.cols, ANYWHERE);
    for (int64_t i = 0; i < d.rows * d.cols; i++) {
        q->x[i] = below(4) == 0 && (fills || d.indicators) ? (real)NAN : (real)uniform(-4, 4);
        q->dx[i] = (real)uniform(-4, 4);
    }
    for (int64_t i = 0; i < d.rows * d.cols * (d.indicators ? 2 : 1); i++) q->dy[i] = (real)uniform(-4, 4);
    for (int64_t j = 0; j < d.cols; j++) {
        q->mean[j] = (real)uniform(-4, 4), q->fill[j] = (real)uniform(-4, 4);
        q->deviation[j] = (real)uniform(0.1, 3);
    }
}

static void run_scale(const problem_scale *q)
{
    fnn_ctx cx = {.threads = q->threads};
    const KERNELS *k = TABLE(q->target);
    k->standardize_tables(&cx, q->d.cols, 1, q->mean, q->deviation, q->tables);
    k->standardize_forward(&cx, &q->d, q->x, q->tables, q->fills ? q->fill : NULL, q->y);
    k->standardize_backward(&cx, &q->d, q->fills ? q->x : NULL, q->tables, q->dy, q->dx);
}

static int near(real got, long double want, long double size)
{
    return isnan(want) ? isnan(got) : fabsl(got - want) <= 4 * EPSILON * size;
}

static void check_scale(const problem_scale *q)
{
    const int64_t cols = q->d.cols, wide = q->d.indicators ? 2 * cols : cols, n = q->d.rows * cols;
    real *before = malloc((size_t)(n + 1) * sizeof *before);
    int good = 1;
    memcpy(before, q->dx, (size_t)n * sizeof *before);
    run_scale(q);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = i / cols, j = i % cols;
        const int missing = isnan(q->x[i]);
        const long double value = missing && q->fills ? q->fill[j] : q->x[i];
        const long double g = missing && q->fills ? 0 : (long double)q->dy[row * wide + j] / q->deviation[j];
        const long double old = q->d.adds_dx ? before[i] : 0;
        good &= near(q->y[row * wide + j], (value - q->mean[j]) / q->deviation[j],
                     (fabsl(value) + fabsl((long double)q->mean[j])) / q->deviation[j]);
        good &= near(q->dx[i], old + g, fabsl(old) + fabsl(g));
        if (q->d.indicators) good &= q->y[row * wide + cols + j] == (real)missing;
    }
    CHECK(good && guards_intact(), "standardize f%d %s: %ld x %ld indicators %d fills %d adds %d", REAL_BITS, q->target->name,
          (long)q->d.rows, (long)cols, q->d.indicators, q->fills, q->d.adds_dx);
    free(before);
}

static void try_standardize(const fnn_target *target)
{
    problem_scale q;
    fnn_standardize d = {.rows = below(below(20) ? 8 : 100), .cols = 1 + below(below(5) ? 40 : 150),
                         .indicators = (int)below(2), .adds_dx = (int)below(2)};
    set_up_scale(&q, target, d, (int)below(2));
    q.threads = 1 + (int)below(3);
    check_scale(&q);
}

/* What stands for the mean becomes exactly 0, whatever the deviation. */
static void test_filled_with_the_mean(const fnn_target *target)
{
    problem_scale q;
    set_up_scale(&q, target, (fnn_standardize){.rows = 9, .cols = 21}, 1);
    memcpy(q.fill, q.mean, 21 * sizeof(real));
    run_scale(&q);
    for (int i = 0; i < 9 * 21; i++)
        if (!CHECK(!isnan(q.x[i]) || (q.y[i] == 0 && q.dx[i] == 0), "standardize f%d %s: a filled value is %g", REAL_BITS,
                   target->name, (double)q.y[i]))
            return;
}

/* Rows side by side in a line give the same bits as rows of their own. */
static void test_copies(const fnn_target *target)
{
    static real y[60 * 3], tables[2 * 20 * 3];
    fnn_ctx cx = {.threads = 1};
    problem_scale q;
    set_up_scale(&q, target, (fnn_standardize){.rows = 60, .cols = 3}, 0);
    run_scale(&q);
    TABLE(target)->standardize_tables(&cx, 3, 20, q.mean, q.deviation, tables);
    TABLE(target)->standardize_forward(&cx, &(fnn_standardize){.rows = 3, .cols = 60}, q.x, tables, NULL, y);
    CHECK(!memcmp(y, q.y, sizeof y), "standardize f%d %s: 20 rows in a line differ", REAL_BITS, target->name);
}

static void test_scale_threads(const fnn_target *target)
{
    problem_scale q;
    set_up_scale(&q, target, (fnn_standardize){.rows = 3001, .cols = 67, .indicators = 1}, 1);
    const size_t all = (size_t)(q.d.rows * q.d.cols) * sizeof(real);
    char *first = malloc(3 * all);
    for (q.threads = 1; q.threads <= 5; q.threads++) {
        run_scale(&q);
        if (q.threads == 1) memcpy(first, q.y, 2 * all), memcpy(first + 2 * all, q.dx, all);
        CHECK(!memcmp(first, q.y, 2 * all) && !memcmp(first + 2 * all, q.dx, all), "standardize f%d %s: %d threads differ",
              REAL_BITS, target->name, q.threads);
    }
    free(first);
}

/* ---- categories --------------------------------------------------------------------------------------------------- */

enum { MOST_COLUMNS = 6, MOST_CATEGORIES = 40 };

static void check_one_hot(const fnn_target *target, fnn_one_hot d, int threads, const int64_t *counts)
{
    int64_t rest[MOST_COLUMNS], columns[MOST_COLUMNS];
    const real *categories[MOST_COLUMNS];
    problem_begins();
    d.cols = d.rest_count + d.count, d.out = d.rest_count;
    const int64_t first = below(d.rest_count + 1); /* of the encoded columns, which lie backwards among the others */
    for (int64_t k = 0; k < d.rest_count; k++) rest[k] = k < first ? k : k + d.count;
    for (int64_t c = 0; c < d.count; c++) columns[c] = first + d.count - 1 - c;
    for (int64_t c = 0; c < d.count; c++) {
        real *known = REALS(4 + (int)c, counts[c], ANYWHERE);
        for (int64_t j = 0; j < counts[c]; j++) known[j] = (real)(j - 2);
        categories[c] = known, d.out += counts[c] + d.missing;
    }
    d.rest = rest, d.columns = columns, d.counts = counts;
    const int64_t n = d.rows * d.cols;
    real *x = REALS(0, n, ANYWHERE), *dx = REALS(1, n, ANYWHERE);
    real *y = REALS(2, d.rows * d.out, ANYWHERE), *dy = REALS(3, d.rows * d.out, ANYWHERE);
    real *before = malloc((size_t)(n + 1) * sizeof *before);
    for (int64_t i = 0; i < n; i++) {
        x[i] = below(6) == 0 ? (real)NAN : (real)(below(MOST_CATEGORIES + 2) - 2);
        before[i] = dx[i] = (real)uniform(-4, 4);
    }
    for (int64_t i = 0; i < d.rows * d.out; i++) dy[i] = (real)uniform(-4, 4);
    fnn_ctx cx = {.threads = threads};
    TABLE(target)->one_hot_forward(&cx, &d, x, categories, y);
    TABLE(target)->one_hot_backward(&cx, &d, dy, dx);
    int good = 1;
    for (int64_t i = 0; i < d.rows; i++) {
        const real *row = x + i * d.cols;
        int64_t at = i * d.out;
        for (int64_t k = 0; k < d.rest_count; k++, at++) {
            const real want = d.adds_dx ? before[i * d.cols + rest[k]] + dy[at] : dy[at];
            good &= !memcmp(&y[at], &row[rest[k]], sizeof *y) && dx[i * d.cols + rest[k]] == want;
        }
        for (int64_t c = 0; c < d.count; c++) {
            for (int64_t j = 0; j < counts[c]; j++) good &= y[at++] == (row[columns[c]] == categories[c][j]);
            if (d.missing) good &= y[at++] == (real)isnan(row[columns[c]]);
            good &= dx[i * d.cols + columns[c]] == (d.adds_dx ? before[i * d.cols + columns[c]] : 0);
        }
    }
    CHECK(good && guards_intact(), "one_hot f%d %s: %ld rows, %ld and %ld columns, missing %d adds %d", REAL_BITS, target->name,
          (long)d.rows, (long)d.rest_count, (long)d.count, d.missing, d.adds_dx);
    free(before);
}

static void try_one_hot(const fnn_target *target, int64_t rows)
{
    int64_t counts[MOST_COLUMNS];
    for (int c = 0; c < MOST_COLUMNS; c++) counts[c] = 1 + below(below(3) ? 6 : MOST_CATEGORIES);
    fnn_one_hot d = {.rows = rows, .rest_count = below(3), .count = 1 + below(4), .missing = (int)below(2),
                     .adds_dx = (int)below(2)};
    check_one_hot(target, d, 1 + (int)below(3), counts);
}

/* ---- what is refused ---------------------------------------------------------------------------------------------- */

static void test_first_refused(const fnn_target *target)
{
    for (int i = 0; i < problems(1000); i++) {
        const int64_t rows = below(i % 20 ? 9 : 20000), cols = 1 + below(20);
        problem_begins();
        real *x = REALS(0, rows * cols, ANYWHERE), *takes = REALS(1, cols, ANYWHERE);
        for (int64_t j = 0; j < cols; j++) takes[j] = (real)below(2);
        for (int64_t k = 0; k < rows * cols; k++) {
            x[k] = (real)uniform(-4, 4);
            if (takes[k % cols] != 0 && below(5) == 0) x[k] = (real)NAN;
        }
        int64_t want = -1, got = -2;
        for (int64_t bad = below(3); bad > 0 && rows > 0; bad--) {
            const int64_t at = below(rows * cols);
            x[at] = takes[at % cols] == 0 ? (real)NAN : bad % 2 ? (real)INFINITY : (real)-INFINITY;
            if (want < 0 || at < want) want = at;
        }
        fnn_ctx cx = {.threads = 1 + (int)below(4)};
        TABLE(target)->first_refused(&cx, rows, cols, takes, x, &got);
        CHECK(got == want && guards_intact(), "first_refused f%d %s: %ld x %ld gives %ld, not %ld", REAL_BITS, target->name,
              (long)rows, (long)cols, (long)got, (long)want);
    }
}

RANDOM_PROBLEM(preprocessing)
{
    if (below(2)) try_standardize(target);
    else try_one_hot(target, below(9));
}

SUITE(preprocessing)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        for (int i = 0; i < problems(1000); i++) try_standardize(targets[t]);
        test_filled_with_the_mean(targets[t]);
        test_copies(targets[t]);
        test_scale_threads(targets[t]);
        for (int i = 0; i < problems(1000); i++) try_one_hot(targets[t], i % 50 ? below(9) : 3000);
        test_first_refused(targets[t]);
    }
}
