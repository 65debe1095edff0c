# Pooling over images or sequences: the largest value of a window, and the mean.

cdef class Pool(Op):
    cdef real[:, ::1] x, y, dx, dy
    cdef fnn_window window     # rows is set for each batch
    cdef bint has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.window = window_of(b.x[0], b.y, b.attrs)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]


cdef class MaxPool(Pool):
    kind = "max_pool"
    needs = "xy"

    cdef void forward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        K.max_pool_forward(&s.cx, &self.window, &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        if self.has_dx:
            K.max_pool_backward(&s.cx, &self.window, &self.x[0, 0], &self.y[0, 0], &self.dy[0, 0], &self.dx[0, 0],
                                self.adds)


cdef class MeanPool(Pool):
    kind = "mean_pool"

    cdef void forward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        K.mean_pool_forward(&s.cx, &self.window, &self.x[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        self.window.rows = s.rows
        if self.has_dx:
            K.mean_pool_backward(&s.cx, &self.window, &self.dy[0, 0], &self.dx[0, 0], self.adds)
