/* gemm_dot.h: matrix times vector where both lie along k, as dot products with vectors of k. Every row is summed in the
 * same order, whichever rows it is computed with. */

#undef DOT_ROWS
#undef DOT_PART
#define DOT_PART (4 << 20) /* multiply-adds between two looks at the watch */
#define DOT_ROWS 8 /* at once: as many chains as hide the latency of the multiply-add, with one load of x for all */

typedef struct {
    const fnn_gemm *d;
    int64_t count, k, row_stride, out_stride, parts;
    const real *rows, *x, *bias;
    int64_t bias_step; /* 0: one bias for all */
    real *out;
} FN(dots_job);

ALWAYS_INLINE void FN(dot_rows)(const int count, int64_t k, const real *rows, int64_t stride, const real *x, real *sums)
{
    vec sum[DOT_ROWS];
    for (int r = 0; r < count; r++) sum[r] = v_zero();
    int64_t p = 0;
    for (; p + VL <= k; p += VL) {
        vec xp = v_load(x + p);
        for (int r = 0; r < count; r++) sum[r] = v_fma(xp, v_load(rows + r * stride + p), sum[r]);
    }
    if (p < k) {
        vmask m = mask_first(k - p);
        vec xp = v_load_mask(x + p, m);
        for (int r = 0; r < count; r++) sum[r] = v_fma(xp, v_load_mask(rows + r * stride + p, m), sum[r]);
    }
    for (int r = 0; r < count; r++) sums[r] = v_reduce_add(sum[r]);
}

static void FN(dots_range)(const FN(dots_job) *job, int64_t i, int64_t end)
{
    const int64_t k = job->k, stride = job->row_stride, out_stride = job->out_stride;
    const int accumulate = job->d->accumulate;
    FN(activation_args) act = {.kind = job->d->activation, .alpha = (real)job->d->alpha};
    while (i < end) {
        real sums[DOT_ROWS];
        const real *rows = job->rows + i * stride;
        int64_t count = end - i >= DOT_ROWS ? DOT_ROWS : 1;
        if (count == DOT_ROWS) FN(dot_rows)(DOT_ROWS, k, rows, stride, job->x, sums);
        else FN(dot_rows)(1, k, rows, stride, job->x, sums);
        for (int64_t r = 0; job->bias && r < count; r++) sums[r] += job->bias[(i + r) * job->bias_step];
        if (act.kind != FNN_LINEAR) {
            act.x = act.y = sums;
            FN(activation_forward_range)(&act, 0, count, 0);
        }
        for (int64_t r = 0; r < count; r++, i++) {
            real *out = job->out + i * out_stride;
            *out = accumulate ? *out + sums[r] : sums[r];
        }
    }
}

static void FN(dots_part)(void *arg, int64_t part)
{
    const FN(dots_job) *job = arg;
    FN(dots_range)(job, job->count * part / job->parts, job->count * (part + 1) / job->parts);
}

/* out[i] = or += rows[i] . x for i in 0 .. count-1 */
static void FN(dots)(const fnn_ctx *cx, FN(dots_job) *job)
{
    int threads = fnn_worthwhile_threads(cx, 2. * (1 + FNN_READING_ROWS) * (double)job->count * (double)job->k,
                                         FNN_GRAIN_FLOPS);
    int64_t parts = (int64_t)((double)job->count * (double)job->k / DOT_PART);
    job->parts = parts > threads ? parts : threads;
    if (job->parts == 1) FN(dots_range)(job, 0, job->count);
    else fnn_parallel(threads, job->parts, FN(dots_part), job);
}
