/* test_math.c: the elementary functions against long double over their whole range, within the bounds that simd/math.h
 * states, and at the values where they go special. */
#include "harness.h"

typedef void (*function)(const fnn_ctx *, int64_t, const real *, real *);

typedef struct {
    const char *name;
    double ulps, low, high; /* range of the samples; the functions are sampled densely near 0 besides */
    long double (*reference)(long double);
} math_case;

static long double sigmoidl(long double x) { return 1 / (1 + expl(-x)); }

#define EXP_EDGE (REAL_BITS == 32 ? 104 : 746)
static const math_case cases[] = {
    {"vexp", 1.5, -EXP_EDGE, EXP_EDGE, expl},
    {"vlog", 1.5, 0, 10, logl},
    {"vtanh", 3, -20, 20, tanhl},
    {"vsigmoid", 3, -EXP_EDGE, 40, sigmoidl},
    {"verf", 2, -7, 7, erfl},
};

static function kernel(const KERNELS *k, int i)
{
    const function all[] = {k->vexp, k->vlog, k->vtanh, k->vsigmoid, k->verf};
    return all[i];
}

/* Distance from the exact value in units of the last place of real, which below the normal range are denormals. */
static long double ulps(real got, long double want)
{
    if (isnan(want)) return isnan((double)got) ? 0 : INFINITY;
    if ((long double)got == want || (isinf((double)got) && (real)want == got)) return 0;
    int exponent;
    frexpl(want, &exponent);
    long double unit = ldexpl(EPSILON, exponent - 1);
    return fabsl((long double)got - want) / (unit > SMALLEST ? unit : SMALLEST);
}

/* Every other sample lies near 0, or has any exponent at all. */
static real sample(const math_case *c, int i)
{
    int log_like = c->low == 0;
    if (i % 4 == 0) return (real)(uniform(log_like ? 0.5 : -2, 2));
    if (i % 4 == 1) {
        real tiny = (real)ldexp(uniform(1, 2), (int)(uniform(-1, log_like ? 1 : 0) * (REAL_BITS == 32 ? 140 : 1060)));
        return log_like || i % 8 == 1 ? tiny : -tiny;
    }
    return (real)uniform(c->low, c->high);
}

RANDOM_PROBLEM(math)
{
    const int which = (int)below(COUNT(cases)), first = (int)below(8);
    const math_case *c = &cases[which];
    const int64_t n = below(100);
    fnn_ctx cx = {.threads = 1};
    problem_begins();
    real *x = REALS(0, n, ANYWHERE), *y = REALS(1, n, ANYWHERE);
    for (int64_t i = 0; i < n; i++) x[i] = sample(c, first + (int)i);
    kernel(TABLE(target), which)(&cx, n, x, y);
    int64_t wrong = 0;
    while (wrong < n && ulps(y[wrong], c->reference((long double)x[wrong])) <= (long double)c->ulps) wrong++;
    CHECK(wrong == n && guards_intact(), "%s f%d %s: %.17g gives %.17g", c->name, REAL_BITS, target->name,
          wrong < n ? (double)x[wrong] : 0.0, wrong < n ? (double)y[wrong] : 0.0);
}

static void test_bound(const fnn_target *target, int which)
{
    enum { BLOCK = 1000 };
    static real x[BLOCK], y[BLOCK];
    const math_case *c = &cases[which];
    fnn_ctx cx = {.threads = 1};
    const int blocks = thinned ? 15 : 400;
    long double worst = 0;
    real at = 0;
    for (int b = 0; b < blocks; b++) {
        for (int i = 0; i < BLOCK; i++) x[i] = sample(c, i);
        kernel(TABLE(target), which)(&cx, BLOCK, x, y);
        for (int i = 0; i < BLOCK; i++) {
            long double error = ulps(y[i], c->reference((long double)x[i]));
            if (error > worst) {
                worst = error;
                at = x[i];
            }
        }
    }
    CHECK(worst <= (long double)c->ulps, "%s f%d %s: %.3Lf ulp at %.17g", c->name, REAL_BITS, target->name, worst,
          (double)at);
    if (getenv("FNN_SHOW_ERRORS"))
        printf("%-9s f%d %-8s %.3Lf ulp at %.9g\n", c->name, REAL_BITS, target->name, worst, (double)at);
}

static void test_special(const fnn_target *target)
{
    const real inf = (real)INFINITY, nan = (real)NAN;
    const struct {
        int which;
        real x, y;
    } rows[] = {
        {0, -inf, 0}, {0, inf, inf}, {0, nan, nan}, {0, 0, 1}, {0, LARGEST, inf}, {0, -LARGEST, 0},
        {1, 0, -inf}, {1, (real)-0.0, -inf}, {1, -1, nan}, {1, -inf, nan}, {1, inf, inf}, {1, nan, nan}, {1, 1, 0},
        {2, inf, 1}, {2, -inf, -1}, {2, nan, nan}, {2, 0, 0}, {2, (real)-0.0, (real)-0.0}, {2, LARGEST, 1},
        {3, inf, 1}, {3, -inf, 0}, {3, nan, nan}, {3, 0, (real)0.5}, {3, -LARGEST, 0}, {3, LARGEST, 1},
        {4, inf, 1}, {4, -inf, -1}, {4, nan, nan}, {4, 0, 0}, {4, (real)-0.0, (real)-0.0}, {4, LARGEST, 1},
    };
    fnn_ctx cx = {.threads = 1};
    for (int i = 0; i < COUNT(rows); i++)
        for (int n = 1; n <= 33; n += 32) { /* alone under a mask, and in every lane */
            real x[33], y[33];
            int right = 1;
            for (int j = 0; j < n; j++) x[j] = rows[i].x;
            kernel(TABLE(target), rows[i].which)(&cx, n, x, y);
            for (int j = 0; j < n; j++)
                right &= isnan((double)rows[i].y) ? isnan((double)y[j])
                                                  : y[j] == rows[i].y && signbit(y[j]) == signbit(rows[i].y);
            CHECK(right, "%s f%d %s of %g is %g, not %g", cases[rows[i].which].name, REAL_BITS, target->name,
                  (double)rows[i].x, (double)y[0], (double)rows[i].y);
        }
}

SUITE(math)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        for (int i = 0; i < COUNT(cases); i++) test_bound(targets[t], i);
        test_special(targets[t]);
        for (int i = 0; i < problems(1000); i++) RANDOM(math)(targets[t]);
    }
}
