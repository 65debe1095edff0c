"""What an input may hold beside finite numbers: NaN, where all who read it take missing values; known categories alone.

Layers say it in the attributes of their ops: `takes_missing`, the features that may be NaN; `passes`, for each of the
output's first features the feature of the input that it is; `unknown`, "error" where categories have to be known.
Knows nothing of users' arrays but what is in them.
"""

from functools import partial

import numpy as np

from ._arrays import place


def mark_missing(graph):
    """Lets the graph's inputs say which of their features may be NaN."""
    if any(op.attrs.get("takes_missing") for op in graph.ops):
        for value in graph.inputs:
            value.missing = partial(_taken, graph, value)


def _taken(graph, value):
    """The features of a value that all its readers let be NaN."""
    root = value.root
    readers = [(op, given) for op in graph.ops for given in op.inputs if given.root is root]
    if not readers or any(shown.root is root for shown in graph.outputs):
        return frozenset()
    taken = every = frozenset(range(root.shape[-1]))
    for op, given in readers:
        features = _taken_by(graph, op)
        if given.shape[-1] != root.shape[-1]:  # under another shape only all of them are known to be the same
            features = every if len(features) == given.shape[-1] else frozenset()
        taken &= features
    return taken


def _taken_by(graph, op):
    features = frozenset(op.attrs.get("takes_missing", ()))
    passes = op.attrs.get("passes", ())
    if not passes:
        return features
    later = _taken(graph, op.output)
    return features | {feature for i, feature in enumerate(passes) if i in later}


def strict_columns(graph):
    """(op, input's number, column, the state with its categories) where only known categories may come."""
    return [
        (op, i, column, op.state[f"categories.{column}"])
        for op in graph.ops if op.attrs.get("unknown") == "error"
        for i, value in enumerate(graph.inputs) if value.root is op.inputs[0].root
        for column in op.attrs["columns"]
    ]  # fmt: skip


def check_categories(graph, state, arrays):
    """Raises ValueError for the first category that is not known where it has to be."""
    for op, i, column, categories in strict_columns(graph):
        values = arrays[i][..., column]
        known = np.isin(values, categories.flat(state))
        if op.attrs["missing"]:
            known |= np.isnan(values)
        if not known.all():
            position = int(np.argmin(known))
            name = "X" if len(graph.inputs) == 1 else f"X[{i}]"
            where = f"{place(values.shape, position)}, column {column}"
            raise ValueError(
                f"{name} holds {values.flat[position]:g} at {where}: {op.where} knows no such category; "
                'unknown="zeros" takes it for none'
            )
