/* gemm.h: the matrix product in three orientations.
 *
 * C is cut into column panels of TILE_WIDTH vectors and each panel into tiles (gemm_tile.h). k is cut into blocks such
 * that the rows of A under a tile stay in L1 and a block of B in L2. Both are read where they lie as long as that is not
 * slower; gemm_pack.h has the copies for when it is. Where C has few rows or few columns, another way round is faster:
 * as dot products (gemm_dot.h), or as C^T (gemm_flip.h); a column times a row goes row by row (gemm_outer.h). Where the
 * caller settles for less than float, tiles of bfloat16 do the work (gemm_bf16.h).
 *
 * How C is shared out among threads cannot be seen in the result: an element is one chain over k wherever its tile lies,
 * or several where the dims alone ask for that (gemm_tile.h, gemm_halves.h). */
#include "../pool.h"

#include "gemm_dot.h"
#include "gemm_outer.h"
#include "gemm_tile.h"

#include "gemm_pack.h"

#undef GEMM_STEPS
#undef GEMM_STEPS_ONCE
#undef GEMM_PANEL
#define GEMM_STEPS 256     /* of k in one block: the rows of A under a tile take 6 KB (float) of L1 */
#define GEMM_STEPS_ONCE 64 /* for up to 3 rows, which wait for a wide B: in shorter columns the CPU reads it ahead
                              better, which gains 5 to 30 % */
#define GEMM_PANEL (TILE_WIDTH * VL)

/* C (m x n) from A with element (i, p) at row_a i + step_a p, and B with row p at ldb p or, transposed, column j. */
typedef struct {
    const fnn_gemm *d;
    int64_t m, n, k;
    int64_t row_a, step_a, ldb, ldc;
    const real *a, *b, *bias;
    real *c;
    int transposed_b, packed;
    int32_t accumulate, activation;
} FN(product);

/* What is shared out among threads at once: `columns` of C and the steps [step, end) of k, `steps` at a time. The tiles
 * are shared out as row_parts x column_parts. */
typedef struct {
    const FN(product) *g;
    int64_t step, end, steps, column, columns;
    int64_t row_parts, column_parts;
    real *panels; /* of packed B, each for `steps` steps */
    int pack;     /* a part packs its panels itself */
} FN(block);

ALWAYS_INLINE int64_t FN(least)(int64_t a, int64_t b) { return a < b ? a : b; }
ALWAYS_INLINE int64_t FN(parts_of)(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* Columns of B in one block: with its steps, half of L2. */
static int64_t FN(block_columns)(int64_t n)
{
    if (n <= GEMM_PANEL) return GEMM_PANEL;
    int64_t fit = (int64_t)(fnn_cache_size(2) / 2 / sizeof(real)) / GEMM_STEPS / GEMM_PANEL;
    return FN(least)(FN(parts_of)(n, GEMM_PANEL), fit < 1 ? 1 : fit) * GEMM_PANEL;
}

static int FN(threads_for)(const fnn_ctx *cx, const fnn_gemm *d)
{
    double rows = (double)((d->m < d->n ? d->m : d->n) + FNN_READING_ROWS);
    return fnn_worthwhile_threads(cx, 2. * rows * (double)(d->m < d->n ? d->n : d->m) * (double)d->k, FNN_GRAIN_FLOPS);
}

/* ---- tiles --------------------------------------------------------------------------------------------------- */

/* Rows [row, end) of `panels` panels, each w vectors wide. The rows are shared out evenly: 32 of them are 6 6 5 5 5 5
 * and not 6 6 6 6 6 2, since a low tile cannot hide its latency. The rows of A are walked outside, so that they stay in
 * L1 while B's panels stream by. */
static void FN(run_tiles)(const FN(tile_job) *job, int64_t w, int edged, int64_t row, int64_t end, int64_t panels,
                          int64_t next_panel, const real *a, const real *b, const real *bias, real *c)
{
    static const int tallest[] = {0, TILE_TALLEST, TILE_WIDTH == 2 ? TALLEST_WIDE : 12, 8, TALLEST_WIDE};
    const int64_t rows = end - row;
    int64_t tiles = 1, height = rows, taller = 0;
    if (rows > tallest[w]) { /* the divisions would be felt in the smallest products */
        tiles = FN(parts_of)(rows, tallest[w]);
        height = rows / tiles;
        taller = rows % tiles;
    }
    a += row * job->row_a;
    c += row * job->ldc;
    for (int64_t tile = 0; tile < tiles; tile++) {
        if (tile % 32 == 31 && fnn_stopped()) return;
        int64_t h = height + (tile < taller);
        FN(tile) run = FN(tiles)[edged][w][h];
        for (int64_t j = 0; j < panels; j++)
            run(job, a, b + j * next_panel, bias ? bias + j * GEMM_PANEL : NULL, c + j * GEMM_PANEL);
        a += h * job->row_a;
        c += h * job->ldc;
    }
}

/* Rows [0, rows) by `columns` of C where B's panels lie side by side: a product within the nearest caches. */
static void FN(run_columns)(FN(tile_job) job, int64_t rows, int64_t columns, const real *a, const real *b,
                            const real *bias, real *c)
{
    const int64_t whole = columns / GEMM_PANEL, rest = columns % GEMM_PANEL, w = FN(parts_of)(rest, VL);
    if (whole) FN(run_tiles)(&job, TILE_WIDTH, 0, 0, rows, whole, GEMM_PANEL, a, b, bias, c);
    if (!rest) return;
    job.edge = mask_first(rest - (w - 1) * VL);
    b += whole * GEMM_PANEL;
    c += whole * GEMM_PANEL;
    FN(run_tiles)(&job, w, rest % VL != 0, 0, rows, 1, 0, a, b, bias ? bias + whole * GEMM_PANEL : NULL, c);
}

/* The same with the rows of A under two tiles copied side by side first. Where A lies transposed, a step of k is a
 * cache line of its own, and with rows of 4 KB all of them fall into the same few lines of L1. Gains 5 to 15 %. */
static void FN(run_tiles_packed)(const FN(tile_job) *job, int64_t row, int64_t end, int64_t panels, int64_t next_panel,
                                 const real *a, const real *b, const real *bias, real *c)
{
    enum { STRIP = 2 * TALLEST_WIDE };
    real strip[STRIP * GEMM_STEPS + VL];
    const int64_t strips = FN(parts_of)(end - row, STRIP), height = (end - row) / strips, taller = (end - row) % strips;
    FN(tile_job) packed = *job;
    packed.row_a = 1;
    for (int64_t i = 0; i < strips; i++) {
        if (i % 8 == 7 && fnn_stopped()) return;
        int64_t h = height + (i < taller);
        packed.step_a = h;
        FN(pack_strip)(job->k, h, a + row * job->row_a, job->step_a, strip);
        FN(run_tiles)(&packed, TILE_WIDTH, 0, 0, h, panels, next_panel, strip, b, bias, c + row * job->ldc);
        row += h;
    }
}

/* The activations other than linear and relu, on finished rows: out of the tiles, and still near in the cache. */
static void FN(activate_rows)(const fnn_gemm *d, int64_t rows, int64_t columns, real *c)
{
    const int64_t next = columns == d->ldc ? FN(least)(rows, 256) : 1; /* rows without gaps are one */
    for (int64_t i = 0; i < rows; i += next, c += next * d->ldc) {
        if (i && i % 1024 == 0 && fnn_stopped()) return;
        FN(activation_args) args = {.kind = d->activation, .alpha = (real)d->alpha, .x = c, .y = c};
        FN(activation_forward_range)(&args, 0, FN(least)(next, rows - i) * columns, 0);
    }
}

/* Rows [row, end) by panels [panel, panel_end) of a block, the steps from `step` on that it takes at a time. */
static void FN(run_steps)(const FN(block) *s, int64_t step, int64_t row, int64_t end, int64_t panel, int64_t panel_end)
{
    const FN(product) *g = s->g;
    const int64_t steps = FN(least)(s->steps, s->end - step), last = step + steps >= g->k;
    const int64_t whole = s->columns / GEMM_PANEL, rest = s->columns % GEMM_PANEL;
    const int64_t next_panel = g->packed ? s->steps * GEMM_PANEL : GEMM_PANEL;
    const int32_t activation = last ? g->activation : FNN_LINEAR;
    const real *a = g->a + step * g->step_a;
    const real *b = (g->packed ? s->panels : g->b + step * g->ldb + s->column) + panel * next_panel;
    const real *bias = last && g->bias ? g->bias + s->column + panel * GEMM_PANEL : NULL;
    real *c = g->c + s->column + panel * GEMM_PANEL;
    FN(tile_job) job = {.k = steps, .row_a = g->row_a, .step_a = g->step_a, .ldb = g->packed ? GEMM_PANEL : g->ldb,
                        .ldc = g->ldc, .load = step > 0 || g->accumulate, .relu = activation == FNN_RELU};

    int64_t count = FN(least)(panel_end, whole) - panel, columns = count * GEMM_PANEL;
    if (count * TILE_WIDTH >= 16 && g->step_a != 1)
        FN(run_tiles_packed)(&job, row, end, count, next_panel, a, b, bias, c);
    else if (count > 0)
        FN(run_tiles)(&job, TILE_WIDTH, 0, row, end, count, next_panel, a, b, bias, c);
    if (panel_end > whole) {
        int64_t w = FN(parts_of)(rest, VL);
        job.edge = mask_first(rest - (w - 1) * VL);
        if (g->packed) job.ldb = w * VL;
        FN(run_tiles)(&job, w, rest % VL != 0, row, end, 1, 0, a, b + count * next_panel,
                      bias ? bias + columns : NULL, c + columns);
        columns += rest;
    }
    if (activation != FNN_LINEAR && activation != FNN_RELU)
        FN(activate_rows)(g->d, end - row, columns, c + row * g->ldc);
}

/* ---- blocks -------------------------------------------------------------------------------------------------- */

/* Packs panels [panel, panel_end) for the steps from `step` on. */
static void FN(pack_panels)(const FN(block) *s, int64_t step, int64_t panel, int64_t panel_end)
{
    const FN(product) *g = s->g;
    int64_t steps = FN(least)(s->steps, s->end - step), size = s->steps * GEMM_PANEL;
    int64_t column = panel * GEMM_PANEL, end = FN(least)(panel_end * GEMM_PANEL, s->columns);
    real *to = s->panels + panel * size;
    if (!g->transposed_b) {
        FN(pack_rows)(steps, end - column, g->b + step * g->ldb + s->column + column, g->ldb, size, to);
        return;
    }
    for (; column < end; column += GEMM_PANEL, to += size) {
        int64_t columns = FN(least)(GEMM_PANEL, end - column);
        FN(transpose_matrix)(columns, steps, g->b + (s->column + column) * g->ldb + step, g->ldb, to,
                             FN(parts_of)(columns, VL) * VL, 0);
    }
}

static void FN(pack_chunk)(void *arg, int64_t panel)
{
    const FN(block) *s = arg;
    FN(pack_panels)(s, s->step, panel, panel + 1);
}

/* Rows [row, end) by panels [panel, panel_end) of a block, through all its steps. */
static void FN(run_part)(const FN(block) *s, int64_t row, int64_t end, int64_t panel, int64_t panel_end)
{
    int64_t step = s->step;
    do {
        if (s->pack) FN(pack_panels)(s, step, panel, panel_end);
        FN(run_steps)(s, step, row, end, panel, panel_end);
    } while ((step += s->steps) < s->end && !fnn_stopped());
}

static void FN(run_chunk)(void *arg, int64_t chunk)
{
    const FN(block) *s = arg;
    int64_t i = chunk % s->row_parts, j = chunk / s->row_parts;
    int64_t m = s->g->m, panels = FN(parts_of)(s->columns, GEMM_PANEL);
    FN(run_part)(s, m * i / s->row_parts, m * (i + 1) / s->row_parts, panels * j / s->column_parts,
                 panels * (j + 1) / s->column_parts);
}

/* Whether a product of few rows is cut by columns, so that each thread reads its part of a large B alone. Else it is
 * cut by rows, as the ops are that work row by row: a thread then finds A in its own cache. By rows one sequence of 64
 * steps of a transformer with d = 128 takes 0.94 of the time on two threads. */
static int FN(by_columns)(const FN(product) *g)
{
    return g->m < 24 || (g->m < 96 && 2 * g->m * (g->n + g->k) < g->n * g->k);
}

/* Shares a block out. A part has a dozen rows at least: lower tiles would sum in another order. */
static void FN(run_block)(FN(block) *s, int threads)
{
    const int64_t panels = FN(parts_of)(s->columns, GEMM_PANEL), m = s->g->m, chunks = 4 * (int64_t)threads;
    if (threads == 1) {
        FN(run_part)(s, 0, m, 0, panels);
        return;
    }
    s->row_parts = s->column_parts = 1;
    if (s->pack) {
        s->column_parts = FN(least)(panels, chunks / 2);
    } else {
        if (s->g->packed) fnn_parallel(threads, panels, FN(pack_chunk), s);
        if (FN(by_columns)(s->g)) s->column_parts = FN(least)(panels, chunks);
        if (m >= 24) s->row_parts = FN(least)(m / 12, FN(parts_of)(chunks, s->column_parts));
        if (s->row_parts > threads) s->row_parts -= s->row_parts % threads;
    }
    fnn_parallel(threads, s->row_parts * s->column_parts, FN(run_chunk), s);
}

/* A product of a single tile, such as one row through a narrow layer: a third of its time would go into sharing out. */
static void FN(multiply_tile)(const FN(product) *g)
{
    const fnn_gemm *d = g->d;
    int64_t w = FN(parts_of)(g->n, VL);
    FN(tile_job) job = {.k = g->k, .row_a = g->row_a, .step_a = g->step_a, .ldb = g->ldb, .ldc = g->ldc,
                        .edge = mask_first(g->n - (w - 1) * VL), .load = d->accumulate,
                        .relu = d->activation == FNN_RELU};
    FN(tiles)[g->n % VL != 0][w][g->m](&job, g->a, g->b, g->bias, g->c);
    if (d->activation != FNN_LINEAR && d->activation != FNN_RELU) FN(activate_rows)(d, g->m, g->n, g->c);
}

#include "gemm_halves.h"

static void FN(multiply)(const fnn_ctx *cx, const FN(product) *g)
{
    if (g->m <= 0 || g->n <= 0) return;
    if (g->m <= TALLEST_WIDE && g->n <= GEMM_PANEL && !g->packed) {
        FN(multiply_tile)(g);
        return;
    }
    if (!g->packed && g->step_a == 1 && FN(in_halves)(g->d)) {
        FN(multiply_halves)(cx, g);
        return;
    }
    int threads = FN(threads_for)(cx, g->d);
    int64_t columns = FN(block_columns)(g->n), steps = g->k;
    int64_t most = g->m <= 3 && g->n > 2 * GEMM_PANEL && !g->packed ? GEMM_STEPS_ONCE : GEMM_STEPS;
    if (steps > most) steps = FN(parts_of)(g->k, FN(parts_of)(g->k, most));
    /* Threads pack what they need themselves where there are columns enough for all; that saves the meetings before and
     * after packing, and reading panels out of another core's cache. */
    int pack = g->packed && FN(least)(columns, g->n) >= 2 * threads * GEMM_PANEL;
    int64_t reach = g->packed && threads > 1 && !pack ? steps : g->k;
    for (int64_t column = 0; column < g->n; column += columns) {
        if (column && fnn_stopped()) return;
        int64_t step = 0;
        do {
            FN(block) s = {.g = g, .step = step, .end = FN(least)(step + reach, g->k), .steps = steps, .column = column,
                           .columns = FN(least)(columns, g->n - column), .panels = cx->scratch,
                           .pack = pack || (g->packed && threads == 1)};
            FN(run_block)(&s, threads);
        } while ((step += reach) < g->k && !fnn_stopped());
    }
}

#include "gemm_bf16.h"
#include "gemm_flip.h"
#include "gemm_update.h"

static size_t FN(gemm_scratch)(const fnn_gemm *d, int32_t precision, int32_t threads)
{
    int64_t packed_b = FN(least)(d->k, GEMM_STEPS) * FN(block_columns)(d->n);
    int64_t packed_a = FN(flips_nt)(d) ? d->k * FN(parts_of)(d->m, GEMM_PANEL) * GEMM_PANEL : 0;
    int64_t half = FN(large_for_halves)(d) ? HALVES_ROWS * d->n : 0, most = packed_a > packed_b ? packed_a : packed_b;
    size_t size = ((size_t)(half > most ? half : most) * sizeof(real) + 63) / 64 * 64;
    size_t bf16 = FN(bf16_scratch)(d, precision, threads);
    return bf16 > size ? bf16 : size;
}

/* ---- the three orientations ---------------------------------------------------------------------------------- */

/* Measured: B is read from L2 as fast where it lies, so packing pays only for a B that L2 does not hold, or whose rows
 * begin within a cache line, so that every other load touches two; and only if enough rows of C share the copy. */
static int FN(worth_packing)(int64_t m, int64_t n, int64_t k, const real *b, int64_t ldb)
{
    if (m < 96) return 0;
    int split = ((uintptr_t)b | (uintptr_t)ldb * sizeof(real)) % (VL * sizeof(real)) != 0;
    return n * k * (int64_t)sizeof(real) >= (int64_t)(split ? 2 * fnn_cache_size(1) : fnn_cache_size(2));
}

static void FN(gemm_nn)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, const real *b, const real *bias, real *c)
{
    if (FN(in_bf16)(d, cx->precision)) {
        FN(multiply_bf16)(cx, d, a, 0, b, 0, bias, c);
        return;
    }
    if (FN(is_outer)(d, bias)) {
        FN(multiply_outer)(cx, d, a, d->lda, b, c);
        return;
    }
    if (d->n == 1 && d->ldb == 1 && d->k > VL / 2) {
        FN(dots_job) job = {.d = d, .count = d->m, .k = d->k, .rows = a, .row_stride = d->lda, .x = b, .out = c,
                            .out_stride = d->ldc, .bias = bias};
        FN(dots)(cx, &job);
        return;
    }
    FN(product) g = {.d = d, .m = d->m, .n = d->n, .k = d->k, .a = a, .row_a = d->lda, .step_a = 1, .b = b,
                     .ldb = d->ldb, .bias = bias, .c = c, .ldc = d->ldc, .accumulate = d->accumulate, .activation = d->activation,
                     .packed = FN(worth_packing)(d->m, d->n, d->k, b, d->ldb)};
    FN(multiply)(cx, &g);
}

static void FN(gemm_nt)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, const real *b, const real *bias, real *c)
{
    if (FN(in_bf16)(d, cx->precision)) {
        FN(multiply_bf16)(cx, d, a, 0, b, 1, bias, c);
        return;
    }
    if (d->ldb == 1 && FN(is_outer)(d, bias)) {
        FN(multiply_outer)(cx, d, a, d->lda, b, c);
        return;
    }
    const int one_column = d->n == 1;
    if (d->k > VL / 2 && (one_column || d->m <= (d->k < 128 ? 2 : 4))) {
        for (int64_t i = 0; i < (one_column ? 1 : d->m); i++) {
            FN(dots_job) job = {.d = d, .count = one_column ? d->m : d->n, .k = d->k, .rows = one_column ? a : b,
                                .row_stride = one_column ? d->lda : d->ldb, .x = one_column ? b : a + i * d->lda,
                                .out = c + i * d->ldc, .out_stride = one_column ? d->ldc : 1, .bias = bias,
                                .bias_step = !one_column};
            FN(dots)(cx, &job);
        }
        return;
    }
    if (!bias && d->activation == FNN_LINEAR && FN(flips_nt)(d)) {
        FN(flipped) s = {.d = d, .a = a, .b = b, .c = c, .panels = cx->scratch, .row_b = d->ldb, .step_b = 1};
        FN(multiply_flipped)(cx, &s);
        return;
    }
    FN(product) g = {.d = d, .m = d->m, .n = d->n, .k = d->k, .a = a, .row_a = d->lda, .step_a = 1, .b = b,
                     .ldb = d->ldb, .bias = bias, .c = c, .ldc = d->ldc, .accumulate = d->accumulate, .activation = d->activation,
                     .transposed_b = 1, .packed = 1};
    if (d->k == 1 && d->ldb == 1) g.packed = g.transposed_b = 0; /* a single column lies as a single row does */
    FN(multiply)(cx, &g);
}

static void FN(gemm_tn)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, const real *b, const real *bias, real *c)
{
    const int in_bf16 = FN(in_bf16)(d, cx->precision);
    if (!in_bf16 && FN(updates_in_place)(d)) {
        FN(multiply_update)(cx, d, a, b);
        return;
    }
    if (d->update) {
        fnn_gemm plain = *d;
        plain.update = NULL;
        FN(gemm_tn)(cx, &plain, a, b, bias, c);
        FN(optimize_matrix)(cx, d->m, d->n, d->ldc, d->update, c);
        return;
    }
    if (in_bf16) {
        FN(multiply_bf16)(cx, d, a, 1, b, 0, bias, c);
        return;
    }
    if (FN(is_outer)(d, bias)) {
        FN(multiply_outer)(cx, d, a, 1, b, c);
        return;
    }
    if (d->n > 1 && !bias && d->activation == FNN_LINEAR && FN(flips_tn)(d)) {
        FN(flipped) s = {.d = d, .a = a, .b = b, .c = c, .row_b = 1, .step_b = d->ldb};
        FN(multiply_flipped)(cx, &s);
        return;
    }
    FN(product) g = {.d = d, .m = d->m, .n = d->n, .k = d->k, .a = a, .row_a = 1, .step_a = d->lda, .b = b,
                     .ldb = d->ldb, .bias = bias, .c = c, .ldc = d->ldc, .accumulate = d->accumulate,
                     .activation = d->activation};
    if (d->n == 1 && d->ldc == 1 && !bias) { /* c^T = b^T a: vectors along m */
        g.m = 1, g.n = d->m;
        g.a = b, g.step_a = d->ldb;
        g.b = a, g.ldb = d->lda;
    }
    g.packed = FN(worth_packing)(g.m, g.n, g.k, g.b, g.ldb);
    FN(multiply)(cx, &g);
}
