/* conv_tiles.h: the forward pass by Winograd's tiles (conv_winograd.h): what its lanes do, which share out blocks of tiles or,
 * where there are few of these, parts of the filters. */

/* The places of the tiles [tile, tile + count) by the transformed weights u of the filters that g wants. */
static void FN(forward_places)(const FN(conv) *c, const FN(winograd) *g, int64_t tile, int64_t count,
                               const FN(winograd_scratch) *room, const real *u, char *scratch)
{
    const fnn_ctx cx = FN(lane_context)(c, scratch);
    const int32_t activation = c->d->activation;
    FN(multiply_places)(g, &cx, tile, count, room->in, u, c->bias, 0, activation == FNN_RELU, room->out, c->out);
    if (activation != FNN_LINEAR && activation != FNN_RELU) FN(activate_tiles)(g, c->d, tile, count, c->out);
}

static void FN(forward_tiles)(void *arg, int64_t item, char *scratch)
{
    const FN(conv) *c = arg;
    FN(winograd_scratch) room;
    FN(winograd_room)(c, scratch, &room);
    FN(winograd) g = FN(winograd_forward)(c->d);
    g.zeros = room.zeros, g.unwanted = room.unwanted;
    const int64_t tile = item * c->block, count = FN(least)(c->block, g.rows * FN(tiles_of)(&g) - tile);
    FN(transform_input)(&g, tile, count, c->x, room.in);
    FN(forward_places)(c, &g, tile, count, &room, c->places, scratch);
}

/* G g G^T of the filters that g wants. */
static FN(weights_job) FN(forward_weights)(const FN(conv) *c, const FN(winograd) *g, real *u)
{
    return (FN(weights_job)){.columns = g->end - g->from, .line = g->line, .row_step = c->filters,
                             .tap_step = c->channels * c->filters, .place_step = FN(place_step)(c->channels, g->line),
                             .w = c->w + g->from, .u = u};
}

/* All tiles by a part of the filters. */
static void FN(forward_filters)(void *arg, int64_t item, char *scratch)
{
    const FN(conv) *c = arg;
    FN(share) *lane = (FN(share) *)(void *)scratch - 1;
    FN(winograd_scratch) room;
    FN(winograd_room)(c, scratch, &room);
    FN(winograd) g = FN(winograd_forward)(c->d);
    const int64_t tiles = g.rows * FN(tiles_of)(&g);
    real *u = (real *)(void *)(scratch + c->part_at);
    g.zeros = room.zeros, g.unwanted = room.unwanted;
    g.line = FN(part_filters)(c->d);
    g.from = item * g.line;
    g.end = FN(least)(g.from + g.line, c->filters);
    if (!lane->begun) FN(transform_input)(&g, 0, tiles, c->x, room.in);
    lane->begun = 1;
    FN(weights_job) job = FN(forward_weights)(c, &g, u);
    FN(transform_weights)(&job, 0, c->channels, 0);
    FN(forward_places)(c, &g, 0, tiles, &room, u, scratch);
}

static void FN(winograd_forward_all)(FN(conv) *c, const fnn_ctx *cx)
{
    const FN(winograd) g = FN(winograd_forward)(c->d);
    if (c->shares > 1) {
        FN(run_lanes)(c, cx, 1, c->shares, FN(forward_filters));
        return;
    }
    FN(weights_job) job = FN(forward_weights)(c, &g, c->places);
    FN(for_items)(cx, c->channels, 25 * c->filters, FN(transform_weights), &job);
    FN(run_lanes)(c, cx, 1, FN(parts_of)(g.rows * FN(tiles_of)(&g), c->block), FN(forward_tiles));
}
