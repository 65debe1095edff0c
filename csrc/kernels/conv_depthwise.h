/* conv_depthwise.h: convolutions in which every channel has one filter of its own, with vectors along the channels. */

/* The taps of the window at `place`, and the first of them in x and in w. */
typedef struct {
    FN(taps) y, x;
    int64_t row_step, tap_step; /* in x: to the next kernel row, and column */
} FN(field);

ALWAYS_INLINE FN(field) FN(field_at)(const fnn_window *w, const FN(place) *p)
{
    return (FN(field)){.y = FN(taps_inside)(p->y, w->dilation_y, w->kernel_height, w->height),
                       .x = FN(taps_inside)(p->x, w->dilation_x, w->kernel_width, w->width),
                       .row_step = w->dilation_y * w->width * w->channels,
                       .tap_step = w->dilation_x * w->channels};
}

static void FN(depthwise_forward)(const FN(conv) *c, int64_t position, int64_t count)
{
    const fnn_window *w = &c->d->window;
    const int64_t channels = c->channels;
    real *y = c->out + position * channels;
    FN(place) place = FN(place_of)(w, position);
    for (int64_t i = 0; i < count; i++, FN(advance)(w, &place), y += channels) {
        const FN(field) f = FN(field_at)(w, &place);
        const int64_t corner = FN(corner)(w, &place);
        for (int64_t j = 0; j < channels; j += VL) {
            vmask m = mask_first(FN(least)(VL, channels - j));
            vec sum = c->bias ? v_load_mask(c->bias + j, m) : v_zero();
            for (int64_t a = f.y.from; a < f.y.end; a++)
                for (int64_t b = f.x.from; b < f.x.end; b++)
                    sum = v_fma(v_load_mask(c->x + corner + a * f.row_step + b * f.tap_step + j, m),
                                v_load_mask(c->w + (a * w->kernel_width + b) * channels + j, m), sum);
            v_store_mask(y + j, m, sum);
        }
    }
    if (c->d->activation != FNN_LINEAR) {
        real *first = c->out + position * channels;
        FN(activation_args) args = {.kind = c->d->activation, .alpha = (real)c->d->alpha, .x = first, .y = first};
        FN(activation_forward_range)(&args, 0, count * channels, 0);
    }
}

/* dw += x dz and dx += w dz, of the positions [position, position + count). */
static void FN(depthwise_backward)(const FN(conv) *c, int64_t position, int64_t count, real *dw)
{
    const fnn_window *w = &c->d->window;
    const int64_t channels = c->channels;
    const real *dy = c->dy + position * channels;
    FN(place) place = FN(place_of)(w, position);
    for (int64_t i = 0; i < count; i++, FN(advance)(w, &place), dy += channels) {
        const FN(field) f = FN(field_at)(w, &place);
        const int64_t corner = FN(corner)(w, &place);
        for (int64_t j = 0; j < channels; j += VL) {
            vmask m = mask_first(FN(least)(VL, channels - j));
            vec dz = v_load_mask(dy + j, m);
            for (int64_t a = f.y.from; a < f.y.end; a++)
                for (int64_t b = f.x.from; b < f.x.end; b++) {
                    int64_t at = corner + a * f.row_step + b * f.tap_step + j;
                    int64_t tap = (a * w->kernel_width + b) * channels + j;
                    v_store_mask(dw + tap, m, v_fma(v_load_mask(c->x + at, m), dz, v_load_mask(dw + tap, m)));
                    if (c->dx)
                        v_store_mask(c->dx + at, m, v_fma(v_load_mask(c->w + tap, m), dz, v_load_mask(c->dx + at, m)));
                }
        }
    }
}
