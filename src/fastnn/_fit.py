"""The epoch loop: order of the samples, chunks of steps in the engine, figures, validation, callbacks, interrupts.

A chunk is as many steps as fit into CHUNK seconds, one where a callback listens to batches. Between chunks Python is
free to raise KeyboardInterrupt; the network then keeps its last completed step.
"""

import warnings

import numpy as np

from ._progress import Progress
from .callbacks import CallbackList
from .errors import NonFiniteWarning
from .history import History

CHUNK = 0.05  # seconds between two looks at signals
STRETCH = 100_000  # the most epochs whose losses the engine gathers at once


class Trainer:
    """One call of `fit`."""

    def __init__(
        self, network, state, samples, validation, *, epochs, batch_size, shuffle, callbacks, verbose, threads
    ):
        self.network, self.state, self.samples, self.validation = network, state, samples, validation
        self.epochs, self.shuffle, self.threads = epochs, shuffle, threads
        self.batch = min(batch_size, samples.n)
        self.callbacks = CallbackList(callbacks, network)
        self.progress = Progress(verbose, epochs)
        self.history = History()

    def run(self) -> History:
        """All epochs; what is borrowed is given back on every way out."""
        optimizer = self.network.optimizer
        self.network.stop_training = False
        run_epochs = self._solver_epoch if optimizer.solver else self._gradient_epochs
        # Epochs that nobody looks at one by one run in the engine without a stop.
        listened = self.callbacks.callbacks or self.progress.level == 2
        watched = listened or optimizer.solver or self.network.metrics or self.validation
        taken = self._take(optimizer)
        try:
            self._bind(taken[1])
            self.callbacks.call("on_fit_begin")
            epoch, converged = 0, False
            while epoch < self.epochs and not converged and not self.network.stop_training:
                self.callbacks.call("on_epoch_begin", epoch)
                end = epoch + 1 if watched else min(self.epochs, epoch + STRETCH)
                losses, converged = run_epochs(taken[1], epoch, end)
                if watched:
                    self._epoch_end(epoch, losses[0])
                else:
                    self.history.extend(range(epoch, end), {"loss": losses})
                    self.progress.epoch_end(end - 1, {"loss": losses[-1]})
                epoch = end
            stopped = "stopped by a callback" if self.network.stop_training else "all epochs done"
            self.history.stop_reason = "converged" if converged else stopped
        finally:
            self.state.give(taken)
            self.progress.end()
            self.callbacks.call("on_fit_end")
        return self.history

    def _epoch_end(self, epoch, loss):
        figures = {"loss": loss, **self.network._measure(self.samples, self.outputs)}
        if self.validation is not None:
            found = evaluate(self.network, self.state, self.validation, self.threads)
            figures.update({f"val_{name}": value for name, value in found.items()})
        self.history.add(epoch, figures)
        self.progress.epoch_end(epoch, figures)
        self.callbacks.call("on_epoch_end", epoch, figures)

    def _take(self, optimizer):
        s = self.samples
        mode, optimizer = ("evaluate", None) if optimizer.solver else ("train", optimizer)
        return self.state.take(
            mode, self.batch, graph=s.graph, losses=self.network.losses, targets=s.kinds, weighted=bool(s.weights),
            record=bool(self.network.metrics), optimizer=optimizer, threads=self.threads,
            keeps_gradients=bool(self.callbacks.callbacks),
        )  # fmt: skip

    def _bind(self, compiled):
        s = self.samples
        compiled.feed(s.inputs, s.targets, s.weights)
        self.outputs = empty_outputs(self.state, s.graph, s.n) if self.network.metrics else []
        compiled.record(self.outputs)
        compiled.program.set_rows(s.n, self.shuffle and not self.network.optimizer.solver)
        compiled.program.check_finite = True

    def _gradient_epochs(self, compiled, epoch, end):
        """Trains the epochs from `epoch` to before `end`; returns their losses."""
        program, state = compiled.program, self.state
        first, batches = epoch, program.batches
        losses = np.empty(end)
        rates = np.broadcast_to(np.float64(self.network.optimizer.learning_rate), (end, batches))
        before, batch, bad = state.epochs - epoch, 0, False
        # A batch hook needs Python after every step: the shortest chunk is one step.
        by_batch = self.callbacks.wants_batches
        chunk = 0.0 if by_batch else CHUNK
        while epoch < end:
            if by_batch and not bad:
                self.callbacks.call("on_batch_begin", batch)
            at = batch
            try:
                bad = program.train(epoch, batch, end, before, state.steps, rates, losses, chunk)
            finally:  # Ctrl-C strikes on the way back from the engine: the steps are done all the same
                epoch, batch = program.epoch, program.batch
                state.steps, state.epochs = program.steps, before + epoch
            if by_batch and not bad:
                self.callbacks.call("on_batch_end", at, {"loss": program.last_loss})
            if bad:
                self._warn(compiled, epoch, batch)
                program.check_finite = False  # said once; from here on training goes on as it would without the check
            elif program.weight_sum:
                self.progress.update(epoch, batch, batches, {"loss": program.loss_sum / program.weight_sum})
        return losses[first:].tolist(), False

    def _solver_epoch(self, compiled, epoch, end):
        """One epoch of an optimizer that sees the loss as a function of the parameters."""
        problem = Problem(compiled.program, self.state.memory.params)
        loss, converged = self.network.optimizer.epoch(problem)
        if self.network.metrics:  # the last weights that were tried need not be those that were kept
            problem.loss()
        self.state.steps, self.state.epochs = self.state.steps + 1, self.state.epochs + 1
        return [loss], converged

    def _warn(self, compiled, epoch, batch):
        where = first_nonfinite(compiled, self.state) or "the loss"
        rate = getattr(self.network.optimizer, "learning_rate", None)
        hint = "" if rate is None else f"; a learning rate below {rate:g}, clip_norm, or smaller inputs may help"
        warnings.warn(
            f"the loss is no longer finite in epoch {epoch}, batch {batch}: the first such value is in {where}{hint}",
            NonFiniteWarning,
            stacklevel=5,
        )


class Problem:
    """What a solver sees: the parameters, and the loss over all samples as a function of them."""

    def __init__(self, program, params):
        self.program, self.params = program, params

    def loss(self) -> float:
        """Mean loss over all samples at the present parameters, penalties included."""
        self.program.reset()
        run_all(self.program)
        return self.program.loss_sum / self.program.weight_sum


def run_all(program):
    """All batches forward, with a look at signals every CHUNK seconds."""
    batch, end = 0, program.batches
    while batch < end:
        batch = program.evaluate(batch, CHUNK)


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
        loss = Problem(compiled.program, state.memory.params).loss()
    finally:
        state.give(taken)
    return {"loss": loss, **network._measure(samples, outputs)}


def empty_outputs(state, graph, n):
    """Arrays for all outputs of n samples."""
    return [np.empty((n, *value.shape), dtype=state.memory.dtype) for value in graph.outputs]


def first_nonfinite(compiled, state):
    """Where the first value that is not finite stands: a parameter, else the layer that made it; None if nowhere."""
    for param in state.graph.params.values():
        if not np.isfinite(param.view(state.memory.params)).all():
            return param.name
    for node, array in compiled.outputs():
        if not np.isfinite(array).all():
            return node.where
    return None
