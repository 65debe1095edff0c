"""Layers that change a shape and no number: they share their input's memory and cost nothing."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .._data import sample_shape
from ..errors import ShapeError
from .base import Layer

if TYPE_CHECKING:
    from .._typing import Shape


class Flatten(Layer):
    """(n, ...) to (n, product of the other axes), in C order.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Flatten(), fnn.Dense(10)], input_shape=(8, 8))
    """

    def __init__(self) -> None:
        pass

    def plan(self, g, x):
        return g.reshape(x, (x.size,))


class Reshape(Layer):
    """(n, ...) to (n, *shape), in C order.

    Args:
        shape: of one sample; one axis may be -1 and follows from the others.

    Raises:
        ShapeError: the sizes differ.

    >>> import fastnn as fnn
    >>> fnn.Reshape((8, -1)).shape
    (8, -1)
    """

    def __init__(self, shape: Shape) -> None:
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if shape.count(-1) > 1:
            raise ValueError(f"shape: at most one axis may be -1, got {shape}")
        sample_shape([n for n in shape if n != -1] or [1], "shape")
        self.shape = tuple(int(n) for n in shape)

    def plan(self, g, x):
        known = prod(n for n in self.shape if n != -1)
        shape = tuple(x.size // known if n == -1 else n for n in self.shape)
        if prod(shape) != x.size:
            raise ShapeError(f"{g.where()} makes {self.shape}, but a sample of shape {x.shape} has {x.size} elements")
        return g.reshape(x, shape)
