/* softmax.h: softmax over the rows of a matrix, shifted by the row's maximum so that nothing overflows. A row that fits
 * a vector, as most do, never leaves the registers. */

typedef struct {
    int64_t cols;
    int32_t accumulate;
    const real *x, *dy; /* x: the input of forward, y of backward */
    real *y;            /* dx of backward */
} FN(softmax_args);

ALWAYS_INLINE vec FN(load_or_lowest)(const real *p, vmask m)
{
    return v_select(m, v_load_mask(p, m), v_set1(-(real)INFINITY));
}

static real FN(row_max)(int64_t n, const real *x)
{
    vec top = v_set1(-(real)INFINITY);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) top = v_max(top, v_load(x + i));
    if (i < n) top = v_max(top, FN(load_or_lowest)(x + i, mask_first(n - i)));
    return v_reduce_max(top);
}

/* y = exp(x - top), unless y is NULL; returns the sum */
ALWAYS_INLINE double FN(row_exp)(int64_t n, const real *x, real top, real *y)
{
    vec shift = v_set1(top);
    wide sum = wide_zero();
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vec e = FN(v_exp)(v_sub(v_load(x + i), shift));
        if (y) v_store(y + i, e);
        sum = wide_add(sum, e);
    }
    if (i < n) {
        vmask m = mask_first(n - i);
        vec e = v_keep(m, FN(v_exp)(v_sub(v_load_mask(x + i, m), shift)));
        if (y) v_store_mask(y + i, m, e);
        sum = wide_add(sum, e);
    }
    return wide_reduce(sum);
}

static void FN(softmax_forward_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(softmax_args) *s = args;
    int64_t n = s->cols;
    (void)chunk;
    if (n <= VL) {
        vmask m = mask_first(n);
        for (int64_t i = begin; i < end; i++) {
            vec x = FN(load_or_lowest)(s->x + i * n, m);
            vec e = v_keep(m, FN(v_exp)(v_sub(x, v_set1(v_reduce_max(x)))));
            v_store_mask(s->y + i * n, m, v_div(e, v_set1(v_reduce_add(e))));
        }
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const real *x = s->x + i * n;
        real *y = s->y + i * n;
        double sum = FN(row_exp)(n, x, FN(row_max)(n, x), y);
        FN(map1)(n, y, y, v_set1((real)(1 / sum)), FN(scale_op));
    }
}

static void FN(softmax_backward_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(softmax_args) *s = args;
    int64_t n = s->cols;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) {
        const real *y = s->x + i * n, *dy = s->dy + i * n;
        real *dx = s->y + i * n;
        vec mean = v_set1((real)FN(reduce_walk)(n, y, dy, FN(dot_op)));
        for (int64_t j = 0; j < n; j += VL) {
            vmask m = mask_first(n - j < VL ? n - j : VL);
            vec d = v_mul(v_load_mask(y + j, m), v_sub(v_load_mask(dy + j, m), mean));
            v_store_mask(dx + j, m, s->accumulate ? v_add(v_load_mask(dx + j, m), d) : d);
        }
    }
}

static void FN(softmax_forward)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *x, real *y)
{
    FN(softmax_args) s = {.cols = cols, .x = x, .y = y};
    FN(for_items)(cx, rows, cols, FN(softmax_forward_range), &s);
}

static void FN(softmax_backward)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *y, const real *dy, real *dx,
                                 int32_t accumulate)
{
    FN(softmax_args) s = {cols, accumulate, y, dy, dx};
    FN(for_items)(cx, rows, cols, FN(softmax_backward_range), &s);
}
