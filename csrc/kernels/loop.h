/* loop.h: how kernels walk over buffers, and the one place where they go parallel.
 *
 * An elementwise operation is a function on vectors; the walks below call it on whole vectors and, for the rest, under
 * a mask. They are always inlined, with the function a constant, so each kernel is a loop of its own. Every lane sees
 * the same operations in the body and in the rest, so an element's result does not depend on where it lies.
 *
 * A reduction is cut into chunks by its size alone, never by the number of threads. */
#include "../pool.h"

/* Bytes that an element of cheap work reads and writes, about; and the elements in a chunk of a reduction. */
#undef ELEMENT_BYTES
#undef REDUCTION_CHUNK
#define ELEMENT_BYTES (3 * sizeof(real))
#define REDUCTION_CHUNK 65536
/* A reduction keeps one partial result a chunk on the stack. */
#undef MAX_PARTIALS
#undef PIECE
#define MAX_PARTIALS 128
#define PIECE (1 << 20) /* elements between two looks at the watch: a millisecond, ten where memory is read at random */

typedef void (*FN(range_body))(void *args, int64_t begin, int64_t end, int64_t chunk);

typedef struct {
    FN(range_body) body;
    void *args;
    int64_t n, size;
} FN(range);

static void FN(range_chunk)(void *arg, int64_t chunk)
{
    const FN(range) *r = arg;
    int64_t begin = chunk * r->size, end = begin + r->size;
    r->body(r->args, begin, end < r->n ? end : r->n, chunk);
}

ALWAYS_INLINE int FN(threads_for_elements)(const fnn_ctx *cx, double elements)
{
    return fnn_worthwhile_threads(cx, elements * ELEMENT_BYTES, FNN_GRAIN_BYTES);
}

/* Calls body on chunks of `size` that cover 0 .. n-1. */
static void FN(run_chunks)(int threads, int64_t n, int64_t size, FN(range_body) body, void *args)
{
    FN(range) r = {body, args, n, size};
    fnn_parallel(threads, n / size + (n % size != 0), FN(range_chunk), &r);
}

/* For a loop over n items of `work` elements each, whose items are independent of each other. A thread has one chunk of
 * whole cache lines, or several neighbouring ones where they would be too long. */
ALWAYS_INLINE void FN(for_items)(const fnn_ctx *cx, int64_t n, int64_t work, FN(range_body) body, void *args)
{
    int threads = cx->threads <= 1 ? 1 : FN(threads_for_elements)(cx, (double)work * (double)n);
    if (threads > n) threads = (int)n;
    int64_t size = threads <= 1 ? n : (n + threads - 1) / threads;
    if ((double)size * (double)work > PIECE) size = PIECE / work + 1;
    if (size >= n) {
        body(args, 0, n, 0);
        return;
    }
    if (work < 64) size = (size + 63) / 64 * 64;
    FN(run_chunks)(threads, n, size, body, args);
}

/* The chunk of a reduction over n items of `work` elements each: at most MAX_PARTIALS of them. */
ALWAYS_INLINE int64_t FN(reduction_chunk)(int64_t n, int64_t work)
{
    int64_t size = work < REDUCTION_CHUNK ? REDUCTION_CHUNK / work : 1;
    int64_t least = n / MAX_PARTIALS + 1;
    return size > least ? size : least;
}

/* Runs a reduction whose body writes partial[chunk], and adds the partial results in order. */
ALWAYS_INLINE double FN(run_reduction)(const fnn_ctx *cx, int64_t n, int64_t work, FN(range_body) body, void *args,
                                       const double *partial)
{
    int64_t size = FN(reduction_chunk)(n, work);
    if (n <= 0) return 0;
    if (n <= size) {
        body(args, 0, n, 0);
        return partial[0];
    }
    FN(run_chunks)(FN(threads_for_elements)(cx, (double)work * (double)n), n, size, body, args);
    double total = 0;
    for (int64_t i = 0; i * size < n; i++) total += partial[i];
    return total;
}

/* ---- walks: y = f(x...), with one constant ------------------------------------------------------------------- */

typedef vec (*FN(map1_op))(vec x, vec c);
typedef vec (*FN(map2_op))(vec x, vec y, vec c);

ALWAYS_INLINE void FN(map1)(int64_t n, const real *x, real *y, vec c, FN(map1_op) f)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, f(v_load(x + i), c));
    if (i < n) {
        vmask m = mask_first(n - i);
        v_store_mask(y + i, m, f(v_load_mask(x + i, m), c));
    }
}

ALWAYS_INLINE void FN(map2)(int64_t n, const real *x, const real *y, real *z, vec c, FN(map2_op) f)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(z + i, f(v_load(x + i), v_load(y + i), c));
    if (i < n) {
        vmask m = mask_first(n - i);
        v_store_mask(z + i, m, f(v_load_mask(x + i, m), v_load_mask(y + i, m), c));
    }
}

static void FN(fill_row)(int64_t n, real value, real *y)
{
    const vec v = v_set1(value);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, v);
    if (i < n) v_store_mask(y + i, mask_first(n - i), v);
}
