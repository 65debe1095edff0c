"""Outputs in order, by construction."""

from .base import Layer


class Ascending(Layer):
    """Values that never descend along the last axis: y_0 = x_0, y_j = y_(j-1) + log(1 + exp(x_j)).

    Stands last where outputs are quantiles of ascending levels, so that they cannot cross, whatever the weights are and
    in float32 too: rounding is monotonic, so y_j >= y_(j-1) holds to the bit. As the bijector Ascending of TensorFlow
    Probability; it has no parameters.

    Shapes: x and y (..., features).

    >>> import fastnn as fnn
    >>> import numpy as np
    >>> levels = (0.1, 0.5, 0.9)
    >>> layers = [fnn.Dense(16, "tanh"), fnn.Dense(3), fnn.Ascending()]
    >>> net = fnn.Network(layers, loss=fnn.losses.Quantile(levels), seed=0)
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0, 2, (500, 1))
    >>> history = net.fit(X, X * rng.normal(size=(500, 1)), epochs=20)
    >>> low, median, high = net.predict(X).T
    >>> bool((low <= median).all() and (median <= high).all())
    True
    """

    keeps_time = True

    def __init__(self) -> None:
        pass

    def plan(self, g, x):
        return g.op("ascending", [x], x.shape)
