"""The networks of architectures.py as PyTorch modules with the rung's weights."""

import torch
from torch import nn

GATES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def module(rung):
    """A module from a batch, images as (rows, channels, height, width), to logits."""
    layers, shape = [], rung.shape
    for i, (kind, *figures) in enumerate(rung.layers):
        prefix = f"layers.{i}."
        weights = {
            name.removeprefix(prefix): torch.from_numpy(array)
            for name, array in rung.weights.items()
            if name.startswith(prefix)
        }
        made, shape = BUILD[kind](weights, shape, *figures)
        layers += made
    return nn.Sequential(*layers)


def arranged(X, rung, channels_last):
    """The samples as a tensor in the form that `module` takes."""
    x = torch.from_numpy(X)
    if not rung.images:
        return x
    x = x.permute(0, 3, 1, 2)  # the bytes as they are: what PyTorch calls channels last
    return x if channels_last else x.contiguous()


def put(target, value):
    with torch.no_grad():
        target.copy_(value)


class Last(nn.Module):
    """The last step of a recurrent net."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)[0][:, -1]


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


class ChannelsLastFlatten(nn.Module):
    """(n, channels, height, width) to (n, features), the channels together as in fastnn."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def _with_activation(layer, activation):
    return [layer, nn.ReLU()] if activation == "relu" else [layer]


def _conv(weights, shape, filters, kernel, padding, activation):
    height, width, channels = shape
    layer = nn.Conv2d(channels, filters, kernel, padding=kernel // 2 if padding == "same" else 0)
    put(layer.weight, weights["weight"].permute(3, 2, 0, 1))
    put(layer.bias, weights["bias"])
    less = 0 if padding == "same" else kernel - 1
    return _with_activation(layer, activation), (height - less, width - less, filters)


def _pool(weights, shape, size):
    return [nn.MaxPool2d(size)], (shape[0] // size, shape[1] // size, shape[2])


def _flatten(weights, shape):
    return [ChannelsLastFlatten()], (shape[0] * shape[1] * shape[2],)


def _dense(weights, shape, units, activation):
    layer = nn.Linear(shape[-1], units)
    put(layer.weight, weights["weight"].T)
    put(layer.bias, weights["bias"])
    return _with_activation(layer, activation), (units,)


def _recurrent(kind):
    def build(weights, shape, units):
        net = GATES[kind](shape[-1], units, batch_first=True)
        put(net.weight_ih_l0, weights["weight"].T)
        put(net.weight_hh_l0, weights["recurrent_weight"].T)
        put(net.bias_ih_l0, weights["bias"])
        put(net.bias_hh_l0, weights.get("recurrent_bias", torch.zeros(())))
        if kind != "gru":  # one bias, as in fastnn: PyTorch's second would make each step of it twice as long
            net.bias_hh_l0.requires_grad_(False)
        return [Last(net)], (units,)

    return build


def _embedding(weights, shape, tokens, units):
    layer = nn.Embedding(tokens, units)
    put(layer.weight, weights["weight"])
    return [layer], (*shape, units)


def _transformer(weights, shape, heads, mlp):
    block = nn.TransformerEncoderLayer(
        shape[-1], heads, mlp, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    parts = {
        block.self_attn.in_proj_weight: "attention.qkv_weight",
        block.self_attn.in_proj_bias: "attention.qkv_bias",
        block.self_attn.out_proj.weight: "attention.output_weight",
        block.self_attn.out_proj.bias: "attention.output_bias",
        block.linear1.weight: "mlp_in.weight",
        block.linear1.bias: "mlp_in.bias",
        block.linear2.weight: "mlp_out.weight",
        block.linear2.bias: "mlp_out.bias",
    }
    for target, name in parts.items():
        put(target, weights[name].T if weights[name].ndim == 2 else weights[name])
    return [block], shape


def _mean(weights, shape):
    return [Mean()], shape[1:]


BUILD = {
    "conv": _conv,
    "pool": _pool,
    "flatten": _flatten,
    "dense": _dense,
    **{kind: _recurrent(kind) for kind in GATES},
    "embedding": _embedding,
    "transformer": _transformer,
    "mean": _mean,
}
