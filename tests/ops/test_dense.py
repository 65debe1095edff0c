"""Dense: every edge of the matrix products, large networks on several threads, layers that share weights."""

import numpy as np
import pytest
import reference_network

import fastnn as fnn
from fastnn._core import binding

SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130]


def problem(rows, inputs, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, inputs)), rng.standard_normal((rows, outputs))


def dense_network(inputs, *units, activation="tanh", dtype="float64", **options):
    layers = [fnn.Dense(n, activation) for n in units[:-1]] + [fnn.Dense(units[-1])]
    return fnn.Network(layers, loss="mse", input_shape=(inputs,), dtype=dtype, seed=1, **options)


def assert_agrees(net, X, y, bound):
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=bound)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=bound * np.abs(gradient).max(), err_msg=name)
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=bound, atol=bound)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", ["inputs", "hidden", "outputs", "rows"])
def test_every_size_in_every_place(size, place):
    """One dimension goes around the vector lengths and the tile edges while the others stay odd."""
    sizes = {"inputs": 5, "hidden": 11, "outputs": 3, "rows": 13, place: size}
    X, y = problem(sizes["rows"], sizes["inputs"], sizes["outputs"])
    assert_agrees(dense_network(sizes["inputs"], sizes["hidden"], sizes["outputs"]), X, y, 1e-12)


@pytest.mark.parametrize("rows", [1, 2, 5, 64, 257])
def test_float32_of_common_sizes(rows):
    """784-128-10 in float32 to 2e-5 of a tensor's largest gradient.

    A product of 784 terms rounds to about sqrt(784) u = 1.7e-6, relative to the norms of its factors, and a hidden sum
    of 784 terms of that size is some times smaller than those norms.
    """
    X, y = problem(rows, 784, 10)
    X, y = X.astype(np.float32), y.astype(np.float32)
    assert_agrees(dense_network(784, 128, 10, dtype="float32", activation="relu"), X, y, 2e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(300, 512, 257, 10), (64, 32, 10), (1000, 1), (1, 1000, 3)], ids=str)
@pytest.mark.parametrize("optimizer", ["adam", fnn.SGD(0.01, momentum=0.9, clip_norm=1.0)], ids=["adam", "sgd"])
def test_bitwise_equal_at_any_number_of_threads(sizes, dtype, optimizer):
    X, y = problem(700, sizes[0], sizes[-1])
    binding.pool_shutdown()
    results = []
    for threads in (1, 2, 3, 8):
        net = dense_network(*sizes, dtype=dtype, optimizer=optimizer)
        history = net.fit(X, y, epochs=2, batch_size=256, threads=threads, verbose=0)
        results.append((net.params.copy(), net.predict(X, threads=threads), history["loss"]))
    assert sizes != (300, 512, 257, 10) or binding.pool_size() > 0  # this one is large enough for threads
    for params, predictions, losses in results[1:]:
        assert np.array_equal(params, results[0][0])
        assert np.array_equal(predictions, results[0][1])
        assert losses == results[0][2]


def test_large_network_agrees_with_the_reference():
    X, y = problem(256, 300, 10)
    assert_agrees(dense_network(300, 512, 257, 10, activation="relu"), X, y, 1e-12)


def test_a_layer_called_twice_shares_its_weights():
    """Its gradient is the sum over the calls."""
    shared = fnn.Dense(4, "tanh")
    x = fnn.Input(4)
    net = fnn.Network(inputs=x, outputs=fnn.Dense(2)(shared(shared(x))), loss="mse", dtype="float64", seed=2)
    assert list(net.get_weights()) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    assert_agrees(net, *problem(9, 4, 2), 1e-12)


def test_equal_layers_are_still_two():
    """Two layers of one configuration have weights of their own."""
    x = fnn.Input(4)
    net = fnn.Network(
        inputs=x, outputs=fnn.Dense(4, "tanh")(fnn.Dense(4, "tanh")(x)), loss="mse", dtype="float64", seed=2
    )
    assert len(net.get_weights()) == 4
    assert_agrees(net, *problem(9, 4, 4), 1e-12)


def test_weights_of_each_name_are_used():
    """(in, out) layout: a network set by hand computes x W + b."""
    net = fnn.Network([fnn.Dense(2)], input_shape=3, dtype="float64")
    weight, bias = np.arange(6.0).reshape(3, 2), np.array([10.0, 20.0])
    net.set_weights({"layers.0.weight": weight, "layers.0.bias": bias})
    assert np.array_equal(net.predict([[1.0, 2.0, 3.0]]), [[16 + 10, 22 + 20]])
