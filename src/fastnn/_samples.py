"""From what users pass to what programs are fed: inputs, targets and weights of one call, checked together.

The checks of single arrays are `_data`'s; here they meet the graph: how many inputs and outputs there are, and what the
losses take.
"""

import numpy as np

from . import _data
from .errors import ShapeError


class Samples:
    """Checked arrays of n samples: one for each input, and for each output with its loss."""

    __slots__ = ("n", "inputs", "targets", "kinds", "weights", "sample_weight")

    def __init__(self, n, inputs, targets=(), kinds=(), weights=(), sample_weight=None):
        self.n, self.inputs, self.targets, self.kinds = n, inputs, targets, kinds
        self.weights, self.sample_weight = weights, sample_weight

    def split(self, fraction):
        """(first part, last part), the last holding `fraction` of the samples."""
        at = self.n - int(self.n * fraction)
        if at in (0, self.n):
            raise ValueError(f"validation_split={fraction} of {self.n} samples leaves a part empty")
        parts = self._part(slice(None, at)), self._part(slice(at, None))
        if any(part.sample_weight is not None and not part.sample_weight.any() for part in parts):
            raise ValueError(f"validation_split={fraction} leaves a part whose samples all have the weight 0")
        return parts

    def _part(self, rows):
        def cut(arrays):
            return [array[rows] for array in arrays]

        weight = None if self.sample_weight is None else self.sample_weight[rows]
        inputs = cut(self.inputs)
        return Samples(len(inputs[0]), inputs, cut(self.targets), self.kinds, cut(self.weights), weight)


def several(values, count, name):
    """`values` as a list of `count` arrays; one value alone is that list's only item."""
    if count == 1:
        return [values]
    if not isinstance(values, (list, tuple)) or len(values) != count:
        got = f"{len(values)}" if isinstance(values, (list, tuple)) else f"one {type(values).__name__}"
        raise ShapeError(f"{name}: the network has {count}, expected a list of {count} arrays, got {got}")
    return list(values)


def read_inputs(X, values, dtype, where, checked_later=False):
    """Checked input arrays; `values` has what the graph says of each input, or None.

    checked_later: a program will look for NaN and infinities where an array is taken as it is.
    """
    arrays = several(X, len(values), "X")
    names = ["X"] if len(arrays) == 1 else [f"X[{i}]" for i in range(len(arrays))]
    checked = [
        _data.features(
            array, value and value.shape, dtype, name=name, where=where, checked_later=checked_later,
            integer=value is not None and value.kind == "ids", limit=value and value.limit,
        )
        for array, value, name in zip(arrays, values, names, strict=True)
    ]  # fmt: skip
    for name, array in zip(names, checked, strict=True):
        if len(array) != len(checked[0]):
            raise ShapeError(f"{name} has {len(array)} samples, {names[0]} has {len(checked[0])}")
    return checked


def read_samples(X, y, graph, losses, dtype, where, sample_weight=None, class_weight=None) -> Samples:
    """Everything that a pass with a loss needs, checked."""
    inputs = read_inputs(X, graph.inputs, dtype, where)
    n = len(inputs[0])
    shapes = [value.shape for value in graph.outputs]
    names = ["y"] if len(shapes) == 1 else [f"y[{i}]" for i in range(len(shapes))]
    targets = [
        _target(one, loss, shape, n, dtype, name)
        for one, loss, shape, name in zip(several(y, len(shapes), "y"), losses, shapes, names, strict=True)
    ]
    kinds = tuple(("ids" if t.dtype == np.int32 else "real", t.shape[1:]) for t in targets)
    weight = _weights(sample_weight, class_weight, targets, shapes, losses, n, dtype)
    weights = []
    if weight is not None:
        positions = [loss.positions(shape) for loss, shape in zip(losses, shapes, strict=True)]
        weights = [np.repeat(weight[:, None], count, axis=1) for count in positions]
    return Samples(n, inputs, targets, kinds, weights, weight)


def _target(y, loss, shape, n, dtype, name):
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
