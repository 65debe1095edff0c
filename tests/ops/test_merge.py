"""Values that are read more than once, joined with themselves, or leave the network in several places."""

import numpy as np
import pytest
import reference_network

import fastnn as fnn


def rng_arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def assert_agrees(net, X, y, **options):
    loss, gradients = net.loss_and_gradients(X, y, **options)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y, **options)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-12 * np.abs(gradient).max(), err_msg=name)


def graph(inputs, outputs, **options):
    return fnn.Network(inputs=inputs, outputs=outputs, dtype="float64", seed=3, **{"loss": "mse", **options})


def test_a_value_read_by_many():
    """Its gradient is the sum over its readers."""
    x = fnn.Input(5)
    h = fnn.Dense(4, "tanh")(x)
    joined = fnn.Concat()([h, fnn.Dense(3, "relu")(h), fnn.Add()([h, fnn.Dense(4, "sigmoid")(h)]), h])
    assert_agrees(graph(x, fnn.Dense(2)(joined)), *rng_arrays((8, 5), (8, 2)))


@pytest.mark.parametrize("merge", [fnn.Add(), fnn.Concat()])
def test_a_value_joined_with_itself(merge):
    x = fnn.Input(5)
    h = fnn.Dense(4, "tanh")(x)
    assert_agrees(graph(x, fnn.Dense(2)(merge([h, h, h]))), *rng_arrays((8, 5), (8, 2)))


def test_inputs_that_are_joined_at_once():
    a, b = fnn.Input(3), fnn.Input(4)
    net = graph([a, b], fnn.Dense(2)(fnn.Concat()([a, b, a])))
    Xa, Xb, y = rng_arrays((9, 3), (9, 4), (9, 2))
    assert_agrees(net, [Xa, Xb], y)
    np.testing.assert_allclose(net.predict([Xa, Xb]), reference_network.predict(net, [Xa, Xb]), rtol=1e-13)
    assert_agrees(net, [Xa, Xb], y, sample_weight=np.arange(9.0))


def several_outputs(**options):
    x = fnn.Input(5)
    h = fnn.Dense(6, "tanh")(x)
    return graph(x, [fnn.Dense(2)(h), fnn.Dense(3, "softmax")(h), h], loss=["mse", "cross_entropy", "mae"], **options)


def test_several_outputs():
    """The loss is the sum of theirs; an output inside of the network is trained too."""
    net = several_outputs()
    X, a, c = rng_arrays((10, 5), (10, 2), (10, 6))
    y = [a, np.arange(10) % 3, c]
    assert_agrees(net, X, y)
    assert_agrees(net, X, y, sample_weight=np.arange(1.0, 11.0))
    for got, expected in zip(net.predict(X), reference_network.predict(net, X), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)


def test_several_outputs_train_as_the_reference():
    net = several_outputs(optimizer="adam")
    X, a, c = rng_arrays((10, 5), (10, 2), (10, 6))
    y = [a, np.arange(10) % 3, c]
    weights, states = {name: w.copy() for name, w in net.get_weights().items()}, {}
    for _ in range(5):
        _, gradients = reference_network.loss_and_gradients(net, X, y, weights=weights)
        weights = reference_network.reference_optimizers.update(net.optimizer, weights, gradients, states)
    net.fit(X, y, epochs=5, batch_size=10, shuffle=False, verbose=0)
    for name, w in net.get_weights().items():
        np.testing.assert_allclose(w, weights[name], rtol=0, atol=1e-11)


def test_an_output_and_its_activation():
    """Sums and activation both leave the network: the activation must not take the place of the sums."""
    x = fnn.Input(5)
    z = fnn.Dense(4)(x)
    net = graph(x, [z, fnn.Activation("tanh")(z)])
    [X] = rng_arrays((1, 5))
    for predict in (net.predict, net.predictor()):
        sums, y = predict(X)
        np.testing.assert_allclose(np.tanh(sums), y, rtol=1e-14)
    assert_agrees(net, X, rng_arrays((1, 4), (1, 4), seed=1))


def test_residual_blocks_in_sequence():
    blocks = [fnn.Residual(fnn.Dense(9, "gelu"), fnn.Dense(5)) for _ in range(4)]
    net = fnn.Network([fnn.Dense(5), *blocks, fnn.Dense(2)], loss="mse", dtype="float64", input_shape=5, seed=1)
    assert_agrees(net, *rng_arrays((8, 5), (8, 2)))


def test_softmax_in_the_middle_and_twice():
    """Only the last softmax is taken into the loss."""
    net = fnn.Network(
        [fnn.Dense(4, "softmax"), fnn.Dense(3, "softmax"), fnn.Activation("softmax")],
        dtype="float64",
        input_shape=5,
        seed=1,
    )
    [X] = rng_arrays((8, 5))
    assert net.losses[0].name == "cross_entropy"
    assert_agrees(net, X, np.arange(8) % 3)
