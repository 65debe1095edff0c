"""The layer protocol, and the call syntax that makes graphs of several inputs or outputs.

A layer is its constructor's arguments. `plan(g, x)` writes it into a graph: `x` is the input value (a list of values
for layers that merge), the return is the output value. A layer that is defined is registered; there is no list to keep.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .._config import Configured
from .._data import sample_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._graph import Graph, Value
    from .._typing import Shape


class Layer(Configured, family="layer"):
    """Base of all layers. Subclasses define `__init__` (attributes named as the arguments) and `plan`."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        super().__init_subclass__(**kwargs)

    def plan(self, g: Graph, x: Value | list[Value]) -> Value:
        """Writes the layer into graph `g` and returns its output value."""
        raise TypeError(f"{type(self).__name__} does not define plan(g, x)")

    def __call__(self, inputs: Node | Sequence[Node]) -> Node:
        """The symbolic output of this layer on symbolic inputs; calling a layer again shares its parameters.

        >>> import fastnn as fnn
        >>> x = fnn.Input((4,))
        >>> net = fnn.Network(inputs=x, outputs=fnn.Dense(1)(fnn.Dense(8, "relu")(x)))
        """
        nodes = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        for node in nodes:
            if not isinstance(node, Node):
                raise TypeError(
                    f"{type(self).__name__} was called with {type(node).__name__}; layers are called with fnn.Input"
                    "(...) or with what other layers returned. To compute with arrays, put the layer into a Network"
                )
        return Node(self, nodes if isinstance(inputs, (list, tuple)) else nodes[0])


class Node:
    """A symbolic value: what a layer returns when it is called. Holds no data."""

    __slots__ = ("layer", "inputs")

    def __init__(self, layer: Layer | None, inputs: Node | Sequence[Node]) -> None:
        self.layer, self.inputs = layer, inputs

    def __repr__(self) -> str:
        return f"<output of {self.layer!r}>"


class Input(Node):
    """A network's input in call syntax.

    Args:
        shape: of one sample, without the batch axis; an int n stands for (n,).

    >>> import fastnn as fnn
    >>> a, b = fnn.Input(3), fnn.Input(2)
    >>> net = fnn.Network(inputs=[a, b], outputs=fnn.Dense(1)(fnn.Concat()([a, b])))
    """

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.layer, self.inputs = None, ()
        self.shape = sample_shape(shape, "shape")

    def __repr__(self) -> str:
        return f"Input({self.shape})"
