"""Layers that join values, and the container that adds its input to its output."""

from ..errors import ShapeError
from .base import Layer


def _values(g, x):
    if not isinstance(x, list) or len(x) < 2:
        raise ShapeError(f"{g.where()} joins two or more values: call it with a list of them, as layer([a, b])")
    return x


class Add(Layer):
    """The elementwise sum of values of one shape.

    >>> import fastnn as fnn
    >>> x = fnn.Input(4)
    >>> y = fnn.Add()([x, fnn.Dense(4, "tanh")(x)])
    """

    keeps_time = True

    def __init__(self) -> None:
        pass

    def plan(self, g, x):
        total, *others = _values(g, x)
        for other in others:
            if other.shape != total.shape:
                raise ShapeError(f"{g.where()} adds values of one shape, got {total.shape} and {other.shape}")
            total = g.op("add", [total, other], total.shape)
        return total


class Concat(Layer):
    """Values side by side along an axis.

    Args:
        axis: of one sample's shape with the batch axis counted as 0, so never 0; the default is the last.

    Raises:
        ShapeError: the other axes differ.

    >>> import fastnn as fnn
    >>> a, b = fnn.Input(3), fnn.Input(2)
    >>> y = fnn.Concat()([a, b])      # five features
    """

    def __init__(self, axis: int = -1) -> None:
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise ValueError(f"axis: expected an int other than 0 (the batch), got {axis!r}")
        self.axis = axis

    @property
    def keeps_time(self) -> bool:
        return self.axis == -1

    def plan(self, g, x):
        values = _values(g, x)
        first = values[0].shape
        axis = self.axis if self.axis > 0 else len(first) + 1 + self.axis
        if not 1 <= axis <= len(first):
            raise ShapeError(f"{g.where()}: axis {self.axis} does not exist in samples of shape {first}")
        for value in values:
            if len(value.shape) != len(first) or any(
                a != b for i, (a, b) in enumerate(zip(first, value.shape, strict=True), 1) if i != axis
            ):
                shapes = f"{first} and {value.shape}"
                raise ShapeError(f"{g.where()} along axis {axis} needs the other axes equal, got {shapes}")
        width = sum(value.shape[axis - 1] for value in values)
        y = g.value((*first[: axis - 1], width, *first[axis:]))
        offset = 0
        for value in values:
            g.write("place", [value], y, axis=axis, offset=offset)
            offset += value.shape[axis - 1]
        return y


class Residual(Layer):
    """y = x + f(x), f being the layers in sequence (He et al. 2016).

    Raises:
        ShapeError: f changes the shape.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Residual(fnn.Dense(8, "relu"), fnn.Dense(8))], input_shape=8)
    """

    keeps_time = True

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("Residual needs at least one layer")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Residual: expected layers, got {type(layer).__name__}")
        self.layers = list(layers)

    def plan(self, g, x):
        y = x
        for i, layer in enumerate(self.layers):
            y = g.layer(layer, f"layers.{i}", y)
        if y.shape != x.shape:
            raise ShapeError(
                f"{g.where()} adds its input {x.shape} to its layers' output {y.shape}; "
                f"the last layer must give {x.shape} again"
            )
        return g.op("add", [x, y], x.shape)
