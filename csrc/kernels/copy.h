/* copy.h: copies: flat, between strided matrices, and of rows by index. Rows are often a few values wide, so a row goes
 * through vector registers here; memcpy would cost more than the copy. */

typedef struct {
    int64_t rows, cols, lds, ldd;
    const int64_t *index;
    const real *src;
    real *dst;
} FN(copy_args);

ALWAYS_INLINE void FN(copy_row)(int64_t n, const real *src, real *dst)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(dst + i, v_load(src + i));
    if (i < n) {
        vmask m = mask_first(n - i);
        v_store_mask(dst + i, m, v_load_mask(src + i, m));
    }
}

static void FN(copy_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(copy_args) *c = args;
    (void)chunk;
    FN(copy_row)(end - begin, c->src + begin, c->dst + begin);
}

static void FN(copy)(const fnn_ctx *cx, int64_t n, const real *x, real *y)
{
    FN(for_items)(cx, n, 1, FN(copy_range), &(FN(copy_args)){.src = x, .dst = y});
}

static void FN(copy_2d_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(copy_args) *c = args;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) FN(copy_row)(c->cols, c->src + i * c->lds, c->dst + i * c->ldd);
}

static void FN(add_2d_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(copy_args) *c = args;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) {
        real *dst = c->dst + i * c->ldd;
        FN(map2)(c->cols, c->src + i * c->lds, dst, dst, v_zero(), FN(add_op));
    }
}

static void FN(copy_2d)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *src, int64_t lds, real *dst,
                        int64_t ldd, int32_t accumulate)
{
    if (lds == cols && ldd == cols) {
        cols *= rows;
        rows = 1;
    }
    FN(copy_args) c = {.cols = cols, .lds = lds, .ldd = ldd, .src = src, .dst = dst};
    FN(for_items)(cx, rows, cols, accumulate ? FN(add_2d_range) : FN(copy_2d_range), &c);
}

/* Rows to come are asked for ahead: a shuffled batch is a random walk through memory that no CPU predicts. */
#undef GATHER_AHEAD
#define GATHER_AHEAD 8
#undef CACHE_LINE
#define CACHE_LINE 64

static void FN(gather_block)(const FN(copy_args) *c, int64_t row, int64_t end, int64_t column, int64_t columns)
{
    int64_t line = CACHE_LINE / (int64_t)sizeof(real);
    for (int64_t i = row; i < end; i++) {
        if (i + GATHER_AHEAD < end) {
            const real *next = c->src + c->index[i + GATHER_AHEAD] * c->cols + column;
            for (int64_t j = 0; j < columns; j += line) __builtin_prefetch(next + j);
        }
        FN(copy_row)(columns, c->src + c->index[i] * c->cols + column, c->dst + i * c->cols + column);
    }
}

static void FN(gather_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(copy_args) *c = args;
    (void)chunk;
    FN(gather_block)(c, begin, end, 0, c->cols);
}

static void FN(gather_columns)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(copy_args) *c = args;
    (void)chunk;
    FN(gather_block)(c, 0, c->rows, begin, end - begin);
}

static void FN(gather_scalars)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(copy_args) *c = args;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) c->dst[i] = c->src[c->index[i]];
}

/* A few wide rows are shared out by columns, as a dense layer's products then are (gemm_halves.h, gemm_update.h): each
 * thread finds what it has gathered itself. 2 to 3 % of a step of 784-128-10 with 64 rows on two threads. */
static void FN(gather_rows)(const fnn_ctx *cx, int64_t rows, int64_t cols, const int64_t *index, const real *src,
                            real *dst)
{
    FN(copy_args) c = {.rows = rows, .cols = cols, .index = index, .src = src, .dst = dst};
    if (rows < cols) {
        fnn_ctx apart = *cx;
        apart.exchanges = 0;
        FN(for_items)(&apart, cols, rows, FN(gather_columns), &c);
    } else {
        FN(for_items)(cx, rows, cols, cols == 1 ? FN(gather_scalars) : FN(gather_range), &c);
    }
}

/* On one thread: where an index occurs twice the last row must win. */
static void FN(scatter_rows)(const fnn_ctx *cx, int64_t rows, int64_t cols, const int64_t *index, const real *src,
                             real *dst)
{
    (void)cx;
    if (cols == 1)
        for (int64_t i = 0; i < rows; i++) dst[index[i]] = src[i];
    else
        for (int64_t i = 0; i < rows; i++) FN(copy_row)(cols, src + i * cols, dst + index[i] * cols);
}
