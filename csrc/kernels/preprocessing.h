/* preprocessing.h: what is done to data before a network learns from it: columns brought to a common scale, with missing
 * values filled, and categories as indicators. */

/* ---- standardizing ----------------------------------------------------------------------------------------------- */

#undef STANDARDIZE_ROWS
#define STANDARDIZE_ROWS 16 /* that a walk over the columns keeps in the nearest cache */

typedef struct {
    const fnn_standardize *d;
    const real *x, *mean, *scale, *fill, *dy;
    real *y, *dx;
} FN(standardizing);

static void FN(standardize_tables)(const fnn_ctx *cx, int64_t cols, int64_t copies, const real *mean, const real *deviation,
                                   real *tables)
{
    real *scale = tables + copies * cols;
    (void)cx;
    for (int64_t j = 0; j < cols; j += VL) {
        const vmask m = mask_first(FN(least)(VL, cols - j));
        const vec centre = v_load_mask(mean + j, m), inverse = v_div(v_set1(1), v_load_mask(deviation + j, m));
        for (int64_t k = 0; k < copies; k++) {
            v_store_mask(tables + k * cols + j, m, centre);
            v_store_mask(scale + k * cols + j, m, inverse);
        }
    }
}

ALWAYS_INLINE void FN(standardize_rows)(const FN(standardizing) *s, int64_t begin, int64_t end)
{
    const int64_t cols = s->d->cols, stride = s->d->indicators ? 2 * cols : cols;
    for (int64_t j = 0; j < cols; j += VL) {
        const vmask m = mask_first(FN(least)(VL, cols - j));
        const vec mean = v_load_mask(s->mean + j, m), scale = v_load_mask(s->scale + j, m);
        const vec fill = s->fill ? v_load_mask(s->fill + j, m) : v_zero();
        for (int64_t i = begin; i < end; i++) {
            const vec x = v_load_mask(s->x + i * cols + j, m);
            const vec value = s->fill ? v_select(v_isnan(x), fill, x) : x;
            v_store_mask(s->y + i * stride + j, m, v_mul(v_sub(value, mean), scale));
            if (s->d->indicators) v_store_mask(s->y + i * stride + cols + j, m, v_keep(v_isnan(x), v_set1(1)));
        }
    }
}

static void FN(standardize_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    (void)chunk;
    for (int64_t i = begin; i < end; i += STANDARDIZE_ROWS) FN(standardize_rows)(args, i, FN(least)(i + STANDARDIZE_ROWS, end));
}

static void FN(standardize_forward)(const fnn_ctx *cx, const fnn_standardize *d, const real *x, const real *tables,
                                    const real *fill, real *y)
{
    FN(standardizing) s = {.d = d, .x = x, .mean = tables, .scale = tables + d->cols, .fill = fill, .y = y};
    FN(for_items)(cx, d->rows, d->cols, FN(standardize_range), &s);
}

ALWAYS_INLINE void FN(standardize_back_rows)(const FN(standardizing) *s, int64_t begin, int64_t end)
{
    const int64_t cols = s->d->cols, stride = s->d->indicators ? 2 * cols : cols;
    for (int64_t j = 0; j < cols; j += VL) {
        const vmask m = mask_first(FN(least)(VL, cols - j));
        const vec scale = v_load_mask(s->scale + j, m);
        for (int64_t i = begin; i < end; i++) {
            real *dx = s->dx + i * cols + j;
            vec g = v_mul(v_load_mask(s->dy + i * stride + j, m), scale);
            if (s->x) g = v_select(v_isnan(v_load_mask(s->x + i * cols + j, m)), v_zero(), g);
            v_store_mask(dx, m, s->d->adds_dx ? v_add(v_load_mask(dx, m), g) : g);
        }
    }
}

static void FN(standardize_back_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    (void)chunk;
    for (int64_t i = begin; i < end; i += STANDARDIZE_ROWS) FN(standardize_back_rows)(args, i, FN(least)(i + STANDARDIZE_ROWS, end));
}

static void FN(standardize_backward)(const fnn_ctx *cx, const fnn_standardize *d, const real *x, const real *tables,
                                     const real *dy, real *dx)
{
    FN(standardizing) s = {.d = d, .x = x, .scale = tables + d->cols, .dy = dy, .dx = dx};
    FN(for_items)(cx, d->rows, d->cols, FN(standardize_back_range), &s);
}

/* ---- categories --------------------------------------------------------------------------------------------------- */

typedef struct {
    const fnn_one_hot *d;
    const real *x, *dy;
    const real *const *categories;
    real *y, *dx;
} FN(one_hot_args);

static void FN(one_hot_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(one_hot_args) *a = args;
    const fnn_one_hot *d = a->d;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) {
        const real *x = a->x + i * d->cols;
        real *y = a->y + i * d->out;
        for (int64_t k = 0; k < d->rest_count; k++) *y++ = x[d->rest[k]];
        for (int64_t c = 0; c < d->count; c++) {
            const real value = x[d->columns[c]];
            const vec wanted = v_set1(value);
            for (int64_t j = 0; j < d->counts[c]; j += VL) {
                const vmask m = mask_first(FN(least)(VL, d->counts[c] - j));
                v_store_mask(y + j, m, v_keep(v_eq(wanted, v_load_mask(a->categories[c] + j, m)), v_set1(1)));
            }
            y += d->counts[c];
            if (d->missing) *y++ = (real)(isnan(value) != 0);
        }
    }
}

static void FN(one_hot_forward)(const fnn_ctx *cx, const fnn_one_hot *d, const real *x, const real *const *categories, real *y)
{
    FN(one_hot_args) a = {.d = d, .x = x, .categories = categories, .y = y};
    FN(for_items)(cx, d->rows, d->out, FN(one_hot_range), &a);
}

static void FN(one_hot_back_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(one_hot_args) *a = args;
    const fnn_one_hot *d = a->d;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) {
        const real *dy = a->dy + i * d->out;
        real *dx = a->dx + i * d->cols;
        if (d->adds_dx) {
            for (int64_t k = 0; k < d->rest_count; k++) dx[d->rest[k]] += dy[k];
            continue;
        }
        for (int64_t k = 0; k < d->rest_count; k++) dx[d->rest[k]] = dy[k];
        for (int64_t c = 0; c < d->count; c++) dx[d->columns[c]] = 0;
    }
}

static void FN(one_hot_backward)(const fnn_ctx *cx, const fnn_one_hot *d, const real *dy, real *dx)
{
    FN(one_hot_args) a = {.d = d, .dy = dy, .dx = dx};
    FN(for_items)(cx, d->rows, d->cols, FN(one_hot_back_range), &a);
}
