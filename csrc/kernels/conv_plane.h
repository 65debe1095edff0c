/* conv_plane.h: the forward pass of a few filters over images of one channel, with vectors along the positions, since
 * filters would fill only a part of each.
 *
 * Some rows of the image are copied with zeros around them. What a tap sees of all output positions is then one stretch
 * of the copy, so that y^T = w^T x is a product whose second operand is never formed: the rows of x for the taps of a
 * kernel row begin one element apart. Between two rows of outputs stand positions that are no outputs; they are left out
 * when y^T is turned. The first convolution of LeNet-5 takes two thirds of the time that it takes by patches. */

#undef PLANE_POSITIONS
#define PLANE_POSITIONS 512 /* of some rows, about: copy and product stay in L1 */

static int FN(plane_fits)(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return w->channels == 1 && w->stride_x == 1 && w->stride_y == 1 && 2 * d->filters <= VL
           && w->kernel_height * w->kernel_width > 1;
}

/* Elements of a row of the copy; output rows that are taken at once; how many times for an image. */
ALWAYS_INLINE int64_t FN(plane_width)(const fnn_window *w) { return w->out_width + (w->kernel_width - 1) * w->dilation_x; }
ALWAYS_INLINE int64_t FN(plane_height)(const fnn_window *w)
{
    int64_t fits = PLANE_POSITIONS / FN(plane_width)(w);
    return fits < 1 ? 1 : FN(least)(fits, w->out_height);
}
ALWAYS_INLINE int64_t FN(plane_items)(const fnn_conv *d)
{
    return FN(parts_of)(d->window.out_height, FN(plane_height)(&d->window));
}

/* Elements of the copy, and in all, with y^T. */
ALWAYS_INLINE int64_t FN(plane_copy)(const fnn_window *w)
{
    int64_t rows = FN(plane_height)(w) + (w->kernel_height - 1) * w->dilation_y;
    return FN(parts_of)(rows * FN(plane_width)(w), VL) * VL;
}
ALWAYS_INLINE int64_t FN(plane_room)(const fnn_conv *d)
{
    return FN(plane_copy)(&d->window) + d->filters * FN(plane_height)(&d->window) * FN(plane_width)(&d->window);
}

/* Rows [row, row + count) of the image, from column -left on, with zeros where there are none. */
static void FN(copy_plane)(const fnn_window *w, int64_t row, int64_t count, const real *image, real *copy)
{
    const int64_t width = FN(plane_width)(w), begin = FN(least)(w->left, width);
    const int64_t inside = FN(least)(w->width, width - begin);
    const vmask rest = mask_first(inside % VL);
    FN(clear)(FN(plane_copy)(w), copy);
    for (int64_t i = 0; i < count; i++, row++, copy += width)
        if (row >= 0 && row < w->height) FN(move_stretch)(0, inside, rest, (real *)image + row * w->width, copy + begin);
}

/* The rows of outputs that `item` stands for, of one image. */
static void FN(plane_rows)(const fnn_conv *d, const fnn_ctx *cx, int64_t item, const real *x, const real *weight,
                           const real *bias, real *room, real *y)
{
    const fnn_window *w = &d->window;
    const int64_t items = FN(plane_items)(d), image = item / items, first = item % items * FN(plane_height)(w);
    const int64_t rows = FN(least)(FN(plane_height)(w), w->out_height - first), width = FN(plane_width)(w);
    const int64_t taps = w->kernel_width, count = (rows - 1) * width + w->out_width;
    real *turned = room + FN(plane_copy)(w);
    FN(copy_plane)(w, first - w->top, rows + (w->kernel_height - 1) * w->dilation_y, x + image * w->height * w->width, room);
    for (int64_t f = 0; bias && f < d->filters; f++) FN(fill_row)(count, bias[f], turned + f * count);
    for (int64_t i = 0; i < w->kernel_height; i++) {
        const int last = i == w->kernel_height - 1;
        const fnn_gemm product = {.m = d->filters, .n = count, .k = taps, .lda = d->filters, .ldb = w->dilation_x,
                                  .ldc = count, .accumulate = bias || i > 0, .alpha = d->alpha,
                                  .activation = last ? d->activation : FNN_LINEAR};
        FN(gemm_tn)(cx, &product, weight + i * taps * d->filters, room + i * w->dilation_y * width, NULL, turned);
    }
    y += (image * FN(positions_of)(w) + first * w->out_width) * d->filters;
    for (int64_t i = 0; i < rows; i++)
        FN(transpose_matrix)(d->filters, w->out_width, turned + i * width, count, y + i * w->out_width * d->filters,
                             d->filters, 0);
}
