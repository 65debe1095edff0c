/* optim.h: one optimizer step over a stretch of the flat vectors, each method one pass, in PyTorch's definitions and
 * order of operations.
 *
 * A method is a function on vectors of p, g and its slots; constants that depend on the step alone, such as Adam's bias
 * corrections, are worked out once per call. */

#undef FIRST_SLOT
#undef SECOND_SLOT
#undef THIRD_SLOT
#define FIRST_SLOT 1
#define SECOND_SLOT 2
#define THIRD_SLOT 4

typedef struct {
    real rate, decay, beta1, beta2, epsilon, momentum; /* of fnn_optim, as real */
    real keep;                                         /* adam: 1 - rate decay, if decoupled, else 1 */
    real rest1, rest2;                                 /* 1 - beta1, 1 - beta2 */
    real step_rate, root_correction;                   /* adam: rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
    real step_min, step_max;
    int first, nesterov;
    real *p;
    const real *g;
    real *slot[3]; /* NULL where unused */
} FN(optim_args);

static FN(optim_args) FN(optim_constants)(const fnn_optim *h)
{
    return (FN(optim_args)){
        .rate = (real)h->learning_rate,
        .decay = (real)h->weight_decay,
        .beta1 = (real)h->beta1,
        .beta2 = (real)h->beta2,
        .epsilon = (real)h->epsilon,
        .momentum = (real)h->momentum,
        .rest1 = (real)(1 - h->beta1),
        .rest2 = (real)(1 - h->beta2),
        .step_min = (real)h->step_min,
        .step_max = (real)h->step_max,
        .first = h->step <= 1,
        .nesterov = h->nesterov,
    };
}

/* One vector: p and the slots come in and go out in s[]; s[0] is p. The bits of `used`, a constant, say which slots the
 * method has here. */
typedef void (*FN(optim_op))(const FN(optim_args) *a, int used, vec g, vec s[4]);

ALWAYS_INLINE vec FN(decayed)(const FN(optim_args) *a, vec g, vec p) { return v_fma(v_set1(a->decay), p, g); }

ALWAYS_INLINE void FN(sgd_op)(const FN(optim_args) *a, int used, vec g, vec s[4])
{
    (void)used;
    s[0] = v_fnma(v_set1(a->rate), FN(decayed)(a, g, s[0]), s[0]);
}
ALWAYS_INLINE void FN(momentum_op)(const FN(optim_args) *a, int used, vec g, vec s[4])
{
    (void)used;
    vec mu = v_set1(a->momentum);
    g = FN(decayed)(a, g, s[0]);
    s[1] = a->first ? g : v_fma(mu, s[1], g);
    s[0] = v_fnma(v_set1(a->rate), a->nesterov ? v_fma(mu, s[1], g) : s[1], s[0]);
}

/* s[1]: mean square, s[2]: velocity, s[3]: mean, where it is centered */
ALWAYS_INLINE void FN(rmsprop_op)(const FN(optim_args) *a, int used, vec g, vec s[4])
{
    vec rest = v_set1(a->rest2), square;
    g = FN(decayed)(a, g, s[0]);
    square = s[1] = v_fma(v_mul(rest, g), g, v_mul(v_set1(a->beta2), s[1]));
    if (used & THIRD_SLOT) {
        s[3] = v_fma(rest, v_sub(g, s[3]), s[3]);
        square = v_max(v_zero(), v_fnma(s[3], s[3], square)); /* rounding may leave it a little below 0 */
    }
    vec direction = v_div(g, v_add(v_sqrt(square), v_set1(a->epsilon)));
    if (used & SECOND_SLOT) direction = s[2] = v_fma(v_set1(a->momentum), s[2], direction);
    s[0] = v_fnma(v_set1(a->rate), direction, s[0]);
}

ALWAYS_INLINE void FN(adagrad_op)(const FN(optim_args) *a, int used, vec g, vec s[4])
{
    (void)used;
    g = FN(decayed)(a, g, s[0]);
    s[1] = v_fma(g, g, s[1]);
    s[0] = v_fnma(v_set1(a->rate), v_div(g, v_add(v_sqrt(s[1]), v_set1(a->epsilon))), s[0]);
}

/* Kingma and Ba 2015; decoupled weight decay: Loshchilov and Hutter 2019 */
ALWAYS_INLINE void FN(adam_op)(const FN(optim_args) *a, int used, vec g, vec s[4])
{
    (void)used;
    g = FN(decayed)(a, g, s[0]);
    s[1] = v_fma(v_set1(a->rest1), v_sub(g, s[1]), s[1]);
    s[2] = v_fma(v_mul(v_set1(a->rest2), g), g, v_mul(v_set1(a->beta2), s[2]));
    /* Without the divider, which would bound this loop: 1.15 to 0.7 us for 2,410 floats. */
    vec denominator = v_fma(v_near_sqrt(s[2]), v_set1(a->root_correction), v_set1(a->epsilon));
    s[0] = v_fnma(v_set1(a->step_rate), v_near_div(s[1], denominator), v_mul(v_set1(a->keep), s[0]));
}

/* Riedmiller and Braun 1993, without backtracking; s[1]: previous gradient, s[2]: step sizes */
ALWAYS_INLINE void FN(rprop_op)(const FN(optim_args) *a, int used, vec g, vec s[4])
{
    vec zero = v_zero(), product = v_mul(g, s[1]);
    vmask same = v_lt(zero, product), flipped = v_lt(product, zero);
    (void)used;
    vec factor = v_select(same, v_set1(a->beta2), v_select(flipped, v_set1(a->beta1), v_set1(1)));
    s[2] = FN(clamp)(a->step_min, a->step_max, v_mul(s[2], factor));
    s[1] = v_select(flipped, zero, g);
    s[0] = v_sub(s[0], v_select(v_eq(s[1], zero), zero, v_copysign(s[2], s[1])));
}

ALWAYS_INLINE void FN(optim_walk)(const FN(optim_args) *args, int64_t begin, int64_t end, int used, FN(optim_op) f)
{
    const FN(optim_args) a = *args; /* a copy: stores to p cannot reach it, so its fields stay in registers */
    vec s[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    int64_t i = begin;
    for (; i + VL <= end; i += VL) {
        s[0] = v_load(a.p + i);
        for (int k = 0; k < 3; k++)
            if (used >> k & 1) s[k + 1] = v_load(a.slot[k] + i);
        f(&a, used, v_load(a.g + i), s);
        v_store(a.p + i, s[0]);
        for (int k = 0; k < 3; k++)
            if (used >> k & 1) v_store(a.slot[k] + i, s[k + 1]);
    }
    if (i == end) return;
    vmask m = mask_first(end - i);
    s[0] = v_load_mask(a.p + i, m);
    for (int k = 0; k < 3; k++)
        if (used >> k & 1) s[k + 1] = v_load_mask(a.slot[k] + i, m);
    f(&a, used, v_load_mask(a.g + i, m), s);
    v_store_mask(a.p + i, m, s[0]);
    for (int k = 0; k < 3; k++)
        if (used >> k & 1) v_store_mask(a.slot[k] + i, m, s[k + 1]);
}

#undef OPTIM_RANGE
#define OPTIM_RANGE(name, method, used)                                                                              \
    static void FN(name##_range)(void *args, int64_t begin, int64_t end, int64_t chunk)                              \
    {                                                                                                                \
        (void)chunk;                                                                                                 \
        FN(optim_walk)(args, begin, end, used, FN(method##_op));                                                     \
    }
OPTIM_RANGE(sgd, sgd, 0)
OPTIM_RANGE(momentum, momentum, FIRST_SLOT)
OPTIM_RANGE(rmsprop, rmsprop, FIRST_SLOT)
OPTIM_RANGE(rmsprop_momentum, rmsprop, FIRST_SLOT | SECOND_SLOT)
OPTIM_RANGE(rmsprop_centered, rmsprop, FIRST_SLOT | THIRD_SLOT)
OPTIM_RANGE(rmsprop_both, rmsprop, FIRST_SLOT | SECOND_SLOT | THIRD_SLOT)
OPTIM_RANGE(adagrad, adagrad, FIRST_SLOT)
OPTIM_RANGE(adam, adam, FIRST_SLOT | SECOND_SLOT)
OPTIM_RANGE(rprop, rprop, FIRST_SLOT | SECOND_SLOT)

static void FN(optim_run)(const fnn_ctx *cx, int64_t n, const fnn_optim *h, FN(range_body) body, real *p, const real *g,
                          real *slot0, real *slot1, real *slot2)
{
    FN(optim_args) a = FN(optim_constants)(h);
    a.p = p;
    a.g = g;
    a.slot[0] = slot0;
    a.slot[1] = slot1;
    a.slot[2] = slot2;
    FN(for_items)(cx, n, 1, body, &a);
}

static void FN(optim_sgd)(const fnn_ctx *cx, int64_t n, const fnn_optim *h, real *p, const real *g, real *velocity)
{
    FN(optim_run)(cx, n, h, velocity ? FN(momentum_range) : FN(sgd_range), p, g, velocity, NULL, NULL);
}

static void FN(optim_rmsprop)(const fnn_ctx *cx, int64_t n, const fnn_optim *h, real *p, const real *g, real *square,
                              real *velocity, real *mean)
{
    FN(range_body) plain = velocity ? FN(rmsprop_momentum_range) : FN(rmsprop_range);
    FN(range_body) centered = velocity ? FN(rmsprop_both_range) : FN(rmsprop_centered_range);
    FN(optim_run)(cx, n, h, mean ? centered : plain, p, g, square, velocity, mean);
}

static void FN(optim_adagrad)(const fnn_ctx *cx, int64_t n, const fnn_optim *h, real *p, const real *g, real *square)
{
    FN(optim_run)(cx, n, h, FN(adagrad_range), p, g, square, NULL, NULL);
}

/* base^n: libm's pow costs more than the step of a small network. */
static double FN(power)(double base, int64_t n)
{
    double y = 1;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1) y *= base;
    return y;
}

static void FN(optim_adam)(const fnn_ctx *cx, int64_t n, const fnn_optim *h, real *p, const real *g, real *m, real *v)
{
    FN(optim_args) a = FN(optim_constants)(h);
    a.step_rate = (real)(h->learning_rate / (1 - FN(power)(h->beta1, h->step)));
    a.root_correction = (real)(1 / sqrt(1 - FN(power)(h->beta2, h->step)));
    a.keep = 1;
    if (h->decoupled) {
        a.keep = (real)(1 - h->learning_rate * h->weight_decay);
        a.decay = 0;
    }
    a.p = p;
    a.g = g;
    a.slot[0] = m;
    a.slot[1] = v;
    FN(for_items)(cx, n, 1, FN(adam_range), &a);
}

static void FN(optim_rprop)(const fnn_ctx *cx, int64_t n, const fnn_optim *h, real *p, const real *g, real *previous,
                            real *size)
{
    FN(optim_run)(cx, n, h, FN(rprop_range), p, g, previous, size, NULL);
}
