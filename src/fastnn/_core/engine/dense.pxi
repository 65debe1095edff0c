# Dense: y = f(x W + b). The activation is fused where its derivative is a function of y; backward then forms
# dz = dy f'(y) in place of dy, which nobody reads after this op. Where the optimizer's rule for W is fused too, dW is
# never stored: dx comes first then, since it reads the W of the forward pass.

cdef class Dense(Op):
    kind = "dense"
    needs = "xy"
    updates = ("weight",)
    reads_feed = True
    fuses_activation = True
    folds_scale = True
    cdef real[:, ::1] x, y, dx, dy, weight, dweight
    cdef real[::1] bias, dbias
    cdef int64_t repeat
    cdef fnn_gemm dims         # of the forward product; m is set for each batch
    cdef bint has_bias, has_dx, adds_dx, adds_dw, adds_db
    cdef Update update         # of the weight, or None
    cdef Feed feed             # where x is, if not in this program's memory; else None

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.repeat = repeat_of(b.y)
        self.weight, self.dweight = b.params["weight"], b.grads["weight"]
        self.has_bias = "bias" in b.params
        if self.has_bias:
            self.bias, self.dbias = b.params["bias"], b.grads["bias"]
            self.adds_db = b.param_adds["bias"]
        self.has_dx = b.dx[0] is not None
        self.adds_dx, self.adds_dw = b.adds[0], b.param_adds["weight"]
        self.update, self.feed = b.updates.get("weight"), b.feeds[0]
        self.dims.k, self.dims.n = self.weight.shape[0], self.weight.shape[1]
        self.dims.m = self.y.shape[0]
        self.dims.lda, self.dims.ldb, self.dims.ldc = self.dims.k, self.dims.n, self.dims.n
        self.dims.activation = ACTIVATIONS[b.attrs.get("activation", "linear")][0]
        self.dims.alpha = b.attrs.get("alpha", 0.0)

    def set_scratch(self, int threads, int precision):
        cdef fnn_gemm back = self.input_gradient(self.dims.m), weights = self.weight_gradient(self.dims.m)
        return max(gemm_scratch(&self.dims, precision, threads), gemm_scratch(&back, precision, threads),
                   gemm_scratch(&weights, precision, threads))

    cdef fnn_gemm weight_gradient(self, int64_t rows) noexcept nogil:
        # dW (k x n) = x^T (k x rows) dz (rows x n)
        cdef fnn_gemm d
        d.m, d.n, d.k = self.dims.k, self.dims.n, rows
        d.lda, d.ldb, d.ldc = self.dims.k, self.dims.n, self.dims.n
        d.accumulate, d.activation, d.alpha, d.update = self.adds_dw, 0, 0.0, NULL
        return d

    cdef fnn_gemm input_gradient(self, int64_t rows) noexcept nogil:
        # dx (rows x k) = dz (rows x n) W^T
        cdef fnn_gemm d
        d.m, d.n, d.k = rows, self.dims.k, self.dims.n
        d.lda, d.ldb, d.ldc = self.dims.n, self.dims.n, self.dims.k
        d.accumulate, d.activation, d.alpha, d.update = self.adds_dx, 0, 0.0, NULL
        return d

    cdef void forward(self, Step *s) noexcept nogil:
        dense_forward(&s.cx, self.dims, s.rows * self.repeat, self.feed.rows if self.feed is not None else &self.x[0, 0],
                      self.weight, &self.bias[0] if self.has_bias else NULL, self.y)

    cdef void backward(self, Step *s) noexcept nogil:
        cdef int64_t rows = s.rows * self.repeat
        cdef fnn_gemm d
        if self.dims.activation:
            K.activation_backward(&s.cx, self.dims.activation, self.dims.alpha, rows * self.dims.n,
                                  &self.y[0, 0], &self.dy[0, 0], &self.dy[0, 0], 0)
        if self.has_dx:
            d = self.input_gradient(rows)
            K.gemm_nt(&s.cx, &d, &self.dy[0, 0], &self.weight[0, 0], NULL, &self.dx[0, 0])
        d = self.weight_gradient(rows)
        if self.update is not None and not s.watched:
            d.update = self.update.now(s)
        K.gemm_tn(&s.cx, &d, &self.x[0, 0], &self.dy[0, 0], NULL, &self.dweight[0, 0])
        if self.has_bias:
            K.column_sum(&s.cx, rows, self.dims.n, &self.dy[0, 0], &self.dbias[0], self.adds_db)


cdef inline void dense_forward(const fnn_ctx *cx, fnn_gemm d, int64_t rows, const real *x, const real[:, ::1] weight,
                               const real *bias, real[:, ::1] y) noexcept nogil:
    d.m = rows
    K.gemm_nn(cx, &d, x, &weight[0, 0], bias, &y[0, 0])
