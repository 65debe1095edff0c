# Losses: each adds its mean over the batch to the step's loss and, in training, stores its gradient.
# The target is a program value beside the output; `weight` scales the losses of a network with several outputs.

cdef loss_kernel find_loss(name) except NULL:
    cdef dict table = {
        "mse": <size_t>K.loss_mse, "mae": <size_t>K.loss_mae, "huber": <size_t>K.loss_huber,
        "binary_cross_entropy": <size_t>K.loss_binary_cross_entropy, "poisson": <size_t>K.loss_poisson,
        "poisson_rate": <size_t>K.loss_poisson_rate, "hinge": <size_t>K.loss_hinge, "quantile": <size_t>K.loss_quantile,
        "gaussian_nll": <size_t>K.loss_gaussian_nll, "cross_entropy": <size_t>K.loss_cross_entropy_dense,
    }
    return <loss_kernel><size_t>table[name]


cdef class Loss(Op):
    """Between an output x[0] and real targets x[1]; x[2], if there, holds the sample weights."""
    kind = "loss"
    cdef real[:, ::1] p, target, weights, dp
    cdef const double[::1] levels
    cdef loss_kernel function
    cdef fnn_loss dims
    cdef int64_t repeat
    cdef double share           # of this output in the loss
    cdef bint has_weights, has_dp

    def __init__(self, b):
        p = b.x[0]
        self.p, self.dp = matrix(p), matrix(b.dx[0])
        self.repeat = repeat_of(p)
        self.dims.cols = self.p.shape[1]
        self.bind_target(b)
        self.has_weights = len(b.x) > 2
        if self.has_weights:
            self.weights = matrix(b.x[2])
        self.has_dp = b.dx[0] is not None
        self.share = b.attrs.get("share", 1.0)
        self.dims.param = b.attrs.get("param", 0.0)
        if b.attrs.get("levels") is not None:
            self.levels = b.attrs["levels"]
            self.dims.levels = &self.levels[0]

    def bind_target(self, b):
        self.target = matrix(b.x[1])
        self.function = find_loss(b.attrs["loss"])
        if b.attrs["loss"] == "gaussian_nll":
            self.dims.cols = self.target.shape[1]

    cdef void call(self, Step *s, double *total) noexcept nogil:
        self.function(&s.cx, &self.dims, &self.p[0, 0], &self.target[0, 0], &self.weights[0, 0] if self.has_weights else NULL,
                      &self.dp[0, 0] if self.has_dp else NULL, total)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef double total = 0.0, inverse
        self.dims.rows = s.rows * self.repeat
        s.weight = <double>self.dims.rows
        if self.has_weights:
            K.sum(&s.cx, self.dims.rows, &self.weights[0, 0], &s.weight)
        # A batch whose weights are all zero has no loss and no gradient.
        inverse = self.share / s.weight if s.weight > 0 else 0.0
        self.dims.scale = inverse
        self.call(s, &total)
        s.loss += total * inverse


cdef class LossOfIds(Loss):
    """Cross entropy between logits and class ids."""
    kind = "loss_of_ids"
    cdef int32_t[:, ::1] labels

    def bind_target(self, b):
        self.labels = b.x[1].reshape(b.x[1].shape[0], -1)

    cdef void call(self, Step *s, double *total) noexcept nogil:
        K.loss_cross_entropy(&s.cx, &self.dims, &self.p[0, 0], &self.labels[0, 0],
                             &self.weights[0, 0] if self.has_weights else NULL,
                             &self.dp[0, 0] if self.has_dp else NULL, total)
