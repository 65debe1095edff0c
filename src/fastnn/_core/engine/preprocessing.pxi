# What is done to data before a network learns from it, by what was learned of them: state, which may be written to at any time.

cdef enum:
    TABLE = 4096    # elements of a table of means, at most


cdef class Standardize(Op):
    """y = (x - mean) / deviation, of each feature. `missing`: what stands for NaN, a state by its role or a number, or None.

    Where a sample has many rows of few features, so many of them are taken as one that vectors are full.
    """
    kind = "standardize"
    needs = "x"
    reads_feed = True
    cdef real[:, ::1] x, y, dx, dy
    cdef real[::1] mean, deviation, tables
    cdef real[::1] filling, fillings    # of each feature, if NaN is filled; and `copies` times side by side
    cdef const real *fill               # those, or NULL
    cdef Feed feed              # where x is, if not in this program's memory; else None
    cdef fnn_standardize dims   # rows is set for each batch
    cdef int64_t repeat, copies
    cdef bint has_dx

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.mean, self.deviation, self.feed = b.state["mean"], b.state["deviation"], b.feeds[0]
        missing, self.dims.indicators = b.attrs["missing"], b.attrs["indicator"]
        features, repeat = self.mean.shape[0], repeat_of(b.y)
        most = 1 if self.dims.indicators else max(1, min(repeat, TABLE // features))
        self.copies = most
        while repeat % self.copies:
            self.copies -= 1
        self.repeat, self.dims.cols = repeat // self.copies, self.copies * features
        self.tables = numpy.empty(2 * self.dims.cols, dtype=PRECISION)
        self.fill = NULL
        if missing is not None:
            self.filling = b.state[missing] if isinstance(missing, str) else numpy.full(features, missing, dtype=PRECISION)
            self.fillings = numpy.empty(self.dims.cols, dtype=PRECISION)
            self.fill = &self.fillings[0]
        self.has_dx, self.dims.adds_dx = b.dx[0] is not None, b.adds[0]

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t i, features = self.mean.shape[0]
        self.dims.rows = s.rows * self.repeat
        K.standardize_tables(&s.cx, features, self.copies, &self.mean[0], &self.deviation[0], &self.tables[0])
        if self.fill is not NULL:
            for i in range(self.copies):
                K.copy(&s.cx, features, &self.filling[0], &self.fillings[i * features])
        K.standardize_forward(&s.cx, &self.dims, self.feed.rows if self.feed is not None else &self.x[0, 0],
                              &self.tables[0], self.fill, &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        if self.has_dx:
            K.standardize_backward(&s.cx, &self.dims, NULL if self.fill is NULL else &self.x[0, 0], &self.tables[0],
                                   &self.dy[0, 0], &self.dx[0, 0])


cdef class OneHot(Op):
    """The features `rest` as they are, then for each of `columns` an indicator of each of its categories."""
    kind = "one_hot"
    reads_feed = True
    cdef real[:, ::1] x, y, dx, dy
    cdef int64_t[::1] rest, columns, counts
    cdef list categories
    cdef const real **known     # the categories of each column
    cdef Feed feed              # where x is, if not in this program's memory; else None
    cdef fnn_one_hot dims       # rows is set for each batch
    cdef int64_t repeat
    cdef bint has_dx

    def __cinit__(self, b):
        self.known = <const real **>calloc(len(b.attrs["columns"]), sizeof(real *))
        if self.known is NULL:
            raise MemoryError

    def __init__(self, b):
        cdef real[::1] categories
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.feed, self.repeat = b.feeds[0], repeat_of(b.y)
        self.categories = [b.state[f"categories.{column}"] for column in b.attrs["columns"]]
        for i, categories in enumerate(self.categories):
            self.known[i] = &categories[0]
        self.columns = numpy.array(b.attrs["columns"], dtype=numpy.int64)
        self.counts = numpy.array([len(known) for known in self.categories], dtype=numpy.int64)
        self.rest = numpy.array([*b.attrs["rest"], 0], dtype=numpy.int64)  # one more, so that there is an address
        self.dims.columns, self.dims.counts, self.dims.rest = &self.columns[0], &self.counts[0], &self.rest[0]
        self.dims.count, self.dims.rest_count = self.columns.shape[0], self.rest.shape[0] - 1
        self.dims.cols, self.dims.out = self.dims.count + self.dims.rest_count, self.y.shape[1]
        self.dims.missing, self.dims.adds_dx = b.attrs["missing"], b.adds[0]
        self.has_dx = b.dx[0] is not None

    def __dealloc__(self):
        free(self.known)

    cdef void forward(self, Step *s) noexcept nogil:
        self.dims.rows = s.rows * self.repeat
        K.one_hot_forward(&s.cx, &self.dims, self.feed.rows if self.feed is not None else &self.x[0, 0], self.known,
                          &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        if self.has_dx:
            K.one_hot_backward(&s.cx, &self.dims, &self.dy[0, 0], &self.dx[0, 0])
