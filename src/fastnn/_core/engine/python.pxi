# Python code inside a program: the engine takes the GIL for these ops alone. What the code raises is kept, the step is
# abandoned before any parameter changes, and Program raises it to the caller.

cdef class PythonOp(Op):
    """Subclasses define run_forward and run_backward, which may raise; they run in the caller's floating-point mode."""
    whole_batch = True
    cdef public object error

    cdef run_forward(self, Step *s):
        pass

    cdef run_backward(self, Step *s):
        pass

    cdef void guarded(self, Step *s, bint is_forward) noexcept:
        set_fp_mode(s.fp_mode)
        try:
            if is_forward:
                self.run_forward(s)
            else:
                self.run_backward(s)
        except BaseException as error:
            self.error = error
            s.failed = 1
        flush_denormals()

    # Once an op of a step has raised, the others do not run: they would see stale values and might raise in their turn.
    cdef void forward(self, Step *s) noexcept nogil:
        if not s.failed:
            with gil:
                self.guarded(s, True)

    cdef void backward(self, Step *s) noexcept nogil:
        if not s.failed:
            with gil:
                self.guarded(s, False)


cdef read_only(array):
    """The same memory, not to be written by the functions that get it: backward reads it again."""
    view = array.view()
    view.flags.writeable = False
    return view


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
        self.x, self.y, self.dx, self.dy = read_only(b.x[0]), b.y, b.dx[0], b.dy
        self.function, self.derivative = b.attrs["functions"]
        self.adds = b.adds[0]

    cdef run_forward(self, Step *s):
        x = self.x[:s.rows]
        self.y[:s.rows] = _checked(self.function(x), x.shape, "the activation function")

    cdef run_backward(self, Step *s):
        if self.dx is None:
            return
        x = self.x[:s.rows]
        dx = self.dy[:s.rows] * _checked(self.derivative(x), x.shape, "the activation's derivative")
        if self.adds:
            self.dx[:s.rows] += dx
        else:
            self.dx[:s.rows] = dx


cdef class PythonLayer(PythonOp):
    """y = layer.forward(x, **parameters), and the gradients from layer.backward; x is a list where it has several inputs."""
    kind = "python_layer"
    needs = "xy"
    cdef list x, dx, adds
    cdef dict params, grads, param_adds
    cdef object y, dy, layer
    cdef str what
    cdef bint joins             # whether the layer was called with a list

    def __init__(self, b):
        self.joins = b.attrs["joins"]
        self.x, self.dx, self.adds = [read_only(x) for x in b.x], list(b.dx), list(b.adds)
        self.y, self.dy, self.layer = b.y, b.dy, b.attrs["layer"]
        self.params = {role: read_only(param) for role, param in b.params.items()}
        self.grads, self.param_adds = b.grads, b.param_adds
        self.what = type(self.layer).__name__

    def inputs(self, int64_t rows):
        """What the layer's methods get as x."""
        x = [x[:rows] for x in self.x]
        return x if self.joins else x[0]

    cdef run_forward(self, Step *s):
        y = self.y[:s.rows]
        y[...] = _checked(self.layer.forward(self.inputs(s.rows), **self.params), y.shape, f"{self.what}.forward")

    cdef run_backward(self, Step *s):
        x, y, dy = self.inputs(s.rows), read_only(self.y[:s.rows]), read_only(self.dy[:s.rows])
        result, grads = self.layer.backward(dy, x, y, **self.params), {}
        if self.params:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"{self.what}.backward must return (dx, {{parameter: gradient}}), got {type(result).__name__}")
            result, grads = result
            if set(grads) != set(self.params):
                raise ValueError(f"{self.what}.backward must return the gradients of {', '.join(self.params)}, "
                                 f"got {', '.join(grads) or 'none'}")
        dx = result if self.joins else [result]
        if len(dx) != len(self.x):
            raise ValueError(f"{self.what}.backward must return {len(self.x)} gradients, one for each input, got {len(dx)}")
        for target, adds, gradient in zip(self.dx, self.adds, dx):
            if target is not None:
                self.store(target[:s.rows], gradient, adds, "dx")
        for role, gradient in grads.items():
            self.store(self.grads[role], gradient, self.param_adds[role], f"the gradient of {role}")

    cdef store(self, target, gradient, bint adds, str what):
        gradient = _checked(gradient, target.shape, f"{self.what}.backward: {what}")
        if adds:
            target += gradient
        else:
            target[...] = gradient


cdef class PythonLoss(PythonOp):
    """loss, dp = f(y, p): the mean loss of the batch and its gradient with respect to p."""
    kind = "python_loss"
    cdef object p, target, dp, function
    cdef double share

    def __init__(self, b):
        self.p, self.target, self.dp = read_only(b.x[0]), read_only(b.x[1]), b.dx[0]
        self.function, self.share = b.attrs["function"], b.attrs.get("share", 1.0)

    cdef run_forward(self, Step *s):
        s.weight = <double>s.rows
        p = self.p[:s.rows]
        result = self.function(self.target[:s.rows], p)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"the loss function must return (loss, gradient), got {type(result).__name__}")
        value, gradient = result
        s.loss += self.share * float(value)
        if self.dp is not None:
            self.dp[:s.rows] = _checked(gradient, p.shape, "the loss function's gradient")
            self.dp[:s.rows] *= self.share
