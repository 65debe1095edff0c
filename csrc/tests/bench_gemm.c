/* bench_gemm.c: GFLOP/s of the matrix products over a table of shapes, as a share of the machine's multiply-add peak,
 * which is measured in the same run; beside a BLAS where one is given.
 *
 *   bench_gemm [--threads N] [--target NAME] [--double] [--blas LIBRARY] [--only WORD] [--shape M,N,K]...
 *
 * Shapes: squares, and for each layer of common networks the three products of a training step. Times are the best of
 * many short runs, ours and the BLAS's by turns; the BLAS takes its number of threads from its environment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../fastnn.h"

/* Seconds; once the peak is known, of this thread alone where it is the only one: other processes do not count. */
static clockid_t clock_id = CLOCK_MONOTONIC;
static double now(void)
{
    struct timespec t;
    clock_gettime(clock_id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak ------------------------------------------------------------------------------------------------ */

enum { CHAINS = 12, PEAK_STEPS = 20000 };

/* Twelve independent chains of multiply-adds in registers. The barrier keeps the compiler from folding them. */
#define DEFINE_PEAK(name, type, bytes, attributes, constraint)                                                       \
    attributes static void name(void)                                                                                \
    {                                                                                                                \
        typedef type v __attribute__((vector_size(bytes)));                                                          \
        v a = {0}, b = {0}, x0 = a, x1 = a, x2 = a, x3 = a, x4 = a, x5 = a, x6 = a, x7 = a, x8 = a, x9 = a, x10 = a,  \
          x11 = a;                                                                                                   \
        for (int i = 0; i < PEAK_STEPS; i++) {                                                                       \
            x0 = x0 * a + b, x1 = x1 * a + b, x2 = x2 * a + b, x3 = x3 * a + b, x4 = x4 * a + b, x5 = x5 * a + b;    \
            x6 = x6 * a + b, x7 = x7 * a + b, x8 = x8 * a + b, x9 = x9 * a + b, x10 = x10 * a + b, x11 = x11 * a + b; \
            __asm__ volatile("" : "+" constraint(x0), "+" constraint(x1), "+" constraint(x2), "+" constraint(x3),    \
                             "+" constraint(x4), "+" constraint(x5));                                                \
            __asm__ volatile("" : "+" constraint(x6), "+" constraint(x7), "+" constraint(x8), "+" constraint(x9),    \
                             "+" constraint(x10), "+" constraint(x11));                                              \
        }                                                                                                            \
    }
#if defined(__x86_64__)
DEFINE_PEAK(peak_avx512_f32, float, 64, __attribute__((target("avx512f"))), "v")
DEFINE_PEAK(peak_avx512_f64, double, 64, __attribute__((target("avx512f"))), "v")
DEFINE_PEAK(peak_avx2_f32, float, 32, __attribute__((target("avx2,fma"))), "x")
DEFINE_PEAK(peak_avx2_f64, double, 32, __attribute__((target("avx2,fma"))), "x")
DEFINE_PEAK(peak_baseline_f32, float, 16, , "x")
DEFINE_PEAK(peak_baseline_f64, double, 16, , "x")
#else
DEFINE_PEAK(peak_baseline_f32, float, 16, , "w")
DEFINE_PEAK(peak_baseline_f64, double, 16, , "w")
#endif

static const struct {
    const char *target;
    int lanes;
    void (*f32)(void), (*f64)(void);
} peaks[] = {
#if defined(__x86_64__)
    {"avx512", 16, peak_avx512_f32, peak_avx512_f64},
    {"avx2", 8, peak_avx2_f32, peak_avx2_f64},
#endif
    {"baseline", 4, peak_baseline_f32, peak_baseline_f64},
};

/* Multiply-adds of one thread, in flop/s. */
static double measure_peak(const char *target, int is_double)
{
    for (size_t i = 0; i < sizeof peaks / sizeof peaks[0]; i++) {
        if (strcmp(peaks[i].target, target) != 0) continue;
        double best = 1e9;
        for (int round = 0; round < 300; round++) {
            double start = now();
            (is_double ? peaks[i].f64 : peaks[i].f32)();
            double time = now() - start;
            if (time < best) best = time;
        }
        return 2. * CHAINS * PEAK_STEPS * (is_double ? peaks[i].lanes / 2 : peaks[i].lanes) / best;
    }
    return 0;
}

/* ---- one product --------------------------------------------------------------------------------------------- */

enum { NN, NT, TN, LARGEST = 2048 * 2048 }; /* elements of a matrix */
static const char *const orientation_names[] = {"nn", "nt", "tn"};

typedef void blas_f32_64(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t,
                         float, float *, int64_t);
typedef void blas_f64_64(int, int, int, int64_t, int64_t, int64_t, double, const double *, int64_t, const double *,
                         int64_t, double, double *, int64_t);
typedef void blas_f32_32(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void blas_f64_32(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *,
                         int);

static struct {
    const fnn_target *target;
    int threads, is_double, wide_ints;
    void *blas; /* cblas_sgemm or cblas_dgemm */
    double peak;
    void *a, *b, *c, *scratch;
    size_t scratch_size;
} bench = {.threads = 1};

static void *allocate(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) exit(2);
    return p;
}

static void run_ours(int orientation, const fnn_gemm *d)
{
    fnn_ctx cx = {.threads = bench.threads, .scratch = bench.scratch, .scratch_size = bench.scratch_size};
    const fnn_kernels_f32 *s = bench.target->f32;
    const fnn_kernels_f64 *k = bench.target->f64;
    void *a = bench.a, *b = bench.b, *c = bench.c;
    if (bench.is_double)
        (orientation == NN ? k->gemm_nn : orientation == NT ? k->gemm_nt : k->gemm_tn)(&cx, d, a, b, NULL, c);
    else
        (orientation == NN ? s->gemm_nn : orientation == NT ? s->gemm_nt : s->gemm_tn)(&cx, d, a, b, NULL, c);
}

static void run_blas(int orientation, const fnn_gemm *d)
{
    enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
    int ta = orientation == TN ? TRANSPOSED : PLAIN, tb = orientation == NT ? TRANSPOSED : PLAIN;
    void *a = bench.a, *b = bench.b, *c = bench.c, *blas = bench.blas;
    if (bench.wide_ints) {
        int64_t m = d->m, n = d->n, k = d->k, lda = d->lda, ldb = d->ldb, ldc = d->ldc;
        if (bench.is_double) ((blas_f64_64 *)blas)(ROW_MAJOR, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
        else ((blas_f32_64 *)blas)(ROW_MAJOR, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
    } else {
        int m = (int)d->m, n = (int)d->n, k = (int)d->k, lda = (int)d->lda, ldb = (int)d->ldb, ldc = (int)d->ldc;
        if (bench.is_double) ((blas_f64_32 *)blas)(ROW_MAJOR, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
        else ((blas_f32_32 *)blas)(ROW_MAJOR, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
    }
}

static double time_runs(void (*run)(int, const fnn_gemm *), int orientation, const fnn_gemm *d, int runs)
{
    double start = now();
    for (int i = 0; i < runs; i++) run(orientation, d);
    return (now() - start) / runs;
}

static void measure(const char *name, int orientation, int64_t m, int64_t n, int64_t k)
{
    if (m * n > LARGEST || m * k > LARGEST || n * k > LARGEST) {
        printf("%d x %d x %d is too large\n", (int)m, (int)n, (int)k);
        return;
    }
    fnn_gemm d = {.m = m, .n = n, .k = k, .lda = orientation == TN ? m : k, .ldb = orientation == NT ? k : n, .ldc = n};
    size_t scratch = bench.is_double ? bench.target->gemm_scratch_f64(&d, FNN_HIGHEST, bench.threads)
                                     : bench.target->gemm_scratch_f32(&d, FNN_HIGHEST, bench.threads);
    if (scratch > bench.scratch_size) {
        free(bench.scratch);
        bench.scratch = allocate(bench.scratch_size = scratch);
    }
    double flops = 2. * (double)m * (double)n * (double)k, ours = 1e9, blas = 1e9, spent = 0;
    int runs = (int)(1e-4 * 20e9 / flops) + 1;
    for (int round = 0; round < 400 && (round < 5 || spent < 0.15); round++) {
        double time = time_runs(run_ours, orientation, &d, runs);
        spent += time * runs;
        if (time < ours) ours = time;
        if (!bench.blas) continue;
        time = time_runs(run_blas, orientation, &d, runs);
        spent += time * runs;
        if (time < blas) blas = time;
    }
    double share = 100 * flops / ours / bench.peak / bench.threads;
    printf("%-18s %s %5d %5d %5d  %10.3f us  %7.1f GFLOP/s  %5.1f %%", name, orientation_names[orientation], (int)m,
           (int)n, (int)k, 1e6 * ours, 1e-9 * flops / ours, share);
    if (bench.blas) printf("   BLAS %10.3f us   x%.2f%s", 1e6 * blas, blas / ours, blas < ours ? "  <" : "");
    printf("\n");
}

/* ---- shapes -------------------------------------------------------------------------------------------------- */

static const int squares[] = {32, 64, 128, 256, 512, 768, 1024, 2048};
static const struct {
    const char *name;
    int batch, layers[6]; /* widths, 0 at the end */
} networks[] = {
    {"2-2-1", 4, {2, 2, 1}},
    {"64-32-10", 1, {64, 32, 10}},
    {"784-128-10", 1, {784, 128, 10}},
    {"784-512-512-10", 1, {784, 512, 512, 10}},
    {"64-32-10", 32, {64, 32, 10}},
    {"64-32-10", 256, {64, 32, 10}},
    {"30-64-64-1", 64, {30, 64, 64, 1}},
    {"784-128-10", 64, {784, 128, 10}},
    {"784-512-512-10", 128, {784, 512, 512, 10}},
    {"1024-1024-10", 32, {1024, 1024, 10}},
    {"1024-1024-10", 256, {1024, 1024, 10}},
};

static void *find_blas(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    char name[64];
    if (!library) return NULL;
    snprintf(name, sizeof name, "scipy_cblas_%cgemm64_", bench.is_double ? 'd' : 's'); /* the one inside NumPy */
    void *symbol = dlsym(library, name);
    bench.wide_ints = symbol != NULL;
    if (symbol) return symbol;
    snprintf(name, sizeof name, "cblas_%cgemm", bench.is_double ? 'd' : 's');
    return dlsym(library, name);
}

int main(int argc, char **argv)
{
    const char *target = NULL, *blas = NULL, *only = "";
    enum { MAX_SHAPES = 32 };
    int shapes[MAX_SHAPES][3], shape_count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--double") == 0) bench.is_double = 1;
        else if (i + 1 == argc) return printf("%s needs a value\n", argv[i]), 2;
        else if (strcmp(argv[i], "--threads") == 0) bench.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--target") == 0) target = argv[++i];
        else if (strcmp(argv[i], "--blas") == 0) blas = argv[++i];
        else if (strcmp(argv[i], "--only") == 0) only = argv[++i];
        else if (strcmp(argv[i], "--shape") == 0 && shape_count < MAX_SHAPES) {
            int *s = shapes[shape_count++];
            if (sscanf(argv[++i], "%d,%d,%d", &s[0], &s[1], &s[2]) != 3) return printf("a shape is M,N,K\n"), 2;
        }
        else return printf("unknown option %s\n", argv[i]), 2;
    }
    if (shape_count) only = "no table";
    bench.target = fnn_find_target(target);
    if (!bench.target) return printf("no such target on this CPU\n"), 2;
    if (blas && !(bench.blas = find_blas(blas))) return printf("no cblas_gemm in %s\n", blas), 2;
    bench.peak = measure_peak(bench.target->name, bench.is_double);
    if (bench.threads == 1) clock_id = CLOCK_THREAD_CPUTIME_ID;
    size_t bytes = (size_t)LARGEST * (bench.is_double ? 8 : 4);
    bench.a = allocate(bytes);
    bench.b = allocate(bytes);
    bench.c = allocate(bytes);
    for (size_t i = 0; i < LARGEST; i++) {
        double x = (double)(i * 2654435761u % 1000) / 1000 - 0.5, y = (double)(i * 40503u % 999) / 999 - 0.5;
        if (bench.is_double) ((double *)bench.a)[i] = x, ((double *)bench.b)[i] = y;
        else ((float *)bench.a)[i] = (float)x, ((float *)bench.b)[i] = (float)y;
    }
    memset(bench.c, 0, bytes);
    printf("%s, %s, %d threads; multiply-add peak of one thread %.1f GFLOP/s\n", bench.target->name,
           bench.is_double ? "double" : "float", bench.threads, 1e-9 * bench.peak);
    char name[64];
    for (int i = 0; i < shape_count; i++)
        for (int o = NN; o <= TN; o++) measure("shape", o, shapes[i][0], shapes[i][1], shapes[i][2]);
    for (size_t i = 0; i < sizeof squares / sizeof squares[0]; i++) {
        if (!strstr("square", only)) break;
        for (int o = NN; o <= TN; o++) measure("square", o, squares[i], squares[i], squares[i]);
    }
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        int batch = networks[i].batch;
        snprintf(name, sizeof name, "%s [%d]", networks[i].name, batch);
        if (!strstr(name, only)) continue;
        for (int l = 0; networks[i].layers[l + 1]; l++) {
            int in = networks[i].layers[l], out = networks[i].layers[l + 1];
            measure(name, NN, batch, out, in);
            if (batch == 1) continue;
            if (l > 0) measure(name, NT, batch, in, out);
            measure(name, TN, in, out, batch);
        }
    }
    return 0;
}
