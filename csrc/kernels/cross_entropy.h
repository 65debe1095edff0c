/* cross_entropy.h: softmax and cross entropy in one, from logits: with z = p - max(p) and S = sum(exp(z)),
 *
 *     l = log(S) sum(t) - sum(t z),      dl/dp = exp(z) / S sum(t) - t,
 *
 * for the targets t: a class id or probabilities y, smoothed to t = (1 - s) y + s / cols. S is summed in double and one
 * of its terms is 1, so log1p(S - 1) keeps small losses exact in float too; it is taken for VL rows at once. */

typedef struct {
    const fnn_loss *d;
    const real *p, *y, *w; /* y: probabilities, where labels is NULL */
    const int32_t *labels;
    real *dp;
    double *partial; /* one a chunk */
} FN(entropy_args);

/* t z, where 0 times -infinity (a class that is excluded) is 0 */
ALWAYS_INLINE wide FN(add_targets)(wide sum, vec t, vec z)
{
    return wide_fma(sum, t, v_select(v_eq(t, v_zero()), v_zero(), z));
}

/* S of a row with exp(z) stored to dp (unless NULL); sum(t) and sum(t z) to *targets and *linear. */
ALWAYS_INLINE double FN(dense_row)(int64_t n, const real *p, const real *y, real keep, real spread, real *dp,
                                   double *targets, double *linear)
{
    real top = FN(row_max)(n, p);
    vec shift = v_set1(top);
    wide t_sum = wide_zero(), tz_sum = wide_zero();
    for (int64_t j = 0; j < n; j += VL) {
        vmask m = mask_first(n - j < VL ? n - j : VL);
        vec t = v_keep(m, v_fma(v_set1(keep), v_load_mask(y + j, m), v_set1(spread)));
        t_sum = wide_add(t_sum, t);
        tz_sum = FN(add_targets)(tz_sum, t, v_sub(v_load_mask(p + j, m), shift));
    }
    *targets = wide_reduce(t_sum);
    *linear = wide_reduce(tz_sum);
    return FN(row_exp)(n, p, top, dp);
}

ALWAYS_INLINE double FN(label_row)(int64_t n, const real *p, int32_t label, real keep, real spread, real *dp,
                                   double *linear)
{
    real top = FN(row_max)(n, p);
    *linear = (double)keep * (double)(p[label] - top);
    if (spread != 0)
        *linear += (double)spread * (FN(reduce_walk)(n, p, p, FN(sum_op)) - (double)n * (double)top);
    return FN(row_exp)(n, p, top, dp);
}

/* dp = factor dp - scale t, for the row's e = exp(z) in dp */
ALWAYS_INLINE void FN(dense_gradient)(int64_t n, const real *y, real keep, real spread, real factor, real scale,
                                      real *dp)
{
    for (int64_t j = 0; j < n; j += VL) {
        vmask m = mask_first(n - j < VL ? n - j : VL);
        vec t = v_fma(v_set1(keep), v_load_mask(y + j, m), v_set1(spread));
        v_store_mask(dp + j, m, v_fnma(v_set1(scale), t, v_mul(v_set1(factor), v_load_mask(dp + j, m))));
    }
}

ALWAYS_INLINE void FN(label_gradient)(int64_t n, int32_t label, real keep, real spread, real factor, real scale,
                                      real *dp)
{
    vec less = v_set1(scale * spread);
    for (int64_t j = 0; j < n; j += VL) {
        vmask m = mask_first(n - j < VL ? n - j : VL);
        v_store_mask(dp + j, m, v_sub(v_mul(v_set1(factor), v_load_mask(dp + j, m)), less));
    }
    dp[label] -= scale * keep;
}

/* A row with its gradient; returns S. */
ALWAYS_INLINE double FN(long_row)(const FN(entropy_args) *a, int64_t i, real keep, real spread, double scale,
                                  double *targets, double *linear)
{
    int64_t n = a->d->cols;
    const real *p = a->p + i * n;
    real *dp = a->dp ? a->dp + i * n : NULL;
    if (a->labels) {
        double s = FN(label_row)(n, p, a->labels[i], keep, spread, dp, linear);
        *targets = 1;
        if (dp) FN(label_gradient)(n, a->labels[i], keep, spread, (real)(scale / s), (real)scale, dp);
        return s;
    }
    const real *y = a->y + i * n;
    double s = FN(dense_row)(n, p, y, keep, spread, dp, targets, linear);
    if (dp) FN(dense_gradient)(n, y, keep, spread, (real)(scale * *targets / s), (real)scale, dp);
    return s;
}

/* Up to VL short rows from row i on, a row in each lane: adds their losses to *loss. 10 columns: 21 to 11 ns a row,
 * beside one row after the other. */
static void FN(turned_rows)(const FN(entropy_args) *a, int64_t i, int64_t rows, real keep, real spread, double *loss)
{
    const int64_t n = a->d->cols;
    const int one_hot = a->labels && spread == 0; /* then the sums over the targets have one term */
    _Alignas(64) real z[SHORT_ROW * VL], t[SHORT_ROW * VL];
    real label[VL] = {0}, w[VL] = {0}, others[VL], weights[VL], factor[VL];
    double sums[VL], all[VL], products[VL];
    const vec top = FN(turn_rows)(rows, n, a->p + i * n, z);
    if (a->y) FN(turn_rows)(rows, n, a->y + i * n, t);
    for (int64_t l = 0; l < rows; l++) {
        if (a->labels) label[l] = (real)a->labels[i + l];
        w[l] = a->w ? a->w[i + l] : 1;
    }
    vec chosen = v_zero();
    wide e_sum = wide_zero(), t_sum = wide_zero(), tz_sum = wide_zero();
    for (int64_t j = 0; j < n; j++) {
        const vec shifted = v_sub(v_load(z + j * VL), top), e = FN(v_exp)(shifted);
        const vmask here = v_eq(v_load(label), v_set1((real)j));
        vec y = a->y ? v_load(t + j * VL) : v_keep(here, v_set1(1));
        y = v_fma(v_set1(keep), y, v_set1(spread));
        v_store(z + j * VL, e);
        v_store(t + j * VL, y);
        e_sum = wide_add(e_sum, e);
        if (one_hot) {
            chosen = v_add(chosen, v_keep(here, shifted));
            continue;
        }
        t_sum = wide_add(t_sum, y);
        tz_sum = FN(add_targets)(tz_sum, y, shifted);
    }
    wide_store(sums, e_sum);
    wide_store(all, one_hot ? wide_add(wide_zero(), v_set1(1)) : t_sum);
    wide_store(products, one_hot ? wide_add(wide_zero(), chosen) : tz_sum);
    for (int l = 0; l < VL; l++) {
        others[l] = (real)(sums[l] - 1);
        weights[l] = (real)((double)w[l] * all[l]);
        factor[l] = (real)(a->d->scale * (double)w[l] * all[l] / sums[l]);
    }
    for (int64_t l = 0; l < rows; l++) *loss -= (double)w[l] * products[l];
    *loss += wide_reduce(wide_fma(wide_zero(), FN(v_log1p)(v_load(others)), v_load(weights)));
    if (!a->dp) return;
    const vec scale = v_mul(v_set1((real)a->d->scale), v_load(w)), e_factor = v_load(factor);
    for (int64_t j = 0; j < n; j++)
        v_store(z + j * VL, v_fnma(scale, v_load(t + j * VL), v_mul(e_factor, v_load(z + j * VL))));
    FN(transpose_matrix)(n, rows, z, VL, a->dp + i * n, n, 0);
}

static void FN(entropy_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(entropy_args) *a = args;
    const int64_t n = a->d->cols;
    const real keep = (real)(1 - a->d->param), spread = (real)(a->d->param / (double)n);
    real others[VL], weights[VL]; /* S - 1 and its weight, of up to VL rows */
    int64_t waiting = 0;
    double sum = 0;
    if (n <= SHORT_ROW) {
        for (int64_t i = begin; i < end; i += VL) FN(turned_rows)(a, i, end - i < VL ? end - i : VL, keep, spread, &sum);
        a->partial[chunk] = sum;
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        double w = a->w ? (double)a->w[i] : 1, scale = a->d->scale * w, targets, linear;
        double s = FN(long_row)(a, i, keep, spread, scale, &targets, &linear);
        sum -= w * linear;
        others[waiting] = (real)(s - 1);
        weights[waiting++] = (real)(w * targets);
        if (waiting == VL || i + 1 == end) {
            vmask full = mask_first(waiting);
            vec logs = FN(v_log1p)(v_load_mask(others, full));
            sum += wide_reduce(wide_fma(wide_zero(), logs, v_load_mask(weights, full)));
            waiting = 0;
        }
    }
    a->partial[chunk] = sum;
}

static void FN(loss_cross_entropy)(const fnn_ctx *cx, const fnn_loss *d, const real *p, const int32_t *labels,
                                   const real *w, real *dp, double *loss)
{
    double partial[MAX_PARTIALS];
    FN(entropy_args) a = {d, p, NULL, w, labels, dp, partial};
    *loss += FN(run_reduction)(cx, d->rows, d->cols, FN(entropy_range), &a, partial);
}

static void FN(loss_cross_entropy_dense)(const fnn_ctx *cx, const fnn_loss *d, const real *p, const real *y,
                                         const real *w, real *dp, double *loss)
{
    double partial[MAX_PARTIALS];
    FN(entropy_args) a = {d, p, y, w, NULL, dp, partial};
    *loss += FN(run_reduction)(cx, d->rows, d->cols, FN(entropy_range), &a, partial);
}
