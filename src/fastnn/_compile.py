"""From a graph to a Program: choose the ops of a mode, plan the memory, bind the engine's ops to it.

Modes
    "train"      feeds, forward, loss, backward, update; outputs recorded where metrics ask for them
    "gradient"   the same without an update
    "jacobian"   the same for residuals one by one
    "evaluate"   prediction plus loss, outputs recorded where metrics ask for them
    "predict"    prediction, outputs recorded
    "predictor"  the bare forward pass between an input buffer and an output buffer
Training and prediction differ in their ops (dropout is absent from prediction), never by a flag in an op.

Rules that hold here and nowhere else: a softmax or sigmoid before its own loss is left out and the loss works on
logits; relu before max pooling goes into the pooling; an activation that only one dense or conv op feeds is fused into
it, in training where its derivative follows from the output; the first writer of a gradient stores and later ones add;
the optimizer's rule for a large weight is fused into the op that makes its gradient, where nothing else has to see that
gradient.
"""

from __future__ import annotations

import os
from threading import Lock

import numpy as np

from . import _fold, _memory, _parts
from ._core import kernels
from ._graph import OpRecord, Value

PRECISIONS = {"highest": 0, "high": 1, "medium": 2}
FUSED_UPDATE = 16384  # elements of a weight: smaller ones are in the nearest caches, and one pass over all costs less


class Binding:
    """What an op is made from: its arrays and attributes; `adds` and `param_adds`: where it must add to a gradient.

    state: arrays that are no parameters, by role; updates: ops of the optimizer's rule that it applies itself, by role;
    feeds: the feed in whose array an input lies.
    """

    __slots__ = (
        "x", "dx", "y", "dy", "adds", "params", "grads", "param_adds", "state", "updates", "feeds", "attrs", "number",
    )  # fmt: skip


class Head:
    """One output with its loss: which value the loss reads, and what its target looks like."""

    __slots__ = ("loss", "output", "target", "share")

    def __init__(self, loss, output, target, share=1.0):
        self.loss, self.output, self.target, self.share = loss, output, target, share


class Compiled:
    """A Program with the ends that the caller feeds and reads."""

    __slots__ = ("program", "inputs", "targets", "weights", "records", "_plan", "_bound")

    def feed(self, inputs, targets=(), weights=()):
        """Sets the arrays that batches are taken from."""
        for op, array in zip(self.inputs, inputs, strict=True):
            if op is not None:  # a mask that no layer reads: the steps are independent
                op.set_source(array)
        for op, array in zip(self.targets, targets, strict=True):
            op.set_source(array)
        for op, array in zip(self.weights, weights, strict=True):
            op.set_source(array)

    def record(self, outputs):
        """Sets the arrays that outputs are written to."""
        for op, array in zip(self.records, outputs, strict=True):
            op.set_target(array)

    def array(self, value):
        """The memory of a value of the graph in this program."""
        return self._plan.array(self._bound.arrays, value)

    def outputs(self):
        """(op record, its output) in the order of the forward pass of a training program, for the current batch.

        Where it was taken in parts: for the first part whose loss is not finite.
        """
        arrays, rows = self._bound.current(self.program.batch_rows)
        for node in self._plan.nodes:
            if node.output is not None and not node.kind.startswith("feed"):
                yield node, self._plan.array(arrays, node.output)[:rows]

    def release(self):
        """Lets go of the caller's arrays."""
        for op in filter(None, (*self.inputs, *self.targets, *self.weights)):
            op.set_source(None)
        for op in self.records:
            op.set_target(None)


def compile_program(
    graph, memory, mode, batch, *, heads=(), weighted=False, record=False, precision="highest", seed=0, rule=None,
    accumulate=1,
):
    """A Compiled for batches of at most `batch` rows.

    memory: the network's Memory (parameters and gradients); rule: the optimizer's Rule, for mode "train"; accumulate:
    how many batches' gradients make one.
    """
    training = mode in ("train", "gradient", "jacobian")
    plan = _Plan(graph, memory.engine, training, frozen=() if rule is None else rule.frozen)
    ends = _add_ends(plan, mode, heads, weighted, record)
    plan.prune(keep=graph.outputs if mode == "predictor" else ())
    plan.pool_before_relu(keep=graph.outputs)
    plan.fuse()
    if not training:
        _fold.fold_norms(plan, batch, memory.dtype)
        plan.open_windows()
    layout = plan.lay_out(batch, memory.dtype, training, graph.inputs + graph.outputs if mode == "predictor" else ())
    count = _parts.count(plan, layout, memory) if training and mode != "jacobian" else 1
    if count > 1:
        bound = _parts.Parts(plan, layout, memory, count)
        forward, backward, fused, followers = [bound.op], [], {}, ()
    else:
        fused = plan.fused_updates(rule) if rule is not None and rule.fuses else {}
        bound = _Whole(plan, layout.arrays(), memory, training, fused)
        forward, backward, followers = bound.forward, bound.backward, bound.followers

    penalties = memory.penalties(training) if heads and mode != "jacobian" else []
    if training:
        backward = [*backward, *penalties]
    else:
        forward = [*forward, *penalties]
    gather = memory.engine.OPS["accumulate"](memory.grads, memory.totals(), accumulate) if accumulate > 1 else None
    update = [] if rule is None else [*rule.update(fused), *followers]

    done = Compiled()
    done.program = memory.engine.Program(
        forward, backward, update, batch, (bound, memory), seed & (2**64 - 1), PRECISIONS[precision], gather
    )
    done.inputs, done.targets, done.weights, done.records = [[bound.end(node) for node in nodes] for nodes in ends]
    done._plan, done._bound = plan, bound
    return done


class _Whole:
    """The ops of a plan, bound to one set of arrays that takes a whole batch."""

    def __init__(self, plan, arrays, memory, training, fused):
        self.plan, self.arrays = plan, arrays
        self.ops = plan.bind(memory, arrays, training, fused)
        self.forward = [*self.ops.values()]
        self.backward = [self.ops[node] for node in reversed(plan.nodes) if plan.has_backward(node)] if training else []
        self.followers = [follower for op in self.forward for follower in op.update_ops()]

    def end(self, node):
        """The op of a feed or record; None for one that nobody reads."""
        return self.ops.get(node)

    def current(self, rows):
        """The arrays of the current batch, and its rows."""
        return self.arrays, rows


def _add_ends(plan, mode, heads, weighted, record):
    """Feeds before and losses and records after the graph's own ops; returns their nodes."""
    if mode == "predictor":
        return [], [], [], []
    graph = plan.graph
    # Prediction checks its input batch by batch, in cache and on all threads; training checked it at the edge.
    checks = {"checks": mode == "predict"}
    feed = {"real": "feed", "ids": "feed_ids"}
    inputs = [OpRecord(feed[v.kind], (), v, attrs=checks, where="input") for v in graph.inputs]
    targets, weights, copies, losses = [], [], [], []
    for head, value in zip(heads, _loss_inputs(plan, heads, copies), strict=True):
        targets.append(OpRecord(feed[head.target.kind], (), head.target, where="target"))
        reads = [value, head.target]
        if weighted:
            weight = Value((head.loss.positions(head.output.shape),))
            weights.append(OpRecord("feed", (), weight, where="sample_weight"))
            reads.append(weight)
        kind, attrs = head.loss.op(head.target.kind)
        losses.append(OpRecord(kind, reads, None, attrs={**attrs, "share": head.share}, where="loss"))
    recorded = graph.outputs if record or mode == "predict" else ()
    records = [OpRecord("record", (v,), None, where="output") for v in recorded]
    plan.nodes = [*inputs, *targets, *weights, *plan.nodes, *copies, *records, *losses]
    return inputs, targets, weights, records


def _loss_inputs(plan, heads, copies):
    """What each loss reads: a value of its own, since a loss stores its gradient; a copy where another has taken it."""
    taken, values = set(), []
    for head in heads:
        value = plan.logits(head)
        if plan.root(value) in taken:
            whole = {"axis": len(value.shape), "offset": 0}
            copies.append(OpRecord("place", (value,), Value(value.shape), attrs=whole, where="loss"))
            value = copies[-1].output
        taken.add(plan.root(value))
        values.append(value)
    return values


class _Plan:
    """The ops of one mode, in the order of the forward pass, and what follows from that order.

    frozen: parameters whose gradients nobody needs.
    """

    def __init__(self, graph, engine, training, frozen=()):
        self.graph = graph
        self.ops = engine.OPS
        self.activations = engine.ACTIVATIONS
        self.training, self.frozen = training, frozen
        self.same: dict[Value, Value] = {}  # values that are another value in this mode
        self.windows: dict[Value, OpRecord] = {}  # feeds by value, of those that copy nothing
        self.nodes: list[OpRecord] = []
        for op in graph.ops:
            if not training and self.ops[op.kind].identity_in_predict:
                self.same[op.output] = op.inputs[0]
            else:
                self.nodes.append(op)

    def root(self, value) -> Value:
        """The value that owns the memory in this mode."""
        while value in self.same or value.base is not None:
            value = self.same.get(value) or value.base
        return value

    def logits(self, head) -> Value:
        """What the loss of a head reads: the input of its own softmax or sigmoid, else the output."""
        last = self.graph.last_activation(head.output)
        if last is None or last.activation != head.loss.fuses:
            return head.output
        return self.graph.reshape(last.inputs[0], head.output.shape)

    def prune(self, keep):
        """Leaves out ops whose output nobody reads."""
        wanted = {self.root(value) for value in keep}
        kept = []
        for node in reversed(self.nodes):
            if node.output is None or self.root(node.output) in wanted:
                kept.append(node)
                wanted.update(self.root(value) for value in node.inputs)
        self.nodes = kept[::-1]

    def readers(self) -> dict[Value, list[OpRecord]]:
        """Who reads each value, once for each time."""
        readers: dict[Value, list[OpRecord]] = {}
        for node in self.nodes:
            for value in node.inputs:
                readers.setdefault(self.root(value), []).append(node)
        return readers

    def pool_before_relu(self, keep):
        """Takes a relu that only max pooling reads into the pooling, since max(relu(x)) = relu(max(x)).

        The gradient is the same, too: relu hands it on to the largest value where that is above 0. A pass over the
        larger array is gone, forward and back.
        """
        readers, shown = self.readers(), {self.root(value) for value in keep}
        joined: dict[OpRecord, OpRecord | None] = {}
        for node in self.nodes:
            if node.activation != "relu" or node.kind != "activation" or self.root(node.output) in shown:
                continue
            pool, *others = readers[self.root(node.output)]
            if pool.kind == "max_pool" and not others:
                joined[node] = None
                joined[pool] = pool.changed(attrs={**pool.attrs, "rectify": True})
        for node in (node for node, replaced in joined.items() if replaced is None):
            self.same[self.root(node.output)] = node.inputs[0]
        self._replace(joined)

    def _replace(self, joined):
        """Puts other ops in the place of some; None leaves one out."""
        self.nodes = [joined.get(node, node) for node in self.nodes if joined.get(node, node) is not None]

    def fuse(self):
        """Joins an activation to the op that feeds it and nobody else, where that op can apply it."""
        readers = self.readers()
        producer = {self.root(node.output): node for node in self.nodes if self.ops[node.kind].fuses_activation}
        joined: dict[OpRecord, OpRecord | None] = {}
        for node in self.nodes:
            if node.kind != "activation":
                continue
            source = self.root(node.inputs[0])
            maker = producer.get(source)
            from_output = self.activations[node.attrs["activation"]][1]
            if maker is None or len(readers[source]) != 1 or (self.training and not from_output):
                continue
            output = Value(maker.output.shape, base=node.output)  # a Reshape may stand between the two
            joined[maker] = maker.changed(output=output, attrs={**maker.attrs, **node.attrs})
            joined[node] = None
        self._replace(joined)

    def open_windows(self):
        """Lets feeds leave the batch in the caller's array where all who read it can take it from there."""
        readers = self.readers()
        self.windows = {
            self.root(node.output): node
            for node in self.nodes
            if node.kind == "feed" and node.where == "input"
            and all(self.ops[reader.kind].reads_feed for reader in readers.get(node.output, ()))
        }  # fmt: skip
        for node in self.windows.values():
            node.attrs = {**node.attrs, "window": True}

    def has_backward(self, node) -> bool:
        return node.output is not None and self.root(node.output) in self.differentiated

    def _differentiate(self):
        """Finds the values that have gradients, and who adds to them instead of storing."""
        depends = set()  # on a parameter
        for node in self.nodes:
            trained = any(param not in self.frozen for param in node.params.values())
            if node.output is not None and (trained or any(self.root(v) in depends for v in node.inputs)):
                depends.add(self.root(node.output))
        reaches = set()  # a loss; a softmax that is only recorded does not, and nobody writes its gradient
        for node in reversed(self.nodes):
            leads = node.kind != "record" if node.output is None else self.root(node.output) in reaches
            if leads:
                reaches.update(self.root(value) for value in node.inputs)
        self.differentiated = depends & reaches
        self.adds: dict[tuple, bool] = {}
        written = set()
        losses = [node for node in self.nodes if node.output is None]
        for node in [*losses, *(node for node in reversed(self.nodes) if self.has_backward(node))]:
            if node.kind == "record":
                continue
            for i, value in enumerate(node.inputs):
                root = self.root(value)
                if root in self.differentiated:
                    self.adds[node, i] = root in written
                    written.add(root)
            for role, param in node.params.items():
                self.adds[node, role] = param in written
                written.add(param)

    def _lifetimes(self, training):
        """(first use, last use) of every buffer: (root, "data") and (root, "gradient")."""
        life: dict[tuple, list[int]] = {}

        def use(buffer, time):
            span = life.setdefault(buffer, [time, time])
            span[0], span[1] = min(span[0], time), max(span[1], time)

        end = 2 * len(self.nodes)
        for time, node in enumerate(self.nodes):
            values = [self.root(v) for v in node.inputs]
            output = None if node.output is None else self.root(node.output)
            for value in values:
                use((value, "data"), time)
            if output is not None:
                use((output, "data"), time)
            if not training:
                continue
            if node.inputs and output is not None:  # to the end of the forward pass, to say where a loss went wrong
                use((output, "data"), len(self.nodes))
            is_loss = output is None and node.kind != "record"
            if not is_loss and not self.has_backward(node):
                continue
            back = time if is_loss else end - time  # a loss stores its gradient in the forward pass
            needs = self.ops[node.kind].needs
            for value in values:
                if value in self.differentiated:
                    use((value, "gradient"), back)
                if "x" in needs and not is_loss:
                    use((value, "data"), back)
            if output is not None:
                use((output, "gradient"), back)
                if "y" in needs:
                    use((output, "data"), back)
        return life

    def lay_out(self, batch, dtype, training, outside) -> _Layout:
        """Where every buffer of a batch lies; `outside` are values that the caller uses."""
        self.differentiated, self.adds = set(), {}
        if training:
            self._differentiate()
        life = self._lifetimes(training)
        for value in outside:
            life.setdefault((self.root(value), "data"), [0, 0])
        return _Layout(life, batch, dtype)

    def array(self, arrays, value, what="data"):
        """The array of a value, under the value's own shape; None where it has none."""
        found = arrays.get((self.root(value), what))
        return None if found is None else found.reshape(found.shape[0], *value.shape)

    def fused_updates(self, rule) -> dict:
        """{parameter: its update} for the large ones whose gradient one op makes and only the rule reads.

        A program that runs Python code has none: its backward may raise, and then nothing must have changed.
        """
        makers: dict = {}
        for node in self.nodes:
            for role, param in node.params.items():
                makers.setdefault(param, []).append((node, role))
        if any(node.kind.startswith("python") for node in self.nodes):
            return {}
        return {
            param: rule.over(param.offset, param.offset + param.size, param.factor)
            for param, [(node, role), *others] in makers.items()
            if not others and role in self.ops[node.kind].updates and self.has_backward(node)
            and param.size >= FUSED_UPDATE and not param.l1 and not param.l2 and param not in rule.frozen
        }  # fmt: skip

    def bind(self, memory, arrays, training, fused, grads=None) -> dict:
        """The engine's ops, by node; `grads`: in the place of the network's own vector."""
        grads = memory.grads if grads is None else grads
        ops = {}
        for node in self.nodes:
            b = Binding()
            b.x = [self.array(arrays, v) for v in node.inputs]
            b.dx = [
                self.array(arrays, value, "gradient") if (node, i) in self.adds else None
                for i, value in enumerate(node.inputs)
            ]
            b.y = b.dy = None
            if node.output is not None:
                b.y, b.dy = self.array(arrays, node.output), self.array(arrays, node.output, "gradient")
            b.adds = [self.adds.get((node, i), False) for i in range(len(node.inputs))]
            b.params = {role: param.view(memory.params) for role, param in node.params.items()}
            b.grads = {role: param.view(grads) if training else None for role, param in node.params.items()}
            b.param_adds = {role: self.adds.get((node, role), False) for role in node.params}
            b.updates = {role: fused[param] for role, param in node.params.items() if param in fused}
            b.feeds = [ops.get(self.windows.get(self.root(value))) for value in node.inputs]
            b.state = {role: param.view(memory.state) for role, param in node.state.items()}
            b.attrs, b.number = node.attrs, node.number
            ops[node] = self.ops[node.kind](b)
        return ops


class _Layout:
    """A plan of memory for batches of so many rows: `arrays()` makes an arena of it."""

    def __init__(self, life, rows, dtype):
        self.life, self.rows, self.dtype = life, rows, np.dtype(dtype)
        self.buffers = list(life)
        self.item = {"real": self.dtype, "ids": np.dtype(np.int32)}
        self.sizes = [rows * root.size * self.item[root.kind].itemsize for root, _ in self.buffers]
        records = [(size, *life[buffer]) for size, buffer in zip(self.sizes, self.buffers, strict=True)]
        self.offsets, self.total = _memory.plan(records)

    def of(self, rows) -> _Layout:
        """The same for another number of rows."""
        return _Layout(self.life, rows, self.dtype)

    def arrays(self) -> dict:
        """{buffer: array (rows, *shape)}; a buffer is (root, "data") or (root, "gradient")."""
        arena = aligned_bytes(self.total)
        return {
            buffer: arena[offset : offset + size].view(self.item[buffer[0].kind]).reshape(self.rows, *buffer[0].shape)
            for buffer, offset, size in zip(self.buffers, self.offsets, self.sizes, strict=True)
        }


def _ensure_room(size: int):
    """MemoryError for more than the machine has: the system might grant it and end the process at the first touch."""
    if size > _MEMORY:
        raise MemoryError(f"{size / 2**30:.1f} GiB are needed at once, and this machine has {_MEMORY / 2**30:.1f} GiB")


def aligned_bytes(size: int) -> np.ndarray:
    """`size` bytes that start at a multiple of the alignment."""
    _ensure_room(size)
    raw = np.empty(size + _memory.ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _memory.ALIGNMENT
    return raw[start : start + size]


def aligned_vector(size: int, dtype) -> np.ndarray:
    """A zeroed vector that starts at a multiple of the alignment."""
    vector = aligned_bytes(size * np.dtype(dtype).itemsize).view(dtype)
    vector[:] = 0
    return vector


_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63


class Memory:
    """The flat vectors of a network: parameters, gradients, the optimizer's slots of the same layout; and state."""

    __slots__ = ("graph", "dtype", "engine", "params", "slots", "state", "_grads", "_totals", "_lock")

    def __init__(self, graph, dtype):
        self.graph, self.dtype = graph, dtype
        self.engine = kernels.engine_of(dtype)
        _ensure_room(3 * graph.size * np.dtype(dtype).itemsize)  # parameters, gradients, at least one slot
        self.params = aligned_vector(graph.size, dtype)
        self._grads = None
        self._lock = Lock()
        self.slots: dict[str, np.ndarray] = {}
        self.state = aligned_vector(graph.state_size, dtype)
        self._totals = None

    def totals(self):
        """Room for the gradients of several batches; made when first needed."""
        if self._totals is None:
            self._totals = aligned_vector(self.graph.size, self.dtype)
        return self._totals

    @property
    def grads(self):
        """Made when first needed: a network that only predicts has none."""
        with self._lock:
            if self._grads is None:
                self._grads = aligned_vector(self.params.size, self.dtype)
        return self._grads

    def initialize(self, seed):
        """Draws every parameter from its initializer; parameter i has a random stream of its own."""
        for i, param in enumerate(self.graph.params.values()):
            key = seed & (2**64 - 1), STREAM_INIT << 60 | i
            param.view(self.params)[...] = param.init(param.shape, self.dtype, key)
        for param in self.graph.states.values():
            param.view(self.state)[...] = param.init

    def vector(self) -> np.ndarray:
        """A vector of the parameters' layout, of zeros."""
        return aligned_vector(self.params.size, self.dtype)

    def named(self) -> dict:
        """{name: view} of every parameter and all state."""
        return {
            **{name: param.view(self.params) for name, param in self.graph.params.items()},
            **{name: param.view(self.state) for name, param in self.graph.states.items()},
        }

    def penalties(self, training):
        """Ops for the penalties of the parameters that have one."""
        penalty = self.engine.OPS["penalty"]
        return [
            penalty(param.flat(self.params), param.flat(self.grads) if training else None, param.l1, param.l2)
            for param in self.graph.params.values()
            if param.l1 or param.l2
        ]

    def constraints(self, frozen):
        """Ops for the parameters with a largest norm, but for those that do not move."""
        return [
            self.engine.OPS["max_norm"](param.view(self.params), param.max_norm)
            for param in self.graph.params.values()
            if param.max_norm is not None and param not in frozen
        ]


class Rule:
    """An optimizer over the flat vectors of a network, whose slots it makes where they are missing.

    Parameters whose layers have a learning rate factor of 0, or are not trainable, are `frozen`.
    """

    def __init__(self, memory, optimizer, keeps_gradients):
        self.memory, self.optimizer = memory, optimizer
        self.frozen = {param for param in memory.graph.params.values() if not param.factor}
        self.slots = memory.engine.OPTIMIZERS[optimizer.update][1]
        self.fuses = not keeps_gradients and optimizer.clip_norm is None and optimizer.clip_value is None
        for slot in self.slots:
            if slot not in memory.slots:
                memory.slots[slot] = aligned_vector(memory.params.size, memory.dtype)
                for param in memory.graph.params.values():
                    param.flat(memory.slots[slot])[:] = optimizer.first_value(slot, param.factor)

    def over(self, begin, end, factor):
        """The rule's op for elements begin, ..., end - 1, with that factor of the learning rate."""
        params, grads, *slots = (
            vector[begin:end]
            for vector in (self.memory.params, self.memory.grads, *(self.memory.slots[slot] for slot in self.slots))
        )
        settings = self.optimizer.settings()
        return self.memory.engine.OPS["update"](self.optimizer.update, params, grads, slots, settings, factor)

    def update(self, fused):
        """Ops of the update phase: clipping, the rule for all but the fused and frozen parameters, and constraints."""
        ops, optimizer, memory = self.memory.engine.OPS, self.optimizer, self.memory
        freezes = [ops["freeze"](param.flat(memory.grads)) for param in self.frozen]
        clips = [
            ops[kind](memory.grads, limit)
            for kind, limit in (("clip_norm", optimizer.clip_norm), ("clip_value", optimizer.clip_value))
            if limit is not None
        ]
        rules = [self.over(*stretch) for stretch in self._stretches(fused)]
        return [*freezes, *clips, *rules, *memory.constraints(self.frozen)]

    def _stretches(self, fused):
        """(begin, end, factor) of neighbours with the same factor, without the parameters that have no rule here."""
        found = []
        for param in sorted(self.memory.graph.params.values(), key=lambda param: param.offset):
            begin, end = param.offset, param.offset + param.size
            if param in fused or param in self.frozen:
                continue
            if found and found[-1][1:] == (begin, param.factor):
                begin = found.pop()[0]
            found.append((begin, end, param.factor))
        return found


STREAM_INIT = 1  # a namespace among the random streams of one seed; the engine's op.pxi has the others
