"""What a network is made of, layers in sequence or nodes of call syntax, and how that becomes a graph.

Walks over nodes are iterative, since graphs may be deeper than Python's stack.
"""

from ._graph import Graph, Value
from ._reading import mark_missing
from .errors import ShapeError
from .layers.base import Input, Layer, Node


class Structure:
    """Layers in sequence, or the graph from `inputs` to `outputs`; `layers` lists them as they first run."""

    def __init__(self, layers, inputs, outputs):
        if (layers is None) == (outputs is None) or (inputs is None) != (outputs is None):
            raise TypeError("Network takes either a list of layers, or inputs= and outputs=")
        self.inputs = self.outputs = None
        if outputs is None:
            self.layers = _checked_layers(layers)
        else:
            self.inputs, self.outputs = _nodes_of(inputs, "inputs", Input), _nodes_of(outputs, "outputs", Node)
            self.layers = _layers_of(self.outputs, self.inputs)

    @property
    def reader(self):
        """Who reads the input, for messages."""
        return f"layers.0 ({type(self.layers[0]).__name__})" if self.inputs is None else "the network"

    def shapes(self, input_shape=None):
        """The shapes of the inputs, where known from `Input` or given."""
        return (input_shape,) if self.inputs is None else tuple(node.shape for node in self.inputs)

    def plan(self, shapes, padded=(), graph=Graph, **options) -> Graph:
        """The graph for inputs of these shapes.

        padded: which inputs hold sequences of different lengths; each gets a mask, as one more input behind the others.
        graph: the class of the graph; options: its arguments, to share the parameters of another one and to stream.
        """
        g = graph(**options)
        masks = {i: Value(shapes[i][:1]) for i in padded}
        values = [g.input(shape, masks.get(i)) for i, shape in enumerate(shapes)]
        g.inputs.extend(masks.values())
        if self.inputs is None:
            x = values[0]
            for i, layer in enumerate(self.layers):
                x = g.layer(layer, f"layers.{i}", x)
            g.outputs = [x]
        else:
            paths = {layer: f"layers.{i}" for i, layer in enumerate(self.layers)}
            known = dict(zip(self.inputs, values, strict=True))
            g.outputs = [_plan_node(g, node, known, paths) for node in self.outputs]
        for value in values:
            if value.timed and len(value.shape) == 1 and value.kind == "real":
                raise ShapeError("sequences are samples of shape (steps, features); one feature is (steps, 1)")
        mark_missing(g)
        if len({value.root for value in g.outputs}) < len(g.outputs):
            raise ValueError("outputs: the same value is listed twice")
        return g


def _checked_layers(layers):
    if isinstance(layers, Layer):
        layers = [layers]
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(f"layers: expected a list of layers, got {layers!r}")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            fix = f"; write fnn.{layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"layers[{i}]: expected a layer, got {layer!r}{fix}")
    return list(layers)


def _nodes_of(nodes, name, kind):
    """One node or several as a list of nodes of this kind, each once."""
    nodes = list(nodes) if isinstance(nodes, (list, tuple)) else [nodes]
    for node in nodes:
        if not isinstance(node, kind):
            expected = "fnn.Input(...)" if kind is Input else "what layers returned"
            raise TypeError(f"{name}: expected {expected}, got {node!r}")
    if not nodes or len(set(nodes)) < len(nodes):
        raise ValueError(f"{name}: expected one or more different values")
    return nodes


def _layers_of(outputs, inputs):
    """The layers in the order in which they run first, each once."""
    layers, seen = [], set(inputs)
    unread = seen.difference(outputs)
    stack = [(node, False) for node in reversed(outputs)]
    while stack:
        node, expanded = stack.pop()
        if node in seen:
            continue
        if isinstance(node, Input):
            raise ValueError(f"{node!r} is used but is not among inputs=")
        if expanded:
            seen.add(node)
            if not any(node.call.layer is layer for layer in layers):  # equal layers are still two layers
                layers.append(node.call.layer)
        else:
            stack.append((node, True))
            stack.extend((source, False) for source in reversed(node.call.sources))
            unread.difference_update(node.call.sources)
    if unread:
        raise ValueError(f"inputs: no output depends on {', '.join(repr(node) for node in inputs if node in unread)}")
    return layers


def _plan_node(g, node, values, paths):
    """Plans a symbolic node after what it depends on; iterative, since graphs may be deep."""
    stack = [node]
    while stack:
        top = stack[-1]
        waiting = [source for source in top.call.sources if source not in values] if top not in values else []
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if top not in values:
            values.update(_plan_call(g, top.call, values, paths))
    return values[node]


def _plan_call(g, call, values, paths):
    """{node: value} of what a call returns."""

    def planned(given):
        return [values[node] for node in given] if isinstance(given, (list, tuple)) else values[given]

    x = planned(call.inputs)
    named = {name: planned(given) for name, given in call.named.items()}
    mask = named.pop("mask", None)
    if mask is not None:
        x = g.masked(x, mask, f"{paths[call.layer]} ({type(call.layer).__name__})")
    returned = g.layer(call.layer, paths[call.layer], x, several=True, **named)
    return dict(zip(call.outputs, returned if isinstance(returned, list) else [returned], strict=True))
