# Python code inside a program: the engine takes the GIL for these ops alone. What the code raises is kept, the step is
# abandoned before any parameter changes, and Program raises it to the caller.

cdef class PythonOp(Op):
    cdef public object error

    cdef void fail(self, Step *s, object error) noexcept:
        self.error = error
        s.failed = 1


def _checked(result, shape, what):
    """A callable's result as a C-contiguous array of this precision and shape."""
    array = numpy.ascontiguousarray(result, dtype=PRECISION)
    if array.shape != shape:
        raise ValueError(f"{what} returned shape {array.shape}, expected {shape}")
    return array


cdef class PythonActivation(PythonOp):
    """y = f(x), dx = dy f'(x), where f and f' are callables on arrays."""
    kind = "python_activation"
    needs = "xy"
    cdef object x, y, dx, dy, function, derivative
    cdef bint adds

    def __init__(self, b):
        self.x, self.y, self.dx, self.dy = b.x[0], b.y, b.dx[0], b.dy
        self.function, self.derivative = b.attrs["functions"]
        self.adds = b.adds[0]

    cdef void forward(self, Step *s) noexcept nogil:
        with gil:
            try:
                x = self.x[:s.rows]
                self.y[:s.rows] = _checked(self.function(x), x.shape, "the activation function")
            except BaseException as error:
                self.fail(s, error)

    cdef void backward(self, Step *s) noexcept nogil:
        with gil:
            if self.dx is None:
                return
            try:
                x = self.x[:s.rows]
                dx = self.dy[:s.rows] * _checked(self.derivative(x), x.shape, "the activation's derivative")
                if self.adds:
                    self.dx[:s.rows] += dx
                else:
                    self.dx[:s.rows] = dx
            except BaseException as error:
                self.fail(s, error)


cdef class PythonLoss(PythonOp):
    """loss, dp = f(y, p): the mean loss of the batch and its gradient with respect to p."""
    kind = "python_loss"
    cdef object p, target, dp, function
    cdef double share

    def __init__(self, b):
        self.p, self.target, self.dp = b.x[0], b.x[1], b.dx[0]
        self.function, self.share = b.attrs["function"], b.attrs.get("share", 1.0)

    cdef void forward(self, Step *s) noexcept nogil:
        s.weight = <double>s.rows
        with gil:
            try:
                p = self.p[:s.rows]
                value, gradient = self.function(self.target[:s.rows], p)
                s.loss += self.share * float(value)
                if self.dp is not None:
                    self.dp[:s.rows] = _checked(gradient, p.shape, "the loss function's gradient")
                    self.dp[:s.rows] *= self.share
            except BaseException as error:
                self.fail(s, error)
