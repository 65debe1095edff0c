/* conv_patch.h: the patches that a convolution's filters see, as rows of a matrix: packed from an image for the products
 * of a strip of output positions, and added back to the image's gradient.
 *
 * A patch is laid out as the weights are: kernel row, kernel column, channel. Where the kernel's columns touch and all
 * channels are seen, a kernel row of it is one stretch of the image. */

typedef struct {
    const fnn_window *w;
    int64_t inner;             /* channels of a group */
    int64_t row, size;         /* elements of a kernel row in a patch, and of a patch */
    int64_t segments, segment; /* a kernel row is so many stretches of the image, of so many elements each */
    int64_t step;              /* from one stretch to the next in the image */
    int64_t first, end;        /* output columns whose kernel columns all lie within the image */
} FN(patches);

static FN(patches) FN(patches_of)(const fnn_window *w, int64_t groups)
{
    FN(patches) p = {.w = w, .inner = w->channels / groups, .step = w->dilation_x * w->channels};
    int64_t touching = w->kernel_width == 1 || (w->dilation_x == 1 && groups == 1);
    p.segments = touching ? 1 : w->kernel_width;
    p.row = w->kernel_width * p.inner;
    p.segment = p.row / p.segments;
    p.size = w->kernel_height * p.row;
    int64_t room = w->width - (w->kernel_width - 1) * w->dilation_x - 1 + w->left; /* from the first window's start */
    p.first = FN(least)((w->left + w->stride_x - 1) / w->stride_x, w->out_width);
    p.end = room < 0 ? 0 : FN(least)(room / w->stride_x + 1, w->out_width);
    if (p.end < p.first) p.end = p.first;
    return p;
}

/* Copies a stretch of the image into a patch, or adds it back. */
ALWAYS_INLINE void FN(move_stretch)(const int back, int64_t n, vmask rest, real *image, real *patch)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        if (back) v_store(image + i, v_add(v_load(image + i), v_load(patch + i)));
        else v_store(patch + i, v_load(image + i));
    }
    if (i == n) return;
    if (back) v_store_mask(image + i, rest, v_add(v_load_mask(image + i, rest), v_load_mask(patch + i, rest)));
    else v_store_mask(patch + i, rest, v_load_mask(image + i, rest));
}

static void FN(clear)(int64_t n, real *y)
{
    if (n > 0) memset(y, 0, (size_t)n * sizeof(real));
}

/* One kernel row of `count` patches from output column `column` on, all of whose columns lie within the image. `at` is
 * where the first begins in the image, which the others follow. */
ALWAYS_INLINE void FN(move_inside)(const int back, const FN(patches) *p, int64_t count, int64_t at, real *image,
                                   real *strip)
{
    const int64_t stride = p->w->stride_x * p->w->channels, n = p->segment, size = p->size;
    const vmask rest = mask_first(n % VL);
    for (int64_t s = 0; s < p->segments; s++, at += p->step, strip += n) {
        real *patch = strip;
        int64_t from = at;
        for (int64_t i = 0; i < count; i++, from += stride, patch += size)
            FN(move_stretch)(back, n, rest, image + from, patch);
    }
}

/* One kernel row of the patch of an output column, of whose kernel columns some lie outside of the image: 0 there. */
ALWAYS_INLINE void FN(move_border)(const int back, const FN(patches) *p, int64_t column, int64_t at, real *image,
                                   real *patch)
{
    const fnn_window *w = p->w;
    FN(taps) t = FN(taps_inside)(column * w->stride_x - w->left, w->dilation_x, w->kernel_width, w->width);
    if (!back) {
        FN(clear)(t.from * p->inner, patch);
        FN(clear)((w->kernel_width - t.end) * p->inner, patch + t.end * p->inner);
    }
    int64_t taps = p->segments == 1 ? t.end - t.from : 1, n = taps * p->inner;
    if (taps == 0) return;
    for (int64_t k = t.from; k < t.end; k += taps) {
        int64_t from = at + k * p->step;
        FN(move_stretch)(back, n, mask_first(n % VL), image + from, patch + k * p->inner);
    }
}

/* The patches of one group for the output positions [position, position + count), between an image, from the group's
 * first channel on, and a strip of count rows. Packing only reads the image. */
ALWAYS_INLINE void FN(move_patches)(const int back, const FN(patches) *p, int64_t position, int64_t count,
                                    real *image, real *strip)
{
    const fnn_window *w = p->w;
    FN(place) place = FN(place_of)(w, position);
    while (count > 0) {
        const int64_t column = place.column, run = FN(least)(count, w->out_width - column), end = column + run;
        const int64_t first = FN(least)(column > p->first ? column : p->first, end);
        const int64_t last = FN(least)(p->end > first ? p->end : first, end);
        for (int64_t k = 0; k < w->kernel_height; k++) {
            int64_t row = place.y + k * w->dilation_y;
            real *to = strip + k * p->row;
            if (row < 0 || row >= w->height) {
                for (int64_t i = 0; i < run && !back; i++) FN(clear)(p->row, to + i * p->size);
                continue;
            }
            const int64_t line = (place.image * w->height + row) * w->width - w->left, step = w->stride_x;
            for (int64_t i = column; i < first; i++)
                FN(move_border)(back, p, i, (line + i * step) * w->channels, image, to + (i - column) * p->size);
            FN(move_inside)(back, p, last - first, (line + first * step) * w->channels, image,
                            to + (first - column) * p->size);
            for (int64_t i = last; i < end; i++)
                FN(move_border)(back, p, i, (line + i * step) * w->channels, image, to + (i - column) * p->size);
        }
        strip += run * p->size;
        position += run;
        count -= run;
        place = FN(place_of)(w, position);
    }
}

static void FN(pack_patches)(const FN(patches) *p, int64_t position, int64_t count, const real *x, real *strip)
{
    FN(move_patches)(0, p, position, count, (real *)x, strip);
}

static void FN(add_patches)(const FN(patches) *p, int64_t position, int64_t count, real *dx, real *strip)
{
    FN(move_patches)(1, p, position, count, dx, strip);
}
