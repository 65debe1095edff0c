# Feeds: the samples of a batch from the caller's arrays into the program's, by the epoch's order.

cdef takes_of(shape, missing):
    # 1 for each feature of an input, its last axis, that may be NaN, else 0; None where none may.
    if not missing:
        return None
    takes = numpy.zeros(shape[len(shape) - 1], dtype=PRECISION)
    takes[list(missing)] = 1
    return takes


cdef class Feed(Op):
    """Rows of a float array: inputs, real targets, sample weights.

    `missing`: the features that may be NaN; no value may be infinite. With the attribute "window" the batch stays where it lies, in the order of the array: its readers take `rows`.
    """
    kind = "feed"
    cdef const real[:, ::1] source
    cdef real[:, ::1] y
    cdef const real *rows       # the current batch
    cdef bint window
    cdef real[::1] takes        # by feature, whether it may be NaN; None where none may
    cdef bint checks            # whether a value that is not finite fails the step
    cdef readonly bint refused  # one did

    def __init__(self, b):
        self.y = b.y.reshape(b.y.shape[0], -1)
        self.checks, self.window = b.attrs.get("checks", False), b.attrs.get("window", False)
        self.rows = &self.y[0, 0]
        self.takes = takes_of(b.y.shape, b.attrs.get("missing", ()))

    def set_source(self, array):
        self.source = None if array is None else array.reshape(array.shape[0], -1)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t cols = self.y.shape[1], bad = -1
        if self.window:
            self.rows = &self.source[s.first, 0]
        elif s.order is not NULL:
            K.gather_rows(&s.cx, s.rows, cols, s.order + s.first, &self.source[0, 0], &self.y[0, 0])
        else:
            K.copy(&s.cx, s.rows * cols, &self.source[s.first, 0], &self.y[0, 0])
        if self.checks:
            if self.takes is None:
                K.first_nonfinite(&s.cx, s.rows * cols, self.rows, &bad)
            else:
                K.first_refused(&s.cx, s.rows * cols // self.takes.shape[0], self.takes.shape[0], &self.takes[0], self.rows, &bad)
            self.refused = bad >= 0
            if self.refused:
                s.failed = 1


cdef class FeedIds(Op):
    """Rows of an int32 array: class ids, tokens."""
    kind = "feed_ids"
    cdef const int32_t[:, ::1] source
    cdef int32_t[:, ::1] y

    def __init__(self, b):
        self.y = b.y.reshape(b.y.shape[0], -1)

    def set_source(self, array):
        self.source = None if array is None else array.reshape(array.shape[0], -1)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t i, j, row
        for i in range(s.rows):
            row = s.order[s.first + i] if s.order is not NULL else s.first + i
            for j in range(self.y.shape[1]):
                self.y[i, j] = self.source[row, j]


cdef class Record(Op):
    """Keeps an output of every batch of the epoch, in the order of the samples, for metrics."""
    kind = "record"
    cdef real[:, ::1] x
    cdef real[:, ::1] target

    def __init__(self, b):
        self.x = b.x[0].reshape(b.x[0].shape[0], -1)

    def set_target(self, array):
        self.target = None if array is None else array.reshape(array.shape[0], -1)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t cols = self.x.shape[1]
        if s.order is not NULL:
            K.scatter_rows(&s.cx, s.rows, cols, s.order + s.first, &self.x[0, 0], &self.target[0, 0])
        else:
            K.copy(&s.cx, s.rows * cols, &self.x[0, 0], &self.target[s.first, 0])
