"""Averages of the weights over the steps or epochs of a fit, which often do better than the last weights.

The averages are judged by the validation of each epoch and are what callbacks see at its end, so that a checkpoint or
EarlyStopping keeps the weights whose figures it saw. The next epoch goes on from the weights that were trained. At the
end of the fit the network has the average, on every way out.
"""

from __future__ import annotations

from typing import Any

from .._data import fraction, non_negative_int, positive_int
from .base import Callback


class WeightAverage(Callback):
    """Base of the averages: `average` is the flat vector, None before there is one; `count`, how many it is made of."""

    settles = 2  # before EarlyStopping, whose best weights are averages too

    def on_fit_begin(self):
        self.average: Any = None
        self.count = 0
        self._trained: Any = None  # the weights to go on from, while the network has the average

    def take(self):
        """Makes the present weights a part of the average."""
        params = self.network.params
        if self.average is None:
            self.average = params.copy()
        else:
            self.average += (params - self.average) * self.share()
        self.count += 1

    def share(self) -> float:
        """The share of the weights that are taken next."""
        raise TypeError(f"{type(self).__name__} does not define share()")

    def on_epoch_begin(self, epoch):
        if self._trained is not None:
            self.network.params[:] = self._trained
            self._trained = None

    def on_epoch_trained(self, epoch):
        if self.average is not None:
            self._trained = self.network.params.copy()
            self.network.params[:] = self.average

    def on_fit_end(self):
        if self.average is not None:
            self.network.params[:] = self.average
        self._trained = None


class EMA(WeightAverage):
    """The exponential moving average of the weights over steps: a = decay a + (1 - decay) w, from the first step on.

    PyTorch's AveragedModel with get_ema_multi_avg_fn(decay), whose first average is the first weights. Listens to every
    batch.

    Args:
        decay: in [0, 1).
        every: steps from one update of the average to the next.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.1), seed=0)
    >>> ema = fnn.EMA(0.9)
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=20, callbacks=ema)
    >>> ema.count, bool((net.params == ema.average).all())
    (20, True)
    """

    def __init__(self, decay: float = 0.999, *, every: int = 1) -> None:
        self.decay, self.every = fraction(decay, "decay"), positive_int(every, "every")

    def share(self):
        return 1.0 - self.decay

    def on_fit_begin(self):
        super().on_fit_begin()
        self._seen = self._trainer.state.steps

    def on_batch_end(self, batch, logs):
        steps = self._trainer.state.steps
        if steps - self._seen >= self.every:  # batches whose gradients are only gathered are no steps
            self._seen = steps
            self.take()


class SWA(WeightAverage):
    """Stochastic weight averaging: the mean of the weights at the ends of epochs (Izmailov et al. 2018).

    PyTorch's AveragedModel, updated after each epoch from `start_epoch` on. The paper pairs it with a learning rate
    that stays high: a constant one, or a schedule that falls to a plateau.

    Args:
        start_epoch: the first epoch of this fit that counts.
        every: epochs from one that counts to the next.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.1), seed=0)
    >>> swa = fnn.SWA(start_epoch=15)
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=20, callbacks=swa)
    >>> swa.count
    5
    """

    def __init__(self, start_epoch: int = 0, *, every: int = 1) -> None:
        self.start_epoch = non_negative_int(start_epoch, "start_epoch")
        self.every = positive_int(every, "every")

    def share(self):
        return 1.0 / (self.count + 1)

    def on_epoch_trained(self, epoch):
        if epoch >= self.start_epoch and (epoch - self.start_epoch) % self.every == 0:
            self.take()
        super().on_epoch_trained(epoch)
