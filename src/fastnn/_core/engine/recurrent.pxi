# Recurrent: RNN, GRU and LSTM over sequences (rows, steps, features). What backward wants of every step stands on a
# tape of the op's own, between its forward and its backward pass. In a stream a program has a single step, and the op
# keeps the state from one run to the next.

CELLS = {"rnn_tanh": FNN_RNN_TANH, "rnn_relu": FNN_RNN_RELU, "gru": FNN_GRU, "lstm": FNN_LSTM}


cdef class Given:
    """An input of an op that may not be there: where its batch lies, and where its gradient goes."""
    cdef real[:, ::1] x, dx
    cdef Feed feed
    cdef bint has_dx, adds

    def __init__(self, b, int i):
        rows = b.x[i].shape[0]
        self.x = b.x[i].reshape(rows, -1)
        self.has_dx, self.adds, self.feed = b.dx[i] is not None, b.adds[i], b.feeds[i]
        if self.has_dx:
            self.dx = b.dx[i].reshape(rows, -1)

cdef inline const real *rows_of(Given given) noexcept nogil:
    if given is None:
        return NULL
    return given.feed.rows if given.feed is not None else &given.x[0, 0]

cdef inline real *gradient_of(Given given) noexcept nogil:
    return &given.dx[0, 0] if given is not None and given.has_dx else NULL


cdef class Recurrent(Op):
    """Attributes: cell; reverse; sequences; keeps_c: behind its steps y has LSTM's c after the last one, a row more;
    reads: which inputs follow x, of "mask", "h" and "c"; stream."""
    kind = "recurrent"
    least_rows = 16              # share a pass over the recurrent weight in each step
    needs = "x"
    reads_feed = True
    cdef fnn_recurrent dims    # rows is set for each batch
    cdef int64_t rows          # of the largest batch
    cdef Given x, mask, h, c   # the state before the first step, where it is given
    cdef real[:, ::1] y, dy, weight, dweight, recurrent, drecurrent
    cdef real[::1] bias, dbias, recurrent_bias, drecurrent_bias, tape
    cdef real[:, ::1] stream_h, stream_c
    cdef bint has_bias, has_recurrent_bias, keeps_tape, keeps_c, streams, is_lstm

    def __init__(self, b):
        reads = {name: Given(b, i) for i, name in enumerate(("x", *b.attrs["reads"]))}
        self.x, self.mask, self.h, self.c = (reads.get(name) for name in ("x", "mask", "h", "c"))
        self.rows = b.y.shape[0]
        self.y = b.y.reshape(self.rows, -1)
        self.weight, self.dweight = b.params["weight"], b.grads["weight"]
        self.recurrent, self.drecurrent = b.params["recurrent_weight"], b.grads["recurrent_weight"]
        self.has_bias, self.has_recurrent_bias = "bias" in b.params, "recurrent_bias" in b.params
        if self.has_bias:
            self.bias, self.dbias = b.params["bias"], b.grads["bias"]
        if self.has_recurrent_bias:
            self.recurrent_bias, self.drecurrent_bias = b.params["recurrent_bias"], b.grads["recurrent_bias"]
        self.set_dims(b)
        self.keeps_tape = b.dy is not None
        if self.keeps_tape:
            self.dy = b.dy.reshape(self.rows, -1)
            self.tape = numpy.empty(self.wanted(1, 0)[1], dtype=PRECISION)
        self.streams = b.attrs.get("stream", False)
        if self.streams:
            self.stream_h = numpy.zeros((self.rows, self.dims.units), dtype=PRECISION)
            self.stream_c = numpy.zeros((self.rows, self.dims.units), dtype=PRECISION)

    def set_dims(self, b):
        _, self.dims.steps, self.dims.inputs = b.x[0].shape
        self.dims.units = self.recurrent.shape[0]
        self.dims.row_y = self.y.shape[1]
        self.dims.cell = CELLS[b.attrs["cell"]]
        self.is_lstm = self.dims.cell == FNN_LSTM
        self.dims.reverse, self.dims.sequences = b.attrs["reverse"], b.attrs["sequences"]
        self.keeps_c = b.attrs["keeps_c"]
        self.dims.adds_dx, self.dims.adds_dw = self.x.adds, b.param_adds["weight"]
        self.dims.adds_dh0 = self.h is not None and self.h.adds
        self.dims.adds_dc0 = self.c is not None and self.c.adds

    def wanted(self, int threads, int precision):
        """Bytes of scratch, and elements of the tape."""
        cdef fnn_ctx cx
        cdef size_t bytes
        cdef int64_t tape
        cx.threads, cx.precision = threads, precision
        self.dims.rows = self.rows
        K.recurrent_scratch(&cx, &self.dims, &bytes, &tape)
        return bytes, tape

    def set_scratch(self, int threads, int precision):
        return self.wanted(threads, precision)[0]

    def rewind(self):
        if self.streams:
            self.stream_h[:, :] = 0
            self.stream_c[:, :] = 0

    cdef real *last_c(self, real[:, ::1] y) noexcept nogil:
        # The row of c in y or dy.
        return &y[0, self.dims.row_y - self.dims.units] if self.keeps_c else NULL

    cdef void forward(self, Step *s) noexcept nogil:
        cdef const real *h = rows_of(self.h)
        cdef const real *c = rows_of(self.c)
        cdef real *c_last = self.last_c(self.y)
        cdef int64_t units = self.dims.units
        self.dims.rows = s.rows
        if self.streams:
            h, c = &self.stream_h[0, 0], &self.stream_c[0, 0]
            if self.is_lstm and not self.keeps_c:
                c_last = &self.stream_c[0, 0]
        K.recurrent_forward(&s.cx, &self.dims, rows_of(self.x), &self.weight[0, 0], &self.recurrent[0, 0],
                            &self.bias[0] if self.has_bias else NULL,
                            &self.recurrent_bias[0] if self.has_recurrent_bias else NULL,
                            h, c, rows_of(self.mask), &self.y[0, 0], c_last, &self.tape[0] if self.keeps_tape else NULL)
        if self.streams:
            K.copy_2d(&s.cx, s.rows, units, &self.y[0, 0], self.dims.row_y, &self.stream_h[0, 0], units, 0)
            if self.keeps_c:
                K.copy_2d(&s.cx, s.rows, units, c_last, self.dims.row_y, &self.stream_c[0, 0], units, 0)

    cdef void backward(self, Step *s) noexcept nogil:
        self.dims.rows = s.rows
        K.recurrent_backward(&s.cx, &self.dims, rows_of(self.x), &self.weight[0, 0], &self.recurrent[0, 0],
                             rows_of(self.mask), &self.tape[0], &self.dy[0, 0], self.last_c(self.dy),
                             gradient_of(self.x), &self.dweight[0, 0], &self.drecurrent[0, 0],
                             &self.dbias[0] if self.has_bias else NULL,
                             &self.drecurrent_bias[0] if self.has_recurrent_bias else NULL,
                             gradient_of(self.h), gradient_of(self.c))
