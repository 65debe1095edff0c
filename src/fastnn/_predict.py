"""Outputs, losses and metrics for any number of samples, batch by batch on as many threads as pay."""

import numpy as np

from . import _figures, _programs, _samples
from ._data import positive_int
from ._reading import strict_columns
from ._threads import default_thread_count, thread_count

CHUNK = 0.05  # seconds between two looks at signals
PREDICTOR_ROWS = 16  # up to here the next call goes the short way, through the engine's Predictor


def predict(network, X, batch_size, out, threads):
    """The outputs of a network, into `out` or new arrays."""
    state, where = network._built(), network._where()
    inputs = _samples.read_inputs(X, state.graph.inputs, network.dtype, where, checked_later=True)
    graph, n = _samples.graph_of(inputs, state, where), inputs.n
    if batch_size is None:
        # Batches run side by side, each on one thread: samples that fill a product by themselves need few beside them.
        # 64 images through LeNet-5 take 0.93 of the time, 32 sequences through transformers 0.96.
        least = max(4, 32 // graph.rows)
        batch = state.predict_batch(n, graph, least)
    else:
        batch = min(positive_int(batch_size, "batch_size"), n)
    outputs = empty_outputs(state, graph, n) if out is None else _checked(out, graph, n, network.dtype)
    try:
        run(state, graph, inputs.fed(network.dtype), outputs, batch, thread_count(threads))
    except FloatingPointError:  # from a program that met NaN or infinity: say where, as any check would
        _samples.read_inputs(X, state.graph.inputs, network.dtype, where)
        raise
    if network._predictor is None and n <= PREDICTOR_ROWS:
        network._predictor = engine_predictor(state, PREDICTOR_ROWS)
    if inputs.lengths and out is None:
        outputs = [inputs.cut(output, value, graph) for output, value in zip(outputs, graph.outputs, strict=True)]
    return outputs[0] if len(outputs) == 1 else outputs


def _checked(out, graph, n, dtype):
    """The arrays of the caller that outputs go to."""
    outs = _samples.several(out, len(graph.outputs), "out")
    for array, value in zip(outs, graph.outputs, strict=True):
        need = f"{dtype} {(n, *value.shape)}"
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != (n, *value.shape):
            got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"out: expected an array {need}, got {got}")
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ValueError("out: expected a writable C-contiguous array")
    return outs


def empty_outputs(state, graph, n):
    """Arrays for all outputs of n samples."""
    return [np.empty((n, *value.shape), dtype=state.memory.dtype) for value in graph.outputs]


def values(state, graph, inputs, wanted, dtype):
    """Any values of a graph for checked inputs, as a prediction has them: an array (n, ...) for each of `wanted`.

    Ids are int32, everything else is of the network's dtype.
    """
    n, fed = inputs.n, inputs.fed(dtype)
    found = {
        value: fed[graph.inputs.index(value.root)].reshape(n, *value.shape)
        for value in wanted
        if value.root.kind == "ids"  # which no op makes
    }
    recorded = tuple(dict.fromkeys(value for value in wanted if value not in found))
    if recorded:
        arrays = [np.empty((n, *value.shape), dtype) for value in recorded]
        batch, threads = state.predict_batch(n, graph), thread_count(None)
        run(state, graph, fed, arrays, batch, threads, recorded)
        found.update(zip(recorded, arrays, strict=True))
    return [found[value] for value in wanted]


def run(state, graph, inputs, outputs, batch, threads, recorded=False, draw=None):
    """Predicts into `outputs`, arrays for the values in `recorded`, or for the graph's own outputs.

    With `draw`, (seed, number), by a random sample of the network.
    """
    n = len(inputs[0])
    batches = -(-n // batch)
    workers = state.workers(n, graph, batches, threads)
    mode, threads = "predict" if draw is None else "sample", threads if workers == 1 else 1
    taken = [state.take(mode, batch, graph=graph, record=recorded, threads=threads) for _ in range(workers)]
    try:
        for _, compiled in taken:
            compiled.feed(inputs)
            compiled.record(outputs)
            compiled.program.set_rows(n, False)
            if draw is not None:
                compiled.program.set_draw(*draw)
        programs, done = [compiled.program for _, compiled in taken], 0
        while done < batches:
            done = state.memory.engine.run_side_by_side(programs, done, batches, CHUNK)
    finally:
        for one in taken:
            state.give(one)


def evaluate(network, state, samples, threads) -> dict:
    """Loss and metrics over all samples, without dropout."""
    taken = state.take(
        "evaluate", state.predict_batch(samples.n, samples.graph), graph=samples.graph, losses=network.losses,
        targets=samples.kinds, weighted=bool(samples.weights), record=bool(network.metrics), threads=threads,
    )  # fmt: skip
    compiled = taken[1]
    outputs = empty_outputs(state, samples.graph, samples.n) if network.metrics else []
    try:
        compiled.feed(samples.inputs, samples.targets, samples.weights)
        compiled.record(outputs)
        compiled.program.set_rows(samples.n, False)
        loss = mean_loss(compiled.program)
    finally:
        state.give(taken)
    return {"loss": loss, **_figures.measure(network.metrics, network.losses, samples, outputs)}


def mean_loss(program) -> float:
    """Mean loss over all samples that a program is fed with, penalties included."""
    program.reset()
    batch, end = 0, program.batches
    while batch < end:
        batch = program.evaluate(batch, CHUNK)
    return program.loss_sum / program.weight_sum


def engine_predictor(state, rows):
    """The engine's own callable for up to `rows` samples; None where it cannot make all checks."""
    graph = state.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or strict_columns(graph):
        return None
    compiled = state.take("predictor", rows)[1]
    (given,), (result,) = graph.inputs, graph.outputs
    return state.memory.engine.Predictor(
        compiled.program, compiled.array(given), compiled.array(result), given.limit or 0,
        graph.work * rows > _programs.RELEASE_WORK, default_thread_count(), 1, given.missing,
    )  # fmt: skip
