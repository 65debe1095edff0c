"""One call of fit: epochs until they are all done or somebody ends them; figures, validation, callbacks, interrupts.

What an epoch does is in `_loops`. Python comes back from the engine every few hundredths of a second and is free to
raise KeyboardInterrupt then; the network keeps its last completed step.
"""

import time

from . import _figures
from ._loops import ArrayLoop, BatchLoop, SolverLoop
from ._predict import evaluate
from ._progress import progress_of
from .callbacks.base import CallbackList
from .history import History

STRETCH = 100_000  # the most epochs whose losses the engine gathers at once


class Trainer:
    """One call of `fit`, over samples in arrays or over `batches` that come one by one."""

    def __init__(
        self, network, state, samples, validation, *, batches=None, epochs, batch_size, accumulate, shuffle, callbacks,
        verbose, threads,
    ):  # fmt: skip
        self.network, self.state, self.samples, self.validation = network, state, samples, validation
        self.epochs, self.shuffle, self.threads = epochs, shuffle, threads
        self.callbacks = CallbackList(callbacks)
        self.progress = progress_of(verbose, epochs)
        self.history = History()
        if batches is not None:
            self.loop = BatchLoop(self, batches)
        else:
            loop = SolverLoop if network.optimizer.solver else ArrayLoop
            self.loop = loop(self, batch_size, accumulate)

    def run(self) -> History:
        """All epochs; what is borrowed is given back on every way out."""
        network = self.network
        network.stop_training = False
        names = _figures.names(network.metrics, len(self.state.graph.outputs), self.validation is not None)
        self.callbacks.attach(self, network, self.history, names)
        self.loop.open()
        try:
            self.callbacks.call("on_fit_begin")
            self.history.stop_reason = self._run_epochs()
        finally:
            self.loop.close()
            self.progress.end()
            self.callbacks.end()
        return self.history

    def _run_epochs(self):
        """All epochs; returns why they ended."""
        # Epochs that nobody looks at one by one run in the engine without a stop.
        listened = self.callbacks.callbacks or self.progress.level == 2
        watched = listened or self.loop.each_epoch or self.network.metrics or self.validation
        stretch = 1 if watched else self.loop.most_epochs(STRETCH)
        epoch, reason = 0, ""
        while epoch < self.epochs and not reason:
            self.callbacks.call("on_epoch_begin", epoch)
            count = min(stretch, self.epochs - epoch)
            begin = time.perf_counter()
            losses, ends, reason = self.loop.run(epoch, count)
            if reason and not len(losses):
                return reason
            count = len(losses)  # a loop may come back earlier
            self.callbacks.call("on_epoch_trained", epoch)
            figures = self._figures(losses)
            numbers = [epoch] if count == 1 else range(epoch, epoch + count)
            self.history.extend(numbers, figures, self.loop.rates, _seconds(begin, ends))
            epoch += count
            last = {name: values[-1] if count == 1 else float(values[-1]) for name, values in figures.items()}
            self.progress.epoch_end(epoch - 1, last)
            self.callbacks.call("on_epoch_end", epoch - 1, last)
            if self.network.stop_training:
                reason = reason or "stopped by a callback"
        return reason or "all epochs done"

    def _figures(self, losses):
        """{name: figure of each epoch}; metrics and validation are of the last one, where there are any."""
        figures = {"loss": losses if len(losses) > 1 else [float(losses[0])]}
        if self.network.metrics:
            measured = _figures.measure(self.network.metrics, self.network.losses, *self.loop.measured())
            figures.update({name: [value] for name, value in measured.items()})
        if self.validation is not None:
            found = evaluate(self.network, self.state, self.validation, self.threads)
            figures.update({f"val_{name}": [value] for name, value in found.items()})
        return figures


def _seconds(begin, ends):
    """How long each epoch took, up to now, from the times at which the engine's clock saw them end."""
    if len(ends) == 1:
        return [time.perf_counter() - begin]
    seconds = ends.copy()
    seconds[1:] = ends[1:] - ends[:-1]  # not in place: out of memory, NumPy would not say so there
    seconds[0] = time.perf_counter() - begin - (ends[-1] - ends[0])
    return seconds
