"""Callbacks that watch and act: stop early, lower the learning rate, stop at a loss that is not finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .._data import boolean, finite, fraction, non_negative, non_negative_int, positive_int
from ..errors import unknown_name
from .base import Callback

if TYPE_CHECKING:
    from typing import Any

# Figures of which more is better; of all others, losses and errors, less is. Suffixes count as well: val_..., ..._0.
RISING = ("accuracy", "precision", "recall", "f1", "auc", "r2")


class Watcher(Callback):
    """Base of those that watch one figure; `is_better` compares two of its values.

    monitor: the figure's name, as in History; mode: "min", "max", or "auto", which goes by the name.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor: expected the name of a figure, got {type(monitor).__name__}")
        if mode not in ("auto", "min", "max"):
            raise unknown_name("mode", mode, ("auto", "min", "max"))
        self.monitor, self.mode, self.min_delta = monitor, mode, non_negative(min_delta, "min_delta")
        rising = mode == "max" or (mode == "auto" and any(name in monitor for name in RISING))
        self.sign = -1.0 if rising else 1.0

    def on_fit_begin(self) -> None:
        """Raises ValueError where the figure is none of this fit's."""
        if self.monitor not in self.figures:
            hint = "; give validation_data or validation_split" if self.monitor.startswith("val_") else ""
            name = type(self).__name__
            raise ValueError(f"{name} monitors {self.monitor!r}, this fit has {', '.join(self.figures)}{hint}")

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is better by more than min_delta; NaN never is."""
        return self.sign * value + self.min_delta < self.sign * other

    @property
    def worst(self) -> float:
        """What every value is better than."""
        return self.sign * math.inf


class EarlyStopping(Watcher):
    """Stops when a figure has not become better for `patience` epochs; the best weights come back. Keras's definition.

    The weights of the best epoch are restored on every way out: when it stops training, after the last epoch, after
    Ctrl-C and after an error. `best`, `best_epoch` and `stopped_epoch` (None if it did not stop) tell what happened.

    Args:
        monitor: a figure of History, "val_loss", "loss", "val_accuracy", ...
        patience: epochs without improvement that are waited for.
        min_delta: an improvement is more than this, not below 0.
        mode: "min", "max" or "auto": higher is better for accuracy, precision, recall, f1, auc and r2.
        baseline: improvement counts only from here on; None for no such bar.
        start_epoch: epochs before this one are not looked at.
        restore_best: whether the weights of the best epoch come back; the last ones stay otherwise.

    Raises (in fit):
        ValueError: the figure is not recorded.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.2), seed=0)
    >>> stop = fnn.EarlyStopping("loss", patience=2, min_delta=1e-6)
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=1000, callbacks=stop)
    >>> len(history["loss"]) == stop.stopped_epoch + 1 < 1000, history["loss"][stop.best_epoch] == stop.best
    (True, True)
    """

    settles = 1  # after those that average weights

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str = "auto",
        baseline: float | None = None,
        start_epoch: int = 0,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = non_negative_int(patience, "patience")
        self.baseline = None if baseline is None else finite(baseline, "baseline")
        self.start_epoch = non_negative_int(start_epoch, "start_epoch")
        self.restore_best = boolean(restore_best, "restore_best")

    def on_fit_begin(self) -> None:
        self._weights: Any = None
        super().on_fit_begin()
        self.best, self.best_epoch, self.stopped_epoch, self._wait = self.worst, None, None, 0

    def on_epoch_end(self, epoch, logs):
        value = logs[self.monitor]
        if epoch < self.start_epoch:
            return
        better = self.is_better(value, self.best)
        if better or self.best_epoch is None:
            self.best_epoch = epoch
            if self.restore_best:
                self._weights = self.network._snapshot()
        self._wait += 1
        if better:
            self.best = value
            if self.baseline is None or self.is_better(value, self.baseline):
                self._wait = 0
        elif self._wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.network.stop_training = epoch, True

    def on_fit_end(self):
        weights, self._weights = self._weights, None
        if weights is not None:
            self.network._restore(weights)


class ReduceLROnPlateau(Watcher):
    """Multiplies the learning rate by `factor` when a figure has not become better for `patience` epochs.

    Keras's definition and defaults. `reductions` lists (epoch, new rate).

    Args:
        monitor, mode: as for EarlyStopping.
        factor: in (0, 1).
        patience: epochs without improvement that are waited for.
        min_delta: an improvement is more than this, not below 0.
        cooldown: epochs after a reduction that do not count.
        min_rate: the rate stays at least this.

    Raises (in fit):
        ValueError: the figure is not recorded, or the learning rate is a Schedule.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.4), seed=0)
    >>> reduce = fnn.ReduceLROnPlateau("loss", patience=2)
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=60, callbacks=reduce)
    >>> net.optimizer.learning_rate < 0.4
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_rate: float = 0.0,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = fraction(factor, "factor")
        if not self.factor:
            raise ValueError("factor must be above 0")
        self.patience, self.cooldown = positive_int(patience, "patience"), non_negative_int(cooldown, "cooldown")
        self.min_rate = non_negative(min_rate, "min_rate")

    def on_fit_begin(self) -> None:
        super().on_fit_begin()
        rate = getattr(self.network.optimizer, "learning_rate", None)
        if not isinstance(rate, float):
            found = type(self.network.optimizer if rate is None else rate).__name__
            raise ValueError(f"ReduceLROnPlateau lowers a learning rate that is a number; this optimizer has {found}")
        self.best, self.reductions = self.worst, []
        self._wait = self._cooling = 0

    def on_epoch_end(self, epoch, logs):
        value = logs[self.monitor]
        if self._cooling:
            self._cooling -= 1
            self._wait = 0
        if self.is_better(value, self.best):
            self.best, self._wait = value, 0
        elif not self._cooling:
            self._wait += 1
            if self._wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch):
        optimizer = self.network.optimizer
        if optimizer.learning_rate > self.min_rate:
            optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_rate)
            self.reductions.append((epoch, optimizer.learning_rate))
            self._cooling, self._wait = self.cooldown, 0


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose loss is infinite or NaN, before its step is taken.

    The warning about it says where such a value arose; `history.stop_reason` says in which epoch and batch.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(1e30), seed=0)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     net.fit([0.0, 1.0], [1.0, 3.0], epochs=9, callbacks=fnn.TerminateOnNaN()).stop_reason
    'the loss is no longer finite in epoch 1, batch 0'
    """

    def on_nonfinite(self, epoch, batch):
        self.network.stop_training = True
