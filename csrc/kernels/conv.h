/* conv.h: convolutions as products of strips.
 *
 * The output positions of a batch are cut into strips. The patches of a strip are packed (conv_patch.h) into scratch that
 * L2 holds and multiplied by the weights as they lie; the patches of a whole batch never exist. Backward goes over each
 * strip once, while its dz is near: dz = dy f'(y), the sums for dbias, dw += patches^T dz, and dz w^T, which is added
 * back to dx. A kernel of one position needs no patches, as x is what would be packed. Where every channel has a filter of
 * its own the products would be one column wide, and conv_depthwise.h is used instead; for 3 x 3 taps of many channels
 * conv_winograd.h. Forward, small patches are read where they lie (conv_direct.h), and a few filters go along the positions
 * of images of one channel (conv_plane.h).
 *
 * Forward shares out strips, or the blocks of those ways; backward parts: stretches of images, each with sums of its own
 * for dw and dbias, which are added in order at the end. All follow from the dims alone, never from the number of threads. */
#include <stdatomic.h>

#include "conv_patch.h"
#include "conv_direct.h"
#include "conv_plane.h"
#include "conv_winograd.h"

#undef CONV_STRIP
#undef CONV_POSITIONS
#undef CONV_LEAST_POSITIONS
#undef CONV_PARTS
#undef CONV_PART_POSITIONS
#undef CONV_PART_SUMS
#define CONV_STRIP (96 << 10)    /* elements of a strip's patches, at most: 384 KB of L2 in float */
#define CONV_POSITIONS 192       /* of a strip, at most: more of them gain nothing */
#define CONV_LEAST_POSITIONS 24  /* of a strip, however large its patches are; four of the tallest tiles of the widest */
#define CONV_PARTS 16            /* of a batch, at most */
#define CONV_PART_POSITIONS 512  /* of a part, at least: its sums, which L2 may not hold, are gone over a few times */
#define CONV_PART_SUMS (4 << 20) /* elements in the sums of all parts, at most, but for two parts */

typedef struct {
    const fnn_conv *d;
    fnn_ctx cx; /* of the products: one thread */
    FN(patches) patches;
    int64_t outer;                                 /* filters of a group */
    int64_t channels, filters, size;               /* size: of a patch of a group */
    int64_t positions, total, strip, parts, items; /* positions: of an image; items: what lanes share out */
    int64_t most;                                  /* positions of a strip, for so many images or fewer */
    int pointwise, planar, depthwise;              /* patches lie in x; are packed by taps; are not needed */
    int planes, direct;                            /* ways forward: conv_plane.h, conv_direct.h */
    int winograd;
    int64_t block, shares;                         /* of winograd: tiles, and parts of the filters, where there are any */
    const real *x, *w, *bias, *y;
    real *out, *dy, *dx, *dw, *dbias;
    real *turned, *sums;       /* of each group w^T; of each part dw */
    real *places;              /* winograd's weights */
    double *bias_sums;         /* of each part */
    char *lanes;               /* the scratch of each lane: a FN(share), a strip, then what its products want */
    size_t lane_size, strip_size, part_at; /* part_at: in a strip, the transformed weights of a part of the filters */
    int64_t lane_count;
    void (*body)(void *conv, int64_t item, char *scratch);
} FN(conv);

/* The items that a lane begins with, in a cache line of its own. */
typedef struct {
    _Atomic int64_t next; /* the first that nobody has claimed */
    int64_t begun;        /* whether the lane has what it makes once */
    char rest[48];
} FN(share);

static size_t FN(lines)(int64_t count, size_t size) { return ((size_t)count * size + 63) / 64 * 64; }

/* What a lane holds for winograd: places on both sides of the products, sums of the weights' places, and a pixel each of
 * zeros and of what nobody wants. */
typedef struct {
    real *in, *out, *du, *zeros, *unwanted;
} FN(winograd_scratch);

static size_t FN(winograd_room)(const FN(conv) *c, char *scratch, FN(winograd_scratch) *room)
{
    const int64_t most = FN(winograd_most)(c->d), pixel = c->channels > c->filters ? c->channels : c->filters;
    const size_t in = FN(lines)(16 * FN(place_step)(most, c->channels), sizeof(real));
    const size_t out = FN(lines)(16 * FN(place_step)(most, c->filters), sizeof(real));
    const size_t du = FN(lines)(16 * FN(place_step)(c->channels, c->filters), sizeof(real));
    const size_t line = FN(lines)(pixel, sizeof(real));
    if (room) {
        *room = (FN(winograd_scratch)){
            .in = (real *)(void *)scratch, .out = (real *)(void *)(scratch + in),
            .du = (real *)(void *)(scratch + in + out), .zeros = (real *)(void *)(scratch + in + out + du),
            .unwanted = (real *)(void *)(scratch + in + out + du + line)};
        memset(room->zeros, 0, line);
    }
    return in + out + du + 2 * line;
}

static void FN(conv_plan)(FN(conv) *c, const fnn_ctx *cx, const fnn_conv *d)
{
    const fnn_window *w = &d->window;
    memset(c, 0, sizeof *c);
    c->d = d;
    c->cx.precision = cx->precision;
    c->cx.threads = 1;
    c->patches = FN(patches_of)(w, d->groups);
    c->channels = w->channels;
    c->filters = d->filters;
    c->outer = d->filters / d->groups;
    c->size = c->patches.size;
    c->positions = FN(positions_of)(w);
    c->total = w->rows * c->positions;
    c->pointwise = w->kernel_height * w->kernel_width * w->stride_y * w->stride_x == 1 && w->top == 0 && w->left == 0
                && w->out_height == w->height && w->out_width == w->width;
    c->planar = w->channels == 1 && w->stride_x == 1 && !c->pointwise;
    c->planes = FN(plane_fits)(d);
    c->direct = !c->planes && (d->pool_height ? FN(direct_can)(d) : !c->pointwise && FN(direct_fits)(d));
    c->depthwise = d->groups > 1 && d->groups == d->filters && d->groups == w->channels;
    int64_t fits = FN(least)(CONV_STRIP / c->size, CONV_POSITIONS);
    if (fits < CONV_LEAST_POSITIONS) fits = CONV_LEAST_POSITIONS;
    /* A single image has strips for several threads: 64 positions are 32 32, not 24 24 16. */
    int64_t strips = FN(least)(8, c->total / CONV_LEAST_POSITIONS);
    int64_t strip = FN(least)(fits, FN(parts_of)(c->total, strips < 1 ? 1 : strips));
    if (strip < CONV_LEAST_POSITIONS) strip = CONV_LEAST_POSITIONS;
    c->most = FN(least)(fits, 2 * CONV_LEAST_POSITIONS);
    if (c->most < strip) c->most = strip;
    c->strip = strip - strip % (strip > w->out_width ? w->out_width : 12); /* whole rows, or whole tiles */
    int64_t sums = c->size * d->filters, parts = FN(least)(CONV_PARTS, c->total / CONV_PART_POSITIONS);
    int64_t most = CONV_PART_SUMS / sums;
    parts = FN(least)(parts, most < 2 ? 2 : most);
    c->parts = parts < 1 ? 1 : FN(least)(parts, w->rows);
    c->strip_size = FN(lines)(c->most * c->size, sizeof(real));
    if (c->planes) c->strip_size += FN(lines)(FN(plane_room)(d), sizeof(real));
    if (c->direct) c->strip_size += FN(lines)(FN(direct_room)(d), sizeof(real));
    if (!FN(winograd_fits)(d)) return;
    FN(winograd) g = FN(winograd_forward)(d);
    c->winograd = FN(winograd_pays)(d, w->rows * FN(tiles_of)(&g));
    if (w->rows * FN(tiles_of)(&g) <= FN(winograd_most)(d)) c->shares = FN(parts_of)(d->filters, FN(part_filters)(d));
    c->block = FN(winograd_block)(d, w->rows * FN(tiles_of)(&g));
    size_t wanted = FN(winograd_room)(c, NULL, NULL);
    if (c->strip_size < wanted) c->strip_size = wanted;
}

/* ---- scratch ------------------------------------------------------------------------------------------------- */

/* The products of `count` positions of a group: y from patches, dw from both, the patches' gradient from dz. */
ALWAYS_INLINE int64_t FN(patch_stride)(const FN(conv) *c, int64_t count)
{
    return c->pointwise ? c->channels : c->planar ? count : c->size;
}
static fnn_gemm FN(forward_product)(const FN(conv) *c, int64_t count)
{
    return (fnn_gemm){.m = count, .n = c->outer, .k = c->size, .lda = FN(patch_stride)(c, count), .ldb = c->filters,
                      .ldc = c->filters, .activation = c->d->activation, .alpha = c->d->alpha};
}
static fnn_gemm FN(weight_product)(const FN(conv) *c, int64_t count)
{
    return (fnn_gemm){.m = c->size, .n = c->outer, .k = count, .lda = FN(patch_stride)(c, count), .ldb = c->filters,
                      .ldc = c->filters};
}
static fnn_gemm FN(patch_product)(const FN(conv) *c, int64_t count)
{
    return (fnn_gemm){.m = count, .n = c->size, .k = c->outer, .lda = c->filters, .ldb = c->size,
                      .ldc = c->pointwise ? c->channels : c->size, .accumulate = c->pointwise && c->d->adds_dx};
}

/* Bytes of the transformed weights of a part of the filters; those of all take no more than those of all parts. */
static size_t FN(part_places)(const FN(conv) *c)
{
    return FN(lines)(16 * FN(place_step)(c->channels, FN(part_filters)(c->d)), sizeof(real));
}

/* Divides the scratch up; returns its size, which never falls as the images get more. */
static size_t FN(conv_layout)(FN(conv) *c, char *scratch, int threads)
{
    const int winograd = FN(winograd_fits)(c->d);
    const FN(winograd) there = FN(winograd_forward)(c->d), back = FN(winograd_backward)(c->d);
    fnn_gemm products[] = {FN(forward_product)(c, 1), FN(weight_product)(c, c->most), FN(patch_product)(c, 1),
                           FN(place_product)(&there, 1), FN(place_product)(&back, 1),
                           FN(place_sums)(&there, WINOGRAD_MOST)};
    size_t product = 0;
    for (int i = 0; i < (winograd ? 6 : 3); i++) {
        products[i].m = 1; /* in these orientations, what is packed does not depend on the rows */
        size_t wanted = FN(gemm_scratch)(&products[i], c->cx.precision, 1);
        if (wanted > product) product = wanted;
    }
    c->lane_size = sizeof(FN(share)) + c->strip_size + product;
    size_t turned = FN(lines)(c->filters * c->size, sizeof(real));
    size_t places = winograd ? (size_t)FN(filter_parts)(c->d) * FN(part_places)(c) : 0;
    size_t sums = FN(lines)(c->parts * c->filters * c->size, sizeof(real));
    size_t bias_sums = FN(lines)(c->parts * c->filters, sizeof(double)), lanes = (size_t)threads * c->lane_size;
    if (scratch) {
        c->places = (real *)(void *)scratch;
        scratch += places;
        c->turned = (real *)(void *)scratch;
        c->sums = (real *)(void *)(scratch + turned);
        c->bias_sums = (double *)(void *)(scratch + turned + sums);
        c->lanes = scratch + turned + sums + bias_sums;
    }
    return places + turned + sums + bias_sums + lanes;
}

/* The same for forward: lanes lie where those of other layers do that are given the same scratch. A line that another
 * core wrote last costs a hundred cycles: for an image of the CNN in benchmarks/ two threads took longer than one. */
static void FN(forward_layout)(FN(conv) *c, const fnn_ctx *cx)
{
    int64_t lanes = cx->threads < 1 ? 1 : cx->threads;
    char *scratch = cx->scratch;
    size_t shared = 0;
    FN(conv_layout)(c, scratch, cx->threads);
    if (c->winograd && c->shares > 1) {
        lanes = FN(least)(lanes, c->shares);
        c->part_at = c->strip_size;
        c->strip_size += FN(part_places)(c);
    } else if (c->winograd) {
        shared = FN(lines)(16 * FN(place_step)(c->channels, c->filters), sizeof(real));
    }
    c->lanes = scratch + shared;
    c->lane_size = (cx->scratch_size - shared) / (size_t)lanes / 64 * 64;
}

static void FN(conv_scratch)(const fnn_ctx *cx, const fnn_conv *d, size_t *bytes)
{
    FN(conv) c;
    FN(conv_plan)(&c, cx, d);
    *bytes = FN(conv_layout)(&c, NULL, cx->threads);
}

/* ---- lanes --------------------------------------------------------------------------------------------------- */

ALWAYS_INLINE FN(share) *FN(share_of)(const FN(conv) *c, int64_t lane)
{
    return (FN(share) *)(void *)(c->lanes + (size_t)lane * c->lane_size);
}

/* A lane's own share first, then what is left of the others': so, one kernel after another, a thread works on the images
 * that its cache holds. */
static void FN(conv_lane)(void *arg, int64_t lane)
{
    FN(conv) *c = arg;
    char *scratch = (char *)(FN(share_of)(c, lane) + 1);
    for (int64_t k = 0; k < c->lane_count; k++) {
        int64_t owner = (lane + k) % c->lane_count, end = c->items * (owner + 1) / c->lane_count, item;
        FN(share) *share = FN(share_of)(c, owner);
        while (!fnn_stopped() && (item = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed)) < end)
            c->body(c, item, scratch);
    }
}

/* Calls body for every item, each lane with scratch of its own. */
static void FN(run_lanes)(FN(conv) *c, const fnn_ctx *cx, double flops, int64_t items,
                          void (*body)(void *conv, int64_t item, char *scratch))
{
    int threads = fnn_worthwhile_threads(cx, flops * (double)c->total * (double)c->size * (double)c->filters,
                                         FNN_GRAIN_FLOPS);
    if (threads > items) threads = (int)items;
    c->items = items;
    c->body = body;
    c->lane_count = threads;
    for (int lane = 0; lane < threads; lane++) {
        FN(share_of)(c, lane)->begun = 0;
        atomic_store_explicit(&FN(share_of)(c, lane)->next, items * lane / threads, memory_order_relaxed);
    }
    if (threads <= 1) FN(conv_lane)(c, 0);
    else fnn_parallel(threads, threads, FN(conv_lane), c);
}

/* The context of a lane's products. */
static fnn_ctx FN(lane_context)(const FN(conv) *c, char *scratch)
{
    fnn_ctx cx = c->cx;
    cx.scratch = scratch + c->strip_size;
    cx.scratch_size = c->lane_size - sizeof(FN(share)) - c->strip_size;
    return cx;
}

#include "conv_depthwise.h"

/* ---- forward ------------------------------------------------------------------------------------------------- */

/* The patches of a group for the positions of a strip: in `strip`, or where they lie. */
static const real *FN(patches_for)(const FN(conv) *c, int64_t group, int64_t position, int64_t count, real *strip)
{
    const real *x = c->x + group * c->patches.inner;
    if (c->pointwise) return x + position * c->channels;
    if (c->planar) FN(pack_taps)(&c->patches, position, count, x, strip);
    else FN(pack_patches)(&c->patches, position, count, x, strip);
    return strip;
}

static void FN(forward_strip)(void *arg, int64_t item, char *scratch)
{
    const FN(conv) *c = arg;
    const fnn_ctx cx = FN(lane_context)(c, scratch);
    int64_t position = item * c->strip, count = FN(least)(c->strip, c->total - position);
    if (c->depthwise) {
        FN(depthwise_forward)(c, position, count);
        return;
    }
    const fnn_gemm d = FN(forward_product)(c, count);
    for (int64_t group = 0; group < c->d->groups; group++) {
        int64_t filter = group * c->outer;
        const real *patches = FN(patches_for)(c, group, position, count, (real *)(void *)scratch);
        const real *bias = c->bias ? c->bias + filter : NULL;
        real *y = c->out + position * c->filters + filter;
        if (c->planar) FN(gemm_tn)(&cx, &d, patches, c->w + filter, bias, y);
        else FN(gemm_nn)(&cx, &d, patches, c->w + filter, bias, y);
    }
}

#include "conv_tiles.h"

static void FN(forward_plane)(void *arg, int64_t item, char *scratch)
{
    const FN(conv) *c = arg;
    FN(plane_rows)(c->d, item, c->x, c->w, c->bias, (real *)(void *)scratch, c->out);
}

static void FN(forward_direct)(void *arg, int64_t item, char *scratch)
{
    const FN(conv) *c = arg;
    FN(direct_block)(c->d, item, c->x, c->w, c->bias, (real *)(void *)scratch, c->out);
}

static void FN(conv_forward)(const fnn_ctx *cx, const fnn_conv *d, const real *x, const real *w, const real *bias,
                             real *y)
{
    FN(conv) c;
    FN(conv_plan)(&c, cx, d);
    FN(forward_layout)(&c, cx);
    c.x = x, c.w = w, c.bias = bias, c.out = y;
    if (c.winograd) {
        FN(winograd_forward_all)(&c, cx);
        return;
    }
    const FN(blocks) blocks = FN(blocks_of)(d);
    if (c.planes) FN(run_lanes)(&c, cx, 2, d->window.rows * FN(plane_items)(d), FN(forward_plane));
    else if (c.direct) FN(run_lanes)(&c, cx, 2, d->window.rows * blocks.down * blocks.across, FN(forward_direct));
    else FN(run_lanes)(&c, cx, 2, FN(parts_of)(c.total, c.strip), FN(forward_strip));
}

/* Winograd's tiles pool 2 x 2; where patches had better be packed, pooling is left to a pass of its own. */
static void FN(conv_pools)(const fnn_conv *d, int32_t *pays)
{
    const fnn_window *w = &d->window;
    fnn_conv plain = *d;
    plain.pool_height = plain.pool_width = 0;
    const int way = FN(winograd_fits)(&plain) ? FN(winograd_fits)(d) : FN(plane_fits)(d) || FN(direct_fits)(d);
    *pays = way && FN(direct_can)(d) && (d->activation == FNN_LINEAR || d->activation == FNN_RELU)
            && d->pool_height * FN(least)(w->out_width, DIRECT_POSITIONS + d->pool_width) * d->filters <= DIRECT_POOL;
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* The sums of a part: its own, or with a single part the gradients themselves. */
ALWAYS_INLINE real *FN(part_sums)(const FN(conv) *c, int64_t part)
{
    return c->parts == 1 ? c->dw : c->sums + part * c->size * c->filters;
}

/* dz of the positions [position, position + count), in place of dy, and its sums. */
static void FN(backward_strip_dz)(const FN(conv) *c, int64_t position, int64_t count, double *bias_sums)
{
    const int64_t filters = c->filters;
    real *dz = c->dy + position * filters;
    if (c->d->activation != FNN_LINEAR) {
        FN(activation_args) args = {.kind = c->d->activation, .alpha = (real)c->d->alpha,
                                    .x = c->y + position * filters, .dy = dz, .y = dz};
        FN(activation_backward_range)(&args, 0, count * filters, 0);
    }
    for (int64_t f = 0; c->dbias && f < filters; f += VL) {
        double sums[VL];
        int64_t n = FN(least)(VL, filters - f);
        FN(column_sums)(count, filters, n, dz + f, sums);
        for (int64_t i = 0; i < n; i++) bias_sums[f + i] += sums[i];
    }
}

/* Both products of a strip. `first`: the sums for dw begin. */
static void FN(backward_strip)(const FN(conv) *c, int64_t position, int64_t count, int first, real *sums, char *scratch)
{
    const fnn_ctx cx = FN(lane_context)(c, scratch);
    real *strip = (real *)(void *)scratch;
    fnn_gemm weights = FN(weight_product)(c, count);
    const fnn_gemm patch = FN(patch_product)(c, count);
    weights.accumulate = !first || (c->parts == 1 && c->d->adds_dw);
    for (int64_t group = 0; group < c->d->groups; group++) {
        const int64_t filter = group * c->outer, channel = group * c->patches.inner;
        const real *dz = c->dy + position * c->filters + filter, *turned = c->turned + filter * c->size;
        const real *patches = FN(patches_for)(c, group, position, count, strip);
        if (c->planar) FN(gemm_nn)(&cx, &weights, patches, dz, NULL, sums + filter);
        else FN(gemm_tn)(&cx, &weights, patches, dz, NULL, sums + filter);
        if (!c->dx) continue;
        FN(gemm_nn)(&cx, &patch, dz, turned, NULL, c->pointwise ? c->dx + position * c->channels + channel : strip);
        if (!c->pointwise) FN(add_patches)(&c->patches, position, count, c->dx + channel, strip);
    }
}

/* Both products of the images [row, end), whose dz is there. */
static void FN(backward_tiles)(const FN(conv) *c, int64_t row, int64_t end, real *sums, char *scratch)
{
    const fnn_ctx cx = FN(lane_context)(c, scratch);
    const int64_t weights = c->channels * c->filters, step = FN(place_step)(c->channels, c->filters);
    FN(winograd_scratch) room;
    FN(winograd) there = FN(winograd_forward)(c->d), back = FN(winograd_backward)(c->d);
    FN(winograd_room)(c, scratch, &room);
    there.zeros = back.zeros = room.zeros, there.unwanted = back.unwanted = room.unwanted;
    const int64_t first = row * FN(tiles_of)(&there), last = end * FN(tiles_of)(&there);
    for (int64_t tile = first; tile < last && !fnn_stopped(); tile += c->block)
        FN(winograd_sums)(&there, &cx, tile, FN(least)(c->block, last - tile), tile == first, c->x, c->dy, room.in,
                          room.out, room.du);
    FN(gather_weights)(weights, room.du, step, c->parts == 1 && c->d->adds_dw, sums);
    if (!c->dx) return;
    const int64_t first_back = row * FN(tiles_of)(&back), last_back = end * FN(tiles_of)(&back);
    for (int64_t tile = first_back; tile < last_back && !fnn_stopped(); tile += c->block) {
        const int64_t count = FN(least)(c->block, last_back - tile);
        FN(transform_input)(&back, tile, count, c->dy, room.out);
        FN(multiply_places)(&back, &cx, tile, count, room.out, c->places, NULL, c->d->adds_dx, 0, room.in, c->dx);
    }
}

static void FN(backward_part)(void *arg, int64_t part, char *scratch)
{
    const FN(conv) *c = arg;
    const int64_t rows = c->d->window.rows, image = FN(image_size)(&c->d->window);
    const int64_t begin = rows * part / c->parts * c->positions, end = rows * (part + 1) / c->parts * c->positions;
    const int clears = c->dx && !c->d->adds_dx && !c->winograd && (c->depthwise || !c->pointwise);
    int64_t cleared = begin / c->positions;
    real *sums = FN(part_sums)(c, part);
    double *bias_sums = c->bias_sums + part * c->filters;
    for (int64_t f = 0; f < c->filters; f++) bias_sums[f] = 0;
    if (c->depthwise && !(c->parts == 1 && c->d->adds_dw)) FN(clear)(c->size * c->filters, sums);
    for (int64_t position = begin; position < end && !fnn_stopped(); position += c->strip) {
        int64_t count = FN(least)(c->strip, end - position), images = FN(parts_of)(position + count, c->positions);
        if (clears) FN(clear)((images - cleared) * image, c->dx + cleared * image); /* just before they are added to */
        cleared = images;
        FN(backward_strip_dz)(c, position, count, bias_sums);
        if (c->depthwise) FN(depthwise_backward)(c, position, count, sums);
        else if (!c->winograd) FN(backward_strip)(c, position, count, position == begin, sums, scratch);
    }
    if (c->winograd) FN(backward_tiles)(c, begin / c->positions, end / c->positions, sums, scratch);
}

static void FN(join_parts)(void *arg, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(conv) *c = arg;
    const int64_t size = c->size * c->filters;
    (void)chunk;
    for (int64_t i = begin; i < end; i += VL) {
        vmask m = mask_first(FN(least)(VL, end - i));
        vec sum = v_load_mask(c->sums + i, m);
        for (int64_t part = 1; part < c->parts; part++) sum = v_add(sum, v_load_mask(c->sums + part * size + i, m));
        v_store_mask(c->dw + i, m, c->d->adds_dw ? v_add(v_load_mask(c->dw + i, m), sum) : sum);
    }
}

static void FN(conv_backward)(const fnn_ctx *cx, const fnn_conv *d, const real *x, const real *w, const real *y,
                              real *dy, real *dx, real *dw, real *dbias)
{
    FN(conv) c;
    FN(conv_plan)(&c, cx, d);
    FN(conv_layout)(&c, cx->scratch, cx->threads);
    c.x = x, c.w = w, c.y = y, c.dy = dy, c.dx = dx, c.dw = dw, c.dbias = dbias;
    for (int64_t filter = 0; dx && !c.depthwise && filter < c.filters; filter += c.outer)
        FN(transpose_matrix)(c.size, c.outer, w + filter, c.filters, c.turned + filter * c.size, c.size, 0);
    if (dx && c.winograd) {
        FN(weights_job) job = {.columns = c.channels, .line = c.channels, .row_step = c.size, .tap_step = -c.channels,
                               .place_step = FN(place_step)(c.channels, c.filters), .w = c.turned + 8 * c.channels, .u = c.places};
        FN(for_items)(cx, c.filters, 25 * c.channels, FN(transform_weights), &job);
    }
    FN(run_lanes)(&c, cx, dx ? 4 : 2, c.parts, FN(backward_part));
    if (c.parts > 1) FN(for_items)(cx, c.size * c.filters, c.parts, FN(join_parts), &c);
    for (int64_t f = 0; dbias && f < c.filters; f++) {
        double sum = d->adds_dw ? (double)dbias[f] : 0;
        for (int64_t part = 0; part < c.parts; part++) sum += c.bias_sums[part * c.filters + f];
        dbias[f] = (real)sum;
    }
}
