# Prediction: many rows over several programs at once, and one call at the lowest latency.

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy

cdef extern from *:
    """
    static int64_t fastnn_take(int64_t *next, int64_t count)
    {
        return __atomic_fetch_add(next, count, __ATOMIC_RELAXED);
    }
    """
    int64_t fastnn_take(int64_t *next, int64_t count) noexcept nogil

cdef struct Share:
    PyObject *program
    int64_t *next       # the first batch that nobody has taken
    int64_t end
    double deadline
    bint watched

cdef void run_share(void *arg, int64_t index) noexcept nogil:
    cdef Share *share = <Share *>arg + index
    cdef int64_t batch
    (<Program>share.program).step.watched = share.watched
    while seconds() < share.deadline:
        batch = fastnn_take(share.next, 1)
        if batch >= share.end or not (<Program>share.program).run_batch(batch):
            break


def run_side_by_side(list programs, int64_t batch, int64_t end, double budget):
    """Runs the programs forward over batches batch, ..., end - 1, all at once, for about `budget` seconds.

    Each takes the next batch as soon as it is done with one. Returns the next batch; which program ran a batch makes no
    difference to it.
    """
    cdef int count = len(programs), i
    cdef double deadline = seconds() + budget
    cdef Program first = programs[0]
    cdef bint watched = first.row_seconds * min(first.batch_size, first.rows) > QUICK
    cdef Share *shares = <Share *>calloc(count, sizeof(Share))
    if shares is NULL:
        raise MemoryError
    try:
        for i in range(count):
            shares[i] = Share(<PyObject *>(<Program?>programs[i]), &batch, end, deadline, watched)
        with nogil:
            if watched:
                first.watch.begin()
            run_parallel(count, count, run_share, shares)
            if watched:
                first.watch.end()
        first.watch.raise_error()
        for i in range(count):
            if (<Program>programs[i]).step.failed:
                (<Program>programs[i]).raise_error()
    finally:
        free(shares)
    return min(batch, end)


cdef class Predictor:
    """One small batch, from an array to an array, without a detour.

    Takes a C-contiguous array of the network's own dtype and shape, or of int32 or int64 where the network reads ids; for
    anything else, and when another thread is inside, `attempt` returns None and the caller goes the general way; a call goes
    it itself, by `general(x, out)`, and takes a single sample too.
    """
    cdef public object general
    cdef Program program
    cdef real[:, ::1] x, y
    cdef int32_t[:, ::1] ids            # in the place of x
    cdef real[::1] takes                # by feature, whether it may be NaN; None where none may
    cdef int64_t limit                  # of the ids; 0 where the input is real
    cdef int64_t batch, least           # the most and the fewest rows
    cdef readonly tuple shape, output_shape
    cdef object empty, dtype
    cdef int threads
    cdef bint busy, release             # release: whether the work is worth giving up the GIL for
    cdef char code

    def __init__(self, program, x, y, int64_t limit, bint release, int threads, int64_t least=1, missing=()):
        self.program, self.threads = program, threads
        self.program.set_threads(threads)
        self.shape, self.output_shape, self.batch = x.shape[1:], y.shape[1:], x.shape[0]
        self.y = y.reshape(self.batch, -1)
        self.limit, self.least, self.takes = limit, least, takes_of(x.shape, missing)
        if limit:
            self.ids = x.reshape(self.batch, -1)
        else:
            self.x = x.reshape(self.batch, -1)
        self.release = release
        self.empty, self.dtype = numpy.empty, numpy.dtype(PRECISION)
        self.code = b"f" if sizeof(real) == 4 else b"d"

    cdef bint is_real(self, Py_buffer *view) noexcept:
        return view.itemsize == sizeof(real) and view.format != NULL and view.format[0] == self.code and view.format[1] == 0

    cdef bint is_input(self, Py_buffer *view) noexcept:
        if not self.limit:
            return self.is_real(view)
        return (view.format != NULL and view.format[0] in b"ilq" and view.format[1] == 0
                and (view.itemsize == 4 or view.itemsize == 8))

    cdef int64_t rows_in(self, Py_buffer *view, tuple shape, bint single) noexcept:
        """Rows of that shape in an array, 1 for a single sample where that is allowed; 0 where it does not fit."""
        cdef Py_ssize_t i, axes = len(shape), batch = view.ndim - axes
        if batch != 1 and (batch != 0 or not single):
            return 0
        for i in range(axes):
            if view.shape[batch + i] != <Py_ssize_t>shape[i]:
                return 0
        return view.shape[0] if batch else 1

    def __call__(self, x, out=None):
        """The prediction for one sample; x is (...) or (1, ...), and so is the result (and `out`)."""
        result = self.take(x, out, True)
        return self.general(x, out) if result is None else result

    def attempt(self, X, out=None):
        """The prediction for X, or None where X, out or the moment call for the general way."""
        return self.take(X, out, False)

    def step(self, x, out=None):
        """The output for one step of a stream, or None where x or out are not as needed."""
        return self.take(x, out, self.batch == 1)

    cdef take(self, X, out, bint single):
        cdef Py_buffer source, target
        cdef int64_t rows = 0
        if self.busy:
            return None
        try:
            PyObject_GetBuffer(X, &source, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        except (TypeError, ValueError, BufferError):
            return None
        try:
            rows = self.rows_in(&source, self.shape, single) if self.is_input(&source) else 0
            if rows < self.least or rows > self.batch or not self.is_good(&source, rows):
                return None
            single = source.ndim == len(self.shape)
            result = out
            if out is None:
                result = self.empty(self.output_shape if single else (rows, *self.output_shape), self.dtype)
            try:
                PyObject_GetBuffer(result, &target, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)
            except (TypeError, ValueError, BufferError):
                return None
            try:
                if (not self.is_real(&target) or self.rows_in(&target, self.output_shape, single) != rows
                        or target.ndim - len(self.output_shape) == single):
                    return None
                if not self.run(&source, <real *>target.buf, rows):
                    return None
            finally:
                PyBuffer_Release(&target)
        finally:
            PyBuffer_Release(&source)
        return result

    cdef bint is_good(self, const Py_buffer *source, int64_t rows) noexcept:
        """Whether all values are finite, or NaN where that may be; whether all ids are in range."""
        cdef int64_t bad = -1, i
        if not self.limit:
            if self.takes is None:
                K.first_nonfinite(&self.program.step.cx, rows * self.x.shape[1], <const real *>source.buf, &bad)
            else:
                K.first_refused(&self.program.step.cx, rows * self.x.shape[1] // self.takes.shape[0], self.takes.shape[0],
                                &self.takes[0], <const real *>source.buf, &bad)
            return bad < 0
        for i in range(rows * self.ids.shape[1]):
            if not 0 <= id_at(source, i) < self.limit:
                return False
        return True

    cdef void put(self, const Py_buffer *source, int64_t rows) noexcept:
        cdef int64_t i
        cdef int32_t *ids
        if not self.limit:
            memcpy(&self.x[0, 0], source.buf, rows * self.x.shape[1] * sizeof(real))
            return
        ids = &self.ids[0, 0]
        for i in range(rows * self.ids.shape[1]):
            # Bounded again: another thread may have changed the array since it was looked at.
            ids[i] = <int32_t>min(max(id_at(source, i), 0), self.limit - 1)

    cdef bint run(self, const Py_buffer *source, real *target, int64_t rows) except -1:
        cdef Step *s = &self.program.step
        cdef double before
        if self.busy:  # another thread came in while the result was made
            return False
        self.busy = True
        self.put(source, rows)
        s.rows, s.failed = rows, 0
        s.cx.threads = threads_within(self.threads)
        self.program.enter()
        if self.release:
            with nogil:
                before = seconds()
                self.program.begin_watch()
                self.program.forward.forward(s)
                self.program.end_watch()
                self.program.row_seconds = (seconds() - before) / rows
        else:
            self.program.forward.forward(s)
        self.program.leave()
        memcpy(target, &self.y[0, 0], rows * self.y.shape[1] * sizeof(real))
        self.busy = False
        if s.failed:
            self.program.raise_error()
        return True


cdef inline int64_t id_at(const Py_buffer *source, int64_t i) noexcept:
    return (<const int32_t *>source.buf)[i] if source.itemsize == 4 else (<const int64_t *>source.buf)[i]
