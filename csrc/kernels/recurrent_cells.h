/* recurrent_cells.h: the cells of recurrent networks, one step of one row: from the sums of the gates to the new state,
 * and back from the gradient of the state to those of the sums. A cell is a pair of vector functions.
 *
 * The activations divide by estimates of reciprocals (v_near_div): a step of an LSTM would otherwise spend more time in
 * the divider than in its products of 64 units. Their errors are those of v_sigmoid and v_tanh and up to 3 units in the
 * last place more. */

/* e / (1 + e) with e = exp(x) for x < 0, else 1 / (1 + exp(-x)): the divisor lies between 1 and 2. */
ALWAYS_INLINE vec FN(gate_sigmoid)(vec x)
{
    vec one = v_set1(1), e = FN(v_exp)(v_neg(v_abs(x)));
    return v_near_div(v_select(v_lt(x, v_zero()), e, one), v_add(one, e));
}

/* -t / (t + 2) with t = exp(-2|x|) - 1, as v_tanh; exp does not overflow on this side. */
ALWAYS_INLINE vec FN(gate_tanh)(vec x)
{
    vec one = v_set1(1), a = v_abs(x), k;
    vec y = FN(exp_reduced)(v_max(v_set1(EXPM1_LOWEST), v_neg(v_add(a, a))), v_zero(), &k);
    vec power = v_ldexp(one, k), t = v_fma(power, y, v_sub(power, one));
    return v_copysign(v_near_div(t, v_add(t, v_set1(2))), x);
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

typedef void (*FN(unit_op))(const FN(cell) *c, int64_t j, int edged, vmask edge);

ALWAYS_INLINE void FN(each_unit)(const FN(cell) *c, int64_t j, int64_t end, FN(unit_op) f)
{
    for (; j + VL <= end; j += VL) f(c, j, 0, mask_first(VL));
    if (j < end) f(c, j, 1, mask_first(end - j));
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

ALWAYS_INLINE void FN(rnn_tanh_forward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    FN(store_part)(c->h + j, FN(gate_tanh)(FN(load_part)(c->gates + j, edged, edge)), edged, edge);
}

ALWAYS_INLINE void FN(rnn_relu_forward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    FN(store_part)(c->h + j, v_max(v_zero(), FN(load_part)(c->gates + j, edged, edge)), edged, edge);
}

ALWAYS_INLINE void FN(rnn_tanh_backward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    vec h = FN(load_part)(c->h + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
    FN(store_part)(c->gates + j, FN(through_tanh)(h, dh), edged, edge);
    FN(store_part)(c->dh + j, v_zero(), edged, edge);
}

ALWAYS_INLINE void FN(rnn_relu_backward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    vec h = FN(load_part)(c->h + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
    FN(store_part)(c->gates + j, v_select(v_le(h, v_zero()), v_zero(), dh), edged, edge);
    FN(store_part)(c->dh + j, v_zero(), edged, edge);
}

/* ---- n = tanh(n_x + r n_h), h = (1 - z) n + z h_before; Cho et al. 2014, reset after the product as in cuDNN ---- */

ALWAYS_INLINE void FN(gru_forward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    real *g = c->gates + j;
    const int64_t units = c->units;
    vec r = FN(gate_sigmoid)(FN(load_part)(g, edged, edge));
    vec z = FN(gate_sigmoid)(FN(load_part)(g + units, edged, edge));
    vec inner = FN(load_part)(c->inner + j, edged, edge);
    vec n = FN(gate_tanh)(v_fma(r, inner, FN(load_part)(g + 2 * units, edged, edge)));
    vec before = FN(load_part)(c->h_before + j, edged, edge);
    FN(store_part)(c->h + j, v_fma(z, v_sub(before, n), n), edged, edge);
    if (!c->keeps) return;
    FN(store_part)(g, r, edged, edge);
    FN(store_part)(g + units, z, edged, edge);
    FN(store_part)(g + 2 * units, n, edged, edge);
}

ALWAYS_INLINE void FN(gru_backward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    real *g = c->gates + j;
    const int64_t units = c->units;
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

/* ---- c = f c_before + i g, h = o tanh(c); Hochreiter and Schmidhuber 1997, forget gate of Gers et al. 2000 ------- */

ALWAYS_INLINE void FN(lstm_forward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    real *gates = c->gates + j;
    const int64_t units = c->units;
    vec i = FN(gate_sigmoid)(FN(load_part)(gates, edged, edge));
    vec f = FN(gate_sigmoid)(FN(load_part)(gates + units, edged, edge));
    vec g = FN(gate_tanh)(FN(load_part)(gates + 2 * units, edged, edge));
    vec o = FN(gate_sigmoid)(FN(load_part)(gates + 3 * units, edged, edge));
    vec state = v_fma(f, FN(load_part)(c->c_before + j, edged, edge), v_mul(i, g));
    FN(store_part)(c->c + j, state, edged, edge);
    FN(store_part)(c->h + j, v_mul(o, FN(gate_tanh)(state)), edged, edge);
    if (!c->keeps) return;
    FN(store_part)(gates, i, edged, edge);
    FN(store_part)(gates + units, f, edged, edge);
    FN(store_part)(gates + 2 * units, g, edged, edge);
    FN(store_part)(gates + 3 * units, o, edged, edge);
}

ALWAYS_INLINE void FN(lstm_backward)(const FN(cell) *c, int64_t j, int edged, vmask edge)
{
    real *gates = c->gates + j;
    const int64_t units = c->units;
    vec i = FN(load_part)(gates, edged, edge), f = FN(load_part)(gates + units, edged, edge);
    vec g = FN(load_part)(gates + 2 * units, edged, edge), o = FN(load_part)(gates + 3 * units, edged, edge);
    vec before = FN(load_part)(c->c_before + j, edged, edge), dh = FN(state_gradient)(c, j, edged, edge);
    vec t = FN(gate_tanh)(FN(load_part)(c->c + j, edged, edge)); /* again: cheaper than a fifth vector in memory */
    vec dc = v_add(FN(load_part)(c->dc + j, edged, edge), FN(through_tanh)(t, v_mul(dh, o)));
    FN(store_part)(gates, FN(through_sigmoid)(i, v_mul(dc, g)), edged, edge);
    FN(store_part)(gates + units, FN(through_sigmoid)(f, v_mul(dc, before)), edged, edge);
    FN(store_part)(gates + 2 * units, FN(through_tanh)(g, v_mul(dc, i)), edged, edge);
    FN(store_part)(gates + 3 * units, FN(through_sigmoid)(o, v_mul(dh, t)), edged, edge);
    FN(store_part)(c->dc + j, v_mul(dc, f), edged, edge);
    FN(store_part)(c->dh + j, v_zero(), edged, edge);
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
