# Program: ops in the order they run, and the loop over batches. One region without the GIL runs many steps; Python is
# entered again when the time budget of a chunk is over, when a step fails, or when the loss is no longer finite. Signals are
# looked for then; in steps that take long, also within them.

from cpython.exc cimport PyErr_CheckSignals
from libc.time cimport time_t

cdef extern from "<time.h>" nogil:
    ctypedef int clockid_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(clockid_t clock, timespec *now)

cdef double seconds() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double>now.tv_sec + 1e-9 * <double>now.tv_nsec

cdef enum Status:
    DONE = 0         # ran to the end of what was asked, or of its time
    FAILED = 1       # Python code inside a step raised, a signal's handler among it; the step was not applied
    NON_FINITE = 2   # the loss is infinite or NaN; the step was not applied


cdef double QUICK = 0.04     # seconds of a batch that is run without looking for signals


cdef class Watch:
    """Stops kernels under way when a signal's handler raises, as that of Ctrl-C does."""
    cdef fnn_watch watch
    cdef object error       # what was raised

    def __cinit__(self):
        self.watch.ask, self.watch.arg = look_for_signals, <void *>self

    cdef inline void begin(self) noexcept nogil:
        set_watch(&self.watch)

    cdef inline bint end(self) noexcept nogil:
        """Whether it has stopped any."""
        set_watch(NULL)
        return self.watch.stopped

    cdef raise_error(self):
        """Raises what a handler did, if one has."""
        error, self.error = self.error, None
        if error is not None:
            raise error


cdef int look_for_signals(void *arg) noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<Watch>arg).error = error
        return 1
    return 0


cdef class OpList:
    """A sequence of ops as a C array of borrowed pointers, beside the list that owns them."""
    cdef list ops
    cdef PyObject **items
    cdef Py_ssize_t count

    def __cinit__(self, ops):
        self.ops = list(ops)
        self.count = len(self.ops)
        self.items = <PyObject **>calloc(self.count + 1, sizeof(PyObject *))
        if self.items is NULL:
            raise MemoryError
        for i, op in enumerate(self.ops):
            if not isinstance(op, Op):
                raise TypeError(f"expected an Op, got {type(op).__name__}")
            self.items[i] = <PyObject *>op

    def __dealloc__(self):
        free(self.items)

    cdef inline void forward(self, Step *s) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Op>self.items[i]).forward(s)
            if s.watched and stopped():
                s.failed = 1
                break

    cdef inline void backward(self, Step *s) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Op>self.items[i]).backward(s)
            if s.watched and stopped():
                s.failed = 1
                break


cdef class Program:
    """Feeds, forward, loss, backward and update ops over one arena, for batches of at most `batch_size` rows.

    `forward`, `backward` and `update` are in the order in which they run; with an Accumulate as `gather` a step is taken
    after so many batches. `keep` owns the memory that the ops point into. A program is used by one thread at a time.
    """
    cdef OpList forward, backward, update
    cdef Accumulate gather
    cdef Step step
    cdef Watch watch
    cdef double row_seconds             # that a row of the last batch took
    cdef object keep, scratch
    cdef int64_t[::1] order
    cdef bint shuffles                  # whether `train` makes the order
    cdef const double[:, :] learning_rates
    cdef const double[:, :] momenta
    cdef double[::1] losses
    cdef double[::1] ends
    cdef int64_t first_epoch
    cdef readonly int64_t batch_size
    cdef readonly int64_t rows          # samples of the arrays that are fed
    cdef readonly double loss_sum       # over the batches since reset(): loss * weight
    cdef readonly double weight_sum
    cdef readonly double last_loss
    cdef readonly int64_t epoch, batch  # where `train` stopped
    cdef public bint check_finite

    def __init__(self, forward, backward, update, int64_t batch_size, keep, uint64_t seed, int precision, gather=None):
        self.forward, self.backward, self.update = OpList(forward), OpList(backward), OpList(update)
        self.gather = gather
        self.batch_size, self.keep = batch_size, keep
        self.step.seed = seed
        self.step.cx.precision = precision_within(precision)
        self.step.cx.exchanges = len(self.backward.ops) > 0
        self.check_finite = True
        self.watch, self.row_seconds = Watch(), INFINITY
        self.set_threads(1)

    def set_threads(self, int threads):
        """The most threads that a kernel may take; makes room for what they want as scratch."""
        if threads == self.step.cx.threads:
            return
        cdef size_t size = 0, wanted
        for op in self.forward.ops:
            wanted = op.set_scratch(threads, self.step.cx.precision)
            size = max(size, wanted)
        room = numpy.empty(size + 64, dtype=numpy.uint8)
        cdef uint8_t[::1] scratch = room
        cdef size_t address = <size_t>&scratch[0]
        self.scratch = room  # not before all is there that can fail: the context points into the old one
        self.step.cx.scratch = <void *>((address + 63) // 64 * 64)
        self.step.cx.scratch_size = size
        self.step.cx.threads = threads

    def set_rows(self, int64_t rows, bint shuffle):
        """How many samples the fed arrays have, and whether `train` makes a new order of them for each epoch.

        Raises ValueError where its smallest batch is too small for an op; nothing is changed then.
        """
        self.check_rows(rows)
        self.order, self.step.order, self.shuffles = None, NULL, shuffle
        if shuffle:
            self.order = numpy.empty(rows, dtype=numpy.int64)
            self.step.order = &self.order[0]
        self.rows = rows

    def set_order(self, int64_t[::1] order):
        """Makes rows order[0], order[1], ... of the fed arrays the samples. Later changes of `order` count."""
        self.check_rows(order.shape[0])
        self.order, self.step.order, self.shuffles = order, &order[0], False
        self.rows = order.shape[0]

    cdef check_rows(self, int64_t rows):
        least = rows % self.batch_size or min(rows, self.batch_size)
        for op in self.forward.ops:
            op.check_batch(least, rows)

    def set_draw(self, uint64_t seed, int64_t number):
        """The seed and the number of the random draw that the next batches are predicted with."""
        self.step.seed, self.step.number = seed, number

    def rewind(self):
        """Makes the ops of a stream forget its steps so far."""
        for op in self.forward.ops:
            op.rewind()

    def reset(self):
        self.loss_sum = self.weight_sum = 0.0

    cdef inline int64_t count_batches(self) noexcept nogil:
        return (self.rows + self.batch_size - 1) // self.batch_size

    @property
    def batches(self):
        """Batches of an epoch, the last one perhaps smaller."""
        return self.count_batches()

    @property
    def batch_rows(self):
        """Rows of the current batch."""
        return self.step.rows

    cdef void take(self, int64_t batch) noexcept nogil:
        # Makes `batch` the current one.
        cdef Step *s = &self.step
        s.first = batch * self.batch_size
        s.rows = min(self.batch_size, self.rows - s.first)
        s.loss = s.weight = 0.0
        s.failed = 0
        if self.gather is not None:
            s.part = batch % self.gather.batches
            s.last = s.part == self.gather.batches - 1 or batch == self.count_batches() - 1

    cdef inline void enter(self) noexcept nogil:
        self.step.fp_mode = flush_denormals()

    cdef inline void leave(self) noexcept nogil:
        set_fp_mode(self.step.fp_mode)

    cdef inline void begin_watch(self) noexcept nogil:
        # Between two batches the caller looks for signals; within one only where it will take long, as the rows of the last
        # say: in such a step no op applies the optimizer's rule, so that until its update begins it can be dropped.
        self.step.watched = self.row_seconds * self.step.rows > QUICK
        if self.step.watched:
            self.watch.begin()

    cdef inline void end_watch(self) noexcept nogil:
        if self.step.watched and self.watch.end():
            self.step.failed = 1

    cdef void count(self) noexcept nogil:
        self.last_loss = self.step.loss
        self.loss_sum += self.step.loss * self.step.weight
        self.weight_sum += self.step.weight

    cdef Status train_step(self, int64_t batch) noexcept nogil:
        cdef Step *s = &self.step
        cdef bint good
        self.take(batch)
        self.begin_watch()
        self.forward.forward(s)
        good = not self.check_finite or isfinite(s.loss)
        if good and not s.failed:
            self.backward.backward(s)
        self.end_watch()
        if s.failed:
            return FAILED
        if not good:
            return NON_FINITE
        if self.gather is not None:
            self.gather.forward(s)
        if self.gather is None or s.last:
            self.update.forward(s)
            s.number += 1
        self.count()
        return DONE

    cdef bint shuffle(self, int64_t epoch) noexcept nogil:
        # Makes the epoch's order of the rows; whether it was not stopped.
        cdef fnn_key key
        cdef bint takes_long = self.rows > 1 << 20
        key.seed, key.stream = self.step.seed, (<uint64_t>STREAM_SHUFFLE << 60) | <uint64_t>(self.first_epoch + epoch)
        if takes_long:
            self.watch.begin()
        K.permutation(&key, self.rows, &self.order[0])
        return not (takes_long and self.watch.end())

    def schedule(self, int64_t first_epoch, const double[:, :] learning_rates, const double[:, :] momenta=None,
                 double[::1] losses=None, double[::1] ends=None):
        """What `train` goes by: learning_rates[epoch, batch] and, of an optimizer that has a schedule for it,
        momenta[epoch, batch].

        first_epoch: epochs of the network before epoch 0 of this fit, so that each has a random order of its own.
        losses[epoch] and ends[epoch], the time on the clock of time.monotonic, are set when an epoch is over.
        """
        self.first_epoch, self.learning_rates, self.momenta = first_epoch, learning_rates, momenta
        self.losses, self.ends = losses, ends

    def train(self, int64_t epoch, int64_t batch, int64_t end, int64_t number, double budget):
        """Steps from `batch` of `epoch` until all epochs before `end` are done, or `budget` seconds are over.

        number: optimizer steps before the first. Returns whether the loss of the next batch is not finite, so that its
        step was not taken. How far it came stands in `epoch`, `batch` and `steps`, also when it raised.
        """
        cdef Status status = DONE
        cdef double deadline, before, now
        cdef int64_t batches = self.count_batches()
        with nogil:
            self.enter()
            self.step.number = number
            self.step.momentum = -1.0
            now = seconds()
            deadline = now + budget
            while epoch < end:
                if batch == 0:
                    self.loss_sum = self.weight_sum = 0.0
                    if self.shuffles and not self.shuffle(epoch):
                        status = FAILED
                        break
                self.step.learning_rate = self.learning_rates[epoch, batch]
                if self.momenta is not None:
                    self.step.momentum = self.momenta[epoch, batch]
                status = self.train_step(batch)
                if status != DONE:
                    break
                batch += 1
                before, now = now, seconds()
                self.row_seconds = (now - before) / self.step.rows
                if batch == batches:
                    if self.losses is not None:
                        self.losses[epoch], self.ends[epoch] = self.loss_sum / self.weight_sum, now
                    epoch, batch = epoch + 1, 0
                if now > deadline:
                    break
            self.leave()
        self.epoch, self.batch = epoch, batch
        if status == FAILED:
            self.raise_error()
        return status == NON_FINITE

    @property
    def steps(self):
        """Optimizer steps of the network when `train` stopped."""
        return self.step.number

    def gradients(self, int64_t number, int64_t batch=0, double budget=0.0):
        """Forward and backward of the batches from `batch` on, until all are done or `budget` seconds are over.

        Returns the next batch; after the last the gradients are those of the mean over all, for which several batches
        need an Accumulate. number: optimizer steps so far.
        """
        cdef double now = seconds(), deadline = now + budget, before
        cdef int64_t end = self.count_batches()
        with nogil:
            self.enter()
            self.step.number = number
            while batch < end:
                self.take(batch)
                self.begin_watch()
                self.forward.forward(&self.step)
                if not self.step.failed:
                    self.backward.backward(&self.step)
                self.end_watch()
                if self.step.failed:
                    break
                if self.gather is not None:
                    self.gather.forward(&self.step)
                self.count()
                batch += 1
                before, now = now, seconds()
                self.row_seconds = (now - before) / self.step.rows
                if now > deadline:
                    break
            self.leave()
        if self.step.failed:
            self.raise_error()
        return batch

    cdef bint run_batch(self, int64_t batch) noexcept nogil:
        # Forward of one batch; whether it did not fail.
        cdef double before = seconds()
        self.enter()
        self.take(batch)
        self.forward.forward(&self.step)
        self.leave()
        self.row_seconds = (seconds() - before) / self.step.rows
        if not self.step.failed:
            self.count()
        return not self.step.failed

    def evaluate(self, int64_t batch, double budget):
        """Forward of the batches from `batch` on, until all are done or `budget` seconds are over; returns the next batch."""
        cdef double deadline = seconds() + budget
        cdef int64_t end = self.count_batches()
        cdef bint good = True
        with nogil:
            while good and batch < end:
                self.take(batch)
                self.begin_watch()
                good = self.run_batch(batch)
                self.end_watch()
                batch += good
                if seconds() > deadline:
                    break
        if self.step.failed:
            self.raise_error()
        return batch

    cdef raise_error(self):
        self.watch.raise_error()
        for op in self.forward.ops:
            if isinstance(op, PythonOp) and op.error is not None:
                error, op.error = op.error, None
                raise error
            if isinstance(op, Feed) and op.refused:
                raise FloatingPointError("an input is infinite or NaN")
        raise RuntimeError("a step failed without an error")
