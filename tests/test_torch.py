"""Beside PyTorch: from the same weights and batches, the same weights after 200 steps; its losses and activations."""

import numpy as np
import pytest
from beside_torch import BOUNDS, torch

import fastnn as fnn

F = torch.nn.functional

pytestmark = pytest.mark.torch

ROWS, BATCH, STEPS = 60, 20, 200


def sgd(p, c):
    return torch.optim.SGD(
        p, c["learning_rate"], momentum=c["momentum"], nesterov=c["nesterov"], weight_decay=c["weight_decay"]
    )


def rmsprop(p, c):
    return torch.optim.RMSprop(
        p,
        c["learning_rate"],
        alpha=c["alpha"],
        eps=c["epsilon"],
        momentum=c["momentum"],
        centered=c["centered"],
        weight_decay=c["weight_decay"],
    )


def adagrad(p, c):
    return torch.optim.Adagrad(
        p,
        c["learning_rate"],
        initial_accumulator_value=c["initial_accumulator"],
        eps=c["epsilon"],
        weight_decay=c["weight_decay"],
    )


def adam(p, c):
    return torch.optim.Adam(
        p, c["learning_rate"], betas=(c["beta1"], c["beta2"]), eps=c["epsilon"], weight_decay=c["weight_decay"]
    )


def adamw(p, c):
    return torch.optim.AdamW(
        p, c["learning_rate"], betas=(c["beta1"], c["beta2"]), eps=c["epsilon"], weight_decay=c["weight_decay"]
    )


def rprop(p, c):
    return torch.optim.Rprop(
        p, c["learning_rate"], etas=(c["eta_minus"], c["eta_plus"]), step_sizes=(c["step_min"], c["step_max"])
    )


THEIRS = {f.__name__: f for f in (sgd, rmsprop, adagrad, adam, adamw, rprop)}

OPTIMIZERS = [
    fnn.SGD(),
    fnn.SGD(0.1, weight_decay=0.05),
    fnn.SGD(0.05, momentum=0.9),
    fnn.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    fnn.RMSprop(),
    fnn.RMSprop(0.003, alpha=0.9, epsilon=1e-6),
    fnn.RMSprop(0.003, momentum=0.5, weight_decay=0.01),
    fnn.RMSprop(0.003, centered=True, momentum=0.7, epsilon=1e-6),
    fnn.Adagrad(),
    fnn.Adagrad(0.05, initial_accumulator=0.1, epsilon=1e-6, weight_decay=0.01),
    fnn.Adam(),
    fnn.Adam(0.01, beta1=0.8, beta2=0.99, epsilon=1e-6, weight_decay=0.02),
    fnn.AdamW(),
    fnn.AdamW(0.01, beta1=0.8, beta2=0.99, epsilon=1e-6, weight_decay=0.1),
    fnn.Rprop(),
    fnn.Rprop(0.001, eta_minus=0.6, eta_plus=1.1, step_min=1e-4, step_max=0.02),
    fnn.SGD(0.1, clip_norm=0.2),
    fnn.SGD(0.1, clip_value=0.02),
    fnn.Adam(0.01, clip_norm=0.2),
]


def name_of(optimizer):
    defaults = type(optimizer)().config()
    changed = [f"{k}={v}" for k, v in optimizer.config().items() if v != defaults[k]]
    return f"{type(optimizer).__name__}({', '.join(changed)})"


def torch_twin(net, activations):
    """The same dense layers in PyTorch; `activations` are modules."""
    modules, weights = [], net.get_weights()
    dtype = getattr(torch, net.dtype.name)
    for i, activation in enumerate(activations):
        weight, bias = weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"]
        linear = torch.nn.Linear(*weight.shape, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight.T))
            linear.bias.copy_(torch.tensor(bias))
        modules += [linear, activation] if activation else [linear]
    return torch.nn.Sequential(*modules)


def train_theirs(model, optimizer, config, loss_of, X, y):
    for step in range(STEPS):
        rows = slice(step * BATCH % ROWS, step * BATCH % ROWS + BATCH)
        optimizer.zero_grad()
        loss_of(model(X[rows]), y[rows]).backward()
        if config["clip_norm"] is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config["clip_norm"])
        if config["clip_value"] is not None:
            torch.nn.utils.clip_grad_value_(model.parameters(), config["clip_value"])
        optimizer.step()


def train_ours(net, X, y):
    for step in range(STEPS):
        rows = slice(step * BATCH % ROWS, step * BATCH % ROWS + BATCH)
        net.train_on_batch(X[rows], y[rows])


def assert_same_weights(net, model, bound):
    weights = net.get_weights()
    linears = [module for module in model if isinstance(module, torch.nn.Linear)]
    for i, linear in enumerate(linears):
        np.testing.assert_allclose(weights[f"layers.{i}.weight"], linear.weight.detach().T, rtol=0, atol=bound)
        np.testing.assert_allclose(weights[f"layers.{i}.bias"], linear.bias.detach(), rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=name_of)
def test_200_steps_give_the_same_weights(optimizer, dtype):
    """A classifier: 8-6-4, tanh, softmax, cross entropy."""
    net = fnn.Network(
        [fnn.Dense(6, "tanh"), fnn.Dense(4, "softmax")], optimizer=optimizer, dtype=dtype, input_shape=8, seed=1
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 8)).astype(dtype)
    y = rng.integers(0, 4, ROWS)
    model = torch_twin(net, [torch.nn.Tanh(), None])
    before = net.params.copy()
    config = {"weight_decay": 0.0, **optimizer.config()}
    theirs = THEIRS[optimizer.name](model.parameters(), config)
    train_theirs(model, theirs, config, F.cross_entropy, torch.tensor(X), torch.tensor(y))
    train_ours(net, X, y)
    assert np.abs(net.params - before).max() > 1e-2
    assert_same_weights(net, model, BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_regression_gives_the_same_weights(optimizer, dtype):
    net = fnn.Network(
        [fnn.Dense(16, "relu"), fnn.Dense(16, "gelu"), fnn.Dense(2)],
        loss="mse", optimizer=optimizer, dtype=dtype, input_shape=8, seed=1,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((ROWS, 8)).astype(dtype), rng.standard_normal((ROWS, 2)).astype(dtype)
    model = torch_twin(net, [torch.nn.ReLU(), torch.nn.GELU(), None])
    config = {"weight_decay": 0.0, **net.optimizer.config()}
    theirs = THEIRS[optimizer](model.parameters(), config)
    train_theirs(model, theirs, config, F.mse_loss, torch.tensor(X), torch.tensor(y))
    train_ours(net, X, y)
    assert_same_weights(net, model, BOUNDS[dtype])


ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,  # PyTorch's turns linear above 20, where the difference is below 2e-9
    "exponential": torch.exp,
    "silu": F.silu,
    "gelu": F.gelu,
    "softmax": lambda x: torch.softmax(x, dim=1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    net = fnn.Network([fnn.Dense(7, name)], loss="mse", dtype="float64", input_shape=7)
    net.set_weights({"layers.0.weight": np.eye(7), "layers.0.bias": np.zeros(7)})
    x = torch.tensor(np.random.default_rng(0).standard_normal((50, 7)) * 4, requires_grad=True)
    y = ACTIVATIONS[name](x)
    absolute = 2e-9 if name == "softplus" else 1e-14
    np.testing.assert_allclose(net.predict(x.detach().numpy()), y.detach(), rtol=1e-12, atol=absolute)
    targets = torch.zeros_like(y)
    F.mse_loss(y, targets).backward()
    _, gradients = net.loss_and_gradients(x.detach().numpy(), targets.numpy())
    np.testing.assert_allclose(gradients["layers.0.bias"], x.grad.sum(dim=0), rtol=1e-9, atol=1e-11)


def gaussian(p, y):
    """PyTorch takes the variance, ours its logarithm; some are below the floor."""
    mean, log_variance = p.chunk(2, dim=1)
    return F.gaussian_nll_loss(mean, y, log_variance.exp(), eps=0.1)


def pinball(levels):
    def loss(p, y):
        e = y - p
        q = torch.tensor(levels, dtype=p.dtype)
        return torch.maximum(q * e, (q - 1) * e).mean()

    return loss


LOSSES = {
    "mse": (fnn.losses.MSE(), F.mse_loss, "real"),
    "mae": (fnn.losses.MAE(), F.l1_loss, "real"),
    "huber": (fnn.losses.Huber(0.7), lambda p, y: F.huber_loss(p, y, delta=0.7), "real"),
    "binary": (fnn.losses.BinaryCrossEntropy(), F.binary_cross_entropy_with_logits, "unit"),
    "ids": (fnn.losses.CrossEntropy(), F.cross_entropy, "ids"),
    "smooth": (
        fnn.losses.CrossEntropy(label_smoothing=0.1),
        lambda p, y: F.cross_entropy(p, y, label_smoothing=0.1),
        "ids",
    ),
    "rows": (fnn.losses.CrossEntropy(), F.cross_entropy, "rows"),
    "poisson": (fnn.losses.Poisson(), F.poisson_nll_loss, "counts"),
    "rates": (fnn.losses.Poisson(log_input=False), lambda p, y: F.poisson_nll_loss(p, y, log_input=False), "counts"),
    "gaussian": (fnn.losses.GaussianNLL(epsilon=0.1), gaussian, "half"),
    "quantile": (fnn.losses.Quantile((0.1, 0.3, 0.5, 0.9)), pinball((0.1, 0.3, 0.5, 0.9)), "column"),
    "hinge": (fnn.losses.Hinge(), lambda p, y: F.relu(1 - y * p).mean(), "signs"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    ours, theirs, kind = LOSSES[name]
    rng = np.random.default_rng(3)
    p, unit = rng.standard_normal((30, 4)) * 2, rng.random((30, 4))
    if name == "rates":
        p = np.abs(p) + 0.1
    y = {
        "real": p + rng.standard_normal((30, 4)),
        "unit": unit,
        "ids": rng.integers(0, 4, 30),
        "rows": unit / unit.sum(axis=1, keepdims=True),
        "counts": rng.poisson(2.0, (30, 4)).astype(float),
        "half": rng.standard_normal((30, 2)),
        "column": rng.standard_normal((30, 1)),
        "signs": rng.choice([-1.0, 1.0], (30, 4)),
    }[kind]
    net = fnn.Network([fnn.Dense(4)], loss=ours, dtype="float64", input_shape=4)
    net.set_weights({"layers.0.weight": np.eye(4), "layers.0.bias": np.zeros(4)})
    loss, gradients = net.loss_and_gradients(p, y)
    outputs = torch.tensor(p, requires_grad=True)
    expected = theirs(outputs, torch.tensor(y))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradients["layers.0.bias"], outputs.grad.sum(dim=0), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(gradients["layers.0.weight"], p.T @ outputs.grad.numpy(), rtol=1e-10, atol=1e-13)
