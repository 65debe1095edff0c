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

/* What all short rows share. */
typedef struct {
    vmask m[2];    /* the columns of each vector */
    vec lanes[2];  /* and their numbers */
    real keep, spread;
} FN(short_rows);

/* The same for a row of at most two vectors, as most are, which stays in the registers. */
ALWAYS_INLINE double FN(short_row)(const FN(entropy_args) *a, int64_t i, const int vectors, const FN(short_rows) *rows,
                                   double scale, double *targets, double *linear)
{
    const int64_t n = a->d->cols;
    const real *p = a->p + i * n;
    const int one_hot = a->labels && rows->spread == 0; /* then the sums over the targets have one term */
    vec z[2], e[2], t[2];
    for (int j = 0; j < vectors; j++) z[j] = FN(load_or_lowest)(p + j * VL, rows->m[j]);
    const real highest = v_reduce_max(vectors == 1 ? z[0] : v_max(z[0], z[1]));
    const vec top = v_set1(highest);
    wide exps = wide_zero(), all = wide_zero(), products = wide_zero();
    for (int j = 0; j < vectors; j++) {
        z[j] = v_sub(z[j], top);
        e[j] = v_keep(rows->m[j], FN(v_exp)(z[j]));
        vec y = a->labels ? v_keep(v_eq(rows->lanes[j], v_set1((real)a->labels[i])), v_set1(1))
                          : v_load_mask(a->y + i * n + j * VL, rows->m[j]);
        t[j] = v_keep(rows->m[j], v_fma(v_set1(rows->keep), y, v_set1(rows->spread)));
        exps = wide_add(exps, e[j]);
        if (one_hot) continue;
        all = wide_add(all, t[j]);
        products = FN(add_targets)(products, t[j], z[j]);
    }
    const double s = wide_reduce(exps);
    *targets = a->labels ? 1 : wide_reduce(all);
    *linear = one_hot ? (double)rows->keep * (double)(p[a->labels[i]] - highest) : wide_reduce(products);
    if (a->dp) {
        vec factor = v_set1((real)(scale * *targets / s));
        for (int j = 0; j < vectors; j++)
            v_store_mask(a->dp + i * n + j * VL, rows->m[j], v_fnma(v_set1((real)scale), t[j], v_mul(factor, e[j])));
    }
    return s;
}

static void FN(entropy_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(entropy_args) *a = args;
    int64_t n = a->d->cols;
    real others[VL], weights[VL], lane[2 * VL]; /* S - 1 and its weight, of up to VL rows; 0, 1, 2, ... */
    for (int l = 0; l < 2 * VL; l++) lane[l] = (real)l;
    const FN(short_rows) rows = {.m = {mask_first(n < VL ? n : VL), mask_first(n <= VL ? 0 : n < 2 * VL ? n - VL : VL)},
                                 .lanes = {v_load(lane), v_load(lane + VL)},
                                 .keep = (real)(1 - a->d->param), .spread = (real)(a->d->param / (double)n)};
    int64_t waiting = 0;
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        double w = a->w ? (double)a->w[i] : 1, scale = a->d->scale * w, targets, linear;
        double s = n <= VL       ? FN(short_row)(a, i, 1, &rows, scale, &targets, &linear)
                   : n <= 2 * VL ? FN(short_row)(a, i, 2, &rows, scale, &targets, &linear)
                                 : FN(long_row)(a, i, rows.keep, rows.spread, scale, &targets, &linear);
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
