"""A network from layers and another library's arrays: which arrays are whose, and in which order features stand.

What the libraries' own modules do is to name layers and arrays; here the layers become a network and the arrays its
weights. Libraries that keep channels first (PyTorch) flatten images channel by channel, fastnn pixel by pixel: what
comes after a Flatten has its features reordered.
"""

import numpy as np

from ..layers import base, conv, dense, pooling, shape
from ..network import Network

_IMAGES = (conv._Convolution, pooling._Pooling, pooling._GlobalPooling)
_ANY_ORDER = ("activation", "dropout")  # layers that treat every element alike


class Group:
    """The arrays of one layer of the other library: `where` it stands there, and how they become fastnn's.

    convert(layer, arrays) returns {role: array}, as fastnn has them.
    """

    __slots__ = ("where", "arrays", "convert")

    def __init__(self, where, arrays, convert):
        self.where, self.arrays, self.convert = where, arrays, convert


def assemble(layers, groups, input_shape, *, channels_first, options) -> Network:
    """The network of these layers with the arrays of `groups`, which stand in the order of the layers that have some.

    channels_first: the other library's images are (channels, height, width).

    Raises:
        ValueError: arrays and layers do not belong together; ShapeError: their shapes differ.
    """
    options.setdefault("dtype", _dtype_of(groups))
    net = Network(layers, input_shape=input_shape, **options)
    owners = _owners(net)
    if len(owners) != len(groups):
        theirs = ", ".join(group.where for group in groups) or "none"
        ours = ", ".join(f"{row.path} ({type(row.layer).__name__})" for row in owners) or "none"
        raise ValueError(
            f"{len(groups)} layers with weights ({theirs}) for {len(owners)} layers that need some ({ours})"
        )
    group_of = dict(zip((row.path for row in owners), groups, strict=True))
    order = _FeatureOrder(net.input_shape, channels_first)
    weights = {}
    for row in net._state.graph.layers:
        group = group_of.get(row.path)
        found = {} if group is None else _converted(group, row)
        found = order.through(row, found)
        weights.update({f"{row.path}.{role}": array for role, array in found.items()})
    order.end()
    net.set_weights(weights)
    return net


def _converted(group, row):
    try:
        return group.convert(row.layer, group.arrays)
    except KeyError as missing:
        raise ValueError(f"{group.where} has no {missing}, which {_name(row)} needs") from None


def _dtype_of(groups):
    wide = any(array.dtype == np.float64 for group in groups for array in group.arrays.values())
    return "float64" if wide else "float32"


def _owners(net):
    """The rows of the layers that have weights of their own, in the order of the graph."""
    paths = {name.rpartition(".")[0] for name in net.get_weights()}
    return [row for row in net._state.graph.layers if row.path in paths]


class _FeatureOrder:
    """Follows the samples through the layers: what their axes mean in the other library, and how it flattens them.

    images: whether the axes before the last are an image's or a sequence's whose channels stand first there; None as
    long as no layer has told. order: ours[i] is theirs[order[i]], for features that came from a Flatten; None where
    they stand alike.
    """

    def __init__(self, shape, channels_first):
        self.shape, self.order = shape, None
        self.images = channels_first and (len(shape) == 3 or None)
        self.channels_first = channels_first

    def through(self, row, weights):
        """The weights of a layer in fastnn's order; notes what its output is like."""
        layer = row.layer
        if self.channels_first:
            weights = self._through(layer, row, weights)
        if row.depth == 0:
            self.shape = row.shape
        return weights

    def _through(self, layer, row, weights):
        if isinstance(layer, _IMAGES):
            if self.images is False:
                raise ValueError(
                    f"{_name(row)} takes channels first in PyTorch, and the layer before it gives them last"
                )
            self.images = True
        elif isinstance(layer, dense.Dense):
            self._expect_features(row)
            if self.order is not None:
                weights, self.order = {**weights, "weight": weights["weight"][self.order]}, None
        elif isinstance(layer, shape.Flatten):
            self._flatten(row)
        elif layer.name == "batch_norm":
            self.images = True if len(self.shape) > 1 and self.images is None else self.images
            weights = weights if self.order is None else {role: array[self.order] for role, array in weights.items()}
        elif layer.name not in _ANY_ORDER:
            if self.order is not None:
                raise ValueError(f"{_name(row)} stands after a Flatten of images: a Linear has to come first")
            if not hasattr(layer, "layers"):  # those in a container come next
                self._expect_features(row)
        elif getattr(layer, "activation", "") == "softmax" and len(self.shape) > 1:
            raise ValueError(f"{_name(row)}: over which axis it goes is not known here; let a Dense layer end with it")
        return weights

    def _expect_features(self, row):
        if self.images and len(self.shape) > 1:
            raise ValueError(
                f"{_name(row)} works on the last axis, which is no channel in PyTorch after a layer for images; put a "
                "Flatten or global pooling before it"
            )
        self.images = False

    def _flatten(self, row):
        if row.depth or self.order is not None:
            raise ValueError(f"{_name(row)}: a Flatten inside another layer, or a second one, cannot be followed")
        if self.images and len(self.shape) > 1:
            *pixels, channels = self.shape
            theirs = np.arange(np.prod(self.shape)).reshape(channels, *pixels)
            self.order = np.moveaxis(theirs, 0, -1).reshape(-1)
        self.images = False

    def end(self):
        """ValueError if the output would stand in another order than the other library's."""
        if self.order is not None and (np.diff(self.order) != 1).any():
            raise ValueError(
                "it ends with a Flatten of images, whose order differs: leave it out, or end with a Linear"
            )


def _name(row):
    return f"{row.path} ({type(row.layer).__name__})"


def check_layers(layers):
    """Raises TypeError unless `layers` is a list of layers."""
    if not isinstance(layers, (list, tuple)) or not all(isinstance(layer, base.Layer) for layer in layers):
        raise TypeError("layers: expected a list of fastnn layers")
    return list(layers)
