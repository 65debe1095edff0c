"""Pooling: ties, padding and what its layers refuse; the battery of cases.py has the rest."""

import numpy as np
import pytest
import reference
import reference_network

import fastnn as fnn


def pooled(layer, X):
    X = np.asarray(X, dtype=np.float64)
    return fnn.Network([layer], input_shape=X.shape[1:], dtype="float64").predict(X)


def gradient_through(layer, image):
    """How the gradient of the sum of a pool's outputs spreads over an image's pixels."""
    image = np.asarray(image, dtype=np.float64)[..., None]
    rows, columns, _ = image.shape
    return np.array([[gradient_of_pixel(layer, image, (i, j)) for j in range(columns)] for i in range(rows)])


def gradient_of_pixel(layer, image, pixel):
    """d loss / d pixel: a second input adds to that pixel through a weight."""
    chosen = np.zeros_like(image)
    chosen[pixel] = 1.0
    x, marks = fnn.Input(image.shape), fnn.Input(image.shape)
    added = fnn.Conv2D(1, 1, use_bias=False, weight_init="zeros")(marks)
    net = fnn.Network(
        inputs=[x, marks], outputs=fnn.Flatten()(layer(fnn.Add()([x, added]))), loss=total, dtype="float64", seed=0
    )
    target = np.zeros_like(net.predict([image[None], chosen[None]]))
    _, gradients = net.loss_and_gradients([image[None], chosen[None]], target)
    [gradient] = gradients.values()
    return gradient.item()


def total(y, p):
    return float(p.sum()), np.ones_like(p)


def test_the_first_of_equal_values_takes_the_gradient():
    image = [[1.0, 1.0, 5.0, 2.0], [1.0, 1.0, 5.0, 5.0]]
    assert gradient_through(fnn.MaxPool2D(2), image).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]
    assert gradient_through(fnn.GlobalMaxPool2D(), image).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]


def test_the_mean_of_sequences_of_different_lengths():
    """Each over its own steps, as it is alone; so are the gradients."""
    rng = np.random.default_rng(0)
    X, y = [rng.standard_normal((n, 3)) for n in (4, 1, 5, 2)], rng.standard_normal((4, 2))
    layers = [fnn.Dense(7, "tanh"), fnn.GlobalAvgPool1D(), fnn.Dense(2)]
    net = fnn.Network(layers, input_shape=(5, 3), dtype="float64", seed=0)
    alone = [net.predict(one[None])[0] for one in X]
    np.testing.assert_allclose(net.predict(X), alone, rtol=1e-13)
    parts = []
    for one, target in zip(X, y, strict=True):
        net.loss_and_gradients(one[None], target[None])
        parts.append(net.grads.copy())
    net.loss_and_gradients(X, y)
    np.testing.assert_allclose(net.grads, np.mean(parts, axis=0), rtol=1e-11, atol=1e-14)


def test_without_any_step_the_mean_is_0():
    x, mask = fnn.Input((3, 2)), fnn.Input(3)
    net = fnn.Network(inputs=[x, mask], outputs=fnn.GlobalAvgPool1D()(x, mask=mask))
    assert net.predict([np.ones((2, 3, 2)), [[0, 0, 0], [1, 0, 1]]]).tolist() == [[0, 0], [1, 1]]


def test_the_mean_over_all_steps_cannot_be_streamed():
    net = fnn.Network([fnn.GlobalAvgPool1D()], input_shape=(3, 2))
    with pytest.raises(fnn.ShapeError, match="takes the mean over all steps, so it cannot be streamed"):
        net.stream()


def test_windows_that_overlap_add_up():
    image = [[0.0, 3.0, 1.0, 3.0]]
    assert gradient_through(fnn.MaxPool2D((1, 2), stride=1), image).tolist() == [[0, 2, 0, 1]]
    assert gradient_through(fnn.AvgPool2D((1, 2), stride=1), image).tolist() == [[0.5, 1, 1, 0.5]]


def test_pixels_that_no_window_sees_have_no_gradient():
    image = [[1.0, 2.0, 9.0], [3.0, 0.0, 9.0]]
    assert gradient_through(fnn.MaxPool2D(2), image).tolist() == [[0, 0, 0], [1, 0, 0]]


def test_padding_is_no_value():
    """The largest of negative numbers stays negative, and a mean counts what is there."""
    X = [[[-3.0], [-1.0], [-2.0]]]
    assert pooled(fnn.MaxPool1D(2, stride=2, padding=1), X).ravel().tolist() == [-3, -1]
    assert pooled(fnn.MaxPool1D(2, padding="same"), X).ravel().tolist() == [-1, -2]
    assert pooled(fnn.AvgPool1D(2, stride=2, padding=1), X).ravel().tolist() == [-3, -1.5]
    assert pooled(fnn.AvgPool1D(2, padding="same"), X).ravel().tolist() == [-2, -2]


def test_a_large_mean_is_accurate():
    """Rows are summed first: 256 x 256 float32 values of one size to a few units in the last place."""
    X = np.random.default_rng(0).uniform(1, 2, (2, 256, 256, 3)).astype(np.float32)
    got = fnn.Network([fnn.GlobalAvgPool2D()], input_shape=X.shape[1:]).predict(X)
    np.testing.assert_allclose(got, X.mean(axis=(1, 2), dtype=np.float64), rtol=5e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_images(threads):
    X = np.random.default_rng(0).standard_normal((9, 40, 50, 17))
    for kind, layer in (("max", fnn.MaxPool2D), ("mean", fnn.AvgPool2D)):
        forward = getattr(reference, f"{kind}_pool_forward")
        for options in ({"stride": 2}, {"stride": (3, 1), "padding": "same"}, {"stride": 2, "padding": (1, 1)}):
            net = fnn.Network([layer(3, **options)], input_shape=X.shape[1:], dtype="float64")
            stride = options["stride"] if isinstance(options["stride"], tuple) else (2, 2)
            expected = forward(X, (3, 3), **{**options, "stride": stride})
            np.testing.assert_allclose(net.predict(X, threads=threads), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (fnn.MaxPool2D(2), (28, 28), r"layers.0 \(MaxPool2D\) expects images .* put Reshape\(\(28, 28, 1\)\) before"),
        (fnn.MaxPool2D(3), (2, 8, 1), r"layers.0 \(MaxPool2D\): a window of 3 x 3 does not fit into an input of 2 x 8"),
        (fnn.AvgPool1D(4), (3, 2), r"layers.0 \(AvgPool1D\): a window of 4 does not fit into an input of 3"),
        (fnn.GlobalAvgPool1D(), (3,), r"layers.0 \(GlobalAvgPool1D\) expects sequences \(time, channels\)"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(fnn.ShapeError, match=message):
        fnn.Network([layer], input_shape=shape).build(shape)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="padding must be below pool_size"):
        fnn.MaxPool2D((3, 2), padding=2)
    with pytest.raises(ValueError, match="pool_size must be a positive integer"):
        fnn.AvgPool2D(0)
    with pytest.raises(ValueError, match="stride must be a positive integer"):
        fnn.MaxPool1D(2, stride=0)


# ---- relu before max pooling, which takes it in ----------------------------------------------------------------------


def rectified(windows, shape=(5, 6, 3), **options):
    """A convolution with relu, max pooling, and the same where a second reader of relu's output keeps it there."""
    x = fnn.Input(shape)
    found = fnn.Conv2D(4, 3, padding="same", activation="relu")(x)
    pooled = fnn.Flatten()(windows(found))
    plain = fnn.Network(inputs=x, outputs=fnn.Dense(2)(pooled), dtype="float64", seed=3, **options)
    outputs = [fnn.Dense(2)(pooled), found]
    return plain, fnn.Network(inputs=x, outputs=outputs, dtype="float64", seed=3, **options)


def ops(net, mode):
    heads = {"losses": net.losses, "targets": (("real", (2,)),)} if mode == "gradient" else {}
    taken = net._state.take(mode, 4, **heads)
    net._state.give(taken)
    return [node.kind for node in taken[1]._plan.nodes if node.kind in ("conv", "activation", "max_pool")], taken[
        1
    ]._plan


@pytest.mark.parametrize(
    "options", [{}, {"stride": 1}, {"stride": 3}, {"padding": "same", "stride": 2}, {"padding": 1}]
)
def test_pooling_takes_relu_in(options):
    """The outputs are those of relu followed by pooling, bit for bit; the gradients are the specification's."""
    net, twin = rectified(fnn.MaxPool2D(3, **options))
    kinds, plan = ops(net, "gradient")
    assert kinds == ["conv", "max_pool"]
    attrs = {node.kind: node.attrs for node in plan.nodes}
    assert attrs["max_pool"]["rectify"] and attrs["conv"].get("activation", "linear") == "linear"
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((7, 5, 6, 3)), rng.standard_normal((7, 2))
    twin.set_weights(dict(zip(twin.get_weights(), net.get_weights().values(), strict=True)))
    assert np.array_equal(net.predict(X), twin.predict(X)[0])
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-12 * np.abs(gradient).max(), err_msg=name)


def test_relu_stays_where_others_read_it():
    _, twin = rectified(fnn.MaxPool2D(2))
    kinds, plan = ops(twin, "predict")
    assert kinds == ["conv", "max_pool"]
    assert not any("rectify" in node.attrs for node in plan.nodes)
    assert (twin.predict(np.random.default_rng(0).standard_normal((7, 5, 6, 3)))[1] >= 0).all()


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
def test_other_activations_stay_before_pooling(activation):
    net = fnn.Network([fnn.Conv2D(2, 3, activation=activation), fnn.MaxPool2D(2)], input_shape=(6, 6, 1))
    _, plan = ops(net, "predict")
    assert not any("rectify" in node.attrs for node in plan.nodes)


# ---- max pooling after a convolution, which takes it in where nothing goes back --------------------------------------


def predicting(net):
    """The ops of a prediction, from the convolution on, and the attributes of that."""
    kinds, plan = ops(net, "predict")
    return kinds, next(node.attrs for node in plan.nodes if node.kind == "conv")


SHAPES = {
    "direct": ((9, 13, 3), fnn.Conv2D(32, 3, padding="same", activation="relu"), fnn.MaxPool2D(2)),
    "direct, stride": ((12, 13, 5), fnn.Conv2D(7, (3, 2), stride=2, activation="relu"), fnn.MaxPool2D((3, 2))),
    "plane": ((28, 27, 1), fnn.Conv2D(4, 5, padding="same", activation="relu"), fnn.MaxPool2D((2, 3))),
    "tiles": ((11, 10, 16), fnn.Conv2D(24, 3, padding="same", activation="relu"), fnn.MaxPool2D(2)),
    "linear": ((8, 8, 3), fnn.Conv2D(6, 3), fnn.MaxPool2D(3)),
    "pointwise": ((6, 6, 9), fnn.Conv2D(12, 1, activation="relu"), fnn.MaxPool2D(2)),
    "sequence": ((300, 3), fnn.Conv1D(6, 4, padding="same", activation="relu"), fnn.MaxPool1D(4)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_convolution_takes_pooling_in(name, dtype):
    """The outputs are those of a network in which a second reader of the map keeps pooling out of the convolution."""
    shape, conv, windows = SHAPES[name]
    x = fnn.Input(shape)
    found = conv(x)
    pooled = windows(found)
    net = fnn.Network(inputs=x, outputs=pooled, dtype=dtype, seed=3)
    twin = fnn.Network(inputs=x, outputs=[pooled, found], dtype=dtype, seed=3)
    kinds, attrs = predicting(net)
    assert kinds == ["conv"] and "pool" in attrs
    assert "max_pool" in predicting(twin)[0]
    for rows in (1, 5, 70):
        X = np.random.default_rng(rows).standard_normal((rows, *shape)).astype(dtype)
        got, expected = net.predict(X), twin.predict(X)[0]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e2 * np.finfo(dtype).eps)
        assert all(np.array_equal(got, net.predict(X, threads=threads)) for threads in (1, 2, 5))


@pytest.mark.parametrize(
    ("conv", "windows"),
    [
        (fnn.Conv2D(8, 3), fnn.MaxPool2D(3, stride=2)),
        (fnn.Conv2D(8, 3), fnn.MaxPool2D(2, padding=1)),
        (fnn.Conv2D(8, 4), fnn.MaxPool2D(2, padding="same")),
        (fnn.Conv2D(8, 3, groups=2), fnn.MaxPool2D(2)),
        (fnn.Conv2D(8, 3, dilation=2), fnn.MaxPool2D(2)),
        (fnn.Conv2D(8, 3, activation="tanh"), fnn.MaxPool2D(2)),
        (fnn.Conv2D(8, 6), fnn.MaxPool2D(2)),
        (fnn.Conv2D(8, 3), fnn.AvgPool2D(2)),
    ],
)
def test_pooling_stays_where_a_convolution_cannot(conv, windows):
    net = fnn.Network([conv, windows], input_shape=(10, 10, 4), dtype="float64", seed=1)
    assert "pool" not in predicting(net)[1]
    X = np.random.default_rng(0).standard_normal((3, 10, 10, 4))
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=1e-12, atol=1e-12)


def test_pooling_goes_in_after_a_folded_normalization():
    """Predictions stay those of the same layers one by one."""
    convolution = [fnn.Conv2D(8, 3, use_bias=False), fnn.BatchNorm(), fnn.Activation("relu"), fnn.MaxPool2D(2)]
    layers = [*convolution, fnn.Flatten(), fnn.Dense(2)]
    net = fnn.Network(layers, input_shape=(12, 12, 3), dtype="float64", seed=1)
    rng = np.random.default_rng(0)
    net.fit(rng.standard_normal((40, 12, 12, 3)), rng.integers(0, 2, 40).astype(float)[:, None].repeat(2, 1), verbose=0)
    kinds, attrs = predicting(net)
    assert kinds == ["conv"] and attrs["activation"] == "relu" and "pool" in attrs
    X = rng.standard_normal((9, 12, 12, 3))
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=1e-12, atol=1e-12)
