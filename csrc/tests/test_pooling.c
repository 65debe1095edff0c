/* test_pooling.c: the largest value and the mean of windows against long double, on every target, with ties and values
 * that are not numbers. Every buffer lies against an inaccessible page. */
#include "harness.h"

typedef struct {
    const fnn_target *target;
    fnn_window w;
    int threads, accumulate, rectify;
    int64_t size_x, size_y;
    real *x, *y, *dy, *dx;
} problem_pool;

static void set_up(problem_pool *q, const fnn_target *target, fnn_window w, int whole)
{
    problem_begins();
    *q = (problem_pool){.target = target, .w = w, .threads = 1};
    q->size_x = w.rows * w.height * w.width * w.channels;
    q->size_y = w.rows * w.out_height * w.out_width * w.channels;
    q->x = REALS(0, q->size_x, ANYWHERE), q->dx = REALS(1, q->size_x, ANYWHERE);
    q->y = REALS(2, q->size_y, ANYWHERE), q->dy = REALS(3, q->size_y, ANYWHERE);
    for (int64_t i = 0; i < q->size_x; i++) { /* whole numbers make ties */
        q->x[i] = whole ? (real)(below(4) - 2) : (real)uniform(-4, 4);
        q->dx[i] = (real)uniform(-1, 1);
    }
    for (int64_t i = 0; i < q->size_y; i++) q->dy[i] = (real)uniform(-1, 1);
}

static fnn_window random_window(int64_t most_rows, int64_t most_size, int64_t most_channels)
{
    fnn_window w = {.rows = 1 + below(most_rows), .channels = 1 + below(most_channels), .dilation_y = 1, .dilation_x = 1};
    w.kernel_height = 1 + below(4), w.kernel_width = 1 + below(4);
    w.height = w.kernel_height + below(most_size), w.width = w.kernel_width + below(most_size);
    w.stride_y = below(2) ? w.kernel_height : 1 + below(5), w.stride_x = below(2) ? w.kernel_width : 1 + below(5);
    w.top = below(2) * below(w.kernel_height), w.left = below(2) * below(w.kernel_width);
    w.out_height = (w.height + 2 * w.top - w.kernel_height) / w.stride_y + 1;
    w.out_width = (w.width + 2 * w.left - w.kernel_width) / w.stride_x + 1;
    return w;
}

/* Places in x of the values that the window of y[i] sees, row by row; returns their number. */
static int64_t seen(const fnn_window *w, int64_t i, int64_t *at)
{
    int64_t channel = i % w->channels, position = i / w->channels, count = 0;
    int64_t row = position / w->out_width % w->out_height, column = position % w->out_width;
    int64_t image = position / w->out_width / w->out_height;
    for (int64_t a = row * w->stride_y - w->top, end = a + w->kernel_height; a < end; a++)
        for (int64_t b = column * w->stride_x - w->left, last = b + w->kernel_width; b < last; b++)
            if (a >= 0 && a < w->height && b >= 0 && b < w->width)
                at[count++] = ((image * w->height + a) * w->width + b) * w->channels + channel;
    return count;
}

static void complain(const problem_pool *q, const char *what, int64_t at, double got, long double want)
{
    const fnn_window *w = &q->w;
    CHECK(0, "%s f%d %s: %ld of %ld x %ld x %ld, window %ld x %ld, stride %ld %ld, before %ld %ld: [%ld] is %.17g, not %.17Lg",
          what, REAL_BITS, q->target->name, (long)w->rows, (long)w->height, (long)w->width, (long)w->channels,
          (long)w->kernel_height, (long)w->kernel_width, (long)w->stride_y, (long)w->stride_x, (long)w->top,
          (long)w->left, (long)at, got, want);
}

static void check(problem_pool *q, int mean)
{
    const KERNELS *k = TABLE(q->target);
    const char *what = mean ? "mean_pool" : "max_pool";
    fnn_ctx cx = {.threads = q->threads};
    int64_t at[16];
    long double *dx = calloc((size_t)q->size_x + 1, sizeof *dx), *size = calloc((size_t)q->size_x + 1, sizeof *size);
    for (int64_t i = 0; i < q->size_x && q->accumulate; i++) size[i] = fabsl(dx[i] = q->dx[i]);
    if (mean) k->mean_pool_forward(&cx, &q->w, q->x, q->y);
    else k->max_pool_forward(&cx, &q->w, q->rectify, q->x, q->y);
    for (int64_t i = 0; i < q->size_y; i++) {
        int64_t count = seen(&q->w, i, at), first = 0;
        long double total = 0, magnitude = 0;
        for (int64_t j = 0; j < count; j++) {
            total += q->x[at[j]], magnitude += fabsl((long double)q->x[at[j]]);
            if (q->x[at[j]] > q->x[at[first]]) first = j;
        }
        int rectified = !mean && q->rectify && q->x[at[first]] <= 0;
        long double want = mean ? total / count : rectified ? 0 : q->x[at[first]];
        if (fabsl(q->y[i] - want) > (mean ? 10 * EPSILON * magnitude : 0)) {
            complain(q, what, i, q->y[i], want);
            break;
        }
        for (int64_t j = 0; j < count; j++)
            if (mean || (j == first && !rectified)) {
                long double share = mean ? (long double)q->dy[i] / count : q->dy[i];
                dx[at[j]] += share, size[at[j]] += fabsl(share);
            }
    }
    if (mean) k->mean_pool_backward(&cx, &q->w, q->dy, q->dx, q->accumulate);
    else k->max_pool_backward(&cx, &q->w, q->rectify, q->x, q->y, q->dy, q->dx, q->accumulate);
    for (int64_t i = 0; i < q->size_x; i++)
        if (fabsl(q->dx[i] - dx[i]) > 20 * EPSILON * size[i]) {
            complain(q, mean ? "mean_pool_backward" : "max_pool_backward", i, q->dx[i], dx[i]);
            break;
        }
    CHECK(guards_intact(), "%s f%d %s wrote beyond a buffer", what, REAL_BITS, q->target->name);
    free(dx), free(size);
}

RANDOM_PROBLEM(pooling)
{
    problem_pool q;
    int64_t most_rows = below(50) ? 3 : 90, most_channels = below(7) ? 6 : 40;
    set_up(&q, target, random_window(most_rows, 6, most_channels), below(3) == 0);
    q.accumulate = (int)below(2);
    q.threads = 1 + (int)below(3);
    q.rectify = (int)below(2);
    check(&q, (int)below(2));
}

static void test_random(const fnn_target *target)
{
    for (int i = 0; i < problems(2000); i++) RANDOM(pooling)(target);
}

/* Not a number is the largest value of a window, wherever it lies. */
static void test_not_a_number(const fnn_target *target)
{
    fnn_ctx cx = {.threads = 1};
    for (int at = 0; at < 4; at++) {
        fnn_window w = {.rows = 1, .height = 2, .width = 2, .channels = 1, .out_height = 1, .out_width = 1,
                        .kernel_height = 2, .kernel_width = 2, .stride_y = 2, .stride_x = 2, .dilation_y = 1, .dilation_x = 1};
        real x[4] = {1, (real)INFINITY, 3, -2}, y = 0;
        x[at] = (real)NAN;
        for (int rectify = 0; rectify < 2; rectify++) {
            TABLE(target)->max_pool_forward(&cx, &w, rectify, x, &y);
            CHECK(isnan(y), "max_pool f%d %s: NaN at %d gives %g", REAL_BITS, target->name, at, (double)y);
        }
    }
}

static void test_threads(const fnn_target *target)
{
    const fnn_window w = {.rows = 40, .height = 31, .width = 30, .channels = 20, .out_height = 15, .out_width = 14,
                          .kernel_height = 3, .kernel_width = 3, .stride_y = 2, .stride_x = 2, .dilation_y = 1, .dilation_x = 1};
    const KERNELS *k = TABLE(target);
    problem_pool q;
    set_up(&q, target, w, 1);
    size_t bytes_x = (size_t)q.size_x * sizeof(real), bytes_y = (size_t)q.size_y * sizeof(real);
    real *y = malloc(2 * bytes_y), *dx = malloc(2 * bytes_x);
    for (int threads = 1; threads <= 8; threads++) {
        fnn_ctx cx = {.threads = threads};
        for (int mean = 0; mean < 2; mean++) {
            real *first_y = y + mean * q.size_y, *first_dx = dx + mean * q.size_x;
            if (mean) {
                k->mean_pool_forward(&cx, &w, q.x, q.y);
                k->mean_pool_backward(&cx, &w, q.dy, q.dx, 0);
            } else {
                k->max_pool_forward(&cx, &w, 0, q.x, q.y);
                k->max_pool_backward(&cx, &w, 0, q.x, q.y, q.dy, q.dx, 0);
            }
            if (threads == 1) memcpy(first_y, q.y, bytes_y), memcpy(first_dx, q.dx, bytes_x);
            CHECK(!memcmp(first_y, q.y, bytes_y) && !memcmp(first_dx, q.dx, bytes_x),
                  "pooling f%d %s: %d threads differ from one", REAL_BITS, target->name, threads);
        }
    }
    free(y), free(dx);
}

SUITE(pooling)
{
    const fnn_target *targets[8];
    int count = usable_targets(targets);
    for (int t = 0; t < count; t++) {
        test_random(targets[t]);
        test_not_a_number(targets[t]);
        test_threads(targets[t]);
    }
}
