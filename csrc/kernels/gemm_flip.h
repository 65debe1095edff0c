/* gemm_flip.h: products computed as C^T, with vectors along the rows of C. Each strip of C^T is summed in a buffer on
 * the stack and transposed into place. Two products ask for it:
 *
 *   A^T B with few columns, as the gradient of an output layer's weights: vectors along the columns would leave most
 *   lanes empty (10 columns: 6 of 16), while along the rows of C both operands lie side by side. 1.5 to 2 times as fast
 *   for 10 columns and 64 steps of k or more.
 *
 *   A B^T with fewer rows than B has, as the gradient of a layer's input: the way round transposes A and C in place of
 *   the larger B. 10 to 30 % faster for a batch of 128 down to 32 and 512 units. */

#undef FLIP_COLUMNS
#undef FLIP_PACK_STEPS
#undef FLIP_SCRATCH
#define FLIP_COLUMNS 48         /* of C in one strip: with GEMM_PANEL rows 12 KB of stack, and eight tiles */
#define FLIP_PACK_STEPS 64      /* of k that are packed as one part */
#define FLIP_SCRATCH (4 << 20)  /* bytes that packed A may take */

typedef struct {
    const fnn_gemm *d;
    const real *a, *b;
    real *c, *panels;       /* panels: A transposed and packed, or NULL where it lies transposed */
    int64_t row_b, step_b;  /* strides of B: to the next column of C, to the next step of k */
    int64_t column_blocks;
} FN(flipped);

/* Whether A^T B is better flipped. Masked tiles are bound by their loads, hence 9 to 8; the way back costs about as much
 * as 12 steps of k. */
ALWAYS_INLINE int FN(flips_tn)(const fnn_gemm *d)
{
    int64_t lanes = FN(parts_of)(d->n, VL) * VL;
    return d->n <= 2 * VL && d->m >= VL && 8 * d->n * (d->k + 12) < 9 * lanes * d->k;
}

/* Whether A B^T is: numbers to transpose, and multiply-adds in lanes that flipped tiles leave empty, both ways. */
static int FN(flips_nt)(const fnn_gemm *d)
{
    int64_t m = d->m, n = d->n, k = d->k, lanes = FN(parts_of)(m, VL) * VL;
    return m >= VL && m * (n + k) + (lanes - m) * n * k / (2 * VL) < n * k
           && k * FN(parts_of)(m, GEMM_PANEL) * GEMM_PANEL * (int64_t)sizeof(real) <= FLIP_SCRATCH;
}

static void FN(flip_pack)(void *arg, int64_t part)
{
    const FN(flipped) *s = arg;
    const fnn_gemm *d = s->d;
    int64_t step = part * FLIP_PACK_STEPS, steps = FN(least)(FLIP_PACK_STEPS, d->k - step);
    for (int64_t row = 0; row < d->m; row += GEMM_PANEL) {
        int64_t rows = FN(least)(GEMM_PANEL, d->m - row), width = FN(parts_of)(rows, VL) * VL;
        FN(transpose_matrix)(rows, steps, s->a + row * d->lda + step, d->lda, s->panels + row * d->k + step * width,
                             width, 0);
    }
}

/* One strip: GEMM_PANEL rows of C by a block of columns. */
static void FN(flip_strip)(void *arg, int64_t index)
{
    const FN(flipped) *s = arg;
    const fnn_gemm *d = s->d;
    real strip[FLIP_COLUMNS * GEMM_PANEL];
    int64_t panels = FN(parts_of)(d->m, GEMM_PANEL), block = index / panels, row = index % panels * GEMM_PANEL;
    int64_t column = d->n * block / s->column_blocks, columns = d->n * (block + 1) / s->column_blocks - column;
    int64_t rows = FN(least)(GEMM_PANEL, d->m - row), w = FN(parts_of)(rows, VL);
    const real *a = s->panels ? s->panels + row * d->k : s->a + row, *b = s->b + column * s->row_b;
    FN(tile_job) job = {.row_a = s->row_b, .step_a = s->step_b, .ldb = s->panels ? w * VL : d->lda, .ldc = GEMM_PANEL,
                        .edge = mask_first(rows - (w - 1) * VL)};
    for (int64_t step = 0; step < d->k || step == 0; step += GEMM_STEPS) {
        if (step % (64 * GEMM_STEPS) == 63 * GEMM_STEPS && fnn_stopped()) return;
        job.k = FN(least)(GEMM_STEPS, d->k - step);
        job.load = step > 0;
        FN(run_tiles)(&job, w, rows % VL != 0, 0, columns, 1, 0, b + step * s->step_b, a + step * job.ldb, NULL, strip);
    }
    FN(transpose_matrix)(columns, rows, strip, GEMM_PANEL, s->c + row * d->ldc + column, d->ldc, d->accumulate);
}

static void FN(multiply_flipped)(const fnn_ctx *cx, FN(flipped) *s)
{
    int threads = FN(threads_for)(cx, s->d);
    int64_t panels = FN(parts_of)(s->d->m, GEMM_PANEL);
    s->column_blocks = FN(parts_of)(s->d->n, FLIP_COLUMNS);
    if (threads > 1 && panels * s->column_blocks < 4 * threads) { /* narrower strips, but no lower than two tiles */
        int64_t wanted = FN(parts_of)(4 * threads, panels), most = s->d->n / (2 * TALLEST_WIDE);
        if (FN(least)(wanted, most) > s->column_blocks) s->column_blocks = FN(least)(wanted, most);
    }
    if (s->panels) fnn_parallel(threads, FN(parts_of)(s->d->k, FLIP_PACK_STEPS), FN(flip_pack), s);
    fnn_parallel(threads, panels * s->column_blocks, FN(flip_strip), s);
}
