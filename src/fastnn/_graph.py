"""The graph: what a network computes, as records of values, parameters and ops.

Layers write it in their `plan`; the compiler reads it. It holds no arrays and no arithmetic. Shapes are those of one
sample: the batch axis is never written down. Ops are named by their kind, the engine's own names.
"""

from math import prod

from .errors import ShapeError

MAX_ELEMENTS = 2**48  # of one value or parameter: sizes in bytes stay far below 2**63


class Value:
    """What flows between ops: an array of one sample's `shape`, of reals or of ids (int32).

    `base` is the value whose memory this one shares under another shape, or None.
    """

    __slots__ = ("shape", "kind", "base")

    def __init__(self, shape, kind="real", base=None):
        self.shape, self.kind, self.base = tuple(shape), kind, base

    @property
    def root(self):
        """The value that owns the memory."""
        return self if self.base is None else self.base.root

    @property
    def size(self) -> int:
        return prod(self.shape)


class Param:
    """A stretch of the flat parameter vector, with what initializes and restrains it."""

    __slots__ = ("name", "shape", "offset", "init", "l1", "l2", "max_norm")

    def __init__(self, name, shape, offset, init, l1=0.0, l2=0.0, max_norm=None):
        self.name, self.shape, self.offset, self.init = name, tuple(shape), offset, init
        self.l1, self.l2, self.max_norm = l1, l2, max_norm

    @property
    def size(self) -> int:
        return prod(self.shape)

    def flat(self, vector):
        """This parameter's stretch of a flat vector."""
        return vector[self.offset : self.offset + self.size]

    def view(self, vector):
        """The same under the parameter's shape."""
        return self.flat(vector).reshape(self.shape)


class OpRecord:
    """One op: kind, input values, output value, parameters by role, attributes, and the layer that asked for it."""

    __slots__ = ("kind", "inputs", "output", "params", "attrs", "where", "number")

    def __init__(self, kind, inputs, output, params=None, attrs=None, where="", number=0):
        self.kind, self.inputs, self.output = kind, tuple(inputs), output
        self.params, self.attrs = params or {}, attrs or {}
        self.where, self.number = where, number

    @property
    def activation(self) -> str:
        """The name of the activation that ends this op, "" where none does."""
        return "softmax" if self.kind == "softmax" else self.attrs.get("activation", "")

    def multiply_adds(self) -> int:
        """Of the product with its weight, for one sample."""
        weight = self.params.get("weight")
        return 0 if weight is None else weight.size * self.output.size // self.output.shape[-1]


class LayerRecord:
    """A row of the summary: one call of one layer, and what it added to the graph."""

    __slots__ = ("path", "layer", "depth", "shape", "params", "ops")

    def __init__(self, path, layer, depth):
        self.path, self.layer, self.depth = path, layer, depth


class Graph:
    """Builder and record of a network's computation."""

    def __init__(self):
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.ops: list[OpRecord] = []
        self.params: dict[str, Param] = {}
        self.layers: list[LayerRecord] = []
        self.size = 0  # elements of the flat parameter vector
        self._path: list[str] = []
        self._layer = None

    # -- what layers call ------------------------------------------------------------------------------------------

    def op(self, kind, inputs, shape, params=None, **attrs) -> Value:
        """Adds an op and returns its output, a new value of `shape`."""
        return self._record(kind, inputs, self._checked(Value(shape)), params, attrs)

    def input(self, shape) -> Value:
        """A new input of the network; a layer that reads ids sets its `kind`."""
        self.inputs.append(self._checked(Value(shape)))
        return self.inputs[-1]

    def write(self, kind, inputs, output, **attrs) -> Value:
        """Adds an op that writes a part of a value that exists."""
        return self._record(kind, inputs, output, None, attrs)

    def value(self, shape) -> Value:
        """A new value that ops will write in parts."""
        return self._checked(Value(shape))

    def reshape(self, value, shape) -> Value:
        """The same memory under another shape."""
        return Value(shape, value.kind, value)

    def param(self, role, shape, init, **restraints) -> Param:
        """A parameter of the current layer; a layer that is called again gets the one it has."""
        name = ".".join((*self._path, role))
        if name in self.params:
            known = self.params[name]
            if known.shape != tuple(shape):
                shapes = f"its {role} has shape {known.shape}, this call needs {tuple(shape)}"
                raise ShapeError(f"{self.where()} is shared: {shapes}")
            return known
        found = Param(name, shape, self.size, init, **restraints)
        self._checked(found)
        self.params[name] = found
        self.size += found.size
        return found

    def layer(self, layer, path, inputs) -> Value:
        """Plans `layer` under `path` ("layers.2"), with one value or a list of values as its input."""
        outer, size, ops = self._layer, self.size, len(self.ops)
        self._path.append(path)
        self._layer = layer
        row = LayerRecord(".".join(self._path), layer, len(self._path) - 1)
        self.layers.append(row)
        try:
            output = layer.plan(self, inputs)
        finally:
            self._path.pop()
            self._layer = outer
        row.shape, row.params, row.ops = output.shape, self.size - size, self.ops[ops:]
        return output

    def where(self) -> str:
        """The current layer, for messages: "layers.2 (Dense)"."""
        return f"{'.'.join(self._path)} ({type(self._layer).__name__})" if self._path else "the network"

    def expect_rank(self, value, rank, what):
        """Raises ShapeError unless the value has `rank` axes besides the batch."""
        if len(value.shape) != rank:
            raise ShapeError(f"{self.where()} expects {what}, got samples of shape {value.shape}")

    def multiply_adds(self) -> int:
        """Of one sample's forward pass: what decides whether threads or the release of the GIL pay."""
        return sum(op.multiply_adds() for op in self.ops)

    def last_activation(self, value) -> OpRecord | None:
        """The activation or softmax that `value` is the result of, under its own shape or, but for softmax, another."""
        last = next((op for op in reversed(self.ops) if op.output.root is value.root), None)
        if last is None or not last.activation:
            return None
        same_rows = last.output.shape[-1] == value.shape[-1]
        return last if same_rows or last.kind != "softmax" else None

    # -- inside ----------------------------------------------------------------------------------------------------

    def _checked(self, thing):
        if thing.size > MAX_ELEMENTS:
            raise MemoryError(f"{self.where()}: {thing.shape} has {thing.size} elements, more than any memory holds")
        return thing

    def _record(self, kind, inputs, output, params, attrs) -> Value:
        self.ops.append(OpRecord(kind, inputs, output, params, attrs, self.where(), len(self.ops)))
        return output
