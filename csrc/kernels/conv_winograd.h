/* conv_winograd.h: convolutions of 3 x 3 taps by Winograd's minimal filtering: 16 multiplications for a tile of 2 x 2
 * outputs, of a channel and a filter, instead of 36.
 *
 *     Y = A^T [(G g G^T) * (B^T d B)] A          d: the 4 x 4 inputs that the tile sees; g: the weights
 *     dg = G^T [(B^T d B) * (A dY A^T)] G        the sum over all tiles
 *
 * (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 4.1.) Over channels and filters, *
 * is a product of matrices for each of the 16 places: (tiles x channels) (channels x filters). The gradient for x is such
 * a convolution, too: of dz, by the weights turned round. Tiles are taken in blocks whose places L2 holds.
 *
 * The step of the CNN in benchmarks/ takes 0.7 of the time it takes by patches. Sums and differences of inputs and
 * weights are rounded before they are multiplied, so errors are those of a sum of a few times the magnitude; and pixels
 * of the tile that an element does not see cancel but for their rounding (tests/winograd_sizes.h has the bound). */

#undef WINOGRAD_CHANNELS
#undef WINOGRAD_WEIGHTS
#undef WINOGRAD_SIZE
#undef WINOGRAD_TILES
#undef WINOGRAD_TILE_WEIGHTS
#undef WINOGRAD_BLOCK
#undef WINOGRAD_LEAST
#undef WINOGRAD_MOST
#undef WINOGRAD_FILTERS
#define WINOGRAD_CHANNELS 8         /* and filters, at least: fewer leave the products too thin */
#define WINOGRAD_WEIGHTS (192 << 10) /* channels x filters at most: each lane has 16 times as many sums */
#define WINOGRAD_SIZE 4             /* of an image at least: each tap sees pixels in half of its tiles. One that sees none
                                       would have rounding errors for a gradient, and Adam would follow them */
#define WINOGRAD_TILES 16           /* at least, and one for so many weights, to pay for their transform */
#define WINOGRAD_TILE_WEIGHTS 4096
#define WINOGRAD_BLOCK (512 << 10)  /* bytes of a block's places, at most: a quarter of L2 */
#define WINOGRAD_LEAST 24           /* tiles of a block at least, and at most */
#define WINOGRAD_MOST 192
#define WINOGRAD_FILTERS (2 * VL)   /* of a part, at least, where filters are shared out */

/* A convolution of `x` (rows, height, width, channels) to `y` (rows, out_height, out_width, filters). */
typedef struct {
    int64_t rows, height, width, channels;
    int64_t out_height, out_width, filters;
    int64_t top, left;
    int64_t tiles_y, tiles_x;
    int64_t from, end; /* the filters that are wanted */
    int64_t line;      /* columns of the transformed weights, which begin with filter `from` */
    int pooled;        /* y is the largest output of each whole tile */
    const real *zeros; /* one pixel of them */
    real *unwanted;    /* where outputs beyond the image go: one pixel */
} FN(winograd);

static FN(winograd) FN(winograd_forward)(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return (FN(winograd)){.rows = w->rows, .height = w->height, .width = w->width, .channels = w->channels,
                          .out_height = w->out_height, .out_width = w->out_width, .filters = d->filters, .top = w->top,
                          .left = w->left, .tiles_y = FN(parts_of)(w->out_height, 2),
                          .tiles_x = FN(parts_of)(w->out_width, 2), .end = d->filters, .line = d->filters,
                          .pooled = d->pool_height > 0};
}

/* From dz to dx. */
static FN(winograd) FN(winograd_backward)(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return (FN(winograd)){.rows = w->rows, .height = w->out_height, .width = w->out_width, .channels = d->filters,
                          .out_height = w->height, .out_width = w->width, .filters = w->channels, .top = 2 - w->top,
                          .left = 2 - w->left, .tiles_y = FN(parts_of)(w->height, 2),
                          .tiles_x = FN(parts_of)(w->width, 2), .end = w->channels,
                          .line = w->channels};
}

ALWAYS_INLINE int64_t FN(tiles_of)(const FN(winograd) *g) { return g->tiles_y * g->tiles_x; }

/* Whether there are tiles enough. */
static int FN(winograd_pays)(const fnn_conv *d, int64_t tiles)
{
    return tiles >= WINOGRAD_TILES && tiles >= d->window.channels * d->filters / WINOGRAD_TILE_WEIGHTS;
}

/* Whether convolutions of these dims, of enough images, are done this way. */
static int FN(winograd_fits)(const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    return w->kernel_height == 3 && w->kernel_width == 3 && w->stride_y == 1 && w->stride_x == 1 && w->dilation_y == 1
           && w->dilation_x == 1 && w->height >= WINOGRAD_SIZE && w->width >= WINOGRAD_SIZE && w->top <= 1
           && w->left <= 1 && d->groups == 1 && w->channels >= WINOGRAD_CHANNELS
           && d->filters >= WINOGRAD_CHANNELS && w->channels * d->filters <= WINOGRAD_WEIGHTS
           && d->pool_height == d->pool_width && (d->pool_height == 0 || d->pool_height == 2);
}

/* The most tiles of a block; and how many for this many tiles, so that a single image has blocks for several threads. */
static int64_t FN(winograd_most)(const fnn_conv *d)
{
    const int64_t tile = 16 * (d->window.channels + d->filters) * (int64_t)sizeof(real);
    const int64_t fits = FN(least)(WINOGRAD_BLOCK / tile, WINOGRAD_MOST);
    return fits < WINOGRAD_LEAST ? WINOGRAD_LEAST : fits / 12 * 12; /* whole tiles of the products */
}
static int64_t FN(winograd_block)(const fnn_conv *d, int64_t tiles)
{
    int64_t blocks = FN(least)(8, tiles / WINOGRAD_LEAST);
    return FN(least)(FN(winograd_most)(d), FN(parts_of)(tiles, blocks < 1 ? 1 : blocks));
}

/* How many parts of the filters are shared out in place of tiles, where there are at most a block of these: a single image
 * has few tiles for its weights. Each lane then transforms all tiles, and the weights that it multiplies by, which no other
 * has to read out of its cache. */
static int64_t FN(filter_parts)(const fnn_conv *d)
{
    const int64_t parts = FN(least)(4, d->filters / WINOGRAD_FILTERS);
    return parts < 1 ? 1 : parts;
}
static int64_t FN(part_filters)(const fnn_conv *d)
{
    return FN(parts_of)(FN(parts_of)(d->filters, WINOGRAD_FILTERS), FN(filter_parts)(d)) * WINOGRAD_FILTERS;
}

/* Elements from one place to the next: not a multiple of a page, or all 16 would fall into the same lines of L1. */
ALWAYS_INLINE int64_t FN(place_step)(int64_t tiles, int64_t channels)
{
    return FN(parts_of)(tiles * channels, 64) * 64 + 64 / (int64_t)sizeof(real);
}

/* ---- transforms ---------------------------------------------------------------------------------------------- */

/* A tile: its image, row and column. Transforms go from one to the next, since divisions would take as long as all else. */
typedef struct {
    int64_t image, row, column;
} FN(tile_place);

ALWAYS_INLINE FN(tile_place) FN(tile_place_of)(const FN(winograd) *g, int64_t tile)
{
    const int64_t rest = tile % FN(tiles_of)(g);
    return (FN(tile_place)){tile / FN(tiles_of)(g), rest / g->tiles_x, rest % g->tiles_x};
}

ALWAYS_INLINE void FN(next_tile)(const FN(winograd) *g, FN(tile_place) *p)
{
    if (++p->column < g->tiles_x) return;
    p->column = 0;
    if (++p->row < g->tiles_y) return;
    p->row = 0;
    p->image++;
}

/* Where the pixels of a tile lie, `size` x `size` of them: d of the input for 4, Y of the output for 2. */
ALWAYS_INLINE void FN(tile_pixels)(const FN(winograd) *g, const FN(tile_place) *p, const int size, const real *image,
                                   const real *outside, const real **at)
{
    const int input = size == 4;
    const int64_t height = input ? g->height : g->out_height, width = input ? g->width : g->out_width;
    const int64_t channels = input ? g->channels : g->filters;
    const int64_t y = p->row * 2 - (input ? g->top : 0), x = p->column * 2 - (input ? g->left : 0);
    const real *corner = image + ((p->image * height + y) * width + x) * channels;
    if (y >= 0 && y + size <= height && x >= 0 && x + size <= width) {
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) at[i * size + j] = corner + (i * width + j) * channels;
        return;
    }
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < size; j++) {
            int inside = y + i >= 0 && y + i < height && x + j >= 0 && x + j < width;
            at[i * size + j] = inside ? corner + (i * width + j) * channels : outside;
        }
}

/* One axis of B^T d B, of A^T m A and of A y A^T. */
ALWAYS_INLINE void FN(input_axis)(vec *a, vec *b, vec *c, vec *d)
{
    vec p = v_sub(*a, *c), q = v_add(*b, *c), r = v_sub(*c, *b), s = v_sub(*b, *d);
    *a = p, *b = q, *c = r, *d = s;
}
ALWAYS_INLINE void FN(output_axis)(vec a, vec b, vec c, vec d, vec *p, vec *q)
{
    *p = v_add(v_add(a, b), c);
    *q = v_sub(v_sub(b, c), d);
}
ALWAYS_INLINE void FN(spread_axis)(vec a, vec b, vec *p, vec *q, vec *r, vec *s)
{
    *p = a, *q = v_add(a, b), *r = v_sub(a, b), *s = v_neg(b);
}

/* B^T d B of the tiles [tile, tile + count): places (16, tiles, channels). */
static void FN(transform_input)(const FN(winograd) *g, int64_t tile, int64_t count, const real *x, real *places)
{
    const int64_t channels = g->channels, step = FN(place_step)(count, channels);
    FN(tile_place) p = FN(tile_place_of)(g, tile);
    for (int64_t t = 0; t < count; t++, places += channels, FN(next_tile)(g, &p)) {
        const real *at[16];
        FN(tile_pixels)(g, &p, 4, x, g->zeros, at);
        for (int64_t j = 0; j < channels; j += VL) {
            const vmask m = mask_first(FN(least)(VL, channels - j));
            vec v[16];
            for (int i = 0; i < 16; i++) v[i] = v_load_mask(at[i] + j, m);
            for (int i = 0; i < 16; i += 4) FN(input_axis)(v + i, v + i + 1, v + i + 2, v + i + 3);
            for (int i = 0; i < 4; i++) FN(input_axis)(v + i, v + i + 4, v + i + 8, v + i + 12);
            for (int i = 0; i < 16; i++) v_store_mask(places + i * step + j, m, v[i]);
        }
    }
}

/* A y A^T of the tiles' outputs: places (16, tiles, filters). */
static void FN(transform_gradient)(const FN(winograd) *g, int64_t tile, int64_t count, const real *dz, real *places)
{
    const int64_t filters = g->filters, step = FN(place_step)(count, filters);
    FN(tile_place) p = FN(tile_place_of)(g, tile);
    for (int64_t t = 0; t < count; t++, places += filters, FN(next_tile)(g, &p)) {
        const real *at[4];
        FN(tile_pixels)(g, &p, 2, dz, g->zeros, at);
        for (int64_t j = 0; j < filters; j += VL) {
            const vmask m = mask_first(FN(least)(VL, filters - j));
            vec v[16], a = v_load_mask(at[0] + j, m), b = v_load_mask(at[1] + j, m);
            vec c = v_load_mask(at[2] + j, m), d = v_load_mask(at[3] + j, m);
            FN(spread_axis)(a, c, v, v + 4, v + 8, v + 12);
            FN(spread_axis)(b, d, v + 1, v + 5, v + 9, v + 13);
            for (int i = 0; i < 16; i += 4) FN(spread_axis)(v[i], v[i + 1], v + i, v + i + 1, v + i + 2, v + i + 3);
            for (int i = 0; i < 16; i++) v_store_mask(places + i * step + j, m, v[i]);
        }
    }
}

/* Where the largest output of a tile goes; a tile that is cut off has none. */
ALWAYS_INLINE real *FN(tile_pool)(const FN(winograd) *g, const FN(tile_place) *p, real *y)
{
    const int64_t height = g->out_height / 2, width = g->out_width / 2;
    const int whole = p->row < height && p->column < width;
    return whole ? y + ((p->image * height + p->row) * width + p->column) * g->filters : g->unwanted;
}

/* A^T m A, with the bias, into the tiles' outputs, or of each the largest; `adds`: to what is there. */
ALWAYS_INLINE void FN(transform_output)(const FN(winograd) *g, int64_t tile, int64_t count, const real *places,
                                        const real *bias, const int adds, const int pooled, int relu, real *y)
{
    const int64_t filters = g->filters, step = FN(place_step)(count, filters);
    const vec least = relu ? v_zero() : v_set1(-(real)INFINITY);
    FN(tile_place) p = FN(tile_place_of)(g, tile);
    for (int64_t t = 0; t < count; t++, places += filters, FN(next_tile)(g, &p)) {
        const real *at[4];
        if (pooled) at[0] = FN(tile_pool)(g, &p, y);
        else FN(tile_pixels)(g, &p, 2, y, g->unwanted, at);
        for (int64_t j = g->from; j < g->end; j += VL) {
            const vmask m = mask_first(FN(least)(VL, g->end - j));
            vec v[8], sum[4];
            for (int i = 0; i < 4; i++)
                FN(output_axis)(v_load_mask(places + i * step + j, m), v_load_mask(places + (i + 4) * step + j, m),
                                v_load_mask(places + (i + 8) * step + j, m),
                                v_load_mask(places + (i + 12) * step + j, m), v + i, v + i + 4);
            FN(output_axis)(v[0], v[1], v[2], v[3], sum, sum + 1);
            FN(output_axis)(v[4], v[5], v[6], v[7], sum + 2, sum + 3);
            const vec start = bias ? v_load_mask(bias + j, m) : v_zero();
            if (pooled) sum[0] = FN(larger)(FN(larger)(sum[0], sum[1]), FN(larger)(sum[2], sum[3]));
            for (int i = 0; i < (pooled ? 1 : 4); i++) {
                real *out = (real *)at[i] + j;
                vec z = v_add(sum[i], start);
                if (adds) z = v_add(z, v_load_mask(out, m));
                v_store_mask(out, m, v_max(least, z));
            }
        }
    }
}

/* The activations other than linear and relu, on the tiles' outputs. */
static void FN(activate_tiles)(const FN(winograd) *g, const fnn_conv *d, int64_t tile, int64_t count, real *y)
{
    FN(tile_place) p = FN(tile_place_of)(g, tile);
    for (int64_t t = 0; t < count; t++, FN(next_tile)(g, &p)) {
        const real *at[4];
        FN(tile_pixels)(g, &p, 2, y, NULL, at);
        for (int i = 0; i < 4; i++) {
            FN(activation_args) args = {.kind = d->activation, .alpha = (real)d->alpha, .x = at[i], .y = (real *)at[i]};
            if (at[i]) FN(activation_forward_range)(&args, g->from, g->end, 0);
        }
    }
}

typedef struct {
    int64_t columns, line, row_step, tap_step, place_step; /* line: of u */
    const real *w;
    real *u;
} FN(weights_job);

/* G g G^T of the weights that lie at w + row row_step + tap tap_step + column. */
static void FN(transform_weights)(void *arg, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(weights_job) *job = arg;
    const vec half = v_set1((real)0.5);
    (void)chunk;
    for (int64_t row = begin; row < end; row++)
        for (int64_t j = 0; j < job->columns; j += VL) {
            const vmask m = mask_first(FN(least)(VL, job->columns - j));
            const real *w = job->w + row * job->row_step + j;
            real *u = job->u + row * job->line + j;
            vec v[4][3];
            for (int i = 0; i < 3; i++) {
                vec a = v_load_mask(w + i * job->tap_step, m), b = v_load_mask(w + (i + 3) * job->tap_step, m);
                vec c = v_load_mask(w + (i + 6) * job->tap_step, m), ac = v_add(a, c);
                v[0][i] = a, v[1][i] = v_mul(half, v_add(ac, b)), v[2][i] = v_mul(half, v_sub(ac, b)), v[3][i] = c;
            }
            for (int i = 0; i < 4; i++, u += 4 * job->place_step) {
                vec ac = v_add(v[i][0], v[i][2]);
                v_store_mask(u, m, v[i][0]);
                v_store_mask(u + job->place_step, m, v_mul(half, v_add(ac, v[i][1])));
                v_store_mask(u + 2 * job->place_step, m, v_mul(half, v_sub(ac, v[i][1])));
                v_store_mask(u + 3 * job->place_step, m, v[i][2]);
            }
        }
}

/* dw = G^T du G for `count` pairs of a channel and a filter, whose places are `step` apart; `adds`: to what is there. */
static void FN(gather_weights)(int64_t count, const real *du, int64_t step, int adds, real *dw)
{
    const vec half = v_set1((real)0.5);
    for (int64_t j = 0; j < count; j += VL) {
        const vmask m = mask_first(FN(least)(VL, count - j));
        vec v[3][4];
        for (int i = 0; i < 4; i++) {
            vec b = v_load_mask(du + (i + 4) * step + j, m), c = v_load_mask(du + (i + 8) * step + j, m);
            vec sum = v_mul(half, v_add(b, c));
            v[0][i] = v_add(v_load_mask(du + i * step + j, m), sum);
            v[1][i] = v_mul(half, v_sub(b, c));
            v[2][i] = v_add(sum, v_load_mask(du + (i + 12) * step + j, m));
        }
        for (int i = 0; i < 3; i++) {
            vec sum = v_mul(half, v_add(v[i][1], v[i][2]));
            vec taps[3] = {v_add(v[i][0], sum), v_mul(half, v_sub(v[i][1], v[i][2])), v_add(sum, v[i][3])};
            for (int k = 0; k < 3; k++) {
                real *to = dw + (3 * i + k) * count + j;
                v_store_mask(to, m, adds ? v_add(v_load_mask(to, m), taps[k]) : taps[k]);
            }
        }
    }
}

/* ---- products ------------------------------------------------------------------------------------------------ */

/* Of one place: outputs of `count` tiles, and the sums for its weights. */
static fnn_gemm FN(place_product)(const FN(winograd) *g, int64_t count)
{
    return (fnn_gemm){.m = count, .n = g->end - g->from, .k = g->channels, .lda = g->channels, .ldb = g->line,
                      .ldc = g->filters};
}
static fnn_gemm FN(place_sums)(const FN(winograd) *g, int64_t count)
{
    return (fnn_gemm){.m = g->channels, .n = g->filters, .k = count, .lda = g->channels, .ldb = g->filters,
                      .ldc = g->filters};
}

/* y of the tiles [tile, tile + count) from their places `in`. `out`: room for as many. */
static void FN(multiply_places)(const FN(winograd) *g, const fnn_ctx *cx, int64_t tile, int64_t count, const real *in,
                                const real *u, const real *bias, int adds, int relu, real *out, real *y)
{
    const int64_t weights = FN(place_step)(g->channels, g->line);
    const fnn_gemm d = FN(place_product)(g, count);
    for (int64_t i = 0; i < 16; i++)
        FN(gemm_nn)(cx, &d, in + i * FN(place_step)(count, g->channels), u + i * weights, NULL,
                    out + i * FN(place_step)(count, g->filters) + g->from);
    if (adds) FN(transform_output)(g, tile, count, out, bias, 1, 0, relu, y);
    else if (g->pooled) FN(transform_output)(g, tile, count, out, bias, 0, 1, relu, y);
    else FN(transform_output)(g, tile, count, out, bias, 0, 0, relu, y);
}

/* du += of the tiles [tile, tile + count); `first`: du is. */
static void FN(winograd_sums)(const FN(winograd) *g, const fnn_ctx *cx, int64_t tile, int64_t count, int first,
                              const real *x, const real *dz, real *in, real *out, real *du)
{
    fnn_gemm d = FN(place_sums)(g, count);
    d.accumulate = !first;
    FN(transform_input)(g, tile, count, x, in);
    FN(transform_gradient)(g, tile, count, dz, out);
    for (int64_t i = 0; i < 16; i++)
        FN(gemm_tn)(cx, &d, in + i * FN(place_step)(count, g->channels), out + i * FN(place_step)(count, g->filters),
                    NULL, du + i * FN(place_step)(g->channels, g->filters));
}
