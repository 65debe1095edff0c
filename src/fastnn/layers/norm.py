"""Layers that normalize: they bring values to a common size, so that training does not depend on it."""

from __future__ import annotations

from .. import initializers
from .._data import positive
from ..errors import ShapeError
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
    >>> net = fnn.Network([fnn.RMSNorm()], input_shape=2, dtype="float64")
    >>> net.predict([[1.0, 7.0]]).round(3).tolist()
    [[0.2, 1.4]]
    """

    centered = False


class BatchNorm(Layer):
    r"""Normalizes each channel over the batch, and over time or the image:

        y = weight (x - mean) / sqrt(variance + epsilon) + bias

    In training, mean and variance are those of the batch (the variance divided by n), and the running statistics follow
    once a step is done, of the variance the unbiased estimate (divided by n - 1):

        running += momentum (batch - running)

    In `predict` and `evaluate` the running statistics stand in their place; the layer is then an affine map, which
    costs nothing where the convolution or dense layer before it can take it in. PyTorch's definition and defaults.
    Frozen (`trainable = False`) the layer is that map in training, too, and its running statistics stay, as in Keras.

    Args:
        momentum: the share of a batch in the running statistics, in (0, 1].
        epsilon: added to the variance.

    Shapes: x and y (..., channels); `weight` and `bias` (channels,), ones and zeros at the start; `running_mean` and
    `running_variance` (channels,), zeros and ones. They are weights by name (`get_weights`), but not in `net.params`.

    Raises:
        ValueError, TypeError: an argument is out of range. In training: a batch has one value only of each channel.
        ShapeError: the sequences have different lengths (`LayerNorm` normalizes each step by itself).

    Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift".

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.BatchNorm(momentum=0.5)], optimizer=fnn.SGD(0.1), input_shape=1)
    >>> history = net.fit([[1.0], [3.0]], [[0.0], [0.0]], batch_size=2)
    >>> weights = net.get_weights()
    >>> weights["layers.0.running_mean"].tolist(), weights["layers.0.running_variance"].tolist()
    ([1.0], [1.5])
    """

    keeps_time = True

    def __init__(self, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        self.momentum, self.epsilon = positive(momentum, "momentum"), positive(epsilon, "epsilon")
        if self.momentum > 1:
            raise ValueError(f"momentum must be a number above 0 and up to 1, got {momentum!r}")

    def plan(self, g, x):
        if x.mask is not None:
            raise ShapeError(
                f"{g.where()} would count the padding of sequences of different lengths; use LayerNorm, "
                "which normalizes each step by itself"
            )
        shape = x.shape[-1:]
        params = {
            "weight": g.param("weight", shape, initializers.Initializer.get("ones")),
            "bias": g.param("bias", shape, initializers.Initializer.get("zeros")),
        }
        state = {
            "running_mean": g.state("running_mean", shape, 0.0),
            "running_variance": g.state("running_variance", shape, 1.0),
        }
        settings = {"momentum": self.momentum, "epsilon": self.epsilon, "where": g.where()}
        return g.op("batch_norm", [x], x.shape, params, state, **settings)
