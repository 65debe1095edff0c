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
    """An optimizer's rule over a stretch of the flat vectors. `slots` are arrays beside the parameters, in the rule's order."""
    kind = "update"
    cdef real[::1] p, g
    cdef list slots
    cdef fnn_update u

    def __init__(self, method, p, g, slots, settings):
        cdef real[::1] slot
        self.p, self.g, self.slots = p, g, list(slots)
        self.u.method, self.u.h, self.u.p = OPTIMIZERS[method][0], settings, &self.p[0]
        for i, array in enumerate(self.slots):
            slot = array
            self.u.slots[i] = &slot[0]

    cdef inline const fnn_update *now(self, Step *s) noexcept nogil:
        """The rule with the numbers of this step."""
        self.u.h.learning_rate = s.learning_rate
        self.u.h.step = s.number + 1
        return &self.u

    cdef void forward(self, Step *s) noexcept nogil:
        K.optimize(&s.cx, self.p.shape[0], self.now(s), &self.g[0])
