/* recurrent.h: networks that carry a state from step to step (fnn_recurrent), and their gradients.
 *
 * A step's sums x W + b and h U are formed one after the other in the same small panel of columns, while it is in L1:
 * the sums of all steps at once, as one large product, would be written out and read again. What backward needs of
 * every step is kept on a tape, step after step, each for all rows; prediction goes round in one step of tape. Backward
 * leaves the gradients of the sums there, and dw, du and the biases' gradients are then products and sums over all
 * steps at once.
 *
 * Rows do not depend on each other. They are cut into blocks, each of which goes through all steps on one thread: one
 * parallel region, and no meeting at every step. Where there are fewer blocks than threads, or a second-level cache
 * does not hold the weights, strips of units are shared out at every step instead. Blocks, panels and strips follow
 * from the dims alone, so the result does not show which way it went. */
#include "recurrent_cells.h"

#undef RECURRENT_BLOCK
#undef RECURRENT_LEAST_ROWS
#undef RECURRENT_STEPS
#undef RECURRENT_PACK
#undef RECURRENT_SHARE
#define RECURRENT_BLOCK 16      /* rows of a block, at most: three tiles, for which a panel of weights is read once */
#define RECURRENT_LEAST_ROWS 24 /* to be cut in two */
#define RECURRENT_STEPS 128     /* of k at once: a panel of so many is 32 KB, and stays in L1 for a block's tiles */
#define RECURRENT_SHARE 1.5e5   /* operations of a thread in a step, a microsecond, that are worth a meeting after it: one
                                   row of LSTM 128 1.45 times as fast on two threads, of LSTM 96 1.12 times */
#define RECURRENT_PACK 16       /* rows, of all steps together, that pay for a packed copy of the weights */

typedef struct {
    const fnn_recurrent *d;
    int64_t units, width;           /* width: columns of the weights, gates x units */
    int64_t joint;                  /* columns in which x W and h U are added up; after them GRU's n keeps h U apart */
    int64_t strips, strip_panels;   /* stretches of GEMM_PANEL units, and the panels of columns of each */
    int64_t gate_panels;            /* whether a panel holds columns of one gate alone */
    int64_t blocks;
    int keeps;                      /* the tape has every step */
    const real *x, *w, *u, *bias, *rbias, *mask;
    real *y, *c_last;
    real *gates, *inner;            /* the tape: (steps, rows, width), (steps, rows, units) */
    real *h, *c;                    /* and the states before and after each step, (steps + 1, rows, units) */
    real *panels;                   /* forward: W over U by panels, or NULL; backward: U^T by panels */
    const real *dy;
    real *dx, *dh, *dc;             /* dh, dc: (rows, units), of the state after the step at hand */
    real *input_panels, *inputs;    /* backward: W^T by panels; x step by step, as the tape
                                       lies; then the sums of the biases */
} FN(recurrent);

static int64_t FN(gates_of)(int32_t cell) { return cell == FNN_LSTM ? 4 : cell == FNN_GRU ? 3 : 1; }

static void FN(recurrent_plan)(FN(recurrent) *c, const fnn_recurrent *d)
{
    memset(c, 0, sizeof *c);
    c->d = d;
    c->units = d->units;
    c->width = FN(gates_of)(d->cell) * d->units;
    c->joint = d->cell == FNN_GRU ? 2 * d->units : c->width;
    c->strips = FN(parts_of)(d->units, GEMM_PANEL);
    c->gate_panels = d->cell == FNN_GRU || d->units >= GEMM_PANEL; /* the narrow gates of an LSTM share a panel */
    c->strip_panels = c->gate_panels ? FN(gates_of)(d->cell) : FN(parts_of)(c->width, GEMM_PANEL);
    c->blocks = d->rows < RECURRENT_LEAST_ROWS ? 1 : 2 * FN(parts_of)(d->rows, 2 * RECURRENT_BLOCK);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static real *FN(carve)(real **memory, int64_t *used, int64_t size)
{
    const int64_t line = 64 / (int64_t)sizeof(real);
    real *place = *memory ? *memory + *used : NULL;
    *used += FN(parts_of)(size, line) * line;
    return place;
}

/* Lays the tape out in `memory`; returns its elements. */
static int64_t FN(lay_tape)(FN(recurrent) *c, real *memory, int keeps)
{
    const fnn_recurrent *d = c->d;
    int64_t used = 0, steps = keeps ? d->steps : 1;
    c->keeps = keeps;
    c->h = FN(carve)(&memory, &used, (steps + 1) * d->rows * c->units);
    c->gates = FN(carve)(&memory, &used, steps * d->rows * c->width);
    if (d->cell == FNN_LSTM) c->c = FN(carve)(&memory, &used, (steps + 1) * d->rows * c->units);
    if (d->cell == FNN_GRU) c->inner = FN(carve)(&memory, &used, steps * d->rows * c->units);
    return used;
}

static int64_t FN(lay_forward)(FN(recurrent) *c, real *memory)
{
    int64_t used = 0;
    c->panels = FN(carve)(&memory, &used, c->strips * c->strip_panels * (c->d->inputs + c->units) * GEMM_PANEL);
    return used;
}

static int64_t FN(lay_backward)(FN(recurrent) *c, real *memory)
{
    const fnn_recurrent *d = c->d;
    int64_t used = 0;
    c->panels = FN(carve)(&memory, &used, c->strips * GEMM_PANEL * c->width);
    c->input_panels = FN(carve)(&memory, &used, FN(parts_of)(d->inputs, GEMM_PANEL) * GEMM_PANEL * c->width);
    int64_t inputs = d->steps * d->rows * d->inputs;
    c->inputs = FN(carve)(&memory, &used, inputs > c->width ? inputs : c->width);
    c->dh = FN(carve)(&memory, &used, d->rows * c->units);
    c->dc = FN(carve)(&memory, &used, d->rows * c->units);
    return used;
}

/* dw = x^T D, or du = h^T D for columns of D, the gradients of the sums of all steps */
static fnn_gemm FN(weight_sums)(const FN(recurrent) *c, int64_t m, int64_t columns, int64_t ldb)
{
    return (fnn_gemm){.m = m, .n = columns, .k = c->d->steps * c->d->rows, .lda = m, .ldb = ldb, .ldc = c->width,
                      .accumulate = c->d->adds_dw};
}

static void FN(recurrent_scratch)(const fnn_ctx *cx, const fnn_recurrent *d, size_t *bytes, int64_t *tape)
{
    FN(recurrent) c;
    FN(recurrent_plan)(&c, d);
    const fnn_gemm products[] = {FN(weight_sums)(&c, d->inputs, c.width, c.width),
                                 FN(weight_sums)(&c, c.units, c.joint, c.width),
                                 FN(weight_sums)(&c, c.units, c.units, c.units)};
    size_t product = 0;
    for (int i = 0; i < 3; i++) {
        size_t wanted = FN(gemm_scratch)(&products[i], cx->precision, cx->threads);
        if (wanted > product) product = wanted;
    }
    int64_t forward = FN(lay_tape)(&c, NULL, 0) + FN(lay_forward)(&c, NULL), backward = FN(lay_backward)(&c, NULL);
    size_t forward_bytes = (size_t)forward * sizeof(real), backward_bytes = (size_t)backward * sizeof(real) + product;
    *bytes = forward_bytes > backward_bytes ? forward_bytes : backward_bytes;
    *tape = FN(lay_tape)(&c, NULL, 1);
}

/* What the tape holds of step s: (rows, width) of the gates, (rows, units) of sums apart and of the states before. */
ALWAYS_INLINE real *FN(gates_at)(const FN(recurrent) *c, int64_t s)
{
    return c->gates + (c->keeps ? s : 0) * c->d->rows * c->width;
}
ALWAYS_INLINE real *FN(inner_at)(const FN(recurrent) *c, int64_t s)
{
    return c->inner + (c->keeps ? s : 0) * c->d->rows * c->units;
}
ALWAYS_INLINE real *FN(state_at)(const FN(recurrent) *c, real *states, int64_t s)
{
    return states + (c->keeps ? s : s % 2) * c->d->rows * c->units;
}
/* The time of step s. */
ALWAYS_INLINE int64_t FN(time_at)(const fnn_recurrent *d, int64_t s) { return d->reverse ? d->steps - 1 - s : s; }

/* ---- products of a few rows with a panel ----------------------------------------------------------------------- */

typedef struct {
    FN(tile_job) job;
    int64_t vectors, edged, row, end;
} FN(panel_job);

/* Rows [row, end) of C by `columns` columns. */
static FN(panel_job) FN(panel_of)(int64_t columns, int64_t row, int64_t end, int64_t ldc)
{
    int64_t w = FN(parts_of)(columns, VL);
    return (FN(panel_job)){.job = {.step_a = 1, .ldc = ldc, .edge = mask_first(columns - (w - 1) * VL)},
                           .vectors = w, .edged = columns % VL != 0, .row = row, .end = end};
}

/* C = or += A B + bias, over k in stretches for which B stays in L1; whatever follows adds to C. */
static void FN(multiply_panel)(FN(panel_job) *p, int64_t k, const real *a, int64_t lda, const real *b, int64_t ldb,
                               const real *bias, real *c)
{
    p->job.row_a = lda;
    p->job.ldb = ldb;
    for (int64_t step = 0; step < k; step += RECURRENT_STEPS) {
        p->job.k = FN(least)(RECURRENT_STEPS, k - step);
        FN(run_tiles)(&p->job, p->vectors, p->edged != 0, p->row, p->end, 1, 0, a + step, b + step * ldb,
                      step + RECURRENT_STEPS >= k ? bias : NULL, c);
        p->job.load = 1;
    }
}

/* The columns of panel i of a strip; returns their number. */
static int64_t FN(panel_columns)(const FN(recurrent) *c, int64_t strip, int64_t i, int64_t *column)
{
    int64_t at = strip * GEMM_PANEL;
    *column = c->gate_panels ? i * c->units + at : i * GEMM_PANEL;
    return FN(least)(GEMM_PANEL, c->gate_panels ? c->units - at : c->width - *column);
}

/* ---- forward ------------------------------------------------------------------------------------------------- */

static void FN(pack_weights)(void *arg, int64_t strip)
{
    const FN(recurrent) *c = arg;
    const int64_t size = (c->d->inputs + c->units) * GEMM_PANEL;
    real *to = c->panels + strip * c->strip_panels * size;
    for (int64_t i = 0; i < c->strip_panels; i++, to += size) {
        int64_t column, columns = FN(panel_columns)(c, strip, i, &column), w = FN(parts_of)(columns, VL);
        FN(pack_rows)(c->d->inputs, columns, c->w + column, c->width, 0, to);
        FN(pack_rows)(c->units, columns, c->u + column, c->width, 0, to + c->d->inputs * w * VL);
    }
}

/* The sums of one panel: x W + b, and h U added to them or, for GRU's n, apart. */
static void FN(forward_panel)(const FN(recurrent) *c, int64_t s, int64_t row, int64_t end, int64_t strip, int64_t i)
{
    const fnn_recurrent *d = c->d;
    int64_t column, columns = FN(panel_columns)(c, strip, i, &column), ldb = c->width;
    const real *w = c->w + column, *u = c->u + column;
    FN(panel_job) p = FN(panel_of)(columns, row, end, c->width);
    if (c->panels) {
        ldb = p.vectors * VL;
        w = c->panels + (strip * c->strip_panels + i) * (d->inputs + c->units) * GEMM_PANEL;
        u = w + d->inputs * ldb;
    }
    real *sums = FN(gates_at)(c, s) + column;
    FN(multiply_panel)(&p, d->inputs, c->x + FN(time_at)(d, s) * d->inputs, d->steps * d->inputs, w, ldb,
                       c->bias ? c->bias + column : NULL, sums);
    if (column >= c->joint) {
        sums = FN(inner_at)(c, s) + column - c->joint;
        p.job.ldc = c->units;
        p.job.load = 0;
    }
    FN(multiply_panel)(&p, c->units, FN(state_at)(c, c->h, s), c->units, u, ldb, c->rbias ? c->rbias + column : NULL,
                       sums);
}

/* One row's place at step s. */
ALWAYS_INLINE FN(cell) FN(cell_at)(const FN(recurrent) *c, int64_t s, int64_t row)
{
    FN(cell) cell = {.units = c->units, .keeps = c->keeps, .gates = FN(gates_at)(c, s) + row * c->width};
    cell.h_before = FN(state_at)(c, c->h, s) + row * c->units;
    cell.h = FN(state_at)(c, c->h, s + 1) + row * c->units;
    if (c->inner) cell.inner = FN(inner_at)(c, s) + row * c->units;
    if (c->c) {
        cell.c_before = FN(state_at)(c, c->c, s) + row * c->units;
        cell.c = FN(state_at)(c, c->c, s + 1) + row * c->units;
    }
    return cell;
}

ALWAYS_INLINE int FN(is_padding)(const FN(recurrent) *c, int64_t row, int64_t time)
{
    return c->mask && c->mask[row * c->d->steps + time] == 0;
}

/* The i-th of `count` at step s: every other step goes from the last to the first, and finds what the one before read
 * last still in L1: 1.2 times as fast for one row of 64 units. */
ALWAYS_INLINE int64_t FN(there_and_back)(int64_t s, int64_t i, int64_t count) { return s % 2 ? count - 1 - i : i; }

/* Step s of the rows [row, end) and the units of one strip. */
static void FN(forward_strip_at)(const FN(recurrent) *c, int64_t s, int64_t row, int64_t end, int64_t strip)
{
    const fnn_recurrent *d = c->d;
    const int64_t unit = strip * GEMM_PANEL, last_unit = FN(least)(unit + GEMM_PANEL, c->units), n = last_unit - unit;
    const int64_t time = FN(time_at)(d, s);
    const int last = s == d->steps - 1;
    for (int64_t i = 0; i < c->strip_panels; i++)
        FN(forward_panel)(c, s, row, end, strip, FN(there_and_back)(s, i, c->strip_panels));
    for (; row < end; row++) {
        const FN(cell) cell = FN(cell_at)(c, s, row);
        if (FN(is_padding)(c, row, time)) { /* the state goes on as it is */
            FN(copy_row)(n, cell.h_before + unit, cell.h + unit);
            if (c->c) FN(copy_row)(n, cell.c_before + unit, cell.c + unit);
        } else {
            FN(cell_forward)(d->cell, &cell, unit, last_unit);
        }
        if (d->sequences) FN(copy_row)(n, cell.h + unit, c->y + row * d->row_y + time * c->units + unit);
        else if (last) FN(copy_row)(n, cell.h + unit, c->y + row * d->row_y + unit);
        if (last && c->c_last) FN(copy_row)(n, cell.c + unit, c->c_last + row * d->row_y + unit);
    }
}

static void FN(forward_block)(void *arg, int64_t block)
{
    const FN(recurrent) *c = arg;
    const int64_t row = c->d->rows * block / c->blocks, end = c->d->rows * (block + 1) / c->blocks;
    for (int64_t s = 0; s < c->d->steps && !(s % 16 == 15 && fnn_stopped()); s++)
        for (int64_t strip = 0; strip < c->strips; strip++)
            FN(forward_strip_at)(c, s, row, end, FN(there_and_back)(s, strip, c->strips));
}

static void FN(forward_strips)(void *arg, int64_t s, int64_t item)
{
    const FN(recurrent) *c = arg;
    const int64_t strip = item / c->blocks, block = item % c->blocks;
    FN(forward_strip_at)(c, s, c->d->rows * block / c->blocks, c->d->rows * (block + 1) / c->blocks, strip);
}

/* Threads for all steps of the blocks, or, where `by_strips` is set, for each step's strips. */
static int FN(recurrent_threads)(const FN(recurrent) *c, const fnn_ctx *cx, int *by_strips)
{
    const fnn_recurrent *d = c->d;
    const double weights = (double)(d->inputs + c->units) * (double)c->width;
    const double step = 2. * (double)(d->rows + FNN_READING_ROWS) * weights;
    const int large = weights * sizeof(real) > (double)fnn_cache_size(2);
    const int threads = fnn_worthwhile_threads(cx, step * (double)d->steps, FNN_GRAIN_FLOPS);
    const double most = step / RECURRENT_SHARE;
    *by_strips = threads > 1 && c->strips > 1 && most >= 2 && (large || c->blocks < threads);
    return *by_strips && most < threads ? (int)most : threads;
}

static void FN(recurrent_forward)(const fnn_ctx *cx, const fnn_recurrent *d, const real *x, const real *w,
                                  const real *u, const real *bias, const real *rbias, const real *h0, const real *c0,
                                  const real *mask, real *y, real *c_last, real *tape)
{
    FN(recurrent) c;
    FN(recurrent_plan)(&c, d);
    int64_t used = FN(lay_tape)(&c, tape ? tape : cx->scratch, tape != NULL);
    FN(lay_forward)(&c, (real *)cx->scratch + (tape ? 0 : used));
    c.x = x, c.w = w, c.u = u, c.bias = bias, c.rbias = rbias, c.mask = mask, c.y = y, c.c_last = c_last;
    const int64_t states = d->rows * d->units;
    if (h0) FN(copy_row)(states, h0, c.h);
    else FN(clear)(states, c.h);
    if (c.c && c0) FN(copy_row)(states, c0, c.c);
    else if (c.c) FN(clear)(states, c.c);
    int by_strips, threads = FN(recurrent_threads)(&c, cx, &by_strips);
    if (d->rows * d->steps < RECURRENT_PACK) c.panels = NULL;
    else fnn_parallel(by_strips ? threads : 1, c.strips, FN(pack_weights), &c); /* each thread those that it will read */
    if (!by_strips) fnn_parallel(threads, c.blocks, FN(forward_block), &c);
    else fnn_parallel_steps(threads, d->steps, c.strips * c.blocks, FN(forward_strips), &c);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* Columns [column, column + columns) of C += D B^T, where D are the gradients of the sums at step s, of those that were
 * formed with h (of n inside r) or with x. */
static void FN(multiply_back)(const FN(recurrent) *c, FN(panel_job) *p, int64_t s, const real *panel, int with_h,
                              real *to)
{
    const int64_t ldb = p->vectors * VL, joint = with_h ? c->joint : c->width;
    FN(multiply_panel)(p, joint, FN(gates_at)(c, s), c->width, panel, ldb, NULL, to);
    if (joint < c->width)
        FN(multiply_panel)(p, c->units, FN(inner_at)(c, s), c->units, panel + joint * ldb, ldb, NULL, to);
}

/* What step s hands to the state before it through the recurrent weights, for the units of one strip. */
static void FN(back_through_units)(const FN(recurrent) *c, int64_t s, int64_t row, int64_t end, int64_t strip)
{
    const int64_t unit = strip * GEMM_PANEL;
    FN(panel_job) p = FN(panel_of)(FN(least)(GEMM_PANEL, c->units - unit), row, end, c->units);
    p.job.load = 1;
    FN(multiply_back)(c, &p, s, c->panels + unit * c->width, 1, c->dh + unit);
}

/* Where a step is padding, its sums have no gradient, and the state's passes by. */
static void FN(pass_by)(const FN(recurrent) *c, const FN(cell) *cell, int64_t unit, int64_t n)
{
    for (int64_t column = 0; column < c->width; column += c->units) FN(clear)(n, cell->gates + column + unit);
    if (c->inner) FN(clear)(n, cell->inner + unit);
    if (cell->dy) FN(map2)(n, cell->dy + unit, cell->dh + unit, cell->dh + unit, v_zero(), FN(add_op));
}

/* Step s of the rows [row, end) and the units of one strip: first what comes from the step after it. */
static void FN(backward_strip_at)(const FN(recurrent) *c, int64_t s, int64_t row, int64_t end, int64_t strip)
{
    const fnn_recurrent *d = c->d;
    const int64_t unit = strip * GEMM_PANEL, last_unit = FN(least)(unit + GEMM_PANEL, c->units);
    const int64_t time = FN(time_at)(d, s);
    if (s < d->steps - 1) FN(back_through_units)(c, s + 1, row, end, strip);
    for (; row < end; row++) {
        FN(cell) cell = FN(cell_at)(c, s, row);
        cell.dh = c->dh + row * c->units;
        cell.dc = c->dc + row * c->units;
        if (d->sequences) cell.dy = c->dy + row * d->row_y + time * c->units;
        else if (s == d->steps - 1) cell.dy = c->dy + row * d->row_y;
        if (FN(is_padding)(c, row, time)) FN(pass_by)(c, &cell, unit, last_unit - unit);
        else FN(cell_backward)(d->cell, &cell, unit, last_unit);
    }
}

static void FN(backward_block)(void *arg, int64_t block)
{
    const FN(recurrent) *c = arg;
    const int64_t row = c->d->rows * block / c->blocks, end = c->d->rows * (block + 1) / c->blocks;
    for (int64_t s = c->d->steps - 1; s >= 0 && !(s % 16 == 15 && fnn_stopped()); s--)
        for (int64_t strip = 0; strip < c->strips; strip++) FN(backward_strip_at)(c, s, row, end, strip);
}

static void FN(backward_strips)(void *arg, int64_t done, int64_t item)
{
    const FN(recurrent) *c = arg;
    const int64_t s = c->d->steps - 1 - done, strip = item / c->blocks, block = item % c->blocks;
    FN(backward_strip_at)(c, s, c->d->rows * block / c->blocks, c->d->rows * (block + 1) / c->blocks, strip);
}

/* dx = or += D W^T of one step's rows of a block. */
static void FN(input_gradients)(void *arg, int64_t item)
{
    const FN(recurrent) *c = arg;
    const fnn_recurrent *d = c->d;
    const int64_t s = item / c->blocks, block = item % c->blocks;
    const int64_t row = d->rows * block / c->blocks, end = d->rows * (block + 1) / c->blocks;
    for (int64_t input = 0; input < d->inputs; input += GEMM_PANEL) {
        FN(panel_job) p = FN(panel_of)(FN(least)(GEMM_PANEL, d->inputs - input), row, end, d->steps * d->inputs);
        p.job.load = d->adds_dx;
        real *dx = c->dx + FN(time_at)(d, s) * d->inputs + input;
        FN(multiply_back)(c, &p, s, c->input_panels + input * c->width, 0, dx);
    }
}

/* x of the steps [begin, end), as the tape lies. */
static void FN(gather_inputs)(void *arg, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(recurrent) *c = arg;
    const fnn_recurrent *d = c->d;
    (void)chunk;
    for (int64_t s = begin; s < end; s++) {
        const real *from = c->x + FN(time_at)(d, s) * d->inputs;
        real *to = c->inputs + s * d->rows * d->inputs;
        for (int64_t row = 0; row < d->rows; row++, from += d->steps * d->inputs, to += d->inputs)
            FN(copy_row)(d->inputs, from, to);
    }
}

/* Rows of a matrix with `rows` rows, transposed, into panels of at most GEMM_PANEL columns. */
static void FN(turn_panels)(const FN(recurrent) *c, int64_t rows, const real *from, real *to)
{
    for (int64_t row = 0; row < rows; row += GEMM_PANEL) {
        int64_t count = FN(least)(GEMM_PANEL, rows - row);
        FN(transpose_matrix)(count, c->width, from + row * c->width, c->width, to + row * c->width,
                             FN(parts_of)(count, VL) * VL, 0);
    }
}

/* Of the biases and the weights, over all steps and rows at once. */
static void FN(parameter_gradients)(FN(recurrent) *c, const fnn_ctx *cx, real *dw, real *du, real *dbias, real *drbias)
{
    const fnn_recurrent *d = c->d;
    const int64_t total = d->steps * d->rows, apart = c->width - c->joint;
    FN(for_items)(cx, d->steps, d->rows * d->inputs, FN(gather_inputs), c);
    fnn_gemm p = FN(weight_sums)(c, d->inputs, c->width, c->width);
    FN(gemm_tn)(cx, &p, c->inputs, c->gates, NULL, dw);
    p = FN(weight_sums)(c, c->units, c->joint, c->width);
    FN(gemm_tn)(cx, &p, c->h, c->gates, NULL, du);
    if (apart) {
        p = FN(weight_sums)(c, c->units, apart, apart);
        FN(gemm_tn)(cx, &p, c->h, c->inner, NULL, du + c->joint);
    }
    real *sums = c->inputs; /* of no use any more */
    if (!dbias) return;
    FN(column_sum)(cx, total, c->width, c->gates, sums, 0);
    FN(copy_2d)(cx, 1, c->width, sums, c->width, dbias, c->width, d->adds_dw);
    if (!drbias) return;
    FN(copy_2d)(cx, 1, c->joint, sums, c->width, drbias, c->width, d->adds_dw);
    if (apart) FN(column_sum)(cx, total, apart, c->inner, drbias + c->joint, d->adds_dw);
}

/* Of the state before the first step. */
static void FN(initial_gradients)(const FN(recurrent) *c, const fnn_ctx *cx, real *dh0, real *dc0)
{
    const int64_t states = c->d->rows * c->units;
    for (int64_t strip = 0; dh0 && strip < c->strips; strip++) FN(back_through_units)(c, 0, 0, c->d->rows, strip);
    if (dh0) FN(copy_2d)(cx, 1, states, c->dh, states, dh0, states, c->d->adds_dh0);
    if (dc0) FN(copy_2d)(cx, 1, states, c->dc, states, dc0, states, c->d->adds_dc0);
}

static void FN(recurrent_backward)(const fnn_ctx *cx, const fnn_recurrent *d, const real *x, const real *w,
                                   const real *u, const real *mask, real *tape, const real *dy, const real *dc_last,
                                   real *dx, real *dw, real *du, real *dbias, real *drbias, real *dh0, real *dc0)
{
    FN(recurrent) c;
    FN(recurrent_plan)(&c, d);
    FN(lay_tape)(&c, tape, 1);
    int64_t used = FN(lay_backward)(&c, cx->scratch);
    c.x = x, c.mask = mask, c.dy = dy, c.dx = dx;
    fnn_ctx products = *cx;
    products.scratch = (real *)cx->scratch + used;
    products.scratch_size = cx->scratch_size - (size_t)used * sizeof(real);
    FN(turn_panels)(&c, c.units, u, c.panels);
    FN(clear)(d->rows * c.units, c.dh);
    if (dc_last)
        for (int64_t row = 0; row < d->rows; row++)
            FN(copy_row)(c.units, dc_last + row * d->row_y, c.dc + row * c.units);
    else FN(clear)(d->rows * c.units, c.dc);
    int by_strips, threads = FN(recurrent_threads)(&c, cx, &by_strips);
    if (!by_strips) fnn_parallel(threads, c.blocks, FN(backward_block), &c);
    else fnn_parallel_steps(threads, d->steps, c.strips * c.blocks, FN(backward_strips), &c);
    if (dx) {
        FN(turn_panels)(&c, d->inputs, w, c.input_panels);
        threads = fnn_worthwhile_threads(cx, 2. * (double)d->steps * (double)d->rows * (double)d->inputs * (double)c.width,
                                         FNN_GRAIN_FLOPS);
        fnn_parallel(threads, d->steps * c.blocks, FN(input_gradients), &c);
    }
    FN(parameter_gradients)(&c, &products, dw, du, dbias, drbias);
    FN(initial_gradients)(&c, cx, dh0, dc0);
}
