"""Batch normalization: running statistics, who may change them, and its affine form in prediction."""

import numpy as np
import pytest

import fastnn as fnn

MEAN, VARIANCE = "running_mean", "running_variance"


def statistics(net, path):
    weights = net.get_weights()
    return weights[f"{path}.{MEAN}"].copy(), weights[f"{path}.{VARIANCE}"].copy()


def image_network(*layers, shape=(6, 5, 3), dtype="float64", seed=2, **options):
    """A network with running statistics that a few steps of training have moved."""
    net = fnn.Network([*layers, fnn.Flatten(), fnn.Dense(2)], input_shape=shape, dtype=dtype, seed=seed, **options)
    rng = np.random.default_rng(seed)
    net.params[:] += rng.uniform(-0.2, 0.2, net.params.shape)
    net.fit(rng.standard_normal((40, *shape)), rng.standard_normal((40, 2)), epochs=2, batch_size=8, verbose=0)
    return net


def kinds(net, rows):
    """The ops of prediction in batches of so many rows."""
    taken = net._state.take("predict", rows)
    net._state.give(taken)
    return [node.kind for node in taken[1]._plan.nodes if node.kind not in ("feed", "record")]


# ---- running statistics ----------------------------------------------------------------------------------------------


def test_running_statistics_follow_the_batches():
    """momentum of the batch's mean and of its variance divided by n - 1, batch after batch."""
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, (10, 4, 2))
    net = fnn.Network([fnn.BatchNorm(momentum=0.3), fnn.Flatten(), fnn.Dense(1)], input_shape=(4, 2), dtype="float64")
    mean, variance = np.zeros(2), np.ones(2)
    for rows in (X[:7], X[7:]):
        flat = rows.reshape(-1, 2)
        mean = 0.7 * mean + 0.3 * flat.mean(axis=0)
        variance = 0.7 * variance + 0.3 * flat.var(axis=0, ddof=1)
    net.fit(X, np.zeros(10), batch_size=7, shuffle=False, verbose=0)
    np.testing.assert_allclose(statistics(net, "layers.0"), (mean, variance), rtol=1e-13)


def test_only_completed_training_steps_change_them():
    net = image_network(fnn.BatchNorm())
    X, y = np.full((4, 6, 5, 3), 7.0), np.zeros((4, 2))
    before = statistics(net, "layers.0")
    net.loss_and_gradients(X, y)
    net.evaluate(X, y)
    net.predict(X)
    np.testing.assert_array_equal(statistics(net, "layers.0"), before)
    net.train_on_batch(X, y)
    assert (statistics(net, "layers.0")[0] > before[0]).all()


def test_a_step_that_fails_leaves_them_alone():
    def sometimes(y, p):
        if y.max() > 1:
            raise RuntimeError("not this one")
        return float((p**2).mean()), 2 * p / p.size

    net = fnn.Network([fnn.BatchNorm(), fnn.Dense(1)], loss=sometimes, input_shape=2, dtype="float64", seed=0)
    X, y = np.random.default_rng(0).standard_normal((8, 2)), np.zeros(8)
    net.fit(X, y, verbose=0)
    before, params = statistics(net, "layers.0"), net.params.copy()
    with pytest.raises(RuntimeError, match="not this one"):
        net.fit(X + 5, y + 2, verbose=0)
    np.testing.assert_array_equal(statistics(net, "layers.0"), before)
    np.testing.assert_array_equal(net.params, params)


def test_a_layer_that_is_called_twice_has_one_pair_of_statistics():
    x = fnn.Input(3)
    norm = fnn.BatchNorm(momentum=0.5)
    net = fnn.Network(inputs=x, outputs=fnn.Dense(1)(norm(fnn.Dense(3)(norm(x)))), dtype="float64", seed=1)
    X = np.random.default_rng(1).standard_normal((9, 3))
    weights = net.get_weights()
    inner = [weights[f"layers.1.{role}"].copy() for role in ("weight", "bias")]
    net.train_on_batch(X, np.zeros(9))
    first = X.mean(axis=0)
    second = ((X - first) / np.sqrt(X.var(axis=0) + 1e-5) @ inner[0] + inner[1]).mean(axis=0)
    np.testing.assert_allclose(statistics(net, "layers.0")[0], first / 4 + second / 2, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_far_from_zero(dtype):
    """Mean 1e4 and deviation 1: the variance keeps its digits, and outputs have the error of x itself."""
    rng = np.random.default_rng(0)
    X = rng.normal(1e4, 1, (5000, 3)).astype(dtype)
    net = fnn.Network([fnn.BatchNorm(momentum=1.0)], input_shape=3, dtype=dtype, loss="mse")
    loss, _ = net.loss_and_gradients(X, np.zeros_like(X))
    variance = X.var(axis=0, dtype=np.float64)
    assert loss == pytest.approx((variance / (variance + 1e-5)).mean(), rel=1e-6 if dtype == "float32" else 1e-12)
    net.fit(X, np.zeros_like(X), batch_size=5000, verbose=0)
    mean, found = statistics(net, "layers.0")
    np.testing.assert_allclose(mean, X.mean(axis=0, dtype=np.float64), rtol=1e-7)
    np.testing.assert_allclose(found, variance * 5000 / 4999, rtol=1e-6 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("shape", [(40, 30, 6), (33, 17), (64,)])
def test_same_bits_at_any_number_of_threads(shape):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, *shape)).astype("float32"), rng.standard_normal((300, 1)).astype("float32")
    found = set()
    for threads in (1, 2, 3, 8):
        net = fnn.Network(
            [fnn.BatchNorm(), fnn.Activation("relu"), fnn.Flatten(), fnn.Dense(1)], seed=1, input_shape=shape
        )
        net.fit(X, y, batch_size=150, threads=threads, verbose=0)
        found.add(net.params.tobytes() + b"".join(array.tobytes() for array in statistics(net, "layers.0")))
    assert len(found) == 1


# ---- prediction ------------------------------------------------------------------------------------------------------


def by_hand(net, layer, x):
    """A normalization by the running statistics."""
    weights = {role: net.get_weights()[f"{layer}.{role}"] for role in ("weight", "bias", MEAN, VARIANCE)}
    deviation = np.sqrt(weights[VARIANCE] + 1e-5)
    return weights["weight"] * (x - weights[MEAN]) / deviation + weights["bias"]


def unfolded(net, X):
    """The same network layer by layer: each as a network of its own, normalizations by hand."""
    x, weights = X, net.get_weights()
    for i, layer in enumerate(net.layers):
        own = {name.replace(f"layers.{i}.", "layers.0."): w for name, w in weights.items() if f"layers.{i}." in name}
        if isinstance(layer, fnn.BatchNorm):
            x = by_hand(net, f"layers.{i}", x)
        else:
            alone = fnn.Network([layer], input_shape=x.shape[1:], dtype=net.dtype)
            alone.set_weights(own)
            x = alone.predict(x.astype(net.dtype))
    return x


FOLDED = {
    "conv": ([fnn.Conv2D(8, 3, padding="same"), fnn.BatchNorm(), fnn.Activation("relu")], ["fold", "conv"]),
    "no bias": ([fnn.Conv2D(8, 3, use_bias=False), fnn.BatchNorm(), fnn.Activation("gelu")], ["fold", "conv"]),
    "groups": ([fnn.Conv2D(6, 3, groups=3), fnn.BatchNorm()], ["fold", "conv"]),
    "twice": ([fnn.Conv2D(4, 2), fnn.BatchNorm(), fnn.BatchNorm(), fnn.Activation("tanh")], ["fold", "fold", "conv"]),
    "dense": ([fnn.Dense(5), fnn.BatchNorm(), fnn.Activation("leaky_relu", alpha=0.2)], ["fold", "dense"]),
    "reshaped": ([fnn.Dense(5), fnn.Reshape((30, 5)), fnn.BatchNorm()], ["fold", "dense"]),
    "after an activation": ([fnn.Conv2D(4, 3, activation="relu"), fnn.BatchNorm()], ["conv", "scale_shift"]),
    "after pooling": ([fnn.MaxPool2D(2), fnn.BatchNorm(), fnn.Activation("relu")], ["max_pool", "scale_shift"]),
    "other channels": ([fnn.Conv2D(4, 3), fnn.Flatten(), fnn.BatchNorm()], ["conv", "scale_shift"]),
    "first": ([fnn.BatchNorm(), fnn.Conv2D(4, 3, activation="relu")], ["scale_shift", "conv"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_folded_equals_unfolded(name, dtype):
    """To rounding: scales of the order of 1, and sums of a few dozen terms."""
    layers, expected = FOLDED[name]
    net = image_network(*layers, dtype=dtype)
    X = np.random.default_rng(5).standard_normal((50, 6, 5, 3)).astype(dtype)
    assert kinds(net, 32)[: len(expected)] == expected
    bound = 5e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(net.predict(X), unfolded(net, X), rtol=bound, atol=bound)
    np.testing.assert_allclose(net.predict(X[:1]), unfolded(net, X[:1]), rtol=bound, atol=bound)
    np.testing.assert_allclose(net.predictor()(X[0]), unfolded(net, X[:1])[0], rtol=bound, atol=bound)
    y = np.zeros((50, 2))
    assert net.evaluate(X, y)["loss"] == pytest.approx(np.mean(unfolded(net, X) ** 2), rel=2 * bound)


def test_the_affine_form_follows_the_parameters():
    """Weights that are written to, and statistics that are set, show in the next prediction."""
    net = image_network(fnn.Conv2D(8, 3), fnn.BatchNorm(), fnn.Activation("relu"))
    X = np.random.default_rng(5).standard_normal((30, 6, 5, 3))
    predictor = net.predictor()
    net.predict(X), predictor(X[0])
    net.params[:] *= 1.1
    weights = dict(net.get_weights())
    weights[f"layers.1.{MEAN}"] = weights[f"layers.1.{MEAN}"] + 0.5
    net.set_weights(weights)
    np.testing.assert_allclose(net.predict(X), unfolded(net, X), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(predictor(X[0]), unfolded(net, X[:1])[0], rtol=1e-13, atol=1e-13)


def test_a_large_weight_is_not_folded_for_a_small_batch():
    net = image_network(fnn.Flatten(), fnn.Dense(200), fnn.BatchNorm(), fnn.Activation("relu"))
    assert kinds(net, 1)[:2] == ["dense", "scale_shift"]
    assert kinds(net, 128)[:2] == ["fold", "dense"]
    X = np.random.default_rng(5).standard_normal((128, 6, 5, 3))
    np.testing.assert_allclose(net.predict(X), unfolded(net, X), rtol=1e-12, atol=1e-12)


def test_a_value_that_others_read_is_left_as_it_is():
    x = fnn.Input((4, 3))
    inner = fnn.Dense(3)(x)
    outputs = [fnn.BatchNorm()(inner), fnn.Add()([inner, x])]
    net = fnn.Network(inputs=x, outputs=outputs, dtype="float64", seed=1)
    shown = fnn.Network(inputs=x, outputs=[inner, fnn.BatchNorm()(inner)], dtype="float64", seed=1)
    X = np.random.default_rng(2).standard_normal((20, 4, 3))
    weights = net.get_weights()
    dense = X @ weights["layers.0.weight"] + weights["layers.0.bias"]
    for got in (net.predict(X), shown.predict(X)[::-1]):
        np.testing.assert_allclose(got[0], dense / np.sqrt(1 + 1e-5), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(net.predict(X)[1], dense + X, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(shown.predict(X)[0], dense, rtol=1e-13, atol=1e-13)


def test_the_input_is_not_written_to():
    net = fnn.Network([fnn.BatchNorm(), fnn.Activation("relu")], input_shape=4, dtype="float64")
    X = np.random.default_rng(2).standard_normal((50, 4))
    kept = X.copy()
    net.predict(X)
    net.predictor()(X[0])
    assert np.array_equal(X, kept)


# ---- what it refuses -------------------------------------------------------------------------------------------------


def test_one_value_of_a_channel_is_refused_before_anything_changes():
    net = fnn.Network([fnn.Dense(3), fnn.BatchNorm()], input_shape=2, seed=0)
    X, y = np.ones((9, 2)), np.ones((9, 3))
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"layers.1 \(BatchNorm\) trains on 2 values .* last batch of 9 samples has 1"):
        net.fit(X, y, batch_size=4, verbose=0)
    with pytest.raises(ValueError, match="this batch has 1"):
        net.train_on_batch(X[:1], y[:1])
    with pytest.raises(ValueError, match="this batch has 1"):
        net.loss_and_gradients(X[:1], y[:1])
    assert np.array_equal(net.params, before)
    assert statistics(net, "layers.1")[0].tolist() == [0, 0, 0]
    net.evaluate(X[:1], y[:1])
    net.fit(X, y, batch_size=3, verbose=0)


def test_one_sample_with_several_steps_is_enough():
    net = fnn.Network([fnn.BatchNorm()], input_shape=(4, 2))
    net.train_on_batch(np.ones((1, 4, 2)), np.ones((1, 4, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 0}, "momentum must be a positive number"),
        ({"momentum": 1.5}, "momentum must be a number above 0 and up to 1, got 1.5"),
        ({"epsilon": 0.0}, "epsilon must be a positive number"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        fnn.BatchNorm(**options)


def test_padding_is_refused():
    x, mask = fnn.Input((5, 2)), fnn.Input(5)
    with pytest.raises(fnn.ShapeError, match=r"BatchNorm.* would count the padding .* LayerNorm"):
        fnn.Network(inputs=[x, mask], outputs=fnn.BatchNorm()(x, mask=mask))
