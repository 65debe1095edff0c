"""Layers that learn from data before the first step: what they look at, in which order, and how that is undone.

A layer that stands behind others learns from what they make of the data, as in prediction: the part of the network
before it runs over the samples, in chunks, so that data may be larger than memory. Layers whose output's shape follows
from the data interrupt the planning (`Unlearned`); they learn from the part that was planned, and it starts again.
"""

import numpy as np

from ._compile import compile_program
from ._graph import Unlearned
from ._samples import Inputs
from ._vectors import Memory
from .errors import NotFittedError, ShapeError

CHUNK = 1 << 16  # elements that are looked at at once: they stay in the second-level cache, in float64 too
BATCH = 256  # rows of a program before a layer


def planned(structure, shapes, inputs, dtype, seed):
    """The graph for inputs of these shapes, and what had to be learned before it could be planned, {name: array}.

    inputs: the samples to learn from, whose sequences may be longer or shorter; None where there are none;
    Unlearned is then raised if any are needed.
    """
    learned = {}
    while True:
        need = _attempt(structure, shapes, (), learned)
        if not isinstance(need, Unlearned):
            return need, learned
        if inputs is None:
            raise need
        need = _attempt(structure, inputs.shapes, inputs.padded, learned)
        memory = Memory(need.graph, dtype)
        memory.initialize(seed)
        write(memory, learned)
        arrays = inputs.fed(memory.dtype)
        for op in _waiting(need.graph, memory):
            found = _learn_op(op, need.graph, memory, arrays)
            write(memory, found)
            learned.update(found)
        found = _learn(need.learner(), need.graph, need.value, memory, arrays)
        learned.update({f"{need.path}.{role}": array for role, array in found.items()})


def _attempt(structure, shapes, padded, learned):
    """The graph, or the Unlearned that interrupted its planning."""
    try:
        return structure.plan(shapes, padded, learned={name: array.shape for name, array in learned.items()})
    except Unlearned as interruption:
        return interruption


def write(memory, learned):
    """Puts what was learned into the state of a network."""
    for name, array in learned.items():
        if name in memory.graph.states:
            param = memory.graph.states[name]
            if param.shape != array.shape:
                raise ShapeError(f"{name}: the network has {param.size}, and these samples have {array.size}")
            param.view(memory.state)[...] = array


def part(inputs, share):
    """The inputs of the samples that a fit trains on if it keeps that share, from the end, for validation."""
    count = inputs.n - int(inputs.n * share)
    lengths = {i: one[:count] for i, one in inputs.lengths.items()}
    return Inputs([array[:count] for array in inputs.arrays], lengths)


def adapt(memory, graph, arrays, *, anew=False):
    """Has the layers learn that have not yet, or all; returns the state before, None where nothing was to be learned.

    graph: for these arrays, its inputs; it shares the state in `memory`. Where a learner raises, that is as it was.
    """
    ops = _learners(graph) if anew else _waiting(graph, memory)
    if not ops:
        return None
    before = memory.state.copy()
    try:
        for op in ops:
            write(memory, _learn_op(op, graph, memory, arrays))
    except BaseException:
        memory.state[:] = before
        raise
    return before


def expect_adapted(memory, graph):
    """Raises NotFittedError where a layer has learned nothing yet."""
    for op in _waiting(graph, memory):
        raise NotFittedError(f"{op.where} has learned nothing from data yet: call fit with arrays, or net.adapt(X)")


def _learners(graph):
    """The ops that learn, in the order in which they run, one of each layer: a shared one goes by its first call."""
    found = {}
    for op in graph.ops:
        if op.attrs.get("learner"):
            found.setdefault(next(iter(op.state.values())), op)
    return list(found.values())


def _waiting(graph, memory):
    """Those that have not learned yet."""
    return [
        op for op in _learners(graph)
        if not op.attrs["learner"].func.is_learned({role: p.view(memory.state) for role, p in op.state.items()})
    ]  # fmt: skip


def _learn_op(op, graph, memory, arrays):
    found = _learn(op.attrs["learner"](), graph, op.inputs[0], memory, arrays)
    return {op.state[role].name: array for role, array in found.items()}


def _learn(learner, graph, value, memory, arrays):
    """What a learner finds in a value of the graph, {role: array}."""
    n, mask = len(arrays[0]), None if value.mask is None else arrays[graph.inputs.index(value.mask.root)]
    step = max(1, CHUNK // value.size)
    made = _Maker(graph, value, memory, arrays, min(step, BATCH))
    for first in range(0, n, step):
        rows = made.rows(first, min(step, n - first))
        if mask is not None:
            rows = rows[mask[first : first + step] != 0]
        learner.add(rows.reshape(-1, value.shape[-1]))
    return learner.result(memory.dtype)


class _Maker:
    """A value of the graph for any samples: an input, or what a program makes of the inputs."""

    def __init__(self, graph, value, memory, arrays, batch):
        self.value, self.arrays = value, arrays
        self.source = next((a for v, a in zip(graph.inputs, arrays, strict=True) if v is value.root), None)
        if self.source is None:
            from copy import copy  # costs a start half a millisecond, and few networks come here

            before = copy(graph)
            before.outputs = [value]
            self.compiled = compile_program(before, memory, "evaluate", batch, record=True)
            self.made = np.empty((max(1, CHUNK // value.size), *value.shape), dtype=memory.dtype)

    def rows(self, first, count):
        """The value for samples first, ..., first + count - 1."""
        if self.source is not None:
            return self.source[first : first + count].reshape(count, *self.value.shape)
        program, done = self.compiled.program, 0
        self.compiled.feed([array[first : first + count] for array in self.arrays])
        self.compiled.record([self.made[:count]])
        program.set_rows(count, False)
        while done < program.batches:
            done = program.evaluate(done, 0.05)
        return self.made[:count]
