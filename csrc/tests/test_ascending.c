/* test_ascending.c: rows of running sums of softplus, their gradients, and that they never descend. */
#include "cases.h"

/* Buffers: 0: x, 1: y or dy, 2: dx. */
static void three(problem *q) { q->length[0] = q->length[1] = q->length[2] = q->n; }

static void fill_short(problem *q)
{
    for (int64_t i = 0; i < q->n; i += 5) q->b[0][i] *= 20;
}
static void run_forward(problem *q) { q->k->ascending_forward(q->cx, q->rows, q->cols, q->b[0], q->b[1]); }
static void ref_forward(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        long double x = q->w[0][i];
        q->w[1][i] = i % q->cols ? q->w[1][i - 1] + fmaxl(x, 0) + log1pl(expl(-fabsl(x))) : x;
    }
}

/* variant: 0: stored; 1: added; 2: stored to dy */
static void run_backward(problem *q)
{
    q->k->ascending_backward(q->cx, q->rows, q->cols, q->b[0], q->b[1], q->b[q->variant == 2 ? 1 : 2], q->variant == 1);
}
static void ref_backward(problem *q)
{
    long double *dx = q->w[q->variant == 2 ? 1 : 2], sum = 0;
    for (int64_t i = q->n - 1; i >= 0; i--) {
        sum += q->w[1][i];
        long double d = (i % q->cols ? 1 / (1 + expl(-q->w[0][i])) : 1) * sum;
        dx[i] = q->variant == 1 ? dx[i] + d : d;
        if (i % q->cols == 0) sum = 0;
    }
}

/* Forward: up to 200 additions, each of which rounds by half a unit of a sum between the first number, at most 80, and the
 * value itself, and 4 units of each softplus. Backward, absolute: a unit for each addition on the way of a row of sums
 * that are at most 200 x 4; the worst that was seen is a hundredth of that, as roundings cancel. */
static const test_case cases[] = {
    {"ascending_forward", MATRIX, 2, three, fill_short, run_forward, ref_forward, 104, 104 * 80, 0},
    {"ascending_backward", MATRIX, 3, three, fill_short, run_backward, ref_backward, 4, 1000, 0},
};

/* However far apart or close the numbers are, no value is below the one before it. */
static void test_order(const fnn_target *target)
{
    enum { ROWS = 400, COLS = 9 };
    static const real scales[] = {(real)1e-6, 1, 30, (real)1e4, (real)1e30};
    static real x[ROWS * COLS], y[ROWS * COLS];
    fnn_ctx cx = {.threads = 1};
    for (int s = 0; s < COUNT(scales); s++) {
        for (int i = 0; i < ROWS * COLS; i++) x[i] = (real)uniform(-4, 4) * (i % COLS ? 1 : 100) * scales[s];
        TABLE(target)->ascending_forward(&cx, ROWS, COLS, x, y);
        int descends = 0;
        for (int i = 0; i < ROWS * COLS; i++) descends += i % COLS && !(y[i] >= y[i - 1]);
        CHECK(!descends, "f%d %s: %d values of scale %g descend", REAL_BITS, target->name, descends, (double)scales[s]);
    }
}

RANDOM_PROBLEM(ascending) { random_case(target, cases, COUNT(cases)); }

SUITE(ascending)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    run_cases(cases, COUNT(cases));
    for (int t = 0; t < count; t++) test_order(targets[t]);
}
