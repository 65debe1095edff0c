"""The battery: every row of cases.py through every property that holds for all layers."""

import cases
import numpy as np
import pytest
import reference_network
from cases import CASES

from fastnn.layers import Layer

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
deterministic_case = pytest.mark.parametrize("case", [c for c in CASES if not c.random], ids=lambda case: case.name)

ROWS = 11


def assert_gradients_close(got, expected, bound):
    """Each tensor to `bound`, relative to its largest gradient."""
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(got[name], gradient, rtol=0, atol=bound * np.abs(gradient).max(), err_msg=name)


def test_every_layer_has_a_row():
    public = {cls for cls in Layer.known.values() if cls.__module__.startswith("fastnn.")}
    assert public == {case.layer for case in CASES if case.layer.__module__.startswith("fastnn.")}


@every_case
def test_gradients_agree_with_central_differences(case):
    """To 1e-6 of the largest; of all weights, those before the layer included, so of its inputs too."""
    net = case.network()
    X, y = case.data(ROWS)
    net.loss_and_gradients(X, y)
    gradients, numeric = net.grads.copy(), np.empty_like(net.grads)
    step = 1e-5  # error step^2 f''' / 6 + 1e-16 f / step: about 1e-10 for functions of size 1
    for i, weight in enumerate(net.params.copy()):
        net.params[i] = weight + step
        high, _ = net.loss_and_gradients(X, y)
        net.params[i] = weight - step
        numeric[i] = (high - net.loss_and_gradients(X, y)[0]) / (2 * step)
        net.params[i] = weight
    np.testing.assert_allclose(gradients, numeric, rtol=0, atol=1e-6 * np.abs(numeric).max())


@deterministic_case
@pytest.mark.parametrize("rows", [1, 2, 7, 16, 33])
def test_agrees_with_the_reference(case, rows):
    rows = max(rows, case.least_rows)
    net = case.network()
    X, y = case.data(rows)
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert_gradients_close(gradients, expected, 1e-12)
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=1e-12, atol=1e-12)


@deterministic_case
def test_float32_agrees_with_the_reference(case):
    """To 4e-6, relative to the network's largest gradient.

    Rounding is u = 6e-8. A gradient ends a chain of at most six products of at most 20 terms, forward and back,
    and a sum over 33 rows: with errors that add like a random walk, sqrt(6 x 20 + 33) u = 7e-7, times a few for the
    cancellation in p - y and in the softmax, and for elementary functions of up to 4 u. The largest gradient of the
    network stands for the size of the terms: a tensor's own may be small because its terms cancel.
    """
    net = case.network("float32")
    X, y = case.data(33, "float32")
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=4e-6)
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=4e-6 * largest, err_msg=name)
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=4e-6, atol=4e-6)


@every_case
def test_configuration_round_trip(case):
    layer = case.make()
    again = type(layer).from_config(layer.config())
    assert again == layer
    assert repr(again) == repr(layer)
    assert again.config() == layer.config()


@deterministic_case
def test_training_agrees_with_the_reference(case):
    """Two epochs of batches of 5 over 23 rows: the last batch is smaller, and max-norm and penalties take part."""
    net = case.network(optimizer="adam")
    X, y = case.data(23)
    expected, losses = reference_network.fit(net, X, y, epochs=2, batch_size=5)
    history = net.fit(X, y, epochs=2, batch_size=5, shuffle=False, verbose=False)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-11)
    for name, weight in net.get_weights().items():
        # Adam divides by the root of g^2, so that small gradients count as much as large ones, rounding and all. Those
        # of the keys' bias are nothing else, since it shifts all scores of a query alike: they are left out.
        keys = {"qkv_bias": (1, 3), "key_value_bias": (0, 2)}.get(name.rpartition(".")[2])
        rows = np.ones(len(weight), dtype=bool)
        if keys is not None:
            part, parts = keys
            rows[part * len(rows) // parts : (part + 1) * len(rows) // parts] = False
        np.testing.assert_allclose(weight[rows], expected[name][rows], rtol=0, atol=1e-10, err_msg=name)


@every_case
@pytest.mark.parametrize("batch_size", [1, 3, 16, 1000])
def test_prediction_does_not_depend_on_the_batches(case, batch_size):
    net = case.network()
    X, _ = case.data(37)
    whole = net.predict(X)
    np.testing.assert_allclose(net.predict(X, batch_size=batch_size), whole, rtol=1e-13, atol=1e-14)
    parts = np.concatenate([net.predict(part) for part in np.array_split(X, 5)])
    np.testing.assert_allclose(parts, whole, rtol=1e-13, atol=1e-14)
    single = [net.predictor()(X[:1])[0], net.predictor()(X[0]), net.predict(X[:1])[0]]
    np.testing.assert_allclose(single, whole[[0, 0, 0]], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("case", [c for c in CASES if not c.trains_otherwise], ids=lambda case: case.name)
def test_prediction_equals_the_training_forward(case):
    net = case.network()
    X, y = case.data(ROWS)
    penalties = reference_network.penalties(net, reference_network.Run(net.get_weights()))
    loss, _ = net.loss_and_gradients(X, y)
    assert np.mean((net.predict(X) - y) ** 2) + penalties == pytest.approx(loss, rel=1e-13)
    assert net.evaluate(X, y)["loss"] == pytest.approx(loss, rel=1e-13)


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_seed_same_weights(case, dtype):
    """Bitwise, at any number of threads; another seed gives others."""
    X, y = case.data(45, dtype)

    def trained(seed=3, threads=1):
        net = case.network(dtype, optimizer="adam", seed=seed)
        losses = net.fit(X, y, epochs=2, batch_size=8, threads=threads, verbose=False)["loss"]
        return net.params.copy(), losses

    params, losses = trained()
    for threads in (1, 2, 3, 8):
        again, again_losses = trained(threads=threads)
        assert np.array_equal(params, again), f"{threads} threads"
        assert losses == again_losses
    assert not np.array_equal(params, trained(seed=4)[0])


@every_case
def test_gradients_do_not_depend_on_what_ran_before(case):
    """A batch of one size, then another, then the first again: no buffer keeps anything."""
    net = case.network()
    X, y = case.data(33)
    loss, first = net.loss_and_gradients(X[:5], y[:5])
    first = {name: gradient.copy() for name, gradient in first.items()}
    net.loss_and_gradients(X, y)
    net.predict(X)
    again_loss, again = net.loss_and_gradients(X[:5], y[:5])
    assert loss == again_loss
    for name, gradient in first.items():
        assert np.array_equal(gradient, again[name]), name


def test_data_is_the_same_in_both_precisions():
    for a, b in zip(cases.data(9, "float32"), cases.data(9, "float64"), strict=True):
        assert np.array_equal(a, b)
