"""What a network is at a moment, as plain parts: structure, settings, counters, arrays. Files, pickle, copies use it.

A snapshot holds no programs, no locks and no graph: those are made again. Calls are numbered instead of nested, since
graphs may be deeper than Python's stack. Its arrays are the network's own memory until somebody copies them.
"""

from functools import partial

import numpy as np

from .. import _figures, _metadata
from .._core import kernels
from .._graph import Graph
from .._programs import State
from .._structure import Structure
from .._vectors import aligned_vector
from ..errors import ModelFileError
from ..layers.base import Input
from ..network import Network

SETTINGS = ("loss", "optimizer", "metrics", "input_shape", "precision", "seed")


class BoundedGraph(Graph):
    """A graph whose parameters and state must be of `shapes`, {name: shape}, so that it cannot outgrow them.

    Raises ModelFileError at the first that is missing or differs, before memory for anything is made.
    """

    def __init__(self, shapes, **options):
        super().__init__(learned=shapes, **options)
        self._shapes = shapes

    def _named(self, found, role, make):
        param = super()._named(found, role, make)
        saved = self._shapes.get(param.name)
        if saved is None:
            raise ModelFileError(f"there is no {param.name}, which {self.where()} needs")
        if saved != param.shape:
            raise ModelFileError(f"{param.name} has shape {saved}, {self.where()} needs {param.shape}")
        return param


def take(net) -> dict:
    """The snapshot of a network that is not in training, or is at a callback of it."""
    state = net._state
    settings = {name: getattr(net, name) for name in SETTINGS}
    built = None
    if state is not None:
        built = {
            "shapes": [value.shape for value in state.graph.inputs[: len(net._structure.shapes())]],
            "counters": {name: getattr(state, name) for name in State.COUNTERS},
            "weights": state.memory.named(),
            "slots": dict(state.memory.slots),
        }
    settings["dtype"] = net.dtype.name
    return {
        "structure": numbered(net._structure),
        "settings": settings,
        "random_seed": net._seed,
        "built": built,
        "metadata": _metadata.checked(net.metadata),  # once more: a dict can be written to
        "added": _added(net, settings),
    }


def _added(net, settings) -> dict:
    """The attributes that a subclass of Network has given itself."""
    if type(net) is Network:
        return {}
    plain = Network.__new__(Network)
    plain._configure(net._structure, **settings)
    return {name: value for name, value in vars(net).items() if name not in vars(plain) and name != "losses"}


def restore(net, snapshot, fill=np.copyto):
    """Makes a network that has no attributes yet what the snapshot says; fill(array, saved) reads one array."""
    net._configure(structure_of(snapshot["structure"]), **snapshot["settings"])
    net._seed = snapshot["random_seed"]
    net.metadata = snapshot.get("metadata", {})
    built = snapshot["built"]
    if built is not None:
        net._commit(_state(net, built, fill))
    vars(net).update(snapshot.get("added", {}))


def _state(net, built, fill):
    """The state of a network, with the saved arrays; all of them are checked before memory is made."""
    weights, slots = built["weights"], built["slots"]
    shapes = {name: saved.shape for name, saved in weights.items()}
    graph = net._structure.plan(built["shapes"], graph=partial(BoundedGraph, shapes))
    unread = [name for name in weights if name not in graph.params and name not in graph.states]
    if unread:
        raise ModelFileError(f"{unread[0]} belongs to no layer")
    _figures.losses_of(graph, net.loss)
    _check_arrays(net, built, graph)
    state = State(net._structure, graph, net.dtype, net.precision, net._seed)
    order = [name for name in weights if name in graph.params]
    for name, view in state.memory.named().items():
        fill(view, weights[name])
    for name, saved in slots.items():
        state.memory.slots[name] = _slot(graph, net.dtype, order, saved, fill)
    for name, count in built["counters"].items():
        setattr(state, name, count)
    return state


def _check_arrays(net, built, graph):
    rules = kernels.engine_of(net.dtype).OPTIMIZERS
    _, known = rules.get(getattr(net.optimizer, "update", ""), (None, ()))
    for name, saved in built["slots"].items():
        if name not in known:
            raise ModelFileError(f"optimizer.{name} is no slot of {type(net.optimizer).__name__}")
        if saved.shape != (graph.size,):
            raise ModelFileError(f"optimizer.{name} has shape {saved.shape}, the weights have {graph.size} elements")
    for name, saved in (*built["weights"].items(), *built["slots"].items()):
        if saved.dtype != net.dtype:
            raise ModelFileError(f"{name} has the dtype {saved.dtype}, the network {net.dtype}")


def _slot(graph, dtype, order, saved, fill):
    """A slot in the layout of `graph`, from one in the saved weights' order."""
    slot = aligned_vector(graph.size, dtype)
    if order == list(graph.params):
        fill(slot, saved)
        return slot
    whole, at = np.empty_like(slot), 0
    fill(whole, saved)
    for name in order:
        param = graph.params[name]
        param.flat(slot)[:] = whole[at : at + param.size]
        at += param.size
    return slot


# ---- structure --------------------------------------------------------------------------------------------------


def numbered(structure) -> dict:
    """A structure with numbers in place of nodes: first the inputs, then what each call returns, in their order."""
    if structure.inputs is None:
        return {"layers": list(structure.layers), "inputs": None, "calls": None, "outputs": None}
    index = {id(layer): i for i, layer in enumerate(structure.layers)}
    numbers = {node: i for i, node in enumerate(structure.inputs)}
    calls = []
    for call in _calls(structure.outputs, numbers):
        named = {name: _each(given, numbers.__getitem__) for name, given in call.named.items()}
        calls.append((index[id(call.layer)], _each(call.inputs, numbers.__getitem__), named))
        for node in call.outputs:
            numbers[node] = len(numbers)
    return {
        "layers": list(structure.layers),
        "inputs": [node.shape for node in structure.inputs],
        "calls": calls,
        "outputs": [numbers[node] for node in structure.outputs],
    }


def structure_of(numbers) -> Structure:
    """The structure that `numbered` wrote down."""
    if numbers["inputs"] is None:
        return Structure(numbers["layers"], None, None)
    nodes = [Input(shape) for shape in numbers["inputs"]]
    inputs = list(nodes)
    for layer, given, named in numbers["calls"]:
        arguments = {name: _each(one, nodes.__getitem__) for name, one in named.items()}
        returned = numbers["layers"][layer](_each(given, nodes.__getitem__), **arguments)
        nodes.extend(returned if isinstance(returned, list) else [returned])
    return Structure(None, inputs, [nodes[number] for number in numbers["outputs"]])


def _each(given, function):
    return [function(one) for one in given] if isinstance(given, (list, tuple)) else function(given)


def _calls(outputs, known):
    """The calls that lead from the known nodes to the outputs, each after those that it needs."""
    ordered, seen = [], set()
    stack = [(node.call, False) for node in reversed(outputs) if node not in known]
    while stack:
        call, expanded = stack.pop()
        if id(call) in seen:
            continue
        if expanded:
            seen.add(id(call))
            ordered.append(call)
        else:
            stack.append((call, True))
            stack.extend((node.call, False) for node in reversed(call.sources) if node not in known)
    return ordered
