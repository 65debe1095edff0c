/* test_eltwise.c: elementwise kernels, activations and copies. */
#include "cases.h"

/* ---- lengths: how many of the buffers are n long ------------------------------------------------------------- */

static void one(problem *q) { q->length[0] = q->n; }
static void two(problem *q) { q->length[0] = q->length[1] = q->n; }
static void all(problem *q) { for (int i = 0; i < BUFFERS; i++) q->length[i] = q->n; }
static void three(problem *q) { q->length[0] = q->length[1] = q->length[2] = q->n; }

/* ---- simple arithmetic; a variant of 1 works in place --------------------------------------------------------- */

#define OUT (q->variant ? 0 : 1)

static void run_fill(problem *q) { q->k->fill(q->cx, q->n, 1.75, q->b[0]); }
static void ref_fill(problem *q) { for (int64_t i = 0; i < q->n; i++) q->w[0][i] = 1.75L; }
static void run_copy(problem *q) { q->k->copy(q->cx, q->n, q->b[0], q->b[OUT]); }
static void ref_copy(problem *q) { for (int64_t i = 0; i < q->n; i++) q->w[OUT][i] = q->w[0][i]; }
static void run_scale(problem *q) { q->k->scale(q->cx, q->n, -0.3, q->b[0]); }
static void ref_scale(problem *q) { for (int64_t i = 0; i < q->n; i++) q->w[0][i] *= (long double)(real)-0.3; }
static void run_add(problem *q) { q->k->add(q->cx, q->n, q->b[0], q->b[2], q->b[OUT]); }
static void ref_add(problem *q) { for (int64_t i = 0; i < q->n; i++) q->w[OUT][i] = q->w[0][i] + q->w[2][i]; }
static void run_axpy(problem *q) { q->k->axpy(q->cx, q->n, 0.7, q->b[0], q->b[1]); }
static void ref_axpy(problem *q) { for (int64_t i = 0; i < q->n; i++) q->w[1][i] += (long double)(real)0.7 * q->w[0][i]; }
/* One, two or three vectors; the sum lands in the first. */
static void run_combine(problem *q)
{
    q->k->combine(q->cx, q->n, q->variant + 1, (const double[]){0.25, -1.5, 0.7},
                  (const real *const[]){q->b[0], q->b[1], q->b[2]}, q->b[0]);
}
static void ref_combine(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        q->w[0][i] *= 0.25L;
        if (q->variant > 0) q->w[0][i] += -1.5L * q->w[1][i];
        if (q->variant > 1) q->w[0][i] += (long double)(real)0.7 * q->w[2][i];
    }
}
/* variant: 2 for accumulate, 1 for in place */
static void run_mul(problem *q) { q->k->mul(q->cx, q->n, q->b[0], q->b[2], q->b[q->variant % 2 ? 0 : 1], q->variant / 2); }
static void ref_mul(problem *q)
{
    long double *y = q->w[q->variant % 2 ? 0 : 1];
    for (int64_t i = 0; i < q->n; i++) y[i] = q->w[0][i] * q->w[2][i] + (q->variant / 2 ? y[i] : 0);
}
static void run_clip(problem *q) { q->k->clip(q->cx, q->n, 1.5, q->b[0]); }
static void ref_clip(problem *q)
{
    for (int64_t i = 0; i < q->n; i++)
        if (!isnan(q->w[0][i])) q->w[0][i] = fminl(fmaxl(q->w[0][i], -1.5L), 1.5L);
}
static void fill_clip(problem *q)
{
    const real values[] = {(real)NAN, (real)INFINITY, -(real)INFINITY, LARGEST, (real)1.5, 0};
    for (int64_t i = 0; i < q->n; i += 2) q->b[0][i] = values[i / 2 % COUNT(values)];
}

/* ---- activations: variant = 2 kind + in place or accumulate ---------------------------------------------------- */

static const double alpha = 0.3;

static long double sigmoidl(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static long double cdf(long double x) { return 0.5L * erfcl(-x * sqrtl(0.5L)); }
static const long double selu_lambda = 1.0507009873554804934193349852946L, selu_alpha = 1.6732632423543772848170429916717L;

static long double activation(int kind, long double x)
{
    long double a = (long double)(real)alpha;
    switch ((fnn_activation)kind) {
    case FNN_LINEAR: return x;
    case FNN_RELU: return x > 0 ? x : x < 0 ? 0 : x;
    case FNN_LEAKY_RELU: return x > 0 ? x : a * x;
    case FNN_ELU: return x > 0 ? x : a * expm1l(x);
    case FNN_SELU: return selu_lambda * (x > 0 ? x : selu_alpha * expm1l(x));
    case FNN_SIGMOID: return sigmoidl(x);
    case FNN_TANH: return tanhl(x);
    case FNN_SOFTPLUS: return isinf(x) ? (x > 0 ? x : 0) : (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
    case FNN_EXPONENTIAL: return expl(x);
    case FNN_SILU: return isinf(x) && x < 0 ? 0 : x * sigmoidl(x);
    case FNN_GELU: return isinf(x) && x < 0 ? 0 : x * cdf(x);
    case FNN_ACTIVATION_COUNT: break;
    }
    return (long double)NAN;
}

/* f' from the saved value, as fastnn.h says which */
static long double derivative(int kind, long double s)
{
    long double a = (long double)(real)alpha;
    switch ((fnn_activation)kind) {
    case FNN_LINEAR: return 1;
    case FNN_RELU: return s > 0;
    case FNN_LEAKY_RELU: return s > 0 ? 1 : a;
    case FNN_ELU: return s > 0 ? 1 : s + a;
    case FNN_SELU: return s > 0 ? selu_lambda : s + selu_lambda * selu_alpha;
    case FNN_SIGMOID: return s * (1 - s);
    case FNN_TANH: return 1 - s * s;
    case FNN_SOFTPLUS: return -expm1l(-s);
    case FNN_EXPONENTIAL: return s;
    case FNN_SILU: return sigmoidl(s) * (1 + s * (1 - sigmoidl(s)));
    case FNN_GELU: return cdf(s) + s * expl(-s * s / 2) * 0.39894228040143267794L;
    case FNN_ACTIVATION_COUNT: break;
    }
    return (long double)NAN;
}

static void fill_activation(problem *q)
{
    const real values[] = {(real)NAN, (real)INFINITY, -(real)INFINITY, 0, (real)1e-6, (real)-1e-6, LARGEST / 2, -LARGEST / 2, 40, -40};
    for (int64_t i = 0; i < q->n; i++) q->b[0][i] = i % 3 ? (real)uniform(-12, 12) : values[i / 3 % COUNT(values)];
}
static void run_activation(problem *q)
{
    q->k->activation_forward(q->cx, q->variant / 2, alpha, q->n, q->b[0], q->b[q->variant % 2 ? 0 : 1]);
}
static void ref_activation(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->w[q->variant % 2 ? 0 : 1][i] = activation(q->variant / 2, q->w[0][i]);
}

/* The last of them apart, since its error is larger. */
_Static_assert(FNN_GELU + 1 == FNN_ACTIVATION_COUNT, "gelu is the last activation");
static void run_gelu(problem *q)
{
    q->k->activation_forward(q->cx, FNN_GELU, alpha, q->n, q->b[0], q->b[q->variant % 2 ? 0 : 1]);
}
static void ref_gelu(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->w[q->variant % 2 ? 0 : 1][i] = activation(FNN_GELU, q->w[0][i]);
}

/* Forward with the derivative gives what forward and backward give, where dy is 1. */
static void run_slope(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->b[5][i] = 1;
    q->k->activation_slope(q->cx, q->variant, alpha, q->n, q->b[0], q->b[1], q->b[2]);
    q->k->activation_forward(q->cx, q->variant, alpha, q->n, q->b[0], q->b[3]);
    const real *saved = q->b[q->variant == FNN_SILU || q->variant == FNN_GELU ? 0 : 3];
    q->k->activation_backward(q->cx, q->variant, alpha, q->n, saved, q->b[5], q->b[4], 0);
}
static void ref_slope(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) {
        q->w[1][i] = q->w[3][i] = q->b[3][i];
        q->w[2][i] = q->w[4][i] = q->b[4][i];
        q->w[5][i] = 1;
    }
}

/* Outputs that the activation can have, or inputs for those whose derivative asks for them. */
static void fill_backward(problem *q)
{
    enum { PERIOD = 1000 }; /* of the problems for several threads, whose values matter less than the references' time */
    for (int64_t i = 0; i < q->n; i++) {
        long double x = (long double)uniform(-9, 9);
        int kind = q->variant / 3;
        if (i >= PERIOD) q->b[0][i] = q->b[0][i - PERIOD];
        else q->b[0][i] = kind == FNN_SILU || kind == FNN_GELU ? (real)x : (real)activation(kind, x);
    }
}
/* variant % 3: 0: stored; 1: added; 2: stored to dy */
static void run_backward(problem *q)
{
    int how = q->variant % 3;
    q->k->activation_backward(q->cx, q->variant / 3, alpha, q->n, q->b[0], q->b[1], q->b[how == 2 ? 1 : 2], how == 1);
}
static void ref_backward(problem *q)
{
    int how = q->variant % 3;
    for (int64_t i = 0; i < q->n; i++) {
        long double d = q->w[1][i] * derivative(q->variant / 3, q->w[0][i]);
        q->w[how == 2 ? 1 : 2][i] = how == 1 ? q->w[2][i] + d : d;
    }
}

/* ---- copies ---------------------------------------------------------------------------------------------------- */

/* Bits of the variant: 1: from strided rows, 2: added, 4: to strided rows. */
static int64_t lds(const problem *q) { return q->cols + (q->variant & 1 ? 3 : 0); }
static int64_t ldd(const problem *q) { return q->cols + (q->variant & 4 ? 5 : 0); }
static void strided(problem *q)
{
    q->length[0] = q->rows ? (q->rows - 1) * lds(q) + q->cols : 0;
    q->length[1] = q->rows ? (q->rows - 1) * ldd(q) + q->cols : 0;
}
static void run_copy_2d(problem *q)
{
    q->k->copy_2d(q->cx, q->rows, q->cols, q->b[0], lds(q), q->b[1], ldd(q), (q->variant & 2) != 0);
}
static void ref_copy_2d(problem *q)
{
    for (int64_t i = 0; i < q->rows; i++)
        for (int64_t j = 0; j < q->cols; j++) {
            long double *to = &q->w[1][i * ldd(q) + j], from = q->w[0][i * lds(q) + j];
            *to = q->variant & 2 ? *to + from : from;
        }
}
static void run_gather(problem *q) { q->k->gather_rows(q->cx, q->rows, q->cols, q->index, q->b[0], q->b[1]); }
static void ref_gather(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->w[1][i] = q->w[0][q->index[i / q->cols] * q->cols + i % q->cols];
}
static void run_scatter(problem *q) { q->k->scatter_rows(q->cx, q->rows, q->cols, q->index, q->b[0], q->b[1]); }
static void ref_scatter(problem *q)
{
    for (int64_t i = 0; i < q->n; i++) q->w[1][q->index[i / q->cols] * q->cols + i % q->cols] = q->w[0][i];
}

/* Forward: 4 units in the last place; gelu 6, in its tail: from -12.5 on, before which float has no normal number for the
 * normal distribution's value. What stands beside the relative error is for products with 1 + x (silu, gelu) and sums that
 * cancel (dx + d). */
static const test_case cases[] = {
    {"fill", FLAT, 1, one, NULL, run_fill, ref_fill, 0, 0, 0},
    {"copy", FLAT, 2, two, NULL, run_copy, ref_copy, 0, 0, 0},
    {"scale", FLAT, 1, one, NULL, run_scale, ref_scale, 0.5, 0, 0},
    {"add", FLAT, 2, three, NULL, run_add, ref_add, 0.5, 0, 0},
    {"axpy", FLAT, 1, two, NULL, run_axpy, ref_axpy, 0.5, 2, 0},
    /* absolute: half a unit of each product and sum on the way, which are at most 1, 6, 7, 2.8 and 9.8 */
    {"combine", FLAT, 3, three, NULL, run_combine, ref_combine, 0, 13.4, 0},
    {"clip", FLAT, 1, one, fill_clip, run_clip, ref_clip, 0, 0, 0},
    {"activation_forward", FLAT, 2 * FNN_GELU, two, fill_activation, run_activation, ref_activation, 4, 0, 0},
    {"gelu_forward", FLAT, 2, two, fill_activation, run_gelu, ref_gelu, 6, 0, 0},
    {"activation_backward", FLAT, 3 * FNN_ACTIVATION_COUNT, three, fill_backward, run_backward, ref_backward, 4, 6, 0},
    {"copy_2d", MATRIX, 8, strided, NULL, run_copy_2d, ref_copy_2d, 0.5, 0, 0},
    {"gather_rows", MATRIX, 2, two, NULL, run_gather, ref_gather, 0, 0, 0},
    {"scatter_rows", MATRIX, 1, two, NULL, run_scatter, ref_scatter, 0, 0, 0},
    {"mul", FLAT, 4, three, NULL, run_mul, ref_mul, 2, 8, 0},
    {"activation_slope", FLAT, FNN_ACTIVATION_COUNT, all, fill_activation, run_slope, ref_slope, 1, 0, 0},
};

RANDOM_PROBLEM(eltwise) { random_case(target, cases, COUNT(cases)); }

SUITE(eltwise) { run_cases(cases, COUNT(cases)); }
