# The end of a step, over the flat vectors: penalties, gathered batches, clipping, the optimizer's rule, constraints.
# These ops bind the network's own vectors, not values of the graph; `forward` is all they have.

cdef class Penalty(Op):
    """Adds l2 sum(w^2) + l1 sum|w| to the loss: forward alone, or backward together with its gradient, added to dw.

    A program has it in one of the two; in training it ends the backward pass, since layers store their gradients.
    """
    kind = "penalty"
    cdef real[::1] weight, dweight
    cdef double l1, l2

    def __init__(self, weight, dweight, double l1, double l2):
        self.weight, self.dweight = weight, dweight
        self.l1, self.l2 = l1, l2

    cdef inline void add(self, Step *s, real *dweight) noexcept nogil:
        cdef double penalty = 0.0
        K.regularize(&s.cx, self.weight.shape[0], self.l1, self.l2, &self.weight[0], dweight, &penalty)
        s.loss += penalty

    cdef void forward(self, Step *s) noexcept nogil:
        self.add(s, NULL)

    cdef void backward(self, Step *s) noexcept nogil:
        self.add(s, &self.dweight[0])


cdef class Accumulate(Op):
    """The gradient of a step that is taken over several batches: g = sum of w g / sum of w, w the weight of each batch.

    That is the gradient of the mean over all their samples. `total` is a vector of the same length as g.
    """
    kind = "accumulate"
    cdef real[::1] g, total
    cdef double weight
    cdef readonly int64_t batches   # in a step; the last one of an epoch may have fewer

    def __init__(self, g, total, int64_t batches):
        self.g, self.total, self.batches = g, total, batches

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t n = self.g.shape[0]
        if s.part == 0:
            self.weight = 0.0
            K.fill(&s.cx, n, 0.0, &self.total[0])
        K.axpy(&s.cx, n, s.weight, &self.g[0], &self.total[0])
        self.weight += s.weight
        if s.last:
            K.copy(&s.cx, n, &self.total[0], &self.g[0])
            K.scale(&s.cx, n, 1.0 / self.weight if self.weight > 0 else 0.0, &self.g[0])


cdef class Freeze(Op):
    """g = 0 for parameters that are not trained, so that they count in no norm."""
    kind = "freeze"
    cdef real[::1] g

    def __init__(self, g):
        self.g = g

    cdef void forward(self, Step *s) noexcept nogil:
        K.fill(&s.cx, self.g.shape[0], 0.0, &self.g[0])


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
    """An optimizer's rule over a stretch of the flat vectors. `slots` are arrays beside the parameters, in the rule's order.

    factor: of the learning rate, for this stretch. fused: whether the op that makes the gradient applies the rule; this
    one is in its place in a step that may be stopped.
    """
    kind = "update"
    cdef real[::1] p, g
    cdef list slots
    cdef fnn_update u
    cdef double factor, momentum, beta1
    cdef bint fused

    def __init__(self, method, p, g, slots, settings, double factor, bint fused=False):
        cdef real[::1] slot
        self.p, self.g, self.slots, self.factor, self.fused = p, g, list(slots), factor, fused
        self.u.method, self.u.h, self.u.p = OPTIMIZERS[method][0], settings, &self.p[0]
        self.momentum, self.beta1 = self.u.h.momentum, self.u.h.beta1
        for i, array in enumerate(self.slots):
            slot = array
            self.u.slots[i] = &slot[0]

    cdef inline const fnn_update *now(self, Step *s) noexcept nogil:
        """The rule with the numbers of this step."""
        self.u.h.learning_rate = s.learning_rate * self.factor
        self.u.h.step = s.number + 1
        if s.momentum < 0:
            self.u.h.momentum, self.u.h.beta1 = self.momentum, self.beta1
        else:  # a rule that a schedule may go over reads one of the two
            self.u.h.momentum = self.u.h.beta1 = s.momentum
        return &self.u

    cdef void forward(self, Step *s) noexcept nogil:
        if s.watched or not self.fused:
            K.optimize(&s.cx, self.p.shape[0], self.now(s), &self.g[0])
