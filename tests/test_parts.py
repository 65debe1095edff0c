"""Training steps in parts: the same gradients and losses as of whole batches, whatever the threads."""

import numpy as np
import pytest
from cases import CASES

import fastnn as fnn
from fastnn import _parts


@pytest.fixture
def cut(monkeypatch):
    """A function that sets how many parts a batch is cut into, where its ops allow it; and the counts so far."""
    counts, usual = [], _parts.count

    def into(parts):
        def count(plan, layout, memory):
            whole = any(plan.ops[node.kind].whole_batch for node in plan.nodes)
            counts.append(1 if whole else min(parts, layout.rows))
            return counts[-1]

        monkeypatch.setattr(_parts, "count", usual if parts is None else count)
        return counts

    return into


@pytest.mark.parametrize("case", [case for case in CASES if not case.random], ids=lambda case: case.name)
def test_gradients_are_those_of_the_whole_batch(case, cut):
    X, y = case.data(7)
    weight = np.linspace(0.0, 2.0, 7)
    cut(1)
    expected, gradients = case.network().loss_and_gradients(X, y, sample_weight=weight)
    counts = cut(3)
    loss, found = case.network().loss_and_gradients(X, y, sample_weight=weight)
    assert counts[0] == 1 and counts[-1] in (1, 3)
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-10, atol=1e-13)


def test_a_frozen_normalization_needs_no_whole_batch(cut):
    """Its statistics are no longer the batch's: a part of the samples will do."""
    rng = np.random.default_rng(0)
    X, y, found = rng.standard_normal((23, 6, 4)), rng.standard_normal((23, 3)), []
    for parts in (1, 3):
        counts = cut(parts)
        layers = [fnn.Conv1D(5, 3), fnn.BatchNorm(), fnn.Activation("relu"), fnn.Flatten(), fnn.Dense(3)]
        net = fnn.Network(layers, loss="mse", dtype="float64", seed=1)
        net.fit(X, y, batch_size=8)
        assert counts[-1] == 1
        net.layers[1].trainable = False
        found.append((net.fit(X, y, epochs=3, batch_size=23)["loss"], net.params.copy()))
        assert counts[-1] == parts
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9)


def network(**options):
    layers = [fnn.Dense(8, "tanh"), fnn.Dropout(0.3), fnn.Dense(3, "softmax")]
    return fnn.Network(layers, input_shape=5, seed=2, **options)


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    return rng.standard_normal((43, 5)).astype("f"), rng.integers(0, 3, 43)


@pytest.mark.parametrize("parts", [2, 4, 5])
def test_training_is_the_same_at_any_number_of_threads(parts, cut, classes):
    counts, first, losses = cut(parts), network(), None
    for threads in (1, 2, 3, 8):
        net = first if losses is None else network()
        found = net.fit(*classes, epochs=3, batch_size=20, threads=threads)["loss"]
        losses = losses or found
        assert found == losses
        np.testing.assert_array_equal(net.params, first.params)
    assert counts == [parts] * 4


def test_the_record_of_a_batch_is_in_order(cut, classes):
    cut(4)
    X, y = classes
    layers = [fnn.Dense(8, "tanh"), fnn.Dense(3, "softmax")]
    net = fnn.Network(layers, optimizer=fnn.SGD(1e-30), metrics=["accuracy"], input_shape=5, seed=2)
    found = net.fit(X, y, batch_size=20)["accuracy"][0]
    assert found == pytest.approx((net.predict(X).argmax(1) == y).mean())


def test_masks_of_dropout_differ_between_parts(cut):
    cut(2)
    net = fnn.Network([fnn.Dropout(0.5), fnn.Dense(1, use_bias=False)], input_shape=64, optimizer="sgd", seed=0)
    net.params[:] = 1
    X = np.zeros((8, 64), "f")
    X[0] = 1
    first = net.loss_and_gradients(X, np.zeros(8))[1]["layers.1.weight"].copy()
    second = net.loss_and_gradients(X[::-1].copy(), np.zeros(8))[1]["layers.1.weight"]
    assert (first != 0).any() and (second != 0).any() and ((first != 0) != (second != 0)).any()


def test_a_loss_that_is_not_finite_is_found_in_its_part(cut, classes):
    cut(4)
    X, y = classes
    X = X.copy()
    X[17] = 1e38
    net = fnn.Network([fnn.Dense(8), fnn.Dense(8), fnn.Dense(3)], loss="mse", input_shape=5, seed=2)
    net.params[:] = 1  # the sum of a row of X is what overflows first
    before = net.params.copy()
    with pytest.warns(fnn.NonFiniteWarning, match=r"epoch 0, batch 0: the first such value is in layers.0"):
        net.fit(X, np.eye(3)[y], batch_size=43, shuffle=False)
    assert not np.array_equal(net.params, before)  # said once, then trained on as without the check


@pytest.mark.parametrize(
    ("layers", "shape", "rows", "expected"),
    [
        ([fnn.Dense(512, "relu"), fnn.Dense(512, "relu"), fnn.Dense(10)], (784,), 128, 1),  # large weights
        ([fnn.Dense(64, "relu"), fnn.Dense(1)], (30,), 64, 1),
        ([fnn.Dense(100, "relu"), fnn.Dense(10)], (64,), 200, 2),  # a part for each of two cores
        ([fnn.Dense(100, "relu"), fnn.Dense(10)], (64,), 100, 1),  # too many parameters for it
        ([fnn.Conv2D(32, 3, activation="relu"), fnn.MaxPool2D(2), fnn.Flatten(), fnn.Dense(1)], (16, 16, 3), 64, 8),
        ([fnn.Conv2D(32, 3), fnn.BatchNorm(), fnn.MaxPool2D(2), fnn.Flatten(), fnn.Dense(1)], (16, 16, 3), 64, 1),
    ],
)
def test_the_number_of_parts_follows_from_the_sizes(layers, shape, rows, expected, monkeypatch):
    counts, usual = [], _parts.count
    monkeypatch.setattr(_parts, "count", lambda *args: counts.append(usual(*args)) or counts[-1])
    net = fnn.Network(layers, input_shape=shape, loss="mse", seed=0)
    net.train_on_batch(np.zeros((rows, *shape)), np.zeros((rows, *net._state.graph.outputs[0].shape)))
    assert counts == [expected]
