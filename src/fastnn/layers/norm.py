"""Layers that normalize: they bring values to a common size, so that training does not depend on it."""

from __future__ import annotations

from .. import initializers
from .._data import positive
from .base import Layer


class _RowNorm:
    """What the normalizations of single rows share: statistics over the last axis, in training as in prediction."""

    keeps_time = True
    centered: bool

    def __init__(self, epsilon: float = 1e-5) -> None:
        self.epsilon = positive(epsilon, "epsilon")

    def plan(self, g, x):
        params = {"weight": g.param("weight", x.shape[-1:], initializers.Ones())}
        if self.centered:
            params["bias"] = g.param("bias", x.shape[-1:], initializers.Zeros())
        return g.op("row_norm", [x], x.shape, params, epsilon=self.epsilon, centered=self.centered)


class LayerNorm(_RowNorm, Layer):
    """y = (x - mean) / sqrt(variance + epsilon) weight + bias, mean and variance being those of the last axis.

    The variance is that of the row itself, divided by its length. Every step of a sequence is a row of its own, in
    training as in prediction. Ba, Kiros and Hinton 2016; as torch.nn.LayerNorm over the last axis.

    Args:
        epsilon: added to the variance; positive.

    Shapes: x (..., features), `weight` and `bias` (features,), which start at 1 and 0, y (..., features).

    Raises:
        ValueError, TypeError: epsilon is out of range.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.LayerNorm()], input_shape=4)
    >>> net.predict([[1.0, 1.0, 3.0, 3.0]]).round(3).tolist()
    [[-1.0, -1.0, 1.0, 1.0]]
    """

    centered = True


class RMSNorm(_RowNorm, Layer):
    """y = x / sqrt(mean of x^2 + epsilon) weight, the mean being that of the last axis.

    Layer normalization without mean and bias. Zhang and Sennrich 2019; as torch.nn.RMSNorm over the last axis.

    Args:
        epsilon: added to the mean of the squares; positive.

    Shapes: x (..., features), `weight` (features,), which starts at 1, y (..., features).

    Raises:
        ValueError, TypeError: epsilon is out of range.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.RMSNorm()], input_shape=2)
    >>> net.predict([[1.0, 7.0]]).round(3).tolist()
    [[0.2, 1.4]]
    """

    centered = False
