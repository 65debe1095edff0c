/* gemm_halves.h: products of few rows with a large B, as two sums over half of k each, added at the end. A thread then
 * reads a stretch of B without gaps, which stays in its own cache from call to call; in training it is the stretch that
 * the same thread updates (gemm_update.h). Measured against sharing out columns, on two threads: 40 to 25 us for one row
 * through 784-512-512-10, 226 to 197 us for a training step of 784-128-10.
 *
 * The halves are a matter of the dims, so the result does not depend on the threads. Within a half threads share out two
 * dozen rows or more at a time: of 12 or 13, every other part would be three low tiles, each of which reads B anew. */

#undef HALVES_BYTES
#undef HALVES_ROWS
#define HALVES_ROWS 160 /* of C, fewer than these: with 128 a step of 784-512-512-10 takes 9 % less on two threads */
#define HALVES_BYTES (256 << 10) /* of B: smaller ones, and 256 x 256, are read in a few microseconds however they are
                                    cut: four layers of that size with 64 rows take 192 us so, 148 as a whole */

typedef struct {
    FN(product) product[2];
    FN(block) block[2];
    int64_t chunks; /* of each half */
    const fnn_gemm *d;
    const real *bias;
} FN(halves);

static int FN(large_for_halves)(const fnn_gemm *d)
{
    return d->k >= 128 && d->n * d->k * (int64_t)sizeof(real) > HALVES_BYTES;
}

static int FN(in_halves)(const fnn_gemm *d)
{
    return d->m < HALVES_ROWS && d->k >= 4 * d->m && FN(large_for_halves)(d);
}

static void FN(half_chunk)(void *arg, int64_t chunk)
{
    FN(halves) *s = arg;
    FN(run_chunk)(&s->block[chunk / s->chunks], chunk % s->chunks);
}

/* Rows [begin, end): the sums of the halves, the bias and the activation. */
static void FN(join_halves)(void *arg, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(halves) *s = arg;
    const int64_t n = s->d->n;
    const FN(product) *first = &s->product[0], *second = &s->product[1];
    (void)chunk;
    for (int64_t i = begin; i < end; i++) {
        real *c = first->c + i * first->ldc;
        FN(map2)(n, second->c + i * second->ldc, c, c, v_zero(), FN(add_op));
        if (s->bias) FN(map2)(n, s->bias, c, c, v_zero(), FN(add_op));
    }
    if (s->d->activation != FNN_LINEAR) FN(activate_rows)(s->d, end - begin, n, first->c + begin * first->ldc);
}

static void FN(multiply_halves)(const fnn_ctx *cx, const FN(product) *g)
{
    const int threads = FN(threads_for)(cx, g->d);
    const int64_t middle = g->k / 2, panels = FN(parts_of)(g->n, GEMM_PANEL);
    FN(halves) s = {.product = {*g, *g}, .d = g->d, .bias = g->bias};
    FN(product) *second = &s.product[1];
    s.product[0].k = middle;
    second->k = g->k - middle;
    second->a += middle * g->step_a;
    second->b += middle * g->ldb;
    second->c = cx->scratch;
    second->ldc = g->n;
    second->accumulate = 0;
    for (int h = 0; h < 2; h++) {
        FN(product) *p = &s.product[h];
        p->bias = NULL;
        p->activation = FNN_LINEAR;
        int64_t most = g->m <= 3 ? GEMM_STEPS_ONCE : GEMM_STEPS;
        s.block[h] = (FN(block)){.g = p, .end = p->k, .steps = FN(parts_of)(p->k, FN(parts_of)(p->k, most)),
                                 .columns = g->n, .row_parts = g->m >= 24 && threads > 1 ? g->m / 24 : 1,
                                 .column_parts = FN(least)(panels, FN(parts_of)(threads, 2))};
    }
    s.chunks = s.block[0].column_parts * s.block[0].row_parts;
    fnn_parallel(threads, 2 * s.chunks, FN(half_chunk), &s);
    FN(for_items)(cx, g->m, g->n, FN(join_halves), &s);
}
