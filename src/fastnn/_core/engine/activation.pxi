# Activations that stand alone, and softmax and ascending, which work on rows.

cdef class Activation(Op):
    """Where the derivative does not follow from y, training has it made along with y: half of the work is common."""
    kind = "activation"
    needs = "y"
    cdef real[:, ::1] x, y, dx, dy
    cdef real[::1] slope        # f'(x) of the batch
    cdef int64_t size           # elements for each sample
    cdef int32_t function
    cdef double alpha
    cdef bint keeps_slope, has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.size = b.y.size // b.y.shape[0]
        self.function, from_output = ACTIVATIONS[b.attrs["activation"]]
        self.alpha = b.attrs.get("alpha", 0.0)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]
        self.keeps_slope = self.has_dx and not from_output
        if self.keeps_slope:
            self.slope = numpy.empty(b.y.size, dtype=PRECISION)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t n = s.rows * self.size
        if self.keeps_slope:
            K.activation_slope(&s.cx, self.function, self.alpha, n, &self.x[0, 0], &self.y[0, 0], &self.slope[0])
        else:
            K.activation_forward(&s.cx, self.function, self.alpha, n, &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        cdef int64_t n = s.rows * self.size
        if self.keeps_slope:
            K.mul(&s.cx, n, &self.dy[0, 0], &self.slope[0], &self.dx[0, 0], self.adds)
        elif self.has_dx:
            K.activation_backward(&s.cx, self.function, self.alpha, n, &self.y[0, 0], &self.dy[0, 0], &self.dx[0, 0],
                                  self.adds)


cdef class Softmax(Op):
    kind = "softmax"
    needs = "y"
    cdef real[:, ::1] x, y, dx, dy
    cdef int64_t repeat
    cdef bint has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.repeat = repeat_of(b.y)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]

    cdef void forward(self, Step *s) noexcept nogil:
        K.softmax_forward(&s.cx, s.rows * self.repeat, self.y.shape[1], &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        if self.has_dx:
            K.softmax_backward(&s.cx, s.rows * self.repeat, self.y.shape[1], &self.y[0, 0], &self.dy[0, 0],
                               &self.dx[0, 0], self.adds)


cdef class Ascending(Op):
    """Rows that never descend: the first value, then running sums of softplus."""
    kind = "ascending"
    needs = "x"
    cdef real[:, ::1] x, y, dx, dy
    cdef int64_t repeat
    cdef bint has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.repeat = repeat_of(b.y)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]

    cdef void forward(self, Step *s) noexcept nogil:
        K.ascending_forward(&s.cx, s.rows * self.repeat, self.y.shape[1], &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        if self.has_dx:
            K.ascending_backward(&s.cx, s.rows * self.repeat, self.y.shape[1], &self.x[0, 0], &self.dy[0, 0],
                                 &self.dx[0, 0], self.adds)
