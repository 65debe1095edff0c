/* test_optim.c: optimizer steps against PyTorch's definitions, written out element by element. */
#include "cases.h"

/* Buffers: 0: p, 1: g, 2..4: slots. The variants differ in the step, weight decay and the options of the method. */
static void slots(problem *q) { q->length[0] = q->length[1] = q->length[2] = q->length[3] = q->length[4] = q->n; }

static fnn_optim options(const problem *q)
{
    return (fnn_optim){
        .learning_rate = 0.0625,
        .weight_decay = q->variant & 1 ? 0.125 : 0,
        .momentum = 0.875,
        .beta1 = 0.875,
        .beta2 = 0.984375,
        .epsilon = 0x1p-20,
        .step_min = 0x1p-20,
        .step_max = 3,
        .step = q->variant & 2 ? 7 : 1,
        .nesterov = q->variant >> 2 & 1,
        .decoupled = q->variant >> 2 & 1,
    };
}

static void step(problem *q, int method, const fnn_optim *h)
{
    fnn_update u = {.method = method, .h = *h, .p = q->b[0], .slots = {q->b[2], q->b[3], q->b[4]}};
    q->k->optimize(q->cx, q->n, &u, q->b[1]);
}

/* Second moments are positive; some gradients are 0 or tiny. */
static void fill_moments(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        q->b[2][i] = (real)uniform(0, 4);
        q->b[3][i] = (real)uniform(0, 4);
        if (i % 5 == 0) q->b[1][i] = 0;
        if (i % 7 == 0) q->b[1][i] = (real)1e-12;
    }
}

static long double decayed(const problem *q, const fnn_optim *h, int64_t i)
{
    return q->w[1][i] + (long double)h->weight_decay * q->w[0][i];
}

/* bit 3 of the variant: without momentum */
static void run_sgd(problem *q)
{
    fnn_optim h = options(q);
    if (q->variant & 8) h.momentum = 0;
    step(q, FNN_SGD, &h);
}
static void ref_sgd(problem *q)
{
    fnn_optim h = options(q);
    long double mu = (long double)h.momentum;
    for (int64_t i = 0; i < q->n; i++) {
        long double g = decayed(q, &h, i), *v = &q->w[2][i];
        if (!(q->variant & 8)) {
            *v = h.step == 1 ? g : mu * *v + g;
            g = h.nesterov ? g + mu * *v : *v;
        }
        q->w[0][i] -= (long double)h.learning_rate * g;
    }
}

/* bit 2: momentum, bit 3: centered */
static void fill_rmsprop(problem *q)
{
    fill_moments(q);
    for (int64_t i = 0; i < q->n; i++) q->b[4][i] = (real)(0.5 * sqrt((double)q->b[2][i]));
}
static void run_rmsprop(problem *q)
{
    fnn_optim h = options(q);
    if (!(q->variant & 4)) h.momentum = 0;
    h.centered = (q->variant & 8) != 0;
    step(q, FNN_RMSPROP, &h);
}
static void ref_rmsprop(problem *q)
{
    fnn_optim h = options(q);
    long double a = (long double)h.beta2;
    for (int64_t i = 0; i < q->n; i++) {
        long double g = decayed(q, &h, i), square = q->w[2][i] = a * q->w[2][i] + (1 - a) * g * g;
        if (q->variant & 8) {
            q->w[4][i] = a * q->w[4][i] + (1 - a) * g;
            square -= q->w[4][i] * q->w[4][i];
        }
        long double direction = g / (sqrtl(square) + (long double)h.epsilon);
        if (q->variant & 4) direction = q->w[3][i] = (long double)h.momentum * q->w[3][i] + direction;
        q->w[0][i] -= (long double)h.learning_rate * direction;
    }
}

static void run_adagrad(problem *q)
{
    fnn_optim h = options(q);
    step(q, FNN_ADAGRAD, &h);
}
static void ref_adagrad(problem *q)
{
    fnn_optim h = options(q);
    for (int64_t i = 0; i < q->n; i++) {
        long double g = decayed(q, &h, i);
        q->w[2][i] += g * g;
        q->w[0][i] -= (long double)h.learning_rate * g / (sqrtl(q->w[2][i]) + (long double)h.epsilon);
    }
}

static void run_adam(problem *q)
{
    fnn_optim h = options(q);
    step(q, FNN_ADAM, &h);
}
static void ref_adam(problem *q)
{
    fnn_optim h = options(q);
    long double b1 = (long double)h.beta1, b2 = (long double)h.beta2, rate = (long double)h.learning_rate;
    long double correction1 = 1 - powl(b1, (long double)h.step), correction2 = 1 - powl(b2, (long double)h.step);
    for (int64_t i = 0; i < q->n; i++) {
        long double g = h.decoupled ? q->w[1][i] : decayed(q, &h, i);
        if (h.decoupled) q->w[0][i] *= 1 - rate * (long double)h.weight_decay;
        q->w[2][i] = b1 * q->w[2][i] + (1 - b1) * g;
        q->w[3][i] = b2 * q->w[3][i] + (1 - b2) * g * g;
        long double denominator = sqrtl(q->w[3][i]) / sqrtl(correction2) + (long double)h.epsilon;
        q->w[0][i] -= rate / correction1 * q->w[2][i] / denominator;
    }
}

/* Sizes that reach both limits; previous gradients of 0 among them. */
static void fill_rprop(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        q->b[3][i] = i % 4 == 0 ? (real)0x1p-20 : i % 4 == 1 ? (real)2.9 : (real)uniform(0.01, 1);
        if (i % 5 == 0) q->b[2][i] = 0;
        if (i % 7 == 0) q->b[1][i] = 0;
    }
}
static fnn_optim rprop_options(const problem *q)
{
    fnn_optim h = options(q);
    h.beta1 = 0.5;
    h.beta2 = 1.25;
    return h;
}
static void run_rprop(problem *q)
{
    fnn_optim h = rprop_options(q);
    step(q, FNN_RPROP, &h);
}
static void ref_rprop(problem *q)
{
    fnn_optim h = rprop_options(q);
    for (int64_t i = 0; i < q->n; i++) {
        long double g = q->w[1][i], product = g * q->w[2][i], *size = &q->w[3][i];
        *size *= product > 0 ? (long double)h.beta2 : product < 0 ? (long double)h.beta1 : 1;
        *size = fminl(fmaxl(*size, (long double)h.step_min), (long double)h.step_max);
        if (product < 0) g = 0;
        q->w[0][i] -= (long double)((g > 0) - (g < 0)) * *size;
        q->w[2][i] = g;
    }
}

/* Every hyperparameter is exact in float, so what is left is rounding: a few units in the last place of values up to 8. */
static const test_case cases[] = {
    {"sgd", FLAT, 16, slots, fill_moments, run_sgd, ref_sgd, 1, 8, 0},
    {"rmsprop", FLAT, 16, slots, fill_rmsprop, run_rmsprop, ref_rmsprop, 4, 16, 0},
    {"adagrad", FLAT, 4, slots, fill_moments, run_adagrad, ref_adagrad, 2, 8, 0},
    {"adam", FLAT, 8, slots, fill_moments, run_adam, ref_adam, 4, 8, 0},
    {"rprop", FLAT, 4, slots, fill_rprop, run_rprop, ref_rprop, 1, 4, 0},
};

/* Without a gradient the averages do not linger among the denormals, in the mode that programs run in. */
static int is_denormal(real x) { return x != 0 && fabs((double)x) < (REAL_BITS == 32 ? (double)FLT_MIN : DBL_MIN); }

static void test_fading(const fnn_target *t)
{
    enum { N = 37, STEPS = 100 };
    fnn_ctx cx = {.threads = 1};
    real p[N], g[N] = {0}, m[N], v[N], tiny = (real)(4 * (REAL_BITS == 32 ? (double)FLT_MIN : DBL_MIN));
    fnn_update u = {.p = p, .slots = {m, v}, .h = {.learning_rate = 0.1, .momentum = 0.875, .beta1 = 0.875,
                                                   .beta2 = 0.875, .epsilon = 1e-8}};
    int faded = 1;
    unsigned mode = fnn_flush_denormals();
    for (int kind = 0; kind < 2; kind++) {
        u.method = kind == 0 ? FNN_ADAM : FNN_SGD;
        for (int i = 0; i < N; i++) p[i] = 1, m[i] = v[i] = tiny;
        for (u.h.step = 2; u.h.step < STEPS; u.h.step++) TABLE(t)->optimize(&cx, N, &u, g);
        for (int i = 0; i < N; i++) faded &= !is_denormal(m[i]) && !is_denormal(v[i]);
    }
    fnn_set_fp_mode(mode);
    CHECK(faded, "f%d %s: averages stay denormal", REAL_BITS, t->name);
}

RANDOM_PROBLEM(optim) { random_case(target, cases, COUNT(cases)); }

SUITE(optim)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    run_cases(cases, COUNT(cases));
    for (int t = 0; t < count; t++) test_fading(targets[t]);
}
