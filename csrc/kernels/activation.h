/* activation.h: the activations of FNN_ACTIVATIONS and their derivatives, each a pair of vector functions.
 *
 * NaN passes through every one of them: comparisons are written so that NaN takes the branch that computes. Functions
 * that tend to a limit at -infinity are kept from 0 times infinity there. */

/* Klambauer et al., Self-normalizing neural networks, 2017 */
#undef SELU_LAMBDA
#undef SELU_ALPHA
#define SELU_LAMBDA ((real)1.0507009873554804934193349852946)
#define SELU_ALPHA ((real)1.6732632423543772848170429916717)

ALWAYS_INLINE vec FN(linear_forward)(vec x, vec alpha) { return (void)alpha, x; }
ALWAYS_INLINE vec FN(relu_forward)(vec x, vec alpha) { return (void)alpha, v_max(v_zero(), x); }
ALWAYS_INLINE vec FN(leaky_relu_forward)(vec x, vec alpha)
{
    return v_select(v_lt(v_zero(), x), x, v_mul(alpha, x));
}
ALWAYS_INLINE vec FN(elu_forward)(vec x, vec alpha)
{
    return v_select(v_lt(v_zero(), x), x, v_mul(alpha, FN(v_expm1)(x)));
}
ALWAYS_INLINE vec FN(selu_forward)(vec x, vec alpha)
{
    (void)alpha;
    return v_mul(v_set1(SELU_LAMBDA), FN(elu_forward)(x, v_set1(SELU_ALPHA)));
}
ALWAYS_INLINE vec FN(sigmoid_forward)(vec x, vec alpha) { return (void)alpha, FN(v_sigmoid)(x); }
ALWAYS_INLINE vec FN(tanh_forward)(vec x, vec alpha) { return (void)alpha, FN(v_tanh)(x); }
/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)) */
ALWAYS_INLINE vec FN(softplus_forward)(vec x, vec alpha)
{
    (void)alpha;
    return v_add(v_max(v_zero(), x), FN(v_log1p)(FN(v_exp)(v_neg(v_abs(x)))));
}
ALWAYS_INLINE vec FN(exponential_forward)(vec x, vec alpha) { return (void)alpha, FN(v_exp)(x); }
ALWAYS_INLINE vec FN(silu_forward)(vec x, vec alpha)
{
    (void)alpha;
    return v_mul(v_max(v_set1(-REAL_MAX), x), FN(v_sigmoid)(x));
}
/* x Phi(x) = max(x, 0) - |x| Phi(-|x|) */
ALWAYS_INLINE vec FN(gelu_forward)(vec x, vec alpha)
{
    vec a, density, tail = FN(v_normal_tail)(x, &a, &density);
    (void)alpha;
    return v_fnma(a, tail, v_max(v_zero(), x));
}

/* dy f'(.), from the saved output y, or from the saved input x for silu and gelu */
ALWAYS_INLINE vec FN(linear_backward)(vec y, vec dy, vec alpha) { return (void)y, (void)alpha, dy; }
ALWAYS_INLINE vec FN(relu_backward)(vec y, vec dy, vec alpha)
{
    (void)alpha;
    return v_select(v_le(y, v_zero()), v_zero(), dy);
}
ALWAYS_INLINE vec FN(leaky_relu_backward)(vec y, vec dy, vec alpha)
{
    return v_select(v_lt(v_zero(), y), dy, v_mul(alpha, dy));
}
ALWAYS_INLINE vec FN(elu_backward)(vec y, vec dy, vec alpha)
{
    return v_select(v_lt(v_zero(), y), dy, v_mul(v_add(y, alpha), dy));
}
ALWAYS_INLINE vec FN(selu_backward)(vec y, vec dy, vec alpha)
{
    vec lambda = v_set1(SELU_LAMBDA);
    (void)alpha;
    return v_mul(dy, v_select(v_lt(v_zero(), y), lambda, v_add(y, v_set1(SELU_LAMBDA * SELU_ALPHA))));
}
ALWAYS_INLINE vec FN(sigmoid_backward)(vec y, vec dy, vec alpha)
{
    (void)alpha;
    return v_mul(dy, v_mul(y, v_sub(v_set1(1), y)));
}
ALWAYS_INLINE vec FN(tanh_backward)(vec y, vec dy, vec alpha)
{
    (void)alpha;
    return v_mul(dy, v_mul(v_sub(v_set1(1), y), v_add(v_set1(1), y)));
}
ALWAYS_INLINE vec FN(softplus_backward)(vec y, vec dy, vec alpha)
{
    (void)alpha;
    return v_mul(v_neg(dy), FN(v_expm1)(v_neg(y)));
}
ALWAYS_INLINE vec FN(exponential_backward)(vec y, vec dy, vec alpha) { return (void)alpha, v_mul(dy, y); }
/* s (1 + x (1 - s)), with 1 - s as a quotient of its own: the difference would be magnified by x */
ALWAYS_INLINE vec FN(silu_backward)(vec x, vec dy, vec alpha)
{
    vec one = v_set1(1), e = FN(v_exp)(v_neg(v_abs(x)));
    vec large = v_div(one, v_add(one, e)), small = v_mul(e, large);
    vmask negative = v_lt(x, v_zero());
    vec s = v_select(negative, small, large), rest = v_select(negative, large, small);
    (void)alpha;
    return v_mul(dy, v_mul(s, v_fma(FN(clamp)(-REAL_MAX, REAL_MAX, x), rest, one)));
}
ALWAYS_INLINE vec FN(gelu_backward)(vec x, vec dy, vec alpha)
{
    vec a, density, tail = FN(v_normal_tail)(x, &a, &density);
    vec cdf = v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(1), tail));
    vec slope = v_mul(FN(clamp)(-REAL_MAX, REAL_MAX, x), v_set1((real)0.39894228040143267794)); /* 1 / sqrt(2 pi) */
    (void)alpha;
    return v_mul(dy, v_fma(slope, density, cdf));
}

/* One activation on one vector, for kernels that apply it before they store. */
MAYBE_UNUSED ALWAYS_INLINE vec FN(activate)(int32_t kind, vec x, vec alpha)
{
    switch ((fnn_activation)kind) {
#define ROW(NAME, name, from_output)                                                                                 \
    case FNN_##NAME: return FN(name##_forward)(x, alpha);
        FNN_ACTIVATIONS(ROW)
#undef ROW
    case FNN_ACTIVATION_COUNT: break;
    }
    return x;
}

typedef struct {
    int32_t kind, accumulate;
    real alpha;
    const real *x, *dy; /* x: the input of forward, what was saved of backward */
    real *y;            /* dx of backward */
    real *slope;        /* the derivative, where it is wanted */
} FN(activation_args);

/* A walk for each activation, as the function must be a constant to be inlined. */
static void FN(activation_forward_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(activation_args) *a = args;
    int64_t n = end - begin;
    const real *x = a->x + begin;
    real *y = a->y + begin;
    vec alpha = v_set1(a->alpha);
    (void)chunk;
    switch ((fnn_activation)a->kind) {
#define ROW(NAME, name, from_output)                                                                                 \
    case FNN_##NAME: FN(map1)(n, x, y, alpha, FN(name##_forward)); break;
        FNN_ACTIVATIONS(ROW)
#undef ROW
    case FNN_ACTIVATION_COUNT: break;
    }
}

ALWAYS_INLINE void FN(backward_walk)(int64_t n, const FN(activation_args) *a, int64_t begin, FN(map2_op) backward)
{
    const real *saved = a->x + begin, *dy = a->dy + begin;
    real *dx = a->y + begin;
    vec alpha = v_set1(a->alpha);
    int32_t accumulate = a->accumulate;
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vec d = backward(v_load(saved + i), v_load(dy + i), alpha);
        v_store(dx + i, accumulate ? v_add(v_load(dx + i), d) : d);
    }
    if (i < n) {
        vmask m = mask_first(n - i);
        vec d = backward(v_load_mask(saved + i, m), v_load_mask(dy + i, m), alpha);
        v_store_mask(dx + i, m, accumulate ? v_add(v_load_mask(dx + i, m), d) : d);
    }
}

static void FN(activation_backward_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(activation_args) *a = args;
    (void)chunk;
    switch ((fnn_activation)a->kind) {
#define ROW(NAME, name, from_output)                                                                                 \
    case FNN_##NAME: FN(backward_walk)(end - begin, a, begin, FN(name##_backward)); break;
        FNN_ACTIVATIONS(ROW)
#undef ROW
    case FNN_ACTIVATION_COUNT: break;
    }
}

/* Forward and derivative in one walk: what the two have in common, such as an exponential, is worked out once. */
ALWAYS_INLINE void FN(slope_walk)(int64_t n, const FN(activation_args) *a, int64_t begin, FN(map1_op) forward,
                                  FN(map2_op) backward, const int from_output)
{
    const real *x = a->x + begin;
    real *y = a->y + begin, *slope = a->slope + begin;
    vec alpha = v_set1(a->alpha), one = v_set1(1);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vec v = v_load(x + i), f = forward(v, alpha);
        v_store(y + i, f);
        v_store(slope + i, backward(from_output ? f : v, one, alpha));
    }
    if (i < n) {
        vmask m = mask_first(n - i);
        vec v = v_load_mask(x + i, m), f = forward(v, alpha);
        v_store_mask(y + i, m, f);
        v_store_mask(slope + i, m, backward(from_output ? f : v, one, alpha));
    }
}

static void FN(activation_slope_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(activation_args) *a = args;
    (void)chunk;
    switch ((fnn_activation)a->kind) {
#define ROW(NAME, name, from_output)                                                                                 \
    case FNN_##NAME:                                                                                                 \
        FN(slope_walk)(end - begin, a, begin, FN(name##_forward), FN(name##_backward), from_output);                 \
        break;
        FNN_ACTIVATIONS(ROW)
#undef ROW
    case FNN_ACTIVATION_COUNT: break;
    }
}

static void FN(activation_slope)(const fnn_ctx *cx, int32_t kind, double alpha, int64_t n, const real *x, real *y,
                                 real *slope)
{
    FN(activation_args) a = {.kind = kind, .alpha = (real)alpha, .x = x, .y = y, .slope = slope};
    FN(for_items)(cx, n, 1, FN(activation_slope_range), &a);
}

static void FN(activation_forward)(const fnn_ctx *cx, int32_t kind, double alpha, int64_t n, const real *x, real *y)
{
    FN(activation_args) a = {.kind = kind, .alpha = (real)alpha, .x = x, .y = y};
    FN(for_items)(cx, n, 1, FN(activation_forward_range), &a);
}

static void FN(activation_backward)(const fnn_ctx *cx, int32_t kind, double alpha, int64_t n, const real *saved,
                                    const real *dy, real *dx, int32_t accumulate)
{
    FN(activation_args) a = {.kind = kind, .accumulate = accumulate, .alpha = (real)alpha, .x = saved, .dy = dy,
                             .y = dx};
    FN(for_items)(cx, n, 1, FN(activation_backward_range), &a);
}
