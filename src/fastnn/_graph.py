"""The graph: what a network computes, as records of values, parameters and ops.

Layers write it in their `plan`; the compiler reads it. It holds no arrays and no arithmetic. Shapes are those of one
sample: the batch axis is never written down. Ops are named by their kind, the engine's own names.
"""

from __future__ import annotations

from functools import cached_property
from math import prod

from .errors import NotFittedError, ShapeError

MAX_ELEMENTS = 2**48  # of one value or parameter: sizes in bytes stay far below 2**63


class Unlearned(NotFittedError):
    """A layer cannot be planned before its `learner` has seen data: `value` of the graph, for the layer at `path`."""

    def __init__(self, graph, value, learner, path, where):
        super().__init__(f"{where} learns from data what shape its output has: call fit, or net.adapt(X)")
        self.graph, self.value, self.learner, self.path = graph, value, learner, path


class Value:
    """What flows between ops: an array of one sample's `shape`, of reals or of ids below `limit`.

    `base` is the value whose memory this one shares under another shape, or None. `timed`: the first axis is known to
    be time. `mask` is then None, where all steps count, or a value (steps,) of 1 for a step and 0 for padding.
    """

    __slots__ = ("shape", "kind", "base", "limit", "timed", "mask", "_missing")

    def __init__(self, shape, kind="real", base=None):
        self.shape, self.kind, self.base = tuple(shape), kind, base
        self.limit, self.timed, self.mask, self._missing = None, False, None, frozenset

    @property
    def missing(self) -> frozenset[int]:
        """The features, of the last axis, that may be NaN; found when first asked for, which planning never does."""
        missing = self._missing  # read once: another thread may find it meanwhile
        if callable(missing):
            missing = self._missing = missing()
        return missing

    @missing.setter
    def missing(self, find):
        self._missing = find

    @property
    def root(self):
        """The value that owns the memory."""
        return self if self.base is None else self.base.root

    @property
    def size(self) -> int:
        return prod(self.shape)


class Param:
    """A stretch of the flat vector of parameters, or of state, with what initializes and restrains it."""

    __slots__ = ("name", "shape", "offset", "init", "l1", "l2", "max_norm", "layers")

    def __init__(self, name, shape, offset, init, l1=0.0, l2=0.0, max_norm=None):
        self.name, self.shape, self.offset, self.init = name, tuple(shape), offset, init
        self.l1, self.l2, self.max_norm = l1, l2, max_norm
        self.layers = ()  # whose it is, containers first

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def factor(self) -> float:
        """Of the learning rate: the product of those of its layers; 0 where one of them is not trainable."""
        return prod(layer.learning_rate_factor if layer.trainable else 0.0 for layer in self.layers)

    def flat(self, vector):
        """This parameter's stretch of a flat vector."""
        return vector[self.offset : self.offset + self.size]

    def view(self, vector):
        """The same under the parameter's shape."""
        return self.flat(vector).reshape(self.shape)


class OpRecord:
    """One op: kind, inputs, output, parameters and state by role, attributes, and the layer that asked for it."""

    __slots__ = ("kind", "inputs", "output", "params", "state", "attrs", "where", "number")

    def __init__(self, kind, inputs, output, params=None, state=None, attrs=None, where="", number=0):
        self.kind, self.inputs, self.output = kind, tuple(inputs), output
        self.params, self.state, self.attrs = params or {}, state or {}, attrs or {}
        self.where, self.number = where, number

    @property
    def is_trained(self) -> bool:
        """Whether any of its parameters is moved by training."""
        return any(param.factor for param in self.params.values())

    def changed(self, **fields) -> OpRecord:
        """The same with other values for some fields."""
        return OpRecord(**{name: getattr(self, name) for name in self.__slots__} | fields)

    @property
    def activation(self) -> str:
        """The name of the activation that ends this op, "" where none does."""
        return "softmax" if self.kind == "softmax" else self.attrs.get("activation", "")

    def multiply_adds(self) -> int:
        """Of one sample: what its layer says, or those of the product with its weight."""
        if "multiply_adds" in self.attrs:
            return self.attrs["multiply_adds"]
        weight = self.params.get("weight")
        return 0 if weight is None else weight.size * self.output.size // self.output.shape[-1]


class LayerRecord:
    """A row of the summary: one call of one layer, what it was given and returned, and what it added to the graph."""

    __slots__ = ("path", "layer", "depth", "inputs", "outputs", "params", "ops")

    def __init__(self, path, layer, depth, inputs):
        self.path, self.layer, self.depth, self.inputs = path, layer, depth, inputs

    @property
    def shape(self):
        """Of its output, or of the first of several."""
        return self.outputs[0].shape


class Graph:
    """Builder and record of a network's computation.

    known: the graph whose parameters and state this one uses, which then makes none of its own.
    stream_length: for a graph that takes one time step after another, the most steps it will take; else None.
    learned: shapes of state that was learned from data, by name.
    """

    def __init__(self, known: Graph | None = None, stream_length: int | None = None, learned=None):
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.ops: list[OpRecord] = []
        self.params: dict[str, Param] = {} if known is None else known.params
        self.states: dict[str, Param] = {} if known is None else known.states
        self.layers: list[LayerRecord] = []
        self.size = 0 if known is None else known.size  # elements of the flat parameter vector
        self.state_size = 0 if known is None else known.state_size
        self._stream_length = stream_length
        self.bounded = False  # whether what a stream remembers has an end
        self._is_copy = known is not None
        self._learned = learned or {}
        self._path: list[str] = []
        self._layers: list = []
        self._id_readers: set = set()

    # -- what layers call ------------------------------------------------------------------------------------------

    @property
    def streaming(self) -> bool:
        """Whether samples are single time steps, and ops remember the steps before."""
        return self._stream_length is not None

    @property
    def stream_length(self) -> int:
        """The most steps of the stream, for layers that keep something of each step."""
        self.bounded = True
        return self._stream_length

    def op(self, kind, inputs, shape, params=None, state=None, **attrs) -> Value:
        """Adds an op and returns its output, a new value of `shape`."""
        return self._record(kind, inputs, self._checked(Value(shape)), params, state, attrs)

    def input(self, shape, mask=None) -> Value:
        """A new input of the network, real until a layer reads it as ids; with a mask, of sequences."""
        value = self._checked(Value(shape))
        value.timed, value.mask = self.streaming or mask is not None, mask
        self.inputs.append(value)
        return value

    def read_ids(self, value, limit):
        """Makes an input one of ids from 0 to limit - 1, for the current layer, which looks them up."""
        value = value.root
        if value not in self.inputs:
            raise ShapeError(f"{self.where()} reads ids (whole numbers): it stands first, on an input of the network")
        if any(value in (given.root for given in op.inputs) for op in self.ops if op.where not in self._id_readers):
            raise ShapeError(f"{self.where()} reads ids from an input that another layer reads as numbers")
        value.kind, value.limit = "ids", min(limit, value.limit or limit)
        self._id_readers.add(self.where())

    def write(self, kind, inputs, output, **attrs) -> Value:
        """Adds an op that writes a part of a value that exists."""
        return self._record(kind, inputs, output, None, None, attrs)

    def value(self, shape) -> Value:
        """A new value that ops will write in parts."""
        return self._checked(Value(shape))

    def reshape(self, value, shape) -> Value:
        """The same memory under another shape."""
        view = Value(shape, value.kind, value)
        _keep_time(view, [value])
        return view

    def masked(self, inputs, mask, where):
        """The input of a layer, of several the last, with a mask that a call gave it."""
        *others, value = inputs if isinstance(inputs, list) else [inputs]
        if mask.shape != value.shape[:1] or mask.kind != "real":
            raise ShapeError(f"{where}: a mask of {value.shape[0]} steps has shape {value.shape[:1]}, got {mask.shape}")
        if mask.root not in self.inputs:
            raise ShapeError(f"{where}: a mask is an input of the network, fnn.Input({value.shape[0]})")
        view = Value(value.shape, value.kind, value)
        view.timed, view.mask = True, mask
        return [*others, view] if others else view

    def param(self, role, shape, init, **restraints) -> Param:
        """A parameter of the current layer; a layer that is called again gets the one it has."""
        return self._named(self.params, role, lambda name: Param(name, shape, self.size, init, **restraints))

    def state(self, role, shape, value) -> Param:
        """State of the current layer that is no parameter, as running statistics: saved with it, not trained.

        value: the number, or the array of that shape, that it starts with.
        """
        return self._named(self.states, role, lambda name: Param(name, shape, self.state_size, value))

    def learned_size(self, role, value, learner) -> int:
        """The length of state of the current layer that only data say: those that `value` holds, by the learner.

        Raises Unlearned as long as they have not been looked at.
        """
        path = ".".join(self._path)
        name = f"{path}.{role}"
        shape = self.states[name].shape if name in self.states else self._learned.get(name, ())
        if len(shape) != 1 or not shape[0]:
            raise Unlearned(self, value, learner, path, self.where())
        return shape[0]

    def known(self, role) -> Param | None:
        """The current layer's parameter of that role, if it has it already: its shape may be what a stream goes by."""
        return self.params.get(".".join((*self._path, role)))

    def _named(self, found, role, make):
        name = ".".join((*self._path, role))
        new = make(name)
        if name in found:
            if found[name].shape != new.shape:
                shapes = f"its {role} has shape {found[name].shape}, this call needs {new.shape}"
                raise ShapeError(f"{self.where()} is shared: {shapes}")
            return found[name]
        if self._is_copy:
            raise ShapeError(f"{self.where()} has no {role} in the network as it was built")
        self._checked(new)
        new.layers = tuple(self._layers)
        found[name] = new
        if found is self.params:
            self.size += new.size
        else:
            self.state_size += new.size
        return new

    def layer(self, layer, path, inputs, several=False, **named):
        """Plans `layer` under `path` ("layers.2"), with one value or a list of values as its input.

        named: further values by the names that the layer's call takes; several: whether it may return a list of values.
        """
        size, ops = self.size, len(self.ops)
        self._path.append(path)
        self._layers.append(layer)
        given = [v for one in (inputs, *named.values()) for v in (one if isinstance(one, list) else [one])]
        row = LayerRecord(".".join(self._path), layer, len(self._path) - 1, given)
        self.layers.append(row)
        try:
            self._check_time(layer, inputs)
            output = layer.plan(self, inputs, **named)
            if isinstance(output, list) and not several:
                raise ShapeError(f"{self.where()} returns several values: call it on what fnn.Input(...) returned")
        finally:
            self._path.pop()
            self._layers.pop()
        row.outputs = output if isinstance(output, list) else [output]
        row.params, row.ops = self.size - size, self.ops[ops:]
        return output

    def where(self) -> str:
        """The current layer, for messages: "layers.2 (Dense)"."""
        return f"{'.'.join(self._path)} ({type(self._layers[-1]).__name__})" if self._path else "the network"

    def expect_rank(self, value, rank, what):
        """Raises ShapeError unless the value has `rank` axes besides the batch."""
        if len(value.shape) != rank:
            raise ShapeError(f"{self.where()} expects {what}, got samples of shape {value.shape}")

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one sample's forward pass: what decides whether threads or the release of the GIL pay."""
        return sum(op.multiply_adds() for op in self.ops)

    @cached_property
    def rows(self) -> int:
        """Rows that a sample gives the products of its layers, such as tokens or positions of an image, by their work.

        Steps of a recurrent layer, which wait for each other, are none.
        """
        weights = sum(
            op.multiply_adds() if op.kind == "recurrent" else sum(param.size for param in op.params.values())
            for op in self.ops
        )
        return max(1, self.work // max(1, weights))

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

    def _check_time(self, layer, inputs):
        values = inputs if isinstance(inputs, list) else [inputs]
        if layer.keeps_time or not any(value.timed for value in values):
            return
        why = "be streamed step by step" if self.streaming else "take sequences of different lengths"
        raise ShapeError(
            f"{self.where()} mixes time steps, so it cannot {why}; a layer that ends the sequence, as LSTM(...), may "
            "stand before it"
        )

    def _record(self, kind, inputs, output, params, state, attrs) -> Value:
        where = self.where()
        if where not in self._id_readers and any(value.root.kind == "ids" for value in inputs):
            raise ShapeError(f"{where} reads numbers, and this input holds ids; put an Embedding between")
        self.ops.append(OpRecord(kind, inputs, output, params, state, attrs, where, len(self.ops)))
        _keep_time(output, inputs)
        return output


def _keep_time(output, inputs):
    """Hands the knowledge of which axis is time, and which steps count, from the inputs on to an output that has it."""
    for value in inputs:
        if value.timed and len(output.shape) > 1 and output.shape[0] == value.shape[0]:
            output.timed = True
            output.mask = output.mask or value.mask
