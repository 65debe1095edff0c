"""Which ops a mode runs, in which order, and where their values lie.

Rules that hold here and nowhere else: a softmax or sigmoid before its own loss is left out and the loss works on
logits; relu before max pooling goes into the pooling; an activation that only one dense or conv op feeds is fused into
it, in training where its derivative follows from the output; the first writer of a gradient stores and later ones add;
the optimizer's rule for a large weight is fused into the op that makes its gradient, where nothing else has to see that
gradient.
"""

from __future__ import annotations

import numpy as np

from . import _memory
from ._graph import OpRecord, Value
from ._vectors import aligned_bytes

FUSED_UPDATE = 16384  # elements of a weight: smaller ones are in the nearest caches, and one pass over all costs less


class Binding:
    """What an op is made from: its arrays and attributes; `adds` and `param_adds`: where it must add to a gradient.

    state: arrays that are no parameters, by role; updates: ops of the optimizer's rule that it applies itself, by role;
    feeds: the feed in whose array an input lies.
    """

    __slots__ = (
        "x", "dx", "y", "dy", "adds", "params", "grads", "param_adds", "state", "updates", "feeds", "attrs", "number",
    )  # fmt: skip


class Plan:
    """The ops of one mode, in the order of the forward pass, and what follows from that order.

    frozen: parameters whose gradients nobody needs; toward: inputs whose gradients somebody does; sampled: whether
    prediction draws random samples of the network.
    """

    def __init__(self, graph, engine, training, differentiates, frozen=(), toward=(), sampled=False):
        self.graph = graph
        self.ops = engine.OPS
        self.activations = engine.ACTIVATIONS
        self.differentiates, self.frozen, self.toward = differentiates, frozen, toward
        self.same: dict[Value, Value] = {}  # values that are another value in this mode
        self.windows: dict[Value, OpRecord] = {}  # feeds by value, of those that copy nothing
        self.nodes: list[OpRecord] = []
        for op in graph.ops:
            if sampled and self.ops[op.kind].sampled:
                self.nodes.append(op.changed(kind=self.ops[op.kind].sampled))
            elif not training and self.ops[op.kind].identity_in_predict:
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
        self.replace(joined)

    def replace(self, joined):
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
            if maker is None or len(readers[source]) != 1 or (self.differentiates and not from_output):
                continue
            output = Value(maker.output.shape, base=node.output)  # a Reshape may stand between the two
            joined[maker] = maker.changed(output=output, attrs={**maker.attrs, **node.attrs})
            joined[node] = None
        self.replace(joined)

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
        depends = {self.root(value) for value in self.toward}  # on a parameter, or on these
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

    def _lifetimes(self):
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
            if not self.differentiates:
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
        for value in self.toward:  # read when all is done
            if self.root(value) in self.differentiated:
                use((self.root(value), "gradient"), end)
        return life

    def lay_out(self, batch, dtype, outside) -> Layout:
        """Where every buffer of a batch lies; `outside` are values that the caller uses."""
        self.differentiated, self.adds = set(), {}
        if self.differentiates:
            self._differentiate()
        life = self._lifetimes()
        for value in outside:
            life.setdefault((self.root(value), "data"), [0, 0])
        return Layout(life, batch, dtype)

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
            param: rule.over(param.offset, param.offset + param.size, param.factor, fused=True)
            for param, [(node, role), *others] in makers.items()
            if not others and role in self.ops[node.kind].updates and self.has_backward(node)
            and param.size >= FUSED_UPDATE and not param.l1 and not param.l2 and param not in rule.frozen
        }  # fmt: skip

    def bind(self, memory, arrays, fused, grads) -> dict:
        """The engine's ops, by node; `grads`: the vector of their parameters' gradients, None where there are none."""
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
            b.grads = {role: None if grads is None else param.view(grads) for role, param in node.params.items()}
            b.param_adds = {role: self.adds.get((node, role), False) for role in node.params}
            b.updates = {role: fused[param] for role, param in node.params.items() if param in fused}
            b.feeds = [ops.get(self.windows.get(self.root(value))) for value in node.inputs]
            b.state = {role: param.view(memory.state) for role, param in node.state.items()}
            b.attrs, b.number = node.attrs, node.number
            ops[node] = self.ops[node.kind](b)
        return ops


class Layout:
    """A plan of memory for batches of so many rows: `arrays()` makes an arena of it."""

    def __init__(self, life, rows, dtype):
        self.life, self.rows, self.dtype = life, rows, np.dtype(dtype)
        self.buffers = list(life)
        self.item = {"real": self.dtype, "ids": np.dtype(np.int32)}
        self.sizes = [rows * root.size * self.item[root.kind].itemsize for root, _ in self.buffers]
        records = [(size, *life[buffer]) for size, buffer in zip(self.sizes, self.buffers, strict=True)]
        self.offsets, self.total = _memory.plan(records)

    def of(self, rows) -> Layout:
        """The same for another number of rows."""
        return Layout(self.life, rows, self.dtype)

    def arrays(self) -> dict:
        """{buffer: array (rows, *shape)}; a buffer is (root, "data") or (root, "gradient")."""
        arena = aligned_bytes(self.total)
        return {
            buffer: arena[offset : offset + size].view(self.item[buffer[0].kind]).reshape(self.rows, *buffer[0].shape)
            for buffer, offset, size in zip(self.buffers, self.offsets, self.sizes, strict=True)
        }
