"""The contenders of the benchmark do what fastnn does: from the same weights and batches, the same losses."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn.benchmark import numpy_network, pure_python

STEPS = 50
BATCH = 16

# layers, activations, loss
NETWORKS = {
    "64-32-10": ((64, 32, 10), ("relu", "softmax"), "cross_entropy"),
    "5-9-7-2 tanh": ((5, 9, 7, 2), ("tanh", "tanh", None), "mse"),
    "5-9-2 sigmoid": ((5, 9, 2), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    "5-9-3 softmax, mse": ((5, 9, 3), ("relu", "softmax"), "mse"),
}

# ours, the twin's: of the same name in both modules
OPTIMIZERS = {
    "sgd": (fnn.SGD(0.05), lambda module: module.SGD(0.05)),
    "adam": (fnn.Adam(0.01), lambda module: module.Adam(0.01)),
}


def problem(sizes, loss):
    """Five batches and a smaller one, so that the steps meet both."""
    rng = np.random.default_rng(4)
    rows = 5 * BATCH + 3
    X = rng.standard_normal((rows, sizes[0]))
    return X, rng.integers(0, sizes[-1], rows) if loss == "cross_entropy" else rng.random((rows, sizes[-1]))


class Losses(fnn.Callback):
    """The loss of each step."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, batch, figures):
        self.seen.append(figures["loss"])


def our_losses(net, X, y, epochs):
    losses = Losses()
    net.fit(X, y, epochs=epochs, batch_size=BATCH, shuffle=False, callbacks=[losses], verbose=0)
    return losses.seen[:STEPS]


def layers_of(net):
    """(weight, bias, activation) triples."""
    weights = net.get_weights()
    return [
        (weights[f"layers.{i}.weight"].copy(), weights[f"layers.{i}.bias"].copy(), layer.activation)
        for i, layer in enumerate(net.layers)
    ]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_losses_agree(network, optimizer):
    """To 1e-10 over 50 steps in float64, and the predictions afterwards."""
    sizes, activations, loss = NETWORKS[network]
    ours, twin_of = OPTIMIZERS[optimizer]
    layers = [fnn.Dense(units, activation) for units, activation in zip(sizes[1:], activations, strict=True)]
    net = fnn.Network(layers, loss=loss, optimizer=ours, dtype="float64", input_shape=sizes[0], seed=6)
    X, y = problem(sizes, loss)
    start = layers_of(net)
    pure = pure_python.Network([(w.tolist(), b.tolist(), a) for w, b, a in start], loss, twin_of(pure_python))
    arrays = numpy_network.Network(start, loss, twin_of(numpy_network), BATCH, "float64")

    epochs = -(-STEPS // 6)
    expected = our_losses(net, X, y, epochs)
    assert len(expected) == STEPS
    order = np.arange(len(X))
    of_pure = [loss for _ in range(epochs) for loss in pure.train(X.tolist(), y.tolist(), order.tolist(), BATCH)]
    of_arrays = [loss for _ in range(epochs) for loss in arrays.train(X, y, order, BATCH)]
    np.testing.assert_allclose(of_pure[:STEPS], expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(of_arrays[:STEPS], expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(pure.predict(X.tolist()), net.predict(X), rtol=0, atol=1e-10)
    np.testing.assert_allclose(arrays.predict(X), net.predict(X), rtol=0, atol=1e-10)


def test_order_is_followed():
    """Batches are the rows in the order that is given."""
    sizes, activations, loss = NETWORKS["64-32-10"]
    net = fnn.Network(
        [fnn.Dense(n, a) for n, a in zip(sizes[1:], activations, strict=True)], dtype="float64", input_shape=64, seed=6
    )
    X, y = problem(sizes, loss)
    order = np.random.default_rng(0).permutation(len(X))
    start = layers_of(net)
    pure = pure_python.Network([(w.tolist(), b.tolist(), a) for w, b, a in start], loss, pure_python.Adam())
    arrays = numpy_network.Network(start, loss, numpy_network.Adam(), BATCH, "float64")
    expected = our_losses(net, X[order], y[order], 1)
    np.testing.assert_allclose(pure.train(X.tolist(), y.tolist(), order.tolist(), BATCH), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(arrays.train(X, y, order, BATCH), expected, rtol=0, atol=1e-10)


def test_benchmark_prints_what_it_measures(capfd):
    """Every contender that is installed has a row, with a time and the loss that all share."""
    from fastnn import benchmark
    from fastnn.benchmark.contenders import CONTENDERS

    assert benchmark.main(["--seconds", "0.05", "--network", "6-5-3", "--batch", "4"]) == 0
    out = capfd.readouterr().out
    assert "6-5-3 [4]" in out
    rows = {line.split("  ")[0].strip(): line.split() for line in out.splitlines()}
    losses = []
    for contender in CONTENDERS:
        if contender.installed():
            assert any(unit in rows[contender.name] for unit in ("us", "ms", "s"))
            losses.append(float(rows[contender.name][-1]))
    assert len(losses) >= 3
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [["--seconds", "0"], ["--seconds", "no"], ["--other"], ["--network", "8"], ["--network", "8-1"], ["--batch", "0"]],
)
def test_benchmark_refuses(arguments, capsys):
    from fastnn import benchmark

    with pytest.raises(SystemExit, match="2"):
        benchmark.main(arguments)
    assert "expected" in capsys.readouterr().err or "--other" in arguments
