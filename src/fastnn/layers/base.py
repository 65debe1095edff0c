"""The layer protocol, and the call syntax that makes graphs of several inputs or outputs.

A layer is its constructor's arguments. `plan(g, x)` writes it into a graph: `x` is the input value (a list of values
for layers that merge), the return is the output value. A layer that is defined is registered; there is no list to keep.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .._config import Configured
from .._data import boolean, non_negative, sample_shape
from ..errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._graph import Graph, Value
    from .._typing import Shape


class Layer(Configured, family="layer", elsewhere="fastnn.layers"):
    """Base of all layers. Subclasses define `__init__` (attributes named as the arguments) and `plan`.

    keeps_time: whether the layer treats each time step by itself or knows how steps depend on one another; such layers
    take sequences of different lengths (their `x.mask`) and can be streamed. named_inputs: further values that a call
    takes by name; a mask becomes that of x, the others are handed to `plan` by their names.
    """

    keeps_time = False
    named_inputs: tuple[str, ...] = ("mask",)
    attributes = ("trainable", "learning_rate_factor")
    changes = 0  # of what is trained how, in all layers together: networks look whether it has moved
    _trainable = True
    _learning_rate_factor = 1.0

    def __init_subclass__(cls, abstract: bool = False, **kwargs: object) -> None:
        # A layer that only others are made from has no name to be found by.
        cls.name = "" if abstract else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        super().__init_subclass__(**kwargs)
        inherited = (name for base in reversed(cls.__mro__) for name in base.__dict__.get("attributes", ()))
        cls.attributes = tuple(dict.fromkeys(inherited))  # a layer's own beside those of all layers

    @property
    def outputs(self) -> int:
        """How many values a call returns."""
        return 1

    @property
    def trainable(self) -> bool:
        """Whether training moves this layer's parameters; False freezes them, and those of all layers inside it.

        A frozen layer has no part in clip_norm, keeps its penalties in the loss, and is not updated by anything, weight
        decay included; a frozen BatchNorm normalizes by its running statistics, which stay, in training too. Holds from
        the next fit or train_on_batch on.

        >>> import fastnn as fnn
        >>> base = fnn.Dense(8, "relu")
        >>> net = fnn.Network([base, fnn.Dense(1)], input_shape=2, seed=0)
        >>> base.trainable = False
        >>> before = net.get_weights()["layers.0.weight"].copy()
        >>> history = net.fit([[0, 1], [1, 0]], [1, 2])
        >>> bool((net.get_weights()["layers.0.weight"] == before).all())
        True
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = boolean(value, "trainable")
        Layer.changes += 1

    @property
    def learning_rate_factor(self) -> float:
        """What the optimizer's learning rate is multiplied by for this layer, and for all layers inside it.

        Not below 0; 0 is the same as trainable = False. Holds from the next fit or train_on_batch on; for Rprop, whose
        steps find their own size, at its first step.
        """
        return self._learning_rate_factor

    @learning_rate_factor.setter
    def learning_rate_factor(self, value: float) -> None:
        self._learning_rate_factor = non_negative(value, "learning_rate_factor")
        Layer.changes += 1

    def plan(self, g: Graph, x: Value | list[Value]) -> Value:
        """Writes the layer into graph `g` and returns its output value."""
        raise TypeError(f"{type(self).__name__} does not define plan(g, x)")

    def __call__(self, inputs: Node | Sequence[Node], **named: Node | Sequence[Node]) -> Any:
        """The symbolic output (or list of outputs) of this layer on symbolic inputs; more calls share its parameters.

        named: further inputs; a mask is an Input (steps,), 0 for padding, and belongs to the last of several inputs.

        >>> import fastnn as fnn
        >>> x = fnn.Input((4,))
        >>> net = fnn.Network(inputs=x, outputs=fnn.Dense(1)(fnn.Dense(8, "relu")(x)))
        """
        for name in named:
            if name not in self.named_inputs:
                raise unknown_name(f"input of {type(self).__name__}", name, self.named_inputs)
        for given in (inputs, *named.values()):
            for node in given if isinstance(given, (list, tuple)) else [given]:
                if not isinstance(node, Node):
                    raise TypeError(
                        f"{type(self).__name__} was called with {type(node).__name__}; layers are called with fnn.Input"
                        "(...) or with what other layers returned. To compute with arrays, put the layer into a Network"
                    )
        outputs = Call(self, inputs, named, self.outputs).outputs
        return outputs if len(outputs) > 1 else outputs[0]


class Call:
    """One use of a layer: what it was called with, and the nodes that it returned."""

    __slots__ = ("layer", "inputs", "named", "outputs")

    def __init__(self, layer: Layer, inputs: Any, named: dict[str, Any], count: int) -> None:
        self.layer, self.inputs, self.named = layer, inputs, named
        self.outputs = [Node(self) for _ in range(count)]

    @property
    def sources(self) -> list[Node]:
        """All nodes that the call reads."""
        return [
            node
            for given in (self.inputs, *self.named.values())
            for node in (given if isinstance(given, (list, tuple)) else [given])
        ]


class Node:
    """A symbolic value: what a layer returns when it is called. Holds no data."""

    __slots__ = ("call",)

    def __init__(self, call: Call | None) -> None:
        self.call = call

    def __repr__(self) -> str:
        return f"<output of {'nothing' if self.call is None else self.call.layer!r}>"


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
        super().__init__(None)
        self.shape = sample_shape(shape, "shape")

    def __repr__(self) -> str:
        return f"Input({self.shape})"
