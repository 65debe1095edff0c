/* gemm_bf16.h: products of float matrices on tiles of bfloat16, for precision "high" and "medium".
 *
 * "medium" rounds both operands to bfloat16 and sums their products in float. "high" takes each number x as the sum of two,
 * x1 = round(x) and x2 = round(x - x1), and sums a2 b1 + a1 b1 + a1 b2: what is left out, a2 b2 and what two numbers of 8
 * bits cannot hold of x, is some 2^-17 of a product, with either sign (Henry, Tang and Heinecke, "Leveraging the bfloat16
 * artificial intelligence datatype for higher-precision computations", 2019). Numbers that are not finite, or that round
 * to infinity (beyond 3.39e38), become NaN in "high"; tiles take subnormal numbers for zero.
 *
 * A block of B, BF16_STEPS by BF16_COLUMNS, is rounded into panels of 32 columns, by each thread for its own part of the
 * columns or, where C is higher than wide, by all for all; then each strip of 32 rows of A, on the stack of who multiplies
 * it. Four tiles hold a strip by a panel. An element is one chain over k, wherever its tile lies, so the result does not
 * depend on the threads. */
#if REAL_BITS == 32 && defined SIMD_TILES
#include SIMD_TILES

#define BF16_SIDE 32     /* of a square of four tiles */
#define BF16_STEPS 512   /* of k at a time: a panel's parts, 32 or 64 KB, and a strip's stay in L2; the sums go through
                            memory once in 1,024 cycles or more. By 256 steps 1024-1024-1024 takes 1.15 times as long */
#define BF16_COLUMNS 512 /* of B at a time: 1 MB in "high", half of the L2 of CPUs with tiles */
#define BF16_PANELS (BF16_COLUMNS / BF16_SIDE)
#define BF16_LEAST 64    /* rows and columns from which on tiles save more than rounding costs, by their instructions: a
                            core of AVX-512 spends m / 32 cycles on an element of B, rounding it takes about one */

typedef struct {
    const fnn_gemm *d;
    const float *a, *b, *bias;
    float *c;
    int transposed_a, transposed_b, parts; /* of each number: one or two */
    int64_t step, steps, column, columns; /* of the block */
    int64_t column_parts;
    uint16_t *panels;
} FN(bf16_job);

static int FN(in_bf16)(const fnn_gemm *d, int32_t precision)
{
    return precision != FNN_HIGHEST && d->m >= BF16_LEAST && d->n >= BF16_LEAST && d->k >= TILE_STEPS;
}

/* Words of a strip or a panel: for each 32 steps of k, for each part, two tiles. */
ALWAYS_INLINE int64_t FN(bf16_words)(int64_t steps, int parts)
{
    return FN(parts_of)(steps, TILE_STEPS) * parts * 2 * TILE_WORDS;
}

/* Whatever the rows: who asks may have more of them later, or fewer, which go the other way. */
static size_t FN(bf16_scratch)(const fnn_gemm *d, int32_t precision, int32_t threads)
{
    if (precision == FNN_HIGHEST || d->n < BF16_LEAST || d->k < TILE_STEPS) return 0;
    int64_t panels = FN(least)(FN(parts_of)(d->n, BF16_SIDE), BF16_PANELS * (int64_t)threads);
    return (size_t)(panels * FN(bf16_words)(FN(least)(d->k, BF16_STEPS), 2)) * sizeof(uint16_t);
}

/* 32 x 32 numbers, of which the matrix has rows x columns and the others are 0: where they lie, or copied. */
static const float *FN(bf16_square)(const float *from, int64_t ld, int transposed, int64_t rows, int64_t columns,
                                    float *copy, int64_t *stride)
{
    if (!transposed && rows == BF16_SIDE && columns == BF16_SIDE) {
        *stride = ld;
        return from;
    }
    if (rows < BF16_SIDE || columns < BF16_SIDE) memset(copy, 0, BF16_SIDE * BF16_SIDE * sizeof *copy);
    if (transposed)
        FN(transpose_matrix)(columns, rows, from, ld, copy, BF16_SIDE, 0);
    else
        for (int64_t i = 0; i < rows; i++) memcpy(copy + i * BF16_SIDE, from + i * ld, (size_t)columns * sizeof *copy);
    *stride = BF16_SIDE;
    return copy;
}

/* 32 rows by as many steps of k: two tiles of each part. */
static void FN(bf16_pack_a)(const float *from, int64_t stride, int parts, uint16_t *to)
{
    for (int64_t i = 0; i < BF16_SIDE; i++, from += stride, to += TILE_STEPS) {
        __m512 first = v_load(from), second = v_load(from + VL);
        __m512i words = bf16_round(first, second);
        _mm512_storeu_si512(to, words);
        if (parts == 2) _mm512_storeu_si512(to + 2 * TILE_WORDS, bf16_rest(first, second, words));
    }
}

/* 32 steps of k by as many columns. */
static void FN(bf16_pack_b)(const float *from, int64_t stride, int parts, uint16_t *to)
{
    for (int64_t p = 0; p < TILE_PAIRS; p++, from += 2 * stride, to += TILE_STEPS)
        for (int half = 0; half < 2; half++) {
            __m512 first = v_load(from + half * VL), second = v_load(from + half * VL + stride);
            __m512i words = bf16_round(first, second);
            uint16_t *tile = to + half * TILE_WORDS;
            _mm512_storeu_si512(tile, bf16_pairs(words));
            if (parts == 2) _mm512_storeu_si512(tile + 2 * TILE_WORDS, bf16_pairs(bf16_rest(first, second, words)));
        }
}

static void FN(bf16_pack_strip)(const FN(bf16_job) *s, int64_t row, int64_t rows, uint16_t *to)
{
    const int64_t lda = s->d->lda, row_a = s->transposed_a ? 1 : lda, step_a = s->transposed_a ? lda : 1;
    float copy[BF16_SIDE * BF16_SIDE];
    for (int64_t p = 0; p < s->steps; p += TILE_STEPS, to += s->parts * 2 * TILE_WORDS) {
        int64_t stride, steps = FN(least)(TILE_STEPS, s->steps - p);
        const float *from = s->a + row * row_a + (s->step + p) * step_a;
        const float *square = FN(bf16_square)(from, lda, s->transposed_a, rows, steps, copy, &stride);
        FN(bf16_pack_a)(square, stride, s->parts, to);
    }
}

/* 32 steps of k by a panel. */
static void FN(bf16_pack_square)(const FN(bf16_job) *s, int64_t group, int64_t panel)
{
    const int64_t ldb = s->d->ldb, column_b = s->transposed_b ? ldb : 1, step_b = s->transposed_b ? 1 : ldb;
    const int64_t column = panel * BF16_SIDE, columns = FN(least)(BF16_SIDE, s->columns - column);
    const int64_t step = group * TILE_STEPS, steps = FN(least)(TILE_STEPS, s->steps - step);
    const float *from = s->b + (s->column + column) * column_b + (s->step + step) * step_b;
    float copy[BF16_SIDE * BF16_SIDE];
    int64_t stride;
    const float *square = FN(bf16_square)(from, ldb, s->transposed_b, steps, columns, copy, &stride);
    FN(bf16_pack_b)(square, stride, s->parts,
                    s->panels + panel * FN(bf16_words)(s->steps, s->parts) + group * s->parts * 2 * TILE_WORDS);
}

static void FN(bf16_pack_panel)(void *arg, int64_t panel)
{
    const FN(bf16_job) *s = arg;
    for (int64_t group = 0; group < FN(parts_of)(s->steps, TILE_STEPS); group++) FN(bf16_pack_square)(s, group, panel);
}

static void FN(bf16_pack_group)(void *arg, int64_t group)
{
    const FN(bf16_job) *s = arg;
    for (int64_t panel = 0; panel < FN(parts_of)(s->columns, BF16_SIDE); panel++) FN(bf16_pack_square)(s, group, panel);
}

/* A strip by a panel: into 32 rows of C, or added to what they hold. The small products come first. */
static void FN(bf16_sums)(int64_t steps, int parts, const uint16_t *a, const uint16_t *b, int load, float *c,
                          int64_t ldc)
{
    enum { HALF = TILE_WORDS, PART = 2 * TILE_WORDS, ROW = 64 };
    const int64_t next = ldc * (int64_t)sizeof *c;
    float *lower = c + TILE_ROWS * ldc;
#define MULTIPLY_ALL()                                                                                                \
    do {                                                                                                              \
        tile_multiply(0, 4, 6);                                                                                       \
        tile_multiply(1, 4, 7);                                                                                       \
        tile_multiply(2, 5, 6);                                                                                       \
        tile_multiply(3, 5, 7);                                                                                       \
    } while (0)
    if (load) {
        tile_load(0, c, next);
        tile_load(1, c + VL, next);
        tile_load(2, lower, next);
        tile_load(3, lower + VL, next);
    } else {
        tile_zero(0);
        tile_zero(1);
        tile_zero(2);
        tile_zero(3);
    }
    for (int64_t p = 0; p < steps; p += TILE_STEPS, a += parts * PART, b += parts * PART) {
        tile_load(6, b, ROW);
        tile_load(7, b + HALF, ROW);
        if (parts == 2) {
            tile_load(4, a + PART, ROW);
            tile_load(5, a + PART + HALF, ROW);
            MULTIPLY_ALL();
        }
        tile_load(4, a, ROW);
        tile_load(5, a + HALF, ROW);
        MULTIPLY_ALL();
        if (parts == 2) {
            tile_load(6, b + PART, ROW);
            tile_load(7, b + PART + HALF, ROW);
            MULTIPLY_ALL();
        }
    }
#undef MULTIPLY_ALL
    tile_store(0, c, next);
    tile_store(1, c + VL, next);
    tile_store(2, lower, next);
    tile_store(3, lower + VL, next);
}

/* The same where C ends within the square: by way of a copy. */
static void FN(bf16_sums_edge)(int64_t steps, int parts, const uint16_t *a, const uint16_t *b, int load, int64_t rows,
                               int64_t columns, float *c, int64_t ldc)
{
    float square[BF16_SIDE * BF16_SIDE] __attribute__((aligned(64))) = {0};
    if (load)
        for (int64_t i = 0; i < rows; i++) memcpy(square + i * BF16_SIDE, c + i * ldc, (size_t)columns * sizeof *c);
    FN(bf16_sums)(steps, parts, a, b, load, square, BF16_SIDE);
    for (int64_t i = 0; i < rows; i++) memcpy(c + i * ldc, square + i * BF16_SIDE, (size_t)columns * sizeof *c);
}

/* Bias and activation of finished sums. */
static void FN(bf16_finish)(const fnn_gemm *d, int64_t rows, int64_t columns, const float *bias, float *c)
{
    const vmask edges[2] = {mask_first(FN(least)(VL, columns)), mask_first(columns > VL ? columns - VL : 0)};
    if (bias || d->activation == FNN_RELU)
        for (int64_t i = 0; i < rows; i++)
            for (int half = 0; half * VL < columns; half++) {
                float *at = c + i * d->ldc + half * VL;
                vec sum = v_load_mask(at, edges[half]);
                if (bias) sum = v_add(sum, v_load_mask(bias + half * VL, edges[half]));
                if (d->activation == FNN_RELU) sum = v_max(v_zero(), sum); /* NaN stays */
                v_store_mask(at, edges[half], sum);
            }
    if (d->activation != FNN_LINEAR && d->activation != FNN_RELU) FN(activate_rows)(d, rows, columns, c);
}

/* A strip of rows by panels [panel, end). */
static void FN(bf16_strip)(const FN(bf16_job) *s, int64_t strip_index, int64_t panel, int64_t end)
{
    const int64_t row = strip_index * BF16_SIDE, rows = FN(least)(BF16_SIDE, s->d->m - row), ldc = s->d->ldc;
    const int64_t words = FN(bf16_words)(s->steps, s->parts);
    const int load = s->step > 0 || s->d->accumulate, last = s->step + s->steps == s->d->k;
    uint16_t strip[BF16_STEPS * 2 * BF16_SIDE] __attribute__((aligned(64)));
    FN(bf16_pack_strip)(s, row, rows, strip);
    tiles_begin();
    for (; panel < end && !fnn_stopped(); panel++) {
        const int64_t column = s->column + panel * BF16_SIDE;
        const int64_t columns = FN(least)(BF16_SIDE, s->columns - panel * BF16_SIDE);
        const uint16_t *b = s->panels + panel * words;
        float *c = s->c + row * ldc + column;
        if (rows == BF16_SIDE && columns == BF16_SIDE)
            FN(bf16_sums)(s->steps, s->parts, strip, b, load, c, ldc);
        else
            FN(bf16_sums_edge)(s->steps, s->parts, strip, b, load, rows, columns, c, ldc);
        if (last) FN(bf16_finish)(s->d, rows, columns, s->bias ? s->bias + column : NULL, c);
    }
    tiles_end();
}

static void FN(bf16_chunk)(void *arg, int64_t chunk)
{
    const FN(bf16_job) *s = arg;
    const int64_t part = chunk % s->column_parts, panels = FN(parts_of)(s->columns, BF16_SIDE);
    FN(bf16_strip)(s, chunk / s->column_parts, panels * part / s->column_parts, panels * (part + 1) / s->column_parts);
}

/* Packs the block's B on so many threads: along its rows as they lie, a few at a time. */
static void FN(bf16_pack)(FN(bf16_job) *s, int threads)
{
    if (s->transposed_b) fnn_parallel(threads, FN(parts_of)(s->columns, BF16_SIDE), FN(bf16_pack_panel), s);
    else fnn_parallel(threads, FN(parts_of)(s->steps, TILE_STEPS), FN(bf16_pack_group), s);
}

/* A part of the columns on one thread alone. It packs all of A for itself, but reads no panel out of another core's cache
 * and waits for nobody. */
static void FN(bf16_columns)(void *arg, int64_t part)
{
    FN(bf16_job) s = *(const FN(bf16_job) *)arg;
    const int64_t panels = FN(parts_of)(s.d->n, BF16_SIDE), each = FN(parts_of)(panels, s.column_parts);
    const int64_t first = panels * part / s.column_parts, strips = FN(parts_of)(s.d->m, BF16_SIDE), steps = s.steps;
    const int64_t end = FN(least)(panels * (part + 1) / s.column_parts * BF16_SIDE, s.d->n);
    s.panels += (each <= BF16_PANELS ? first : part * BF16_PANELS) * FN(bf16_words)(steps, s.parts);
    for (s.column = first * BF16_SIDE; s.column < end; s.column += BF16_COLUMNS) {
        s.columns = FN(least)(BF16_COLUMNS, end - s.column);
        for (s.step = 0; s.step < s.d->k && !fnn_stopped(); s.step += steps) {
            s.steps = FN(least)(steps, s.d->k - s.step);
            FN(bf16_pack)(&s, 1);
            for (int64_t strip = 0; strip < strips; strip++)
                FN(bf16_strip)(&s, strip, 0, FN(parts_of)(s.columns, BF16_SIDE));
        }
    }
}

/* C from A or A^T (transposed_a) and B or B^T. */
static void FN(multiply_bf16)(const fnn_ctx *cx, const fnn_gemm *d, const float *a, int transposed_a, const float *b,
                              int transposed_b, const float *bias, float *c)
{
    const int threads = FN(threads_for)(cx, d);
    const int64_t strips = FN(parts_of)(d->m, BF16_SIDE), rounds = FN(parts_of)(d->k, BF16_STEPS);
    const int64_t steps = FN(parts_of)(FN(parts_of)(d->k, rounds), TILE_STEPS) * TILE_STEPS;
    FN(bf16_job) s = {.d = d, .a = a, .b = b, .bias = bias, .c = c, .transposed_a = transposed_a, .steps = steps,
                      .transposed_b = transposed_b, .parts = cx->precision == FNN_HIGH ? 2 : 1, .panels = cx->scratch};
    /* On two threads 1.6 times as fast as sharing panels for 256 rows through 1024-1024, 1.1 to 1.2 times for squares. */
    if (threads > 1 && d->m <= d->n && d->n >= 2 * BF16_SIDE * threads) {
        s.column_parts = threads;
        fnn_parallel(threads, threads, FN(bf16_columns), &s);
        return;
    }
    for (s.column = 0; s.column < d->n; s.column += BF16_COLUMNS) {
        s.columns = FN(least)(BF16_COLUMNS, d->n - s.column);
        const int64_t panels = FN(parts_of)(s.columns, BF16_SIDE);
        s.column_parts = FN(least)(panels, FN(parts_of)(2 * threads, strips)); /* each packs its strips anew */
        for (s.step = 0; s.step < d->k && !fnn_stopped(); s.step += steps) {
            s.steps = FN(least)(steps, d->k - s.step);
            FN(bf16_pack)(&s, threads);
            fnn_parallel(threads, strips * s.column_parts, FN(bf16_chunk), &s);
        }
    }
}

#undef BF16_SIDE
#undef BF16_STEPS
#undef BF16_COLUMNS
#undef BF16_PANELS
#undef BF16_LEAST
#else

/* Everything in its own precision. */
static int FN(in_bf16)(const fnn_gemm *d, int32_t precision)
{
    (void)d, (void)precision;
    return 0;
}

static size_t FN(bf16_scratch)(const fnn_gemm *d, int32_t precision, int32_t threads)
{
    (void)d, (void)precision, (void)threads;
    return 0;
}

static void FN(multiply_bf16)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, int transposed_a, const real *b,
                              int transposed_b, const real *bias, real *c)
{
    (void)cx, (void)d, (void)a, (void)transposed_a, (void)b, (void)transposed_b, (void)bias, (void)c;
}
#endif
