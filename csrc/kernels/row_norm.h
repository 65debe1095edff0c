/* row_norm.h: layer normalization (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019) over the rows of a matrix:
 * y = n weight + bias with n = (x - mean) / sqrt(variance + epsilon), where RMSNorm has neither mean nor bias.
 *
 * The variance is taken around the mean in a second walk: the square of the mean would swallow a small one, and the row
 * is still in L1. Forward keeps each row's mean and inverse deviation for backward, which walks a row twice too:
 *
 *     g = dy weight,   dx = (g - sum(g) / cols - n sum(g n) / cols) / deviation
 *
 * The gradients of weight and bias are summed over parts of the rows that their number fixes. */

#undef NORM_PART_ROWS
#undef NORM_MOST_PARTS
#define NORM_PART_ROWS 64
#define NORM_MOST_PARTS 32

typedef struct {
    const fnn_row_norm *d;
    const real *x, *weight, *bias, *dy;
    real *y, *stats; /* y: dx of backward, or NULL */
    int64_t parts;
    real *sums; /* (parts, 2, cols): of dy n and dy */
} FN(norm);

/* The sum of x, or of the squares of x - mean. */
ALWAYS_INLINE real FN(norm_sum)(int64_t n, const real *x, const int squares, real mean)
{
    vec even = v_zero(), odd = v_zero(), shift = v_set1(mean);
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vec a = v_load(x + i), b = v_load(x + i + VL);
        if (squares) a = v_sub(a, shift), b = v_sub(b, shift);
        even = squares ? v_fma(a, a, even) : v_add(even, a);
        odd = squares ? v_fma(b, b, odd) : v_add(odd, b);
    }
    for (; i < n; i += VL) {
        vmask m = mask_first(FN(least)(VL, n - i));
        vec a = v_load_mask(x + i, m);
        if (squares) a = v_keep(m, v_sub(a, shift));
        even = squares ? v_fma(a, a, even) : v_add(even, a);
    }
    return v_reduce_add(v_add(even, odd));
}

ALWAYS_INLINE void FN(norm_row)(const FN(norm) *job, int64_t row, const int centered)
{
    const int64_t n = job->d->cols;
    const real *x = job->x + row * n;
    real *y = job->y + row * n;
    real mean = centered ? FN(norm_sum)(n, x, 0, 0) / (real)n : 0;
    double variance = (double)FN(norm_sum)(n, x, 1, mean) / (double)n;
    real inverse = (real)(1 / sqrt(variance + job->d->epsilon));
    if (job->stats) job->stats[2 * row] = mean, job->stats[2 * row + 1] = inverse;
    vec shift = v_set1(mean), factor = v_set1(inverse);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vec scaled = v_mul(v_mul(v_sub(v_load(x + i), shift), factor), v_load(job->weight + i));
        v_store(y + i, centered ? v_add(scaled, v_load(job->bias + i)) : scaled);
    }
    if (i < n) {
        vmask m = mask_first(n - i);
        vec scaled = v_mul(v_mul(v_sub(v_load_mask(x + i, m), shift), factor), v_load_mask(job->weight + i, m));
        v_store_mask(y + i, m, centered ? v_add(scaled, v_load_mask(job->bias + i, m)) : scaled);
    }
}

static void FN(norm_rows)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(norm) *job = args;
    (void)chunk;
    if (job->d->centered)
        for (int64_t row = begin; row < end; row++) FN(norm_row)(job, row, 1);
    else
        for (int64_t row = begin; row < end; row++) FN(norm_row)(job, row, 0);
}

/* A row of backward: its statistics, and the means over it. */
typedef struct {
    int64_t at;
    vec mean, inverse, g, gn;
} FN(norm_line);

ALWAYS_INLINE vec FN(normal_part)(const FN(norm) *job, const FN(norm_line) *line, int64_t i, int edged, vmask edge)
{
    return v_mul(v_sub(FN(load_part)(job->x + line->at + i, edged, edge), line->mean), line->inverse);
}

/* One vector of the first walk: to the sums of the row, and of the part. */
ALWAYS_INLINE void FN(norm_gather)(const FN(norm) *job, FN(norm_line) *line, int64_t i, real *dweight, real *dbias,
                                   const int centered, int edged, vmask edge)
{
    vec n = FN(normal_part)(job, line, i, edged, edge), dy = FN(load_part)(job->dy + line->at + i, edged, edge);
    vec g = v_mul(dy, FN(load_part)(job->weight + i, edged, edge));
    line->gn = v_fma(g, n, line->gn);
    FN(store_part)(dweight + i, v_fma(dy, n, FN(load_part)(dweight + i, edged, edge)), edged, edge);
    if (!centered) return;
    line->g = v_add(line->g, g);
    FN(store_part)(dbias + i, v_add(FN(load_part)(dbias + i, edged, edge), dy), edged, edge);
}

/* One vector of the second: dx. */
ALWAYS_INLINE void FN(norm_spread)(const FN(norm) *job, const FN(norm_line) *line, int64_t i, int edged, vmask edge)
{
    real *dx = job->y + line->at + i;
    vec n = FN(normal_part)(job, line, i, edged, edge), dy = FN(load_part)(job->dy + line->at + i, edged, edge);
    vec g = v_mul(dy, FN(load_part)(job->weight + i, edged, edge));
    vec d = v_mul(v_fnma(n, line->gn, v_sub(g, line->g)), line->inverse);
    FN(store_part)(dx, job->d->adds_dx ? v_add(FN(load_part)(dx, edged, edge), d) : d, edged, edge);
}

ALWAYS_INLINE void FN(norm_row_back)(const FN(norm) *job, int64_t row, real *dweight, real *dbias, const int centered)
{
    const int64_t n = job->d->cols, whole = n / VL * VL;
    const vmask edge = mask_first(n - whole);
    FN(norm_line) line = {row * n, v_set1(job->stats[2 * row]), v_set1(job->stats[2 * row + 1]), v_zero(), v_zero()};
    for (int64_t i = 0; i < whole; i += VL) FN(norm_gather)(job, &line, i, dweight, dbias, centered, 0, edge);
    if (whole < n) FN(norm_gather)(job, &line, whole, dweight, dbias, centered, 1, edge);
    if (!job->y) return;
    line.g = v_set1(v_reduce_add(line.g) / (real)n);
    line.gn = v_set1(v_reduce_add(line.gn) / (real)n);
    for (int64_t i = 0; i < whole; i += VL) FN(norm_spread)(job, &line, i, 0, edge);
    if (whole < n) FN(norm_spread)(job, &line, whole, 1, edge);
}

static void FN(norm_parts_back)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(norm) *job = args;
    const int64_t cols = job->d->cols;
    (void)chunk;
    for (int64_t part = begin; part < end; part++) {
        real *dweight = job->sums + part * 2 * cols, *dbias = dweight + cols;
        memset(dweight, 0, (size_t)(2 * cols) * sizeof(real));
        int64_t row = job->d->rows * part / job->parts, last = job->d->rows * (part + 1) / job->parts;
        if (job->d->centered)
            for (; row < last; row++) FN(norm_row_back)(job, row, dweight, dbias, 1);
        else
            for (; row < last; row++) FN(norm_row_back)(job, row, dweight, dbias, 0);
    }
}

/* out (+)= the parts' sums, which lie `next` apart */
static void FN(norm_join)(int64_t cols, int64_t parts, const real *sums, int64_t next, real *out, int accumulate)
{
    for (int64_t j = 0; j < cols; j++) {
        double total = accumulate ? (double)out[j] : 0;
        for (int64_t part = 0; part < parts; part++) total += (double)sums[part * next + j];
        out[j] = (real)total;
    }
}

ALWAYS_INLINE int64_t FN(norm_part_count)(int64_t rows)
{
    return FN(least)(NORM_MOST_PARTS, FN(parts_of)(rows, NORM_PART_ROWS));
}

static void FN(row_norm_scratch)(const fnn_ctx *cx, const fnn_row_norm *d, size_t *bytes)
{
    (void)cx;
    *bytes = (size_t)(FN(norm_part_count)(d->rows) * 2 * d->cols) * sizeof(real);
}

static void FN(row_norm_forward)(const fnn_ctx *cx, const fnn_row_norm *d, const real *x, const real *weight,
                                 const real *bias, real *y, real *stats)
{
    FN(norm) job = {.d = d, .x = x, .weight = weight, .bias = bias, .y = y, .stats = stats};
    FN(for_items)(cx, d->rows, d->cols, FN(norm_rows), &job);
}

static void FN(row_norm_backward)(const fnn_ctx *cx, const fnn_row_norm *d, const real *x, const real *stats,
                                  const real *weight, const real *dy, real *dx, real *dweight, real *dbias)
{
    FN(norm) job = {.d = d, .x = x, .weight = weight, .dy = dy, .y = dx, .stats = (real *)(uintptr_t)stats,
                    .parts = FN(norm_part_count)(d->rows), .sums = cx->scratch};
    FN(for_items)(cx, job.parts, NORM_PART_ROWS * d->cols, FN(norm_parts_back), &job);
    FN(norm_join)(d->cols, job.parts, job.sums, 2 * d->cols, dweight, d->adds_dw);
    if (dbias) FN(norm_join)(d->cols, job.parts, job.sums + d->cols, 2 * d->cols, dbias, d->adds_dw);
}
