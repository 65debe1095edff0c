"""Dropout: masks of the right rate, the same in both directions, new in every step, and absent from prediction."""

import math

import numpy as np
import pytest
import reference
import reference_network

import fastnn as fnn


class Seen:
    """A loss that keeps the training outputs: their sum, weighted by fixed numbers."""

    def __init__(self):
        self.outputs = []

    def __call__(self, y, p):
        self.outputs.append(p.copy())
        return float((p * y).sum()), y.copy()


def identity_network(rate, units, seed=5, dtype="float64"):
    """Dropout over the inputs of Dense layers that do nothing; what comes out is what dropout let through."""
    seen = Seen()
    layers = [fnn.Dense(units), fnn.Dropout(rate)]
    net = fnn.Network(layers, loss=seen, optimizer="sgd", seed=seed, dtype=dtype, input_shape=units)
    net.set_weights({"layers.0.weight": np.eye(units), "layers.0.bias": np.zeros(units)})
    return net, seen


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_rate_and_scale(rate, dtype):
    """The share of zeros to 4 standard deviations; the rest is scaled by 1 / (1 - rate); neighbours are independent."""
    net, seen = identity_network(rate, 100, dtype=dtype)
    X = np.ones((1000, 100), dtype)
    net.loss_and_gradients(X, np.ones_like(X))
    [p] = seen.outputs
    assert set(np.unique(p)) == {0.0, np.dtype(dtype).type(1 / (1 - rate))}
    dropped = (p == 0).ravel()
    n = dropped.size
    assert abs(dropped.mean() - rate) < 4 * math.sqrt(rate * (1 - rate) / n)
    for lag in (1, 2, 16, 64, 100):
        assert abs(np.corrcoef(dropped[:-lag], dropped[lag:])[0, 1]) < 4 / math.sqrt(n)


def test_backward_has_the_mask_of_forward():
    net, seen = identity_network(0.4, 7)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((11, 7)), rng.standard_normal((11, 7))
    _, gradients = net.loss_and_gradients(X, y)
    mask = seen.outputs[0] != 0
    dz = reference.dropout_backward(y, mask, 0.4)
    _, dweight, dbias = reference.dense_backward(dz, X, np.eye(7))
    np.testing.assert_allclose(gradients["layers.0.weight"], dweight, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(gradients["layers.0.bias"], dbias, rtol=1e-13, atol=1e-13)


def test_network_with_dropout_agrees_with_the_reference():
    """The mask is read off a copy whose last layer does nothing."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((9, 6)), rng.standard_normal((9, 6))

    def network(loss):
        layers = [fnn.Dense(6, "tanh"), fnn.Dropout(0.3), fnn.Dense(6)]
        return fnn.Network(layers, loss=loss, seed=8, dtype="float64", input_shape=6)

    seen = Seen()
    probe = network(seen)
    identity = {"layers.2.weight": np.eye(6), "layers.2.bias": np.zeros(6)}
    probe.set_weights({**probe.get_weights(), **identity})
    probe.loss_and_gradients(X, y)
    masks = {"layers.1": seen.outputs[0] != 0}
    assert 0 < masks["layers.1"].sum() < masks["layers.1"].size

    net = network("mse")
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y, masks=masks)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-12, atol=1e-13)


def test_every_step_has_its_mask_and_repeats_with_the_seed():
    masks = {}
    for run, seed in (("first", 5), ("again", 5), ("other", 6)):
        net, seen = identity_network(0.5, 20, seed=seed)
        net.optimizer = fnn.SGD(1e-300)  # steps that leave the weights as they are
        net.fit(np.ones((40, 20)), np.ones((40, 20)), epochs=2, batch_size=8, shuffle=False, verbose=0)
        masks[run] = [p != 0 for p in seen.outputs]
    assert len(masks["first"]) == 10
    assert all(np.array_equal(a, b) for a, b in zip(masks["first"], masks["again"], strict=True))
    assert not np.array_equal(masks["first"][0], masks["other"][0])
    for i in range(10):
        for j in range(i):
            assert not np.array_equal(masks["first"][i], masks["first"][j])


def test_two_dropouts_have_masks_of_their_own():
    """The second acts on what the first let through: the shares that pass multiply."""
    seen = Seen()
    layers = [fnn.Dense(100), fnn.Dropout(0.5), fnn.Dropout(0.5)]
    net = fnn.Network(layers, loss=seen, seed=1, dtype="float64", input_shape=100)
    net.set_weights({"layers.0.weight": np.eye(100), "layers.0.bias": np.zeros(100)})
    net.loss_and_gradients(np.ones((500, 100)), np.ones((500, 100)))
    assert abs((seen.outputs[0] != 0).mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 50_000)


def test_absent_from_prediction_and_evaluation():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 6)), rng.standard_normal((30, 2))
    plain = fnn.Network([fnn.Dense(8, "tanh"), fnn.Dense(2)], loss="mse", input_shape=6, seed=2)
    net = fnn.Network([fnn.Dense(8, "tanh"), fnn.Dropout(0.5), fnn.Dense(2)], loss="mse", input_shape=6, seed=3)
    weights = plain.get_weights()
    net.set_weights({name.replace("layers.1", "layers.2"): w for name, w in weights.items()})
    assert np.array_equal(net.predict(X), plain.predict(X))
    assert net.evaluate(X, y) == plain.evaluate(X, y)
    assert np.array_equal(net.predictor()(X[0]), plain.predictor()(X[0]))
