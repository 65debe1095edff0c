/* eltwise.h: elementary functions and simple arithmetic on flat buffers. */

typedef struct {
    const real *a, *b;
    real *y;
    real c;
} FN(eltwise);

ALWAYS_INLINE vec FN(exp_op)(vec x, vec c) { return (void)c, FN(v_exp)(x); }
ALWAYS_INLINE vec FN(log_op)(vec x, vec c) { return (void)c, FN(v_log)(x); }
ALWAYS_INLINE vec FN(tanh_op)(vec x, vec c) { return (void)c, FN(v_tanh)(x); }
ALWAYS_INLINE vec FN(sigmoid_op)(vec x, vec c) { return (void)c, FN(v_sigmoid)(x); }
ALWAYS_INLINE vec FN(erf_op)(vec x, vec c) { return (void)c, FN(v_erf)(x); }
ALWAYS_INLINE vec FN(scale_op)(vec x, vec c) { return v_mul(x, c); }
ALWAYS_INLINE vec FN(clip_op)(vec x, vec c) { return v_min(c, v_max(v_neg(c), x)); }
ALWAYS_INLINE vec FN(add_op)(vec a, vec b, vec c) { return (void)c, v_add(a, b); }
ALWAYS_INLINE vec FN(mul_op)(vec a, vec b, vec c) { return (void)c, v_mul(a, b); }
ALWAYS_INLINE vec FN(axpy_op)(vec a, vec b, vec c) { return v_fma(c, a, b); }

/* name_range: one chunk of y = op(a) or y = op(a, b), as the pool calls it. */
#undef RANGE1
#define RANGE1(name, op)                                                                                             \
    static void FN(name##_range)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        const FN(eltwise) *e = args;                                                                                 \
        (void)chunk;                                                                                                 \
        FN(map1)(end - begin, e->a + begin, e->y + begin, v_set1(e->c), op);                                         \
    }
#undef RANGE2
#define RANGE2(name, op)                                                                                             \
    static void FN(name##_range)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        const FN(eltwise) *e = args;                                                                                 \
        (void)chunk;                                                                                                 \
        FN(map2)(end - begin, e->a + begin, e->b + begin, e->y + begin, v_set1(e->c), op);                           \
    }
RANGE1(vexp, FN(exp_op))
RANGE1(vlog, FN(log_op))
RANGE1(vtanh, FN(tanh_op))
RANGE1(vsigmoid, FN(sigmoid_op))
RANGE1(verf, FN(erf_op))
RANGE1(scale, FN(scale_op))
RANGE1(clip, FN(clip_op))
RANGE2(add, FN(add_op))
RANGE2(mul, FN(mul_op))
RANGE2(axpy, FN(axpy_op))

static void FN(mul_add_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(eltwise) *e = args;
    int64_t i = begin;
    (void)chunk;
    for (; i + VL <= end; i += VL) v_store(e->y + i, v_fma(v_load(e->a + i), v_load(e->b + i), v_load(e->y + i)));
    if (i < end) {
        vmask m = mask_first(end - i);
        vec sum = v_fma(v_load_mask(e->a + i, m), v_load_mask(e->b + i, m), v_load_mask(e->y + i, m));
        v_store_mask(e->y + i, m, sum);
    }
}

static void FN(vexp)(const fnn_ctx *cx, int64_t n, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(vexp_range), &(FN(eltwise)){x, NULL, y, 0});
}
static void FN(vlog)(const fnn_ctx *cx, int64_t n, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(vlog_range), &(FN(eltwise)){x, NULL, y, 0});
}
static void FN(vtanh)(const fnn_ctx *cx, int64_t n, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(vtanh_range), &(FN(eltwise)){x, NULL, y, 0});
}
static void FN(vsigmoid)(const fnn_ctx *cx, int64_t n, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(vsigmoid_range), &(FN(eltwise)){x, NULL, y, 0});
}
static void FN(verf)(const fnn_ctx *cx, int64_t n, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(verf_range), &(FN(eltwise)){x, NULL, y, 0});
}
static void FN(scale)(const fnn_ctx *cx, int64_t n, double factor, real *x)
{
    FN(for_items)(cx, n, 1, FN(scale_range), &(FN(eltwise)){x, NULL, x, (real)factor});
}
static void FN(clip)(const fnn_ctx *cx, int64_t n, double limit, real *x)
{
    FN(for_items)(cx, n, 1, FN(clip_range), &(FN(eltwise)){x, NULL, x, (real)limit});
}
static void FN(add)(const fnn_ctx *cx, int64_t n, const real *a, const real *b, real *y)
{
    FN(for_items)(cx, n, 1, FN(add_range), &(FN(eltwise)){a, b, y, 0});
}
static void FN(mul)(const fnn_ctx *cx, int64_t n, const real *a, const real *b, real *y, int32_t accumulate)
{
    FN(eltwise) e = {a, b, y, 0};
    FN(for_items)(cx, n, 1, accumulate ? FN(mul_add_range) : FN(mul_range), &e);
}
static void FN(axpy)(const fnn_ctx *cx, int64_t n, double factor, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(axpy_range), &(FN(eltwise)){x, y, y, (real)factor});
}

typedef struct {
    int64_t count;
    const double *factors;
    const real *const *x;
    real *y;
} FN(combination);

static void FN(combine_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(combination) *c = args;
    (void)chunk;
    for (int64_t i = begin; i < end; i += VL) {
        vmask m = mask_first(end - i < VL ? end - i : VL);
        vec sum = v_mul(v_set1((real)c->factors[0]), v_load_mask(c->x[0] + i, m));
        for (int64_t k = 1; k < c->count; k++)
            sum = v_fma(v_set1((real)c->factors[k]), v_load_mask(c->x[k] + i, m), sum);
        v_store_mask(c->y + i, m, sum);
    }
}

static void FN(combine)(const fnn_ctx *cx, int64_t n, int64_t count, const double *factors, const real *const *x, real *y)
{
    FN(combination) c = {count, factors, x, y};
    FN(for_items)(cx, n, count, FN(combine_range), &c);
}

static void FN(fill_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(eltwise) *e = args;
    (void)chunk;
    FN(fill_row)(end - begin, e->c, e->y + begin);
}
static void FN(fill)(const fnn_ctx *cx, int64_t n, double value, real *y)
{
    FN(for_items)(cx, n, 1, FN(fill_range), &(FN(eltwise)){NULL, NULL, y, (real)value});
}
