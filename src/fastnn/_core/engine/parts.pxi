# Parts: a training step that takes its batch part by part, each forward and backward at once. What a part leaves for its
# backward pass is still in a core's own cache then, and cores take parts of their own rather than a share of every op.
# A step of the transformer with d = 64 of benchmarks/ on two threads: 5.8 ms op by op, 4.5 ms by parts (best of seven).

cdef class Parts(Op):
    """In the place of all ops of a batch; it leaves their gradients' mean, by the weights of the parts, in `grads`.

    What is a part, and the order of the sums, follows from the sizes alone: so the result does not depend on threads.
    """
    kind = "parts"
    cdef list forwards, backwards, vectors, scratch     # a list of ops, or a gradient vector, for each part
    cdef PyObject **lists
    cdef Step *steps
    cdef double *factors
    cdef real **grads
    cdef int64_t count, lanes, rows, size

    def __cinit__(self, forwards, *_):
        self.count = len(forwards)
        self.lists = <PyObject **>calloc(2 * self.count, sizeof(PyObject *))
        self.steps = <Step *>calloc(self.count, sizeof(Step))
        self.factors = <double *>calloc(self.count, sizeof(double))
        self.grads = <real **>calloc(self.count, sizeof(real *))
        if self.lists is NULL or self.steps is NULL or self.factors is NULL or self.grads is NULL:
            raise MemoryError

    def __init__(self, forwards, backwards, vectors, int64_t rows, int64_t lanes):
        """forwards, backwards: the ops of each part; vectors: of its gradients, the first that of the network.

        rows: the most of a part; lanes: how many parts have memory of their own, so that they can be under way at once.
        """
        cdef real[::1] vector
        cdef int64_t k
        self.forwards, self.backwards = [OpList(ops) for ops in forwards], [OpList(ops) for ops in backwards]
        self.vectors, self.rows, self.lanes = list(vectors), rows, lanes
        for k in range(self.count):
            vector = self.vectors[k]
            self.grads[k], self.size = &vector[0], vector.shape[0]
            self.lists[2 * k], self.lists[2 * k + 1] = <PyObject *>self.forwards[k], <PyObject *>self.backwards[k]

    def __dealloc__(self):
        free(self.lists)
        free(self.steps)
        free(self.factors)
        free(self.grads)

    def set_scratch(self, int threads, int precision):
        """Makes room for what the ops of each lane want, on one thread."""
        cdef int64_t k, lane
        cdef uint8_t[::1] lane_scratch
        cdef size_t size = max(op.set_scratch(1, precision) for ops in self.forwards for op in (<OpList>ops).ops)
        self.scratch = [numpy.empty(size + 64, dtype=numpy.uint8) for _ in range(self.lanes)]
        for k in range(self.count):
            lane_scratch = self.scratch[k % self.lanes]
            self.steps[k].cx.scratch = <void *>((<size_t>&lane_scratch[0] + 63) // 64 * 64)
            self.steps[k].cx.scratch_size = size
        return 0

    cdef void begin(self, Step *s, int64_t k) noexcept nogil:
        # Part k as a batch of its own.
        cdef fnn_ctx cx = self.steps[k].cx
        self.steps[k] = s[0]
        self.steps[k].cx.scratch, self.steps[k].cx.scratch_size, self.steps[k].cx.threads = cx.scratch, cx.scratch_size, 1
        self.steps[k].first = s.first + k * self.rows
        self.steps[k].rows = max(0, min(self.rows, s.rows - k * self.rows))
        self.steps[k].part = s.part * self.count + k

    cdef void run_lane(self, int64_t lane) noexcept nogil:
        cdef int64_t k = lane
        cdef unsigned mode = flush_denormals()
        while k < self.count:
            if self.steps[k].rows:
                (<OpList>self.lists[2 * k]).forward(&self.steps[k])
                (<OpList>self.lists[2 * k + 1]).backward(&self.steps[k])
            k += self.lanes
        set_fp_mode(mode)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef int64_t k
        for k in range(self.count):
            self.begin(s, k)
        run_parallel(min(s.cx.threads, <int>self.lanes), self.lanes, run_lane, <void *>self)
        for k in range(self.count):
            s.weight += self.steps[k].weight
        for k in range(self.count):
            self.factors[k] = self.steps[k].weight / s.weight if s.weight > 0 else 0.0
            s.loss += self.factors[k] * self.steps[k].loss
        K.combine(&s.cx, self.size, self.count_parts(s), self.factors, <const real *const *>self.grads, self.grads[0])

    cdef inline int64_t count_parts(self, Step *s) noexcept nogil:
        return (s.rows + self.rows - 1) // self.rows

    def replay(self):
        """Fills the memory of a lane with the values of the first part whose loss is not finite; returns its number."""
        cdef int64_t k = 0, i
        for i in range(self.count):
            if self.steps[i].rows and not isfinite(self.steps[i].loss):
                k = i
                break
        self.steps[k].loss = 0.0
        (<OpList>self.lists[2 * k]).forward(&self.steps[k])
        return k, self.steps[k].rows


cdef void run_lane(void *arg, int64_t lane) noexcept nogil:
    (<Parts>arg).run_lane(lane)
