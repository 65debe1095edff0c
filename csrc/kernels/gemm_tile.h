/* gemm_tile.h: the micro-kernels of the matrix product.
 *
 * A tile is h rows by w vectors of C, held in registers while it runs over k: each step loads w vectors of B once and
 * multiplies them by h broadcast elements of A. A has any two strides, so neither A nor its transpose is ever packed.
 * Every accumulator is a variable of its own, since GCC keeps an array in memory beside the registers.
 *
 * An element of C is one chain over k, except in tiles too small to hide the latency of the multiply-add, which only
 * occur for m <= 4: those run two or four chains and add them up.
 *
 * Heights: h w accumulators, w vectors of B and one of A must fit the registers. With 32 of them 6 x 4 asks for 10
 * loads in 12 cycles of multiply-adds (14 x 2: 16 in 14), so that L1 never limits it, and a B panel may come from L2. */

#undef TILE_WIDTH
#undef TILE_TALLEST
#undef TILES_1
#undef TILES_2
#undef TILES_3
#undef TILES_4
#undef TALLEST_WIDE
#define TILE_TALLEST 12 /* of any width */
#define TALLEST_WIDE 6  /* of TILE_WIDTH vectors */
#define TILES_1(T, e)                                                                                                \
    T(1, 1, e) T(2, 1, e) T(3, 1, e) T(4, 1, e) T(5, 1, e) T(6, 1, e)                                                \
    T(7, 1, e) T(8, 1, e) T(9, 1, e) T(10, 1, e) T(11, 1, e) T(12, 1, e)
#if defined(__AVX512F__) || defined(__aarch64__) /* 32 vector registers */
#define TILE_WIDTH 4
#define TILES_2(T, e)                                                                                                \
    T(1, 2, e) T(2, 2, e) T(3, 2, e) T(4, 2, e) T(5, 2, e) T(6, 2, e)                                                \
    T(7, 2, e) T(8, 2, e) T(9, 2, e) T(10, 2, e) T(11, 2, e) T(12, 2, e)
#define TILES_3(T, e) T(1, 3, e) T(2, 3, e) T(3, 3, e) T(4, 3, e) T(5, 3, e) T(6, 3, e) T(7, 3, e) T(8, 3, e)
#define TILES_4(T, e) T(1, 4, e) T(2, 4, e) T(3, 4, e) T(4, 4, e) T(5, 4, e) T(6, 4, e)
#else /* 16 */
#define TILE_WIDTH 2
#define TILES_2(T, e) T(1, 2, e) T(2, 2, e) T(3, 2, e) T(4, 2, e) T(5, 2, e) T(6, 2, e)
#define TILES_3(T, e)
#define TILES_4(T, e)
#endif
#undef TILES
#define TILES(T) \
    TILES_1(T, 0) TILES_2(T, 0) TILES_3(T, 0) TILES_4(T, 0) TILES_1(T, 1) TILES_2(T, 1) TILES_3(T, 1) TILES_4(T, 1)

/* What the tiles of one call share. */
typedef struct {
    int64_t k;
    int64_t row_a, step_a; /* strides of A: to the next row of C, to the next step of k */
    int64_t ldb, ldc;
    int64_t again, next_a, next_b; /* k steps come so many times again, each time so much further in A and B: how a
                                      convolution goes from one row of taps to the next */
    vmask edge;            /* columns of the last vector, in tiles that have an edge */
    int32_t load;          /* continue from what C holds */
    int32_t relu;
} FN(tile_job);

/* bias: of the tile's columns, or NULL */
typedef void (*FN(tile))(const FN(tile_job) *job, const real *a, const real *b, const real *bias, real *c);

ALWAYS_INLINE vec FN(load_part)(const real *p, int edged, vmask edge)
{
    return edged ? v_load_mask(p, edge) : v_load(p);
}

ALWAYS_INLINE void FN(store_part)(real *p, vec a, int edged, vmask edge)
{
    if (edged) v_store_mask(p, edge, a);
    else v_store(p, a);
}

#undef EACH_ROW
#undef TILE_DECLARE
#undef TILE_LOAD
#undef TILE_MULTIPLY
#undef TILE_STEP
#undef TILE_ADD
#undef TILE_JOIN
#undef TILE_ADD_BIAS
#undef TILE_RELU
#undef TILE_STORE
#define EACH_ROW(X, s) \
    X(s, 0) X(s, 1) X(s, 2) X(s, 3) X(s, 4) X(s, 5) X(s, 6) X(s, 7) X(s, 8) X(s, 9) X(s, 10) X(s, 11)
/* Row i of a set s of accumulators is s##i##_0 to s##i##_3. Those that a tile does not have cost nothing. */
#define TILE_DECLARE(s, i) vec s##i##_0 = v_zero(), s##i##_1 = v_zero(), s##i##_2 = v_zero(), s##i##_3 = v_zero();
#define TILE_LOAD(s, i)                                                                                              \
    if (h > i) {                                                                                                     \
        const real *row = c + i * ldc;                                                                               \
        s##i##_0 = FN(load_part)(row, w == 1 && edged, edge);                                                        \
        if (w > 1) s##i##_1 = FN(load_part)(row + VL, w == 2 && edged, edge);                                        \
        if (w > 2) s##i##_2 = FN(load_part)(row + 2 * VL, w == 3 && edged, edge);                                    \
        if (w > 3) s##i##_3 = FN(load_part)(row + 3 * VL, w == 4 && edged, edge);                                    \
    }
#define TILE_MULTIPLY(s, i)                                                                                          \
    if (h > i) {                                                                                                     \
        vec x = v_set1(a[i * row_a]);                                                                                \
        s##i##_0 = v_fma(x, b0, s##i##_0);                                                                           \
        if (w > 1) s##i##_1 = v_fma(x, b1, s##i##_1);                                                                \
        if (w > 2) s##i##_2 = v_fma(x, b2, s##i##_2);                                                                \
        if (w > 3) s##i##_3 = v_fma(x, b3, s##i##_3);                                                                \
    }
/* One step of k into a set. */
#define TILE_STEP(s)                                                                                                 \
    do {                                                                                                             \
        vec b0 = FN(load_part)(b, w == 1 && edged, edge), b1 = v_zero(), b2 = v_zero(), b3 = v_zero();               \
        if (w > 1) b1 = FN(load_part)(b + VL, w == 2 && edged, edge);                                                \
        if (w > 2) b2 = FN(load_part)(b + 2 * VL, w == 3 && edged, edge);                                            \
        if (w > 3) b3 = FN(load_part)(b + 3 * VL, w == 4 && edged, edge);                                            \
        EACH_ROW(TILE_MULTIPLY, s)                                                                                   \
        (void)b1, (void)b2, (void)b3;                                                                                \
        a += step_a;                                                                                                 \
        b += ldb;                                                                                                    \
    } while (0)
#define TILE_ADD(i, j) q##i##_##j = v_add(v_add(q##i##_##j, r##i##_##j), v_add(s##i##_##j, t##i##_##j));
#define TILE_JOIN(s, i) TILE_ADD(i, 0) TILE_ADD(i, 1) TILE_ADD(i, 2) TILE_ADD(i, 3)
#define TILE_ADD_BIAS(s, i)                                                                                          \
    s##i##_0 = v_add(s##i##_0, b0), s##i##_1 = v_add(s##i##_1, b1), s##i##_2 = v_add(s##i##_2, b2),                  \
    s##i##_3 = v_add(s##i##_3, b3);
#define TILE_RELU(s, i)                                                                                              \
    s##i##_0 = v_max(v_zero(), s##i##_0), s##i##_1 = v_max(v_zero(), s##i##_1),                                      \
    s##i##_2 = v_max(v_zero(), s##i##_2), s##i##_3 = v_max(v_zero(), s##i##_3);
#define TILE_STORE(s, i)                                                                                             \
    if (h > i) {                                                                                                     \
        real *row = c + i * ldc;                                                                                     \
        FN(store_part)(row, s##i##_0, w == 1 && edged, edge);                                                        \
        if (w > 1) FN(store_part)(row + VL, s##i##_1, w == 2 && edged, edge);                                        \
        if (w > 2) FN(store_part)(row + 2 * VL, s##i##_2, w == 3 && edged, edge);                                    \
        if (w > 3) FN(store_part)(row + 3 * VL, s##i##_3, w == 4 && edged, edge);                                    \
    }

/* h, w and edged are constants where this is inlined, so that every loop over rows and vectors is straight code. */
ALWAYS_INLINE void FN(tile_body)(const int h, const int w, const int edged, const FN(tile_job) *job, const real *a,
                                 const real *b, const real *bias, real *c)
{
    const int64_t row_a = job->row_a, step_a = job->step_a, ldb = job->ldb, ldc = job->ldc;
    const int chains = h * w <= 2 ? 4 : h * w <= 4 ? 2 : 1;
    vmask edge = job->edge;
    EACH_ROW(TILE_DECLARE, q)
    if (job->load) { EACH_ROW(TILE_LOAD, q) }
    for (int64_t again = job->again;; again--) {
        int64_t left = job->k;
        if (chains > 1) {
            EACH_ROW(TILE_DECLARE, r)
            EACH_ROW(TILE_DECLARE, s)
            EACH_ROW(TILE_DECLARE, t)
            for (; left >= chains; left -= chains) {
                TILE_STEP(q);
                TILE_STEP(r);
                if (chains == 4) {
                    TILE_STEP(s);
                    TILE_STEP(t);
                }
            }
            EACH_ROW(TILE_JOIN, q)
        }
        for (; left > 0; left--) TILE_STEP(q);
        if (again == 0) break;
        a += job->next_a;
        b += job->next_b;
    }
    if (bias) {
        vec b0 = FN(load_part)(bias, w == 1 && edged, edge), b1 = b0, b2 = b0, b3 = b0;
        if (w > 1) b1 = FN(load_part)(bias + VL, w == 2 && edged, edge);
        if (w > 2) b2 = FN(load_part)(bias + 2 * VL, w == 3 && edged, edge);
        if (w > 3) b3 = FN(load_part)(bias + 3 * VL, w == 4 && edged, edge);
        EACH_ROW(TILE_ADD_BIAS, q)
        (void)b1, (void)b2, (void)b3;
    }
    if (job->relu) { EACH_ROW(TILE_RELU, q) }
    EACH_ROW(TILE_STORE, q)
}

#undef TILE_DEFINE
#undef TILE_NAME
#undef TILE_ENTRY
#define TILE_NAME(h, w, e) FN(tile_##h##x##w##_##e)
#define TILE_DEFINE(h, w, e)                                                                                         \
    static void TILE_NAME(h, w, e)(const FN(tile_job) *job, const real *a, const real *b, const real *bias, real *c) \
    {                                                                                                                \
        FN(tile_body)(h, w, e, job, a, b, bias, c);                                                                  \
    }
TILES(TILE_DEFINE)

/* [edged][w][h] */
#define TILE_ENTRY(h, w, e) [e][w][h] = TILE_NAME(h, w, e),
static const FN(tile) FN(tiles)[2][TILE_WIDTH + 1][TILE_TALLEST + 1] = {TILES(TILE_ENTRY)};
