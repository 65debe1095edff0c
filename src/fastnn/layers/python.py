"""Layers whose arithmetic is Python: the base class of layers of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._data import sample_shape
from ..initializers import Initializer
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import InitializerLike, Shape


class PythonLayer(Layer, abstract=True):
    """A layer of your own: a class with `forward` and `backward` on NumPy arrays.

        y = forward(x, **parameters)        dx, {name: gradient} = backward(dy, x, y, **parameters)

    The engine takes Python's lock for this layer alone. Everything else is as with any layer: it stands anywhere in a
    network, its parameters are trained, named and saved with the others, and `loss_and_gradients` shows whether
    `backward` is the derivative of `forward`. A subclass defines

        __init__(self, ...)          that keeps its arguments as attributes of the same names, where it has any
        parameters(self, shape)      {name: (shape, initializer)}; without it the layer has none
        output_shape(self, shape)    the shape of one sample of y; without it, that of x
        forward(self, x, **parameters)               y
        backward(self, dy, x, y, **parameters)       (dx, {name: gradient}), or dx alone if it has no parameters

    x is (rows, *shape), in the network's dtype, and not to be written to; dy and y are (rows, *output_shape); dx is as
    x; a parameter's gradient has its shape, summed over the rows. A layer that is called with a list of values gets a
    list as `shape` and as x, and returns a list as dx. Several threads may predict with one layer at a time: nothing is
    to be kept on `self` from `forward` to `backward`, which therefore gets x and y again.

    Raises:
        TypeError, ValueError: what a method returned does not fit. Whatever a method raises reaches the caller of
            `fit`; the network then keeps its last completed step.

    >>> import fastnn as fnn
    >>> import numpy as np
    >>> class Power(fnn.PythonLayer):
    ...     "y = |x|^p, with a power p to be learned for each feature."
    ...     def __init__(self, start=1.0):
    ...         self.start = start
    ...     def parameters(self, shape):
    ...         return {"p": (shape[-1:], lambda shape: np.full(shape, self.start))}
    ...     def forward(self, x, p):
    ...         return np.abs(x) ** p
    ...     def backward(self, dy, x, y, p):
    ...         dx = dy * p * np.sign(x) * np.abs(x) ** (p - 1)
    ...         return dx, {"p": (dy * y * np.log(np.abs(x))).sum(axis=0)}
    >>> net = fnn.Network([Power()], optimizer=fnn.Adam(0.05), input_shape=1)
    >>> x = np.linspace(0.1, 2, 50)[:, None]
    >>> history = net.fit(x, x**3, epochs=300)
    >>> net.get_weights()["layers.0.p"].round(3).tolist()
    [3.0]
    """

    def parameters(self, shape: Any) -> Mapping[str, tuple[Shape, InitializerLike]]:
        """{name: (shape, initializer)} for samples of this shape; none unless a subclass says so."""
        return {}

    def output_shape(self, shape: Any) -> Shape:
        """The shape of one sample of the output for samples of this shape."""
        if isinstance(shape, list):
            raise TypeError(f"{type(self).__name__} joins values and does not define output_shape(self, shapes)")
        return shape

    # Of any arguments, since a subclass names its own parameters.

    def forward(self, *arrays: Any, **parameters: Any) -> Any:
        """The output (rows, *output_shape) for x (rows, *shape)."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, x, **parameters)")

    def backward(self, *arrays: Any, **parameters: Any) -> Any:
        """The gradients (dx, {name: gradient}) for dy, the gradient of y; dx alone if there are no parameters."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward(self, dy, x, y, **parameters)")

    def plan(self, g, x):
        joins = isinstance(x, list)
        shapes = [value.shape for value in x] if joins else x.shape
        params = {}
        for name, described in self.parameters(shapes).items():
            if not isinstance(described, tuple) or len(described) != 2:
                raise TypeError(f"{g.where()}: parameters() says (shape, initializer) of {name!r}, got {described!r}")
            shape = sample_shape(described[0], f"the shape of {name!r}")
            params[name] = g.param(name, shape, Initializer.get(described[1]))
        shape = sample_shape(self.output_shape(shapes), "output_shape")
        return g.op("python_layer", x if joins else [x], shape, params, layer=self, joins=joins)
