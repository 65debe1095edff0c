"""Frozen layers and learning rates by layer: what moves, what does not, and what that has to do with clipping."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn._rule import Rule

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 6))
Y = np.tanh(X[:, :2])
OPTIMIZERS = [
    fnn.SGD(0.1, momentum=0.9),
    fnn.Adam(0.01),
    fnn.AdamW(0.01, weight_decay=0.1),
    fnn.RMSprop(0.01),
    fnn.Rprop(),
]


def network(optimizer="adam", *layers, **options):
    layers = layers or (fnn.Dense(5, "tanh"), fnn.Dense(4, "tanh"), fnn.Dense(2))
    return fnn.Network(
        list(layers), optimizer=optimizer, loss="mse", input_shape=6, seed=1, **{"dtype": "float64", **options}
    )


def weights(net):
    return {name: weight.copy() for name, weight in net.get_weights().items()}


def moved(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_a_frozen_layer_stays_and_the_others_move(optimizer, frozen):
    net = network(optimizer)
    before = weights(net)
    net.layers[frozen].trainable = False
    net.fit(X, Y, epochs=2, batch_size=8)
    assert moved(before, weights(net)) == {name for name in before if not name.startswith(f"layers.{frozen}.")}
    net.layers[frozen].trainable = True
    net.train_on_batch(X, Y)
    assert moved(before, weights(net)) == set(before)


def test_the_others_move_as_if_the_frozen_ones_were_a_fixed_function():
    """Two frozen layers are the features that they make: training the last one on those is the same."""
    net = network(fnn.Adam(0.01, clip_norm=0.05))
    for layer in net.layers[:2]:
        layer.trainable = False
    front = fnn.Network([fnn.Dense(5, "tanh"), fnn.Dense(4, "tanh")], input_shape=6, dtype="float64")
    front.set_weights({name: w for name, w in weights(net).items() if not name.startswith("layers.2")})
    head = fnn.Network([fnn.Dense(2)], loss="mse", optimizer=fnn.Adam(0.01, clip_norm=0.05), input_shape=4,
                       dtype="float64", seed=1)  # fmt: skip
    head.set_weights({name.replace(".2.", ".0."): w for name, w in weights(net).items() if ".2." in name})
    a = net.fit(X, Y, epochs=3, batch_size=8, shuffle=False)["loss"]
    b = head.fit(front.predict(X), Y, epochs=3, batch_size=8, shuffle=False)["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-11)
    np.testing.assert_allclose(net.get_weights()["layers.2.weight"], head.get_weights()["layers.0.weight"], rtol=1e-10)


def test_below_the_first_trained_layer_nothing_runs_backward():
    """A loss of NaN gradients would reach every weight that has a backward pass."""
    calls = []

    def f(x):
        return np.tanh(x)

    def derivative(x):
        calls.append(x.shape)
        return 1 - np.tanh(x) ** 2

    net = network("sgd", fnn.Dense(5, (f, derivative)), fnn.Dense(2))
    net.fit(X, Y, batch_size=20)
    assert len(calls) == 2
    net.layers[0].trainable = False
    net.fit(X, Y, batch_size=20)
    assert len(calls) == 2


def test_frozen_gradients_are_zero_and_count_in_no_norm():
    net = network(fnn.SGD(0.1, clip_norm=1e-3))
    net.layers[1].trainable = False
    net.train_on_batch(X, Y)
    params = net._state.graph.params
    assert not params["layers.1.weight"].flat(net.grads).any()
    assert np.linalg.norm(net.grads) == pytest.approx(1e-3, rel=1e-2)


def test_penalties_stay_in_the_loss_and_weight_decay_and_max_norm_leave_a_frozen_layer_alone():
    net = network(fnn.SGD(0.1, weight_decay=0.5), fnn.Dense(3, l2=0.3, max_norm=0.01), fnn.Dense(2))
    before = weights(net)
    net.layers[0].trainable = False
    loss = net.train_on_batch(X, Y)
    mse = ((X @ before["layers.0.weight"] @ before["layers.1.weight"] - Y) ** 2).mean()
    assert loss == pytest.approx(mse + 0.3 * (before["layers.0.weight"] ** 2).sum(), rel=1e-12)
    assert moved(before, weights(net)) == {"layers.1.weight", "layers.1.bias"}


def normalized(optimizer="adam"):
    """A normalization in the middle, whose running statistics are no longer those of the start."""
    net = network(optimizer, fnn.Dense(5), fnn.BatchNorm(), fnn.Activation("tanh"), fnn.Dense(2))
    for name, values in (("running_mean", RANDOM.standard_normal(5)), ("running_variance", RANDOM.uniform(0.5, 2, 5))):
        net.set_weights({**net.get_weights(), f"layers.1.{name}": values})
    return net


def test_a_frozen_normalization_is_that_of_prediction_and_stays():
    net = normalized()
    before, batch_loss = weights(net), net.loss_and_gradients(X, Y)[0]
    net.layers[1].trainable = False
    loss = net.loss_and_gradients(X, Y)[0]
    assert loss == pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-12) != pytest.approx(batch_loss, rel=1e-3)
    assert net.train_on_batch(X, Y) == pytest.approx(loss, rel=1e-12)
    net.fit(
        X, Y, epochs=3, batch_size=13
    )  # the last batch has one sample, which a batch's statistics could not do with
    assert moved(before, weights(net)) == {name for name in before if not name.startswith("layers.1.")}
    net.layers[1].trainable = True
    assert net.loss_and_gradients(X, Y)[0] != pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-3)
    net.train_on_batch(X, Y)
    assert moved(before, weights(net)) == set(before)


def test_what_is_before_a_frozen_normalization_is_trained_through_it():
    """Its map can be taken into the dense layer before it: the gradients are those of that network, through the map."""
    net, twin = normalized("sgd"), network("sgd", fnn.Dense(5), fnn.Activation("tanh"), fnn.Dense(2))
    w = weights(net)
    scale = w["layers.1.weight"] / np.sqrt(w["layers.1.running_variance"] + net.layers[1].epsilon)
    twin.set_weights({
        "layers.0.weight": w["layers.0.weight"] * scale,
        "layers.0.bias": (w["layers.0.bias"] - w["layers.1.running_mean"]) * scale + w["layers.1.bias"],
        "layers.2.weight": w["layers.3.weight"],
        "layers.2.bias": w["layers.3.bias"],
    })  # fmt: skip
    net.layers[1].trainable = False
    (loss, found), (expected_loss, expected) = net.loss_and_gradients(X, Y), twin.loss_and_gradients(X, Y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(found["layers.0.weight"], expected["layers.0.weight"] * scale, rtol=1e-10)
    np.testing.assert_allclose(found["layers.0.bias"], expected["layers.0.bias"] * scale, rtol=1e-10)
    np.testing.assert_allclose(found["layers.3.weight"], expected["layers.2.weight"], rtol=1e-10)


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_solvers_take_a_frozen_normalization(optimizer):
    net = normalized(optimizer)
    with pytest.raises(ValueError, match=r"take out layers.1 \(BatchNorm\), or freeze it"):
        net.fit(X, Y)
    net.layers[1].trainable = False
    losses = net.fit(X, Y, epochs=30)["loss"]
    assert losses[-1] < 0.1 * losses[0] and losses[-1] == pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-12)


@pytest.mark.torch
def test_a_frozen_normalization_is_pytorchs_in_evaluation_mode():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.Linear(5, 2)
    ).double()
    module(torch.tensor(X + 1))  # moves the running statistics
    net = fnn.from_torch(module, input_shape=6, dtype="float64")
    net.loss, net.optimizer = "mse", fnn.Adam(0.01)
    frozen = module[1].eval().requires_grad_(False)
    next(layer for layer in net.layers if isinstance(layer, fnn.BatchNorm)).trainable = False
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], 0.01)
    net.fit(X, Y, epochs=20, batch_size=10, shuffle=False)
    for _ in range(20):
        for first in range(0, 40, 10):
            x, y = (torch.tensor(part[first : first + 10]) for part in (X, Y))
            optimizer.zero_grad()
            ((module(x) - y) ** 2).mean().backward()
            optimizer.step()
    np.testing.assert_allclose(net.predict(X), module.eval()(torch.tensor(X)).detach(), rtol=1e-9, atol=1e-12)
    state = net.get_weights()["layers.1.running_mean"]
    np.testing.assert_array_equal(state, frozen.running_mean)


def test_a_container_freezes_what_is_in_it():
    inner = fnn.Dense(6, "tanh")
    block = fnn.Residual(inner, fnn.Dense(6))
    net = network("sgd", block, fnn.Dense(2))
    before = weights(net)
    block.trainable = False
    net.fit(X, Y)
    assert moved(before, weights(net)) == {"layers.1.weight", "layers.1.bias"}
    block.trainable, inner.trainable = True, False
    net.fit(X, Y)
    assert {name for name in moved(before, weights(net)) if name.startswith("layers.0.")} == {
        "layers.0.layers.1.weight", "layers.0.layers.1.bias",
    }  # fmt: skip


def test_a_network_all_frozen_stays_as_it_is():
    net = network()
    for layer in net.layers:
        layer.trainable = False
    before = net.params.copy()
    history = net.fit(X, Y, epochs=2)
    assert np.array_equal(before, net.params) and history["loss"][0] == pytest.approx(history["loss"][1], rel=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:4])
def test_a_factor_is_a_learning_rate_of_its_own(optimizer):
    """After one step from equal weights a layer with the factor f has moved as at the rate f times as high."""
    net, twin = network(optimizer), network(type(optimizer)(**{**optimizer.config(), "learning_rate": 0.025}))
    net.optimizer.learning_rate = 0.1
    before = weights(net)
    net.layers[1].learning_rate_factor = 0.25
    net.train_on_batch(X, Y)
    twin.train_on_batch(X, Y)
    after, slow = weights(net), weights(twin)
    np.testing.assert_allclose(after["layers.1.weight"], slow["layers.1.weight"], rtol=1e-14)
    quick = {name: after[name] - before[name] for name in ("layers.0.weight", "layers.2.bias")}
    for name, step in quick.items():
        np.testing.assert_allclose(step, 4 * (slow[name] - before[name]), rtol=1e-9)


@pytest.mark.torch
def test_factors_are_pytorchs_parameter_groups():
    torch = pytest.importorskip("torch")
    net = network(fnn.AdamW(0.02))
    for layer, factor in zip(net.layers, (0.1, 1.0, 3.0), strict=True):
        layer.learning_rate_factor = factor
    tensors = [torch.tensor(w, requires_grad=True) for w in weights(net).values()]
    groups = [{"params": tensors[2 * i : 2 * i + 2], "lr": 0.02 * factor} for i, factor in enumerate((0.1, 1.0, 3.0))]
    optimizer = torch.optim.AdamW(groups, lr=0.02, weight_decay=0.01)
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(30):
        optimizer.zero_grad()
        h = x
        for i in range(3):
            h = h @ tensors[2 * i] + tensors[2 * i + 1]
            h = torch.tanh(h) if i < 2 else h
        ((h - y) ** 2).mean().backward()
        optimizer.step()
    net.fit(X, Y, epochs=30, batch_size=40, shuffle=False)
    for ours, theirs in zip(weights(net).values(), tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_weights_follow_the_same_rules(dtype):
    """Weights whose update is fused into their gradient: frozen and with a factor as the small ones."""
    wide = RANDOM.standard_normal((32, 150))

    def trained(callbacks):
        layers = [fnn.Dense(130, "tanh"), fnn.Dense(130, "tanh"), fnn.Dense(1)]
        net = fnn.Network(layers, optimizer=fnn.Adam(0.01), input_shape=150, seed=2, dtype=dtype)
        layers[0].trainable, layers[1].learning_rate_factor = False, 0.5
        before = weights(net)
        net.fit(wide, wide[:, 0], epochs=2, callbacks=callbacks)
        return before, weights(net)

    before, fused = trained([])
    _, stored = trained([fnn.Callback()])
    assert np.array_equal(before["layers.0.weight"], fused["layers.0.weight"])
    for name, weight in fused.items():
        assert np.array_equal(weight, stored[name]), name


def test_the_bits_do_not_depend_on_a_factor_of_one(monkeypatch):
    """One rule over all parameters or one for each: elements do not know of one another."""
    net, twin = network(), network()
    net.fit(X, Y, epochs=2)
    monkeypatch.setattr(
        Rule, "_stretches",
        lambda rule, fused: [(p.offset, p.offset + p.size, 1.0) for p in rule.memory.graph.params.values()],
    )  # fmt: skip
    twin.fit(X, Y, epochs=2)
    assert np.array_equal(net.params, twin.params)


@pytest.mark.parametrize("name, value", [("trainable", 0), ("trainable", "no"), ("learning_rate_factor", -1.0),
                                         ("learning_rate_factor", None)])  # fmt: skip
def test_what_is_refused(name, value):
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        setattr(fnn.Dense(3), name, value)
