/* gemm_outer.h: a column times a row, as the gradient of the input of a layer with one output, or of a weight after one
 * sample. All of its time is writing C, which goes faster row by row than by tiles: 256 x 512 in 10.9 us for 12.9. */

typedef struct {
    const fnn_gemm *d;
    int64_t step_a;
    const real *a, *b;
    real *c;
} FN(outer_job);

/* With k = 1, and rows long enough to be streams. */
static int FN(is_outer)(const fnn_gemm *d, const real *bias)
{
    return d->k == 1 && d->n >= 8 * VL && d->m > 1 && !bias && d->activation == FNN_LINEAR;
}

static void FN(outer_rows)(void *arg, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(outer_job) *j = arg;
    const int64_t n = j->d->n;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) {
        const vec factor = v_set1(j->a[i * j->step_a]);
        real *c = j->c + i * j->d->ldc;
        if (j->d->accumulate) FN(map2)(n, j->b, c, c, factor, FN(axpy_op));
        else FN(map1)(n, j->b, c, factor, FN(scale_op));
    }
}

static void FN(multiply_outer)(const fnn_ctx *cx, const fnn_gemm *d, const real *a, int64_t step_a, const real *b,
                               real *c)
{
    FN(for_items)(cx, d->m, d->n, FN(outer_rows), &(FN(outer_job)){d, step_a, a, b, c});
}
