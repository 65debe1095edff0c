# Embeddings: rows of a table by token, whose gradient (or update) is summed token by token, and vectors of positions.

cdef class Embedding(Op):
    """y = table[x]. The role is "table": the product that a "weight" stands for does not take place."""
    kind = "embedding"
    needs = "x"
    updates = ("table",)
    cdef int32_t[:, ::1] x
    cdef real[:, ::1] y, dy, table, dtable
    cdef fnn_embed dims         # count is set for each batch
    cdef Update update          # of the table, or None

    def __init__(self, b):
        self.x, self.y, self.dy = b.x[0].reshape(b.x[0].shape[0], -1), matrix(b.y), matrix(b.dy)
        self.table, self.dtable = b.params["table"], b.grads["table"]
        self.dims.tokens, self.dims.cols = self.table.shape[0], self.table.shape[1]
        self.dims.accumulate, self.update = b.param_adds["table"], b.updates.get("table")

    cdef inline void count(self, int64_t rows) noexcept nogil:
        self.dims.count, self.dims.update = rows * self.x.shape[1], NULL

    def set_scratch(self, int threads, int precision):
        cdef fnn_ctx cx
        cdef size_t bytes
        cx.threads, cx.precision = threads, precision
        self.count(self.x.shape[0])
        K.embed_scratch(&cx, &self.dims, &bytes)
        return bytes

    cdef void forward(self, Step *s) noexcept nogil:
        self.count(s.rows)
        K.embed_forward(&s.cx, &self.dims, &self.x[0, 0], &self.table[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        self.count(s.rows)
        if self.update is not None and not s.watched:
            self.dims.update = self.update.now(s)
        K.embed_backward(&s.cx, &self.dims, &self.x[0, 0], &self.dy[0, 0], &self.dtable[0, 0])


cdef class Positions(Op):
    """y[t] = x[t] + table[t], where the table is a parameter or fixed. A stream counts its steps."""
    kind = "positions"
    cdef real[:, ::1] x, y, dx, dy     # (rows, steps units)
    cdef real[::1] table, dtable
    cdef bint has_dx, adds_dx, learns, adds_dtable, stream
    cdef int64_t position

    def __init__(self, b):
        flat = b.y.shape[0], -1
        self.x, self.y = b.x[0].reshape(flat), b.y.reshape(flat)
        self.has_dx, self.adds_dx = b.dx[0] is not None, b.adds[0]
        if b.dy is not None:
            self.dy = b.dy.reshape(flat)
        if self.has_dx:
            self.dx = b.dx[0].reshape(flat)
        learned = "table" in b.params
        table = b.params["table"] if learned else numpy.ascontiguousarray(b.attrs["table"], dtype=PRECISION)
        self.table = table.reshape(-1)
        self.learns = learned and b.grads["table"] is not None
        if self.learns:
            self.dtable, self.adds_dtable = b.grads["table"].reshape(-1), b.param_adds["table"]
        self.stream = b.attrs["stream"]

    def rewind(self):
        self.position = 0

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t n = self.y.shape[1]
        K.add_row(&s.cx, s.rows, n, &self.x[0, 0], &self.table[self.position * n], &self.y[0, 0])
        self.position += self.stream

    cdef void backward(self, Step *s) noexcept nogil:
        cdef int64_t n = self.y.shape[1], size = s.rows * n
        if self.has_dx:
            K.copy_2d(&s.cx, 1, size, &self.dy[0, 0], size, &self.dx[0, 0], size, self.adds_dx)
        if not self.learns:
            return
        K.column_sum(&s.cx, s.rows, n, &self.dy[0, 0], &self.dtable[0], self.adds_dtable)
        if n < self.dtable.shape[0] and not self.adds_dtable:  # positions beyond these sequences
            K.fill(&s.cx, self.dtable.shape[0] - n, 0.0, &self.dtable[n])
