/* test_loss.c: losses, their gradients, weights, smoothing. */
#include "cases.h"

/* Buffers: 0: p, 1: y, 2: w, 3: dp. Bits of the variant: */
enum { WEIGHTED = 1, NO_GRADIENT = 2, SMOOTH = 4 };

static void usual(problem *q)
{
    q->length[0] = q->length[1] = q->length[3] = q->n;
    q->length[2] = q->rows;
}
static void with_quantiles(problem *q)
{
    usual(q);
    q->length[1] = q->rows;
}
static void with_variances(problem *q)
{
    usual(q);
    q->length[0] = q->length[3] = 2 * q->n;
}

static double quantiles[4096];

static fnn_loss dims(const problem *q, double parameter)
{
    return (fnn_loss){.rows = q->rows, .cols = q->cols, .scale = 0.125, .param = parameter, .levels = quantiles};
}
static const real *weights(const problem *q) { return q->variant & WEIGHTED ? q->b[2] : NULL; }
static real *gradient(const problem *q) { return q->variant & NO_GRADIENT ? NULL : q->b[3]; }
static long double weight(const problem *q, int64_t row) { return q->variant & WEIGHTED ? q->w[2][row] : 1; }

/* An element of a loss: l and dl/dp. */
typedef struct {
    long double l, slope;
} term;

static void add_term(problem *q, int64_t row, int64_t at, term t, int64_t per_row)
{
    long double w = weight(q, row);
    q->want += w * t.l / (long double)per_row;
    q->size += fabsl(w * t.l) / (long double)per_row + fabsl(w) / (long double)per_row;
    if (!(q->variant & NO_GRADIENT)) q->w[3][at] = 0.125L * w * t.slope / (long double)per_row;
}

static void elementwise(problem *q, term (*f)(long double p, long double y, long double c), double parameter)
{
    for (int64_t i = 0; i < q->n; i++)
        add_term(q, i / q->cols, i, f(q->w[0][i], q->w[1][i], (long double)parameter), q->cols);
}

static term mse(long double p, long double y, long double c) { return (void)c, (term){(p - y) * (p - y), 2 * (p - y)}; }
static term mae(long double p, long double y, long double c)
{
    (void)c;
    return (term){fabsl(p - y), (long double)((p > y) - (p < y))};
}
static term huber(long double p, long double y, long double delta)
{
    long double e = p - y, a = fabsl(e);
    return a <= delta ? (term){e * e / 2, e} : (term){delta * (a - delta / 2), copysignl(delta, e)};
}
static term bce(long double p, long double y, long double s)
{
    long double t = y * (1 - s) + s / 2;
    return (term){fmaxl(p, 0) - p * t + log1pl(expl(-fabsl(p))), (p < 0 ? expl(p) / (1 + expl(p)) : 1 / (1 + expl(-p))) - t};
}
static term poisson(long double p, long double y, long double c) { return (void)c, (term){expl(p) - y * p, expl(p) - y}; }
static term poisson_rate(long double p, long double y, long double c)
{
    (void)c;
    return (term){p - y * logl(p + 1e-8L), 1 - y / (p + 1e-8L)};
}
static term hinge(long double p, long double y, long double c)
{
    (void)c;
    return 1 - y * p > 0 ? (term){1 - y * p, -y} : (term){0, 0};
}

#define ELEMENTWISE(name, kernel, parameter)                                                                         \
    static void run_##name(problem *q)                                                                               \
    {                                                                                                                \
        fnn_loss d = dims(q, parameter);                                                                             \
        q->k->kernel(q->cx, &d, q->b[0], q->b[1], weights(q), gradient(q), &q->result);                              \
    }                                                                                                                \
    static void ref_##name(problem *q) { elementwise(q, name, parameter); }
ELEMENTWISE(mse, loss_mse, 0)
ELEMENTWISE(mae, loss_mae, 0)
ELEMENTWISE(huber, loss_huber, 0.75)
ELEMENTWISE(bce, loss_binary_cross_entropy, q->variant & SMOOTH ? 0.125 : 0)
ELEMENTWISE(poisson, loss_poisson, 0)
ELEMENTWISE(poisson_rate, loss_poisson_rate, 0)
ELEMENTWISE(hinge, loss_hinge, 0)

static void fill_equal(problem *q) { for (int64_t i = 0; i < q->n; i += 4) q->b[1][i] = q->b[0][i]; }
/* Logits up to +-400, targets 0 and 1 and between. */
static void fill_bce(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        q->b[1][i] = i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : (real)uniform(0, 1);
        if (i % 5 == 0) q->b[0][i] *= 100;
    }
}
static void fill_counts(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        q->b[0][i] = (real)uniform(0.1, 3);
        q->b[1][i] = (real)below(6);
    }
}
static void fill_signs(problem *q) { for (int64_t i = 0; i < q->n; i++) q->b[1][i] = below(2) ? 1 : -1; }

static void fill_quantile(problem *q)
{
    for (int64_t j = 0; j < q->cols; j++) quantiles[j] = (double)(j % 8 + 1) / 16;
    for (int64_t i = 0; i < q->rows; i += 3) q->b[1][i] = q->b[0][i * q->cols];
}
static void run_quantile(problem *q)
{
    fnn_loss d = dims(q, 0);
    q->k->loss_quantile(q->cx, &d, q->b[0], q->b[1], weights(q), gradient(q), &q->result);
}
static void ref_quantile(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        long double e = q->w[1][i / q->cols] - q->w[0][i], level = (long double)quantiles[i % q->cols];
        long double l = fmaxl(level * e, (level - 1) * e);
        add_term(q, i / q->cols, i, (term){l, e > 0 ? -level : e < 0 ? 1 - level : 0}, q->cols);
    }
}

/* SMOOTH: with a floor that some log variances are below */
static double floor_of(const problem *q) { return q->variant & SMOOTH ? -1.5 : -(double)INFINITY; }
static void run_gaussian(problem *q)
{
    fnn_loss d = dims(q, floor_of(q));
    q->k->loss_gaussian_nll(q->cx, &d, q->b[0], q->b[1], weights(q), gradient(q), &q->result);
}
static void ref_gaussian(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        int64_t row = i / q->cols, at = row * 2 * q->cols + i % q->cols;
        long double given = q->w[0][at + q->cols], s = fmaxl(given, (long double)floor_of(q));
        long double e = q->w[1][i] - q->w[0][at], inverse = expl(-s);
        add_term(q, row, at, (term){(s + e * e * inverse) / 2, -e * inverse}, q->cols);
        q->size += fabsl(weight(q, row)) * (fabsl(s) + e * e * inverse) / (long double)q->cols;
        if (!(q->variant & NO_GRADIENT))
            q->w[3][at + q->cols] = 0.125L * weight(q, row) * expl(given - s) * (1 - e * e * inverse) / 2 / (long double)q->cols;
    }
}

/* Some rows are sure of a class by far. */
static void fill_logits(problem *q)
{
    for (int64_t i = 0; i < q->rows; i += 3) q->b[0][i * q->cols + below(q->cols)] += 500;
    for (int64_t i = 0; i < q->n; i++) q->b[1][i] = (real)uniform(0, 1);
}
static double smoothing(const problem *q) { return q->variant & SMOOTH ? 0.125 : 0; }
static void run_labels(problem *q)
{
    fnn_loss d = dims(q, smoothing(q));
    q->k->loss_cross_entropy(q->cx, &d, q->b[0], q->labels, weights(q), gradient(q), &q->result);
}
static void run_dense(problem *q)
{
    fnn_loss d = dims(q, smoothing(q));
    q->k->loss_cross_entropy_dense(q->cx, &d, q->b[0], q->b[1], weights(q), gradient(q), &q->result);
}
static void cross_entropy(problem *q, int dense)
{
    long double s = (long double)smoothing(q);
    for (int64_t i = 0; i < q->rows; i++) {
        const long double *p = q->w[0] + i * q->cols, *y = q->w[1] + i * q->cols;
        long double top = -INFINITY, sum = 0, targets = 0;
        for (int64_t j = 0; j < q->cols; j++) top = fmaxl(top, p[j]);
        for (int64_t j = 0; j < q->cols; j++) sum += expl(p[j] - top);
        for (int64_t j = 0; j < q->cols; j++)
            targets += (dense ? y[j] : j == q->labels[i]) * (1 - s) + s / (long double)q->cols;
        for (int64_t j = 0; j < q->cols; j++) {
            long double t = (dense ? y[j] : j == q->labels[i]) * (1 - s) + s / (long double)q->cols;
            term e = {t * (logl(sum) + top - p[j]), expl(p[j] - top) / sum * targets - t};
            add_term(q, i, i * q->cols + j, e, 1);
        }
    }
}
static void ref_labels(problem *q) { cross_entropy(q, 0); }
static void ref_dense(problem *q) { cross_entropy(q, 1); }

/* Gradients are differences (p - y, softmax - t), so they get an absolute part too: EPSILON times what is subtracted, at
 * most e^4 for poisson and gaussian_nll. */
static const test_case cases[] = {
    {"loss_mse", MATRIX, 4, usual, fill_equal, run_mse, ref_mse, 2, 4, 8},
    {"loss_mae", MATRIX, 4, usual, fill_equal, run_mae, ref_mae, 2, 0, 4},
    {"loss_huber", MATRIX, 4, usual, fill_equal, run_huber, ref_huber, 2, 4, 8},
    {"loss_bce", MATRIX, 8, usual, fill_bce, run_bce, ref_bce, 4, 4, 16},
    {"loss_poisson", MATRIX, 4, usual, NULL, run_poisson, ref_poisson, 4, 60, 60},
    {"loss_poisson_rate", MATRIX, 4, usual, fill_counts, run_poisson_rate, ref_poisson_rate, 4, 60, 16},
    {"loss_hinge", MATRIX, 4, usual, fill_signs, run_hinge, ref_hinge, 2, 0, 8},
    {"loss_quantile", MATRIX, 4, with_quantiles, fill_quantile, run_quantile, ref_quantile, 4, 0, 8},
    {"loss_gaussian_nll", MATRIX, 8, with_variances, NULL, run_gaussian, ref_gaussian, 8, 60, 16},
    {"loss_cross_entropy", MATRIX, 8, usual, fill_logits, run_labels, ref_labels, 8, 8, 8},
    {"loss_cross_entropy_dense", MATRIX, 8, usual, fill_logits, run_dense, ref_dense, 8, 40, 8},
};

/* A row that is sure of its class by z has the loss log(1 + exp(-z)); what float loses of 1 + exp(-z) is not lost. */
static void test_small_losses(const fnn_target *target)
{
    fnn_ctx cx = {.threads = 1};
    for (real z = 1; z < 60; z += 1) {
        const real p[2] = {0, -z};
        const int32_t label = 0;
        double loss = 0;
        fnn_loss d = {.rows = 1, .cols = 2, .scale = 1};
        TABLE(target)->loss_cross_entropy(&cx, &d, p, &label, NULL, NULL, &loss);
        long double want = log1pl(expl(-(long double)z));
        CHECK(fabsl((long double)loss - want) <= 4 * EPSILON * want + (long double)DBL_EPSILON,
              "f%d %s: loss at %g is %.9g, not %.9Lg", REAL_BITS, target->name, (double)z, loss, want);
    }
}

RANDOM_PROBLEM(loss) { random_case(target, cases, COUNT(cases)); }

SUITE(loss)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    run_cases(cases, COUNT(cases));
    for (int t = 0; t < count; t++) test_small_losses(targets[t]);
}
