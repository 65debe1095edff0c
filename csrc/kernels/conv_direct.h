/* conv_direct.h: the forward pass from the image itself, a row of outputs at a time, and max pooling on the way out.
 *
 * The patch of an output is a stretch of the image for each kernel row, and the next output's begins a stride further on:
 * a tile of the product (gemm_tile.h) reads it there, and nothing is packed. Only a block of outputs whose windows reach
 * beyond the image has what it sees copied, with zeros around. Against packed patches the first convolution of the CNN in
 * benchmarks/ takes 0.8 of the time and the second of LeNet-5, whose strips L1 did not hold, 0.6.
 *
 * Where max pooling follows, a few rows of outputs go to a buffer in L1 and their largest values to y. */

#undef DIRECT_POSITIONS
#undef DIRECT_PATCH
#undef DIRECT_COLUMNS
#undef DIRECT_POOL
#define DIRECT_POSITIONS 256     /* outputs of a block, about: what it sees stays in L1 */
#define DIRECT_PATCH GEMM_STEPS  /* elements of a patch, at most: beyond, a product cuts its steps */
#define DIRECT_COLUMNS 6         /* outputs of a row, at least: fewer would make low tiles */
#define DIRECT_POOL (32 << 10)   /* elements that pooling may wait for: 128 KB of L2 in float */

/* Windows of max pooling, 1 x 1 where there is none, and the outputs of an image that they see. */
ALWAYS_INLINE int64_t FN(pool_y)(const fnn_conv *d) { return d->pool_height > 0 ? d->pool_height : 1; }
ALWAYS_INLINE int64_t FN(pool_x)(const fnn_conv *d) { return d->pool_width > 0 ? d->pool_width : 1; }
ALWAYS_INLINE int64_t FN(pooled_height)(const fnn_conv *d) { return d->window.out_height / FN(pool_y)(d); }
ALWAYS_INLINE int64_t FN(pooled_width)(const fnn_conv *d) { return d->window.out_width / FN(pool_x)(d); }

/* Whether a patch is a stretch for each kernel row; and whether that is the way to go where nothing is pooled. */
static int FN(direct_can)(const fnn_conv *d)
{
    return d->groups == 1 && (d->window.dilation_x == 1 || d->window.kernel_width == 1);
}
static int FN(direct_fits)(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return FN(direct_can)(d) && w->out_width >= DIRECT_COLUMNS
           && w->kernel_height * w->kernel_width * w->channels <= DIRECT_PATCH;
}

/* How the outputs of an image are cut into blocks. */
typedef struct {
    int64_t height, width; /* outputs that are wanted */
    int64_t rows, columns; /* of a block */
    int64_t down, across;  /* blocks */
} FN(blocks);

static FN(blocks) FN(blocks_of)(const fnn_conv *d)
{
    const int64_t pool_y = FN(pool_y)(d), pool_x = FN(pool_x)(d);
    FN(blocks) g = {.height = FN(pooled_height)(d) * pool_y, .width = FN(pooled_width)(d) * pool_x};
    g.columns = FN(parts_of)(FN(parts_of)(g.width, FN(parts_of)(g.width, DIRECT_POSITIONS)), pool_x) * pool_x;
    g.rows = DIRECT_POSITIONS / g.columns / pool_y * pool_y;
    g.rows = FN(least)(g.rows < pool_y ? pool_y : g.rows, g.height);
    g.down = FN(parts_of)(g.height, g.rows);
    g.across = FN(parts_of)(g.width, g.columns);
    return g;
}

/* Pixels that so many outputs see along an axis. */
ALWAYS_INLINE int64_t FN(seen_y)(const fnn_window *w, int64_t rows)
{
    return (rows - 1) * w->stride_y + (w->kernel_height - 1) * w->dilation_y + 1;
}
ALWAYS_INLINE int64_t FN(seen_x)(const fnn_window *w, int64_t columns)
{
    return (columns - 1) * w->stride_x + (w->kernel_width - 1) * w->dilation_x + 1;
}

/* The elements of whole vectors, so that what follows lies as the scratch does. */
ALWAYS_INLINE int64_t FN(whole)(int64_t n) { return FN(parts_of)(n, VL) * VL; }

/* Elements of a block's copy, and in all, with what waits for pooling. */
ALWAYS_INLINE int64_t FN(block_copy)(const fnn_conv *d, const FN(blocks) *g)
{
    return FN(whole)(FN(seen_y)(&d->window, g->rows) * FN(seen_x)(&d->window, g->columns) * d->window.channels);
}
ALWAYS_INLINE int64_t FN(direct_room)(const fnn_conv *d)
{
    const FN(blocks) g = FN(blocks_of)(d);
    return FN(block_copy)(d, &g) + (d->pool_height ? d->pool_height * g.columns * d->filters : 0);
}

/* The height x width pixels from (y, x) on, with zeros where there is no image. */
static void FN(copy_pixels)(const fnn_window *w, int64_t y, int64_t x, int64_t height, int64_t width, const real *image,
                            real *copy)
{
    const int64_t channels = w->channels;
    const FN(taps) inside = FN(taps_inside)(x, 1, width, w->width);
    const int64_t n = (inside.end - inside.from) * channels;
    const vmask rest = mask_first(n % VL);
    for (int64_t i = y; i < y + height; i++, copy += width * channels) {
        if (i < 0 || i >= w->height || n == 0) {
            FN(clear)(width * channels, copy);
            continue;
        }
        real *from = (real *)image + (i * w->width + x + inside.from) * channels;
        FN(clear)(inside.from * channels, copy);
        FN(move_stretch)(0, n, rest, from, copy + inside.from * channels);
        FN(clear)((width - inside.end) * channels, copy + inside.end * channels);
    }
}

/* The largest values of a row of windows, in as many rows of `width` outputs each. */
static void FN(pool_outputs)(const fnn_conv *d, int64_t width, const real *outputs, real *y)
{
    const int64_t filters = d->filters, step = d->pool_width * filters;
    const FN(pool) window = {.y = {0, d->pool_height}, .x = {0, d->pool_width}};
    for (int64_t i = 0; i < width / d->pool_width; i++)
        FN(max_of_window)(&window, width * filters, filters, 0, outputs + i * step, y + i * filters);
}

/* The activations that the tiles do not apply, on n finished outputs that are still near in the cache. */
static void FN(activate_outputs)(const fnn_conv *d, int64_t n, real *y)
{
    if (d->activation == FNN_LINEAR || d->activation == FNN_RELU) return;
    FN(activation_args) args = {.kind = d->activation, .alpha = (real)d->alpha, .x = y, .y = y};
    FN(activation_forward_range)(&args, 0, n, 0);
}

/* The block of outputs that `item` stands for, of one image. */
static void FN(direct_block)(const fnn_conv *d, int64_t item, const real *x, const real *weight, const real *bias,
                             real *room, real *y)
{
    const fnn_window *w = &d->window;
    const FN(blocks) g = FN(blocks_of)(d);
    const int64_t image = item / (g.down * g.across), row = item / g.across % g.down * g.rows;
    const int64_t column = item % g.across * g.columns, pool_y = FN(pool_y)(d), filters = d->filters;
    const int64_t rows = FN(least)(g.rows, g.height - row), columns = FN(least)(g.columns, g.width - column);
    const int64_t top = row * w->stride_y - w->top, left = column * w->stride_x - w->left;
    const int64_t height = FN(seen_y)(w, rows), width = FN(seen_x)(w, columns), taps = w->kernel_width * w->channels;
    int64_t line = w->width * w->channels;
    const real *from = x + image * FN(image_size)(w);
    if (top < 0 || left < 0 || top + height > w->height || left + width > w->width) {
        FN(copy_pixels)(w, top, left, height, width, from, room);
        from = room;
        line = width * w->channels;
    } else {
        from += top * line + left * w->channels;
    }
    const FN(tile_job) job = {.k = taps, .row_a = w->stride_x * w->channels, .step_a = 1, .ldb = filters, .ldc = filters,
                              .again = w->kernel_height - 1, .next_a = w->dilation_y * line - taps,
                              .relu = d->activation == FNN_RELU};
    const int64_t y_line = FN(pooled_width)(d) * filters;
    real *waiting = room + FN(block_copy)(d, &g);
    y += (image * FN(pooled_height)(d) + row / pool_y) * y_line + column / FN(pool_x)(d) * filters;
    for (int64_t i = 0; i < rows; i += pool_y, y += y_line) {
        real *outputs = d->pool_height ? waiting : y;
        for (int64_t j = 0; j < pool_y; j++)
            FN(run_columns)(job, columns, filters, from + (i + j) * w->stride_y * line, weight, bias,
                            outputs + j * columns * filters);
        FN(activate_outputs)(d, pool_y * columns * filters, outputs);
        if (d->pool_height) FN(pool_outputs)(d, columns, outputs, y);
    }
}
