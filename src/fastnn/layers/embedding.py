"""Embeddings: vectors for tokens, and for their positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import initializers
from .._data import positive_int
from ..errors import ShapeError, unknown_name
from .base import Layer

if TYPE_CHECKING:
    from .._typing import InitializerLike

KINDS = ("learned", "sinusoidal")


class Embedding(Layer):
    """A learned vector for each token: y[t] = weight[x[t]].

    The layer reads whole numbers, so it stands first, on an input of the network. Rows of the weight that no token of a
    batch reads have the gradient 0; an optimizer with momentum moves them all the same, as torch.nn.Embedding's.

    Args:
        tokens: how many there are; ids are 0, ..., tokens - 1.
        units: length of each vector.
        weight_init: how they start; the default is normal with mean 0 and deviation 1, as in PyTorch.

    Shapes: x (...) ids of any integer dtype, `weight` (tokens, units), y (..., units).

    Raises:
        ValueError, TypeError: an argument is out of range; an id is none (at fit or predict).
        ShapeError: the layer does not stand on an input of the network.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Embedding(1000, 64), fnn.GlobalAvgPool1D(), fnn.Dense(10, "softmax")], input_shape=32)
    >>> net.predict([[1, 2, 3, 4] * 8]).shape
    (1, 10)
    """

    keeps_time = True

    def __init__(self, tokens: int, units: int, *, weight_init: InitializerLike = "normal") -> None:
        self.tokens = positive_int(tokens, "tokens")
        self.units = positive_int(units, "units")
        unit = initializers.Normal(0.0, 1.0)
        self.weight_init = unit if weight_init == "normal" else initializers.Initializer.get(weight_init)

    def plan(self, g, x):
        g.read_ids(x, self.tokens)
        table = g.param("weight", (self.tokens, self.units), self.weight_init)
        return g.op("embedding", [x], (*x.shape, self.units), {"table": table})


class PositionalEmbedding(Layer):
    """Adds a vector that depends on the position t alone: y[t] = x[t] + p[t].

    Attention by itself does not know the order of the steps; this tells it.

    Args:
        kind: "learned", a parameter `weight` (steps, units) that starts normal with deviation 0.02 (as in GPT-2,
            Radford et al. 2019), for sequences up to the length that the network was built for; or "sinusoidal",
            p[t, 2 i] = sin(t / 10000^(2 i / units)), p[t, 2 i + 1] = cos of the same (Vaswani et al. 2017).

    Shapes: x and y (steps, units).

    Raises:
        ValueError: the kind is unknown; a stream is at its last position.
        ShapeError: samples are not (steps, units); a sequence or stream is longer than the learned positions.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.PositionalEmbedding("sinusoidal")], input_shape=(2, 2), dtype="float64")
    >>> net.predict([[[0.0, 0.0], [0.0, 0.0]]]).round(3).tolist()
    [[[0.0, 1.0], [0.841, 0.54]]]
    """

    keeps_time = True

    def __init__(self, kind: str = "learned") -> None:
        if kind not in KINDS:
            raise unknown_name("kind of positional embedding", kind, KINDS)
        self.kind = kind

    def plan(self, g, x):
        g.expect_rank(x, 2, "sequences (steps, units)")
        steps, units = g.stream_length if g.streaming else x.shape[0], x.shape[1]
        if self.kind == "sinusoidal":
            return g.op("positions", [x], x.shape, table=_Sinusoids(steps, units), stream=g.streaming)
        known = g.known("weight")
        table = known or g.param("weight", (steps, units), initializers.Normal(0.0, 0.02))
        if steps > table.shape[0] or units != table.shape[1]:
            needs = f"{'streams' if g.streaming else 'sequences'} of {steps} steps of {units} units"
            raise ShapeError(
                f"{g.where()} has learned {table.shape[0]} positions of {table.shape[1]} units, not for {needs}; "
                'build the network for the longest, or take kind="sinusoidal"'
            )
        return g.op("positions", [x], x.shape, {"table": table}, stream=g.streaming)


class _Sinusoids:
    """The array of `sinusoids`, made when an op takes it: planning makes none, as nobody knows yet who asks for it."""

    def __init__(self, steps, units):
        self.steps, self.units = steps, units

    def __array__(self, dtype=None, copy=None):
        return sinusoids(self.steps, self.units).astype(dtype or np.float64, copy=False)


def sinusoids(steps, units) -> np.ndarray:
    """p (steps, units) of Vaswani et al. 2017, in float64."""
    i = np.arange(units)
    angles = np.arange(steps)[:, None] / 10000.0 ** (2 * (i // 2) / units)
    return np.where(i % 2 == 0, np.sin(angles), np.cos(angles))
