/* reduce.h: sums in double, whatever the precision, in an order that the size alone fixes: chunks, their partial
 * results added one after the other; inside a chunk four interleaved vectors of sums. */

typedef struct {
    const real *x, *y;
    double *partial; /* one a chunk */
} FN(reduce_args);

typedef wide (*FN(wide_op))(wide w, vec x, vec y);

ALWAYS_INLINE wide FN(sum_op)(wide w, vec x, vec y) { return (void)y, wide_add(w, x); }
ALWAYS_INLINE wide FN(sum_squares_op)(wide w, vec x, vec y) { return (void)y, wide_fma(w, x, x); }
ALWAYS_INLINE wide FN(sum_abs_op)(wide w, vec x, vec y) { return (void)y, wide_add(w, v_abs(x)); }
ALWAYS_INLINE wide FN(dot_op)(wide w, vec x, vec y) { return wide_fma(w, x, y); }

ALWAYS_INLINE double FN(reduce_walk)(int64_t n, const real *x, const real *y, FN(wide_op) f)
{
    wide a = wide_zero();
    int64_t i = 0;
    if (n >= 4 * VL) {
        wide b = a, c = a, d = a;
        for (; i + 4 * VL <= n; i += 4 * VL) {
            a = f(a, v_load(x + i), v_load(y + i));
            b = f(b, v_load(x + i + VL), v_load(y + i + VL));
            c = f(c, v_load(x + i + 2 * VL), v_load(y + i + 2 * VL));
            d = f(d, v_load(x + i + 3 * VL), v_load(y + i + 3 * VL));
        }
        a = wide_join(wide_join(a, b), wide_join(c, d));
    }
    for (; i + VL <= n; i += VL) a = f(a, v_load(x + i), v_load(y + i));
    if (i < n) {
        vmask m = mask_first(n - i);
        a = f(a, v_load_mask(x + i, m), v_load_mask(y + i, m));
    }
    return wide_reduce(a);
}

#undef REDUCE_RANGE
#define REDUCE_RANGE(name)                                                                                           \
    static void FN(name##_range)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        const FN(reduce_args) *r = args;                                                                             \
        r->partial[chunk] = FN(reduce_walk)(end - begin, r->x + begin, r->y + begin, FN(name##_op));                 \
    }
REDUCE_RANGE(sum)
REDUCE_RANGE(sum_squares)
REDUCE_RANGE(sum_abs)
REDUCE_RANGE(dot)

ALWAYS_INLINE double FN(reduce)(const fnn_ctx *cx, int64_t n, const real *x, const real *y, FN(range_body) body)
{
    double partial[MAX_PARTIALS];
    FN(reduce_args) r = {x, y, partial};
    return FN(run_reduction)(cx, n, 1, body, &r, partial);
}

static void FN(sum)(const fnn_ctx *cx, int64_t n, const real *x, double *out)
{
    *out = FN(reduce)(cx, n, x, x, FN(sum_range));
}
static void FN(sum_squares)(const fnn_ctx *cx, int64_t n, const real *x, double *out)
{
    *out = FN(reduce)(cx, n, x, x, FN(sum_squares_range));
}
static void FN(sum_abs)(const fnn_ctx *cx, int64_t n, const real *x, double *out)
{
    *out = FN(reduce)(cx, n, x, x, FN(sum_abs_range));
}
static void FN(dot)(const fnn_ctx *cx, int64_t n, const real *x, const real *y, double *out)
{
    *out = FN(reduce)(cx, n, x, y, FN(dot_range));
}

/* x - x is NaN where x is not finite, else 0: a whole block is tested by one comparison. */
static int64_t FN(find_nonfinite)(int64_t n, const real *x)
{
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        vec a = v_load(x + i), b = v_load(x + i + VL), c = v_load(x + i + 2 * VL), d = v_load(x + i + 3 * VL);
        vec ab = v_add(v_sub(a, a), v_sub(b, b)), cd = v_add(v_sub(c, c), v_sub(d, d));
        if (m_any(v_isnan(v_add(ab, cd)))) break;
    }
    for (; i < n; i++)
        if (!(x[i] >= -REAL_MAX && x[i] <= REAL_MAX)) return i;
    return -1;
}

typedef struct {
    const real *x;
    int64_t *found; /* one a chunk */
} FN(find_args);

static void FN(find_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(find_args) *f = args;
    int64_t at = FN(find_nonfinite)(end - begin, f->x + begin);
    f->found[chunk] = at < 0 ? -1 : begin + at;
}

static void FN(first_nonfinite)(const fnn_ctx *cx, int64_t n, const real *x, int64_t *out)
{
    int64_t found[MAX_PARTIALS], size = FN(reduction_chunk)(n, 1);
    FN(run_chunks)(FN(threads_for_elements)(cx, (double)n), n, size, FN(find_range), &(FN(find_args)){x, found});
    *out = -1;
    for (int64_t i = 0; i * size < n && *out < 0; i++) *out = found[i];
}

/* The same for values of which some columns may be NaN: looks on behind each such one. */
typedef struct {
    const real *x, *takes;
    int64_t cols;
    int64_t *found; /* one a chunk */
} FN(refused_args);

static void FN(refused_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(refused_args) *f = args;
    const int64_t last = end * f->cols;
    f->found[chunk] = -1;
    for (int64_t i = begin * f->cols; i < last; i++) {
        int64_t at = FN(find_nonfinite)(last - i, f->x + i);
        if (at < 0) return;
        i += at;
        if (!isnan(f->x[i]) || f->takes[i % f->cols] == 0) {
            f->found[chunk] = i;
            return;
        }
    }
}

static void FN(first_refused)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *takes, const real *x, int64_t *out)
{
    int64_t found[MAX_PARTIALS], size = FN(reduction_chunk)(rows, cols);
    FN(refused_args) args = {x, takes, cols, found};
    FN(run_chunks)(FN(threads_for_elements)(cx, (double)rows * (double)cols), rows, size, FN(refused_range), &args);
    *out = -1;
    for (int64_t i = 0; i * size < rows && *out < 0; i++) *out = found[i];
}

/* Column sums: threads share the columns, in blocks, so the order of the rows does not depend on them. */
#undef COLUMN_BLOCK
#define COLUMN_BLOCK 64

typedef struct {
    int64_t rows, cols;
    int32_t accumulate;
    const real *x;
    real *out;
} FN(column_args);

/* Sums of f over the rows for n <= VL columns from x on; even and odd rows apart, to halve the chain of additions. */
ALWAYS_INLINE void FN(column_walk)(int64_t rows, int64_t cols, int64_t n, const real *x, double *sums, FN(wide_op) f)
{
    wide even = wide_zero(), odd = wide_zero();
    vmask m = mask_first(n);
    int64_t i = 0;
    for (; i + 2 <= rows; i += 2) {
        vec a = v_load_mask(x + i * cols, m), b = v_load_mask(x + (i + 1) * cols, m);
        even = f(even, a, a);
        odd = f(odd, b, b);
    }
    if (i < rows) {
        vec a = v_load_mask(x + i * cols, m);
        even = f(even, a, a);
    }
    wide_store(sums, wide_join(even, odd));
}

/* The sums of n <= VL columns from x on. Whole vectors are widened half by half as they come out of memory, which is a
 * third less work: 0.7 to 0.45 us for 64 x 64 twice. */
ALWAYS_INLINE void FN(column_sums)(int64_t rows, int64_t cols, int64_t n, const real *x, double *sums)
{
    if (n < VL) {
        FN(column_walk)(rows, cols, n, x, sums, FN(sum_op));
        return;
    }
    wide even = wide_zero(), odd = wide_zero();
    int64_t i = 0;
    for (; i + 2 <= rows; i += 2) {
        even = wide_add_at(even, x + i * cols);
        odd = wide_add_at(odd, x + (i + 1) * cols);
    }
    if (i < rows) even = wide_add_at(even, x + i * cols);
    wide_store(sums, wide_join(even, odd));
}

static void FN(column_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(column_args) *c = args;
    int64_t last = end * COLUMN_BLOCK < c->cols ? end * COLUMN_BLOCK : c->cols;
    (void)chunk;
    for (int64_t j = begin * COLUMN_BLOCK; j < last; j += VL) {
        double sums[VL];
        int64_t n = last - j < VL ? last - j : VL;
        FN(column_sums)(c->rows, c->cols, n, c->x + j, sums);
        if (c->accumulate)
            for (int64_t k = 0; k < n; k++) c->out[j + k] = (real)((double)c->out[j + k] + sums[k]);
        else
            for (int64_t k = 0; k < n; k++) c->out[j + k] = (real)sums[k];
    }
}

static void FN(column_sum)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *x, real *out, int32_t accumulate)
{
    if (cols == 1) {
        double total = FN(reduce)(cx, rows, x, x, FN(sum_range));
        out[0] = (real)(accumulate ? (double)out[0] + total : total);
        return;
    }
    FN(column_args) c = {rows, cols, accumulate, x, out};
    FN(for_items)(cx, (cols + COLUMN_BLOCK - 1) / COLUMN_BLOCK, rows * COLUMN_BLOCK, FN(column_range), &c);
}
