/* test_conv.c: convolutions against long double, every element within the bound of its sum, on every target.
 *
 * Every buffer lies against an inaccessible page, and the scratch is exactly what was asked for. */
#include "harness.h"
#include "winograd_sizes.h"

typedef struct {
    const fnn_target *target;
    fnn_conv d;
    int threads, has_dx, has_bias;
    int64_t size_x, size_y, size_w;
    real *x, *w, *bias, *y, *dy, *dx, *dw, *dbias;
    real *was_dx, *was_dw, *was_dbias, *was_dy;
    void *scratch;
    size_t scratch_size;
} problem_conv;

/* What an output element, a weight or an input element should be, as a sum of products of their magnitudes. */
typedef struct {
    long double value, size;
} sum;

static int64_t out_size(int64_t n, int64_t kernel, int64_t stride, int64_t before, int64_t after, int64_t dilation)
{
    return (n + before + after - (kernel - 1) * dilation - 1) / stride + 1;
}

static real *filled(int slot, int64_t count)
{
    real *b = REALS(slot, count, ANYWHERE);
    for (int64_t i = 0; i < count; i++) b[i] = (real)uniform(-1, 1);
    return b;
}

static real *copied(const real *b, int64_t count)
{
    real *c = malloc((size_t)count * sizeof(real) + 1);
    memcpy(c, b, (size_t)count * sizeof(real));
    return c;
}

static void set_up(problem_conv *q, const fnn_target *target, fnn_conv d)
{
    const fnn_window *w = &d.window;
    problem_begins();
    memset(q, 0, sizeof *q);
    q->target = target;
    q->d = d;
    q->threads = 1;
    q->has_dx = q->has_bias = 1;
    q->size_x = w->rows * w->height * w->width * w->channels;
    q->size_y = w->rows * w->out_height * w->out_width * d.filters;
    q->size_w = w->kernel_height * w->kernel_width * (w->channels / d.groups) * d.filters;
    q->x = filled(0, q->size_x), q->w = filled(1, q->size_w), q->bias = filled(2, d.filters);
    q->y = filled(3, q->size_y), q->dy = filled(4, q->size_y), q->dx = filled(5, q->size_x);
    q->dw = filled(6, q->size_w), q->dbias = filled(7, d.filters);
    if (below(4) == 0) /* as max pooling leaves it: elements of dx that see zeros alone */
        for (int64_t i = 0; i < q->size_y; i++) q->dy[i] *= (real)(below(8) == 0);
    q->was_dx = copied(q->dx, q->size_x), q->was_dw = copied(q->dw, q->size_w);
    q->was_dbias = copied(q->dbias, d.filters), q->was_dy = copied(q->dy, q->size_y);
    fnn_ctx cx = {.threads = 8};
    TABLE(target)->conv_scratch(&cx, &d, &q->scratch_size);
    q->scratch = scratch_of(8, q->scratch_size);
}

static void tear_down(problem_conv *q)
{
    free(q->was_dx), free(q->was_dw), free(q->was_dbias), free(q->was_dy);
}

static void run_forward(problem_conv *q)
{
    fnn_ctx cx = {.threads = q->threads, .scratch = q->scratch, .scratch_size = q->scratch_size};
    TABLE(q->target)->conv_forward(&cx, &q->d, q->x, q->w, q->has_bias ? q->bias : NULL, q->y);
}

static void run_backward(problem_conv *q)
{
    fnn_ctx cx = {.threads = q->threads, .scratch = q->scratch, .scratch_size = q->scratch_size};
    TABLE(q->target)->conv_backward(&cx, &q->d, q->x, q->w, q->y, q->dy, q->has_dx ? q->dx : NULL, q->dw,
                                    q->has_bias ? q->dbias : NULL);
}

/* Calls visit for every product of an input, a weight and an output element. */
typedef void (*visitor)(problem_conv *q, int64_t x, int64_t w, int64_t y, sum *sums);

static void each_product(problem_conv *q, visitor visit, sum *sums)
{
    const fnn_window *v = &q->d.window;
    const int64_t inner = v->channels / q->d.groups, outer = q->d.filters / q->d.groups;
    for (int64_t position = 0; position < v->rows * v->out_height * v->out_width; position++)
        for (int64_t tap = 0; tap < v->kernel_height * v->kernel_width; tap++) {
            int64_t image = position / (v->out_height * v->out_width);
            int64_t i = position / v->out_width % v->out_height, j = position % v->out_width;
            int64_t row = i * v->stride_y - v->top + tap / v->kernel_width * v->dilation_y;
            int64_t column = j * v->stride_x - v->left + tap % v->kernel_width * v->dilation_x;
            if (row < 0 || row >= v->height || column < 0 || column >= v->width) continue;
            for (int64_t c = 0; c < inner; c++)
                for (int64_t f = 0; f < q->d.filters; f++)
                    visit(q, ((image * v->height + row) * v->width + column) * v->channels + f / outer * inner + c,
                          (tap * inner + c) * q->d.filters + f, position * q->d.filters + f, sums);
        }
}

static void add(sum *s, long double a, long double b)
{
    s->value += a * b;
    s->size += fabsl(a * b);
}
static void visit_forward(problem_conv *q, int64_t x, int64_t w, int64_t y, sum *s) { add(s + y, q->x[x], q->w[w]); }
static void visit_dw(problem_conv *q, int64_t x, int64_t w, int64_t y, sum *s) { add(s + w, q->x[x], q->dy[y]); }
static void visit_dx(problem_conv *q, int64_t x, int64_t w, int64_t y, sum *s) { add(s + x, q->w[w], q->dy[y]); }

/* The roundings of an element on Winograd's way, and the magnitudes there; NULL where it is not taken. */
typedef struct {
    int64_t terms;
    long double *sizes;
} bypath;

/* Whether a convolution may go that way. */
static int has_bypath(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return w->kernel_height == 3 && w->kernel_width == 3 && w->stride_y == 1 && w->stride_x == 1 && w->dilation_y == 1
           && w->dilation_x == 1 && d->groups == 1 && w->channels >= 8 && d->filters >= 8;
}

/* Of `count` elements that begin with what `start` holds. Before the products each axis takes a sum for the pixels and two
 * for the weights, after them two: ten in all. */
static bypath bypath_of(const problem_conv *q, int64_t count, const sum *start, int64_t products)
{
    if (!has_bypath(&q->d)) return (bypath){0, NULL};
    bypath by = {products + 10, malloc((size_t)count * sizeof(long double))};
    for (int64_t i = 0; i < count; i++) by.sizes[i] = start[i].size;
    return by;
}

/* dx is the convolution of dz by the weights turned round, with channels and filters exchanged. */
static void add_input_sizes(const problem_conv *q, long double *sizes)
{
    const fnn_window *w = &q->d.window;
    const int64_t pairs = w->channels * q->d.filters;
    const fnn_window back = {w->rows, w->out_height, w->out_width, q->d.filters, w->height, w->width, 3, 3, 1, 1,
                             2 - w->top, 2 - w->left, 1, 1};
    real *turned = malloc((size_t)(9 * pairs) * sizeof *turned);
    for (int64_t tap = 0; tap < 9; tap++)
        for (int64_t pair = 0; pair < pairs; pair++)
            turned[(8 - tap) * pairs + pair % q->d.filters * w->channels + pair / q->d.filters]
                = q->w[tap * pairs + pair];
    winograd_sizes(&back, w->channels, q->dy, turned, sizes);
    free(turned);
}

static int within_bound(real got, sum want, int64_t terms, long double size_by, int64_t terms_by)
{
    long double bound = fmaxl((long double)(terms + 4) * want.size, (long double)(terms_by + 4) * size_by);
    return fabsl(got - want.value) <= bound * EPSILON / 2 + SMALLEST;
}

static void compare(const problem_conv *q, const char *what, int64_t count, const real *got, const sum *want,
                    int64_t terms, bypath by)
{
    const fnn_window *w = &q->d.window;
    for (int64_t i = 0; i < count; i++)
        if (!within_bound(got[i], want[i], terms, by.sizes ? by.sizes[i] : 0, by.terms)) {
            CHECK(0, "%s f%d %s: %ld of %ld x %ld x %ld, kernel %ld x %ld, stride %ld %ld, before %ld %ld, dilation %ld %ld,"
                  " %ld filters, %ld groups, activation %d, %d threads: [%ld] is %.17g, not %.17Lg", what, REAL_BITS,
                  q->target->name, (long)w->rows, (long)w->height, (long)w->width, (long)w->channels,
                  (long)w->kernel_height, (long)w->kernel_width, (long)w->stride_y, (long)w->stride_x, (long)w->top,
                  (long)w->left, (long)w->dilation_y, (long)w->dilation_x, (long)q->d.filters, (long)q->d.groups,
                  q->d.activation, q->threads, (long)i, (double)got[i], want[i].value);
            return;
        }
    CHECK(guards_intact(), "%s f%d %s: wrote beyond a buffer", what, REAL_BITS, q->target->name);
}

static sum *sums_of(int64_t count, const real *start)
{
    sum *s = calloc((size_t)count + 1, sizeof *s);
    for (int64_t i = 0; start && i < count; i++) s[i] = (sum){start[i], fabsl((long double)start[i])};
    return s;
}

/* Forward and backward of one problem, linear or relu: their derivatives are exact. */
static void check(problem_conv *q)
{
    const fnn_window *w = &q->d.window;
    const int64_t filters = q->d.filters, patch = q->size_w / filters, positions = q->size_y / filters;
    sum *y = sums_of(q->size_y, NULL), *dw = sums_of(q->size_w, q->d.adds_dw ? q->was_dw : NULL);
    sum *dx = sums_of(q->size_x, q->d.adds_dx ? q->was_dx : NULL);
    sum *dbias = sums_of(filters, q->d.adds_dw ? q->was_dbias : NULL);
    for (int64_t i = 0; i < q->size_y && q->has_bias; i++) add(y + i, q->bias[i % filters], 1);
    bypath by_y = bypath_of(q, q->size_y, y, w->channels), by_dw = bypath_of(q, q->size_w, dw, positions);
    bypath by_dx = bypath_of(q, q->size_x, dx, filters), none = {0, NULL};
    each_product(q, visit_forward, y);
    if (by_y.sizes) winograd_sizes(w, filters, q->x, q->w, by_y.sizes);
    for (int64_t i = 0; i < q->size_y && q->d.activation == FNN_RELU; i++) y[i].value = y[i].value > 0 ? y[i].value : 0;
    run_forward(q);
    compare(q, "conv_forward", q->size_y, q->y, y, patch + 1, by_y);

    run_backward(q);
    long wrong = 0;
    for (int64_t i = 0; i < q->size_y; i++)
        wrong += q->dy[i] != (q->d.activation == FNN_RELU && !(q->y[i] > 0) ? 0 : q->was_dy[i]);
    CHECK(wrong == 0, "conv_backward f%d %s: dz: %ld elements", REAL_BITS, q->target->name, wrong);
    each_product(q, visit_dw, dw);
    each_product(q, visit_dx, dx);
    if (by_dw.sizes) winograd_weight_sizes(w, filters, q->x, q->dy, by_dw.sizes);
    if (by_dx.sizes) add_input_sizes(q, by_dx.sizes);
    for (int64_t i = 0; i < q->size_y; i++) add(dbias + i % filters, q->dy[i], 1);
    compare(q, "conv_backward, dw", q->size_w, q->dw, dw, positions, by_dw);
    const int64_t terms_dx = w->kernel_height * w->kernel_width * filters;
    if (q->has_dx) compare(q, "conv_backward, dx", q->size_x, q->dx, dx, terms_dx, by_dx);
    else CHECK(memcmp(q->dx, q->was_dx, (size_t)q->size_x * sizeof(real)) == 0, "dx was not asked for");
    if (q->has_bias) compare(q, "conv_backward, dbias", filters, q->dbias, dbias, 8, none);
    free(by_y.sizes), free(by_dw.sizes), free(by_dx.sizes);
    free(y), free(dw), free(dx), free(dbias);
}

/* Forward with max pooling of its outputs: the largest is as exact as they are. */
static void check_pooled(problem_conv *q)
{
    const fnn_window *w = &q->d.window;
    const int64_t filters = q->d.filters, height = q->d.pool_height, width = q->d.pool_width;
    const int64_t lines = w->out_height / height, columns = w->out_width / width, count = w->rows * lines * columns * filters;
    sum *y = sums_of(q->size_y, NULL);
    for (int64_t i = 0; i < q->size_y && q->has_bias; i++) add(y + i, q->bias[i % filters], 1);
    bypath by = bypath_of(q, q->size_y, y, w->channels), largest_by = bypath_of(q, count, y, w->channels);
    each_product(q, visit_forward, y);
    if (by.sizes) winograd_sizes(w, filters, q->x, q->w, by.sizes);
    sum *largest = calloc((size_t)count + 1, sizeof *largest);
    for (int64_t i = 0; i < count; i++) {
        const int64_t f = i % filters, column = i / filters % columns, line = i / filters / columns;
        const int64_t first = line / lines * w->out_height + line % lines * height;
        largest[i].value = q->d.activation == FNN_RELU ? 0 : -HUGE_VALL;
        if (by.sizes) largest_by.sizes[i] = 0;
        for (int64_t tap = 0; tap < height * width; tap++) {
            const int64_t at = ((first + tap / width) * w->out_width + column * width + tap % width) * filters + f;
            largest[i].value = fmaxl(largest[i].value, y[at].value);
            largest[i].size = fmaxl(largest[i].size, y[at].size);
            if (by.sizes) largest_by.sizes[i] = fmaxl(largest_by.sizes[i], by.sizes[at]);
        }
    }
    real *rest = copied(q->y + count, q->size_y - count);
    run_forward(q);
    compare(q, "conv_forward, pooled", count, q->y, largest, q->size_w / filters + 1, largest_by);
    CHECK(!memcmp(rest, q->y + count, (size_t)(q->size_y - count) * sizeof(real)), "conv f%d %s: pooled too much", REAL_BITS,
          q->target->name);
    free(rest), free(y), free(largest), free(by.sizes), free(largest_by.sizes);
}

static fnn_conv random_conv(int64_t most_rows, int64_t most_size, int64_t most_channels)
{
    fnn_conv d = {.window = {.rows = 1 + below(most_rows), .height = 1 + below(most_size), .width = 1 + below(most_size)}};
    fnn_window *w = &d.window;
    int64_t after_y, after_x;
    d.groups = below(3) ? 1 : 1 + below(4);
    w->channels = d.groups * (1 + below(most_channels));
    d.filters = d.groups * (1 + below(most_channels));
    if (below(6) == 0) d.groups = d.filters = w->channels; /* depthwise */
    do {
        w->kernel_height = 1 + below(4), w->kernel_width = 1 + below(5);
        w->stride_y = 1 + below(2) * below(4), w->stride_x = 1 + below(2) * below(4);
        w->dilation_y = 1 + below(2) * below(3), w->dilation_x = 1 + below(2) * below(3);
        w->top = below(2) * below(4), w->left = below(2) * below(4), after_y = below(4), after_x = below(4);
        w->out_height = out_size(w->height, w->kernel_height, w->stride_y, w->top, after_y, w->dilation_y);
        w->out_width = out_size(w->width, w->kernel_width, w->stride_x, w->left, after_x, w->dilation_x);
    } while (w->height + w->top + after_y <= (w->kernel_height - 1) * w->dilation_y
             || w->width + w->left + after_x <= (w->kernel_width - 1) * w->dilation_x);
    d.activation = below(2) ? FNN_RELU : FNN_LINEAR;
    d.adds_dx = (int32_t)below(2), d.adds_dw = (int32_t)below(2);
    return d;
}

static void try_conv(const fnn_target *target, fnn_conv d, int threads)
{
    problem_conv q;
    set_up(&q, target, d);
    q.threads = threads;
    q.has_dx = below(4) != 0;
    q.has_bias = below(4) != 0;
    check(&q);
    tear_down(&q);
}

/* Square images, kernels and strides; "same" padding where same is set. */
static fnn_conv plain(int64_t rows, int64_t size, int64_t channels, int64_t kernel, int64_t filters, int same)
{
    int64_t before = same ? (kernel - 1) / 2 : 0, out = same ? size : size - kernel + 1;
    return (fnn_conv){.window = {rows, size, size, channels, out, out, kernel, kernel, 1, 1, before, before, 1, 1},
                      .filters = filters, .groups = 1, .activation = FNN_RELU};
}

static void test_random(const fnn_target *target)
{
    for (int i = 0; i < problems(1500); i++) try_conv(target, random_conv(4, 7, 3), 1);
    for (int i = 0; i < problems(150); i++) try_conv(target, random_conv(3, 12, 20), 1);
    for (int i = 0; i < problems(20); i++) try_conv(target, random_conv(40, 20, 9), 1 + (int)below(4));
}

static void test_common(const fnn_target *target)
{
    const fnn_conv common[] = {plain(3, 28, 1, 5, 6, 1), plain(2, 14, 6, 5, 16, 0), plain(2, 16, 3, 3, 32, 1),
                               plain(3, 8, 32, 3, 64, 1), plain(2, 4, 64, 3, 130, 1), plain(9, 1, 40, 1, 70, 0),
                               plain(2, 9, 1, 9, 4, 0), plain(70, 5, 2, 3, 1, 0), plain(1, 1, 1, 1, 1, 0)};
    for (int i = 0; i < COUNT(common); i++) try_conv(target, common[i], 1 + i % 3);
}

/* 3 x 3 taps of many channels: odd sizes, any padding, images smaller than a tile, channels around whole vectors. */
static fnn_conv random_three_by_three(void)
{
    fnn_conv d = plain(1 + below(12), 3 + below(9), 8 + below(40), 3, 8 + below(40), 1);
    fnn_window *w = &d.window;
    w->height = 3 + below(9);
    do {
        w->top = below(3), w->left = below(3);
        w->out_height = w->height + w->top + below(4) - 2, w->out_width = w->width + w->left + below(4) - 2;
    } while (w->out_height < 1 || w->out_width < 1);
    d.activation = below(2) ? FNN_RELU : FNN_LINEAR;
    d.adds_dx = (int32_t)below(2), d.adds_dw = (int32_t)below(2);
    return d;
}

/* Images of one channel and few filters: every padding and dilation, windows about as large as the image. */
static fnn_conv random_plane(void)
{
    fnn_conv d;
    fnn_window *w = &d.window;
    do {
        d = random_conv(5, 40, 1);
        w->channels = d.groups = 1;
        d.filters = 1 + below(9);
        w->stride_x = w->stride_y = 1;
        w->out_height = w->height + w->top + below(4) - (w->kernel_height - 1) * w->dilation_y;
        w->out_width = w->width + w->left + below(4) - (w->kernel_width - 1) * w->dilation_x;
    } while (w->out_height < 1 || w->out_width < 1);
    return d;
}

/* Any convolution that can with max pooling of windows that its outputs hold. */
static void try_pooled(const fnn_target *target, fnn_conv d, int threads)
{
    int32_t pools;
    const int64_t largest = has_bypath(&d) ? 2 : 4;
    d.pool_height = 1 + below(largest), d.pool_width = has_bypath(&d) ? d.pool_height : 1 + below(largest);
    if (d.pool_height > d.window.out_height || d.pool_width > d.window.out_width) return;
    TABLE(target)->conv_pools(&d, &pools);
    if (!pools) return;
    problem_conv q;
    set_up(&q, target, d);
    q.threads = threads;
    q.has_bias = below(4) != 0;
    check_pooled(&q);
    tear_down(&q);
}

static void test_pooled(const fnn_target *target)
{
    for (int i = 0; i < problems(400); i++) {
        fnn_conv any = random_conv(4, 12, 9);
        any.groups = below(20) ? 1 : any.groups;
        try_pooled(target, any, 1 + (int)below(3));
        try_pooled(target, random_plane(), 1 + (int)below(3));
        if (i % 4 == 0) try_pooled(target, random_three_by_three(), 1 + (int)below(3));
    }
    try_pooled(target, plain(3, 28, 1, 5, 6, 1), 2);
    try_pooled(target, plain(2, 40, 3, 3, 70, 1), 2); /* several blocks of an image */
}

/* A few images of many filters: the filters are shared out. The last vector of them is not whole. */
static void test_shared_filters(const fnn_target *target)
{
    for (int i = 0; i < problems(10); i++) {
        fnn_conv d = plain(1 + below(3), 8 + below(3), 8 + below(30), 3, 8 + below(200), 1);
        try_conv(target, d, 1 + (int)below(4));
        try_pooled(target, d, 1 + (int)below(4));
    }
}

static void test_special(const fnn_target *target)
{
    for (int i = 0; i < problems(120); i++) try_conv(target, random_three_by_three(), 1 + (int)below(3));
    for (int i = 0; i < problems(300); i++) try_conv(target, random_plane(), 1 + (int)below(3));
}

/* Every bit at any number of threads: forward, and backward over several parts. */
static void test_threads(const fnn_target *target)
{
    static const int threads[] = {2, 3, 8};
    fnn_conv grouped = plain(30, 14, 24, 3, 24, 1), depthwise = grouped;
    grouped.groups = 3;
    depthwise.groups = 24;
    const fnn_conv large[] = {plain(64, 14, 6, 5, 16, 0), plain(40, 28, 1, 5, 6, 1), plain(1, 40, 16, 3, 32, 1),
                              plain(33, 8, 32, 1, 48, 0), plain(40, 9, 32, 3, 40, 1),
                              plain(1, 40, 16, 3, 64, 1), plain(1, 9, 64, 3, 130, 1), grouped, depthwise};
    for (int i = 0; i < COUNT(large); i++) {
        problem_conv q;
        set_up(&q, target, large[i]);
        q.d.activation = FNN_TANH;
        run_forward(&q);
        run_backward(&q);
        real *y = copied(q.y, q.size_y), *dy = copied(q.dy, q.size_y), *dx = copied(q.dx, q.size_x);
        real *dw = copied(q.dw, q.size_w), *dbias = copied(q.dbias, q.d.filters);
        for (int t = 0; t < (thinned ? 1 : 2 * COUNT(threads)); t++) { /* twice: workers asleep, then awake */
            q.threads = threads[t % COUNT(threads)];
            soil(q.scratch, q.scratch_size);
            memcpy(q.dy, q.was_dy, (size_t)q.size_y * sizeof(real));
            run_forward(&q);
            run_backward(&q);
            int same = memcmp(y, q.y, (size_t)q.size_y * sizeof(real)) == 0
                       && memcmp(dy, q.dy, (size_t)q.size_y * sizeof(real)) == 0
                       && memcmp(dx, q.dx, (size_t)q.size_x * sizeof(real)) == 0
                       && memcmp(dw, q.dw, (size_t)q.size_w * sizeof(real)) == 0
                       && memcmp(dbias, q.dbias, (size_t)q.d.filters * sizeof(real)) == 0;
            CHECK(same && guards_intact(), "conv f%d %s: problem %d: %d threads differ from one", REAL_BITS, target->name,
                  i, q.threads);
        }
        free(y), free(dy), free(dx), free(dw), free(dbias);
        tear_down(&q);
    }
}

/* The scratch for a batch holds for every smaller one. */
static void test_scratch(const fnn_target *target)
{
    for (int i = 0; i < problems(100); i++) {
        fnn_conv d = random_conv(60, 12, 30);
        fnn_ctx cx = {.threads = 1 + (int)below(4)};
        size_t most, fewer;
        TABLE(target)->conv_scratch(&cx, &d, &most);
        while (d.window.rows-- > 1) {
            TABLE(target)->conv_scratch(&cx, &d, &fewer);
            if (!CHECK(fewer <= most, "conv_scratch f%d %s: %ld rows want %zu bytes, more %zu", REAL_BITS, target->name,
                       (long)d.window.rows, fewer, most)) return;
        }
    }
}

RANDOM_PROBLEM(conv)
{
    fnn_conv d = below(100) ? random_conv(3, 6, 3) : below(3) == 0 ? random_three_by_three()
               : below(2) ? random_plane() : below(8) ? random_conv(3, 12, 20) : random_conv(20, 20, 9);
    if (below(4)) try_conv(target, d, 1 + (int)below(3));
    else try_pooled(target, d, 1 + (int)below(3));
}

SUITE(conv)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_random(targets[t]);
        test_common(targets[t]);
        test_special(targets[t]);
        test_pooled(targets[t]);
        test_shared_filters(targets[t]);
        test_threads(targets[t]);
        test_scratch(targets[t]);
    }
}
