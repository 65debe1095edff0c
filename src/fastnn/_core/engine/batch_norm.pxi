# Batch normalization. Training normalizes by the batch and lets the running statistics follow when the step is done;
# prediction has an affine map in its place, applied to its input (ScaleShift, RunningNorm) or folded into the weights before
# it (Fold).

cdef fnn_batch_norm norm_of(values, attrs) except *:
    # The dims for all that `values`, (rows, ..., channels), hold.
    cdef fnn_batch_norm d
    *_, channels = values.shape
    d.cols, d.rows = channels, values.size // channels
    d.epsilon = attrs["epsilon"]
    d.activation = ACTIVATIONS[attrs.get("activation", "linear")][0]
    d.alpha = attrs.get("alpha", 0.0)
    d.adds_dx = d.adds_dw = 0
    return d


cdef size_t norm_scratch(fnn_batch_norm d) noexcept:
    cdef fnn_ctx cx
    cdef size_t bytes
    cx.threads = 1
    K.batch_norm_scratch(&cx, &d, &bytes)
    return bytes


cdef class BatchNorm(Op):
    """y = f(weight (x - mean) / sqrt(variance + epsilon) + bias), mean and variance those of the batch, by channel."""
    kind = "batch_norm"
    whole_batch = True
    moves_state = True
    needs = "xy"
    fuses_activation = True
    cdef real[:, ::1] x, y, dx, dy
    cdef real[::1] weight, bias, dweight, dbias, mean, variance
    cdef object running, where
    cdef fnn_batch_norm dims    # rows is set for each batch
    cdef int64_t repeat
    cdef double momentum
    cdef bint has_dx

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.repeat, self.dims = repeat_of(b.y), norm_of(b.y, b.attrs)
        self.weight, self.dweight = b.params["weight"], b.grads["weight"]
        self.bias, self.dbias = b.params["bias"], b.grads["bias"]
        self.has_dx = b.dx[0] is not None
        self.dims.adds_dx, self.dims.adds_dw = b.adds[0], b.param_adds["weight"]
        self.mean, self.variance = numpy.empty((2, self.dims.cols), dtype=PRECISION)
        self.running, self.momentum, self.where = b.state, b.attrs["momentum"], b.attrs["where"]

    def set_scratch(self, int threads, int precision):
        return norm_scratch(self.dims)

    def check_batch(self, rows, samples):
        if rows * self.repeat < 2:
            batch = "this batch" if rows == samples else f"the last batch of {samples} samples"
            raise ValueError(
                f"{self.where} trains on 2 values or more of each channel, and {batch} has 1: take another batch_size, "
                "or leave samples out"
            )

    def update_ops(self):
        return (RunningStatistics(self, self.running["running_mean"], self.running["running_variance"]),)

    cdef void forward(self, Step *s) noexcept nogil:
        self.dims.rows = s.rows * self.repeat
        K.batch_norm_forward(&s.cx, &self.dims, &self.x[0, 0], &self.weight[0], &self.bias[0], &self.y[0, 0], &self.mean[0],
                             &self.variance[0])

    cdef void backward(self, Step *s) noexcept nogil:
        K.batch_norm_backward(&s.cx, &self.dims, &self.x[0, 0], &self.weight[0], &self.mean[0], &self.variance[0],
                              &self.y[0, 0], &self.dy[0, 0], &self.dx[0, 0] if self.has_dx else NULL, &self.dweight[0],
                              &self.dbias[0])


cdef class RunningStatistics(Op):
    """running += momentum (batch - running), once a step is done; of the variance the unbiased estimate, as PyTorch has it."""
    cdef BatchNorm norm
    cdef real[::1] mean, variance

    def __init__(self, BatchNorm norm, mean, variance):
        self.norm, self.mean, self.variance = norm, mean, variance

    cdef void forward(self, Step *s) noexcept nogil:
        cdef double n = <double>self.norm.dims.rows, momentum = self.norm.momentum
        cdef int64_t channels = self.norm.dims.cols
        K.scale(&s.cx, channels, 1.0 - momentum, &self.mean[0])
        K.axpy(&s.cx, channels, momentum, &self.norm.mean[0], &self.mean[0])
        K.scale(&s.cx, channels, 1.0 - momentum, &self.variance[0])
        K.axpy(&s.cx, channels, momentum * n / (n - 1.0), &self.norm.variance[0], &self.variance[0])


cdef class Affine(Op):
    """What normalization by the running statistics comes to, made anew for each batch: all it is made of may be written to."""
    cdef real[::1] weight, bias, mean, variance, scale, shift
    cdef fnn_batch_norm norm

    def __init__(self, b):
        norm = b.params["weight"]
        self.norm = norm_of(norm, b.attrs)
        self.weight, self.bias = norm, b.params["bias"]
        self.mean, self.variance = b.state["running_mean"], b.state["running_variance"]
        self.scale, self.shift = numpy.empty((2, self.norm.cols), dtype=PRECISION)

    cdef inline void renew(self, Step *s) noexcept nogil:
        K.batch_norm_affine(&s.cx, &self.norm, &self.weight[0], &self.bias[0], &self.mean[0], &self.variance[0], &self.scale[0],
                            &self.shift[0])


cdef class ScaleShift(Affine):
    """y = f(scale x + shift); y may be x."""
    kind = "scale_shift"
    reads_feed = True
    cdef real[:, ::1] x, y
    cdef fnn_batch_norm dims    # rows is set for each batch
    cdef int64_t repeat
    cdef Feed feed              # where x is, if not in this program's memory; else None

    def __init__(self, b):
        Affine.__init__(self, b)
        self.x, self.y, self.repeat, self.feed = matrix(b.x[0]), matrix(b.y), repeat_of(b.y), b.feeds[0]
        self.dims = norm_of(b.y, b.attrs)

    def set_scratch(self, int threads, int precision):
        return norm_scratch(self.dims)

    cdef void forward(self, Step *s) noexcept nogil:
        self.renew(s)
        self.dims.rows = s.rows * self.repeat
        K.scale_shift(&s.cx, &self.dims, self.feed.rows if self.feed is not None else &self.x[0, 0], &self.scale[0],
                      &self.shift[0], &self.y[0, 0])


cdef class RunningNorm(ScaleShift):
    """ScaleShift where a gradient goes back through prediction: to x, weight and bias; the running statistics are constants."""
    kind = "running_norm"
    needs = "xy"
    reads_feed = False
    cdef real[:, ::1] dx, dy
    cdef real[::1] dweight, dbias, inverse, offset, ones, zeros
    cdef real[:, ::1] part      # of the size of y: first dy normalized x, then what is added to dx
    cdef bint has_dx, adds_dx, adds_dw, adds_db

    def __init__(self, b):
        ScaleShift.__init__(self, b)
        self.dx, self.dy = matrix(b.dx[0]), matrix(b.dy)
        self.has_dx, self.adds_dx = b.dx[0] is not None, b.adds[0]
        self.dweight, self.dbias = b.grads["weight"], b.grads["bias"]
        self.adds_dw, self.adds_db = b.param_adds["weight"], b.param_adds["bias"]
        self.inverse, self.offset = numpy.empty((2, self.norm.cols), dtype=PRECISION)
        self.ones, self.zeros = numpy.ones(self.norm.cols, dtype=PRECISION), numpy.zeros(self.norm.cols, dtype=PRECISION)
        self.part = numpy.empty_like(matrix(b.y))

    cdef void backward(self, Step *s) noexcept nogil:
        cdef fnn_batch_norm linear = self.dims
        cdef int64_t rows = self.dims.rows, cols = self.dims.cols
        linear.activation = 0
        if self.dims.activation:
            K.activation_backward(&s.cx, self.dims.activation, self.dims.alpha, rows * cols, &self.y[0, 0], &self.dy[0, 0],
                                  &self.dy[0, 0], 0)
        K.column_sum(&s.cx, rows, cols, &self.dy[0, 0], &self.dbias[0], self.adds_db)
        # (x - mean) / sqrt(variance + epsilon) is what the affine map is with a weight of 1 and a bias of 0.
        K.batch_norm_affine(&s.cx, &self.norm, &self.ones[0], &self.zeros[0], &self.mean[0], &self.variance[0],
                            &self.inverse[0], &self.offset[0])
        K.scale_shift(&s.cx, &linear, &self.x[0, 0], &self.inverse[0], &self.offset[0], &self.part[0, 0])
        K.mul(&s.cx, rows * cols, &self.part[0, 0], &self.dy[0, 0], &self.part[0, 0], 0)
        K.column_sum(&s.cx, rows, cols, &self.part[0, 0], &self.dweight[0], self.adds_dw)
        if self.has_dx:
            K.scale_shift(&s.cx, &linear, &self.dy[0, 0], &self.scale[0], NULL,
                          &self.part[0, 0] if self.adds_dx else &self.dx[0, 0])
            if self.adds_dx:
                K.axpy(&s.cx, rows * cols, 1.0, &self.part[0, 0], &self.dx[0, 0])


cdef class Fold(Affine):
    """The weight and the bias of the op before a normalization, with its scale and shift: W scale, and b scale + shift."""
    kind = "fold"
    cdef real[:, ::1] inner_weight, folded_weight
    cdef real[::1] inner_bias, folded_bias
    cdef fnn_batch_norm of_weight, of_bias
    cdef bint has_bias

    def __init__(self, b):
        Affine.__init__(self, b)
        inner, folded = b.params["inner_weight"], b.attrs["folded"]
        self.inner_weight, self.folded_weight, self.folded_bias = matrix(inner), matrix(folded["weight"]), folded["bias"]
        self.has_bias = "inner_bias" in b.params
        if self.has_bias:
            self.inner_bias = b.params["inner_bias"]
        linear = {"epsilon": self.norm.epsilon}
        self.of_weight, self.of_bias = norm_of(inner, linear), norm_of(folded["bias"], linear)

    def set_scratch(self, int threads, int precision):
        return max(norm_scratch(self.of_weight), norm_scratch(self.of_bias))

    cdef void forward(self, Step *s) noexcept nogil:
        self.renew(s)
        K.scale_shift(&s.cx, &self.of_weight, &self.inner_weight[0, 0], &self.scale[0], NULL, &self.folded_weight[0, 0])
        if self.has_bias:
            K.scale_shift(&s.cx, &self.of_bias, &self.inner_bias[0], &self.scale[0], &self.shift[0], &self.folded_bias[0])
        else:
            K.copy(&s.cx, self.norm.cols, &self.shift[0], &self.folded_bias[0])
