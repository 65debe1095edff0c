"""Optimizers: 200 steps against the specification in all their options; clipping, penalties, max-norm, their order."""

import numpy as np
import pytest
import reference_network
import reference_optimizers

import fastnn as fnn
from fastnn.optimizers import Optimizer

ROWS, STEPS, BATCH = 60, 200, 20

OPTIMIZERS = [
    fnn.SGD(0.05),
    fnn.SGD(0.05, momentum=0.9),
    fnn.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    fnn.SGD(0.05, weight_decay=0.1),
    fnn.RMSprop(0.003),
    fnn.RMSprop(0.003, alpha=0.9, momentum=0.5, weight_decay=0.01),
    fnn.RMSprop(0.003, centered=True),
    fnn.RMSprop(0.003, alpha=0.95, centered=True, momentum=0.9, epsilon=1e-6),
    fnn.Adagrad(0.05),
    fnn.Adagrad(0.05, initial_accumulator=0.1, weight_decay=0.01, epsilon=1e-6),
    fnn.Adam(0.01),
    fnn.Adam(0.01, beta1=0.8, beta2=0.99, epsilon=1e-5, weight_decay=0.02),
    fnn.AdamW(0.01),
    fnn.AdamW(0.01, beta1=0.8, beta2=0.99, weight_decay=0.1),
    fnn.Rprop(0.01),
    fnn.Rprop(0.001, eta_minus=0.6, eta_plus=1.1, step_min=1e-4, step_max=0.02),
    fnn.SGD(0.1, clip_norm=0.05),
    fnn.SGD(0.1, clip_value=0.01),
    fnn.Adam(0.01, clip_norm=0.1, clip_value=0.02),
    fnn.Rprop(0.01, clip_value=0.001),
]


def name_of(optimizer):
    defaults = type(optimizer)().config()
    changed = [f"{k}={v}" for k, v in optimizer.config().items() if v != defaults[k]]
    return f"{type(optimizer).__name__}({', '.join(changed)})"


every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=name_of)


def problem(optimizer, dtype="float64", **dense):
    """A tanh network, whose gradients are smooth, on data that it can fit."""
    layers = [fnn.Dense(7, "tanh", **dense), fnn.Dense(2)]
    net = fnn.Network(layers, loss="mse", optimizer=optimizer, dtype=dtype, input_shape=5, seed=1)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 5)).astype(np.float32)
    y = np.tanh(X @ rng.standard_normal((5, 2))).astype(np.float32)
    return net, X.astype(dtype), y.astype(dtype)


def train(net, X, y, epochs=STEPS * BATCH // ROWS + 1):
    return net.fit(X, y, epochs=epochs, batch_size=BATCH, shuffle=False, verbose=0)


def test_every_optimizer_is_here():
    """All but the derivative-free search, which has its own test."""
    ours = {name for name, cls in Optimizer.known.items() if cls.__module__.startswith("fastnn.") and not cls.solver}
    assert ours == {optimizer.name for optimizer in OPTIMIZERS} == reference_optimizers.OPTIMIZERS.keys()


@every_optimizer
def test_200_steps_agree_with_the_reference(optimizer):
    """To 1e-9: rounding of 1e-16 grows over the steps, more where a step divides by a small root."""
    net, X, y = problem(optimizer)
    expected, losses = reference_network.fit(net, X, y, epochs=67, batch_size=BATCH)
    history = train(net, X, y)
    for name, weight in net.get_weights().items():
        np.testing.assert_allclose(weight, expected[name], rtol=0, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-8)
    assert losses[-1] < losses[0]


@every_optimizer
def test_float32_follows_float64(optimizer):
    """20 steps to 1e-4 of a weight: u = 6e-8 a step, amplified by quotients of small gradients and small roots."""
    wide, X, y = problem(optimizer)
    narrow, X32, y32 = problem(optimizer, "float32")
    wide.set_weights(narrow.get_weights())
    train(wide, X, y, epochs=7)
    train(narrow, X32, y32, epochs=7)
    np.testing.assert_allclose(narrow.params, wide.params, rtol=0, atol=1e-4)


@every_optimizer
def test_training_in_parts_equals_training_at_once(optimizer):
    """The state is the network's: fit twice, or batch by batch, is fit once."""
    at_once, X, y = problem(optimizer)
    in_parts, _, _ = problem(optimizer)
    by_batch, _, _ = problem(optimizer)
    train(at_once, X, y, epochs=6)
    train(in_parts, X, y, epochs=2)
    in_parts.partial_fit(X, y, batch_size=BATCH)
    train(in_parts, X, y, epochs=3)
    for _ in range(6):
        for start in range(0, ROWS, BATCH):
            by_batch.train_on_batch(X[start : start + BATCH], y[start : start + BATCH])
    assert np.array_equal(at_once.params, in_parts.params)
    assert np.array_equal(at_once.params, by_batch.params)


def test_a_new_optimizer_starts_afresh():
    net, X, y = problem(fnn.Adam(0.01))
    train(net, X, y, epochs=5)
    fresh, _, _ = problem(fnn.Adam(0.01))
    fresh.set_weights(net.get_weights())
    net.optimizer = fnn.Adam(0.01)
    train(net, X, y, epochs=5)
    train(fresh, X, y, epochs=5)
    assert np.array_equal(net.params, fresh.params)


def test_the_learning_rate_may_be_changed_between_fits():
    net, X, y = problem(fnn.SGD(0.1))
    _, gradients = net.loss_and_gradients(X[:BATCH], y[:BATCH])
    before = {name: w.copy() for name, w in net.get_weights().items()}
    net.optimizer.learning_rate = 0.25
    net.train_on_batch(X[:BATCH], y[:BATCH])
    for name, weight in net.get_weights().items():
        np.testing.assert_allclose(weight, before[name] - 0.25 * gradients[name], rtol=1e-13)


def test_centered_rmsprop_with_constant_gradients():
    """The variance is then zero but for rounding, which must not become the root of a negative number."""

    def slope(y, p):
        return float(p.sum()), np.ones_like(p)

    for dtype in ("float32", "float64"):
        optimizer = fnn.RMSprop(1e-9, centered=True)
        net = fnn.Network([fnn.Dense(1)], loss=slope, optimizer=optimizer, dtype=dtype, input_shape=1)
        net.fit(np.full((1, 1), 0.1), [0.0], epochs=5000, verbose=0)
        assert np.isfinite(net.params).all(), dtype


@pytest.mark.parametrize("optimizer", [fnn.SGD(0.1), fnn.Adam(0.01), fnn.SGD(0.1, clip_norm=0.05)], ids=name_of)
@pytest.mark.parametrize(
    "dense",
    [{"l2": 0.01}, {"l1": 0.005}, {"l1": 0.002, "l2": 0.02}, {"max_norm": 0.5}, {"l2": 0.01, "max_norm": 0.7}],
    ids=str,
)
def test_penalties_and_max_norm_agree_with_the_reference(optimizer, dense):
    """Penalties come before clipping, max-norm after the step; the reported loss has the penalties in it."""
    net, X, y = problem(optimizer, **dense)
    expected, losses = reference_network.fit(net, X, y, epochs=10, batch_size=BATCH)
    history = train(net, X, y, epochs=10)
    for name, weight in net.get_weights().items():
        np.testing.assert_allclose(weight, expected[name], rtol=0, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)
    if "max_norm" in dense:
        norms = np.sqrt((net.get_weights()["layers.0.weight"] ** 2).sum(axis=0))
        assert norms.max() <= dense["max_norm"] * (1 + 1e-14)


def test_l1_makes_weights_vanish():
    """An input that says nothing about y loses its weights; l1 pulls them to within a step of zero."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    layers = [fnn.Dense(1, l1=0.1)]
    net = fnn.Network(layers, loss="mse", optimizer=fnn.SGD(0.05), dtype="float64", input_shape=3, seed=0)
    net.fit(X, X[:, 0] * 2.0, epochs=300, batch_size=200, verbose=0)
    weight = net.get_weights()["layers.0.weight"][:, 0]
    assert weight[0] == pytest.approx(2 - 0.1 / 2 / np.mean(X[:, 0] ** 2), abs=0.02)
    assert np.abs(weight[1:]).max() <= 0.05 * 0.1 * 2


def test_coordinate_search_walks_to_the_minimum_and_stops():
    """One weight, y = 0.25 x: steps of 0.01 from 0.5 lower the loss 25 times, one a sweep, and then nothing does."""
    x = np.linspace(1, 10, 20)
    net = fnn.Network(
        [fnn.Dense(1, use_bias=False)], loss="mse", optimizer=fnn.CoordinateSearch(0.01), dtype="float64", input_shape=1
    )
    net.params[:] = 0.5
    history = net.fit(x, 0.25 * x, epochs=100, verbose=0)
    assert net.params[0] == pytest.approx(0.25, abs=1e-12)
    assert len(history.epochs) == 26
    assert all(b < a for a, b in zip(history["loss"], history["loss"][1:-1], strict=False))
    assert history.stop_reason == "converged"
