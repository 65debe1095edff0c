"""Sequential models of Keras, which is not imported: layers are known by their class's name and their configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers as fnn
from ..errors import NotFittedError
from ._assemble import Group, assemble

if TYPE_CHECKING:
    from ..network import Network

_SLOPE = 0.2  # of Keras's activation "leaky_relu"; fastnn's and PyTorch's own default is 0.01
_ACTIVATIONS = {
    name: name for name in (
        "linear", "relu", "sigmoid", "tanh", "softmax", "elu", "selu", "gelu", "silu", "softplus", "exponential",
    )
}  # fmt: skip


def from_keras(model: Any, **options: Any) -> Network:
    """A network with the weights of a Keras Sequential model; it predicts what `model.predict` does, to rounding.

    Args:
        model: a Sequential (of Sequentials) of Dense, Conv1D, Conv2D, pooling, global pooling, BatchNormalization,
            LayerNormalization, Embedding, SimpleRNN, GRU, LSTM, Flatten, Reshape, Dropout, Activation and the layers of
            single activations, channels last.
        options: of Network: loss, optimizer, metrics, seed, dtype (the default follows the weights), precision.

    Raises:
        TypeError: the model is no Sequential. NotFittedError: it has no weights yet.
        ValueError: a layer, or an argument of it, has no counterpart; with its name.

    >>> import fastnn as fnn
    >>> fnn.from_keras([])
    Traceback (most recent call last):
    TypeError: from_keras takes a Sequential model, got list
    """
    if type(model).__name__ != "Sequential":
        raise TypeError(f"from_keras takes a Sequential model, got {type(model).__name__}")
    if not model.built:
        raise NotFittedError("the Keras model has no weights yet: build it first, or give it an Input")
    layers, groups = [], []
    for layer in _leaves(model):
        _translate(layer, layers, groups)
    shape = tuple(model.input_shape[1:])
    if None in shape:
        raise ValueError(f"the model takes samples of any length, {shape}; give it an Input of one shape")
    return assemble(layers, groups, shape, channels_first=False, options=options)


def _leaves(model):
    for layer in model.layers:
        if type(layer).__name__ == "Sequential":
            yield from _leaves(layer)
        elif type(layer).__name__ != "InputLayer":
            yield layer


def _translate(layer, layers, groups):
    """Appends the counterparts of a layer, and its arrays where it has some."""
    kind = type(layer).__name__
    where = f"{layer.name} ({kind})"
    if kind not in _LAYERS:
        raise ValueError(f"{where} has no counterpart. Known: {', '.join(_LAYERS)}")
    config = _Config(layer.get_config(), where)
    layers.extend(_LAYERS[kind](config))
    arrays = {weight.name: np.asarray(array) for weight, array in zip(layer.weights, layer.get_weights(), strict=True)}
    arrays.pop("seed_generator_state", None)  # Dropout's
    if arrays:
        groups.append(Group(where, arrays, lambda ours, arrays: _weights(ours, arrays, where)))


class _Config:
    """The configuration of a Keras layer: what fastnn has, and refusal of what it has not."""

    def __init__(self, values, where):
        self.values, self.where = values, where

    def __getitem__(self, name):
        return self.values[name]

    def need(self, **facts):
        """ValueError for the first argument that is not this value."""
        for name, needed in facts.items():
            value = self.values.get(name, needed)
            if value != needed:
                raise ValueError(f"{self.where}: {name}={value!r} has no counterpart, only {needed!r} has")

    def activation(self, name="activation"):
        """(the activation of the layer itself, layers that follow it)."""
        activation = self.values[name]
        if activation == "leaky_relu":
            return "linear", [fnn.Activation("leaky_relu", alpha=_SLOPE)]
        if activation not in _ACTIVATIONS:
            raise ValueError(f"{self.where}: its activation {activation!r} has no counterpart")
        return _ACTIVATIONS[activation], []


def _ours(name, where):
    cls = getattr(fnn, name, None)
    if cls is None:
        raise ValueError(f"{where}: this version of fastnn has no {name}")
    return cls


# ---- layers -------------------------------------------------------------------------------------------------------


def _dense(config):
    activation, after = config.activation()
    return [fnn.Dense(config["units"], activation, use_bias=config["use_bias"]), *after]


def _convolution(cls):
    def make(config):
        config.need(data_format="channels_last")
        if config["padding"] not in ("valid", "same"):
            raise ValueError(f"{config.where}: padding={config['padding']!r} has no counterpart")
        activation, after = config.activation()
        made = cls(
            config["filters"], tuple(config["kernel_size"]), stride=tuple(config["strides"]), padding=config["padding"],
            dilation=tuple(config["dilation_rate"]), groups=config["groups"], activation=activation,
            use_bias=config["use_bias"],
        )  # fmt: skip
        return [made, *after]

    return make


def _pooling(cls):
    def make(config):
        config.need(data_format="channels_last")
        return [cls(tuple(config["pool_size"]), stride=tuple(config["strides"]), padding=config["padding"])]

    return make


def _global_pooling(cls):
    def make(config):
        config.need(data_format="channels_last", keepdims=False)
        return [cls()]

    return make


def _batch_norm(config):
    config.need(axis=-1)
    return [_ours("BatchNorm", config.where)(momentum=1 - config["momentum"], epsilon=config["epsilon"])]


def _layer_norm(config):
    config.need(rms_scaling=False, axis=[-1] if isinstance(config["axis"], (list, tuple)) else -1)
    return [_ours("LayerNorm", config.where)(epsilon=config["epsilon"])]


def _embedding(config):
    config.need(mask_zero=False)
    return [_ours("Embedding", config.where)(config["input_dim"], config["output_dim"])]


def _recurrent(name, **needs):
    def make(config):
        config.need(return_state=False, stateful=False, recurrent_dropout=0.0, **needs)
        arguments = {"activation": config["activation"]} if name == "RNN" else {}
        made = _ours(name, config.where)(
            config["units"], return_sequences=config["return_sequences"], go_backwards=config["go_backwards"],
            use_bias=config["use_bias"], **arguments,
        )  # fmt: skip
        return [made]

    return make


def _relu(config):
    config.need(max_value=None, threshold=0.0)
    slope = config["negative_slope"]
    return [fnn.Activation("leaky_relu", alpha=slope) if slope else fnn.Activation("relu")]


def _softmax(config):
    config.need(axis=-1)
    return [fnn.Activation("softmax")]


def _activation(config):
    activation, after = config.activation()
    return after or [fnn.Activation(activation)]


_LAYERS = {
    "Dense": _dense, "Conv1D": _convolution(fnn.Conv1D), "Conv2D": _convolution(fnn.Conv2D),
    "MaxPooling1D": _pooling(fnn.MaxPool1D), "MaxPooling2D": _pooling(fnn.MaxPool2D),
    "AveragePooling1D": _pooling(fnn.AvgPool1D), "AveragePooling2D": _pooling(fnn.AvgPool2D),
    "GlobalMaxPooling1D": _global_pooling(fnn.GlobalMaxPool1D),
    "GlobalMaxPooling2D": _global_pooling(fnn.GlobalMaxPool2D),
    "GlobalAveragePooling1D": _global_pooling(fnn.GlobalAvgPool1D),
    "GlobalAveragePooling2D": _global_pooling(fnn.GlobalAvgPool2D),
    "BatchNormalization": _batch_norm, "LayerNormalization": _layer_norm, "Embedding": _embedding,
    "SimpleRNN": _recurrent("RNN"), "LSTM": _recurrent("LSTM", activation="tanh", recurrent_activation="sigmoid"),
    "GRU": _recurrent("GRU", activation="tanh", recurrent_activation="sigmoid", reset_after=True),
    "Flatten": lambda config: [fnn.Flatten()], "Reshape": lambda config: [fnn.Reshape(tuple(config["target_shape"]))],
    "Dropout": lambda config: [fnn.Dropout(config["rate"])], "Activation": _activation, "ReLU": _relu,
    "LeakyReLU": lambda config: [fnn.Activation("leaky_relu", alpha=config["negative_slope"])],
    "ELU": lambda config: [fnn.Activation("elu", alpha=config["alpha"])], "Softmax": _softmax,
}  # fmt: skip


# ---- weights ------------------------------------------------------------------------------------------------------


def _weights(layer, arrays, where):
    """{role: array} of a fastnn layer from the arrays of its counterpart, which are laid out alike but for GRU's."""
    if layer.name == "gru":
        return _gru(arrays)
    if layer.name == "batch_norm":
        mean = arrays["moving_mean"]
        arrays = {"gamma": np.ones_like(mean), "beta": np.zeros_like(mean), **arrays}
    if layer.name == "layer_norm" and not {"gamma", "beta"} <= arrays.keys():
        raise ValueError(f"{where} lacks a scale or a center, which fastnn's has")
    return {_ROLES[name]: array for name, array in arrays.items()}


def _gru(arrays):
    """Keras has the gates in the order z, r, n; fastnn in r, z, n."""

    def ordered(array):
        z, r, n = np.split(array, 3, axis=-1)
        return np.concatenate([r, z, n], axis=-1)

    weights = {_ROLES[name]: ordered(arrays[name]) for name in ("kernel", "recurrent_kernel")}
    if "bias" in arrays:
        weights["bias"], weights["recurrent_bias"] = ordered(arrays["bias"])
    return weights


_ROLES = {
    "kernel": "weight", "bias": "bias", "recurrent_kernel": "recurrent_weight", "embeddings": "weight",
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_variance",
}  # fmt: skip
