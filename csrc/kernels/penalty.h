/* penalty.h: what keeps parameters small: l1 and l2 penalties, and the limit on the norm of a unit's weights. */

typedef struct {
    real l1, twice_l2; /* of the gradient */
    double l1_loss, l2_loss;
    const real *p;
    real *g;
    double *partial; /* one a chunk */
} FN(penalty_args);

static void FN(regularize_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(penalty_args) *a = args;
    vec l1 = v_set1(a->l1), l2 = v_set1(a->twice_l2), zero = v_zero();
    wide magnitudes = wide_zero(), squares = wide_zero();
    for (int64_t i = begin; i < end; i += VL) {
        vmask m = mask_first(end - i < VL ? end - i : VL);
        vec p = v_load_mask(a->p + i, m);
        magnitudes = wide_add(magnitudes, v_abs(p));
        squares = wide_fma(squares, p, p);
        if (!a->g) continue;
        vec sign = v_select(v_eq(p, zero), zero, v_copysign(l1, p));
        v_store_mask(a->g + i, m, v_add(v_fma(l2, p, sign), v_load_mask(a->g + i, m)));
    }
    a->partial[chunk] = a->l2_loss * wide_reduce(squares) + a->l1_loss * wide_reduce(magnitudes);
}

static void FN(regularize)(const fnn_ctx *cx, int64_t n, double l1, double l2, const real *p, real *g, double *penalty)
{
    double partial[MAX_PARTIALS];
    FN(penalty_args) a = {(real)l1, (real)(2 * l2), l1, l2, p, g, partial};
    *penalty += FN(run_reduction)(cx, n, 1, FN(regularize_range), &a, partial);
}

typedef struct {
    int64_t rows, cols;
    double limit;
    real *w;
} FN(max_norm_args);

static void FN(max_norm_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(max_norm_args) *a = args;
    int64_t last = end * COLUMN_BLOCK < a->cols ? end * COLUMN_BLOCK : a->cols;
    (void)chunk;
    for (int64_t j = begin * COLUMN_BLOCK; j < last; j += VL) {
        double squares[VL];
        real factors[VL];
        int64_t n = last - j < VL ? last - j : VL;
        int above = 0;
        FN(column_walk)(a->rows, a->cols, n, a->w + j, squares, FN(sum_squares_op));
        for (int64_t k = 0; k < n; k++) {
            double norm = sqrt(squares[k]);
            factors[k] = norm > a->limit ? (real)(a->limit / norm) : 1;
            above |= norm > a->limit;
        }
        if (!above) continue;
        vmask m = mask_first(n);
        vec factor = v_load_mask(factors, m);
        for (int64_t i = 0; i < a->rows; i++) {
            real *w = a->w + i * a->cols + j;
            v_store_mask(w, m, v_mul(v_load_mask(w, m), factor));
        }
    }
}

static void FN(max_norm)(const fnn_ctx *cx, int64_t rows, int64_t cols, double limit, real *w)
{
    FN(max_norm_args) a = {rows, cols, limit, w};
    FN(for_items)(cx, (cols + COLUMN_BLOCK - 1) / COLUMN_BLOCK, rows * COLUMN_BLOCK, FN(max_norm_range), &a);
}
