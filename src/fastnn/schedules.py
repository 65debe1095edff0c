"""Learning rates that change as training goes on, given as an optimizer's `learning_rate`.

Every schedule is a closed formula of t, the optimizer's steps or epochs so far, and keeps no state: a fit that goes on
where another ended, or that was loaded from a file, has the rates that one long fit would have had. The rates of whole
stretches of steps are computed at once, so that scheduled training stays in the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._config import Configured
from ._data import fraction, non_negative, non_negative_int, positive, positive_int
from .errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

UNITS = ("epoch", "step")


class Schedule(Configured, family="schedule"):
    """Base of the schedules; one of your own defines `rate(t)` and may set `by`.

    by: what t counts, "epoch" or "step", from 0 at the optimizer's first. A step is one update of the weights.
    momentum: (lowest, highest) where the schedule goes over the optimizer's momentum too, with `momentum_at(t)`.

    >>> import fastnn as fnn
    >>> class Harmonic(fnn.schedules.Schedule):
    ...     by = "step"
    ...     def rate(self, t):
    ...         return 0.1 / (1 + 0.01 * t)
    >>> optimizer = fnn.SGD(Harmonic())
    """

    by = "epoch"
    momentum: tuple[float, float] | None = None

    def rate(self, t: NDArray[Any]) -> ArrayLike:
        """The learning rate at each of the times t, an integer array, as an array of the same shape."""
        raise TypeError(f"{type(self).__name__} does not define rate(t)")

    def momentum_at(self, t: NDArray[Any]) -> ArrayLike:
        """The momentum at each of the times t, for schedules that have one."""
        raise TypeError(f"{type(self).__name__} does not define momentum_at(t)")

    def rates(self, step: int, epoch: int, epochs: int, steps: int) -> NDArray[np.float64]:
        """The rates (epochs, steps) of so many epochs of so many steps, the first being number `step` and `epoch`."""
        return self._spread(self.rate, step, epoch, epochs, steps)

    def momenta(self, step: int, epoch: int, epochs: int, steps: int) -> NDArray[np.float64] | None:
        """The momentum of each of these steps; None where the optimizer's own holds."""
        return None if self.momentum is None else self._spread(self.momentum_at, step, epoch, epochs, steps)

    def _spread(self, at, step, epoch, epochs, steps):
        count = (epochs, steps)
        if self.by == "epoch":
            found = np.asarray(at(epoch + np.arange(epochs)), dtype=np.float64)
            return np.broadcast_to(found[:, None], count)
        return np.asarray(at(step + np.arange(epochs * steps)), dtype=np.float64).reshape(count)

    def _counts(self, by):
        if by not in UNITS:
            raise unknown_name("unit of a schedule", by, UNITS)
        self.by = by


class Constant(Schedule):
    """The same rate always: what a plain number means; the part after a Warmup.

    Args:
        learning_rate: above 0.

    >>> import fastnn as fnn
    >>> fnn.schedules.Constant(0.1).rate(np.arange(3)).tolist()
    [0.1, 0.1, 0.1]
    """

    name = "constant"

    def __init__(self, learning_rate: float, *, by: str = "epoch") -> None:
        self.learning_rate = positive(learning_rate, "learning_rate")
        self._counts(by)

    def rate(self, t):
        return np.full(np.shape(t), self.learning_rate)


class Step(Schedule):
    """Falls in steps: learning_rate factor^k, k = floor(t / at), or the number of the times in `at` that are reached.

    PyTorch's StepLR and MultiStepLR.

    Args:
        learning_rate: the first rate, above 0.
        at: every so many epochs or steps, or the times themselves in rising order.
        factor: above 0.
        by: what t counts, "epoch" or "step".

    >>> import fastnn as fnn
    >>> fnn.schedules.Step(1.0, 2, 0.5).rate(np.arange(5)).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]
    >>> fnn.schedules.Step(1.0, [1, 4], 0.5).rate(np.arange(5)).tolist()
    [1.0, 0.5, 0.5, 0.5, 0.25]
    """

    name = "step"

    def __init__(
        self, learning_rate: float, at: int | Sequence[int], factor: float = 0.1, *, by: str = "epoch"
    ) -> None:
        self.learning_rate, self.factor = positive(learning_rate, "learning_rate"), positive(factor, "factor")
        if isinstance(at, (list, tuple)):
            self.at = [non_negative_int(time, "each time in at") for time in at]
            if not self.at or self.at != sorted(self.at):
                raise ValueError(f"at: expected times in rising order, got {at!r}")
        else:
            self.at = positive_int(at, "at")
        self._counts(by)

    def rate(self, t):
        falls = t // self.at if isinstance(self.at, int) else np.searchsorted(self.at, t, side="right")
        return self.learning_rate * self.factor ** np.asarray(falls, dtype=np.float64)


class Exponential(Schedule):
    """learning_rate factor^(t / every): PyTorch's ExponentialLR, Keras's ExponentialDecay with `every` decay_steps.

    Args:
        learning_rate: the first rate, above 0.
        factor: above 0.
        every: after how many epochs or steps the rate has been multiplied by `factor` once.
        by: what t counts, "epoch" or "step".

    >>> import fastnn as fnn
    >>> fnn.schedules.Exponential(1.0, 0.5).rate(np.arange(4)).tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    name = "exponential"

    def __init__(self, learning_rate: float, factor: float, every: int = 1, *, by: str = "epoch") -> None:
        self.learning_rate, self.factor = positive(learning_rate, "learning_rate"), positive(factor, "factor")
        self.every = positive_int(every, "every")
        self._counts(by)

    def rate(self, t):
        return self.learning_rate * self.factor ** (t / self.every)


class Linear(Schedule):
    """learning_rate + (final - learning_rate) t / length, from t = length on `final`.

    PyTorch's LinearLR with a start factor of 1, Keras's PolynomialDecay of power 1.

    Args:
        learning_rate: the first rate, above 0.
        length: epochs or steps until `final` is reached.
        final: not below 0.
        by: what t counts, "epoch" or "step".

    >>> import fastnn as fnn
    >>> fnn.schedules.Linear(1.0, 4).rate(np.arange(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    name = "linear"
    shape = "linear"

    def __init__(self, learning_rate: float, length: int, final: float = 0.0, *, by: str = "epoch") -> None:
        self.learning_rate, self.final = positive(learning_rate, "learning_rate"), non_negative(final, "final")
        self.length = positive_int(length, "length")
        self._counts(by)

    def rate(self, t):
        return _between(self.learning_rate, self.final, np.minimum(t, self.length) / self.length, self.shape)


class Cosine(Linear):
    """final + (learning_rate - final) (1 + cos(pi t / length)) / 2, from t = length on `final`.

    Loshchilov and Hutter 2017 without restarts; PyTorch's CosineAnnealingLR up to `length`, where that begins to rise
    again and this one stays, as Keras's CosineDecay does.

    Args:
        learning_rate: the first rate, above 0.
        length: epochs or steps until `final` is reached.
        final: not below 0.
        by: what t counts, "epoch" or "step".

    >>> import fastnn as fnn
    >>> fnn.schedules.Cosine(1.0, 4).rate(np.arange(6)).round(4).tolist()
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    name = "cosine"
    shape = "cosine"


class Warmup(Schedule):
    """A line from start * r to r over `length` epochs or steps, r being the first rate of `after`, and then `after`.

    `after` begins to count when the warm-up is over. PyTorch's SequentialLR of a LinearLR and another.

    Args:
        after: a Schedule, which also says what t counts; or a rate.
        length: epochs or steps of the warm-up.
        start: in [0, 1), the share of the rate at t = 0.

    >>> import fastnn as fnn
    >>> fnn.schedules.Warmup(fnn.schedules.Step(1.0, 2), 4, start=0.2).rate(np.arange(8)).round(3).tolist()
    [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.1, 0.1]
    """

    name = "warmup"

    def __init__(self, after: Schedule | float, length: int, *, start: float = 1 / 3) -> None:
        self.after = after if isinstance(after, Schedule) else Constant(after, by="step")
        self.length, self.start = positive_int(length, "length"), fraction(start, "start")
        self.momentum = self.after.momentum

    @property
    def by(self):
        return self.after.by

    def momentum_at(self, t):
        return self.after.momentum_at(np.maximum(np.asarray(t) - self.length, 0))

    def rate(self, t):
        t = np.asarray(t)
        first = np.asarray(self.after.rate(np.zeros(1, dtype=np.int64)))[0]
        line = first * (self.start + (1 - self.start) * t / self.length)
        return np.where(t < self.length, line, self.after.rate(np.maximum(t - self.length, 0)))


class OneCycle(Schedule):
    """Up from highest / divide to `highest` and down to highest / divide / final_divide, once (Smith and Topin 2018).

    PyTorch's OneCycleLR with its definitions and defaults, except that momentum is cycled on request alone. The rise
    ends at t = rise * length - 1; with three phases the fall to the first rate is its mirror image, and the rest leads
    to the last. After `length` the last rate stays.

    Args:
        highest: the peak, above 0.
        length: steps (or epochs) of the cycle: for one of a whole fit epochs * ceil(samples / batch_size).
        rise: in (0, 1), the share of the cycle in which the rate rises.
        shape: "cosine" or "linear".
        divide, final_divide: above 0.
        three_phase: whether the fall stops over at the first rate; needs rise < 1/2.
        by: what t counts, "step" or "epoch".
        momentum: (lowest, highest), in [0, 1): the optimizer's momentum, of Adam beta1, mirrors the rate: highest at
            first, lowest where the rate peaks, and highest again when the rate is back. (0.85, 0.95) in PyTorch. None
            leaves it to the optimizer.

    >>> import fastnn as fnn
    >>> cycle = fnn.schedules.OneCycle(1.0, 10, shape="linear", momentum=(0.85, 0.95))
    >>> cycle.rate(np.arange(0, 10, 3)).round(3).tolist()
    [0.04, 0.857, 0.429, 0.0]
    >>> cycle.momentum_at(np.arange(0, 10, 3)).round(3).tolist()
    [0.95, 0.864, 0.907, 0.95]
    """

    name = "one_cycle"

    def __init__(
        self,
        highest: float,
        length: int,
        *,
        rise: float = 0.3,
        shape: str = "cosine",
        divide: float = 25.0,
        final_divide: float = 1e4,
        three_phase: bool = False,
        by: str = "step",
        momentum: tuple[float, float] | None = None,
    ) -> None:
        self.highest, self.length = positive(highest, "highest"), positive_int(length, "length")
        self.rise = fraction(rise, "rise")
        self.divide, self.final_divide = positive(divide, "divide"), positive(final_divide, "final_divide")
        if shape not in ("cosine", "linear"):
            raise unknown_name("shape of a cycle", shape, ("cosine", "linear"))
        self.shape, self.three_phase = shape, bool(three_phase)
        if self.three_phase and self.rise >= 0.5:
            raise ValueError(f"rise: with three phases expected a share below 0.5, got {rise:g}")
        if self.rise * self.length <= 1:
            raise ValueError(f"rise: {rise:g} of {length} is no more than one {by}; take a longer cycle or rise")
        self._counts(by)
        self.momentum = None if momentum is None else _bounds(momentum)

    def rate(self, t):
        first = self.highest / self.divide
        return self._along(t, first, self.highest, first, first / self.final_divide)

    def momentum_at(self, t):
        if self.momentum is None:
            raise ValueError("this cycle has no momentum; give it momentum=(lowest, highest)")
        lowest, highest = self.momentum
        return self._along(t, highest, lowest, highest, highest)

    def _along(self, t, first, peak, back, last):
        """What goes from `first` to `peak` and over `back`, in three phases, to `last`."""
        corners = [(0.0, first), (self.rise * self.length - 1, peak)]
        if self.three_phase:
            corners.append((2 * self.rise * self.length - 2, back))
        corners.append((self.length - 1, last))
        t = np.minimum(np.asarray(t, dtype=np.float64), self.length - 1)
        values = np.empty(t.shape)
        for (begin, start), (stop, goal) in reversed(list(zip(corners, corners[1:], strict=False))):
            values[t <= stop] = _between(start, goal, (t[t <= stop] - begin) / (stop - begin), self.shape)
        return values


def _bounds(momentum):
    """(lowest, highest) of a momentum, checked."""
    if not isinstance(momentum, (list, tuple)) or len(momentum) != 2:
        raise ValueError(f"momentum: expected (lowest, highest), got {momentum!r}")
    lowest, highest = (fraction(bound, "each bound of momentum") for bound in momentum)
    if lowest > highest:
        raise ValueError(f"momentum: expected (lowest, highest), got {lowest:g} before {highest:g}")
    return lowest, highest


def _between(start, goal, share, shape):
    """From `start` (share 0) to `goal` (share 1) along half a cosine or a line."""
    if shape == "linear":
        return start + (goal - start) * share
    return goal + (start - goal) * (1 + np.cos(np.pi * share)) / 2
