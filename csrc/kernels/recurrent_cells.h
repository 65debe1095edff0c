/* recurrent_cells.h: the cells of recurrent networks, one step of one row: from the sums of the gates to the new state,
 * and back from the gradient of the state to those of the sums. A cell is a pair of vector functions.
 *
 * The activations divide by estimates of reciprocals (v_near_div): a step of an LSTM would otherwise spend more time in
 * the divider than in its products of 64 units. Their errors are those of v_sigmoid and v_tanh and up to 3 units in the
 * last place more. */

#undef CELL_VECTORS
#undef CELL_HIGHEST
#undef EACH
#define CELL_VECTORS TILE_WIDTH /* of a gate that go in step */
#define CELL_HIGHEST 60
#define EACH(v, count) for (int v = 0; v < (count); v++)

/* The first `sigmoids` of n vectors through sigmoid, e / (e + 1) with e = exp(x), the others through tanh, t / (t + 2) with
 * t = exp(2x) - 1: neither cancels, and both are 1 long before CELL_HIGHEST. All of them take each operation in turn: a
 * chain of thirty that wait for each other fills a third of the CPU's scheduler, so that it sees three of them at once
 * and not the eight that keep it busy. An LSTM's cells took 150 cycles a vector one after the other and take 70. */
ALWAYS_INLINE void FN(activate_gates)(vec *x, const int sigmoids, const int n)
{
    vec k[2 * CELL_VECTORS], y[2 * CELL_VECTORS];
    EACH(v, n) x[v] = v < sigmoids ? FN(clamp)(EXP_LOWEST, CELL_HIGHEST, x[v])
                                   : FN(clamp)(EXPM1_LOWEST, CELL_HIGHEST, v_add(x[v], x[v]));
    FN(exps_reduced)(n, x, k, y);
    EACH(v, n) k[v] = v_ldexp(v_set1(1), k[v]);
    EACH(v, n) y[v] = v_fma(k[v], y[v], v < sigmoids ? k[v] : v_sub(k[v], v_set1(1)));
    EACH(v, n) x[v] = v_near_div(y[v], v_add(y[v], v_set1(v < sigmoids ? 1 : 2)));
}

/* One row at one step. Gates lie side by side, `units` apart: LSTM i, f, g, o; GRU r, z, n. */
typedef struct {
    int64_t units;
    int keeps;                      /* forward leaves the activated gates for backward */
    real *gates, *inner;            /* sums, then gates, then gradients of the sums; inner: GRU's h U + b of n alone */
    const real *h_before, *c_before;
    real *h, *c;
    const real *dy;                 /* of this step's output, or NULL */
    real *dh, *dc;                  /* in: of the state after the step; out: what reaches the state before it directly,
                                       and not through the recurrent weights */
} FN(cell);

/* n vectors of units from j on; the edge is that of a single one. */
typedef void (*FN(unit_op))(const FN(cell) *c, int64_t j, int n, int edged, vmask edge);

ALWAYS_INLINE void FN(each_unit)(const FN(cell) *c, int64_t j, int64_t end, FN(unit_op) f)
{
    for (; j + CELL_VECTORS * VL <= end; j += CELL_VECTORS * VL) f(c, j, CELL_VECTORS, 0, mask_first(VL));
    for (; j + 2 * VL <= end; j += 2 * VL) f(c, j, 2, 0, mask_first(VL)); /* LSTM 32: 1.07 times as fast */
    for (; j + VL <= end; j += VL) f(c, j, 1, 0, mask_first(VL));
    if (j < end) f(c, j, 1, 1, mask_first(end - j));
}

ALWAYS_INLINE void FN(load_units)(vec *to, const real *p, int n, int edged, vmask edge)
{
    EACH(v, n) to[v] = FN(load_part)(p + v * VL, edged, edge);
}

ALWAYS_INLINE void FN(store_units)(real *p, const vec *from, int n, int edged, vmask edge)
{
    EACH(v, n) FN(store_part)(p + v * VL, from[v], edged, edge);
}

/* The gradient of the state after the step: what later steps left, and the output's. */
ALWAYS_INLINE vec FN(state_gradient)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    vec dh = FN(load_part)(c->dh + j, edged, edge);
    return c->dy ? v_add(dh, FN(load_part)(c->dy + j, edged, edge)) : dh;
}

/* a (1 - a) d and (1 - a^2) d: through a sigmoid and a tanh of value a */
ALWAYS_INLINE vec FN(through_sigmoid)(vec a, vec d) { return v_mul(d, v_fnma(a, a, a)); }
ALWAYS_INLINE vec FN(through_tanh)(vec a, vec d) { return v_mul(d, v_fnma(a, a, v_set1(1))); }

/* ---- h = tanh(sum), h = relu(sum) ---------------------------------------------------------------------------- */

ALWAYS_INLINE void FN(rnn_tanh_forward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    vec h[CELL_VECTORS];
    FN(load_units)(h, c->gates + j, n, edged, edge);
    FN(activate_gates)(h, 0, n);
    FN(store_units)(c->h + j, h, n, edged, edge);
}

ALWAYS_INLINE void FN(rnn_relu_forward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    vec h[CELL_VECTORS];
    FN(load_units)(h, c->gates + j, n, edged, edge);
    EACH(v, n) h[v] = v_max(v_zero(), h[v]);
    FN(store_units)(c->h + j, h, n, edged, edge);
}

ALWAYS_INLINE void FN(rnn_tanh_backward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    for (const int64_t end = j + n * VL; j < end; j += VL) {
        vec h = FN(load_part)(c->h + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
        FN(store_part)(c->gates + j, FN(through_tanh)(h, dh), edged, edge);
        FN(store_part)(c->dh + j, v_zero(), edged, edge);
    }
}

ALWAYS_INLINE void FN(rnn_relu_backward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    for (const int64_t end = j + n * VL; j < end; j += VL) {
        vec h = FN(load_part)(c->h + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
        FN(store_part)(c->gates + j, v_select(v_le(h, v_zero()), v_zero(), dh), edged, edge);
        FN(store_part)(c->dh + j, v_zero(), edged, edge);
    }
}

/* ---- n = tanh(n_x + r n_h), h = (1 - z) n + z h_before; Cho et al. 2014, reset after the product as in cuDNN ---- */

ALWAYS_INLINE void FN(gru_forward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    real *gates = c->gates + j;
    const int64_t units = c->units;
    vec rz[2 * CELL_VECTORS], inner[CELL_VECTORS], sum[CELL_VECTORS], before[CELL_VECTORS];
    FN(load_units)(rz, gates, n, edged, edge);
    FN(load_units)(rz + n, gates + units, n, edged, edge);
    FN(activate_gates)(rz, 2 * n, 2 * n);
    FN(load_units)(inner, c->inner + j, n, edged, edge);
    FN(load_units)(sum, gates + 2 * units, n, edged, edge);
    EACH(v, n) sum[v] = v_fma(rz[v], inner[v], sum[v]);
    FN(activate_gates)(sum, 0, n);
    FN(load_units)(before, c->h_before + j, n, edged, edge);
    EACH(v, n) before[v] = v_fma(rz[n + v], v_sub(before[v], sum[v]), sum[v]);
    FN(store_units)(c->h + j, before, n, edged, edge);
    if (!c->keeps) return;
    FN(store_units)(gates, rz, n, edged, edge);
    FN(store_units)(gates + units, rz + n, n, edged, edge);
    FN(store_units)(gates + 2 * units, sum, n, edged, edge);
}

ALWAYS_INLINE void FN(gru_backward)(const FN(cell) *c, int64_t j, int count, int edged, vmask edge)
{
    const int64_t units = c->units;
    for (const int64_t end = j + count * VL; j < end; j += VL) {
        real *g = c->gates + j;
        vec r = FN(load_part)(g, edged, edge), z = FN(load_part)(g + units, edged, edge);
        vec n = FN(load_part)(g + 2 * units, edged, edge), inner = FN(load_part)(c->inner + j, edged, edge);
        vec before = FN(load_part)(c->h_before + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
        vec dn = FN(through_tanh)(n, v_fnma(z, dh, dh));
        FN(store_part)(g, FN(through_sigmoid)(r, v_mul(dn, inner)), edged, edge);
        FN(store_part)(g + units, FN(through_sigmoid)(z, v_mul(dh, v_sub(before, n))), edged, edge);
        FN(store_part)(g + 2 * units, dn, edged, edge);
        FN(store_part)(c->inner + j, v_mul(dn, r), edged, edge);
        FN(store_part)(c->dh + j, v_mul(dh, z), edged, edge);
    }
}

/* ---- c = f c_before + i g, h = o tanh(c); Hochreiter and Schmidhuber 1997, forget gate of Gers et al. 2000 ------- */

ALWAYS_INLINE void FN(lstm_forward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    real *gates = c->gates + j;
    const int64_t units = c->units;
    vec ig[2 * CELL_VECTORS], fo[2 * CELL_VECTORS], state[CELL_VECTORS];
    FN(load_units)(ig, gates, n, edged, edge);
    FN(load_units)(ig + n, gates + 2 * units, n, edged, edge);
    FN(activate_gates)(ig, n, 2 * n);
    FN(load_units)(fo, gates + units, n, edged, edge);
    FN(load_units)(fo + n, gates + 3 * units, n, edged, edge);
    FN(activate_gates)(fo, 2 * n, 2 * n);
    FN(load_units)(state, c->c_before + j, n, edged, edge);
    EACH(v, n) state[v] = v_fma(fo[v], state[v], v_mul(ig[v], ig[n + v]));
    FN(store_units)(c->c + j, state, n, edged, edge);
    FN(activate_gates)(state, 0, n);
    EACH(v, n) state[v] = v_mul(fo[n + v], state[v]);
    FN(store_units)(c->h + j, state, n, edged, edge);
    if (!c->keeps) return;
    FN(store_units)(gates, ig, n, edged, edge);
    FN(store_units)(gates + units, fo, n, edged, edge);
    FN(store_units)(gates + 2 * units, ig + n, n, edged, edge);
    FN(store_units)(gates + 3 * units, fo + n, n, edged, edge);
}

ALWAYS_INLINE void FN(lstm_backward)(const FN(cell) *c, int64_t j, int n, int edged, vmask edge)
{
    const int64_t units = c->units;
    vec t[CELL_VECTORS]; /* again: cheaper than a fifth vector in memory */
    FN(load_units)(t, c->c + j, n, edged, edge);
    FN(activate_gates)(t, 0, n);
    for (int v = 0; v < n; v++, j += VL) {
        real *gates = c->gates + j;
        vec i = FN(load_part)(gates, edged, edge), f = FN(load_part)(gates + units, edged, edge);
        vec g = FN(load_part)(gates + 2 * units, edged, edge), o = FN(load_part)(gates + 3 * units, edged, edge);
        vec before = FN(load_part)(c->c_before + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
        vec dc = v_add(FN(load_part)(c->dc + j, edged, edge), FN(through_tanh)(t[v], v_mul(dh, o)));
        FN(store_part)(gates, FN(through_sigmoid)(i, v_mul(dc, g)), edged, edge);
        FN(store_part)(gates + units, FN(through_sigmoid)(f, v_mul(dc, before)), edged, edge);
        FN(store_part)(gates + 2 * units, FN(through_tanh)(g, v_mul(dc, i)), edged, edge);
        FN(store_part)(gates + 3 * units, FN(through_sigmoid)(o, v_mul(dh, t[v])), edged, edge);
        FN(store_part)(c->dc + j, v_mul(dc, f), edged, edge);
        FN(store_part)(c->dh + j, v_zero(), edged, edge);
    }
}

/* ---- units [j, end) of a row --------------------------------------------------------------------------------- */

static void FN(cell_forward)(int32_t kind, const FN(cell) *c, int64_t j, int64_t end)
{
    switch ((fnn_cell)kind) {
    case FNN_RNN_TANH: FN(each_unit)(c, j, end, FN(rnn_tanh_forward)); break;
    case FNN_RNN_RELU: FN(each_unit)(c, j, end, FN(rnn_relu_forward)); break;
    case FNN_GRU: FN(each_unit)(c, j, end, FN(gru_forward)); break;
    case FNN_LSTM: FN(each_unit)(c, j, end, FN(lstm_forward)); break;
    }
}

static void FN(cell_backward)(int32_t kind, const FN(cell) *c, int64_t j, int64_t end)
{
    switch ((fnn_cell)kind) {
    case FNN_RNN_TANH: FN(each_unit)(c, j, end, FN(rnn_tanh_backward)); break;
    case FNN_RNN_RELU: FN(each_unit)(c, j, end, FN(rnn_relu_backward)); break;
    case FNN_GRU: FN(each_unit)(c, j, end, FN(gru_backward)); break;
    case FNN_LSTM: FN(each_unit)(c, j, end, FN(lstm_backward)); break;
    }
}
