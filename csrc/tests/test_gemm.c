/* test_gemm.c: the three orientations against long double, every element within k eps |A| |B|, on every target.
 *
 * Every buffer lies against an inaccessible page, rows are longer than their columns (the gaps must stay as they were),
 * and the scratch is exactly what was asked for. */
#include "harness.h"
#include "tile_emulator.h"

enum { NN, NT, TN };
static const char *const orientation_names[] = {"nn", "nt", "tn"};

typedef struct {
    const fnn_target *target;
    int orientation, threads, has_bias, precision;
    fnn_gemm d;
    /* rows x cols of A and B as they lie */
    int64_t rows_a, cols_a, rows_b, cols_b;
    real *a, *b, *bias, *c, *before;
    size_t size_c;
    void *scratch;
    size_t scratch_size;
} product;

static long double activation(int kind, long double alpha, long double x)
{
    const long double selu_lambda = 1.0507009873554804934193349852946L, selu_alpha = 1.6732632423543772848170429916717L;
    switch ((fnn_activation)kind) {
    case FNN_RELU: return x > 0 ? x : 0;
    case FNN_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case FNN_ELU: return x > 0 ? x : alpha * expm1l(x);
    case FNN_SELU: return selu_lambda * (x > 0 ? x : selu_alpha * expm1l(x));
    case FNN_SIGMOID: return 1 / (1 + expl(-x));
    case FNN_TANH: return tanhl(x);
    case FNN_SOFTPLUS: return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
    case FNN_EXPONENTIAL: return expl(x);
    case FNN_SILU: return x / (1 + expl(-x));
    case FNN_GELU: return x * 0.5L * erfcl(-x * sqrtl(0.5L));
    case FNN_LINEAR:
    case FNN_ACTIVATION_COUNT: break;
    }
    return x;
}

static void set_precision(product *q, int precision)
{
    q->precision = precision;
    q->scratch_size = (REAL_BITS == 32 ? q->target->gemm_scratch_f32 : q->target->gemm_scratch_f64)(&q->d, precision, 8);
    q->scratch = scratch_of(4, q->scratch_size);
    CHECK((uintptr_t)q->scratch % 64 == 0, "the scratch asked for is whole lines: %zu bytes", q->scratch_size);
}

/* Buffers of a random product of these dims; gap: how much longer the rows may be. */
static void set_up(product *q, const fnn_target *target, int orientation, int64_t m, int64_t n, int64_t k, int gap)
{
    problem_begins();
    memset(q, 0, sizeof *q);
    q->target = target;
    q->orientation = orientation;
    q->threads = 1;
    q->rows_a = orientation == TN ? k : m;
    q->cols_a = orientation == TN ? m : k;
    q->rows_b = orientation == NT ? n : k;
    q->cols_b = orientation == NT ? k : n;
    q->d = (fnn_gemm){.m = m, .n = n, .k = k, .alpha = 0.125};
    q->d.lda = q->cols_a + (gap ? below(gap) : 0);
    q->d.ldb = q->cols_b + (gap ? below(gap) : 0);
    q->d.ldc = n + (gap ? below(gap) : 0);
    size_t size_a = q->rows_a && q->cols_a ? (size_t)((q->rows_a - 1) * q->d.lda + q->cols_a) : 0;
    size_t size_b = q->rows_b && q->cols_b ? (size_t)((q->rows_b - 1) * q->d.ldb + q->cols_b) : 0;
    q->size_c = m && n ? (size_t)((m - 1) * q->d.ldc + n) : 0;
    q->a = REALS(0, size_a, ANYWHERE);
    q->b = REALS(1, size_b, ANYWHERE);
    q->c = REALS(2, q->size_c, ANYWHERE);
    q->bias = REALS(3, n, ANYWHERE);
    for (size_t i = 0; i < size_a; i++) q->a[i] = (real)uniform(-1, 1);
    for (size_t i = 0; i < size_b; i++) q->b[i] = (real)uniform(-1, 1);
    for (size_t i = 0; i < q->size_c; i++) q->c[i] = (real)uniform(-1, 1);
    for (int64_t i = 0; i < n; i++) q->bias[i] = (real)uniform(-1, 1);
    set_precision(q, FNN_HIGHEST);
}

static void run(product *q)
{
    const KERNELS *k = TABLE(q->target);
    fnn_ctx cx = {.threads = q->threads, .precision = q->precision, .scratch = q->scratch, .scratch_size = q->scratch_size};
    void (*gemm)(const fnn_ctx *, const fnn_gemm *, const real *, const real *, const real *, real *) =
        q->orientation == NN ? k->gemm_nn : q->orientation == NT ? k->gemm_nt : k->gemm_tn;
    gemm(&cx, &q->d, q->a, q->b, q->has_bias ? q->bias : NULL, q->c);
}

static real element_a(const product *q, int64_t i, int64_t p)
{
    return q->orientation == TN ? q->a[p * q->d.lda + i] : q->a[i * q->d.lda + p];
}

static real element_b(const product *q, int64_t p, int64_t j)
{
    return q->orientation == NT ? q->b[j * q->d.ldb + p] : q->b[p * q->d.ldb + j];
}

/* Element (i, j) as it should be, from C as it was; *bound: how far off it may be. */
static long double expected(const product *q, const real *before, int64_t i, int64_t j, long double *bound)
{
    long double sum = 0, size = 0;
    for (int64_t p = 0; p < q->d.k; p++) {
        long double term = (long double)element_a(q, i, p) * element_b(q, p, j);
        sum += term;
        size += fabsl(term);
    }
    long double added = q->d.accumulate ? before[i * q->d.ldc + j] : q->has_bias ? q->bias[j] : 0;
    sum += added;
    size += fabsl(added);
    long double y = activation(q->d.activation, q->d.alpha, sum);
    *bound = (long double)(q->d.k + 3) * EPSILON / 2 * size;
    /* Tiles: both operands rounded to 8 bits; or to 16, three sums, and a product of two rests left out (gemm_bf16.h). */
    if (q->precision == FNN_MEDIUM) *bound += size * 0x1.01p-8L;
    if (q->precision == FNN_HIGH) *bound = 3 * *bound + size * 0x1.8p-17L;
    long double slope = q->d.activation == FNN_EXPONENTIAL ? 2 * y : 2; /* an upper bound, within what the sum is off */
    if (q->d.activation > FNN_RELU) *bound = slope * *bound + 8 * EPSILON * (fabsl(y) + size);
    return y;
}

/* Runs the product and compares all of C, gaps too; under emulation, of a large C every eleventh element, of all lanes. */
static void run_and_compare(product *q)
{
    real *before = malloc(q->size_c * sizeof(real) + 1);
    memcpy(before, q->c, q->size_c * sizeof(real));
    run(q);
    int right = guards_intact();
    long double worst = 0;
    const int64_t every = thinned && q->d.m * q->d.n > 100 ? 11 : 1;
    for (int64_t i = 0; i < q->d.m; i++)
        for (int64_t j = 0; j < q->d.ldc && (size_t)(i * q->d.ldc + j) < q->size_c; j++) {
            int64_t at = i * q->d.ldc + j;
            if (j >= q->d.n) {
                right &= q->c[at] == before[at];
                continue;
            }
            if ((i * q->d.n + j) % every != 0) continue;
            long double bound, y = expected(q, before, i, j, &bound), error = fabsl(q->c[at] - y);
            right &= error <= bound;
            if (error > worst) worst = error;
        }
    CHECK(right, "gemm_%s f%d %s: m %ld, n %ld, k %ld, ld %ld %ld %ld, accumulate %d, bias %d, activation %d: off by %Lg",
          orientation_names[q->orientation], REAL_BITS, q->target->name, (long)q->d.m, (long)q->d.n, (long)q->d.k,
          (long)q->d.lda, (long)q->d.ldb, (long)q->d.ldc, q->d.accumulate, q->has_bias, q->d.activation, worst);
    free(before);
}

static void try_product(const fnn_target *target, int orientation, int64_t m, int64_t n, int64_t k, int gap)
{
    product q;
    set_up(&q, target, orientation, m, n, k, gap);
    q.d.accumulate = below(3) == 0;
    if (!q.d.accumulate) {
        q.has_bias = (int)below(2);
        q.d.activation = (int32_t)below(FNN_ACTIVATION_COUNT);
    }
    run_and_compare(&q);
}

static void random_product(const fnn_target *target, int64_t m, int64_t n, int64_t k)
{
    try_product(target, (int)below(3), below(m), below(n), below(k), 1 + (int)below(20));
}

static void test_small_dims(const fnn_target *target)
{
    for (int o = NN; o <= TN; o++)
        for (int64_t m = 0; m <= 20; m++)
            for (int64_t n = 0; n <= 20; n++)
                for (int64_t k = 0; k <= 20; k += thinned ? 5 : m * n > 150 ? 3 : 1) try_product(target, o, m, n, k, (int)below(4));
}

static void test_larger_dims(const fnn_target *target)
{
    static const int64_t dims[][3] = {{1, 300, 70},   {2, 130, 600},  {3, 64, 513},  {4, 65, 33},   {5, 48, 257},
                                      {6, 64, 64},    {7, 80, 100},   {32, 10, 32},  {33, 100, 10}, {64, 64, 1},
                                      {64, 1, 64},    {50, 1, 1},     {300, 1, 700}, {700, 1, 300}, {1, 1, 1000},
                                      {25, 63, 520},  {49, 129, 256}, {50, 200, 255}, {128, 97, 300}, {60, 1100, 90},
                                      {100, 2100, 5}, {61, 70, 1030}, {200, 3, 200}, {13, 33, 13},  {97, 47, 31},
                                      {60, 200, 1},   {7, 513, 1},   {2, 128, 1}};
    for (int o = NN; o <= TN; o++) {
        for (int i = 0; i < COUNT(dims); i++) try_product(target, o, dims[i][0], dims[i][1], dims[i][2], i % 3 ? 9 : 0);
        for (int i = 0; i < (thinned ? 50 : 150); i++) try_product(target, o, below(70), below(140), below(300), 20);
    }
}

static void test_every_activation(const fnn_target *target)
{
    static const int64_t dims[][3] = {{5, 7, 3}, {33, 40, 20}, {64, 1, 40}, {1, 70, 300}, {60, 130, 300}};
    for (int o = NN; o <= TN; o++)
        for (int i = 0; i < COUNT(dims); i++)
            for (int kind = 0; kind < FNN_ACTIVATION_COUNT; kind++) {
                product q;
                set_up(&q, target, o, dims[i][0], dims[i][1], dims[i][2], 5);
                q.d.activation = kind;
                q.has_bias = kind % 3 != 2;
                run_and_compare(&q);
            }
}

/* NaN and infinity in a row of A reach every element of that row of C and no other, through relu too. */
static void test_special_values(const fnn_target *target)
{
    static const int64_t dims[][3] = {{5, 7, 3}, {40, 70, 33}, {9, 1, 40}, {2, 40, 64}, {50, 130, 300}};
    for (int o = NN; o <= TN; o++)
        for (int i = 0; i < COUNT(dims); i++) {
            product q;
            int64_t m = dims[i][0], n = dims[i][1], k = dims[i][2], row = m / 2, p = k / 2, wrong = 0;
            set_up(&q, target, o, m, n, k, 3);
            q.d.activation = FNN_RELU;
            q.a[o == TN ? p * q.d.lda + row : row * q.d.lda + p] = (real)NAN;
            run(&q);
            for (int64_t r = 0; r < m; r++)
                for (int64_t j = 0; j < n; j++) wrong += (isnan(q.c[r * q.d.ldc + j]) != 0) != (r == row);
            CHECK(wrong == 0, "gemm_%s f%d %s: NaN, dims %d: %ld elements", orientation_names[o], REAL_BITS,
                  target->name, i, (long)wrong);
        }
}

/* One product on one thread and then on several: every bit. */
static void compare_threads(product *q, const char *name)
{
    static const int threads[] = {3, 2, 8};
    size_t bytes = q->size_c * sizeof(real);
    real *one = malloc(bytes), *before = malloc(bytes);
    memcpy(before, q->c, bytes);
    run(q);
    memcpy(one, q->c, bytes);
    for (int t = 0; t < (thinned ? 1 : 2 * COUNT(threads)); t++) { /* twice: workers asleep, then awake */
        memcpy(q->c, before, bytes);
        q->threads = threads[t % COUNT(threads)];
        soil(q->scratch, q->scratch_size);
        run(q);
        CHECK(memcmp(one, q->c, bytes) == 0 && guards_intact(), "%s: %d threads differ from one", name, q->threads);
    }
    free(one);
    free(before);
}

/* With bias and activation, and plain: some products go another way without. */
static void test_threads(const fnn_target *target)
{
    static const int64_t dims[][3] = {{300, 200, 300}, {32, 1000, 400}, {1, 900, 1100}, {900, 1, 1100}, {2500, 10, 130},
                                      {27, 333, 2000}, {27, 200, 2000}, {31, 2, 15000}, {1000, 300, 40},
                                      {13, 1500, 500}, {2500, 60, 300}};
    for (int o = NN; o <= TN; o++)
        for (int i = 0; i < COUNT(dims); i++)
            for (int plain = 0; plain < 2; plain++) {
                product q;
                char name[100];
                set_up(&q, target, o, dims[i][0], dims[i][1], dims[i][2], 2);
                q.has_bias = !plain;
                q.d.activation = plain ? FNN_LINEAR : FNN_TANH;
                snprintf(name, sizeof name, "gemm_%s f%d %s%s, dims %d", orientation_names[o], REAL_BITS, target->name,
                         plain ? ", plain" : "", i);
                compare_threads(&q, name);
            }
}

/* The product with an optimizer's rule is, bit for bit, the product and then the optimizer: on parameters and slots of
 * C's layout, gaps untouched, on any number of threads. */
static void test_update(const fnn_target *target, int precision)
{
    static const int64_t dims[][3] = {{1, 70, 3},  {4, 200, 64}, {13, 64, 32},   {100, 65, 17}, {37, 300, 256}, {25, 130, 257},
                                      {300, 40, 64}, {64, 10, 32}, {50, 1, 20}, {200, 333, 100}, {784, 128, 64}};
    static const int threads[] = {1, 2, 3, 8};
    enum { VECTORS = 4 }; /* p and three slots */
    for (int i = precision == FNN_HIGHEST ? 0 : COUNT(dims) - 2; i < COUNT(dims); i++)
        for (int method = 0; method < FNN_OPTIMIZER_COUNT; method++) {
            product q;
            set_up(&q, target, TN, dims[i][0], dims[i][1], dims[i][2], i % 2 ? 9 : 0);
            set_precision(&q, precision);
            size_t bytes = q.size_c * sizeof(real);
            real *start[VECTORS], *want[VECTORS], *got[VECTORS];
            for (int v = 0; v < VECTORS; v++) {
                start[v] = malloc(bytes);
                want[v] = malloc(bytes);
                got[v] = REALS(5 + v, q.size_c, ANYWHERE);
                for (size_t j = 0; j < q.size_c; j++) start[v][j] = (real)uniform(0.1, 1);
                memcpy(want[v], start[v], bytes);
            }
            fnn_update u = {.method = method,
                            .h = {.learning_rate = 0.1, .momentum = 0.5, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8,
                                  .step_min = 1e-3, .step_max = 2, .step = 3, .weight_decay = 0.01, .centered = 1}};
            run(&q);
            for (int64_t row = 0; row < q.d.m; row++) {
                fnn_ctx cx = {.threads = 1};
                u.p = want[0] + row * q.d.ldc;
                for (int v = 1; v < VECTORS; v++) u.slots[v - 1] = want[v] + row * q.d.ldc;
                TABLE(target)->optimize(&cx, q.d.n, &u, q.c + row * q.d.ldc);
            }
            u.p = got[0];
            for (int v = 1; v < VECTORS; v++) u.slots[v - 1] = got[v];
            q.d.update = &u;
            for (int t = 0; t < COUNT(threads); t++) {
                int same = 1;
                for (int v = 0; v < VECTORS; v++) memcpy(got[v], start[v], bytes);
                q.threads = threads[t];
                soil(q.scratch, q.scratch_size);
                run(&q);
                for (int v = 0; v < VECTORS; v++) same &= memcmp(got[v], want[v], bytes) == 0;
                CHECK(same && guards_intact(), "f%d %s: dims %d, optimizer %d, %d threads: not the product and then the step",
                      REAL_BITS, target->name, i, method, threads[t]);
            }
            for (int v = 0; v < VECTORS; v++) {
                free(start[v]);
                free(want[v]);
            }
        }
}

/* ---- tiles of bfloat16 --------------------------------------------------------------------------------------- */

static int own_tiles; /* of the CPU: then nothing counts them */
static const int64_t bf16_dims[][3] = {{64, 64, 32},    {65, 64, 33},   {64, 79, 31 + 3},  {95, 97, 100}, {128, 10 + 64, 512},
                                       {97, 200, 513},  {70, 550, 90},  {129, 65, 1030},  {400, 70, 64}, {66, 1030, 40}};

/* Every element of C in each orientation, with what else a product does; and how far all of C is off, as a norm. */
static void test_bf16_values(const fnn_target *target, int precision)
{
    for (int o = NN; o <= TN; o++)
        for (int i = 0; i < COUNT(bf16_dims); i++)
            for (int kind = 0; kind < (thinned ? 1 : 3); kind++) {
                product q;
                set_up(&q, target, o, bf16_dims[i][0], bf16_dims[i][1], bf16_dims[i][2], i % 3 ? 9 : 0);
                q.d.accumulate = kind == 1;
                q.d.activation = kind == 0 ? FNN_LINEAR : kind == 2 ? 1 + (int32_t)below(FNN_ACTIVATION_COUNT - 1) : 0;
                q.has_bias = kind == 2;
                set_precision(&q, precision);
                const long before = tiles_multiplied();
                run_and_compare(&q);
                CHECK(own_tiles || tiles_multiplied() > before, "dims %d use tiles", i);
                if (kind != 0) continue;
                long double off = 0, all = 0;
                for (int64_t r = 0; r < q.d.m; r += thinned ? 9 : 1)
                    for (int64_t j = 0; j < q.d.n; j++) {
                        long double bound, y = expected(&q, q.c, r, j, &bound), error = q.c[r * q.d.ldc + j] - y;
                        off += error * error;
                        all += y * y;
                    }
                const long double relative = sqrtl(off / all);
                CHECK(relative < (precision == FNN_HIGH ? 1e-5L : 4e-3L), "gemm_%s, precision %d, dims %d: a relative error of %Lg",
                      orientation_names[o], precision, i, relative);
            }
}

static void test_bf16(const fnn_target *target)
{
    for (int precision = FNN_HIGH; precision <= FNN_MEDIUM; precision++) {
        test_bf16_values(target, precision);
        for (int o = NN; o <= TN; o++) {
            product q;
            char name[100];
            set_up(&q, target, o, 300, 200, 600, 2);
            q.has_bias = 1;
            q.d.activation = FNN_TANH;
            set_precision(&q, precision);
            snprintf(name, sizeof name, "gemm_%s with precision %d", orientation_names[o], precision);
            compare_threads(&q, name);

            set_up(&q, target, o, 70, 80, 40, 3);
            q.d.activation = FNN_RELU;
            set_precision(&q, precision);
            q.a[o == TN ? 5 * q.d.lda + 33 : 33 * q.d.lda + 5] = (real)NAN;
            run(&q);
            int64_t wrong = 0;
            for (int64_t r = 0; r < 70; r++)
                for (int64_t j = 0; j < 80; j++) wrong += (isnan(q.c[r * q.d.ldc + j]) != 0) != (r == 33);
            CHECK(wrong == 0, "gemm_%s with precision %d: NaN, %ld elements", orientation_names[o], precision, (long)wrong);
        }
    }
}

/* A convolution asks for the scratch of a row; its strips have more, and the last may have too few for tiles. */
static void test_bf16_other_rows(const fnn_target *target)
{
    static const int64_t dims[][2] = {{1024, 256}, {2100, 300}, {1100, 128}};
    for (int o = NN; o <= TN; o++)
        for (int i = 0; i < COUNT(dims); i++) {
            product q;
            set_up(&q, target, o, 200, dims[i][0], dims[i][1], 0);
            set_precision(&q, FNN_HIGH);
            q.d.m = 30;
            run_and_compare(&q);
            set_up(&q, target, o, 200, dims[i][0], dims[i][1], 0);
            q.d.m = 1;
            set_precision(&q, FNN_HIGH);
            q.d.m = 200;
            run_and_compare(&q);
        }
}

/* Small products, doubles and targets that use no tiles: every bit as with full precision. */
static void test_bf16_elsewhere(const fnn_target *target)
{
    static const int64_t dims[][3] = {{63, 300, 100}, {300, 63, 100}, {100, 100, 31}, {100, 90, 80}};
    const int tiles = REAL_BITS == 32 && strcmp(target->name, "avx512") == 0;
    for (int i = 0; i < COUNT(dims) - tiles; i++) {
        product q;
        set_up(&q, target, i % 3, dims[i][0], dims[i][1], dims[i][2], 2);
        real *want = malloc(q.size_c * sizeof(real));
        run(&q);
        memcpy(want, q.c, q.size_c * sizeof(real));
        set_precision(&q, FNN_MEDIUM);
        run(&q);
        CHECK(memcmp(want, q.c, q.size_c * sizeof(real)) == 0 && guards_intact(), "f%d %s, dims %d: precision without tiles",
              REAL_BITS, target->name, i);
        free(want);
    }
}

RANDOM_PROBLEM(gemm)
{
    if (below(50) == 0) random_product(target, 70, 140, 300);
    else random_product(target, 21, 40, 21);
}

SUITE(gemm)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_small_dims(targets[t]);
        test_larger_dims(targets[t]);
        test_every_activation(targets[t]);
        test_special_values(targets[t]);
        test_threads(targets[t]);
        test_update(targets[t], FNN_HIGHEST);
        test_bf16_elsewhere(targets[t]);
        own_tiles = targets[t]->tiles();
        if (REAL_BITS == 64 || (!own_tiles && !emulate_tiles())) continue;
        fnn_assume_tiles(1);
        if (targets[t]->tiles()) {
            test_bf16(targets[t]);
            test_bf16_other_rows(targets[t]);
            test_update(targets[t], FNN_HIGH);
        }
        fnn_assume_tiles(0);
    }
}
