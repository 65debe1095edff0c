/* harness.h: the Python-free test of the kernels.
 *
 * A suite is a file test_NAME.c that defines SUITE(NAME) { ... }; the build compiles it once for float and once for
 * double (real, REAL_BITS, KERNELS) and links every suite that lies in this folder. A suite that does not depend on the
 * precision returns at once where REAL_BITS is 64.
 *
 * Most suites are tables of cases: run calls a kernel on buffers b[], reference does the same to w[], their copies in
 * long double, and the runner compares every buffer, for every target of this CPU, over sizes around the vector
 * width, with an inaccessible page right after or right before each buffer, or off its alignment among watched bytes.
 *
 * RANDOM_PROBLEM(NAME) { ... } makes one problem of a suite at random, sizes and options among it, and compares. The suites
 * run some of them; `test --soak COUNT` runs as many as one likes, of all suites in turn. */
#ifndef FNN_HARNESS_H
#define FNN_HARNESS_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fastnn.h"

#if REAL_BITS == 32
typedef float real;
#define KERNELS fnn_kernels_f32
#define TABLE(target) ((target)->f32)
#define EPSILON ((long double)FLT_EPSILON)
#define SMALLEST ((long double)FLT_TRUE_MIN)
#define LARGEST FLT_MAX
#define SUITE(name) void suite_##name##_f32(void)
#define RANDOM(name) random_problem_##name##_f32
#else
typedef double real;
#define KERNELS fnn_kernels_f64
#define TABLE(target) ((target)->f64)
#define EPSILON ((long double)DBL_EPSILON)
#define SMALLEST ((long double)DBL_TRUE_MIN)
#define LARGEST DBL_MAX
#define SUITE(name) void suite_##name##_f64(void)
#define RANDOM(name) random_problem_##name##_f64
#endif
#define RANDOM_PROBLEM(name) void RANDOM(name)(const fnn_target *target)
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- shared by both precisions (harness.c) ------------------------------------------------------------------- */

/* Counts one check; says what failed, and where. Returns ok. */
#define CHECK(ok, ...) check_at(__FILE__, __LINE__, (ok), __VA_ARGS__)
int check_at(const char *file, int line, int ok, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Targets that this CPU runs; returns their number. */
int usable_targets(const fnn_target **list);
/* A buffer of `size` bytes in slot 0 .. 17 that ends at an inaccessible page, or begins after one, or (INSIDE) begins at
 * any multiple of `unit` within a cache line. What lies beside it and is no such page is watched: guards_intact says
 * whether anything was written there; it holds huge numbers, so that whoever reads it shows them. ANYWHERE draws one of
 * the three. `scratch_of` is the kernels', which is aligned to a cache line: what its last line has left is watched. */
enum { SLOTS = 18, SLOT_BYTES = 32 << 20 };
enum { AT_END, AT_START, INSIDE, ANYWHERE };
void *placed(int slot, size_t size, size_t unit, int place);
void *scratch_of(int slot, size_t size);
/* What a run leaves in its scratch is no help to the next. */
void soil(void *scratch, size_t size);
#define REALS(slot, count, place) ((real *)placed((slot), (size_t)(count) * sizeof(real), sizeof(real), (place)))
int guards_intact(void);
/* Counts a problem: buffers that kernels are run on and compared. */
void problem_begins(void);
/* Test numbers, the same in every run: uniform in [low, high); an integer in 0 .. n-1. */
double uniform(double low, double high);
int64_t below(int64_t n);

/* Whether what runs the tests is far slower than a CPU would be (an emulator, a sanitizer, valgrind): they then take
 * fewer numbers. Every suite still runs every kernel on every target. */
extern int thinned;
/* Whether it is qemu's user mode, which cannot make threads in the child of a fork. */
extern int emulated;

/* How many of so many random problems to take: a tenth where thinned, for long double may be software there too. */
static inline int problems(int wanted) { return thinned ? wanted / 10 : wanted; }

/* ---- tables of cases (cases.h) ------------------------------------------------------------------------------- */

enum { BUFFERS = 6 };
enum { FLAT, MATRIX };

typedef struct problem {
    const KERNELS *k;
    const fnn_ctx *cx;
    int variant;
    int64_t rows, cols, n; /* n = rows cols; FLAT: cols = 1 */
    int64_t length[BUFFERS];
    real *b[BUFFERS];
    long double *w[BUFFERS];
    int64_t *index;
    int32_t *labels;
    double result;          /* a kernel's scalar, and what it should be */
    long double want, size; /* size: sum of the magnitudes that went into want */
} problem;

typedef struct test_case {
    const char *name;
    int shape, variants;
    void (*lengths)(problem *q); /* sets length[]; unused buffers keep 0 */
    void (*fill)(problem *q);    /* may replace what the runner filled b[] with: uniform in [-4, 4) */
    void (*run)(problem *q);
    void (*reference)(problem *q);
    /* |b - w| <= EPSILON (relative |w| + absolute), |result - want| <= EPSILON scalar size */
    double relative, absolute, scalar;
} test_case;

#endif
