"""What happens in the epochs of a fit: steps over arrays, steps over batches that come one by one, steps of a solver.

A loop borrows its programs in `open` and gives them back in `close`. `run` trains epochs; what it leaves behind are the
state's counters, `rates`, the learning rate of each epoch's last step, and the outputs that metrics are taken of.
"""

import math
import time
import warnings

import numpy as np

from ._predict import CHUNK, empty_outputs
from ._problem import Problem, check_solver
from ._samples import Samples
from .errors import NonFiniteWarning
from .schedules import Schedule

MOST_RATES = 1_000_000  # of a schedule that are worked out at once


class Loop:
    """Base of the loops. each_epoch: whether they come back after every epoch, even if nobody looks."""

    each_epoch = True

    def __init__(self, trainer):
        self.trainer, self.network, self.state = trainer, trainer.network, trainer.state
        self.optimizer = self.network.optimizer
        self.rates: list[float] = []

    def most_epochs(self, wanted) -> int:
        """How many epochs may run in one stretch."""
        return 1

    def _take(self, samples, batch, mode="train", optimizer=None, accumulate=1):
        """A program for these samples, fed with them, and the arrays of its outputs if metrics ask for them."""
        trainer, metrics = self.trainer, self.network.metrics
        taken = self.state.take(
            mode, batch, graph=samples.graph, losses=self.network.losses, targets=samples.kinds,
            weighted=bool(samples.weights), record=bool(metrics), optimizer=optimizer, accumulate=accumulate,
            keeps_gradients=bool(trainer.callbacks.callbacks), threads=trainer.threads,
        )  # fmt: skip
        compiled = taken[1]
        outputs = empty_outputs(self.state, samples.graph, samples.n) if metrics else []
        compiled.feed(samples.inputs, samples.targets, samples.weights)
        compiled.record(outputs)
        return taken, outputs

    def _nonfinite(self, epoch, batch, layers=(), rate=None) -> bool:
        """Warns of a loss that is not finite; returns whether a callback wants to end here."""
        where = _first_nonfinite(self.state, layers) or "the loss"
        hint = "" if rate is None else f"; a learning rate below {rate:g}, clip_norm, or smaller inputs may help"
        warnings.warn(
            f"the loss is no longer finite in epoch {epoch}, batch {batch}: the first such value is in {where}{hint}",
            NonFiniteWarning,
            stacklevel=6,
        )
        self.trainer.callbacks.call("on_nonfinite", epoch, batch)
        return self.network.stop_training


class ArrayLoop(Loop):
    """Steps over arrays, as many in the engine at once as nobody wants to see one by one."""

    each_epoch = False

    def __init__(self, trainer, batch_size, accumulate):
        super().__init__(trainer)
        n = trainer.samples.n
        self.batch = min(batch_size, n)
        self.batches = -(-n // self.batch)
        self.accumulate = min(accumulate, self.batches)

    def most_epochs(self, wanted):
        return max(1, min(wanted, MOST_RATES // self.batches)) if self._is_scheduled() else wanted

    def _is_scheduled(self):
        return isinstance(self.optimizer.learning_rate, Schedule)

    def open(self):
        samples = self.trainer.samples
        self.taken, self.outputs = self._take(samples, self.batch, "train", self.optimizer, self.accumulate)
        program = self.taken[1].program
        program.set_rows(samples.n, self.trainer.shuffle)
        program.check_finite = True

    def close(self):
        self.state.give(self.taken)

    def measured(self):
        return self.trainer.samples, self.outputs

    def _scheduled(self, step, epoch, count):
        """The learning rate and the momentum of every batch, (count, batches), from that step and epoch on."""
        times = step, epoch - self.state.first_epoch, count, -(-self.batches // self.accumulate)
        return self._by_batch(self.optimizer.rates(*times)), self._by_batch(self.optimizer.momenta(*times))

    def _by_batch(self, values):
        """What steps have, for each of their batches."""
        if values is None or self.accumulate == 1:
            return values
        return np.repeat(values, self.accumulate, axis=1)[:, : self.batches]

    def run(self, first, count):
        """Trains so many epochs; returns their losses, when they ended, and a reason if they were to be the last.

        Losses and ends are sequences, a list or an array.
        """
        program, state, optimizer, callbacks = self.taken[1].program, self.state, self.optimizer, self.trainer.callbacks
        losses, ends = np.empty(count), np.empty(count)
        step, before, progress, rate = state.steps, state.epochs, self.trainer.progress, None
        begins, after = callbacks.listeners["on_batch_begin"], callbacks.listeners["on_batch_end"]
        # A batch hook needs Python after every step: the shortest chunk is one step.
        chunk = 0.0 if callbacks.wants_batches else CHUNK
        epoch, batch, bad = 0, 0, False
        while epoch < count:
            if not bad:
                for listener in begins:
                    listener(batch)
            if optimizer.learning_rate is not rate:
                rate, (rates, momenta) = optimizer.learning_rate, self._scheduled(step, before, count)
                program.schedule(before, rates, momenta, losses, ends)
            at = batch
            try:
                bad = program.train(epoch, batch, count, state.steps, chunk)
            finally:  # Ctrl-C strikes on the way back from the engine: the steps are done all the same
                epoch, batch = program.epoch, program.batch
                state.steps, state.epochs = program.steps, before + epoch
            if bad:
                if self._nonfinite(first + epoch, batch, self.taken[1].outputs(), rates[epoch, batch]):
                    return [], ends, f"the loss is no longer finite in epoch {first + epoch}, batch {batch}"
                program.check_finite = False  # said once; from here on training goes on as it would without the check
                continue
            for listener in after:
                listener(at, {"loss": program.last_loss})
            if progress.level == 1 and program.weight_sum:
                loss = program.loss_sum / program.weight_sum
                progress.update(first + epoch, batch, self.batches, {"loss": loss})
        # One rate for all epochs is one number, not a list's worth of them.
        self.rates = rates[:, -1].tolist() if self._is_scheduled() else [float(rates[0, 0])] * count
        return losses, ends, ""


class SolverLoop(Loop):
    """Steps of an optimizer that sees the loss as a function of the parameters."""

    each_epoch = False

    def __init__(self, trainer, batch_size, accumulate):
        super().__init__(trainer)
        self.batch = min(batch_size, trainer.samples.n)
        if accumulate > 1:
            raise ValueError(f"accumulate: {type(self.optimizer).__name__} sees all samples at each step anyway")

    def most_epochs(self, wanted):
        return wanted

    def open(self):
        check_solver(self.optimizer, self.network.losses, self.state)
        samples = self.trainer.samples
        self.taken, self.outputs = self._take(samples, self.batch, "evaluate")
        program = self.taken[1].program
        program.set_rows(samples.n, False)
        self.problem = Problem(self.network.losses, self.state, samples, program, self.batch, self.trainer.threads)

    def close(self):
        self.problem.close()
        self.state.give(self.taken)

    def measured(self):
        return self.trainer.samples, self.outputs

    def run(self, first, count):
        """So many epochs of the solver, or as many as are done in a chunk of time."""
        losses: list[float] = []
        ends: list[float] = []
        reason, until = "", time.perf_counter() + CHUNK
        while len(losses) < count and not reason:
            loss, converged = self._epoch()
            losses.append(loss)
            ends.append(time.perf_counter())
            if not math.isfinite(loss):
                epoch = first + len(losses) - 1
                self._nonfinite(epoch, 0)
                reason = f"the loss is no longer finite in epoch {epoch}"
            elif converged:
                reason = "converged"
            elif ends[-1] > until:
                break
        return losses, np.array(ends), reason

    def _epoch(self):
        """One epoch; returns the loss after it and whether the solver is done."""
        problem = self.problem
        problem.keep()
        try:
            found = self.optimizer.epoch(problem)
            if self.network.metrics:  # the last weights that were tried need not be those that were kept
                problem.loss()
        except BaseException:  # Ctrl-C: what was only tried does not stay
            problem.params[:] = problem.kept
            raise
        self.state.steps, self.state.epochs = self.state.steps + 1, self.state.epochs + 1
        return found


class BatchLoop(Loop):
    """Steps over batches that an iterable yields, each of its own size."""

    def __init__(self, trainer, source):
        super().__init__(trainer)
        self.source, self.finite = source, True
        if self.optimizer.solver:
            raise ValueError(f"{type(self.optimizer).__name__} works on whole data sets, not on batches one by one")

    def open(self):
        """Programs are borrowed batch by batch."""

    def close(self):
        self.source.close()

    def measured(self):
        return self.samples, self.outputs

    def run(self, first, count):
        """One pass over the iterable."""
        callbacks, progress, total, weight, seen = self.trainer.callbacks, self.trainer.progress, 0.0, 0.0, []
        for batch, samples in enumerate(self.source.epoch()):
            callbacks.call("on_batch_begin", batch)
            taken, outputs = self._take(samples, samples.n, "train", self.optimizer)
            program = taken[1].program
            try:
                if self._step(program, samples.n):
                    if self._nonfinite(first, batch, taken[1].outputs(), self.rates[0]):
                        return [], np.zeros(1), f"the loss is no longer finite in epoch {first}, batch {batch}"
                    self.finite = False  # said once; from here on training goes on as it would without the check
                    self._step(program, samples.n)
            finally:
                self.state.give(taken)
            total, weight = total + program.loss_sum, weight + program.weight_sum
            if outputs:
                seen.append((samples, outputs))
            callbacks.call("on_batch_end", batch, {"loss": program.last_loss})
            if self.source.length and weight:
                progress.update(first, batch + 1, self.source.length, {"loss": total / weight})
        self.state.epochs += 1
        self.samples, self.outputs = _joined(seen)
        return [total / weight], np.zeros(1), ""

    def _step(self, program, rows) -> bool:
        """One step; returns whether it was not taken, its loss not being finite."""
        state = self.state
        times = state.steps, state.epochs - state.first_epoch, 1, 1
        rates, momenta = self.optimizer.rates(*times), self.optimizer.momenta(*times)
        self.rates = [float(rates[0, 0])]
        program.set_rows(rows, False)
        program.check_finite = self.finite
        program.schedule(state.epochs, rates, momenta)
        try:
            return program.train(0, 0, 1, state.steps, 0.0)
        finally:
            state.steps = program.steps


def _joined(seen):
    """The samples and outputs of all batches as metrics take them, without the inputs, which they do not look at."""
    if not seen:
        return None, []
    first = seen[0][0]
    parts = [samples for samples, _ in seen]
    targets = [np.concatenate([s.targets[i] for s in parts]) for i in range(len(first.targets))]
    weight = None if first.sample_weight is None else np.concatenate([s.sample_weight for s in parts])
    outputs = [np.concatenate([out[i] for _, out in seen]) for i in range(len(first.targets))]
    none = [None] * len(targets)
    return Samples(first.graph, [outputs[0]], targets, [], none, weight), outputs


def _first_nonfinite(state, layers):
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
