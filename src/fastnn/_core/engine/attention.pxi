# Attention between projections: x[0] holds q, k and v side by side, or q alone and x[1] then k and v; the mask of the keys
# comes last. Training keeps the logarithm of each query's sum, a stream the keys and values of its steps so far.

cdef class Attention(Op):
    kind = "attention"
    needs = "xy"
    cdef real[:, ::1] q, kv, y, dq, dkv, dy, mask
    cdef real[::1] stats
    cdef real[:, :, ::1] cache         # (rows, length, k and v) of a stream
    cdef int64_t position, units
    cdef int64_t k                     # where k begins in a row of kv; v is `units` further on
    cdef fnn_attention dims            # rows is set for each batch
    cdef bint masked, keeps, remembers

    def __init__(self, b):
        keys = b.x[1] if b.attrs["cross"] else b.x[0]
        dkeys = b.dx[1] if b.attrs["cross"] else b.dx[0]
        self.q, self.kv, self.y = matrix(b.x[0]), matrix(keys), matrix(b.y)
        self.dq, self.dkv, self.dy = matrix(b.dx[0]), matrix(dkeys), matrix(b.dy)
        self.units = self.y.shape[1]
        self.k = 0 if b.attrs["cross"] else self.units
        self.dims.rows, self.dims.queries, self.dims.keys = b.y.shape[0], b.y.shape[1], keys.shape[1]
        self.dims.heads, self.dims.causal = b.attrs["heads"], b.attrs["causal"]
        self.dims.size = self.units // self.dims.heads
        self.dims.ldq, self.dims.ldk, self.dims.ldy = self.q.shape[1], self.kv.shape[1], self.units
        self.dims.next_k = self.dims.keys * self.dims.ldk
        self.dims.adds = b.adds[0]
        self.masked, self.keeps = b.attrs["masked"], b.dy is not None
        if self.masked:
            self.mask = b.x[len(b.x) - 1].reshape(self.dims.rows, -1)
        if self.keeps:
            self.stats = numpy.empty(self.dims.rows * self.dims.heads * self.dims.queries, dtype=PRECISION)
        self.remembers = b.attrs["length"] > 0
        if self.remembers:
            self.cache = numpy.empty((self.dims.rows, b.attrs["length"], 2 * self.units), dtype=PRECISION)
            self.dims.ldk, self.dims.next_k = 2 * self.units, b.attrs["length"] * 2 * self.units

    def set_scratch(self, int threads, int precision):
        cdef fnn_ctx cx
        cdef size_t bytes
        cx.threads, cx.precision = threads, precision
        K.attention_scratch(&cx, &self.dims, &bytes)
        return bytes

    def rewind(self):
        self.position = 0

    cdef void remember(self, Step *s) noexcept nogil:
        # The keys and values of this step, behind those of the steps before.
        K.copy_2d(&s.cx, s.rows, 2 * self.units, &self.kv[0, self.k], self.kv.shape[1], &self.cache[0, self.position, 0],
                  self.dims.next_k, 0)
        self.dims.first = self.position
        self.position += 1
        self.dims.keys = self.position

    cdef void forward(self, Step *s) noexcept nogil:
        cdef const real *k = &self.kv[0, self.k]
        self.dims.rows = s.rows
        if self.remembers:
            self.remember(s)
            k = &self.cache[0, 0, 0]
        K.attention_forward(&s.cx, &self.dims, &self.q[0, 0], k, k + self.units, &self.mask[0, 0] if self.masked else NULL,
                            &self.y[0, 0], &self.stats[0] if self.keeps else NULL)

    cdef void backward(self, Step *s) noexcept nogil:
        cdef const real *k = &self.kv[0, self.k]
        cdef real *dk = &self.dkv[0, self.k]
        self.dims.rows = s.rows
        K.attention_backward(&s.cx, &self.dims, &self.q[0, 0], k, k + self.units, &self.mask[0, 0] if self.masked else NULL,
                             &self.y[0, 0], &self.stats[0], &self.dy[0, 0], &self.dq[0, 0], dk, dk + self.units)
