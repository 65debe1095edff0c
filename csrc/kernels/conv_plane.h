/* conv_plane.h: the forward pass of a few filters over images of one channel, with vectors along the positions, since
 * filters would fill only a part of each.
 *
 * Some rows of the image are copied with zeros around them. What a tap sees of all output positions is then one stretch
 * of the copy, so that y^T = w^T x is a product whose second operand is never formed: the rows of x for the taps of a
 * kernel row begin one element apart. Between two rows of outputs stand positions that are no outputs; they are left out
 * when y^T is turned. The first convolution of LeNet-5 takes half of the time that it takes by patches. Max pooling over
 * rows comes before the turn, which has so many fewer of them to go through. */

#undef PLANE_POSITIONS
#define PLANE_POSITIONS 512 /* of some rows, about: copy and product stay in L1 */

static int FN(plane_fits)(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return w->channels == 1 && w->stride_x == 1 && w->stride_y == 1 && 2 * d->filters <= VL
           && w->kernel_height * w->kernel_width > 1;
}

/* Elements of a row of the copy; output rows that are taken at once; how many times for an image. */
ALWAYS_INLINE int64_t FN(plane_width)(const fnn_window *w) { return FN(seen_x)(w, w->out_width); }
ALWAYS_INLINE int64_t FN(plane_height)(const fnn_conv *d)
{
    const int64_t pool_y = FN(pool_y)(d), wanted = FN(pooled_height)(d) * pool_y;
    const int64_t fits = PLANE_POSITIONS / FN(plane_width)(&d->window) / pool_y * pool_y;
    return FN(least)(fits < pool_y ? pool_y : fits, wanted);
}
ALWAYS_INLINE int64_t FN(plane_items)(const fnn_conv *d)
{
    return FN(parts_of)(FN(pooled_height)(d) * FN(pool_y)(d), FN(plane_height)(d));
}

/* Elements of the copy; of a filter's row in y^T; and in all. */
ALWAYS_INLINE int64_t FN(plane_copy)(const fnn_conv *d)
{
    return FN(whole)(FN(seen_y)(&d->window, FN(plane_height)(d)) * FN(plane_width)(&d->window));
}
ALWAYS_INLINE int64_t FN(plane_line)(const fnn_conv *d)
{
    return FN(whole)(FN(plane_height)(d) * FN(plane_width)(&d->window));
}
ALWAYS_INLINE int64_t FN(plane_room)(const fnn_conv *d) { return FN(plane_copy)(d) + d->filters * FN(plane_line)(d); }

/* Of a filter's outputs, rows of them `line` apart: the largest value of each window, from any of n columns on, into the
 * first row. */
static void FN(pool_plane)(const fnn_conv *d, int64_t n, int64_t line, real *y)
{
    const FN(pool) window = {.y = {0, d->pool_height}, .x = {0, d->pool_width}};
    for (int64_t j = 0; j < n; j += VL) {
        const vmask m = mask_first(FN(least)(VL, n - j));
        v_store_mask(y + j, m, FN(window_max)(&window, line, 1, y + j, 1, m));
    }
}

/* Every step-th of n columns of y^T, whose rows are `line` apart, as rows of y. */
static void FN(turn_plane)(int64_t filters, int64_t n, int64_t step, int64_t line, const real *turned, real *y)
{
    const vmask out = mask_first(filters);
    for (int64_t j = 0, next = 0; j < n; j += VL) {
        const vmask in = mask_first(FN(least)(VL, n - j));
        vec block[VL];
        for (int i = 0; i < VL; i++) block[i] = i < filters ? v_load_mask(turned + i * line + j, in) : v_zero();
        FN(transpose)(block);
        for (; next < FN(least)(j + VL, n); next += step, y += filters) v_store_mask(y, out, block[next - j]);
    }
}

/* The rows of outputs that `item` stands for, of one image. */
static void FN(plane_rows)(const fnn_conv *d, int64_t item, const real *x, const real *weight, const real *bias,
                           real *room, real *y)
{
    const fnn_window *w = &d->window;
    const int64_t pool_y = FN(pool_y)(d), pool_x = FN(pool_x)(d), items = FN(plane_items)(d), filters = d->filters;
    const int64_t image = item / items, first = item % items * FN(plane_height)(d);
    const int64_t rows = FN(least)(FN(plane_height)(d), FN(pooled_height)(d) * pool_y - first);
    const int64_t width = FN(plane_width)(w), line = FN(plane_line)(d), count = (rows - 1) * width + w->out_width;
    const int64_t wanted = FN(pooled_width)(d) * pool_x - (pool_x - 1); /* columns, up to the last window's first */
    real *turned = room + FN(plane_copy)(d);
    FN(copy_pixels)(w, first - w->top, -w->left, FN(seen_y)(w, rows), width, x + image * w->height * w->width, room);
    for (int64_t f = 0; bias && f < filters; f++) FN(fill_row)(count, bias[f], turned + f * line);
    const FN(tile_job) job = {.k = w->kernel_width, .row_a = 1, .step_a = filters, .ldb = w->dilation_x, .ldc = line,
                              .again = w->kernel_height - 1,
                              .next_b = w->dilation_y * width - w->kernel_width * w->dilation_x, .load = bias != NULL,
                              .relu = d->activation == FNN_RELU};
    FN(run_columns)(job, filters, count, weight, room, NULL, turned);
    for (int64_t f = 0; f < filters; f++) FN(activate_outputs)(d, count, turned + f * line);
    y += (image * FN(pooled_height)(d) + first / pool_y) * FN(pooled_width)(d) * filters;
    for (int64_t i = 0; i < rows; i += pool_y, turned += pool_y * width, y += FN(pooled_width)(d) * filters) {
        for (int64_t f = 0; d->pool_height && f < filters; f++) FN(pool_plane)(d, wanted, width, turned + f * line);
        FN(turn_plane)(filters, wanted, pool_x, line, turned, y);
    }
}
