"""From call syntax to layers in order: what depends on what among the nodes that `Input` and called layers return.

Walks are iterative, since graphs may be deeper than Python's stack.
"""

from .layers.base import Input


def nodes_of(nodes, name, kind):
    """One node or several as a list of nodes of this kind, each once."""
    nodes = list(nodes) if isinstance(nodes, (list, tuple)) else [nodes]
    for node in nodes:
        if not isinstance(node, kind):
            expected = "fnn.Input(...)" if kind is Input else "what layers returned"
            raise TypeError(f"{name}: expected {expected}, got {node!r}")
    if not nodes or len(set(nodes)) < len(nodes):
        raise ValueError(f"{name}: expected one or more different values")
    return nodes


def _sources(node):
    return node.inputs if isinstance(node.inputs, (list, tuple)) else [node.inputs]


def layers_of(outputs, inputs):
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
            if not any(node.layer is layer for layer in layers):  # equal layers are still two layers
                layers.append(node.layer)
        else:
            stack.append((node, True))
            stack.extend((source, False) for source in reversed(_sources(node)))
            unread.difference_update(_sources(node))
    if unread:
        raise ValueError(f"inputs: no output depends on {', '.join(repr(node) for node in inputs if node in unread)}")
    return layers


def plan_node(g, node, values, paths):
    """Plans a symbolic node after what it depends on; iterative, since graphs may be deep."""
    stack = [node]
    while stack:
        top = stack[-1]
        waiting = [source for source in _sources(top) if source not in values] if top not in values else []
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if top not in values:
            x = [values[s] for s in top.inputs] if isinstance(top.inputs, list) else values[top.inputs]
            values[top] = g.layer(top.layer, paths[top.layer], x)
    return values[node]
