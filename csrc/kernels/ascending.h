/* ascending.h: rows that never descend, whatever goes in: y_0 = x_0, y_j = y_(j-1) + softplus(x_j).
 *
 * Rounding is monotonic, so a sum with a number that is not negative is never below what it was added to: the order
 * holds in either precision, for any input that is not NaN. The functions run over the flat stretch, since rows are
 * short; the sums follow row by row. */

/* Elements whose slopes are held at once. */
#undef ASCENDING_BLOCK
#define ASCENDING_BLOCK 256

typedef struct {
    int64_t cols;
    int32_t accumulate;
    const real *x, *dy;
    real *y; /* dx of backward */
} FN(ascending_args);

static void FN(ascending_forward_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(ascending_args) *a = args;
    int64_t cols = a->cols;
    (void)chunk;
    FN(map1)((end - begin) * cols, a->x + begin * cols, a->y + begin * cols, v_zero(), FN(softplus_forward));
    for (int64_t i = begin; i < end; i++) {
        real *y = a->y + i * cols;
        y[0] = a->x[i * cols];
        for (int64_t j = 1; j < cols; j++) y[j] = y[j - 1] + y[j];
    }
}

/* From the last element to the first: x_j is in y_j and in all that follow it in its row. */
static void FN(ascending_backward_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(ascending_args) *a = args;
    int64_t cols = a->cols, column = cols;
    double sum = 0;
    (void)chunk;
    for (int64_t high = end * cols; high > begin * cols;) {
        real slope[ASCENDING_BLOCK];
        int64_t low = high - begin * cols > ASCENDING_BLOCK ? high - ASCENDING_BLOCK : begin * cols;
        FN(map1)(high - low, a->x + low, slope, v_zero(), FN(sigmoid_forward));
        for (int64_t i = high - 1; i >= low; i--) {
            column--;
            sum += (double)a->dy[i];
            double d = column ? (double)slope[i - low] * sum : sum;
            a->y[i] = (real)(a->accumulate ? (double)a->y[i] + d : d);
            if (column) continue;
            column = cols;
            sum = 0;
        }
        high = low;
    }
}

static void FN(ascending_forward)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *x, real *y)
{
    FN(ascending_args) a = {.cols = cols, .x = x, .y = y};
    FN(for_items)(cx, rows, cols, FN(ascending_forward_range), &a);
}

static void FN(ascending_backward)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *x, const real *dy, real *dx,
                                   int32_t accumulate)
{
    FN(ascending_args) a = {cols, accumulate, x, dy, dx};
    FN(for_items)(cx, rows, cols, FN(ascending_backward_range), &a);
}
