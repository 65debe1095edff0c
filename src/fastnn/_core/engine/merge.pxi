# Merges: the sum of two values, and the placing of one value inside a wider one (a part of a concatenation); and the way
# back, a part of a value as a value of its own.

cdef class Add(Op):
    kind = "add"
    cdef real[:, ::1] a, b, y, da, db, dy
    cdef int64_t size
    cdef bint has_da, has_db, adds_da, adds_db

    def __init__(self, b):
        self.a, self.b, self.y = matrix(b.x[0]), matrix(b.x[1]), matrix(b.y)
        self.da, self.db, self.dy = matrix(b.dx[0]), matrix(b.dx[1]), matrix(b.dy)
        self.has_da, self.has_db = b.dx[0] is not None, b.dx[1] is not None
        self.adds_da, self.adds_db = b.adds
        self.size = b.y.size // b.y.shape[0]

    cdef void forward(self, Step *s) noexcept nogil:
        K.add(&s.cx, s.rows * self.size, &self.a[0, 0], &self.b[0, 0], &self.y[0, 0])

    cdef void backward(self, Step *s) noexcept nogil:
        cdef int64_t n = s.rows * self.size
        if self.has_da:
            K.copy_2d(&s.cx, 1, n, &self.dy[0, 0], n, &self.da[0, 0], n, self.adds_da)
        if self.has_db:
            K.copy_2d(&s.cx, 1, n, &self.dy[0, 0], n, &self.db[0, 0], n, self.adds_db)


cdef class Place(Op):
    """y[..., offset : offset + width, ...] = x along one axis; dx is that part of dy."""
    kind = "place"
    cdef real[:, ::1] x, y, dx, dy   # (rows * outer, inner)
    cdef int64_t outer, offset
    cdef bint has_dx, adds

    def __init__(self, b):
        rows, axis = b.y.shape[0], b.attrs["axis"]
        self.outer = int(numpy.prod(b.y.shape[1:axis], dtype=numpy.int64))
        inner = int(numpy.prod(b.y.shape[axis + 1:], dtype=numpy.int64))
        self.offset = b.attrs["offset"] * inner
        shape = (rows * self.outer, -1)
        self.x, self.y = b.x[0].reshape(shape), b.y.reshape(shape)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]
        if self.has_dx:
            self.dx, self.dy = b.dx[0].reshape(shape), b.dy.reshape(shape)

    cdef void forward(self, Step *s) noexcept nogil:
        K.copy_2d(&s.cx, s.rows * self.outer, self.x.shape[1], &self.x[0, 0], self.x.shape[1],
                  &self.y[0, self.offset], self.y.shape[1], 0)

    cdef void backward(self, Step *s) noexcept nogil:
        if self.has_dx:
            K.copy_2d(&s.cx, s.rows * self.outer, self.x.shape[1], &self.dy[0, self.offset], self.dy.shape[1],
                      &self.dx[0, 0], self.x.shape[1], self.adds)


cdef class Take(Op):
    """y = x[..., offset : offset + width, ...] along one axis; dx is dy there and 0 elsewhere."""
    kind = "take"
    cdef real[:, ::1] x, y, dx, dy   # (rows * outer, inner)
    cdef int64_t outer, offset
    cdef bint has_dx, adds

    def __init__(self, b):
        rows, axis = b.x[0].shape[0], b.attrs["axis"]
        self.outer = int(numpy.prod(b.x[0].shape[1:axis], dtype=numpy.int64))
        self.offset = b.attrs["offset"] * int(numpy.prod(b.x[0].shape[axis + 1:], dtype=numpy.int64))
        shape = (rows * self.outer, -1)
        self.x, self.y = b.x[0].reshape(shape), b.y.reshape(shape)
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]
        if self.has_dx:
            self.dx, self.dy = b.dx[0].reshape(shape), b.dy.reshape(shape)

    cdef void forward(self, Step *s) noexcept nogil:
        K.copy_2d(&s.cx, s.rows * self.outer, self.y.shape[1], &self.x[0, self.offset], self.x.shape[1],
                  &self.y[0, 0], self.y.shape[1], 0)

    cdef void backward(self, Step *s) noexcept nogil:
        if not self.has_dx:
            return
        if not self.adds:
            K.fill(&s.cx, s.rows * self.outer * self.x.shape[1], 0.0, &self.dx[0, 0])
        K.copy_2d(&s.cx, s.rows * self.outer, self.y.shape[1], &self.dy[0, 0], self.y.shape[1],
                  &self.dx[0, self.offset], self.x.shape[1], self.adds)
