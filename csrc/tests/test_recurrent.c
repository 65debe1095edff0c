/* test_recurrent.c: recurrent networks and their gradients through all steps against long double, on every target, with
 * masks, initial states and gradients that are added. Every buffer lies against an inaccessible page. */
#include "harness.h"

enum { X, W, U, BIAS, RBIAS, H0, C0, MASK, Y, C_LAST, TAPE, ARRAYS };

/* The arrays of a problem, each with its gradient; DH, say, is d[H0]. */
typedef struct {
    const fnn_target *target;
    fnn_recurrent d;
    int threads, gates;
    int has[ARRAYS];
    int64_t size[ARRAYS];
    real *a[ARRAYS], *da[ARRAYS];
    long double *want[ARRAYS], *dwant[ARRAYS], *dsize[ARRAYS]; /* dsize: sums of the magnitudes that went into dwant */
} problem_net;

static int differentiable(int array) { return array <= C0; }
static int output(int array) { return array == Y || array == C_LAST; }
static int unguarded(int array) { return array > BIAS && array < Y; } /* of the gradients */

static void set_sizes(problem_net *q)
{
    const fnn_recurrent *d = &q->d;
    const int64_t width = q->gates * d->units, states = d->rows * d->units;
    const int64_t sizes[ARRAYS] = {d->rows * d->steps * d->inputs, d->inputs * width, d->units * width, width, width,
                                   states, states, d->rows * d->steps, d->rows * d->row_y, d->rows * d->row_y, 0};
    memcpy(q->size, sizes, sizeof sizes);
}

/* The arrays and six of the gradients lie in guarded slots; behind them are the scratch's and the tape's. */
enum { SCRATCH_SLOT = 16, TAPE_SLOT };
static void set_up(problem_net *q, const fnn_target *target, fnn_recurrent d)
{
    int slot = 0;
    problem_begins();
    *q = (problem_net){.target = target, .d = d, .threads = 1};
    q->gates = d.cell == FNN_LSTM ? 4 : d.cell == FNN_GRU ? 3 : 1;
    set_sizes(q);
    for (int i = 0; i < ARRAYS; i++) q->has[i] = 1;
    q->has[C0] = q->has[C_LAST] = d.cell == FNN_LSTM && below(2);
    q->has[H0] = (int)below(2), q->has[MASK] = (int)below(2), q->has[BIAS] = below(4) != 0;
    q->has[RBIAS] = q->has[BIAS] && d.cell == FNN_GRU;
    for (int i = 0; i < TAPE; i++) {
        double limit = i == W ? 1 / sqrt((double)d.inputs) : i == U ? 1 / sqrt((double)d.units) : 1;
        size_t count = (size_t)q->size[i] + 1; /* calloc(0) may give NULL */
        size_t bytes = (size_t)q->size[i] * sizeof(real);
        q->a[i] = REALS(slot++, q->size[i], ANYWHERE);
        q->da[i] = unguarded(i) ? malloc(bytes + 1) : REALS(slot++, q->size[i], ANYWHERE);
        q->want[i] = calloc(count, sizeof(long double));
        q->dwant[i] = calloc(count, sizeof(long double));
        q->dsize[i] = calloc(count, sizeof(long double));
        for (int64_t j = 0; j < q->size[i]; j++) {
            q->a[i][j] = i == MASK ? (real)(below(3) != 0) : (real)uniform(-limit, limit);
            q->da[i][j] = (real)uniform(-1, 1);
        }
    }
}

static void tear_down(problem_net *q)
{
    for (int i = 0; i < TAPE; i++) {
        if (unguarded(i)) free(q->da[i]);
        free(q->want[i]), free(q->dwant[i]), free(q->dsize[i]);
    }
}

static real *given(problem_net *q, int array) { return q->has[array] ? q->a[array] : NULL; }
static real *gradient(problem_net *q, int array) { return q->has[array] ? q->da[array] : NULL; }

/* Forward with and without a tape must give the same bits; the gradients are those of y and c_last in da. */
static void run(problem_net *q, int backward)
{
    const KERNELS *k = TABLE(q->target);
    fnn_ctx cx = {.threads = q->threads};
    int64_t tape;
    k->recurrent_scratch(&cx, &q->d, &cx.scratch_size, &tape);
    cx.scratch = scratch_of(SCRATCH_SLOT, cx.scratch_size);
    soil(cx.scratch, cx.scratch_size);
    q->a[TAPE] = scratch_of(TAPE_SLOT, (size_t)tape * sizeof(real));
    k->recurrent_forward(&cx, &q->d, q->a[X], q->a[W], q->a[U], given(q, BIAS), given(q, RBIAS), given(q, H0),
                         given(q, C0), given(q, MASK), q->a[Y], given(q, C_LAST), backward ? q->a[TAPE] : NULL);
    if (backward)
        k->recurrent_backward(&cx, &q->d, q->a[X], q->a[W], q->a[U], given(q, MASK), q->a[TAPE], q->da[Y],
                              gradient(q, C_LAST), q->da[X], q->da[W], q->da[U], gradient(q, BIAS), gradient(q, RBIAS),
                              gradient(q, H0), gradient(q, C0));
}

/* ---- the reference: one row, one step, one unit at a time ----------------------------------------------------- */

static long double sigmoid(long double x) { return 1 / (1 + expl(-x)); }

/* What a step of a row leaves: gates after their activation, GRU's h U + b of n, the states after it. */
typedef struct {
    long double *gates, *inner, *h, *c;
} moment;

static void step_forward(const problem_net *q, int64_t row, int64_t time, const moment *before, moment *now)
{
    const fnn_recurrent *d = &q->d;
    const int64_t n = d->units, width = q->gates * n;
    const real *x = q->a[X] + (row * d->steps + time) * d->inputs;
    for (int64_t j = 0; j < width; j++) {
        long double sum = q->has[BIAS] ? q->a[BIAS][j] : 0, inner = q->has[RBIAS] ? q->a[RBIAS][j] : 0;
        for (int64_t i = 0; i < d->inputs; i++) sum += (long double)x[i] * q->a[W][i * width + j];
        for (int64_t i = 0; i < n; i++) inner += before->h[i] * q->a[U][i * width + j];
        if (d->cell == FNN_GRU && j >= 2 * n) {
            now->inner[j - 2 * n] = inner;
            now->gates[j] = tanhl(sum + now->gates[j - 2 * n] * inner);
        } else {
            sum += inner;
            int is_tanh = d->cell == FNN_RNN_TANH || (d->cell == FNN_LSTM && j / n == 2);
            now->gates[j] = d->cell == FNN_RNN_RELU ? (sum > 0 ? sum : 0) : is_tanh ? tanhl(sum) : sigmoid(sum);
        }
    }
    for (int64_t j = 0; j < n; j++) {
        const long double *g = now->gates + j;
        if (d->cell == FNN_LSTM) {
            now->c[j] = g[n] * before->c[j] + g[0] * g[2 * n];
            now->h[j] = g[3 * n] * tanhl(now->c[j]);
        } else {
            now->h[j] = d->cell == FNN_GRU ? (1 - g[n]) * g[2 * n] + g[n] * before->h[j] : g[0];
        }
    }
}

static void add_to(problem_net *q, int array, int64_t at, long double term)
{
    q->dwant[array][at] += term;
    q->dsize[array][at] += fabsl(term);
}

/* dh, dc: of the state after the step, then of the one before. */
static void step_backward(problem_net *q, int64_t row, int64_t time, const moment *before, const moment *now,
                          long double *dh, long double *dc)
{
    const fnn_recurrent *d = &q->d;
    const int64_t n = d->units, width = q->gates * n;
    const int64_t at = (row * d->steps + time) * d->inputs;
    long double *sums = calloc((size_t)width, sizeof *sums), *inner = calloc((size_t)width, sizeof *inner);
    for (int64_t j = 0; j < n; j++) {
        const long double *g = now->gates + j;
        long double *s = sums + j;
        if (d->cell == FNN_LSTM) {
            long double t = tanhl(now->c[j]);
            dc[j] += dh[j] * g[3 * n] * (1 - t * t);
            s[0] = dc[j] * g[2 * n] * g[0] * (1 - g[0]);
            s[n] = dc[j] * before->c[j] * g[n] * (1 - g[n]);
            s[2 * n] = dc[j] * g[0] * (1 - g[2 * n] * g[2 * n]);
            s[3 * n] = dh[j] * t * g[3 * n] * (1 - g[3 * n]);
            dc[j] *= g[n];
            dh[j] = 0;
        } else if (d->cell == FNN_GRU) {
            s[n] = dh[j] * (before->h[j] - g[2 * n]) * g[n] * (1 - g[n]);
            s[2 * n] = dh[j] * (1 - g[n]) * (1 - g[2 * n] * g[2 * n]);
            s[0] = s[2 * n] * now->inner[j] * g[0] * (1 - g[0]);
            inner[2 * n + j] = s[2 * n] * g[0];
            dh[j] *= g[n];
        } else {
            s[0] = d->cell == FNN_RNN_TANH ? dh[j] * (1 - g[0] * g[0]) : g[0] > 0 ? dh[j] : 0;
            dh[j] = 0;
        }
    }
    for (int64_t j = 0; j < width; j++) {
        if (d->cell != FNN_GRU || j < 2 * n) inner[j] = sums[j];
        add_to(q, BIAS, j, sums[j]);
        add_to(q, RBIAS, j, inner[j]);
        for (int64_t i = 0; i < d->inputs; i++) {
            add_to(q, X, at + i, sums[j] * q->a[W][i * width + j]);
            add_to(q, W, i * width + j, sums[j] * q->a[X][at + i]);
        }
        for (int64_t i = 0; i < n; i++) {
            add_to(q, U, i * width + j, inner[j] * before->h[i]);
            dh[i] += inner[j] * q->a[U][i * width + j];
        }
    }
    free(sums), free(inner);
}

static int64_t time_of(const fnn_recurrent *d, int64_t s) { return d->reverse ? d->steps - 1 - s : s; }

static int padding(const problem_net *q, int64_t row, int64_t time)
{
    return q->has[MASK] && q->a[MASK][row * q->d.steps + time] == 0;
}

static void reference_row(problem_net *q, int64_t row)
{
    const fnn_recurrent *d = &q->d;
    const int64_t n = d->units, moment_size = (q->gates + 3) * n;
    long double *memory = calloc((size_t)((d->steps + 1) * moment_size + 2 * n), sizeof *memory);
    long double *dh = memory + (d->steps + 1) * moment_size, *dc = dh + n;
    moment *m = malloc((size_t)(d->steps + 1) * sizeof *m);
    for (int64_t s = 0; s <= d->steps; s++) {
        long double *at = memory + s * moment_size;
        long double *rest = at + q->gates * n;
        m[s] = (moment){.gates = at, .inner = rest, .h = rest + n, .c = rest + 2 * n};
    }
    for (int64_t j = 0; j < n; j++) {
        m[0].h[j] = q->has[H0] ? q->a[H0][row * n + j] : 0;
        m[0].c[j] = q->has[C0] ? q->a[C0][row * n + j] : 0;
    }
    for (int64_t s = 0; s < d->steps; s++) {
        int64_t time = time_of(d, s);
        if (padding(q, row, time)) {
            memcpy(m[s + 1].h, m[s].h, (size_t)n * sizeof(long double));
            memcpy(m[s + 1].c, m[s].c, (size_t)n * sizeof(long double));
        } else {
            step_forward(q, row, time, &m[s], &m[s + 1]);
        }
        long double *y = q->want[Y] + row * d->row_y + (d->sequences ? time * n : 0);
        if (d->sequences || s == d->steps - 1) memcpy(y, m[s + 1].h, (size_t)n * sizeof *y);
    }
    memcpy(q->want[C_LAST] + row * d->row_y, m[d->steps].c, (size_t)n * sizeof(long double));
    for (int64_t j = 0; j < n && q->has[C_LAST]; j++) dc[j] = q->da[C_LAST][row * d->row_y + j];
    for (int64_t s = d->steps - 1; s >= 0; s--) {
        int64_t time = time_of(d, s);
        for (int64_t j = 0; j < n && (d->sequences || s == d->steps - 1); j++)
            dh[j] += q->da[Y][row * d->row_y + (d->sequences ? time * n : 0) + j];
        if (!padding(q, row, time)) step_backward(q, row, time, &m[s], &m[s + 1], dh, dc);
    }
    for (int64_t j = 0; j < n; j++) add_to(q, H0, row * n + j, dh[j]), add_to(q, C0, row * n + j, dc[j]);
    free(memory), free(m);
}

/* Outputs and gradients; what the reference adds to begins as what the kernel adds to. */
static void reference(problem_net *q)
{
    const int adds[] = {[X] = q->d.adds_dx, [W] = q->d.adds_dw, [U] = q->d.adds_dw, [BIAS] = q->d.adds_dw,
                        [RBIAS] = q->d.adds_dw, [H0] = q->d.adds_dh0, [C0] = q->d.adds_dc0};
    for (int i = 0; i <= C0; i++)
        for (int64_t j = 0; j < q->size[i]; j++) add_to(q, i, j, adds[i] ? q->da[i][j] : 0);
    for (int i = Y; i <= C_LAST; i++)
        for (int64_t j = 0; j < q->size[i]; j++) q->want[i][j] = q->a[i][j];
    for (int64_t row = 0; row < q->d.rows; row++) reference_row(q, row);
}

/* ---- tests --------------------------------------------------------------------------------------------------- */

/* Within a bound relative to the largest value of the array or, of sums, to the most that went into one. */
static int compare(const problem_net *q, int array, const real *got, const long double *want, const long double *size,
                   double bound)
{
    static const char *const names[] = {"x", "w", "u", "bias", "rbias", "h0", "c0", "mask", "y", "c_last"};
    const fnn_recurrent *d = &q->d;
    long double largest = 0.1L, worst = 0; /* what goes into a value is of size 1, and may cancel where there is but one */
    int64_t at = 0;
    for (int64_t j = 0; j < q->size[array]; j++) {
        largest = fmaxl(largest, fabsl(size[j]));
        if (fabsl(got[j] - want[j]) > worst) worst = fabsl(got[j] - want[at = j]);
    }
    return CHECK(worst <= bound * EPSILON * largest,
                 "recurrent f%d %s cell %d, %ld rows, %ld steps, %ld inputs, %ld units, %s[%ld] of %s: %.17g, not "
                 "%.17Lg",
                 REAL_BITS, q->target->name, d->cell, (long)d->rows, (long)d->steps, (long)d->inputs, (long)d->units,
                 differentiable(array) ? "gradient" : "value", (long)at, names[array], (double)got[at], want[at]);
}

static fnn_recurrent random_net(int64_t i)
{
    fnn_recurrent d = {.cell = (int32_t)below(4), .reverse = (int32_t)below(2), .sequences = (int32_t)below(2),
                       .adds_dx = (int32_t)below(2), .adds_dw = (int32_t)below(2), .adds_dh0 = (int32_t)below(2),
                       .adds_dc0 = (int32_t)below(2)};
    d.rows = 1 + below(i % 5 ? 9 : 40);
    d.steps = 1 + below(i % 7 ? 6 : 30);
    d.inputs = 1 + below(i % 6 ? 9 : 70);
    d.units = 1 + below(i % 4 ? 20 : 140);
    d.row_y = d.units * (d.sequences ? d.steps : 1) + (int64_t)below(2) * d.units;
    return d;
}

/* To errors of a few units in the last place at each of up to 30 steps, relative to the largest value of an array; the
 * gradients of weights are sums over all of them. */
static void try_net(const fnn_target *target, fnn_recurrent d)
{
    problem_net q;
    set_up(&q, target, d);
    q.threads = 1 + (int)below(3);
    reference(&q);
    run(&q, 1);
    for (int a = 0; a < TAPE; a++) {
        if (!q.has[a]) continue;
        if (output(a)) compare(&q, a, q.a[a], q.want[a], q.want[a], 40);
        else if (differentiable(a)) compare(&q, a, q.da[a], q.dwant[a], q.dsize[a], 40);
    }
    size_t bytes = (size_t)q.size[Y] * sizeof(real);
    real *y = malloc(bytes);
    memcpy(y, q.a[Y], bytes);
    run(&q, 0);
    CHECK(!memcmp(y, q.a[Y], bytes), "recurrent f%d %s: prediction differs from training", REAL_BITS, target->name);
    CHECK(guards_intact(), "recurrent f%d %s wrote beyond a buffer", REAL_BITS, target->name);
    free(y);
    tear_down(&q);
}

RANDOM_PROBLEM(recurrent)
{
    if (below(200) == 0) try_net(target, random_net(below(420)));
    else try_net(target, random_net(1)); /* a small one */
}

static void test_random(const fnn_target *target)
{
    for (int i = 0; i < problems(600); i++) try_net(target, random_net(i));
}

/* Bit for bit: with enough rows for every thread, and with one row of many units, whose strips are shared out. */
static void test_threads(const fnn_target *target)
{
    static const int64_t shapes[][4] = {{70, 12, 20, 40}, {1, 5, 9, 400}, {20, 4, 70, 300}};
    for (int i = 0; i < COUNT(shapes) * (thinned ? 1 : 4); i++) {
        const int64_t *shape = shapes[i / 4];
        problem_net q;
        fnn_recurrent d = {.rows = shape[0], .steps = shape[1], .inputs = shape[2], .units = shape[3], .cell = i % 4,
                           .sequences = 1, .row_y = shape[1] * shape[3]};
        set_up(&q, target, d);
        real *before[2 * TAPE] = {0};
        for (q.threads = 1; q.threads <= 4; q.threads++) {
            run(&q, 1);
            for (int a = 0; a < 2 * TAPE; a++) {
                const real *got = a < TAPE ? q.a[a] : q.da[a - TAPE];
                size_t bytes = (size_t)q.size[a % TAPE] * sizeof(real);
                if (!before[a]) before[a] = memcpy(malloc(bytes + 1), got, bytes);
                CHECK(!memcmp(before[a], got, bytes), "recurrent f%d %s cell %d, array %d: %d threads differ from one",
                      REAL_BITS, target->name, i % 4, a, q.threads);
            }
        }
        for (int a = 0; a < 2 * TAPE; a++) free(before[a]);
        tear_down(&q);
    }
}

/* Sums far beyond the ends of the activations, where states are mixtures of values of size 1, and not a number, which
 * must come through. */
static void test_special(const fnn_target *target)
{
    for (int32_t cell = 0; cell < 4; cell++) {
        for (int at = 0; at < 4; at++) {
            const real values[] = {(real)1e30, (real)-1e30, (real)NAN, (real)(REAL_BITS == 32 ? 95 : 720)};
            problem_net q;
            fnn_recurrent d = {.rows = 1, .steps = 1, .inputs = 1, .units = 3, .cell = cell, .row_y = 3};
            set_up(&q, target, d);
            q.a[X][0] = values[at];
            for (int64_t j = 0; j < q.size[W]; j++) q.a[W][j] = 1;
            q.has[H0] = q.has[C0] = q.has[MASK] = 0;
            reference(&q);
            run(&q, 0);
            for (int j = 0; j < 3; j++) {
                long double want = q.want[Y][j], error = fabsl(q.a[Y][j] - want);
                CHECK(at == 2 ? isnan(q.a[Y][j]) : error <= 10 * EPSILON * (1 + fabsl(want)),
                      "recurrent f%d %s cell %d of %g: %g, not %Lg", REAL_BITS, target->name, cell, (double)values[at],
                      (double)q.a[Y][j], want);
            }
            tear_down(&q);
        }
    }
}

SUITE(recurrent)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_random(targets[t]);
        test_threads(targets[t]);
        test_special(targets[t]);
    }
}
