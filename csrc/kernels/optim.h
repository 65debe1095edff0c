/* optim.h: one optimizer step over a stretch of the flat vectors, each method one pass, in PyTorch's definitions and
 * order of operations.
 *
 * A method is a function on vectors of p, g and its slots; constants that depend on the step alone, such as Adam's bias
 * corrections, are worked out once per call. The product of a layer's weight gradient applies the same rule to each
 * block that it has summed (gemm_update.h). */

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
    real *p, *slot[3]; /* slots: NULL where unused */
} FN(optim_args);

/* A block of the vectors: `rows` times `cols` elements, row after row ld apart in p and its slots from `at` on, and ldg
 * apart in g. */
typedef struct {
    int64_t rows, cols, at, ld, ldg;
    const real *g;
} FN(optim_block);

/* A method with its constants and vectors: run(&args, &block) is a step over a block. */
typedef struct {
    void (*run)(const FN(optim_args) *args, const FN(optim_block) *block);
    FN(optim_args) args;
} FN(rule);

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

ALWAYS_INLINE void FN(optim_vector)(const FN(optim_args) *a, int64_t i, const real *g, int used, FN(optim_op) f)
{
    vec s[4] = {v_load(a->p + i), v_zero(), v_zero(), v_zero()};
    for (int k = 0; k < 3; k++)
        if (used >> k & 1) s[k + 1] = v_load(a->slot[k] + i);
    f(a, used, v_load(g), s);
    v_store(a->p + i, s[0]);
    for (int k = 0; k < 3; k++)
        if (used >> k & 1) v_store(a->slot[k] + i, s[k + 1]);
}

ALWAYS_INLINE void FN(optim_rest)(const FN(optim_args) *a, int64_t i, const real *g, vmask m, int used, FN(optim_op) f)
{
    vec s[4] = {v_load_mask(a->p + i, m), v_zero(), v_zero(), v_zero()};
    for (int k = 0; k < 3; k++)
        if (used >> k & 1) s[k + 1] = v_load_mask(a->slot[k] + i, m);
    f(a, used, v_load_mask(g, m), s);
    v_store_mask(a->p + i, m, s[0]);
    for (int k = 0; k < 3; k++)
        if (used >> k & 1) v_store_mask(a->slot[k] + i, m, s[k + 1]);
}

ALWAYS_INLINE void FN(optim_walk)(const FN(optim_args) *args, const FN(optim_block) *b, int used, FN(optim_op) f)
{
    const FN(optim_args) a = *args; /* a copy: stores to p cannot reach it, so its fields stay in registers */
    const int64_t cols = b->cols, rest = cols % VL;
    const vmask edge = mask_first(rest);
    for (int64_t row = 0; row < b->rows; row++) {
        int64_t at = b->at + row * b->ld, i = 0;
        const real *g = b->g + row * b->ldg;
        for (; i + VL <= cols; i += VL) FN(optim_vector)(&a, at + i, g + i, used, f);
        if (rest) FN(optim_rest)(&a, at + i, g + i, edge, used, f);
    }
}

#undef OPTIM_RUN
#define OPTIM_RUN(name, method, used)                                                                                \
    static void FN(name##_run)(const FN(optim_args) *args, const FN(optim_block) *block)                             \
    {                                                                                                                \
        FN(optim_walk)(args, block, used, FN(method##_op));                                                          \
    }
OPTIM_RUN(sgd, sgd, 0)
OPTIM_RUN(momentum, momentum, FIRST_SLOT)
OPTIM_RUN(rmsprop, rmsprop, FIRST_SLOT)
OPTIM_RUN(rmsprop_momentum, rmsprop, FIRST_SLOT | SECOND_SLOT)
OPTIM_RUN(rmsprop_centered, rmsprop, FIRST_SLOT | THIRD_SLOT)
OPTIM_RUN(rmsprop_both, rmsprop, FIRST_SLOT | SECOND_SLOT | THIRD_SLOT)
OPTIM_RUN(adagrad, adagrad, FIRST_SLOT)
OPTIM_RUN(adam, adam, FIRST_SLOT | SECOND_SLOT)
OPTIM_RUN(rprop, rprop, FIRST_SLOT | SECOND_SLOT)

/* base[i]^n for both: libm's pow costs more than the step of a small network. Without a branch on the bits of n, which
 * no CPU foresees: 100 to 55 ns with what follows from them. */
static void FN(powers)(const double base[2], int64_t n, double y[2])
{
    double first = base[0], second = base[1], y1 = 1, y2 = 1;
    for (; n > 0; n >>= 1, first *= first, second *= second) {
        const double odd = (double)(n & 1), even = 1 - odd;
        y1 *= odd * first + even;
        y2 *= odd * second + even;
    }
    y[0] = y1;
    y[1] = y2;
}

static void FN(adam_constants)(const fnn_optim *h, FN(optim_args) *a)
{
    const double beta[2] = {h->beta1, h->beta2};
    double power[2];
    FN(powers)(beta, h->step, power);
    a->step_rate = (real)(h->learning_rate / (1 - power[0]));
    a->root_correction = (real)(1 / sqrt(1 - power[1]));
    a->keep = 1;
    if (!h->decoupled) return;
    a->keep = (real)(1 - h->learning_rate * h->weight_decay);
    a->decay = 0;
}

/* The rule of an update; slots that it has no use for are NULL in it. */
static FN(rule) FN(rule_of)(const fnn_update *u)
{
    const fnn_optim *h = &u->h;
    FN(rule) rule = {.args = {
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
        .p = u->p,
        .slot = {u->slots[0], u->slots[1], u->slots[2]},
    }};
    const int moves = h->momentum > 0;
    switch (u->method) {
    case FNN_SGD:
        rule.run = moves ? FN(momentum_run) : FN(sgd_run);
        if (!moves) rule.args.slot[0] = NULL;
        break;
    case FNN_RMSPROP:
        if (h->centered) rule.run = moves ? FN(rmsprop_both_run) : FN(rmsprop_centered_run);
        else rule.run = moves ? FN(rmsprop_momentum_run) : FN(rmsprop_run);
        if (!moves) rule.args.slot[1] = NULL;
        if (!h->centered) rule.args.slot[2] = NULL;
        break;
    case FNN_ADAGRAD: rule.run = FN(adagrad_run); break;
    case FNN_ADAM:
        FN(adam_constants)(h, &rule.args);
        rule.run = FN(adam_run);
        break;
    default: rule.run = FN(rprop_run);
    }
    return rule;
}

typedef struct {
    FN(rule) rule;
    int64_t cols, ld; /* of a matrix */
    const real *g;
} FN(optimize_args);

static void FN(optimize_range)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(optimize_args) *a = args;
    (void)chunk;
    FN(optim_block) block = {.rows = 1, .cols = end - begin, .at = begin, .g = a->g + begin};
    a->rule.run(&a->rule.args, &block);
}

static void FN(optimize_rows)(void *args, int64_t begin, int64_t end, int64_t chunk)
{
    const FN(optimize_args) *a = args;
    (void)chunk;
    FN(optim_block) block = {.rows = end - begin, .cols = a->cols, .at = begin * a->ld, .ld = a->ld, .ldg = a->ld,
                             .g = a->g + begin * a->ld};
    a->rule.run(&a->rule.args, &block);
}

static void FN(optimize)(const fnn_ctx *cx, int64_t n, const fnn_update *u, const real *g)
{
    FN(optimize_args) a = {.rule = FN(rule_of)(u), .g = g};
    FN(for_items)(cx, n, 1, FN(optimize_range), &a);
}

/* The same for a matrix whose rows lie ld apart, in all vectors. */
static void FN(optimize_matrix)(const fnn_ctx *cx, int64_t rows, int64_t cols, int64_t ld, const fnn_update *u,
                                const real *g)
{
    FN(optimize_args) a = {.rule = FN(rule_of)(u), .cols = cols, .ld = ld, .g = g};
    FN(for_items)(cx, rows, cols, FN(optimize_rows), &a);
}
