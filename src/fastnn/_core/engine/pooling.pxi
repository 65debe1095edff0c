# Pooling over images or sequences: the largest value of a window, and the mean.

cdef class Pool(Op):
    cdef real[:, ::1] x, y, dx, dy
    cdef fnn_window window     # rows is set for each batch
    cdef bint has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.window = window_of(b.x[0].shape, b.y.shape, b.attrs)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]


cdef class MaxPool(Pool):
    """The largest value of a window; of a window of relu(x) with the attribute "rectify", for then relu need not exist."""
    kind = "max_pool"
    needs = "xy"
    cdef bint rectify

    def __init__(self, b):
        Pool.__init__(self, b)
        self.rectify = b.attrs.get("rectify", False)

    cdef void forward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        K.max_pool_forward(&s.cx, &self.window, self.rectify, &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        if self.has_dx:
            K.max_pool_backward(&s.cx, &self.window, self.rectify, &self.x[0, 0], &self.y[0, 0], &self.dy[0, 0],
                                &self.dx[0, 0], self.adds)


cdef class MeanPool(Pool):
    kind = "mean_pool"

    cdef void forward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        K.mean_pool_forward(&s.cx, &self.window, &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        if self.has_dx:
            K.mean_pool_backward(&s.cx, &self.window, &self.dy[0, 0], &self.dx[0, 0], self.adds)


cdef class MaskedMean(Op):
    """The mean over the steps that a mask x[1] (rows, steps) leaves, as the product of a row of shares with a sample; without
    any, 0."""
    kind = "masked_mean"
    cdef real[:, ::1] x, y, dx, dy, mask, shares
    cdef int64_t steps, channels
    cdef bint has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.mask = b.x[1]
        self.shares = numpy.empty_like(b.x[1])
        self.steps, self.channels = b.x[0].shape[1], b.x[0].shape[2]
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]

    cdef fnn_gemm product(self, bint back) noexcept nogil:
        # y (1 x channels) = shares (1 x steps) x, or dx (steps x channels) = shares^T dy
        cdef fnn_gemm d
        d.m = self.steps if back else 1
        d.k = 1 if back else self.steps
        d.n = d.ldb = d.ldc = self.channels
        d.lda, d.accumulate = d.k, self.adds if back else 0
        d.activation, d.alpha, d.update = 0, 0.0, NULL
        return d

    def set_scratch(self, int threads, int precision):
        cdef fnn_gemm mean = self.product(False), back = self.product(True)
        return max(gemm_scratch(&mean, precision, threads), gemm_scratch(&back, precision, threads))

    cdef void forward(self, Step *s) noexcept nogil:
        cdef fnn_gemm d = self.product(False)
        cdef int64_t row, t, count
        for row in range(s.rows):
            count = 0
            for t in range(self.steps):
                count += self.mask[row, t] != 0
            for t in range(self.steps):
                self.shares[row, t] = <real>1 / count if self.mask[row, t] != 0 else 0
            K.gemm_nn(&s.cx, &d, &self.shares[row, 0], &self.x[row * self.steps, 0], NULL, &self.y[row, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        cdef fnn_gemm d = self.product(True)
        cdef int64_t row
        if not self.has_dx:
            return
        for row in range(s.rows):
            K.gemm_nn(&s.cx, &d, &self.shares[row, 0], &self.dy[row, 0], NULL, &self.dx[row * self.steps, 0])
