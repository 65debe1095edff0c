# Kernels as functions on arrays, for initializers, checks and tests. `out` and inputs are C-contiguous and of this precision.

cdef fnn_ctx serial
serial.threads = 1


def random_uniform(uint64_t seed, uint64_t stream, double low, double high, real[::1] out not None):
    cdef fnn_key key
    key.seed, key.stream = seed, stream
    K.random_uniform(&serial, &key, out.shape[0], low, high, &out[0])


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


def apply(str name, const real[::1] x not None):
    """exp, log, tanh, sigmoid or erf of every element."""
    out = numpy.empty(x.shape[0], dtype=PRECISION)
    cdef real[::1] y = out
    cdef size_t f = {"exp": <size_t>K.vexp, "log": <size_t>K.vlog, "tanh": <size_t>K.vtanh, "sigmoid": <size_t>K.vsigmoid,
                     "erf": <size_t>K.verf}[name]
    (<void (*)(const fnn_ctx *, int64_t, const real *, real *) noexcept nogil>f)(&serial, x.shape[0], &x[0], &y[0])
    return out
