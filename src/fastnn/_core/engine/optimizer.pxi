# The update phase of a step, over the flat vectors: penalties, clipping, the optimizer's rule, constraints.
# These ops bind the network's own vectors, not values of the graph; `forward` is all they have.

cdef class Penalty(Op):
    """Adds l2 sum(w^2) + l1 sum|w| to the loss and, in training, its gradient to dw."""
    kind = "penalty"
    cdef real[::1] weight, dweight
    cdef double l1, l2
    cdef bint has_dw

    def __init__(self, weight, dweight, double l1, double l2):
        self.weight, self.dweight = weight, dweight
        self.has_dw = dweight is not None
        self.l1, self.l2 = l1, l2

    cdef void forward(self, Step *s) noexcept nogil:
        cdef double penalty = 0.0
        K.regularize(&s.cx, self.weight.shape[0], self.l1, self.l2, &self.weight[0],
                     &self.dweight[0] if self.has_dw else NULL, &penalty)
        s.loss += penalty


cdef class ClipNorm(Op):
    """g *= min(1, limit / (|g| + 1e-6)), |g| the Euclidean norm of all gradients; as torch.nn.utils.clip_grad_norm_."""
    kind = "clip_norm"
    cdef real[::1] g
    cdef double limit

    def __init__(self, g, double limit):
        self.g, self.limit = g, limit

    cdef void forward(self, Step *s) noexcept nogil:
        cdef double square, factor
        K.sum_squares(&s.cx, self.g.shape[0], &self.g[0], &square)
        factor = self.limit / (sqrt(square) + 1e-6)
        if factor < 1.0:
            K.scale(&s.cx, self.g.shape[0], factor, &self.g[0])


cdef class ClipValue(Op):
    """Every gradient to [-limit, limit]."""
    kind = "clip_value"
    cdef real[::1] g
    cdef double limit

    def __init__(self, g, double limit):
        self.g, self.limit = g, limit

    cdef void forward(self, Step *s) noexcept nogil:
        K.clip(&s.cx, self.g.shape[0], self.limit, &self.g[0])


cdef class MaxNorm(Op):
    """Scales the columns of a weight whose norm is above the limit down to it."""
    kind = "max_norm"
    cdef real[:, ::1] weight
    cdef double limit

    def __init__(self, weight, double limit):
        self.weight, self.limit = matrix(weight), limit

    cdef void forward(self, Step *s) noexcept nogil:
        K.max_norm(&s.cx, self.weight.shape[0], self.weight.shape[1], self.limit, &self.weight[0, 0])


cdef class Update(Op):
    """An optimizer's rule. `slots` are its vectors beside the parameters, by the names in `slot_names`."""
    slot_names = ()
    cdef real[::1] p, g
    cdef fnn_optim h

    def __init__(self, p, g, slots, hyper):
        self.p, self.g = p, g
        self.h = hyper
        self.bind(slots)

    def bind(self, slots):
        pass

    cdef void rule(self, Step *s) noexcept nogil:
        pass

    cdef void forward(self, Step *s) noexcept nogil:
        self.h.learning_rate = s.learning_rate
        self.h.step = s.number + 1
        self.rule(s)


cdef class UpdateSGD(Update):
    kind = "sgd"
    slot_names = ("velocity",)
    cdef real[::1] velocity

    def bind(self, slots):
        self.velocity = slots["velocity"]

    cdef void rule(self, Step *s) noexcept nogil:
        # Without momentum the velocity is the gradient: the kernel then leaves the slot alone.
        K.optim_sgd(&s.cx, self.p.shape[0], &self.h, &self.p[0], &self.g[0], &self.velocity[0] if self.h.momentum else NULL)


cdef class UpdateRMSprop(Update):
    kind = "rmsprop"
    slot_names = ("square", "velocity", "mean")
    cdef real[::1] square, velocity, mean

    def bind(self, slots):
        self.square, self.velocity, self.mean = slots["square"], slots["velocity"], slots["mean"]

    cdef void rule(self, Step *s) noexcept nogil:
        K.optim_rmsprop(&s.cx, self.p.shape[0], &self.h, &self.p[0], &self.g[0], &self.square[0],
                        &self.velocity[0] if self.h.momentum else NULL, &self.mean[0] if self.h.centered else NULL)


cdef class UpdateAdagrad(Update):
    kind = "adagrad"
    slot_names = ("square",)
    cdef real[::1] square

    def bind(self, slots):
        self.square = slots["square"]

    cdef void rule(self, Step *s) noexcept nogil:
        K.optim_adagrad(&s.cx, self.p.shape[0], &self.h, &self.p[0], &self.g[0], &self.square[0])


cdef class UpdateAdam(Update):
    kind = "adam"
    slot_names = ("m", "v")
    cdef real[::1] m, v

    def bind(self, slots):
        self.m, self.v = slots["m"], slots["v"]

    cdef void rule(self, Step *s) noexcept nogil:
        K.optim_adam(&s.cx, self.p.shape[0], &self.h, &self.p[0], &self.g[0], &self.m[0], &self.v[0])


cdef class UpdateRprop(Update):
    kind = "rprop"
    slot_names = ("previous", "size")
    cdef real[::1] previous, size

    def bind(self, slots):
        self.previous, self.size = slots["previous"], slots["size"]

    cdef void rule(self, Step *s) noexcept nogil:
        K.optim_rprop(&s.cx, self.p.shape[0], &self.h, &self.p[0], &self.g[0], &self.previous[0], &self.size[0])
