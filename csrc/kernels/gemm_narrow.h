/* gemm_narrow.h: C = A^T B with few columns, as the gradient of an output layer's weights has. Tiles with vectors along
 * the columns would leave most lanes empty (10 columns: 6 of 16), so here vectors run along the rows of C: both
 * operands have them side by side. A strip of C^T is computed in a buffer on the stack and transposed into place.
 * Gains 1.5 to 2 times for 10 columns from 64 steps of k up. */

#undef NARROW_COLUMNS
#define NARROW_COLUMNS (2 * VL)

typedef struct {
    const fnn_gemm *d;
    const real *a, *b;
    real *c;
    int64_t panels, parts; /* of GEMM_PANEL rows of C; shared out in parts */
} FN(narrow_job);

/* In eighths of a vector operation a step: masked tiles are bound by their loads, and the way back costs 12 steps. */
ALWAYS_INLINE int FN(is_narrow)(const fnn_gemm *d)
{
    int64_t lanes = (d->n + VL - 1) / VL * VL;
    return d->n <= NARROW_COLUMNS && d->m >= VL && 8 * d->n * (d->k + 12) < 9 * lanes * d->k;
}

static void FN(narrow_part)(void *arg, int64_t part)
{
    const FN(narrow_job) *s = arg;
    const fnn_gemm *d = s->d;
    real strip[NARROW_COLUMNS * GEMM_PANEL];
    int64_t end = s->panels * (part + 1) / s->parts;
    for (int64_t panel = s->panels * part / s->parts; panel < end; panel++) {
        int64_t row = panel * GEMM_PANEL, rows = FN(least)(GEMM_PANEL, d->m - row), w = FN(parts_of)(rows, VL);
        FN(tile_job) job = {.k = d->k, .row_a = 1, .step_a = d->ldb, .ldb = d->lda, .ldc = GEMM_PANEL,
                            .edge = mask_first(rows - (w - 1) * VL)};
        FN(run_tiles)(&job, w, rows % VL != 0, 0, d->n, 1, 0, s->b, s->a + row, NULL, strip);
        FN(transpose_matrix)(d->n, rows, strip, GEMM_PANEL, s->c + row * d->ldc, d->ldc, d->accumulate);
    }
}

static void FN(multiply_narrow)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, const real *b, real *c)
{
    FN(narrow_job) s = {.d = d, .a = a, .b = b, .c = c, .panels = FN(parts_of)(d->m, GEMM_PANEL)};
    int threads = FN(threads_for)(cx, d);
    s.parts = threads == 1 ? 1 : FN(least)(s.panels, 4 * threads);
    fnn_parallel(threads, s.parts, FN(narrow_part), &s);
}
