"""What prediction takes into the op before it: batch normalization and max pooling.

Batch normalization in prediction is an affine map, y = scale x + shift, by the running statistics.

Where a dense or conv op makes x for the normalization alone, the map is taken into that op's weight and bias, which a
"fold" op makes anew for each batch: so the network's parameters stay its own, to be read and written at any time. That
costs a pass over the weight; where a batch of the output is smaller than that, and after any other op, a "scale_shift"
op applies the map, in place where nobody else reads x. Where gradients go back through prediction, or in training
through a frozen layer, nothing is folded: a "running_norm" op knows the way. An activation after the normalization has
been joined to it by now.

Max pooling goes into the convolution that it alone reads, which then stores the largest values and never the larger
map. Backward needs that map, to find where they came from.
"""

import numpy as np

from ._graph import OpRecord, Value


class Derived:
    """What an op of one program makes and another takes as its parameter."""

    __slots__ = ("name", "array")

    def __init__(self, name, shape, dtype):
        self.name, self.array = name, np.empty(shape, dtype)

    @property
    def shape(self):
        return self.array.shape

    @property
    def size(self) -> int:
        return self.array.size

    def view(self, vector):
        """The array; it is no part of the network's vector."""
        return self.array


def fold_norms(plan, batch, dtype):
    """Replaces the normalizations of a prediction plan for batches of `batch` rows."""
    readers = plan.readers()
    shown = {plan.root(value) for value in plan.graph.outputs}
    makers: dict[Value, int] = {}  # where in `nodes` the last op stands that wrote a value
    nodes: list[OpRecord] = []
    for node in plan.nodes:
        if node.kind == "batch_norm":
            source = plan.root(node.inputs[0])
            alone = len(readers[source]) == 1 and source not in shown and source in makers
            if alone and _folds(plan, nodes[makers[source]], node, batch):
                at = makers[source]
                nodes[at : at + 1] = _folded(nodes[at], node, dtype)
                makers = {value: i + (i >= at) for value, i in makers.items()}
                makers[plan.root(node.output)] = at + 1
                continue
            node = _applied(plan, node, alone)
        nodes.append(node)
        if node.output is not None and not node.kind.startswith("feed"):
            makers[plan.root(node.output)] = len(nodes) - 1
    plan.nodes = nodes


def fold_pools(plan):
    """Takes max pooling into the convolutions of a prediction plan where those can do it as they store."""
    readers = plan.readers()
    shown = {plan.root(value) for value in plan.graph.outputs}
    convs = {plan.root(node.output): node for node in plan.nodes if node.kind == "conv"}
    joined: dict[OpRecord, OpRecord | None] = {}
    for pool in plan.nodes:
        source = plan.root(pool.inputs[0]) if pool.kind == "max_pool" else None
        if source not in convs or len(readers[source]) != 1 or source in shown:
            continue
        both = _pooled(plan, convs[source], pool)
        if both is not None:
            joined[convs[source]], joined[pool] = both, None
    plan.replace(joined)


def _pooled(plan, conv, pool) -> OpRecord | None:
    """The convolution that pools, too; None where windows overlap or are cut off, or where it cannot."""
    outputs, kernel = conv.output.shape, pool.attrs["kernel"]
    if pool.inputs[0].shape != outputs or kernel != pool.attrs["stride"] or any(pool.attrs["before"]):
        return None
    sizes = zip(outputs[:-1], pool.output.shape[:-1], kernel[1 - len(outputs) :], strict=True)
    if any(windows * size > n for n, windows, size in sizes):
        return None
    attrs = {**conv.attrs, "pool": kernel, "unpooled": outputs}
    if pool.attrs.get("rectify"):
        if attrs.get("activation", "linear") not in ("linear", "relu"):
            return None
        attrs["activation"] = "relu"
    if not plan.ops["conv"].pools(conv.inputs[0].shape, pool.output.shape, attrs):
        return None
    return conv.changed(output=pool.output, attrs=attrs)


def keep_norms(plan, which):
    """Makes those that `which(node)` picks normalize by the running statistics, where a gradient goes back through."""
    plan.nodes = [
        node.changed(kind="running_norm") if node.kind == "batch_norm" and which(node) else node for node in plan.nodes
    ]


def _folds(plan, maker, norm, batch) -> bool:
    channels = norm.output.shape[-1]
    return (
        plan.ops[maker.kind].folds_scale
        and maker.attrs.get("activation", "linear") == "linear"
        and maker.output.shape[-1] == channels
        and maker.params["weight"].size <= batch * maker.output.size
    )


def _folded(maker, norm, dtype) -> list[OpRecord]:
    """The op that makes the weight and the bias, and `maker` with these, the normalization's activation and output."""
    weight = maker.params["weight"]
    made = {
        "weight": Derived(weight.name, weight.shape, dtype),
        "bias": Derived(f"{norm.where} bias", norm.output.shape[-1:], dtype),
    }
    inner = {f"inner_{role}": param for role, param in maker.params.items()}
    attrs = {"epsilon": norm.attrs["epsilon"], "folded": {role: derived.array for role, derived in made.items()}}
    fold = OpRecord("fold", (), None, {**norm.params, **inner}, norm.state, attrs, norm.where, norm.number)
    activation = {key: norm.attrs[key] for key in ("activation", "alpha") if key in norm.attrs}
    output = Value(maker.output.shape, base=norm.output)
    record = maker.changed(output=output, params=made, attrs={**maker.attrs, **activation})
    return [fold, record]


def _applied(plan, norm, in_place) -> OpRecord:
    """The op that applies the map to the normalization's input."""
    output = norm.output
    if in_place:
        plan.same[plan.root(output)] = output = norm.inputs[0]
    return norm.changed(kind="scale_shift", output=output)
