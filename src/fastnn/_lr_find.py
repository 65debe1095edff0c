"""The learning rate range test: a short training with a growing rate, after which everything is as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._data import positive, positive_int
from ._threads import thread_count

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

WINDOW = 10  # means are over a tenth of all steps: less than a decade of rates, more than the noise of batches


class RateSearch:
    """What `Network.lr_find` returns: the `rates` and `losses` of the steps, and a `suggestion`.

    `smoothed` is the mean of the losses in a window around each step, a tenth of all steps wide and cut off at the
    ends; being centred it does not lag behind the rates. The suggestion is the rate at which it falls fastest over the
    logarithm of the rate, before its lowest point.
    """

    def __init__(self, rates: NDArray[np.float64], losses: NDArray[np.float64], window: int) -> None:
        self.rates, self.losses = rates, losses
        ones = np.ones(min(window, len(losses)))
        self.smoothed = np.convolve(losses, ones, "same") / np.convolve(np.ones(len(losses)), ones, "same")

    @property
    def suggestion(self) -> float:
        """The rate of the steepest fall; the lowest rate where the loss never falls."""
        lowest = int(np.argmin(self.smoothed))
        if lowest == 0:
            return float(self.rates[0])
        slopes = np.gradient(self.smoothed[: lowest + 1], np.log(self.rates[: lowest + 1]))
        return float(self.rates[np.argmin(slopes)])

    def plot(self, *, path: str | PathLike[str] | None = None) -> Any:
        """The losses over the rates as a picture (needs matplotlib), saved to `path` if given; returns the figure."""
        from .plot import plot_rates

        return plot_rates(self, path=path)

    def __repr__(self) -> str:
        return f"<RateSearch over {len(self.rates)} steps: suggestion {self.suggestion:.3g}>"


def rates_from(optimizer, start, end, steps):
    """The rates of all steps, checked."""
    if optimizer.solver or optimizer.update == "rprop":
        raise ValueError(f"lr_find: {type(optimizer).__name__} finds the length of its steps by itself")
    start, end, steps = positive(start, "start"), positive(end, "end"), positive_int(steps, "steps")
    if not start < end:
        raise ValueError(f"lr_find: expected start < end, got {start:g} and {end:g}")
    if steps < 2:
        raise ValueError("steps: expected at least 2")
    return np.geomspace(start, end, steps)


def search(network, state, samples, rates, batch, diverges) -> RateSearch:
    """Trains with these rates, a step each, until the loss diverges; then everything is put back."""
    window, before = max(1, len(rates) // WINDOW), _Before(state)
    taken = state.take(
        "train", batch, graph=samples.graph, losses=network.losses, targets=samples.kinds,
        weighted=bool(samples.weights), optimizer=network.optimizer, threads=thread_count(None),
    )  # fmt: skip
    try:
        taken[1].feed(samples.inputs, samples.targets, samples.weights)
        taken[1].program.set_rows(samples.n, True)
        losses = _losses(taken[1].program, state, rates, window, diverges)
    finally:
        try:
            before.restore(state)
        except BaseException:  # Ctrl-C in the midst of that
            before.restore(state)
            raise
        state.give(taken)
    return RateSearch(rates[: len(losses)].copy(), np.array(losses), window)


class _Before:
    """What a state was before the search."""

    def __init__(self, state):
        memory = state.memory
        self.vectors = [vector.copy() for vector in (memory.params, memory.state, memory.grads)]
        self.slots, self.steps = {name: slot.copy() for name, slot in memory.slots.items()}, state.steps

    def restore(self, state):
        """Puts all of it back; may be repeated."""
        memory = state.memory
        for vector, values in zip((memory.params, memory.state, memory.grads), self.vectors, strict=True):
            vector[:] = values
        for name in [*memory.slots]:
            if name in self.slots:
                memory.slots[name][:] = self.slots[name]
            else:
                del memory.slots[name]
        if not self.slots:  # programs are bound to the slots that are gone
            state.forget_programs()
        state.steps = self.steps


def _losses(program, state, rates, window, diverges):
    """The loss of each step, as far as it is worth looking."""
    program.check_finite = True
    batches = program.batches
    epochs = -(-len(rates) // batches)
    table = np.resize(rates, (epochs, batches))
    program.schedule(state.epochs, table)
    epoch, batch, number, losses, lowest = 0, 0, state.steps, [], np.inf
    for _ in rates:
        if program.train(epoch, batch, epochs, number, 0.0):
            break
        epoch, batch, number = program.epoch, program.batch, program.steps
        losses.append(program.last_loss)
        recent = float(np.mean(losses[-window:]))
        lowest = min(lowest, recent)
        if recent > diverges * lowest:
            break
    if not losses:
        raise ValueError("lr_find: the loss of the first batch is not finite")
    return losses
