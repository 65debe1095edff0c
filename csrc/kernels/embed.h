/* embed.h: rows of a table by the ids of tokens, and the gradient of the table.
 *
 * Backward first threads the places of each token on a list, from the first to the last, so that the rows of the table
 * are independent of each other: threads share them out, each row is summed in one order and written once, whether a
 * token reads it or not, and nothing is cleared before. The optimizer's rule can follow in the same walk, over a block
 * of rows that is summed on the stack: then a large table's gradient never goes to memory. */

#undef EMBED_BLOCK
#define EMBED_BLOCK 2048 /* elements of the table summed at a time: with their slots they stay in L1 */

typedef struct {
    const fnn_embed *d;
    const int32_t *ids;
    const real *table, *dy;
    real *out;      /* y, or the table's gradient */
    int64_t *first; /* of each token: its first place, or -1 */
    int64_t *next;  /* of each place: the token's next one, or -1 */
    FN(rule) rule;
} FN(embedding);

static void FN(embed_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(embedding) *job = args;
    const int64_t cols = job->d->cols;
    (void)chunk;
    for (int64_t i = begin; i < end; i++) FN(copy_row)(cols, job->table + job->ids[i] * cols, job->out + i * cols);
}

static void FN(embed_forward)(const fnn_ctx *cx, const fnn_embed *d, const int32_t *ids, const real *table, real *y)
{
    FN(embedding) job = {.d = d, .ids = ids, .table = table, .out = y};
    FN(for_items)(cx, d->count, d->cols, FN(embed_range), &job);
}

static void FN(embed_scratch)(const fnn_ctx *cx, const fnn_embed *d, size_t *bytes)
{
    (void)cx;
    *bytes = (size_t)(d->count + d->tokens) * sizeof(int64_t);
}

/* Columns [column, column + n) of a token's gradient. */
ALWAYS_INLINE void FN(embed_sum)(const FN(embedding) *job, int64_t token, int64_t column, int64_t n, real *sum,
                                 int adds)
{
    const int64_t cols = job->d->cols;
    int64_t place = job->first[token];
    if (place < 0) {
        if (!adds) memset(sum, 0, (size_t)n * sizeof(real));
        return;
    }
    if (!adds) {
        FN(copy_row)(n, job->dy + place * cols + column, sum);
        place = job->next[place];
    }
    for (; place >= 0; place = job->next[place])
        FN(map2)(n, sum, job->dy + place * cols + column, sum, v_zero(), FN(add_op));
}

static void FN(embed_tokens)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(embedding) *job = args;
    const int64_t cols = job->d->cols;
    (void)chunk;
    for (int64_t token = begin; token < end; token++)
        FN(embed_sum)(job, token, 0, cols, job->out + token * cols, job->d->accumulate);
}

/* The same with the rule after it: as many whole rows as a block holds, or a row in several. */
static void FN(embed_update)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(embedding) *job = args;
    const int64_t cols = job->d->cols, most = cols < EMBED_BLOCK ? EMBED_BLOCK / cols : 1;
    real sums[EMBED_BLOCK];
    (void)chunk;
    for (int64_t token = begin; token < end; token += most)
        for (int64_t column = 0; column < cols; column += EMBED_BLOCK) {
            int64_t rows = FN(least)(most, end - token), n = FN(least)(EMBED_BLOCK, cols - column);
            for (int64_t i = 0; i < rows; i++) FN(embed_sum)(job, token + i, column, n, sums + i * n, 0);
            FN(optim_block) block = {.rows = 1, .cols = rows * n, .at = token * cols + column, .g = sums};
            job->rule.run(&job->rule.args, &block);
        }
}

static void FN(embed_backward)(const fnn_ctx *cx, const fnn_embed *d, const int32_t *ids, const real *dy, real *dtable)
{
    int64_t *first = cx->scratch;
    FN(embedding) job = {.d = d, .dy = dy, .out = dtable, .first = first, .next = first + d->tokens};
    for (int64_t token = 0; token < d->tokens; token++) job.first[token] = -1;
    for (int64_t i = d->count - 1; i >= 0; i--) {
        job.next[i] = job.first[ids[i]];
        job.first[ids[i]] = i;
    }
    if (d->update) job.rule = FN(rule_of)(d->update);
    FN(for_items)(cx, d->tokens, d->cols, d->update ? FN(embed_update) : FN(embed_tokens), &job);
}

/* ---- positions ----------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t cols;
    const real *x, *row;
    real *y;
} FN(row_sum);

static void FN(add_row_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(row_sum) *job = args;
    (void)chunk;
    for (int64_t i = begin; i < end; i++)
        FN(map2)(job->cols, job->x + i * job->cols, job->row, job->y + i * job->cols, v_zero(), FN(add_op));
}

static void FN(add_row)(const fnn_ctx *cx, int64_t rows, int64_t cols, const real *x, const real *row, real *y)
{
    FN(for_items)(cx, rows, cols, FN(add_row_range), &(FN(row_sum)){cols, x, row, y});
}
