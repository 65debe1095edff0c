/* test_reduce.c: reductions, penalties, softmax. */
#include "cases.h"

static void one(problem *q) { q->length[0] = q->n; }
static void two(problem *q) { q->length[0] = q->length[1] = q->n; }
static void three(problem *q) { q->length[0] = q->length[1] = q->length[2] = q->n; }
static void column(problem *q)
{
    q->length[0] = q->n;
    q->length[1] = q->cols;
}

static void count(problem *q, long double term)
{
    q->want += term;
    q->size += fabsl(term);
}

static void run_sum(problem *q) { q->k->sum(q->cx, q->n, q->b[0], &q->result); }
static void ref_sum(problem *q) { for (int64_t i = 0; i < q->n; i++) count(q, q->w[0][i]); }
static void run_squares(problem *q) { q->k->sum_squares(q->cx, q->n, q->b[0], &q->result); }
static void ref_squares(problem *q) { for (int64_t i = 0; i < q->n; i++) count(q, q->w[0][i] * q->w[0][i]); }
static void run_abs(problem *q) { q->k->sum_abs(q->cx, q->n, q->b[0], &q->result); }
static void ref_abs(problem *q) { for (int64_t i = 0; i < q->n; i++) count(q, fabsl(q->w[0][i])); }
static void run_dot(problem *q) { q->k->dot(q->cx, q->n, q->b[0], q->b[1], &q->result); }
static void ref_dot(problem *q) { for (int64_t i = 0; i < q->n; i++) count(q, q->w[0][i] * q->w[1][i]); }

/* variant: 0: none; 1: the last one; 2: any; 3: several */
static void fill_nonfinite(problem *q)
{
    const real bad[] = {(real)NAN, (real)INFINITY, -(real)INFINITY};
    if (q->n > 0) q->b[0][q->n / 2] = LARGEST;
    if (q->n == 0 || q->variant == 0) return;
    for (int i = 0; i < (q->variant == 3 ? 5 : 1); i++)
        q->b[0][q->variant == 1 ? q->n - 1 : below(q->n)] = bad[below(3)];
}
static void run_nonfinite(problem *q)
{
    int64_t at = -7;
    q->k->first_nonfinite(q->cx, q->n, q->b[0], &at);
    q->result = (double)at;
}
static void ref_nonfinite(problem *q)
{
    q->want = -1;
    for (int64_t i = q->n - 1; i >= 0; i--)
        if (!isfinite((real)q->w[0][i])) q->want = (long double)i;
}

static void run_column(problem *q) { q->k->column_sum(q->cx, q->rows, q->cols, q->b[0], q->b[1], q->variant); }
static void ref_column(problem *q)
{
    for (int64_t j = 0; j < q->cols; j++) {
        long double sum = q->variant ? q->w[1][j] : 0;
        for (int64_t i = 0; i < q->rows; i++) sum += q->w[0][i * q->cols + j];
        q->w[1][j] = sum;
    }
}

/* variant: 0: gradient and penalty; 1: penalty alone */
static void fill_zeros(problem *q) { for (int64_t i = 0; i < q->n; i += 3) q->b[0][i] = 0; }
static void run_regularize(problem *q)
{
    q->result = 0.25;
    q->k->regularize(q->cx, q->n, 0.01, 0.03, q->b[0], q->variant ? NULL : q->b[1], &q->result);
}
static void ref_regularize(problem *q)
{
    count(q, 0.25L);
    for (int64_t i = 0; i < q->n; i++) {
        long double p = q->w[0][i];
        count(q, 0.03L * p * p + 0.01L * fabsl(p));
        if (!q->variant) q->w[1][i] += 0.06L * p + 0.01L * (long double)((p > 0) - (p < 0));
    }
}

/* Some columns are below the limit, some above, some zero. */
static void fill_max_norm(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->b[0][i] *= (real)(i % q->cols % 3);
}
static void run_max_norm(problem *q) { q->k->max_norm(q->cx, q->rows, q->cols, 5, q->b[0]); }
static void ref_max_norm(problem *q)
{
    for (int64_t j = 0; j < q->cols; j++) {
        long double squares = 0;
        for (int64_t i = 0; i < q->rows; i++) squares += q->w[0][i * q->cols + j] * q->w[0][i * q->cols + j];
        if (sqrtl(squares) > 5)
            for (int64_t i = 0; i < q->rows; i++) q->w[0][i * q->cols + j] *= 5 / sqrtl(squares);
    }
}

/* Rows with large values, with one value far above, and with a NaN. */
static void fill_softmax(problem *q)
{
    for (int64_t i = 0; i < q->rows; i++) {
        real *row = q->b[0] + i * q->cols;
        if (i % 4 == 1)
            for (int64_t j = 0; j < q->cols; j++) row[j] = row[j] * 20 + 1000;
        if (i % 4 == 2) row[below(q->cols)] = LARGEST / 2;
        if (i % 8 == 3) row[below(q->cols)] = (real)NAN;
        if (i % 8 == 7) row[below(q->cols)] = -(real)INFINITY;
        if (i % 8 == 7) row[0] = 0;
    }
}
/* variant: 0: to another buffer; 1: in place */
static void run_softmax(problem *q) { q->k->softmax_forward(q->cx, q->rows, q->cols, q->b[0], q->b[q->variant ? 0 : 1]); }
static void ref_softmax(problem *q)
{
    for (int64_t i = 0; i < q->rows; i++) {
        const long double *x = q->w[0] + i * q->cols;
        long double *y = q->w[q->variant ? 0 : 1] + i * q->cols, top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < q->cols; j++) top = x[j] > top ? x[j] : top;
        for (int64_t j = 0; j < q->cols; j++) sum += expl(x[j] - top);
        for (int64_t j = 0; j < q->cols; j++) y[j] = expl(x[j] - top) / sum;
    }
}

/* variant: 0: stored; 1: added; 2: stored to dy */
static void run_softmax_backward(problem *q)
{
    q->k->softmax_backward(q->cx, q->rows, q->cols, q->b[0], q->b[1], q->b[q->variant == 2 ? 1 : 2], q->variant == 1);
}
static void ref_softmax_backward(problem *q)
{
    for (int64_t i = 0; i < q->rows; i++) {
        const long double *y = q->w[0] + i * q->cols, *dy = q->w[1] + i * q->cols;
        long double *dx = q->w[q->variant == 2 ? 1 : 2] + i * q->cols, sum = 0;
        for (int64_t j = 0; j < q->cols; j++) sum += y[j] * dy[j];
        for (int64_t j = 0; j < q->cols; j++) {
            long double d = y[j] * (dy[j] - sum);
            dx[j] = q->variant == 1 ? dx[j] + d : d;
        }
    }
}
static void fill_probabilities(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->b[0][i] = (real)uniform(0, 2 / (double)q->cols);
}

/* Sums of float must have the accuracy of double: 1e-8 of float's last place. */
#define DOUBLE_SUM (REAL_BITS == 32 ? 1e-7 : 40)

static const test_case cases[] = {
    {"sum", FLAT, 1, one, NULL, run_sum, ref_sum, 0, 0, DOUBLE_SUM},
    {"sum_squares", FLAT, 1, one, NULL, run_squares, ref_squares, 0, 0, DOUBLE_SUM},
    {"sum_abs", FLAT, 1, one, NULL, run_abs, ref_abs, 0, 0, DOUBLE_SUM},
    {"dot", FLAT, 1, two, NULL, run_dot, ref_dot, 0, 0, DOUBLE_SUM},
    {"first_nonfinite", FLAT, 4, one, fill_nonfinite, run_nonfinite, ref_nonfinite, 0, 0, 0},
    {"column_sum", MATRIX, 2, column, NULL, run_column, ref_column, 1, REAL_BITS == 32 ? 1 : 100, 0},
    {"regularize", FLAT, 2, two, fill_zeros, run_regularize, ref_regularize, 1, 2, DOUBLE_SUM},
    {"max_norm", MATRIX, 1, one, fill_max_norm, run_max_norm, ref_max_norm, REAL_BITS == 32 ? 2 : 20, 0, 0},
    {"softmax_forward", MATRIX, 2, two, fill_softmax, run_softmax, ref_softmax, 8, 0, 0},
    {"softmax_backward", MATRIX, 3, three, fill_probabilities, run_softmax_backward, ref_softmax_backward, 4, 10, 0},
};

RANDOM_PROBLEM(reduce) { random_case(target, cases, COUNT(cases)); }

SUITE(reduce) { run_cases(cases, COUNT(cases)); }
