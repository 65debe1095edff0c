"""What a prediction is made of: the outputs of its layers, and how its outputs depend on inputs and parameters.

All of it is the engine's own work, on programs of prediction: dropout is absent, running statistics are constants, so a
sample's result does not depend on the others. Jacobians go back from one output at a time ("vjp" programs); a gradient
of the loss is that of each sample's own.
"""

from __future__ import annotations

import numpy as np

from . import _figures, _predict, _samples
from ._problem import BLOCK, Residuals
from ._threads import thread_count
from ._vectors import ensure_room
from .errors import unknown_name
from .losses import MSE

AT_ONCE = -1.0  # seconds: the engine comes back after every batch


class _Cotangents(MSE):
    """In the place of a loss: the factors of an output's elements, as its target."""

    name = ""

    def op(self, target_kind):
        return "cotangent", {}


class _Given:
    """X of one call, checked, with the graph for it; `toward`: the inputs that have gradients."""

    def __init__(self, network, X):
        self.state, self.dtype, where = network._built(), network.dtype, network._where()
        self.inputs = _samples.read_inputs(X, self.state.graph.inputs, self.dtype, where)
        self.n = self.inputs.n
        self.use(_samples.graph_of(self.inputs, self.state, where))

    def use(self, graph):
        """Goes by this graph."""
        self.graph, self.own = graph, graph.inputs[: len(self.inputs.arrays)]
        self.toward = differentiable(graph, self.own)

    def expect_reals(self, what):
        if not self.toward:
            raise ValueError(
                f"{what}: the network reads ids, and nothing is between two ids for a gradient to say; take it with "
                "respect to the embedding's parameters, or look at the layers' outputs with activations"
            )

    def per_input(self, arrays):
        """{input: array} as the user gave X: None for ids and masks, lists for sequences of different lengths."""
        found = []
        for i, value in enumerate(self.own):
            array = arrays.get(value)
            if array is not None and i in self.inputs.lengths:
                array = [one[:length] for one, length in zip(array, self.inputs.lengths[i], strict=True)]
            found.append(array)
        return found[0] if len(found) == 1 else found


def differentiable(graph, inputs):
    """Those of the inputs that a gradient makes sense for: neither ids nor masks."""
    masks = {value.mask.root for op in graph.ops for value in (*op.inputs, op.output) if value.mask is not None}
    return tuple(value for value in inputs if value.kind == "real" and value not in masks)


def activations(network, X, layers):
    """{path: output} of these layers, or all."""
    given = _Given(network, X)
    rows: dict[str, list] = {}
    for record in given.graph.layers:
        rows.setdefault(record.path, []).extend(record.outputs)
    paths = list(rows) if layers is None else [layers] if isinstance(layers, str) else list(layers)
    for path in paths:
        if path not in rows:
            raise unknown_name("layer", path, rows)
    wanted = [value for path in paths for value in rows[path]]
    arrays = iter(_predict.values(given.state, given.graph, given.inputs, wanted, given.dtype))
    cut = {path: [given.inputs.cut(next(arrays), value, given.graph) for value in rows[path]] for path in paths}
    return {path: found[0] if len(found) == 1 else found for path, found in cut.items()}


def input_gradient(network, X, output, y):
    """The gradient of one output of each sample, or of its loss."""
    if output is not None and y is not None:
        raise ValueError("input_gradient: give output or y, not both")
    if y is not None:
        return _loss_gradient(network, X, y)
    given = _Given(network, X)
    given.expect_reals("input_gradient")
    chosen = _chosen(given, output)
    cotangents, first = [], 0
    for value in given.graph.outputs:
        place = chosen - first
        inside = (place >= 0) & (place < value.size)
        array = np.zeros((given.n, value.size), given.dtype)
        array[inside, place[inside]] = 1.0
        cotangents.append(array.reshape(given.n, *value.shape) if inside.any() else None)
        first += value.size
    with _Pullback(given, cotangents) as pull:
        return given.per_input(pull())


def _chosen(given, output):
    """For each sample the number of an output, counted through all outputs in their order, each flattened."""
    outputs = given.graph.outputs
    size = sum(value.size for value in outputs)
    if output is None:
        if size == 1:
            return np.zeros(given.n, np.int64)
        if len(outputs) > 1:
            raise ValueError(f"output: the network has {len(outputs)} outputs; say which of their {size} elements")
        (found,) = _predict.values(given.state, given.graph, given.inputs, outputs, given.dtype)
        return found.reshape(given.n, -1).argmax(axis=1)
    array = np.asarray(output)
    if array.dtype.kind not in "iu" or array.shape not in ((), (given.n,)):
        raise TypeError(f"output: expected a whole number, or one for each of the {given.n} samples, got {output!r}")
    if ((array < -size) | (array >= size)).any():
        raise ValueError(f"output: the network has {size} outputs, 0 to {size - 1}, got {output!r}")
    return np.broadcast_to(np.where(array < 0, array + size, array), (given.n,))


def _loss_gradient(network, X, y):
    given = _Given(network, X)
    given.expect_reals("input_gradient")
    state = given.state
    losses, samples = _figures.losses_of(state.graph, network.loss), network._samples(state, X, y)
    given.use(samples.graph)
    taken = state.take(
        "vjp", 1, graph=samples.graph, losses=losses, targets=samples.kinds, weighted=bool(samples.weights),
        toward=given.toward, threads=thread_count(None),
    )  # fmt: skip
    try:
        taken[1].feed(samples.inputs, samples.targets, samples.weights)
        return given.per_input(_backward(taken[1], given.toward, given.n, given.dtype))
    finally:
        state.give(taken)


class _Pullback:
    """Takes cotangents, (n, ...) for each output or None, back to the inputs: `pull()`, as often as they change."""

    def __init__(self, given, cotangents):
        self.given = given
        self.taken = given.state.take(
            "vjp", given.state.predict_batch(given.n, given.graph), graph=given.graph, toward=given.toward,
            losses=[None if array is None else _Cotangents() for array in cotangents],
            targets=tuple(("real", value.shape) for value in given.graph.outputs),
            threads=thread_count(None),
        )  # fmt: skip
        self.taken[1].feed(given.inputs.fed(given.dtype), [array for array in cotangents if array is not None])

    def __call__(self):
        return _backward(self.taken[1], self.given.toward, self.given.n, self.given.dtype)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.given.state.give(self.taken)


def _backward(compiled, toward, n, dtype):
    """{input: its gradient} over all batches of a program that is fed; zeros where nothing depends on it."""
    program = compiled.program
    program.set_rows(n, False)
    program.reset()
    arrays = {value: compiled.array(value, "gradient") for value in toward}
    results = {value: np.zeros((n, *value.shape), dtype) for value in toward}
    batch = 0
    while batch < program.batches:
        first = batch * program.batch_size
        batch = program.gradients(0, batch, AT_ONCE)
        for value, array in arrays.items():
            if array is not None:
                results[value][first : first + program.batch_rows] = array[: program.batch_rows]
    return results


def jacobian(network, X, wrt):
    """The derivatives of all outputs."""
    if wrt not in ("inputs", "params"):
        raise unknown_name("wrt", wrt, ["inputs", "params"])
    given = _Given(network, X)
    of = _by_inputs if wrt == "inputs" else _by_params
    if wrt == "inputs":
        given.expect_reals("jacobian")
    found = [of(given, i) for i in range(len(given.graph.outputs))]
    return found[0] if len(found) == 1 else found


def _by_inputs(given, i):
    """Of output i with respect to all inputs, one element of the output at a time for all samples."""
    output = given.graph.outputs[i]
    cotangents = [None] * len(given.graph.outputs)
    cotangents[i] = np.zeros((given.n, *output.shape), given.dtype)
    elements = cotangents[i].reshape(given.n, -1)
    size = output.size * sum(value.size for value in given.toward)
    ensure_room(given.n * size * given.dtype.itemsize)
    rows = {value: np.empty((given.n, output.size, *value.shape), given.dtype) for value in given.toward}
    with _Pullback(given, cotangents) as pull:
        for j in range(output.size):
            elements[:, j] = 1.0
            for value, gradient in pull().items():
                rows[value][:, j] = gradient
            elements[:, j] = 0.0
    return given.per_input(
        {value: array.reshape(given.n, *output.shape, *value.shape) for value, array in rows.items()}
    )


def _by_params(given, i):
    """Of output i with respect to all parameters, one element of one sample at a time."""
    state, n, output = given.state, given.n, given.graph.outputs[i]
    losses = [None] * len(given.graph.outputs)
    losses[i] = Residuals()
    count = state.memory.params.size
    ensure_room(n * output.size * count * given.dtype.itemsize)
    result = np.empty((n * output.size, count), given.dtype)
    block = min(n, max(1, BLOCK // (output.size * count)))
    columns, rows = np.arange(count), np.empty((block * output.size, count + 1))
    taken = state.take(
        "vjp", 1, graph=given.graph, losses=losses, targets=tuple(("real", v.shape) for v in given.graph.outputs)
    )
    try:
        compiled = taken[1]
        compiled.feed(given.inputs.fed(given.dtype), [np.zeros((n, *output.shape), given.dtype)])
        compiled.program.set_rows(n, False)
        for first in range(0, n, block):
            size = min(block, n - first) * output.size
            state.memory.engine.jacobian(compiled.program, compiled.grads, columns, 1.0, first, rows[:size])
            result[first * output.size : first * output.size + size] = rows[:size, :-1]
    finally:
        state.give(taken)
    return result.reshape(n, *output.shape, count)
