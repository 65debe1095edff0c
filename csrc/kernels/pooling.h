/* pooling.h: the largest value or the mean of windows, with vectors along the channels.
 *
 * Forward shares out rows of the output, backward images, since windows may overlap. Not a number wins against any number,
 * so that it shows. */

typedef struct {
    const fnn_window *w;
    const real *x, *y, *dy;
    real *out;           /* y of forward, dx of backward */
    int adds, clears; /* backward: dx is added to; dx is cleared first */
    int rectify;      /* max: y is not below 0 */
} FN(pooling);

/* What a window at one output position sees: its taps, its corner in x, and the value's place in y. */
typedef struct {
    FN(taps) y, x;
    int64_t corner, at;
} FN(pool);

/* The first of output row `line`, counted over all images; the columns of x are still to be found. */
ALWAYS_INLINE FN(pool) FN(pool_at)(const fnn_window *w, int64_t line)
{
    int64_t image = line / w->out_height, y = line % w->out_height * w->stride_y - w->top;
    return (FN(pool)){.y = FN(taps_inside)(y, 1, w->kernel_height, w->height),
                      .corner = ((image * w->height + y) * w->width - w->left) * w->channels,
                      .at = line * w->out_width * w->channels};
}

ALWAYS_INLINE real FN(inverse_count)(const FN(pool) *p)
{
    return (real)1 / (real)((p->y.end - p->y.from) * (p->x.end - p->x.from));
}

/* ---- forward: one output position ---------------------------------------------------------------------------- */

/* b where it is larger or not a number, else a: as they are, where v_max would make denormals 0. */
ALWAYS_INLINE vec FN(larger)(vec a, vec b) { return v_select(m_or(v_lt(a, b), v_isnan(b)), b, a); }

/* The largest value of a window in VL channels from x on, or those that m has. */
ALWAYS_INLINE vec FN(window_max)(const FN(pool) *p, int64_t line, int64_t channels, const real *x, int edged, vmask m)
{
    x += p->y.from * line + p->x.from * channels;
    const int64_t height = p->y.end - p->y.from, width = p->x.end - p->x.from;
    if (height == 2 && width == 2) { /* most windows: without loops 0.6 of the time */
        const real *next = x + line;
        vec a = FN(larger)(FN(load_part)(x, edged, m), FN(load_part)(x + channels, edged, m));
        return FN(larger)(a, FN(larger)(FN(load_part)(next, edged, m), FN(load_part)(next + channels, edged, m)));
    }
    vec largest = FN(load_part)(x, edged, m);
    for (int64_t a = 0; a < height; a++, x += line)
        for (int64_t b = 0; b < width; b++) largest = FN(larger)(largest, FN(load_part)(x + b * channels, edged, m));
    return largest;
}

/* The same of all channels into y; where it rectifies, not below 0. */
ALWAYS_INLINE void FN(max_of_window)(const FN(pool) *p, int64_t line, int64_t channels, int rectify, const real *x, real *y)
{
    int64_t j = 0;
    for (; j + VL <= channels; j += VL) {
        vec largest = FN(window_max)(p, line, channels, x + j, 0, mask_first(0));
        v_store(y + j, rectify ? v_max(v_zero(), largest) : largest);
    }
    if (j == channels) return;
    const vmask m = mask_first(channels - j);
    vec largest = FN(window_max)(p, line, channels, x + j, 1, m);
    v_store_mask(y + j, m, rectify ? v_max(v_zero(), largest) : largest);
}

ALWAYS_INLINE void FN(max_pool_place)(const FN(pooling) *job, const FN(pool) *p, const int adds)
{
    (void)adds;
    const int64_t channels = job->w->channels;
    FN(max_of_window)(p, job->w->width * channels, channels, job->rectify, job->x + p->corner, job->out + p->at);
}

/* Rows of a window are summed first, then their sums: the error of a large window grows with its side only. */
ALWAYS_INLINE void FN(mean_pool_place)(const FN(pooling) *job, const FN(pool) *p, const int adds)
{
    (void)adds;
    const int64_t channels = job->w->channels, line = job->w->width * channels;
    vec scale = v_set1(FN(inverse_count)(p));
    for (int64_t j = 0; j < channels; j += VL) {
        vmask m = mask_first(FN(least)(VL, channels - j));
        const real *x = job->x + p->corner + j;
        vec total = v_zero();
        for (int64_t a = p->y.from; a < p->y.end; a++) {
            vec sum = v_zero();
            for (int64_t b = p->x.from; b < p->x.end; b++) sum = v_add(sum, v_load_mask(x + a * line + b * channels, m));
            total = v_add(total, sum);
        }
        v_store_mask(job->out + p->at + j, m, v_mul(total, scale));
    }
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* The first value that equals the largest takes what is left of dy. Where y was raised to 0, nothing is left to take. */
ALWAYS_INLINE void FN(max_pool_place_back)(const FN(pooling) *job, const FN(pool) *p, const int adds)
{
    const int64_t channels = job->w->channels, line = job->w->width * channels;
    for (int64_t j = 0; j < channels; j += VL) {
        vmask m = mask_first(FN(least)(VL, channels - j));
        vec y = v_load_mask(job->y + p->at + j, m), left = v_load_mask(job->dy + p->at + j, m);
        if (job->rectify) left = v_keep(v_lt(v_zero(), y), left);
        for (int64_t a = p->y.from; a < p->y.end; a++)
            for (int64_t b = p->x.from; b < p->x.end; b++) {
                int64_t at = p->corner + a * line + b * channels + j;
                vmask here = v_eq(v_load_mask(job->x + at, m), y);
                vec share = v_keep(here, left);
                v_store_mask(job->out + at, m, adds ? v_add(v_load_mask(job->out + at, m), share) : share);
                left = v_select(here, v_zero(), left);
            }
    }
}

ALWAYS_INLINE void FN(mean_pool_place_back)(const FN(pooling) *job, const FN(pool) *p, const int adds)
{
    const int64_t channels = job->w->channels, line = job->w->width * channels;
    vec scale = v_set1(FN(inverse_count)(p));
    for (int64_t j = 0; j < channels; j += VL) {
        vmask m = mask_first(FN(least)(VL, channels - j));
        vec share = v_mul(v_load_mask(job->dy + p->at + j, m), scale);
        for (int64_t a = p->y.from; a < p->y.end; a++)
            for (int64_t b = p->x.from; b < p->x.end; b++) {
                real *dx = job->out + p->corner + a * line + b * channels + j;
                v_store_mask(dx, m, adds ? v_add(v_load_mask(dx, m), share) : share);
            }
    }
}

/* ---- walks --------------------------------------------------------------------------------------------------- */

/* adds: backward adds to dx; forward has no use for it. */
typedef void (*FN(pool_op))(const FN(pooling) *job, const FN(pool) *p, const int adds);

/* Calls f for each place of output rows [begin, end), counted over all images. */
ALWAYS_INLINE void FN(pool_lines)(const FN(pooling) *job, int64_t begin, int64_t end, FN(pool_op) f, const int adds)
{
    const fnn_window w = *job->w;
    for (int64_t i = begin; i < end; i++) {
        FN(pool) p = FN(pool_at)(&w, i);
        for (int64_t x = -w.left, last = x + w.out_width * w.stride_x; x < last; x += w.stride_x) {
            p.x = FN(taps_inside)(x, 1, w.kernel_width, w.width);
            f(job, &p, adds);
            p.corner += w.stride_x * w.channels;
            p.at += w.channels;
        }
    }
}

ALWAYS_INLINE void FN(pool_rows)(const FN(pooling) *job, int64_t begin, int64_t end, FN(pool_op) f)
{
    FN(pool_lines)(job, begin, end, f, 0);
}

/* Images [begin, end), each cleared, where it must be, just before it is added to. */
ALWAYS_INLINE void FN(pool_images)(const FN(pooling) *job, int64_t begin, int64_t end, FN(pool_op) f)
{
    const int64_t size = FN(image_size)(job->w), lines = job->w->out_height;
    for (int64_t i = begin; i < end; i++) {
        if (job->clears) memset(job->out + i * size, 0, (size_t)size * sizeof(real));
        if (job->adds) FN(pool_lines)(job, i * lines, (i + 1) * lines, f, 1);
        else FN(pool_lines)(job, i * lines, (i + 1) * lines, f, 0);
    }
}

#undef POOL_RANGE
#define POOL_RANGE(name, walk, op)                                                                                   \
    static void FN(name##_range)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        (void)chunk;                                                                                                 \
        walk(args, begin, end, op);                                                                                  \
    }
POOL_RANGE(max_pool, FN(pool_rows), FN(max_pool_place))
POOL_RANGE(mean_pool, FN(pool_rows), FN(mean_pool_place))
POOL_RANGE(max_pool_back, FN(pool_images), FN(max_pool_place_back))
POOL_RANGE(mean_pool_back, FN(pool_images), FN(mean_pool_place_back))

ALWAYS_INLINE void FN(pool_forward)(const fnn_ctx *cx, FN(pooling) *job, FN(range_body) body)
{
    const fnn_window *w = job->w;
    int64_t taps = w->kernel_height * w->kernel_width;
    FN(for_items)(cx, w->rows * w->out_height, w->out_width * taps * w->channels, body, job);
}

static void FN(max_pool_forward)(const fnn_ctx *cx, const fnn_window *d, int32_t rectify, const real *x, real *y)
{
    FN(pool_forward)(cx, &(FN(pooling)){.w = d, .x = x, .out = y, .rectify = rectify}, FN(max_pool_range));
}

static void FN(mean_pool_forward)(const fnn_ctx *cx, const fnn_window *d, const real *x, real *y)
{
    FN(pool_forward)(cx, &(FN(pooling)){.w = d, .x = x, .out = y}, FN(mean_pool_range));
}

/* Windows that touch and cover the image store dx; otherwise they add to it, once it is clear. */
static FN(pooling) FN(pool_backward)(const fnn_window *w, int32_t accumulate)
{
    int touching = w->kernel_height == w->stride_y && w->kernel_width == w->stride_x && w->top == 0 && w->left == 0;
    int covered = w->out_height * w->stride_y >= w->height && w->out_width * w->stride_x >= w->width;
    int adds = accumulate || !touching || !covered;
    return (FN(pooling)){.w = w, .adds = adds, .clears = adds && !accumulate};
}

static void FN(max_pool_backward)(const fnn_ctx *cx, const fnn_window *d, int32_t rectify, const real *x, const real *y,
                                  const real *dy, real *dx, int32_t accumulate)
{
    FN(pooling) job = FN(pool_backward)(d, accumulate);
    job.rectify = rectify, job.x = x, job.y = y, job.dy = dy, job.out = dx;
    FN(for_items)(cx, d->rows, FN(image_size)(d), FN(max_pool_back_range), &job);
}

static void FN(mean_pool_backward)(const fnn_ctx *cx, const fnn_window *d, const real *dy, real *dx, int32_t accumulate)
{
    FN(pooling) job = FN(pool_backward)(d, accumulate);
    job.dy = dy, job.out = dx;
    FN(for_items)(cx, d->rows, FN(image_size)(d), FN(mean_pool_back_range), &job);
}
