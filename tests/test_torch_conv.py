"""Convolutions, pooling and batch normalization beside PyTorch, from equal weights: outputs, gradients, 100 steps."""

import numpy as np
import pytest
from beside_torch import (
    BOUNDS,
    CLASSES,
    assert_agree,
    assert_same_passes,
    assert_same_predictions,
    gradient,
    torch,
    train_both,
    value,
)

import fastnn as fnn

pytestmark = pytest.mark.torch

ROWS = 6


def module_of(layer, channels):
    """The same layer in PyTorch, and how many channels it gives."""
    axes = getattr(layer, "axes", None)
    of = {1: "1d", 2: "2d"}.get(axes)
    if isinstance(layer, (fnn.Conv1D, fnn.Conv2D)):
        conv = getattr(torch.nn, f"Conv{of}")(
            channels, layer.filters, layer.kernel_size, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups, bias=layer.use_bias,
        )  # fmt: skip
        activation = {"relu": [torch.nn.ReLU()], "tanh": [torch.nn.Tanh()], "linear": []}[layer.activation]
        return [conv, *activation], layer.filters
    if isinstance(layer, (fnn.MaxPool1D, fnn.MaxPool2D, fnn.AvgPool1D, fnn.AvgPool2D)):
        padding = 0 if layer.padding == "valid" else layer.padding
        if layer.op == "max_pool":
            return [getattr(torch.nn, f"MaxPool{of}")(layer.pool_size, layer.stride, padding)], channels
        pool = getattr(torch.nn, f"AvgPool{of}")(layer.pool_size, layer.stride, padding, count_include_pad=False)
        return [pool], channels
    if isinstance(layer, fnn.BatchNorm):
        return [BatchNorm(channels, layer.epsilon, layer.momentum)], channels
    if isinstance(layer, fnn.Activation):
        return [{"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[layer.activation]()], channels
    kind = "Max" if layer.op == "max_pool" else "Avg"
    return [getattr(torch.nn, f"Adaptive{kind}Pool{of}")(1)], channels


class BatchNorm(torch.nn.modules.batchnorm._BatchNorm):
    """Over any number of axes; its running statistics by fastnn's names."""

    def _check_input_dim(self, x):
        pass

    def running(self):
        return {"running_mean": self.running_mean.numpy(), "running_variance": self.running_var.numpy()}


class ChannelsLast(torch.nn.Module):
    """Modules on (n, channels, ...) between inputs (n, ..., channels) and a flat output, channels last."""

    def __init__(self, modules):
        super().__init__()
        self.inside = torch.nn.Sequential(*modules)

    def forward(self, x):
        return self.inside(x.movedim(-1, 1)).movedim(1, -1).flatten(1)


NETWORKS = {
    "lenet": ([
        fnn.Conv2D(6, 5, padding="same", activation="tanh"), fnn.AvgPool2D(2), fnn.Conv2D(16, 3, activation="tanh"),
        fnn.MaxPool2D(2),
    ], (12, 12, 1)),
    "stride, dilation": ([
        fnn.Conv2D(8, 3, stride=2, padding=1, activation="relu"),
        fnn.Conv2D(7, (2, 3), dilation=(2, 1), padding=(2, 1)),
    ], (11, 10, 3)),
    "groups": ([
        fnn.Conv2D(6, 3, groups=3, padding=1), fnn.Conv2D(4, 2, groups=2, stride=(1, 2), activation="tanh"),
    ], (7, 8, 3)),
    "depthwise": ([
        fnn.Conv2D(20, 3, groups=20, padding="same", activation="relu"), fnn.Conv2D(9, 1), fnn.GlobalAvgPool2D(),
    ], (6, 5, 20)),
    "pools": ([
        fnn.Conv2D(5, 3), fnn.MaxPool2D(3, stride=2, padding=1), fnn.AvgPool2D((2, 3), stride=1, padding=1),
        fnn.GlobalMaxPool2D(),
    ], (9, 10, 2)),
    "batch norm": ([
        fnn.Conv2D(8, 3, use_bias=False), fnn.BatchNorm(), fnn.Activation("tanh"), fnn.AvgPool2D(2),
        fnn.Conv2D(6, 3, padding="same", activation="tanh"), fnn.BatchNorm(momentum=0.3, epsilon=1e-3),
    ], (12, 11, 3)),
    "batch norm in time": ([
        fnn.BatchNorm(0.05), fnn.Conv1D(5, 3, activation="tanh"), fnn.BatchNorm(), fnn.MaxPool1D(2),
    ], (14, 4)),
    "time": ([
        fnn.Conv1D(8, 5, stride=2, padding=2, activation="relu"), fnn.MaxPool1D(2),
        fnn.Conv1D(6, 3, dilation=2, padding="same"), fnn.AvgPool1D(3, stride=2, padding=1),
    ], (25, 3)),
    "time to one": ([fnn.Conv1D(8, 3, groups=4, use_bias=False), fnn.GlobalAvgPool1D()], (9, 4)),
    "largest of time": ([fnn.Conv1D(8, 3, activation="tanh"), fnn.GlobalMaxPool1D()], (9, 4)),
}  # fmt: skip


def twins(name, dtype):
    """A network of the layers and a softmax, and the same in PyTorch with the same weights."""
    layers, shape = NETWORKS[name]
    layers = [*layers, fnn.Flatten(), fnn.Dense(CLASSES, "softmax")]
    net = fnn.Network(layers, input_shape=shape, dtype=dtype, seed=2, optimizer="adam")
    net.build(shape)
    rng = np.random.default_rng(1)
    net.params[:] += rng.uniform(-0.1, 0.1, net.params.shape)  # biases away from zero
    modules, channels = [], shape[-1]
    for layer in layers[:-2]:
        made, channels = module_of(layer, channels)
        modules += made
    weights = net.get_weights()
    dense = torch.nn.Linear(*weights[f"layers.{len(layers) - 1}.weight"].shape)
    model = torch.nn.Sequential(ChannelsLast(modules), dense).to(getattr(torch, dtype))
    trained = [name for name in weights if "running" not in name]
    parameters = dict(zip(trained, (p for p in model.parameters()), strict=True))
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(torch.tensor(theirs_of(weights[key])))
    X = rng.standard_normal((ROWS, *shape)).astype(dtype)
    return net, model, parameters, X, rng.integers(0, CLASSES, ROWS)


def theirs_of(weight):
    """(..., in, out) as PyTorch lays it out: (out, in, ...)."""
    return weight if weight.ndim == 1 else np.moveaxis(weight, (-1, -2), (0, 1))


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients(name, dtype):
    net, model, parameters, X, y = twins(name, dtype)
    assert_same_predictions(net, model.eval(), X, BOUNDS[dtype])  # batch norm by the running statistics
    gradients = assert_same_passes(net, model.train(), X, y, BOUNDS[dtype])
    theirs = {key: gradient(parameter) for key, parameter in parameters.items()}
    assert_agree({key: theirs_of(found) for key, found in gradients.items()}, theirs, BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_100_steps_of_adam_end_at_the_same_weights(name, dtype):
    net, model, parameters, X, y = twins(name, dtype)
    train_both(net, model, X, y)
    running = [module.running() for module in model.modules() if isinstance(module, BatchNorm)]
    norms = [i for i, layer in enumerate(net.layers) if isinstance(layer, fnn.BatchNorm)]
    state = {f"layers.{i}.{role}": v for i, found in zip(norms, running, strict=True) for role, v in found.items()}
    theirs = {key: value(parameter) for key, parameter in parameters.items()} | state
    assert_agree({key: theirs_of(weight) for key, weight in net.get_weights().items()}, theirs, BOUNDS[dtype])
