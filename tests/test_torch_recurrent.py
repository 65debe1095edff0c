"""Recurrent layers beside PyTorch: from the same weights the same outputs, states, gradients and 100 steps of Adam."""

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

ROWS, TIME, FEATURES = 6, 9, 3


# name -> our layers, and PyTorch's module for each
NETWORKS = {
    "rnn": [fnn.RNN(8)],
    "relu": [fnn.RNN(8, "relu", return_sequences=True), fnn.RNN(17, "relu")],
    "gru": [fnn.GRU(8)],
    "gru stacked": [fnn.GRU(70, return_sequences=True), fnn.GRU(5)],
    "lstm": [fnn.LSTM(8)],
    "lstm stacked": [fnn.LSTM(5, return_sequences=True), fnn.LSTM(66, return_sequences=True), fnn.LSTM(17)],
    "bidirectional": [
        fnn.Bidirectional(fnn.LSTM(6, return_sequences=True)),
        fnn.Bidirectional(fnn.GRU(7, return_sequences=True)),
        fnn.RNN(5),
    ],
}


class Chain(torch.nn.Module):
    """Recurrent modules, the last step, and a dense layer."""

    def __init__(self, modules):
        super().__init__()
        self.inside = torch.nn.ModuleList(modules)
        *_, last = modules
        self.dense = torch.nn.Linear(last.hidden_size, CLASSES)

    def forward(self, x):
        for module in self.inside:
            x, _ = module(x)
        return self.dense(x[:, -1])


def single(layer):
    """The recurrent layers in ours: one, or both of a bidirectional one."""
    return layer.layers if isinstance(layer, fnn.Bidirectional) else [layer]


def module_of(layer, features):
    """The same layer in PyTorch."""
    one, options = single(layer)[0], {"bidirectional": isinstance(layer, fnn.Bidirectional), "batch_first": True}
    if isinstance(one, fnn.RNN):
        options["nonlinearity"] = one.activation
    return getattr(torch.nn, type(one).__name__)(features, one.units, **options)


ROLES = {"weight": "weight_ih", "recurrent_weight": "weight_hh", "bias": "bias_ih", "recurrent_bias": "bias_hh"}


def pairs_of(net, layers, modules):
    """(our weight's name, PyTorch's parameter) of all that is trained in both."""
    names = net.get_weights()
    for i, (layer, module) in enumerate(zip(layers, modules, strict=True)):
        for k, suffix in enumerate(["", "_reverse"][: len(single(layer))]):
            path = f"layers.{i}.layers.{k}" if isinstance(layer, fnn.Bidirectional) else f"layers.{i}"
            for ours, theirs in ROLES.items():
                if f"{path}.{ours}" in names:
                    yield f"{path}.{ours}", getattr(module, f"{theirs}_l0{suffix}")
                else:  # their second bias, which adds to the first: zero, and not trained
                    unused = getattr(module, f"{theirs}_l0{suffix}")
                    torch.nn.init.zeros_(unused)
                    unused.requires_grad_(False)


def twins(name, dtype):
    layers = NETWORKS[name]
    net = fnn.Network([*layers, fnn.Dense(CLASSES, "softmax")], input_shape=(TIME, FEATURES), dtype=dtype, seed=2)
    rng = np.random.default_rng(1)
    net.params[:] += rng.uniform(-0.1, 0.1, net.params.shape)  # biases away from zero
    modules, features = [], FEATURES
    for layer in layers:
        modules.append(module_of(layer, features))
        features = sum(one.units for one in single(layer))
    model = Chain(modules).to(getattr(torch, dtype))
    dense = f"layers.{len(layers)}"
    parameters = dict(pairs_of(net, layers, modules))
    parameters |= {f"{dense}.weight": model.dense.weight, f"{dense}.bias": model.dense.bias}
    with torch.no_grad():
        for key, weight in net.get_weights().items():
            parameters[key].copy_(torch.tensor(weight.T))
    X = rng.standard_normal((ROWS, TIME, FEATURES)).astype(dtype)
    return net, model, parameters, X, rng.integers(0, CLASSES, ROWS)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients(name, dtype):
    net, model, parameters, X, y = twins(name, dtype)
    assert_same_predictions(net, model, X, BOUNDS[dtype])
    gradients = assert_same_passes(net, model, X, y, BOUNDS[dtype])
    assert_agree(gradients, {key: gradient(p).T for key, p in parameters.items()}, BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_100_steps_of_adam_end_at_the_same_weights(name, dtype):
    net, model, parameters, X, y = twins(name, dtype)
    train_both(net, model, X, y)
    assert_agree(net.get_weights(), {key: value(p).T for key, p in parameters.items()}, BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_states_and_lengths(kind, dtype):
    """From given states, on sequences of different lengths: outputs, last states, and the first states' gradients."""
    x, m = fnn.Input((TIME, FEATURES)), fnn.Input(TIME)
    layer = getattr(fnn, kind)(8, return_sequences=True, return_state=True)
    given = [fnn.Input(8) for _ in range(layer.states)]
    scaled = [fnn.Dense(8, use_bias=False, weight_init=np.eye(8))(node) for node in given]
    outputs = layer(x, mask=m, initial_state=scaled)
    net = fnn.Network(inputs=[x, *given, m], outputs=outputs, loss="mse", dtype=dtype, seed=4)
    path = next(f"layers.{i}" for i, one in enumerate(net.layers) if one is layer)
    module = getattr(torch.nn, kind)(FEATURES, 8, batch_first=True).to(getattr(torch, dtype))
    weights = net.get_weights()
    with torch.no_grad():
        for ours, theirs in [("weight", "weight_ih"), ("recurrent_weight", "weight_hh"), ("bias", "bias_ih")]:
            getattr(module, f"{theirs}_l0").copy_(torch.tensor(weights[f"{path}.{ours}"].T))
        module.bias_hh_l0.copy_(torch.tensor(weights.get(f"{path}.recurrent_bias", np.zeros(module.bias_hh_l0.shape))))

    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, TIME, FEATURES)).astype(dtype)
    states = [rng.standard_normal((ROWS, 8)).astype(dtype) for _ in given]
    lengths = np.array([9, 1, 4, 9, 2, 7])
    mask = (np.arange(TIME) < lengths[:, None]).astype(dtype)
    theirs = [torch.tensor(state[None], requires_grad=True) for state in states]
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(X), lengths, batch_first=True, enforce_sorted=False)
    y, last = module(packed, tuple(theirs) if len(theirs) > 1 else theirs[0])
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    last = [state[0] for state in (last if kind == "LSTM" else [last])]

    bound = BOUNDS[dtype]
    our_y, *our_last = net.predict([X, *states, mask])
    np.testing.assert_allclose(our_y * mask[..., None], y.detach(), rtol=0, atol=bound)
    for ours, expected in zip(our_last, last, strict=True):
        np.testing.assert_allclose(ours, expected.detach(), rtol=0, atol=bound)
    ((y**2).sum() / (mask.sum() * 8) + sum((state**2).mean() for state in last)).backward()  # padding is left out
    _, gradients = net.loss_and_gradients([X, *states, mask], [np.zeros_like(a) for a in (our_y, *our_last)])
    dense = [f"layers.{i}" for i, one in enumerate(net.layers) if isinstance(one, fnn.Dense)]
    for at, state, tensor in zip(dense, states, theirs, strict=True):
        expected = state.T @ tensor.grad[0].numpy()
        np.testing.assert_allclose(gradients[f"{at}.weight"], expected, rtol=0, atol=bound * np.abs(expected).max())
    expected = module.weight_hh_l0.grad.numpy().T
    got = gradients[f"{path}.recurrent_weight"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound * np.abs(expected).max())
