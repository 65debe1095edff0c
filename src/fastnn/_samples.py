"""From what users pass to what programs are fed: inputs, targets and weights of one call, checked together.

The checks of single arrays are `_data`'s; here they meet the graph: how many inputs and outputs there are, and what the
losses take.
"""

import numpy as np

from . import _data
from ._arrays import sequences as sequences_in
from ._reading import check_categories
from .errors import ShapeError


class Inputs:
    """Checked arrays for all inputs; `lengths` has those of sequences that were padded to one length, by input."""

    __slots__ = ("arrays", "lengths")

    def __init__(self, arrays, lengths):
        self.arrays, self.lengths = arrays, lengths

    @property
    def n(self):
        return len(self.arrays[0])

    @property
    def shapes(self):
        return tuple(array.shape[1:] for array in self.arrays)

    @property
    def padded(self):
        return tuple(self.lengths)

    def cut(self, output, value, graph):
        """The output as a list of arrays of the sequences' own lengths, where the graph says it has their steps."""
        place = None if value.mask is None else graph.inputs.index(value.mask.root)
        lengths = None if place is None else self.lengths_of(place)
        return output if lengths is None else [one[:length] for one, length in zip(output, lengths, strict=True)]

    def lengths_of(self, place):
        """The lengths behind the mask that is fed at `place`; None where the caller made that mask."""
        masks = [None] * len(self.arrays) + list(self.lengths.values())
        return masks[place]

    def fed(self, dtype):
        """The arrays and behind them the masks, as a graph for `shapes` and `padded` has its inputs."""
        masks = [
            (np.arange(self.arrays[i].shape[1]) < lengths[:, None]).astype(dtype) for i, lengths in self.lengths.items()
        ]
        return [*self.arrays, *masks]


class Samples:
    """Checked arrays of n samples for a graph: one for each of its inputs, and for each output with its loss.

    weights: for each position of each output, where there are any; masks: for each output (n, steps), or None.
    """

    __slots__ = ("graph", "n", "inputs", "targets", "kinds", "weights", "masks", "sample_weight")

    def __init__(self, graph, inputs, targets, weights, masks, sample_weight):
        self.graph, self.n, self.inputs, self.targets = graph, len(inputs[0]), inputs, targets
        self.kinds = tuple(("ids" if t.dtype == np.int32 else "real", t.shape[1:]) for t in targets)
        self.weights, self.masks, self.sample_weight = weights, masks, sample_weight

    def split(self, fraction):
        """(first part, last part), the last holding `fraction` of the samples."""
        at = self.n - int(self.n * fraction)
        if at in (0, self.n):
            raise ValueError(f"validation_split={fraction} of {self.n} samples leaves a part empty")
        parts = self._part(slice(None, at)), self._part(slice(at, None))
        if any(part.sample_weight is not None and not part.sample_weight.any() for part in parts):
            raise ValueError(f"validation_split={fraction} leaves a part whose samples all have the weight 0")
        return parts

    def first(self, count):
        """The first so many samples, or all if there are no more."""
        return self._part(slice(None, count))

    def _part(self, rows):
        def cut(arrays):
            return [None if array is None else array[rows] for array in arrays]

        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Samples(self.graph, cut(self.inputs), cut(self.targets), cut(self.weights), cut(self.masks), weight)

    def measured(self, i, output=None):
        """(target, output, sample weight) of output i as metrics take them: the steps that count, one after another."""
        target, weight, mask = self.targets[i], self.sample_weight, self.masks[i]
        if mask is not None:
            weight = None if weight is None else np.broadcast_to(weight[:, None], mask.shape)[mask != 0]
            target, output = target[mask != 0], None if output is None else output[mask != 0]
        if target.dtype == np.int32 and target.shape[1:] == (1,):
            target = target[:, 0]
        return target, output, weight


def several(values, count, name):
    """`values` as a list of `count` arrays; one value alone is that list's only item."""
    if count == 1:
        return [values]
    if not isinstance(values, (list, tuple)) or len(values) != count:
        got = f"{len(values)}" if isinstance(values, (list, tuple)) else f"one {type(values).__name__}"
        raise ShapeError(f"{name}: the network has {count}, expected a list of {count} arrays, got {got}")
    return list(values)


def read_inputs(X, values, dtype, where, checked_later=False, missing=False) -> Inputs:
    """Checked inputs; `values` has what the graph says of each, or None.

    Other lengths than the network was built for, and lists of sequences of different lengths, are let through: whether
    all layers take them is the graph's to say.
    checked_later: a program will look for NaN and infinities where an array is taken as it is. missing: whether inputs
    that the graph says nothing of may hold NaN; else the graph says which features may.
    """
    given = several(X, len(values), "X")
    names = ["X"] if len(given) == 1 else [f"X[{i}]" for i in range(len(given))]
    arrays, lengths = [], {}
    for i, (array, value, name) in enumerate(zip(given, values, names, strict=True)):
        ids = value is not None and value.kind == "ids"
        options = {"name": name, "where": where, "integer": ids, "limit": value and value.limit,
                   "missing": missing or (value is not None and value.missing)}  # fmt: skip
        free = 0 if value is None else len(value.shape) - (not ids)  # the features are what a layer is made for
        sequences = sequences_in(array, name) if free or value is None else None
        if sequences is None:
            shape = value and value.shape
            arrays.append(_data.features(array, shape, dtype, free=free, checked_later=checked_later, **options))
        else:
            arrays.append(_data.padded(sequences, value and value.shape[free:], dtype, **options))
            lengths[i] = np.array([len(one) for one in sequences])
        if len(arrays[i]) != len(arrays[0]):
            raise ShapeError(f"{name} has {len(arrays[i])} samples, {names[0]} has {len(arrays[0])}")
    return Inputs(arrays, lengths)


def graph_of(inputs, state, where):
    """The graph for these inputs, which may be longer or shorter than those that the network was built for."""
    try:
        graph = state.graph_for(inputs.shapes, inputs.padded)
    except ShapeError:
        if not inputs.padded:  # the plain answer, rather than which layer could not do with another length
            for i, (array, value) in enumerate(zip(inputs.arrays, state.graph.inputs, strict=True)):
                name = "X" if len(inputs.arrays) == 1 else f"X[{i}]"
                _data.expect_samples(array, value.shape, name, where)
        raise
    check_categories(graph, state.memory.state, inputs.arrays)
    return graph


def read_samples(X, y, state, losses, where, sample_weight=None, class_weight=None) -> Samples:
    """Everything that a pass with a loss needs, checked."""
    dtype = state.memory.dtype
    inputs = read_inputs(X, state.graph.inputs, dtype, where)
    graph, n = graph_of(inputs, state, where), inputs.n
    fed = inputs.fed(dtype)
    outputs = graph.outputs
    places = [None if value.mask is None else graph.inputs.index(value.mask.root) for value in outputs]
    names = ["y"] if len(outputs) == 1 else [f"y[{i}]" for i in range(len(outputs))]
    targets = [
        _target(one, loss, value.shape, n, dtype, name, None if place is None else inputs.lengths_of(place))
        for one, loss, value, name, place in zip(
            several(y, len(outputs), "y"), losses, outputs, names, places, strict=True
        )
    ]
    shapes = [value.shape for value in outputs]
    weight = _weights(sample_weight, class_weight, targets, shapes, losses, n, dtype)
    masks = [None if place is None else fed[place] for place in places]
    weights = []
    if weight is not None or any(mask is not None for mask in masks):
        positions = [loss.positions(shape) for loss, shape in zip(losses, shapes, strict=True)]
        weights = [
            _position_weights(weight, mask, n, count, dtype) for mask, count in zip(masks, positions, strict=True)
        ]
    return Samples(graph, fed, targets, weights, masks, weight)


def _position_weights(weight, mask, n, count, dtype):
    """(n, count): the weight of a sample at each position of its output, 0 where it is padding."""
    each = np.ones((n, 1), dtype) if weight is None else weight[:, None]
    if mask is None:
        return np.repeat(each, count, axis=1)
    return np.repeat(each * (mask != 0), count // mask.shape[1], axis=1).astype(dtype)


def _target(y, loss, shape, n, dtype, name, lengths):
    sequences = None if lengths is None else sequences_in(y, name)
    if sequences is not None:
        y = _data.pad_targets(sequences, lengths, name)
    if loss.target == "any":
        array = _data.features(y, None, dtype, name=name)
        if len(array) != n:
            raise ShapeError(f"{name} has {len(array)} samples, X has {n}")
        return array
    array = _data.targets(y, loss.target, shape, n, dtype, name=name)
    return array.reshape(n, -1) if array.ndim == 1 else array


def _weights(sample_weight, class_weight, targets, shapes, losses, n, dtype):
    """The product of sample and class weights, or None."""
    weight = None if sample_weight is None else _data.sample_weights(sample_weight, n, dtype)
    if class_weight is not None:
        if len(targets) > 1 or losses[0].target not in ("classes", "binary", "sign"):
            raise ValueError("class_weight needs one output with classes; give sample_weight instead")
        y = targets[0]
        if losses[0].target == "sign":
            y = (y > 0).astype(y.dtype)
        ids = y[:, 0] if y.shape[1:] == (1,) and y.dtype == np.int32 else y
        of_class = _data.class_weights(class_weight, ids, max(2, shapes[0][-1])).astype(dtype)
        weight = of_class if weight is None else weight * of_class
        if not weight.any():
            raise ValueError("sample_weight and class_weight together give every sample the weight 0; one must count")
    if weight is not None and any(loss.target == "any" for loss in losses):
        raise ValueError("a loss function of your own takes no weights: weigh the samples inside it")
    return weight
