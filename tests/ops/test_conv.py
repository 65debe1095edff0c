"""Convolutions beside the specification at sizes that the battery is too small for, and what their layers refuse."""

import numpy as np
import pytest
import reference
import reference_network

import fastnn as fnn
from fastnn._core import binding


def images(rows, shape, classes=10, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, *shape)).astype(dtype), rng.integers(0, classes, rows)


def lenet(dtype="float64", **options):
    layers = [
        fnn.Conv2D(6, 5, padding="same", activation="relu"), fnn.MaxPool2D(2), fnn.Conv2D(16, 5, activation="relu"),
        fnn.MaxPool2D(2), fnn.Flatten(), fnn.Dense(84, "relu"), fnn.Dense(10, "softmax"),
    ]  # fmt: skip
    return fnn.Network(layers, input_shape=(28, 28, 1), dtype=dtype, seed=1, **options)


def colour_network(dtype="float64", **options):
    layers = [
        fnn.Conv2D(32, 3, padding="same", activation="relu"), fnn.MaxPool2D(2), fnn.Conv2D(48, 3, groups=2),
        fnn.Activation("relu"), fnn.Conv2D(48, 3, groups=48, activation="tanh"), fnn.Conv2D(20, 1),
        fnn.GlobalAvgPool2D(), fnn.Dense(10, "softmax"),
    ]  # fmt: skip
    return fnn.Network(layers, input_shape=(16, 16, 3), dtype=dtype, seed=1, **options)


def assert_agrees(net, X, y, bound):
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=bound)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=bound * np.abs(gradient).max(), err_msg=name)
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=bound, atol=bound)


@pytest.mark.parametrize("make", [lenet, colour_network])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_networks_of_common_sizes(make, rows):
    """Float64 to 1e-11; float32 to 1e-4 of a tensor's largest gradient: thousands of positions that cancel."""
    for dtype, bound in (("float64", 1e-11), ("float32", 1e-4)):
        net = make(dtype)
        assert_agrees(net, *images(rows, net.input_shape, dtype=dtype), bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [lenet, colour_network])
def test_bitwise_equal_at_any_number_of_threads(make, dtype):
    X, y = images(70, make().input_shape, dtype=dtype)
    binding.pool_shutdown()
    results = []
    for threads in (1, 2, 3, 8):
        net = make(dtype)
        history = net.fit(X, y, epochs=1, batch_size=32, threads=threads, verbose=0)
        results.append((net.params.copy(), net.predict(X, threads=threads), history["loss"]))
    assert binding.pool_size() > 0  # large enough for threads
    for params, predictions, losses in results[1:]:
        assert np.array_equal(params, results[0][0])
        assert np.array_equal(predictions, results[0][1])
        assert losses == results[0][2]


def test_a_layer_called_twice_shares_its_weights():
    """Its gradient is the sum over the calls."""
    shared = fnn.Conv2D(3, 3, padding="same", activation="tanh")
    x = fnn.Input((5, 4, 3))
    y = fnn.GlobalAvgPool2D()(shared(shared(x)))
    net = fnn.Network(inputs=x, outputs=fnn.Dense(10, "softmax")(y), dtype="float64", seed=2)
    assert list(net.get_weights())[:2] == ["layers.0.weight", "layers.0.bias"]
    assert_agrees(net, *images(9, (5, 4, 3)), 1e-12)


def test_weights_of_each_name_are_used():
    """(height, width, in, out) layout: a network set by hand computes the sum over its window."""
    net = fnn.Network([fnn.Conv2D(2, (1, 2))], input_shape=(1, 3, 1), dtype="float64")
    net.set_weights({"layers.0.weight": [[[[1.0, 5.0]], [[10.0, 7.0]]]], "layers.0.bias": [100.0, 0.0]})
    assert net.predict([[[[1.0], [2.0], [3.0]]]]).tolist() == [[[[121.0, 19.0], [132.0, 31.0]]]]


def test_a_kernel_of_one_pixel_is_a_dense_layer():
    X, _ = images(7, (3, 4, 5))
    conv = fnn.Network([fnn.Conv2D(6, 1, activation="gelu")], input_shape=(3, 4, 5), dtype="float64", seed=3)
    dense = fnn.Network([fnn.Dense(6, "gelu")], input_shape=(3, 4, 5), dtype="float64")
    weights = conv.get_weights()
    dense.set_weights({"layers.0.weight": weights["layers.0.weight"][0, 0], "layers.0.bias": weights["layers.0.bias"]})
    np.testing.assert_allclose(conv.predict(X), dense.predict(X), rtol=1e-13, atol=1e-14)


def test_a_sequence_is_an_image_of_height_one():
    X, _ = images(5, (9, 2))
    options = {"stride": 2, "padding": "same", "activation": "tanh"}
    one = fnn.Network([fnn.Conv1D(4, 3, **options)], input_shape=(9, 2), dtype="float64", seed=3)
    two = fnn.Network([fnn.Conv2D(4, (1, 3), **options)], input_shape=(1, 9, 2), dtype="float64", seed=3)
    two.set_weights({name: w.reshape(two.get_weights()[name].shape) for name, w in one.get_weights().items()})
    assert np.array_equal(one.predict(X), two.predict(X[:, None])[:, 0])


@pytest.mark.parametrize("padding", ["valid", "same", 0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_shapes(padding, stride, dilation):
    for size in range(5, 12):
        net = fnn.Network([fnn.Conv1D(2, 3, stride=stride, padding=padding, dilation=dilation)], input_shape=(size, 1))
        pad = padding if isinstance(padding, str) else (0, padding)
        x, w = np.zeros((1, 1, size, 1)), np.zeros((1, 3, 1, 2))
        expected = reference.conv_forward(x, w, stride=(1, stride), padding=pad, dilation=(1, dilation))
        assert net.predict(x[:, 0]).shape == expected[:, 0].shape


def test_initial_weights_follow_the_fan():
    """He's uniform weights reach sqrt(6 / fan_in), where a filter sums 3 x 3 x 8 / 2 inputs."""
    net = fnn.Network([fnn.Conv2D(64, 3, groups=2, activation="relu")], input_shape=(9, 9, 8), seed=0)
    largest = np.abs(net.get_weights()["layers.0.weight"]).max()
    assert 0.98 * np.sqrt(6 / 36) < largest <= np.sqrt(6 / 36)


def test_summary_counts():
    text = lenet().summary()
    assert "(n, 28, 28, 6)" in text and "(n, 10, 10, 16)" in text
    first, second = [line for line in text.splitlines() if "Conv2D" in line]
    assert f"{5 * 5 * 6 + 6:,}" in first and f"{28 * 28 * 5 * 5 * 6:,}" in first
    assert f"{5 * 5 * 6 * 16 + 16:,}" in second and f"{10 * 10 * 5 * 5 * 6 * 16:,}" in second
    depthwise = fnn.Network([fnn.Conv2D(8, 3, groups=8)], input_shape=(5, 5, 8))
    assert f"{9 * 9 * 8:,}" in depthwise.summary()


def test_the_gradient_of_the_data_is_not_computed():
    """The first layer's input has no gradient in a training program."""
    net = lenet()
    net.build((28, 28, 1))
    _, compiled = net._state.take("gradient", 4, losses=net.losses, targets=(("ids", ()),))
    graph = net._state.graph
    assert compiled._plan.array(compiled._bound.arrays, graph.inputs[0]) is not None
    assert compiled._plan.array(compiled._bound.arrays, graph.inputs[0], "gradient") is None


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (fnn.Conv2D(4, 3), (28, 28), r"layers.0 \(Conv2D\) expects images .*; put Reshape\(\(28, 28, 1\)\) before"),
        (fnn.Conv2D(4, 3), (784,), r"layers.0 \(Conv2D\) expects images .* \(784,\); put a Reshape before"),
        (fnn.Conv1D(4, 3), (30,), r"layers.0 \(Conv1D\) expects sequences .* \(30,\); put Reshape\(\(30, 1\)\) before"),
        (fnn.Conv2D(4, 5), (4, 8, 1), r"layers.0 \(Conv2D\): a window of 5 x 5 does not fit into an input of 4 x 8"),
        (fnn.Conv2D(4, 3, dilation=2), (4, 8, 1), r"of 3 x 3, 5 x 5 with its dilation, does not fit into .* 4 x 8"),
        (fnn.Conv1D(4, 9, padding=1), (6, 1), r"a window of 9 does not fit into an input of 6 with padding=1"),
        (fnn.Conv2D(6, 3, groups=3), (8, 8, 4), r"layers.0 \(Conv2D\): 4 channels do not make 3 equal groups"),
    ],
)  # fmt: skip
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(fnn.ShapeError, match=message):
        fnn.Network([layer], input_shape=shape).build(shape)


def test_images_without_a_channel_axis():
    X, y = images(4, (28, 28))
    net = fnn.Network([fnn.Conv2D(4, 3), fnn.Flatten(), fnn.Dense(10, "softmax")])
    with pytest.raises(fnn.ShapeError, match=r"put Reshape\(\(28, 28, 1\)\) before it"):
        net.fit(X, y, verbose=0)
    net = fnn.Network([fnn.Reshape((28, 28, 1)), fnn.Conv2D(4, 3), fnn.Flatten(), fnn.Dense(10, "softmax")])
    net.fit(X, y, verbose=0)
    assert net.predict(X).shape == (4, 10)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 3), {}, "filters must be a positive integer"),
        ((4, 0), {}, "kernel_size must be a positive integer"),
        ((4, (3, 3, 3)), {}, "kernel_size: expected an int or 2 of them"),
        ((4, 3), {"stride": 0}, "stride must be a positive integer"),
        ((4, 3), {"stride": (1, 0)}, "each size in stride must be a positive integer"),
        ((4, 3), {"padding": "full"}, 'padding: expected "valid", "same" or an int'),
        ((4, 3), {"padding": -1}, "padding must be an integer not below 0"),
        ((4, 3), {"dilation": 0}, "dilation must be a positive integer"),
        ((4, 3), {"groups": 3}, "groups must divide filters: 4 filters do not make 3 equal groups"),
        ((4, 3), {"activation": "rel"}, "relu"),
    ],
)
def test_wrong_arguments(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        fnn.Conv2D(*arguments, **options)


def test_wrong_types():
    for arguments in ((2.5, 3), (4, "3"), (4, (3, 1.5))):
        with pytest.raises(TypeError):
            fnn.Conv2D(*arguments)
    with pytest.raises(ValueError, match="kernel_size: expected an int, got"):
        fnn.Conv1D(4, (3, 3))
