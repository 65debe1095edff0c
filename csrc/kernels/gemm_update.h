/* gemm_update.h: the gradient of a layer's weights, C = A^T B, and the optimizer's step on them in one walk. A strip of
 * C is summed in a buffer on the stack and the rule applied to it there, while the parameters and slots of the strip
 * come out of memory behind the multiply-adds. The gradient itself is never stored.
 *
 * The rule works element by element and an element is summed as gemm_tn sums it, so the result is bitwise that of the
 * product followed by the optimizer. */

#undef UPDATE_ROWS
#undef UPDATE_COLUMNS
#define UPDATE_ROWS (2 * TALLEST_WIDE)     /* of C in one strip */
#define UPDATE_COLUMNS (8 * GEMM_PANEL)    /* and in one block of it: the sums of 12 x 512 floats take half of L1, and the
                                              rule walks along memory in stretches that the CPU reads ahead */

typedef struct {
    const fnn_gemm *d;
    const real *a, *b;
    FN(rule) rule;
    int64_t strips, parts;
    int64_t columns; /* of C at a time: with the steps of k, B takes half of L2 */
} FN(update_job);

/* Whether the walk pays: in longer sums the products take so long that the optimizer's share is small, and few columns
 * are better summed the other way round. */
static int FN(updates_in_place)(const fnn_gemm *d)
{
    return d->update && d->k <= GEMM_STEPS && d->n > 2 * VL && !FN(flips_tn)(d);
}

/* Rows [row, row + rows) of C by columns [column, column + columns), UPDATE_COLUMNS of them at most. */
static void FN(update_block)(const FN(update_job) *s, const FN(tile_job) *tiles, const real *a, int64_t row, int64_t rows,
                             int64_t column, int64_t columns)
{
    real sums[UPDATE_ROWS * UPDATE_COLUMNS];
    FN(tile_job) job = *tiles;
    job.ldc = FN(parts_of)(columns, GEMM_PANEL) * GEMM_PANEL;
    FN(run_columns)(job, rows, columns, a, s->b + column, NULL, sums);
    FN(optim_block) block = {.rows = rows, .cols = columns, .at = row * s->d->ldc + column, .ld = s->d->ldc,
                             .ldg = job.ldc, .g = sums};
    s->rule.run(&s->rule.args, &block);
}

/* Rows [row, row + rows) of C by columns [column, end). */
static void FN(update_strip)(const FN(update_job) *s, int64_t row, int64_t rows, int64_t column, int64_t end)
{
    const fnn_gemm *d = s->d;
    real strip[UPDATE_ROWS * GEMM_STEPS + VL];
    FN(tile_job) job = {.k = d->k, .row_a = 1, .step_a = d->lda, .ldb = d->ldb};
    const real *a = s->a + row;
    if (end - column >= 4 * GEMM_PANEL) { /* as in run_tiles_packed */
        FN(pack_strip)(d->k, rows, a, d->lda, strip);
        a = strip;
        job.step_a = rows;
    }
    for (; column < end; column += UPDATE_COLUMNS)
        FN(update_block)(s, &job, a, row, rows, column, FN(least)(UPDATE_COLUMNS, end - column));
}

/* A part of the rows. Threads share out rows and not columns: then each has a stretch of memory to itself, beside which
 * no CPU that reads ahead takes the other's lines. 139 to 84 us for 784 x 128 and 64 steps on two threads. */
static void FN(update_chunk)(void *arg, int64_t part)
{
    const FN(update_job) *s = arg;
    const int64_t m = s->d->m, n = s->d->n, strip = s->strips * part / s->parts, end = s->strips * (part + 1) / s->parts;
    for (int64_t column = 0; column < n; column += s->columns)
        for (int64_t k = strip; k < end; k++) {
            int64_t row = m * k / s->strips;
            FN(update_strip)(s, row, m * (k + 1) / s->strips - row, column, FN(least)(n, column + s->columns));
        }
}

static void FN(multiply_update)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, const real *b)
{
    const int threads = FN(threads_for)(cx, d);
    const int64_t fit = (int64_t)(fnn_cache_size(2) / 2 / sizeof(real)) / UPDATE_COLUMNS / (d->k > 0 ? d->k : 1);
    FN(update_job) s = {.d = d, .a = a, .b = b, .rule = FN(rule_of)(d->update), .strips = FN(parts_of)(d->m, UPDATE_ROWS),
                        .columns = (fit > 0 ? fit : 1) * UPDATE_COLUMNS};
    s.parts = threads > 1 ? FN(least)(s.strips, 4 * threads) : 1;
    fnn_parallel(threads, s.parts, FN(update_chunk), &s);
}
