"""Dropout."""

from .._data import fraction
from .base import Layer


class Dropout(Layer):
    """Sets each value to 0 with probability `rate` in training and scales the others by 1 / (1 - rate).

    Absent from prediction. The mask is a function of the network's seed, the step and the layer alone (Srivastava et
    al. 2014, "inverted").

    Args:
        rate: in [0, 1).

    >>> import fastnn as fnn
    >>> fnn.Dropout(0.2).rate
    0.2
    """

    keeps_time = True

    def __init__(self, rate: float) -> None:
        self.rate = fraction(rate, "rate")

    def plan(self, g, x):
        return g.op("dropout", [x], x.shape, rate=self.rate) if self.rate else x
