"""Networks of PyTorch: a Sequential of known modules, or any state dict beside the layers that it belongs to.

PyTorch itself is not imported: modules are known by their class's name, tensors by what they can do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers as fnn
from ..errors import ShapeError
from ._assemble import Group, assemble, check_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import Shape
    from ..network import Network

_RECURRENT = re.compile(r"(?:weight|bias)_(?:ih|hh)(_l\d+(?:_reverse)?)")


def from_torch(
    module: Any, layers: Sequence[fnn.Layer] | None = None, *, input_shape: Shape | None = None, **options: Any
) -> Network:
    """A network with the weights of a PyTorch module; it predicts what the module does in `eval()`, to rounding.

    Samples are fastnn's: images (height, width, channels) and sequences (time, channels), where PyTorch has channels
    first. Weights after a Flatten are reordered for that.

    Args:
        module: a Sequential (of Sequentials) of Linear, Conv1d, Conv2d, MaxPool, AvgPool, AdaptiveAvgPool and
            AdaptiveMaxPool to one, BatchNorm, LayerNorm, Embedding, Flatten, Dropout, Identity and activations; or with
            `layers` any module, or its state dict.
        layers: fastnn layers that compute the same, for modules of other classes; the module's weights go to the layers
            that have some, in order.
        input_shape: of one sample, as fastnn has it; not needed where a Linear comes first and sees (features,).
        options: of Network: loss, optimizer, metrics, seed, dtype (the default follows the weights), precision.

    Raises:
        ValueError, TypeError: a module, or an argument of it, has no counterpart; with its name.
        ShapeError: layers and weights do not fit.

    >>> import fastnn as fnn, numpy as np
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3)), "2.bias": np.ones(1)}
    >>> net = fnn.from_torch(state, [fnn.Dense(3, "relu"), fnn.Dense(1)], input_shape=2)
    >>> net.predict([[1.0, 2.0]]).tolist()
    [[10.0]]
    """
    if layers is None:
        if isinstance(module, Mapping):
            raise TypeError(
                "a state dict does not say what its weights are used for: give layers=[...] and input_shape="
            )
        found, groups = _translated(module)
    else:
        found = check_layers(layers)
        groups = _groups(module if isinstance(module, Mapping) else module.state_dict())
    shape = _first_features(found, groups) if input_shape is None else input_shape
    return assemble(found, groups, shape, channels_first=True, options=options)


def _first_features(layers, groups):
    first = next((layer for layer in layers if layer.name not in ("activation", "dropout")), None)
    if isinstance(first, fnn.Dense) and groups and "weight" in groups[0].arrays:
        return groups[0].arrays["weight"].shape[1]
    raise ShapeError(
        "give input_shape=, the shape of one sample as fastnn has it: images are (height, width, channels)"
    )


def _array(tensor):
    """A tensor as float64 if it is that, else float32."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = (tensor if "float64" in str(tensor.dtype) else tensor.float()).numpy()
    array = np.asarray(tensor)
    return array if array.dtype == np.float64 else array.astype(np.float32)


# ---- a state dict, for layers that are given ---------------------------------------------------------------------


def _groups(state):
    """The arrays of a state dict by the module that they belong to, recurrent ones by their layer and direction."""
    found = {}
    for name, tensor in state.items():
        prefix, _, role = name.rpartition(".")
        if role == "num_batches_tracked":
            continue
        match = _RECURRENT.fullmatch(role)
        if match:
            prefix, role = prefix + match[1], role.replace(match[1], "")
        found.setdefault(prefix, {})[role] = _array(tensor)
    return [Group(where, arrays, _weights) for where, arrays in found.items()]


# ---- weights ------------------------------------------------------------------------------------------------------


def _weights(layer, arrays):
    """{role: array} of a fastnn layer from the arrays of the module that is its counterpart."""
    if layer.name not in _WEIGHTS:
        raise ValueError(f"from_torch does not know how {type(layer).__name__} has its weights in PyTorch")
    return _WEIGHTS[layer.name](arrays)


def _bias(arrays):
    return {"bias": arrays["bias"]} if "bias" in arrays else {}


def _dense(arrays):
    return {"weight": arrays["weight"].T, **_bias(arrays)}


def _convolution(arrays):
    """(out, in / groups, ...) as (..., in / groups, out)."""
    return {"weight": np.moveaxis(arrays["weight"], (0, 1), (-1, -2)), **_bias(arrays)}


def _batch_norm(arrays):
    mean = arrays["running_mean"]
    return {
        "weight": arrays.get("weight", np.ones_like(mean)),
        "bias": arrays.get("bias", np.zeros_like(mean)),
        "running_mean": mean,
        "running_variance": arrays["running_var"],
    }


def _layer_norm(arrays):
    return {"weight": arrays["weight"], "bias": arrays.get("bias", np.zeros_like(arrays["weight"]))}


def _recurrent(arrays):
    """One bias, the sum of both, where the cell adds them anyway."""
    bias = {"bias": arrays["bias_ih"] + arrays["bias_hh"]} if "bias_ih" in arrays else {}
    return {"weight": arrays["weight_ih"].T, "recurrent_weight": arrays["weight_hh"].T, **bias}


def _gru(arrays):
    both = {"bias": arrays["bias_ih"], "recurrent_bias": arrays["bias_hh"]} if "bias_ih" in arrays else {}
    return {**_recurrent(arrays), **both}


_WEIGHTS = {
    "dense": _dense, "conv1_d": _convolution, "conv2_d": _convolution, "batch_norm": _batch_norm,
    "layer_norm": _layer_norm, "rms_norm": lambda arrays: {"weight": arrays["weight"]},
    "embedding": lambda arrays: {"weight": arrays["weight"]}, "rnn": _recurrent, "lstm": _recurrent, "gru": _gru,
}  # fmt: skip


# ---- modules ------------------------------------------------------------------------------------------------------


def _leaves(module, where):
    """(name, module) of what a Sequential runs, in order."""
    if type(module).__name__ == "Sequential" and _is_torch(module):
        for name, child in module._modules.items():
            yield from _leaves(child, f"{where}.{name}" if where else name)
    else:
        yield where or "the module", module


def _is_torch(module):
    return type(module).__module__.startswith("torch.nn.")


def _translated(module):
    """The counterparts of the modules of a Sequential, and the arrays of those that have some."""
    layers, groups, seen = [], [], set()
    for where, leaf in _leaves(module, ""):
        if id(leaf) in seen and leaf.state_dict():
            raise ValueError(
                f"{where} ({type(leaf).__name__}) stands twice; say which layers share weights, by layers="
            )
        seen.add(id(leaf))
        _translate(where, leaf, layers, groups)
    return layers, groups


def _translate(where, module, layers, groups):
    """Appends the counterpart of a module, and its arrays where it has some."""
    kind = type(module).__name__
    name = f"{where} ({kind})"
    if not _is_torch(module) or kind not in _MODULES:
        raise ValueError(
            f"{name} has no counterpart. Known: {', '.join(_MODULES)}. For others say what they compute, "
            "from_torch(module, layers=[...], input_shape=...)"
        )
    made = _MODULES[kind](module, name)
    if made is not None:  # Identity is nothing
        layers.append(made)
    state = module.state_dict()
    if state:
        arrays = {role: _array(tensor) for role, tensor in state.items() if role != "num_batches_tracked"}
        groups.append(Group(name, arrays, _weights))
    elif kind.startswith(("BatchNorm", "LayerNorm")):
        raise ValueError(f"{name} has neither weights nor running statistics, which fastnn's has")


def _need(name, **facts):
    """Raises ValueError for the first argument of a module that is not what fastnn can do."""
    for argument, (value, *allowed) in facts.items():
        if value not in allowed:
            wanted = " or ".join(map(repr, allowed))
            raise ValueError(f"{name}: {argument}={value!r} has no counterpart, only {wanted} has")


def _layer(name):
    """The class of fastnn, ValueError where this version has none."""
    cls = getattr(fnn, name, None)
    if cls is None:
        raise ValueError(f"this version of fastnn has no {name}")
    return cls


def _same_for_all(value):
    """A tuple of equal numbers as the number."""
    if isinstance(value, (tuple, list)):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _linear_module(m, name):
    return fnn.Dense(m.out_features, use_bias=m.bias is not None)


def _conv_module(cls):
    def make(m, name):
        _need(name, padding_mode=(m.padding_mode, "zeros"))
        return cls(
            m.out_channels, _same_for_all(m.kernel_size), stride=_same_for_all(m.stride), groups=m.groups,
            padding=_same_for_all(m.padding), dilation=_same_for_all(m.dilation), use_bias=m.bias is not None,
        )  # fmt: skip

    return make


def _max_pool(cls):
    def make(m, name):
        _need(
            name, dilation=(_same_for_all(m.dilation), 1), ceil_mode=(m.ceil_mode, False),
            return_indices=(m.return_indices, False),
        )  # fmt: skip
        return cls(_same_for_all(m.kernel_size), stride=_same_for_all(m.stride), padding=_same_for_all(m.padding))

    return make


def _avg_pool(cls):
    def make(m, name):
        padding = _same_for_all(m.padding)
        _need(name, ceil_mode=(m.ceil_mode, False), divisor_override=(getattr(m, "divisor_override", None), None))
        if padding:
            _need(name, count_include_pad=(m.count_include_pad, False))
        return cls(_same_for_all(m.kernel_size), stride=_same_for_all(m.stride), padding=padding)

    return make


def _global_pool(cls):
    """To one value a channel; PyTorch keeps axes of length 1, which a Flatten behind it takes away."""

    def make(m, name):
        _need(name, output_size=(_same_for_all(m.output_size), 1))
        return cls()

    return make


def _flatten(m, name):
    _need(name, start_dim=(m.start_dim, 1), end_dim=(m.end_dim, -1))
    return fnn.Flatten()


def _softmax(m, name):
    _need(name, dim=(m.dim, -1, 1))  # 1 are the channels of images, and the features of plain samples
    return fnn.Activation("softmax")


def _gelu(m, name):
    _need(name, approximate=(m.approximate, "none"))
    return fnn.Activation("gelu")


def _softplus(m, name):
    _need(name, beta=(m.beta, 1), threshold=(m.threshold, 20))  # above 20 it is x, as near as float32 has it
    return fnn.Activation("softplus")


def _batch_norm_module(m, name):
    _need(name, track_running_stats=(m.track_running_stats, True))
    if m.momentum is None:
        raise ValueError(f"{name}: momentum=None (a plain mean) has no counterpart")
    return _layer("BatchNorm")(momentum=m.momentum, epsilon=m.eps)


def _layer_norm_module(m, name):
    if len(m.normalized_shape) != 1:
        raise ValueError(f"{name}: fastnn normalizes the last axis alone, not {tuple(m.normalized_shape)}")
    return _layer("LayerNorm")(epsilon=m.eps)


def _embedding_module(m, name):
    _need(name, max_norm=(m.max_norm, None))
    return _layer("Embedding")(m.num_embeddings, m.embedding_dim)


def _activation(name, **arguments):
    """An activation; arguments: fastnn's name of each argument, and PyTorch's."""

    def make(m, where):
        return fnn.Activation(name, **{ours: getattr(m, theirs) for ours, theirs in arguments.items()})

    return make


_MODULES = {
    "Linear": _linear_module, "Conv1d": _conv_module(fnn.Conv1D), "Conv2d": _conv_module(fnn.Conv2D),
    "MaxPool1d": _max_pool(fnn.MaxPool1D), "MaxPool2d": _max_pool(fnn.MaxPool2D),
    "AvgPool1d": _avg_pool(fnn.AvgPool1D), "AvgPool2d": _avg_pool(fnn.AvgPool2D),
    "AdaptiveAvgPool1d": _global_pool(fnn.GlobalAvgPool1D),
    "AdaptiveAvgPool2d": _global_pool(fnn.GlobalAvgPool2D),
    "AdaptiveMaxPool1d": _global_pool(fnn.GlobalMaxPool1D),
    "AdaptiveMaxPool2d": _global_pool(fnn.GlobalMaxPool2D),
    "Flatten": _flatten, "Dropout": lambda m, name: fnn.Dropout(m.p), "Identity": lambda m, name: None,
    "BatchNorm1d": _batch_norm_module, "BatchNorm2d": _batch_norm_module, "LayerNorm": _layer_norm_module,
    "Embedding": _embedding_module, "Softmax": _softmax, "GELU": _gelu, "Softplus": _softplus,
    "LeakyReLU": _activation("leaky_relu", alpha="negative_slope"), "ELU": _activation("elu", alpha="alpha"),
    "ReLU": _activation("relu"), "Sigmoid": _activation("sigmoid"), "Tanh": _activation("tanh"),
    "SELU": _activation("selu"), "SiLU": _activation("silu"),
}  # fmt: skip
