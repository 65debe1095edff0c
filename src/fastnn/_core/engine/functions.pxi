# Kernels as functions on arrays, for initializers, checks and tests. `out` and inputs are C-contiguous and of this precision.

from time import perf_counter

cdef fnn_ctx serial
serial.threads = 1


def random_uniform(uint64_t seed, uint64_t stream, double low, double high, real[::1] out not None):
    cdef fnn_key key
    key.seed, key.stream = seed, stream
    K.random_uniform(&serial, &key, out.shape[0], low, high, &out[0])


def permutation(uint64_t seed, uint64_t stream, int64_t[::1] out not None):
    """Fills `out` with a permutation of 0 .. n-1 that depends on seed and stream alone."""
    cdef fnn_key key
    key.seed, key.stream = seed, stream
    if out.shape[0]:
        with nogil:
            K.permutation(&key, out.shape[0], &out[0])


def random_normal(uint64_t seed, uint64_t stream, double mean, double deviation, real[::1] out not None):
    cdef fnn_key key
    key.seed, key.stream = seed, stream
    K.random_normal(&serial, &key, out.shape[0], mean, deviation, &out[0])


def first_nonfinite(const real[::1] x not None):
    """Index of the first element that is infinite or NaN, or -1."""
    cdef int64_t found = -1
    with nogil:
        K.first_nonfinite(&serial, x.shape[0], &x[0], &found)
    return found


def first_refused(const real[:, ::1] x not None, missing):
    """Index of the first element that is infinite, or NaN and not in one of the columns `missing`; or -1."""
    cdef int64_t found = -1
    cdef real[::1] takes = numpy.zeros(x.shape[1], dtype=PRECISION)
    for column in missing:
        takes[column] = 1
    with nogil:
        K.first_refused(&serial, x.shape[0], x.shape[1], &takes[0], &x[0, 0], &found)
    return found


def apply(str name, const real[::1] x not None):
    """exp, log, tanh, sigmoid or erf of every element."""
    out = numpy.empty(x.shape[0], dtype=PRECISION)
    cdef real[::1] y = out
    cdef size_t f = {"exp": <size_t>K.vexp, "log": <size_t>K.vlog, "tanh": <size_t>K.vtanh, "sigmoid": <size_t>K.vsigmoid,
                     "erf": <size_t>K.verf}[name]
    (<void (*)(const fnn_ctx *, int64_t, const real *, real *) noexcept nogil>f)(&serial, x.shape[0], &x[0], &y[0])
    return out


def gemm(str kind, const real[:, ::1] a not None, const real[:, ::1] b not None, real[:, ::1] c not None,
         int threads=1, int precision=0, int64_t repeats=1):
    """c = a b ("nn"), a b^T ("nt") or a^T b ("tn"), `repeats` times without the interpreter; seconds a time.

    For measuring a product as training runs it, and for checking it: `precision` is 0, 1 or 2 for highest, high and medium.
    """
    cdef fnn_gemm d
    cdef fnn_ctx cx
    cdef int64_t i, inner
    cdef unsigned char[::1] scratch
    cdef size_t product = {"nn": <size_t>K.gemm_nn, "nt": <size_t>K.gemm_nt, "tn": <size_t>K.gemm_tn}[kind]
    d.m, d.k = a.shape[0], a.shape[1]
    inner, d.n = b.shape[0], b.shape[1]
    if kind == "tn":
        d.m, d.k = d.k, d.m
    elif kind == "nt":
        inner, d.n = d.n, inner
    if inner != d.k or c.shape[0] != d.m or c.shape[1] != d.n or d.m * d.n * d.k == 0 or threads < 1:
        raise ValueError(f"gemm {kind} on {threads} threads: a, b and c of {d.m} x {d.k}, {inner} x {d.n} and "
                         f"{c.shape[0]} x {c.shape[1]}")
    d.lda, d.ldb, d.ldc = a.shape[1], b.shape[1], c.shape[1]
    d.accumulate, d.activation, d.alpha, d.update = 0, 0, 0.0, NULL
    cx.threads, cx.precision = threads, precision_within(precision)
    cx.scratch_size = gemm_scratch(&d, cx.precision, threads)
    scratch = numpy.empty(cx.scratch_size + 64, dtype="uint8")
    cx.scratch = <void *>((<size_t>&scratch[0] + 63) // 64 * 64)
    start = perf_counter()
    with nogil:
        for i in range(repeats):
            (<void (*)(const fnn_ctx *, const fnn_gemm *, const real *, const real *, const real *, real *) noexcept nogil>
             product)(&cx, &d, &a[0, 0], &b[0, 0], NULL, &c[0, 0])
    return (perf_counter() - start) / max(repeats, 1)
