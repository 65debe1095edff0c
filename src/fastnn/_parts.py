"""Training steps in parts: how many a batch is cut into, and the ops of each.

Each part of the samples goes forward and backward at once, while what it left lies in a core's own cache, and each core
takes parts of its own; then the gradients are added, in order. It costs a gradient vector for each part, so networks
whose parameters outweigh what a batch leaves in memory are trained as a whole, with each product shared out. The number
of parts follows from the sizes alone, since sums depend on it; the threads do not.
"""

from ._core import binding

MOST = 8
BYTES = 512 * 1024  # of a part at least: half of a core's second-level cache, so that what is cut away was worth it
# Two parts already of fewer bytes, one for each of two cores, where op by op most kernels are too short to be shared
# out. On two threads 64-100-10 with 200 rows (227 KB) is 1.2 to 1.4 times as fast, 20-50-1 with 200 (98 KB) 1.1 to 1.3,
# and an RNN of 64 units 1.4; on one they take 0 to 5 % longer. Gradients and new parameters cross between the cores,
# for some 0.7 ns a byte: where they are a fifth of the size, two threads gain nothing.
PAIR_BYTES = 96 * 1024
PAIR_SHARE = 6  # times the parameters, at least


def count(plan, layout, memory) -> int:
    """A power of two; 1 where parts do not pay.

    An op's attribute `kept` is how many elements of a sample it holds for its backward pass beside the planned memory.
    """
    kinds = [plan.ops[node.kind] for node in plan.nodes]
    if any(kind.whole_batch for kind in kinds):
        return 1
    own = sum(node.attrs.get("kept", 0) for node in plan.nodes) * layout.rows * memory.dtype.itemsize
    size = layout.total + own
    rows = max(kind.least_rows for kind in kinds)
    most = min(MOST, layout.rows // rows, size // BYTES)
    parts, vector = 1, memory.params.nbytes
    while 2 * parts <= most and 4 * parts * vector <= size:
        parts *= 2
    pair = layout.rows >= 2 * rows and size >= max(PAIR_BYTES, PAIR_SHARE * vector)
    return max(parts, 2 if pair else 1)


class Parts:
    """The ops of a plan for each part, and the op that runs them."""

    def __init__(self, plan, layout, memory, parts):
        rows = -(-layout.rows // parts)
        lanes = min(parts, binding.cpu_count())
        self.lanes = [layout.of(rows).arrays() for _ in range(lanes)]
        vectors = [memory.grads, *(memory.vector() for _ in range(parts - 1))]
        self.parts = [
            plan.bind(memory, self.lanes[k % lanes], {}, vectors[k])
            for k in range(parts)
        ]  # fmt: skip
        backward = [node for node in reversed(plan.nodes) if plan.has_backward(node)]
        self.op = memory.engine.OPS["parts"](
            [[*ops.values()] for ops in self.parts], [[ops[node] for node in backward] for ops in self.parts],
            vectors, rows, lanes,
        )  # fmt: skip

    def end(self, node):
        """A feed or record of all parts; None for one that nobody reads."""
        return _Ends([ops[node] for ops in self.parts]) if node in self.parts[0] else None

    def current(self, _):
        """The arrays of the first part whose loss is not finite, and its rows."""
        part, rows = self.op.replay()
        return self.lanes[part % len(self.lanes)], rows


class _Ends:
    """The same feed or record in all parts."""

    def __init__(self, ops):
        self.ops = ops

    def set_source(self, array):
        for op in self.ops:
            op.set_source(array)

    def set_target(self, array):
        for op in self.ops:
            op.set_target(array)
