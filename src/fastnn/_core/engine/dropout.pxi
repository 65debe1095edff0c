# Dropout: the mask is a function of (seed, step, op), so backward makes it again instead of keeping it.

cdef class Dropout(Op):
    kind = "dropout"
    identity_in_predict = True
    sampled = "sampled_dropout"
    cdef real[:, ::1] x, y, dx, dy
    cdef int64_t size, repeat
    cdef uint64_t number        # of this op among the graph's, for a stream of its own
    cdef double rate
    cdef bint has_dx, adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = matrix(b.x[0]), matrix(b.y), matrix(b.dx[0]), matrix(b.dy)
        self.size, self.repeat = b.y.size // b.y.shape[0], repeat_of(b.y)
        self.rate, self.number = b.attrs["rate"], b.number
        self.has_dx, self.adds = b.dx[0] is not None, b.adds[0]

    cdef fnn_key key(self, Step *s) noexcept nogil:
        cdef fnn_key key
        key.seed = s.seed ^ (<uint64_t>s.part * <uint64_t>0x9E3779B97F4A7C15)  # each part of a step has masks of its own
        key.stream = (<uint64_t>STREAM_DROPOUT << 60) | (self.number << 44) | <uint64_t>s.number
        return key

    cdef void forward(self, Step *s) noexcept nogil:
        cdef fnn_key key = self.key(s)
        K.dropout(&s.cx, &key, s.rows * self.size, self.rate, &self.x[0, 0], &self.y[0, 0], 0)

    cdef void backward(self, Step *s) noexcept nogil:
        cdef fnn_key key = self.key(s)
        if self.has_dx:
            K.dropout(&s.cx, &key, s.rows * self.size, self.rate, &self.dy[0, 0], &self.dx[0, 0], self.adds)


# Rows that share a mask's random stream: of a size that does not depend on the batch, so that masks do not either.
cdef enum:
    SAMPLED_ROWS = 64

cdef class SampledDropout(Dropout):
    """Dropout in prediction, for Monte Carlo samples: the mask is a function of (seed, draw, row among all, op).

    `s.number` is the draw. Batches begin at multiples of `batch_multiple`.
    """
    kind = "sampled_dropout"
    batch_multiple = SAMPLED_ROWS
    identity_in_predict = False
    sampled = ""

    cdef void forward(self, Step *s) noexcept nogil:
        cdef fnn_key key
        cdef int64_t block, row, rows
        key.stream = (<uint64_t>STREAM_SAMPLES << 60) | (self.number << 44) | <uint64_t>s.number
        for block in range((s.rows + SAMPLED_ROWS - 1) // SAMPLED_ROWS):
            row = block * SAMPLED_ROWS
            rows = min(s.rows - row, <int64_t>SAMPLED_ROWS)
            key.seed = s.seed ^ (<uint64_t>(s.first // SAMPLED_ROWS + block) * <uint64_t>0x9E3779B97F4A7C15)
            K.dropout(&s.cx, &key, rows * self.size, self.rate, &self.x[row * self.repeat, 0], &self.y[row * self.repeat, 0], 0)
