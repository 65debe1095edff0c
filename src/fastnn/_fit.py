"""The epoch loop: order of the samples, chunks of steps in the engine, figures, validation, callbacks, interrupts.

A chunk is as many steps as fit into CHUNK seconds, one where a callback listens to batches. Between chunks Python is
free to raise KeyboardInterrupt; the network then keeps its last completed step.
"""

import math
import time
import warnings

import numpy as np

from ._problem import CHUNK, Problem, check_solver, mean_loss
from ._progress import progress_of
from .callbacks import CallbackList
from .errors import NonFiniteWarning
from .history import History
from .schedules import Schedule

STRETCH = 100_000  # the most epochs whose losses the engine gathers at once
MOST_RATES = 1_000_000  # of a schedule that are worked out at once


class Trainer:
    """One call of `fit`."""

    def __init__(
        self,
        network,
        state,
        samples,
        validation,
        *,
        epochs,
        batch_size,
        accumulate,
        shuffle,
        callbacks,
        verbose,
        threads,
    ):
        self.network, self.state, self.samples, self.validation = network, state, samples, validation
        self.optimizer = network.optimizer
        self.epochs, self.shuffle, self.threads = epochs, shuffle, threads
        self.batch = min(batch_size, samples.n)
        self.batches = -(-samples.n // self.batch)
        self.accumulate = min(accumulate, self.batches)
        self.callbacks = CallbackList(callbacks)
        self.progress = progress_of(verbose, epochs)
        self.history = History()
        self.problem = None
        if self.optimizer.solver and accumulate > 1:
            raise ValueError(f"accumulate: {type(self.optimizer).__name__} sees all samples at each step anyway")

    def run(self) -> History:
        """All epochs; what is borrowed is given back on every way out."""
        network = self.network
        network.stop_training = False
        if self.optimizer.solver:
            check_solver(self.optimizer, network.losses, self.state)
        self.callbacks.attach(self, network, self.history, network._figure_names(self.validation is not None))
        taken = self._take()
        try:
            self._bind(taken[1])
            self.callbacks.call("on_fit_begin")
            self.history.stop_reason = self._run_epochs(taken[1])
        finally:
            self.state.give(taken)
            if self.problem is not None:
                self.problem.close()
            self.progress.end()
            self.callbacks.end()
        return self.history

    def _take(self):
        s, solver = self.samples, self.optimizer.solver
        return self.state.take(
            "evaluate" if solver else "train", self.batch, graph=s.graph, losses=self.network.losses, targets=s.kinds,
            weighted=bool(s.weights), record=bool(self.network.metrics), optimizer=None if solver else self.optimizer,
            keeps_gradients=bool(self.callbacks.callbacks), accumulate=1 if solver else self.accumulate,
            threads=self.threads,
        )  # fmt: skip

    def _bind(self, compiled):
        s, program = self.samples, compiled.program
        compiled.feed(s.inputs, s.targets, s.weights)
        self.outputs = empty_outputs(self.state, s.graph, s.n) if self.network.metrics else []
        compiled.record(self.outputs)
        program.set_rows(s.n, self.shuffle and not self.optimizer.solver)
        program.check_finite = True
        if self.optimizer.solver:
            self.problem = Problem(self.network.losses, self.state, s, program, self.batch, self.threads)

    # ---- epochs ------------------------------------------------------------------------------------------------------

    def _run_epochs(self, compiled):
        """All epochs; returns why they ended."""
        # Epochs that nobody looks at one by one run in the engine without a stop.
        listened = self.callbacks.callbacks or self.progress.level == 2
        watched = bool(listened or self.problem or self.network.metrics or self.validation)
        run = self._solver_epoch if self.problem else self._gradient_epochs
        stretch = 1 if watched else STRETCH
        if isinstance(getattr(self.optimizer, "learning_rate", None), Schedule):
            stretch = max(1, min(stretch, MOST_RATES // self.batches))
        epoch, reason = 0, ""
        while epoch < self.epochs and not reason:
            self.callbacks.call("on_epoch_begin", epoch)
            count = min(stretch, self.epochs - epoch)
            begin = time.perf_counter()
            losses, ends, reason = run(compiled, epoch, count)
            if reason and not losses:
                return reason
            self.callbacks.call("on_epoch_trained", epoch)
            figures = self._figures(losses)
            self.history.extend(range(epoch, epoch + count), figures, self.rates, _seconds(begin, ends))
            epoch += count
            last = {name: values[-1] for name, values in figures.items()}
            self.progress.epoch_end(epoch - 1, last)
            self.callbacks.call("on_epoch_end", epoch - 1, last)
            if self.network.stop_training:
                reason = reason or "stopped by a callback"
        return reason or "all epochs done"

    def _figures(self, losses):
        """{name: figure of each epoch}; metrics and validation are of the last one, where there are any."""
        figures = {"loss": losses}
        for name, value in self.network._measure(self.samples, self.outputs).items():
            figures[name] = [value]
        if self.validation is not None:
            found = evaluate(self.network, self.state, self.validation, self.threads)
            figures.update({f"val_{name}": [value] for name, value in found.items()})
        return figures

    def _learning_rates(self, step, epoch, count):
        """The learning rate of every batch, (count, batches), from that step and epoch of the network on."""
        steps = -(-self.batches // self.accumulate)
        rates = self.optimizer.rates(step, epoch - self.state.first_epoch, count, steps)
        return rates if self.accumulate == 1 else np.repeat(rates, self.accumulate, axis=1)[:, : self.batches]

    def _gradient_epochs(self, compiled, first, count):
        """Trains so many epochs; returns their losses, when they ended, and a reason if they were to be the last."""
        program, state, optimizer = compiled.program, self.state, self.optimizer
        losses, ends = np.empty(count), np.empty(count)
        step, before = state.steps, state.epochs
        rate, rates = optimizer.learning_rate, self._learning_rates(step, before, count)
        begins, after = self.callbacks.listeners["on_batch_begin"], self.callbacks.listeners["on_batch_end"]
        # A batch hook needs Python after every step: the shortest chunk is one step.
        chunk = 0.0 if self.callbacks.wants_batches else CHUNK
        epoch, batch, bad = 0, 0, False
        while epoch < count:
            if not bad:
                for listener in begins:
                    listener(batch)
            if optimizer.learning_rate is not rate:
                rate, rates = optimizer.learning_rate, self._learning_rates(step, before, count)
            at = batch
            try:
                bad = program.train(epoch, batch, count, before, state.steps, rates, losses, ends, chunk)
            finally:  # Ctrl-C strikes on the way back from the engine: the steps are done all the same
                epoch, batch = program.epoch, program.batch
                state.steps, state.epochs = program.steps, before + epoch
            if bad:
                if self._nonfinite(compiled, first + epoch, batch):
                    return [], ends, f"the loss is no longer finite in epoch {first + epoch}, batch {batch}"
                program.check_finite = False  # said once; from here on training goes on as it would without the check
                continue
            for listener in after:
                listener(at, {"loss": program.last_loss})
            if self.progress.level == 1 and program.weight_sum:
                loss = program.loss_sum / program.weight_sum
                self.progress.update(first + epoch, batch, self.batches, {"loss": loss})
        self.rates = rates[:, -1].tolist()
        return losses.tolist(), ends, ""

    def _solver_epoch(self, compiled, first, count):
        """One epoch of an optimizer that sees the loss as a function of the parameters."""
        loss, converged = self.optimizer.epoch(self.problem)
        if self.network.metrics:  # the last weights that were tried need not be those that were kept
            self.problem.loss()
        self.state.steps, self.state.epochs = self.state.steps + 1, self.state.epochs + 1
        self.rates = []
        if not math.isfinite(loss):
            self._nonfinite(compiled, first, 0)
            return [loss], np.zeros(1), f"the loss is no longer finite in epoch {first}"
        return [loss], np.zeros(1), "converged" if converged else ""

    def _nonfinite(self, compiled, epoch, batch):
        """Warns of a loss that is not finite; returns whether a callback wants to end here."""
        layers = () if self.problem else compiled.outputs()
        where = first_nonfinite(self.state, layers) or "the loss"
        hint = ""
        if not self.problem:
            rate = self._learning_rates(self.state.steps, self.state.epochs, 1)[0, batch]
            hint = f"; a learning rate below {rate:g}, clip_norm, or smaller inputs may help"
        warnings.warn(
            f"the loss is no longer finite in epoch {epoch}, batch {batch}: the first such value is in {where}{hint}",
            NonFiniteWarning,
            stacklevel=6,
        )
        self.callbacks.call("on_nonfinite", epoch, batch)
        return self.network.stop_training


def _seconds(begin, ends):
    """How long each epoch took, up to now, from the times at which the engine's clock saw them end."""
    lengths = np.diff(ends)
    return [time.perf_counter() - begin - float(lengths.sum()), *lengths.tolist()]


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
    return {"loss": loss, **network._measure(samples, outputs)}


def empty_outputs(state, graph, n):
    """Arrays for all outputs of n samples."""
    return [np.empty((n, *value.shape), dtype=state.memory.dtype) for value in graph.outputs]


def first_nonfinite(state, layers):
    """Where the first value that is not finite stands: a parameter, else the layer that made it; None if nowhere.

    layers: (op record, output) in the order of the forward pass.
    """
    for param in state.graph.params.values():
        if not np.isfinite(param.view(state.memory.params)).all():
            return param.name
    for node, array in layers:
        if not np.isfinite(array).all():
            return node.where
    return None
