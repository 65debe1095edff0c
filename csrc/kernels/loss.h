/* loss.h: losses that are a mean over the columns of a row, with their gradients.
 *
 * One function on vectors gives l and dl/dp of an element; one walk does the rest: weights, the mean, the sum in double
 * in fixed chunks, tails. Without weights, or with one column, the matrix is walked as one flat row. */

typedef struct {
    const fnn_loss *d;
    const real *p, *y, *w;
    real *dp;
    double *partial; /* one a chunk */
} FN(loss_args);

/* l, and dl/dp in *slope; c is the loss's parameter */
typedef vec (*FN(loss_op))(vec p, vec y, vec c, vec *slope);

ALWAYS_INLINE vec FN(mse_op)(vec p, vec y, vec c, vec *slope)
{
    vec e = v_sub(p, y);
    (void)c;
    *slope = v_add(e, e);
    return v_mul(e, e);
}
ALWAYS_INLINE vec FN(mae_op)(vec p, vec y, vec c, vec *slope)
{
    vec e = v_sub(p, y);
    (void)c;
    *slope = v_select(v_eq(e, v_zero()), v_zero(), v_copysign(v_set1(1), e));
    return v_abs(e);
}
ALWAYS_INLINE vec FN(huber_op)(vec p, vec y, vec delta, vec *slope)
{
    vec e = v_sub(p, y), a = v_abs(e), half = v_set1((real)0.5);
    *slope = v_min(delta, v_max(v_neg(delta), e));
    return v_select(v_lt(delta, a), v_mul(delta, v_fnma(half, delta, a)), v_mul(half, v_mul(e, e)));
}
ALWAYS_INLINE vec FN(binary_cross_entropy_op)(vec p, vec y, vec smoothing, vec *slope)
{
    vec one = v_set1(1), e = FN(v_exp)(v_neg(v_abs(p)));
    vec target = v_fma(smoothing, v_sub(v_set1((real)0.5), y), y);
    vec probability = v_div(v_select(v_lt(p, v_zero()), e, one), v_add(one, e));
    *slope = v_sub(probability, target);
    return v_add(v_fnma(p, target, v_max(v_zero(), p)), FN(v_log1p)(e));
}
ALWAYS_INLINE vec FN(poisson_op)(vec p, vec y, vec c, vec *slope)
{
    vec rate = FN(v_exp)(p);
    (void)c;
    *slope = v_sub(rate, y);
    return v_fnma(y, p, rate);
}
ALWAYS_INLINE vec FN(poisson_rate_op)(vec p, vec y, vec c, vec *slope)
{
    vec q = v_add(p, v_set1((real)1e-8));
    (void)c;
    *slope = v_sub(v_set1(1), v_div(y, q));
    return v_fnma(y, FN(v_log)(q), p);
}
ALWAYS_INLINE vec FN(hinge_op)(vec p, vec y, vec c, vec *slope)
{
    vec l = v_max(v_zero(), v_fnma(y, p, v_set1(1)));
    (void)c;
    *slope = v_keep(v_lt(v_zero(), l), v_neg(y));
    return l;
}

/* Sum of v l over n elements; dp = factor v dl/dp. v is 1 where it is NULL. */
ALWAYS_INLINE double FN(loss_walk)(int64_t n, const real *p, const real *y, const real *v, real *dp, real factor,
                                   real parameter, FN(loss_op) f)
{
    vec c = v_set1(parameter), scale = v_set1(factor), slope;
    wide sum = wide_zero();
    for (int64_t i = 0; i < n; i += VL) {
        vmask m = mask_first(n - i < VL ? n - i : VL);
        vec l = v_keep(m, f(v_load_mask(p + i, m), v_load_mask(y + i, m), c, &slope));
        if (v) {
            vec weight = v_load_mask(v + i, m);
            sum = wide_fma(sum, l, weight);
            slope = v_mul(slope, weight);
        } else {
            sum = wide_add(sum, l);
        }
        if (dp) v_store_mask(dp + i, m, v_mul(slope, scale));
    }
    return wide_reduce(sum);
}

ALWAYS_INLINE double FN(loss_rows)(const FN(loss_args) *a, int64_t begin, int64_t end, FN(loss_op) f)
{
    int64_t cols = a->d->cols, at = begin * cols;
    double scale = a->d->scale / (double)cols, sum = 0;
    real parameter = (real)a->d->param;
    if (!a->w || cols == 1)
        return FN(loss_walk)((end - begin) * cols, a->p + at, a->y + at, a->w ? a->w + at : NULL,
                             a->dp ? a->dp + at : NULL, (real)scale, parameter, f) / (double)cols;
    for (int64_t i = begin; i < end; i++, at += cols)
        sum += (double)a->w[i] * FN(loss_walk)(cols, a->p + at, a->y + at, NULL, a->dp ? a->dp + at : NULL,
                                               (real)(scale * (double)a->w[i]), parameter, f);
    return sum / (double)cols;
}

ALWAYS_INLINE void FN(loss_run)(const fnn_ctx *cx, const fnn_loss *d, const real *p, const real *y, const real *w,
                                real *dp, double *loss, FN(range_body) body)
{
    double partial[MAX_PARTIALS];
    FN(loss_args) a = {d, p, y, w, dp, partial};
    *loss += FN(run_reduction)(cx, d->rows, d->cols, body, &a, partial);
}

/* A chunk of rows, and the kernel. */
#undef LOSS
#define LOSS(name)                                                                                                   \
    static void FN(name##_range)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        const FN(loss_args) *a = args;                                                                               \
        a->partial[chunk] = FN(loss_rows)(a, begin, end, FN(name##_op));                                             \
    }                                                                                                                \
    static void FN(loss_##name)(const fnn_ctx *cx, const fnn_loss *d, const real *p, const real *y, const real *w,   \
                                real *dp, double *loss)                                                              \
    {                                                                                                                \
        FN(loss_run)(cx, d, p, y, w, dp, loss, FN(name##_range));                                                    \
    }
LOSS(mse)
LOSS(mae)
LOSS(huber)
LOSS(binary_cross_entropy)
LOSS(poisson)
LOSS(poisson_rate)
LOSS(hinge)

/* Few columns, each with a level of its own: plain loops. */
static void FN(quantile_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(loss_args) *a = args;
    int64_t cols = a->d->cols;
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        double weight = a->w ? (double)a->w[i] : 1, row = 0;
        double scale = a->d->scale * weight / (double)cols;
        for (int64_t j = 0; j < cols; j++) {
            double level = a->d->levels[j], e = (double)a->y[i] - (double)a->p[i * cols + j];
            double slope = e > 0 ? level : e < 0 ? level - 1 : 0;
            row += e == 0 ? 0 : slope * e;
            if (a->dp) a->dp[i * cols + j] = (real)(-scale * slope);
        }
        sum += weight * row;
    }
    a->partial[chunk] = sum / (double)cols;
}
static void FN(loss_quantile)(const fnn_ctx *cx, const fnn_loss *d, const real *p, const real *y, const real *w,
                              real *dp, double *loss)
{
    FN(loss_run)(cx, d, p, y, w, dp, loss, FN(quantile_range));
}

/* Means and log variances of a row lie side by side. Log variances below the floor count as the floor; their gradient is
 * that of a variance which is only looked at from there, as PyTorch has it: it fades with exp(s - floor) and is never cut. */
static void FN(gaussian_nll_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(loss_args) *a = args;
    int64_t cols = a->d->cols;
    vec half = v_set1((real)0.5), floor = v_set1((real)a->d->param);
    double total = 0;
    for (int64_t i = begin; i < end; i++) {
        double weight = a->w ? (double)a->w[i] : 1;
        vec scale = v_set1((real)(a->d->scale * weight / (double)cols));
        const real *mean = a->p + 2 * i * cols, *log_variance = mean + cols, *y = a->y + i * cols;
        wide sum = wide_zero();
        for (int64_t j = 0; j < cols; j += VL) {
            vmask m = mask_first(cols - j < VL ? cols - j : VL);
            vec free = v_load_mask(log_variance + j, m), s = v_max(floor, free);
            vec e = v_sub(v_load_mask(y + j, m), v_load_mask(mean + j, m));
            vec slope = v_mul(e, FN(v_exp)(v_neg(s))), square = v_mul(e, slope);
            sum = wide_add(sum, v_mul(half, v_add(s, square)));
            if (!a->dp) continue;
            real *dp = a->dp + 2 * i * cols + j;
            v_store_mask(dp, m, v_mul(scale, v_neg(slope)));
            vec share = FN(v_exp)(v_min(v_zero(), v_sub(free, floor)));
            v_store_mask(dp + cols, m, v_mul(v_mul(scale, share), v_mul(half, v_sub(v_set1(1), square))));
        }
        total += weight * wide_reduce(sum);
    }
    a->partial[chunk] = total / (double)cols;
}
static void FN(loss_gaussian_nll)(const fnn_ctx *cx, const fnn_loss *d, const real *p, const real *y, const real *w,
                                  real *dp, double *loss)
{
    FN(loss_run)(cx, d, p, y, w, dp, loss, FN(gaussian_nll_range));
}
