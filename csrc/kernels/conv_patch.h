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
    int64_t step, line;        /* in the image: from one kernel column to the next, from one kernel row to the next */
    int64_t first, end;        /* output columns whose kernel columns all lie within the image */
} FN(patches);

static FN(patches) FN(patches_of)(const fnn_window *w, int64_t groups)
{
    FN(patches) p = {.w = w, .inner = w->channels / groups, .step = w->dilation_x * w->channels,
                       .line = w->dilation_y * w->width * w->channels};
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

static void FN(clear)(int64_t n, real *y) { FN(fill_row)(n, 0, y); }

/* Kernel rows `rows` of `count` patches whose columns all lie within the image. `at` is where the first begins.
 * Stretches of neighbouring patches overlap in the image, and one that is added to must be in the cache again before the
 * next can be: so every few patches only, those of all kernel rows, then the ones between. */
ALWAYS_INLINE void FN(move_inside)(const int back, const FN(patches) *p, FN(taps) rows, int64_t count, int64_t at,
                                   real *image, real *strip)
{
    const fnn_window *w = p->w;
    const int64_t stride = w->stride_x * w->channels, n = p->segment, size = p->size;
    const int64_t apart = back ? FN(parts_of)(n, stride) : 1;
    const vmask rest = mask_first(n % VL);
    for (int64_t first = 0; first < apart; first++)
        for (int64_t k = rows.from; k < rows.end; k++)
            for (int64_t s = 0; s < p->segments; s++) {
                real *from = image + at + k * p->line + s * p->step, *patch = strip + k * p->row + s * n;
                for (int64_t i = first; i < count; i += apart)
                    FN(move_stretch)(back, n, rest, from + i * stride, patch + i * size);
            }
}

/* The same for one patch of which columns lie outside of the image: 0 there. */
ALWAYS_INLINE void FN(move_border)(const int back, const FN(patches) *p, FN(taps) rows, int64_t column, int64_t at,
                                   real *image, real *patch)
{
    const fnn_window *w = p->w;
    const FN(taps) t = FN(taps_inside)(column * w->stride_x - w->left, w->dilation_x, w->kernel_width, w->width);
    const int64_t taps = p->segments == 1 ? t.end - t.from : 1, n = taps * p->inner;
    const vmask rest = mask_first(n % VL);
    for (int64_t k = rows.from; k < rows.end; k++) {
        real *row = patch + k * p->row;
        if (!back) {
            FN(clear)(t.from * p->inner, row);
            FN(clear)((w->kernel_width - t.end) * p->inner, row + t.end * p->inner);
        }
        for (int64_t j = t.from; j < t.end; j += taps)
            FN(move_stretch)(back, n, rest, image + at + k * p->line + j * p->step, row + j * p->inner);
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
        const int64_t run = FN(least)(count, w->out_width - place.column), end = place.column + run;
        const FN(taps) rows = FN(taps_inside)(place.y, w->dilation_y, w->kernel_height, w->height);
        for (int64_t i = 0; i < run && !back; i++) {
            FN(clear)(rows.from * p->row, strip + i * p->size);
            FN(clear)((w->kernel_height - rows.end) * p->row, strip + i * p->size + rows.end * p->row);
        }
        for (int64_t i = place.column; i < end;) {
            int64_t at = FN(corner)(w, &place), inside = FN(least)(p->end, end) - i;
            if (i < p->first || inside <= 0) inside = 0;
            if (inside) FN(move_inside)(back, p, rows, inside, at, image, strip);
            else FN(move_border)(back, p, rows, i, at, image, strip);
            int64_t moved = inside ? inside : 1;
            place.x += moved * w->stride_x;
            strip += moved * p->size;
            i += moved;
        }
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

/* What the taps of one kernel column see in `run` output positions, from image column `column` on; `from` belongs to the
 * first of the kernel rows that lie within the image. */
ALWAYS_INLINE void FN(pack_column)(const FN(patches) *p, FN(taps) rows, int64_t column, int64_t run, int64_t count,
                                   const real *from, real *to)
{
    const int64_t left = column < 0 ? FN(least)(-column, run) : 0, next = p->w->kernel_width * count;
    int64_t inside = FN(least)(run, p->w->width - column) - left;
    if (inside < 0) inside = 0;
    const int64_t right = run - left - inside;
    const vmask rest = mask_first(inside % VL);
    for (int64_t a = 0; a < p->w->kernel_height; a++, to += next) {
        if (a < rows.from || a >= rows.end) {
            FN(clear)(run, to);
            continue;
        }
        if (left) FN(clear)(left, to);
        FN(move_stretch)(0, inside, rest, (real *)from + left, to + left);
        if (right) FN(clear)(right, to + left + inside);
        from += p->line;
    }
}

/* Patches of images of one channel, transposed: row k of the strip is what tap k sees, one output position after the
 * other. Where windows are one pixel apart that is a stretch of the image, far longer than any of a patch. */
static void FN(pack_taps)(const FN(patches) *p, int64_t position, int64_t count, const real *x, real *strip)
{
    const fnn_window *w = p->w;
    FN(place) place = FN(place_of)(w, position);
    for (int64_t done = 0; done < count;) {
        const int64_t run = FN(least)(count - done, w->out_width - place.column);
        const FN(taps) rows = FN(taps_inside)(place.y, w->dilation_y, w->kernel_height, w->height);
        const real *from = x + FN(corner)(w, &place) + rows.from * p->line;
        for (int64_t b = 0; b < w->kernel_width; b++)
            FN(pack_column)(p, rows, place.x + b * w->dilation_x, run, count, from + b * p->step, strip + b * count + done);
        done += run;
        place = FN(place_of)(w, position + done);
    }
}
