/* gemm_update.h: the gradient of a layer's weights, C = A^T B, and the optimizer's step on them in one walk. A strip of
 * C is summed in a buffer on the stack and the rule applied to it there, while the parameters and slots of the strip
 * come out of memory behind the multiply-adds. The gradient itself is never stored.
 *
 * The rule works element by element and an element is summed as gemm_tn sums it, so the result is bitwise that of the
 * product followed by the optimizer. */

#undef UPDATE_ROWS
#define UPDATE_ROWS (2 * TALLEST_WIDE) /* of C in one strip */

typedef struct {
    const fnn_gemm *d;
    const real *a, *b;
    FN(rule) rule;
    int64_t strips, panels; /* of C: rows and columns */
    int64_t row_parts, column_parts;
} FN(update_job);

/* Whether the walk pays: in longer sums the products take so long that the optimizer's share is small, and few columns
 * are better summed the other way round. */
static int FN(updates_in_place)(const fnn_gemm *d)
{
    return d->update && d->k <= GEMM_STEPS && d->n > 2 * VL && !FN(flips_tn)(d);
}

/* Asks for what the rule will read in a block, and write. */
ALWAYS_INLINE void FN(fetch_block)(const FN(optim_args) *v, int64_t at, int64_t ld, int64_t rows, int64_t cols)
{
    const int64_t line = CACHE_LINE / (int64_t)sizeof(real);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j += line) {
            __builtin_prefetch(v->p + at + i * ld + j, 1);
            for (int s = 0; s < 3; s++)
                if (v->slot[s]) __builtin_prefetch(v->slot[s] + at + i * ld + j, 1);
        }
}

/* Rows [row, row + rows) of C by panels [panel, end). */
static void FN(update_strip)(const FN(update_job) *s, int64_t row, int64_t rows, int64_t panel, int64_t end)
{
    const fnn_gemm *d = s->d;
    real strip[UPDATE_ROWS * GEMM_STEPS + VL], sums[UPDATE_ROWS * GEMM_PANEL];
    FN(tile_job) job = {.k = d->k, .row_a = 1, .step_a = d->lda, .ldb = d->ldb, .ldc = GEMM_PANEL};
    const real *a = s->a + row;
    if (end - panel >= 4) { /* as in run_tiles_packed */
        FN(pack_strip)(d->k, rows, a, d->lda, strip);
        a = strip;
        job.step_a = rows;
    }
    for (; panel < end; panel++) {
        const int64_t column = panel * GEMM_PANEL, columns = FN(least)(GEMM_PANEL, d->n - column);
        const int64_t w = FN(parts_of)(columns, VL);
        FN(optim_block) block = {.rows = rows, .cols = columns, .at = row * d->ldc + column, .ld = d->ldc,
                                 .ldg = GEMM_PANEL, .g = sums};
        FN(fetch_block)(&s->rule.args, block.at, block.ld, rows, columns);
        job.edge = mask_first(columns - (w - 1) * VL);
        FN(run_tiles)(&job, w, columns % VL != 0, 0, rows, 1, 0, a, s->b + column, NULL, sums);
        s->rule.run(&s->rule.args, &block);
    }
}

static void FN(update_chunk)(void *arg, int64_t chunk)
{
    const FN(update_job) *s = arg;
    const int64_t i = chunk % s->row_parts, j = chunk / s->row_parts, m = s->d->m;
    const int64_t strip = s->strips * i / s->row_parts, end = s->strips * (i + 1) / s->row_parts;
    for (int64_t k = strip; k < end; k++) {
        int64_t row = m * k / s->strips;
        FN(update_strip)(s, row, m * (k + 1) / s->strips - row, s->panels * j / s->column_parts,
                         s->panels * (j + 1) / s->column_parts);
    }
}

static void FN(multiply_update)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, const real *b)
{
    const int64_t threads = FN(threads_for)(cx, d);
    FN(update_job) s = {.d = d, .a = a, .b = b, .rule = FN(rule_of)(d->update), .row_parts = 1,
                        .strips = FN(parts_of)(d->m, UPDATE_ROWS), .panels = FN(parts_of)(d->n, GEMM_PANEL)};
    const int64_t fit = (int64_t)(fnn_cache_size(2) / 2 / sizeof(real)) / GEMM_PANEL / (d->k > 0 ? d->k : 1);
    s.column_parts = FN(parts_of)(s.panels, fit > 0 ? fit : 1);
    if (threads > 1) { /* by columns first, as the forward product is: each thread finds its weights in its own cache */
        if (s.column_parts < threads) s.column_parts = FN(least)(s.panels, threads);
        s.row_parts = FN(least)(s.strips, FN(parts_of)(4 * threads, s.column_parts));
    }
    fnn_parallel((int)threads, s.row_parts * s.column_parts, FN(update_chunk), &s);
}
