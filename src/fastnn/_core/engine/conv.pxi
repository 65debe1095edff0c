# Conv: a convolution over images or sequences. The activation is fused where its derivative is a function of y; backward
# then forms dz = dy f'(y) in place of dy, which nobody reads after this op.

cdef class Conv(Op):
    kind = "conv"
    needs = "xy"
    fuses_activation = True
    folds_scale = True
    reads_feed = True
    cdef real[:, ::1] x, y, dx, dy, weight, dweight
    cdef real[::1] bias, dbias
    cdef fnn_conv dims         # window.rows is set for each batch
    cdef int64_t rows          # of the largest batch
    cdef bint has_bias, has_dx
    cdef Feed feed             # where x is, if not in this program's memory; else None

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.weight, self.dweight = matrix(b.params["weight"]), matrix(b.grads["weight"])
        self.has_bias = "bias" in b.params
        if self.has_bias:
            self.bias, self.dbias = b.params["bias"], b.grads["bias"]
        self.has_dx, self.feed = b.dx[0] is not None, b.feeds[0]
        self.dims = conv_of(b.x[0].shape, b.y.shape, b.attrs)
        self.rows = self.dims.window.rows
        self.dims.adds_dx, self.dims.adds_dw = b.adds[0], b.param_adds["weight"]

    @staticmethod
    def pools(x, y, attrs):
        """Whether the max pooling in `attrs` is worth taking in; x, y: shapes of a sample."""
        cdef fnn_conv dims = conv_of((1, *x), (1, *y), attrs)
        cdef int32_t pays
        K.conv_pools(&dims, &pays)
        return pays != 0

    def set_scratch(self, int threads, int precision):
        cdef fnn_ctx cx
        cdef size_t bytes
        cx.threads, cx.precision = threads, precision
        self.dims.window.rows = self.rows
        K.conv_scratch(&cx, &self.dims, &bytes)
        return bytes

    cdef void forward(self, Step *s) noexcept nogil:
        self.dims.window.rows = s.rows
        K.conv_forward(&s.cx, &self.dims, self.feed.rows if self.feed is not None else &self.x[0, 0],
                       &self.weight[0, 0], &self.bias[0] if self.has_bias else NULL, &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        self.dims.window.rows = s.rows
        K.conv_backward(&s.cx, &self.dims, &self.x[0, 0], &self.weight[0, 0], &self.y[0, 0], &self.dy[0, 0],
                        &self.dx[0, 0] if self.has_dx else NULL, &self.dweight[0, 0],
                        &self.dbias[0] if self.has_bias else NULL)


cdef fnn_conv conv_of(tuple x, tuple y, attrs) except *:
    """The dims of a convolution from x to y, shapes of a batch. Where max pooling of windows `pool` was taken in, y is what
    that leaves, and `unpooled` is the shape of a sample before it."""
    cdef fnn_conv d
    d.window = window_of(x, (x[0], *attrs["unpooled"]) if "pool" in attrs else y, attrs)
    d.filters, d.groups = y[len(y) - 1], attrs["groups"]
    d.activation, d.alpha = ACTIVATIONS[attrs.get("activation", "linear")][0], attrs.get("alpha", 0.0)
    d.adds_dx = d.adds_dw = 0
    d.pool_height, d.pool_width = attrs.get("pool", (0, 0))
    return d
