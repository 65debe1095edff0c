# Normalization of rows: layer norm and RMSNorm. Training keeps each row's mean and inverse deviation.

cdef class RowNorm(Op):
    kind = "row_norm"
    needs = "x"
    cdef real[:, ::1] x, y, dx, dy, stats
    cdef real[::1] weight, bias, dweight, dbias
    cdef int64_t repeat
    cdef fnn_row_norm dims      # rows is set for each batch
    cdef bint has_dx, keeps

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.repeat = repeat_of(b.y)
        self.weight, self.dweight = b.params["weight"], b.grads["weight"]
        self.dims.centered = b.attrs["centered"]
        if self.dims.centered:
            self.bias, self.dbias = b.params["bias"], b.grads["bias"]
        self.dims.rows, self.dims.cols = self.y.shape[0], self.y.shape[1]
        self.dims.epsilon = b.attrs["epsilon"]
        self.dims.adds_dx, self.dims.adds_dw = b.adds[0], b.param_adds["weight"]
        self.has_dx, self.keeps = b.dx[0] is not None, b.dy is not None
        if self.keeps:
            self.stats = numpy.empty((self.dims.rows, 2), dtype=PRECISION)

    def set_scratch(self, int threads, int precision):
        cdef fnn_ctx cx
        cdef size_t bytes
        cx.threads, cx.precision = threads, precision
        self.dims.rows = self.y.shape[0]
        K.row_norm_scratch(&cx, &self.dims, &bytes)
        return bytes

    cdef void forward(self, Step *s) noexcept nogil:
        self.dims.rows = s.rows * self.repeat
        K.row_norm_forward(&s.cx, &self.dims, &self.x[0, 0], &self.weight[0], &self.bias[0] if self.dims.centered else NULL,
                           &self.y[0, 0], &self.stats[0, 0] if self.keeps else NULL)

    cdef void backward(self, Step *s) noexcept nogil:
        self.dims.rows = s.rows * self.repeat
        K.row_norm_backward(&s.cx, &self.dims, &self.x[0, 0], &self.stats[0, 0], &self.weight[0], &self.dy[0, 0],
                            &self.dx[0, 0] if self.has_dx else NULL, &self.dweight[0],
                            &self.dbias[0] if self.dims.centered else NULL)
