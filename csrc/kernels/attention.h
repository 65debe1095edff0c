/* attention.h: scaled dot product attention, block by block, without the matrix of all scores (Dao et al. 2022).
 *
 * A block is BLOCK queries by BLOCK keys of one head. Its scores are a product of the tiles (gemm_tile.h) with the keys
 * transposed into scratch; softmax runs along the blocks of a query with the largest score and the sum so far (Milakov
 * and Gimelshein 2018). Forward keeps the logarithm of each query's sum, from which backward makes the probabilities of
 * a block again:
 *
 *     p = exp(s - log sum),   dv += p^T dy,   ds = p (dy v^T - dy . y) / sqrt(size),   dq += ds k,   dk += ds^T q
 *
 * Forward shares out blocks of queries, backward rows and heads, whose blocks add to each other's gradients. Every item
 * is summed in one order by one thread. */

#undef BLOCK
#define BLOCK 64 /* scores and keys of a block, 16 KB of floats each, stay in L1 beside the values */

typedef struct {
    const fnn_attention *d;
    const real *q, *k, *v, *mask, *y, *dy;
    real *out, *stats; /* out: y of forward */
    real *dq, *dk, *dv;
    real scale, *scratch;
} FN(attention);

/* What a thread works in: operands transposed to (size, BLOCK), and (BLOCK, BLOCK) scores and their gradients. */
typedef struct {
    real *keys, *values, *scores, *dscores;
} FN(attention_lane);

/* A head of a row; its queries [query, query + queries) and keys [key, key + keys) are the current block. */
typedef struct {
    int64_t row, head, query, queries, key, keys;
} FN(attention_block);

ALWAYS_INLINE int64_t FN(query_at)(const FN(attention) *job, const FN(attention_block) *b, int64_t ld)
{
    return (b->row * job->d->queries + b->query) * ld + b->head * job->d->size;
}
ALWAYS_INLINE int64_t FN(key_at)(const FN(attention) *job, const FN(attention_block) *b)
{
    return b->row * job->d->next_k + b->key * job->d->ldk + b->head * job->d->size;
}
ALWAYS_INLINE int64_t FN(stats_at)(const FN(attention) *job, const FN(attention_block) *b)
{
    return (b->row * job->d->heads + b->head) * job->d->queries + b->query;
}

/* The mask of the block's keys, or NULL. */
ALWAYS_INLINE const real *FN(key_mask)(const FN(attention) *job, const FN(attention_block) *b)
{
    return job->mask ? job->mask + b->row * job->d->keys + b->key : NULL;
}

/* How many of the block's keys query i of it may see by its place. */
ALWAYS_INLINE int64_t FN(keys_seen)(const FN(attention) *job, const FN(attention_block) *b, int64_t i)
{
    if (!job->d->causal) return b->keys;
    int64_t seen = job->d->first + b->query + i + 1 - b->key;
    return seen < 0 ? 0 : FN(least)(seen, b->keys);
}

/* Lanes j, ..., j + VL - 1 of those that are seen and not masked. */
ALWAYS_INLINE vmask FN(allowed)(int64_t seen, const real *mask, int64_t j)
{
    int64_t left = seen - j;
    vmask m = mask_first(left < 0 ? 0 : FN(least)(left, VL));
    return mask ? m_and(m, v_lt(v_zero(), v_abs(v_load_mask(mask + j, m)))) : m;
}

ALWAYS_INLINE void FN(block_scores)(const FN(attention) *job, const FN(attention_block) *b, const real *queries,
                                    int64_t ld, const real *keys, real *scores)
{
    FN(tile_job) tiles = {.k = job->d->size, .row_a = ld, .step_a = 1, .ldb = BLOCK, .ldc = BLOCK};
    FN(run_columns)(tiles, b->queries, b->keys, queries, keys, NULL, scores);
}

/* c (+)= s x, or s^T x where turned: the block's scores with rows of x, `size` long. */
ALWAYS_INLINE void FN(block_product)(const FN(attention) *job, const FN(attention_block) *b, int turned, const real *s,
                                     const real *x, int64_t ldx, real *c, int64_t ldc, int load)
{
    FN(tile_job) tiles = {.k = turned ? b->queries : b->keys, .row_a = turned ? 1 : BLOCK, .step_a = turned ? BLOCK : 1,
                          .ldb = ldx, .ldc = ldc, .load = load};
    FN(run_columns)(tiles, turned ? b->keys : b->queries, job->d->size, s, x, NULL, c);
}

/* ---- forward ------------------------------------------------------------------------------------------------- */

/* What is known of a block's queries so far: the largest scaled score and the sum of exp(score - largest). */
typedef struct {
    real top[BLOCK], sum[BLOCK], shrink[BLOCK];
} FN(softmax_state);

/* The largest score of the keys that are seen: of whole vectors, and of a part or under a mask. */
ALWAYS_INLINE real FN(largest_score)(int64_t seen, const real *mask, const real *s)
{
    vec top = v_set1(-(real)INFINITY);
    int64_t j = 0;
    for (; !mask && j + VL <= seen; j += VL) top = v_max(top, v_load(s + j));
    for (; j < seen; j += VL)
        top = v_max(top, v_select(FN(allowed)(seen, mask, j), v_load(s + j), v_set1(-(real)INFINITY)));
    return v_reduce_max(top);
}

/* Scores of query i of the block to exp(score - largest), 0 where a key is not allowed. */
ALWAYS_INLINE void FN(softmax_query)(const FN(attention) *job, const FN(attention_block) *b, int64_t i, real *s,
                                     FN(softmax_state) *state)
{
    const int64_t seen = FN(keys_seen)(job, b, i);
    const real *mask = FN(key_mask)(job, b);
    const real before = state->top[i], found = FN(largest_score)(seen, mask, s) * job->scale;
    const real largest = found > before ? found : before;
    const vec scale = v_set1(job->scale), shift = v_set1(-largest);
    vec sum = v_zero();
    int64_t j = 0;
    for (; !mask && j + VL <= seen; j += VL) {
        vec p = FN(v_exp)(v_fma(v_load(s + j), scale, shift));
        v_store(s + j, p);
        sum = v_add(sum, p);
    }
    for (; j < seen; j += VL) {
        vec p = v_keep(FN(allowed)(seen, mask, j), FN(v_exp)(v_fma(v_load(s + j), scale, shift)));
        v_store(s + j, p);
        sum = v_add(sum, p);
    }
    for (; j < b->keys; j += VL) v_store(s + j, v_zero());
    state->shrink[i] = before - largest;
    state->top[i] = largest;
    state->sum[i] = v_reduce_add(sum);
}

/* Brings what was summed before this block to the new largest scores. */
static void FN(shrink_block)(const FN(attention) *job, const FN(attention_block) *b, FN(softmax_state) *state,
                             const real *before, real *y)
{
    for (int64_t i = 0; i < BLOCK; i += VL) v_store(state->shrink + i, FN(v_exp)(v_load(state->shrink + i)));
    for (int64_t i = 0; i < b->queries; i++, y += job->d->ldy) {
        state->sum[i] += before[i] * state->shrink[i];
        if (state->shrink[i] < 1) FN(map1)(job->d->size, y, y, v_set1(state->shrink[i]), FN(scale_op));
    }
}

/* Divides by the sums and keeps their logarithms. */
static void FN(finish_queries)(const FN(attention) *job, const FN(attention_block) *b, const FN(softmax_state) *state,
                               real *y)
{
    real *stats = job->stats ? job->stats + FN(stats_at)(job, b) : NULL;
    for (int64_t i = 0; i < b->queries; i++, y += job->d->ldy) {
        real sum = state->sum[i], inverse = sum > 0 ? 1 / sum : sum; /* what is not a number stays so */
        FN(map1)(job->d->size, y, y, v_set1(inverse), FN(scale_op));
    }
    if (!stats) return;
    for (int64_t i = 0; i < b->queries; i += VL) {
        vmask m = mask_first(FN(least)(VL, b->queries - i));
        vec sum = v_load(state->sum + i), log = v_add(v_load(state->top + i), FN(v_log)(sum));
        v_store_mask(stats + i, m, v_select(v_eq(sum, v_zero()), v_set1((real)INFINITY), log));
    }
}

static void FN(attend)(const FN(attention) *job, FN(attention_block) *b, const FN(attention_lane) *lane)
{
    const fnn_attention *d = job->d;
    const real *q = job->q + FN(query_at)(job, b, d->ldq);
    real *y = job->out + FN(query_at)(job, b, d->ldy), before[BLOCK];
    int64_t keys = d->causal ? FN(least)(d->keys, d->first + b->query + b->queries) : d->keys;
    FN(softmax_state) state;
    for (int64_t i = 0; i < BLOCK; i++) state.top[i] = -REAL_MAX, state.sum[i] = 0, state.shrink[i] = 0;
    for (b->key = 0; b->key < keys; b->key += BLOCK) {
        b->keys = FN(least)(BLOCK, keys - b->key);
        const int64_t at = FN(key_at)(job, b);
        FN(transpose_matrix)(b->keys, d->size, job->k + at, d->ldk, lane->keys, BLOCK, 0);
        FN(block_scores)(job, b, q, d->ldq, lane->keys, lane->scores);
        memcpy(before, state.sum, sizeof before);
        for (int64_t i = 0; i < b->queries; i++) FN(softmax_query)(job, b, i, lane->scores + i * BLOCK, &state);
        if (b->key) FN(shrink_block)(job, b, &state, before, y);
        FN(block_product)(job, b, 0, lane->scores, job->v + at, d->ldk, y, d->ldy, b->key > 0);
    }
    FN(finish_queries)(job, b, &state, y);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* Scores of query i to probabilities, and dscores from the gradients of these to those of the products q k. */
ALWAYS_INLINE void FN(softmax_query_back)(const FN(attention) *job, const FN(attention_block) *b, int64_t i,
                                          real log_sum, real mean, real *s, real *ds)
{
    const int64_t seen = FN(keys_seen)(job, b, i);
    const real *mask = FN(key_mask)(job, b);
    const vec scale = v_set1(job->scale), shift = v_set1(-log_sum), dy_y = v_set1(mean);
    int64_t j = 0;
    for (; j < seen; j += VL) {
        vec p = FN(v_exp)(v_fma(v_load(s + j), scale, shift));
        if (mask || j + VL > seen) p = v_keep(FN(allowed)(seen, mask, j), p);
        v_store(s + j, p);
        v_store(ds + j, v_mul(v_mul(p, v_sub(v_load(ds + j), dy_y)), scale));
    }
    for (; j < b->keys; j += VL) {
        v_store(s + j, v_zero());
        v_store(ds + j, v_zero());
    }
}

/* dy . y of each query of the block */
static void FN(query_means)(const FN(attention) *job, const FN(attention_block) *b, real *means)
{
    const int64_t at = FN(query_at)(job, b, job->d->ldy), size = job->d->size;
    for (int64_t i = 0; i < b->queries; i++) {
        const real *y = job->y + at + i * job->d->ldy, *dy = job->dy + at + i * job->d->ldy;
        vec sum = v_zero();
        int64_t j = 0;
        for (; j + VL <= size; j += VL) sum = v_fma(v_load(y + j), v_load(dy + j), sum);
        if (j < size) {
            vmask m = mask_first(size - j);
            sum = v_fma(v_load_mask(y + j, m), v_load_mask(dy + j, m), sum);
        }
        means[i] = v_reduce_add(sum);
    }
}

/* One block; `first` says that the gradients of its keys begin with it. */
static void FN(attend_back)(const FN(attention) *job, const FN(attention_block) *b, const FN(attention_lane) *lane,
                            int first)
{
    const fnn_attention *d = job->d;
    const int64_t key = FN(key_at)(job, b), query = FN(query_at)(job, b, d->ldq), at_y = FN(query_at)(job, b, d->ldy);
    const real *stats = job->stats + FN(stats_at)(job, b);
    real means[BLOCK];
    FN(query_means)(job, b, means);
    FN(block_scores)(job, b, job->q + query, d->ldq, lane->keys, lane->scores);
    FN(block_scores)(job, b, job->dy + at_y, d->ldy, lane->values, lane->dscores);
    for (int64_t i = 0; i < b->queries; i++)
        FN(softmax_query_back)(job, b, i, stats[i], means[i], lane->scores + i * BLOCK, lane->dscores + i * BLOCK);
    FN(block_product)(job, b, 1, lane->scores, job->dy + at_y, d->ldy, job->dv + key, d->ldk, !first || d->adds);
    FN(block_product)(job, b, 1, lane->dscores, job->q + query, d->ldq, job->dk + key, d->ldk, !first || d->adds);
    FN(block_product)(job, b, 0, lane->dscores, job->k + key, d->ldk, job->dq + query, d->ldq, b->key > 0 || d->adds);
}

/* ---- items and threads --------------------------------------------------------------------------------------- */

ALWAYS_INLINE int64_t FN(lane_reals)(const fnn_attention *d) { return 2 * BLOCK * (d->size + BLOCK); }

/* The scratch of a chunk. */
ALWAYS_INLINE FN(attention_lane) FN(attention_lane_of)(const FN(attention) *job, int64_t chunk)
{
    const int64_t operand = job->d->size * BLOCK;
    real *keys = job->scratch + chunk * FN(lane_reals)(job->d), *scores = keys + 2 * operand;
    return (FN(attention_lane)){keys, keys + operand, scores, scores + BLOCK * BLOCK};
}

static void FN(attention_scratch)(const fnn_ctx *cx, const fnn_attention *d, size_t *bytes)
{
    *bytes = (size_t)(cx->threads * FN(lane_reals)(d)) * sizeof(real);
}

ALWAYS_INLINE int64_t FN(query_blocks)(const fnn_attention *d) { return FN(parts_of)(d->queries, BLOCK); }

static void FN(attention_items)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(attention) *job = args;
    const int64_t blocks = FN(query_blocks)(job->d);
    const FN(attention_lane) lane = FN(attention_lane_of)(job, chunk);
    for (int64_t item = begin; item < end && !fnn_stopped(); item++) {
        FN(attention_block) b = {.row = item / blocks / job->d->heads, .head = item / blocks % job->d->heads,
                                 .query = item % blocks * BLOCK};
        b.queries = FN(least)(BLOCK, job->d->queries - b.query);
        FN(attend)(job, &b, &lane);
    }
}

static void FN(attention_items_back)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(attention) *job = args;
    const fnn_attention *d = job->d;
    const FN(attention_lane) lane = FN(attention_lane_of)(job, chunk);
    for (int64_t item = begin; item < end; item++) {
        FN(attention_block) b = {.row = item / d->heads, .head = item % d->heads};
        for (b.key = 0; b.key < d->keys && !fnn_stopped(); b.key += BLOCK) {
            b.keys = FN(least)(BLOCK, d->keys - b.key);
            const int64_t at = FN(key_at)(job, &b), first = d->causal ? b.key : 0;
            FN(transpose_matrix)(b.keys, d->size, job->k + at, d->ldk, lane.keys, BLOCK, 0);
            FN(transpose_matrix)(b.keys, d->size, job->v + at, d->ldk, lane.values, BLOCK, 0);
            for (b.query = first; b.query < d->queries; b.query += BLOCK) {
                b.queries = FN(least)(BLOCK, d->queries - b.query);
                FN(attend_back)(job, &b, &lane, b.query == first);
            }
        }
    }
}

/* A lane of scratch for each chunk, of which a thread has one. */
static void FN(run_attention)(const fnn_ctx *cx, FN(attention) *job, int64_t items, double flops, FN(range_body) body)
{
    const fnn_attention *d = job->d;
    double scores = (double)(d->rows * d->heads) * (double)d->queries * (double)d->keys;
    int threads = fnn_worthwhile_threads(cx, flops * scores * (double)d->size, FNN_GRAIN_FLOPS);
    job->scale = (real)(1 / sqrt((double)d->size));
    job->scratch = cx->scratch;
    if (threads > items) threads = (int)items;
    if (threads <= 1) body(job, 0, items, 0);
    else FN(run_chunks)(threads, items, FN(parts_of)(items, threads), body, job);
}

static void FN(attention_forward)(const fnn_ctx *cx, const fnn_attention *d, const real *q, const real *k,
                                  const real *v, const real *mask, real *y, real *stats)
{
    FN(attention) job = {.d = d, .q = q, .k = k, .v = v, .mask = mask, .out = y, .stats = stats};
    FN(run_attention)(cx, &job, d->rows * d->heads * FN(query_blocks)(d), 4, FN(attention_items));
}

static void FN(attention_backward)(const fnn_ctx *cx, const fnn_attention *d, const real *q, const real *k,
                                   const real *v, const real *mask, const real *y, const real *stats, const real *dy,
                                   real *dq, real *dk, real *dv)
{
    FN(attention) job = {.d = d, .q = q, .k = k, .v = v, .mask = mask, .y = y, .dy = dy,
                         .stats = (real *)(uintptr_t)stats, .dq = dq, .dk = dk, .dv = dv};
    FN(run_attention)(cx, &job, d->rows * d->heads, 10, FN(attention_items_back));
}
