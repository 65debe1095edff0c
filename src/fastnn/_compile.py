"""From a graph to a Program: the modes, and the ends where data comes in and results go out.

Modes
    "train"      feeds, forward, loss, backward, update; outputs recorded where metrics ask for them
    "gradient"   the same without an update
    "jacobian"   the same for residuals one by one
    "vjp"        prediction with a way back: from cotangents of outputs, or losses, to gradients in a vector of its own
    "evaluate"   prediction plus loss, outputs recorded where metrics ask for them
    "predict"    prediction, outputs recorded
    "sample"     prediction with dropout, outputs recorded
    "predictor"  the bare forward pass between an input buffer and an output buffer
Training and prediction differ in their ops (dropout is absent from prediction), never by a flag in an op. Gradients go
to the parameters, and to the inputs that are asked for.
"""

from __future__ import annotations

from . import _fold, _parts
from ._graph import OpRecord, Value
from ._plan import Plan

TRAINS = ("train", "gradient", "jacobian")  # modes in which the network is the one that is trained
PRECISIONS = {"highest": 0, "high": 1, "medium": 2}


class Head:
    """One output with its loss: which value the loss reads, and what its target looks like."""

    __slots__ = ("loss", "output", "target", "share")

    def __init__(self, loss, output, target, share=1.0):
        self.loss, self.output, self.target, self.share = loss, output, target, share


class Compiled:
    """A Program with the ends that the caller feeds and reads."""

    __slots__ = ("program", "inputs", "targets", "weights", "records", "grads", "_plan", "_bound")

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

    def array(self, value, what="data"):
        """The memory of a value of the graph in this program, or of its gradient; None where it has none."""
        return self._plan.array(self._bound.arrays, value, what)

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
    accumulate=1, toward=(),
):  # fmt: skip
    """A Compiled for batches of at most `batch` rows.

    memory: the network's Memory (parameters and gradients); rule: the optimizer's Rule, for mode "train"; accumulate:
    how many batches' gradients make one; record: True for the outputs, or the values that are recorded; toward: the
    inputs whose gradients are made and kept.
    """
    training = mode in TRAINS
    frozen = () if rule is None else rule.frozen
    plan = Plan(graph, memory.engine, training, training or mode == "vjp", frozen, toward, sampled=mode == "sample")
    ends = _add_ends(plan, mode, heads, weighted, record)
    plan.prune(keep=graph.outputs if mode == "predictor" else ())
    plan.pool_before_relu(keep=graph.outputs)
    plan.fuse()
    if plan.differentiates:
        _fold.keep_norms(plan, lambda node: not (training and node.is_trained))
    else:
        _fold.fold_norms(plan, batch, memory.dtype)
        _fold.fold_pools(plan)
        plan.open_windows()
    outside = graph.inputs + graph.outputs if mode == "predictor" else ()
    layout = plan.lay_out(batch, memory.dtype, outside)
    count = _parts.count(plan, layout, memory) if mode in ("train", "gradient") and not toward else 1
    grads = memory.vector() if mode == "vjp" else memory.grads if training else None
    if count > 1:
        bound = _parts.Parts(plan, layout, memory, count)
        forward, backward, fused, followers = [bound.op], [], {}, ()
    else:
        fused = plan.fused_updates(rule) if rule is not None and rule.fuses else {}
        bound = _Whole(plan, layout.arrays(), memory, fused, grads)
        forward, backward, followers = bound.forward, bound.backward, bound.followers

    penalties = memory.penalties(training) if heads and mode not in ("jacobian", "vjp") else []
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
    done.grads, done._plan, done._bound = grads, plan, bound
    return done


class _Whole:
    """The ops of a plan, bound to one set of arrays that takes a whole batch."""

    def __init__(self, plan, arrays, memory, fused, grads):
        self.plan, self.arrays = plan, arrays
        self.ops = plan.bind(memory, arrays, fused, grads)
        self.forward = [*self.ops.values()]
        self.backward = [self.ops[node] for node in reversed(plan.nodes) if plan.has_backward(node)]
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
    checks = mode == "predict"
    feed = {"real": "feed", "ids": "feed_ids"}
    inputs = [
        OpRecord(feed[v.kind], (), v, attrs={"checks": checks, "missing": v.missing}, where="input")
        for v in graph.inputs
    ]
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
    outputs = graph.outputs if record is True or mode in ("predict", "sample") else ()
    recorded = record if isinstance(record, tuple) else outputs
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
