# What goes back from outputs rather than from a loss: cotangents of a whole batch, the Jacobian one output at a time; and the
# product of L-BFGS and the system of Levenberg-Marquardt.

cdef class Residual(Op):
    """One residual of one sample, r = sqrt(scale w) (p - y); backward from it gives its row of the Jacobian.

    In the place of a loss between an output x[0] and its target x[1]; x[2], if there, holds the weights.
    """
    kind = "residual"
    cdef real[:, ::1] p, target, weights, dp
    cdef int64_t cols           # outputs that share a weight
    cdef bint has_weights
    cdef int64_t output         # which one
    cdef double scale, value

    def __init__(self, b):
        rows = b.x[0].shape[0]
        self.p, self.target, self.dp = (array.reshape(rows, -1) for array in (b.x[0], b.x[1], b.dx[0]))
        *_, self.cols = b.x[0].shape
        self.has_weights = len(b.x) > 2
        if self.has_weights:
            self.weights = b.x[2].reshape(rows, -1)

    cdef void forward(self, Step *s) noexcept nogil:
        cdef double root = self.scale
        if self.has_weights:
            root *= self.weights[0, self.output // self.cols]
        root = sqrt(root)
        self.value = root * (<double>self.p[0, self.output] - <double>self.target[0, self.output])
        K.fill(&s.cx, self.dp.shape[1], 0.0, &self.dp[0, 0])
        self.dp[0, self.output] = <real>root


cdef class Cotangent(Op):
    """In the place of a loss: the gradient of sum(c p), p = x[0] an output, c = x[1] fed; backward forms c times its Jacobian."""
    kind = "cotangent"
    cdef real[:, ::1] c, dx
    cdef int64_t repeat

    def __init__(self, b):
        self.c, self.dx, self.repeat = matrix(b.x[1]), matrix(b.dx[0]), repeat_of(b.x[1])

    cdef void forward(self, Step *s) noexcept nogil:
        K.copy(&s.cx, s.rows * self.repeat * self.c.shape[1], &self.c[0, 0], &self.dx[0, 0])


def jacobian(
    Program program, const real[::1] grads, const int64_t[::1] columns, double scale, int64_t first, double[:, ::1] rows
):
    """Fills `rows` (residuals, columns and one) for the samples from `first` on, a residual for each of their outputs.

    program: of batches of one, with a Residual as its loss; grads: the flat vector into which its ops write; columns:
    the indices of those elements that are wanted. The last column holds the residuals themselves.
    """
    cdef Residual end = next(op for op in program.forward.ops if isinstance(op, Residual))
    cdef Step *s = &program.step
    cdef int64_t i, j, outputs = end.p.shape[1], count = columns.shape[0]
    if rows.shape[0] % outputs or rows.shape[1] != count + 1:
        raise ValueError(f"jacobian: {rows.shape[0]} rows of {rows.shape[1]}, {outputs} outputs and {count} columns")
    for j in range(count):
        if not 0 <= columns[j] < grads.shape[0]:
            raise ValueError(f"jacobian: column {columns[j]} of {grads.shape[0]} parameters")
    end.scale = scale
    with nogil:
        program.enter()
        program.watch.begin()
        for i in range(rows.shape[0]):
            end.output = i % outputs
            program.take(first + i // outputs)
            program.forward.forward(s)  # for each output, since the backward pass uses the memory of what it has read
            if not s.failed:
                program.backward.backward(s)
            if s.failed:
                break
            for j in range(count):
                rows[i, j] = grads[columns[j]]
            rows[i, count] = end.value
            if stopped():
                s.failed = 1
                break
        program.watch.end()
        program.leave()
    if s.failed:
        program.raise_error()


def two_loops(const real[:, ::1] s, const real[:, ::1] y, const real[::1] inverse, int64_t newest, int64_t count, real[::1] q):
    """q = H q, H being the inverse Hessian that the last `count` pairs of L-BFGS show: Nocedal and Wright, algorithm 7.4.

    s, y: rows of a ring, the newest pair in row `newest`; inverse: 1 / (s y) of each.
    """
    cdef int64_t i, row, n = q.shape[0], size = s.shape[0]
    cdef double product, square
    cdef double[::1] shares
    if count > size or y.shape[0] != size or inverse.shape[0] != size or s.shape[1] != n or y.shape[1] != n or n == 0:
        raise ValueError(f"two_loops: {count} pairs of {size} rows, {n} elements")
    if count == 0:
        return
    shares = numpy.empty(count)
    for i in range(count):
        PyErr_CheckSignals()
        row = (newest - i + size) % size
        K.dot(&serial, n, &s[row, 0], &q[0], &product)
        shares[i] = inverse[row] * product
        K.axpy(&serial, n, -shares[i], &y[row, 0], &q[0])
    K.sum_squares(&serial, n, &y[newest, 0], &square)
    K.scale(&serial, n, 1.0 / (inverse[newest] * square), &q[0])
    for i in range(count - 1, -1, -1):
        row = (newest - i + size) % size
        K.dot(&serial, n, &y[row, 0], &q[0], &product)
        K.axpy(&serial, n, shares[i] - inverse[row] * product, &s[row, 0], &q[0])


def solve_damped(const real[:, :] matrix, const real[::1] damping, const real[::1] vector):
    """The x of (matrix + diag(damping)) x = vector, by Cholesky's method; None where that matrix is not positive definite.

    For small systems: rows are taken one by one, each a few inner products with those above it.
    """
    cdef int64_t i, j, n = vector.shape[0]
    cdef double rest, product
    cdef real[:, ::1] factor
    cdef real *x
    if matrix.shape[0] != n or matrix.shape[1] != n or damping.shape[0] != n or n == 0:
        raise ValueError(f"solve_damped: a matrix of {matrix.shape[0]} x {matrix.shape[1]}, {damping.shape[0]} and {n} elements")
    room = numpy.empty((n + 1, n), dtype=PRECISION)
    factor = room
    x = &factor[n, 0]
    for i in range(n):
        PyErr_CheckSignals()
        for j in range(i + 1):
            rest = matrix[i, j]
            if j:
                K.dot(&serial, j, &factor[i, 0], &factor[j, 0], &product)
                rest -= product
            if j < i:
                factor[i, j] = <real>(rest / factor[j, j])
        rest += damping[i]
        if not (rest > 0 and isfinite(rest)):
            return None
        factor[i, i] = <real>sqrt(rest)
        rest = vector[i]
        if i:
            K.dot(&serial, i, &factor[i, 0], x, &product)
            rest -= product
        x[i] = <real>(rest / factor[i, i])
    for i in range(n - 1, -1, -1):
        x[i] /= factor[i, i]
        if i:
            K.axpy(&serial, i, -x[i], &factor[i, 0], x)
    return room[n]
