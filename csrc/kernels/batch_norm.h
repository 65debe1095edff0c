/* batch_norm.h: batch normalization of the columns of a matrix, and the affine map that it is in prediction.
 *
 * The rows are cut into parts by the sizes alone. A part's sums are taken around a pivot, the first row, so that a mean
 * far from 0 costs no digits of the variance, and in double; the parts are added in order. Narrow rows lie side by side in a
 * line of whole vectors: 8 rows of 6 columns are a line of 48. What is said for each column is laid out once a call for a
 * whole line, a tile. */

#undef NORM_PARTS
#undef NORM_PART
#undef NORM_PIECE
#undef NORM_TILES
#define NORM_PARTS 16       /* at most */
#define NORM_PART 8192      /* elements of a part, at least */
#define NORM_PIECE 4096     /* elements that a walk over the columns of some lines keeps in the nearest cache */
#define NORM_TILES 4

typedef struct {
    const fnn_batch_norm *d;
    int64_t side_by_side, width, lines, parts; /* width: of a line, in elements; rows that fill no line come last */
    real *tile[NORM_TILES];
    double *sums; /* of each part 2 x width: of u, of u v */
    const real *x, *y;
    real *dy, *out;
} FN(batch_norm);

/* Some lines, from element `at` on; or, of the rows that fill no line, one that is shorter. */
typedef struct {
    int64_t at, count, width;
} FN(piece);

static FN(batch_norm) FN(batch_norm_plan)(const fnn_batch_norm *d)
{
    FN(batch_norm) n = {.d = d, .side_by_side = 1};
    if (d->cols < 4 * VL)
        for (int64_t odd = VL; n.side_by_side * d->cols % VL != 0 && odd > 1; odd /= 2) n.side_by_side *= 2;
    n.width = n.side_by_side * d->cols;
    n.lines = d->rows / n.side_by_side;
    n.parts = FN(least)(NORM_PARTS, d->rows * d->cols / NORM_PART);
    if (n.parts < 1) n.parts = 1;
    return n;
}

/* Divides the scratch up; returns its size, which never falls as the rows get more. */
static size_t FN(batch_norm_layout)(FN(batch_norm) *n, char *scratch)
{
    size_t tile = FN(lines)(n->width, sizeof(real)), sums = (size_t)(n->parts * 2 * n->width) * sizeof(double);
    if (scratch) {
        for (int i = 0; i < NORM_TILES; i++) n->tile[i] = (real *)(void *)(scratch + (size_t)i * tile);
        n->sums = (double *)(void *)(scratch + NORM_TILES * tile);
    }
    return NORM_TILES * tile + sums;
}

static void FN(batch_norm_scratch)(const fnn_ctx *cx, const fnn_batch_norm *d, size_t *bytes)
{
    FN(batch_norm) n = FN(batch_norm_plan)(d);
    (void)cx;
    *bytes = FN(batch_norm_layout)(&n, NULL);
}

/* The first row of a tile is set; the others follow. */
static void FN(repeat_row)(const FN(batch_norm) *n, real *tile)
{
    for (int64_t i = n->d->cols; i < n->width; i++) tile[i] = tile[i - n->d->cols];
}

typedef void (*FN(piece_op))(const FN(batch_norm) *n, FN(piece) piece, double *sums);

/* Calls op for the pieces of a part; `sums` are the part's. */
ALWAYS_INLINE void FN(batch_norm_part)(const FN(batch_norm) *n, int64_t part, FN(piece_op) op)
{
    const int64_t end = n->lines * (part + 1) / n->parts, step = n->width < NORM_PIECE ? NORM_PIECE / n->width : 1;
    double *sums = n->sums + part * 2 * n->width;
    for (int64_t i = n->lines * part / n->parts; i < end; i += step)
        op(n, (FN(piece)){i * n->width, FN(least)(step, end - i), n->width}, sums);
    int64_t rest = n->d->rows * n->d->cols - n->lines * n->width;
    if (part == n->parts - 1 && rest) op(n, (FN(piece)){n->lines * n->width, 1, rest}, sums);
}

/* ---- sums: of u and of u v over the lines of a piece ----------------------------------------------------------- */

/* forward: both x - pivot; backward: dz, and x - mean */
ALWAYS_INLINE void FN(batch_norm_terms)(const FN(batch_norm) *n, const int back, int64_t at, vmask m, vec pivot, wide *u_sum, wide *uv_sum)
{
    vec v = v_sub(v_load_mask(n->x + at, m), pivot), u = back ? v_load_mask(n->dy + at, m) : v_keep(m, v);
    *u_sum = wide_add(*u_sum, u);
    *uv_sum = wide_fma(*uv_sum, u, v);
}

ALWAYS_INLINE void FN(sum_piece)(const FN(batch_norm) *n, const int back, FN(piece) p, double *sums)
{
    for (int64_t j = 0; j < p.width; j += VL) {
        const int64_t lanes = FN(least)(VL, p.width - j);
        const vmask m = mask_first(lanes);
        const vec pivot = v_load_mask(n->tile[0] + j, m);
        wide u[2] = {wide_zero(), wide_zero()}, uv[2] = {wide_zero(), wide_zero()}; /* of even and odd lines */
        int64_t at = p.at + j, i = 0;
        for (; i + 2 <= p.count; i += 2, at += 2 * p.width) {
            FN(batch_norm_terms)(n, back, at, m, pivot, &u[0], &uv[0]);
            FN(batch_norm_terms)(n, back, at + p.width, m, pivot, &u[1], &uv[1]);
        }
        if (i < p.count) FN(batch_norm_terms)(n, back, at, m, pivot, &u[0], &uv[0]);
        double found[2][VL];
        wide_store(found[0], wide_join(u[0], u[1]));
        wide_store(found[1], wide_join(uv[0], uv[1]));
        for (int64_t k = 0; k < lanes; k++) {
            sums[j + k] += found[0][k];
            sums[n->width + j + k] += found[1][k];
        }
    }
}

ALWAYS_INLINE void FN(forward_sums)(const FN(batch_norm) *n, FN(piece) p, double *sums) { FN(sum_piece)(n, 0, p, sums); }

/* dz = dy f'(y), in place of dy, just before it is summed. */
ALWAYS_INLINE void FN(backward_sums)(const FN(batch_norm) *n, FN(piece) p, double *sums)
{
    if (n->d->activation != FNN_LINEAR) {
        FN(activation_args) args = {.kind = n->d->activation, .alpha = (real)n->d->alpha, .x = n->y + p.at,
                                    .dy = n->dy + p.at, .y = n->dy + p.at};
        FN(activation_backward_range)(&args, 0, p.count * p.width, 0);
    }
    FN(sum_piece)(n, 1, p, sums);
}

/* The sums of a column over all parts, and over the rows of a line. */
static void FN(column_totals)(const FN(batch_norm) *n, int64_t col, double *u, double *uv)
{
    *u = *uv = 0;
    for (int64_t part = 0; part < n->parts; part++) {
        const double *sums = n->sums + part * 2 * n->width;
        for (int64_t i = col; i < n->width; i += n->d->cols) *u += sums[i], *uv += sums[n->width + i];
    }
}

/* ---- maps ------------------------------------------------------------------------------------------------------ */

/* y = f((x - tile 0) tile 1 + tile 2) */
ALWAYS_INLINE void FN(map_piece)(const FN(batch_norm) *n, FN(piece) p, double *sums)
{
    (void)sums;
    for (int64_t j = 0; j < p.width; j += VL) {
        const vmask m = mask_first(FN(least)(VL, p.width - j));
        const vec mean = v_load_mask(n->tile[0] + j, m), scale = v_load_mask(n->tile[1] + j, m);
        const vec shift = v_load_mask(n->tile[2] + j, m);
        for (int64_t i = 0, at = p.at + j; i < p.count; i++, at += p.width)
            v_store_mask(n->out + at, m, v_fma(v_sub(v_load_mask(n->x + at, m), mean), scale, shift));
    }
    if (n->d->activation == FNN_LINEAR) return;
    FN(activation_args) args = {.kind = n->d->activation, .alpha = (real)n->d->alpha, .x = n->out + p.at, .y = n->out + p.at};
    FN(activation_forward_range)(&args, 0, p.count * p.width, 0);
}

/* dx (+)= tile 1 dz + tile 2 (x - tile 0) + tile 3 */
ALWAYS_INLINE void FN(map_piece_back)(const FN(batch_norm) *n, FN(piece) p, double *sums)
{
    const int adds = n->d->adds_dx;
    (void)sums;
    for (int64_t j = 0; j < p.width; j += VL) {
        const vmask m = mask_first(FN(least)(VL, p.width - j));
        const vec mean = v_load_mask(n->tile[0] + j, m), a = v_load_mask(n->tile[1] + j, m);
        const vec b = v_load_mask(n->tile[2] + j, m), c = v_load_mask(n->tile[3] + j, m);
        for (int64_t i = 0, at = p.at + j; i < p.count; i++, at += p.width) {
            vec dx = v_fma(v_sub(v_load_mask(n->x + at, m), mean), b, c);
            dx = v_fma(v_load_mask(n->dy + at, m), a, dx);
            v_store_mask(n->out + at, m, adds ? v_add(v_load_mask(n->out + at, m), dx) : dx);
        }
    }
}

#undef NORM_RANGE
#define NORM_RANGE(name)                                                                                             \
    static void FN(name##_parts)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        (void)chunk;                                                                                                 \
        for (int64_t part = begin; part < end; part++) FN(batch_norm_part)(args, part, FN(name));                          \
    }
NORM_RANGE(forward_sums)
NORM_RANGE(backward_sums)
NORM_RANGE(map_piece)
NORM_RANGE(map_piece_back)

static void FN(run_parts)(const fnn_ctx *cx, FN(batch_norm) *n, FN(range_body) body)
{
    int threads = FN(threads_for_elements)(cx, (double)n->d->rows * (double)n->d->cols);
    FN(run_chunks)(threads, n->parts, 1, body, n);
}

static void FN(run_sums)(const fnn_ctx *cx, FN(batch_norm) *n, FN(range_body) body)
{
    for (int64_t i = 0; i < n->parts * 2 * n->width; i++) n->sums[i] = 0;
    FN(run_parts)(cx, n, body);
}

/* ---- kernels --------------------------------------------------------------------------------------------------- */

static void FN(batch_norm_forward)(const fnn_ctx *cx, const fnn_batch_norm *d, const real *x, const real *weight,
                                   const real *bias, real *y, real *mean, real *variance)
{
    FN(batch_norm) n = FN(batch_norm_plan)(d);
    const double rows = (double)d->rows;
    FN(batch_norm_layout)(&n, cx->scratch);
    n.x = x, n.out = y;
    memcpy(n.tile[0], x, (size_t)d->cols * sizeof(real));
    FN(repeat_row)(&n, n.tile[0]);
    FN(run_sums)(cx, &n, FN(forward_sums_parts));
    for (int64_t j = 0; j < d->cols; j++) {
        double u, uv;
        FN(column_totals)(&n, j, &u, &uv);
        double spread = (uv - u * u / rows) / rows;
        if (spread < 0) spread = 0; /* by rounding; NaN stays */
        mean[j] = n.tile[0][j] = (real)((double)n.tile[0][j] + u / rows);
        variance[j] = (real)spread;
        n.tile[1][j] = (real)((double)weight[j] / sqrt(spread + d->epsilon));
        n.tile[2][j] = bias[j];
    }
    for (int i = 0; i < 3; i++) FN(repeat_row)(&n, n.tile[i]);
    FN(run_parts)(cx, &n, FN(map_piece_parts));
}

static void FN(batch_norm_backward)(const fnn_ctx *cx, const fnn_batch_norm *d, const real *x, const real *weight,
                                    const real *mean, const real *variance, const real *y, real *dy, real *dx,
                                    real *dweight, real *dbias)
{
    FN(batch_norm) n = FN(batch_norm_plan)(d);
    const double rows = (double)d->rows;
    FN(batch_norm_layout)(&n, cx->scratch);
    n.x = x, n.y = y, n.dy = dy, n.out = dx;
    memcpy(n.tile[0], mean, (size_t)d->cols * sizeof(real));
    FN(repeat_row)(&n, n.tile[0]);
    FN(run_sums)(cx, &n, FN(backward_sums_parts));
    for (int64_t j = 0; j < d->cols; j++) {
        double u, uv, inverse = 1 / sqrt((double)variance[j] + d->epsilon), scale = (double)weight[j] * inverse;
        FN(column_totals)(&n, j, &u, &uv);
        dweight[j] = (real)((d->adds_dw ? (double)dweight[j] : 0) + uv * inverse);
        dbias[j] = (real)((d->adds_dw ? (double)dbias[j] : 0) + u);
        n.tile[1][j] = (real)scale;
        n.tile[2][j] = (real)(-scale * inverse * inverse * uv / rows);
        n.tile[3][j] = (real)(-scale * u / rows);
    }
    if (!dx) return;
    for (int i = 1; i < NORM_TILES; i++) FN(repeat_row)(&n, n.tile[i]);
    FN(run_parts)(cx, &n, FN(map_piece_back_parts));
}

static void FN(batch_norm_affine)(const fnn_ctx *cx, const fnn_batch_norm *d, const real *weight, const real *bias,
                                  const real *mean, const real *variance, real *scale, real *shift)
{
    (void)cx;
    for (int64_t j = 0; j < d->cols; j++) {
        double s = (double)weight[j] / sqrt((double)variance[j] + d->epsilon);
        shift[j] = (real)((double)bias[j] - (double)mean[j] * s);
        scale[j] = (real)s;
    }
}

static void FN(scale_shift)(const fnn_ctx *cx, const fnn_batch_norm *d, const real *x, const real *scale, const real *shift,
                            real *y)
{
    FN(batch_norm) n = FN(batch_norm_plan)(d);
    FN(batch_norm_layout)(&n, cx->scratch);
    n.x = x, n.out = y;
    for (int64_t j = 0; j < d->cols; j++) {
        n.tile[0][j] = 0;
        n.tile[1][j] = scale[j];
        n.tile[2][j] = shift ? shift[j] : 0;
    }
    for (int i = 0; i < 3; i++) FN(repeat_row)(&n, n.tile[i]);
    FN(run_parts)(cx, &n, FN(map_piece_parts));
}
