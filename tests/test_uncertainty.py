"""Standard deviations: of gaussian_nll, of Monte Carlo dropout, and of both; quantiles in order."""

import numpy as np
import pytest
import reference
import reference_random

import fastnn as fnn

X = np.random.default_rng(1).uniform(-2, 2, (150, 3))


def gaussian_network(dtype="float64", *, dropout=0.0, epsilon=1e-6, columns=2):
    layers = [fnn.Dense(9, "tanh"), fnn.Dropout(dropout), fnn.Dense(2 * columns)]
    loss = fnn.losses.GaussianNLL(epsilon)
    return fnn.Network(layers, loss=loss, dtype=dtype, input_shape=3, seed=5)


def noisy(rng, n):
    """x in [0, 2) and y of mean sin(3 x) and deviation 0.1 + 0.4 x."""
    x = rng.uniform(0, 2, (n, 1))
    return x, np.sin(3 * x) + (0.1 + 0.4 * x) * rng.standard_normal((n, 1))


# ---- gaussian_nll ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mean_and_deviation_of_the_outputs(dtype):
    net = gaussian_network(dtype)
    mean, std = net.predict(X, return_std=True)
    outputs = net.predict(X)
    assert mean.dtype == std.dtype == dtype
    assert mean.shape == std.shape == (150, 2)
    assert np.array_equal(mean, outputs[:, :2])
    np.testing.assert_allclose(std, np.exp(outputs[:, 2:] / 2), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_weights_make_a_deviation_negative_or_zero(dtype):
    net = gaussian_network(dtype, epsilon=1e-4)
    for bias, expected in ((-1e30, 1e-2), (-1e4, 1e-2), (-50.0, 1e-2), (10.0, np.exp(5.0))):
        net.set_weights({**net.get_weights(), "layers.2.weight": np.zeros((9, 4)), "layers.2.bias": [0, 0, bias, bias]})
        _, std = net.predict(X, return_std=True)
        np.testing.assert_allclose(std, expected, rtol=1e-6)
        loss, gradients = net.loss_and_gradients(X, np.zeros((150, 2)))
        assert np.isfinite(loss) and all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_below_the_floor_the_gradient_fades():
    """That of a variance which is clipped and differentiated as if it were not, PyTorch's: times exp(s) / epsilon."""
    net = fnn.Network([fnn.Dense(2)], loss=fnn.losses.GaussianNLL(0.01), dtype="float64", input_shape=1)
    for log_variance in (-3.0, np.log(0.01), -6.0, -12.0):
        net.params[:] = [0.0, 0.0, 0.5, log_variance]
        loss, gradients = net.loss_and_gradients([[0.0]], [[0.8]])
        variance = max(np.exp(log_variance), 0.01)
        assert loss == pytest.approx((np.log(variance) + 0.09 / variance) / 2, rel=1e-12)
        by_variance = (1 / variance - 0.09 / variance**2) / 2
        expected = [-0.3 / variance, by_variance * np.exp(log_variance)]
        np.testing.assert_allclose(gradients["layers.0.bias"], expected, rtol=1e-12)


def test_learns_where_the_noise_is():
    """y - mean over the deviation is standard normal, and the deviation is that of the data, on data not seen."""
    rng = np.random.default_rng(3)
    x, y = noisy(rng, 4000)
    layers = [fnn.Dense(24, "tanh"), fnn.Dense(24, "tanh"), fnn.Dense(2)]
    net = fnn.Network(layers, loss="gaussian_nll", optimizer=fnn.Adam(0.005), seed=2)
    net.fit(x, y, epochs=60, batch_size=64, verbose=0)
    x, y = noisy(rng, 4000)
    mean, std = net.predict(x, return_std=True)
    scores = (y - mean) / std
    assert abs(scores.mean()) < 0.1 and abs(scores.std() - 1) < 0.05
    assert abs((np.abs(scores) < 1).mean() - 0.683) < 0.03
    assert abs((np.abs(scores) < 1.96).mean() - 0.95) < 0.015
    assert np.abs(std / (0.1 + 0.4 * x) - 1).mean() < 0.1


# ---- Monte Carlo dropout ---------------------------------------------------------------------------------------------


def draws(net, X, samples, rate, seed):
    """Outputs (samples, n, k) of a network Dense(tanh), Dropout, Dense, by masks after the definition."""
    n, w = len(X), net.get_weights()
    h = np.tanh(X @ w["layers.0.weight"] + w["layers.0.bias"])
    hidden = np.tile(h, (samples, 1))
    stream = 4 << 60 | dropout_number(net) << 44
    masks = []
    for block in range(-(-len(hidden) // 64)):
        rows = min(64, len(hidden) - 64 * block)
        key = seed ^ (block * 0x9E3779B97F4A7C15 & (2**64 - 1))
        masks.append(reference_random.dropout_mask(key, stream, rows * h.shape[1], rate).reshape(rows, -1))
    dropped = reference.dropout_forward(hidden, np.concatenate(masks), rate)
    return (dropped @ w["layers.2.weight"] + w["layers.2.bias"]).reshape(samples, n, -1)


def dropout_number(net):
    return next(op.number for op in net._state.graph.ops if op.kind == "dropout")


@pytest.mark.parametrize("n, samples", [(1, 7), (5, 20), (33, 3), (64, 4), (150, 3)])
def test_samples_after_the_definition(n, samples):
    layers = [fnn.Dense(9, "tanh"), fnn.Dropout(0.3), fnn.Dense(2)]
    net = fnn.Network(layers, loss="mse", dtype="float64", input_shape=3, seed=5)
    expected = draws(net, X[:n], samples, 0.3, 5)
    mean, std = net.predict(X[:n], samples=samples, return_std=True)
    np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(std, expected.std(axis=0), rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(net.predict(X[:n], samples=samples), mean)


def test_both_kinds_of_uncertainty_add_up():
    """Kendall and Gal 2017, equation 9: the variance is mean(m^2) - mean(m)^2 + mean(v)."""
    net = gaussian_network(dropout=0.3)
    outputs = draws(net, X, 6, 0.3, 11)
    means, variances = outputs[..., :2], np.exp(outputs[..., 2:])
    mean, std = net.predict(X, samples=6, return_std=True, seed=11)
    total = (means**2).mean(axis=0) - means.mean(axis=0) ** 2 + variances.mean(axis=0)
    np.testing.assert_allclose(mean, means.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(std**2, total, rtol=1e-11)
    np.testing.assert_array_equal(net.predict(X, samples=6, seed=11), mean)
    one, _ = gaussian_network(dropout=0.3).predict(X, return_std=True)
    assert np.array_equal(one, net.predict(X)[:, :2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_repeats_itself(dtype):
    """Bitwise: in a second call, at any number of threads, for any number of rows at a time, in another network."""
    net = gaussian_network(dtype, dropout=0.5)
    large = np.tile(X, (40, 1))  # several programs side by side
    first = net.predict(large, samples=7, return_std=True)
    for options in ({}, {"threads": 1}, {"threads": 2}, {"threads": 8}, {"seed": 5}):
        again = net.predict(large, samples=7, return_std=True, **options)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)), options
    for batch_size in (1, 64, 100, 4096):
        again = net.predict(large, samples=7, return_std=True, batch_size=batch_size)
        for a, b in zip(first, again, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12 if dtype == "float64" else 1e-5)
    other = gaussian_network(dtype, dropout=0.5).predict(large, samples=7)
    assert np.array_equal(first[0], other)
    assert not np.array_equal(first[0], net.predict(large, samples=7, seed=6))


def test_samples_are_independent():
    """A linear layer of w over dropout: mean w x and variance (w x)^2 p / (1 - p), to four standard errors."""
    units, rate, samples = 200, 0.25, 2000
    net = fnn.Network([fnn.Dropout(rate), fnn.Dense(1)], dtype="float64", input_shape=units, seed=1)
    x = np.ones((3, units))
    w = net.get_weights()["layers.1.weight"][:, 0]
    variance = (w**2).sum() * rate / (1 - rate)
    mean, std = net.predict(x, samples=samples, return_std=True)
    assert (np.abs(mean - w.sum()) < 4 * np.sqrt(variance / samples)).all()
    assert (np.abs(std**2 / variance - 1) < 4 * np.sqrt(2 / samples)).all()
    assert len(np.unique(mean)) == 3  # each row has masks of its own
    halves = [net.predict(x, samples=samples, seed=seed) for seed in (1, 2)]
    assert not np.array_equal(*halves)


def test_leaves_everything_else_as_it_was():
    """Prediction, running statistics, and later training, to the bit; batch norm is as in prediction."""

    def network():
        layers = [fnn.Dense(8), fnn.BatchNorm(), fnn.Activation("relu"), fnn.Dropout(0.5), fnn.Dense(1)]
        return fnn.Network(layers, input_shape=3, seed=4)

    y = X.sum(axis=1)
    plain, sampled = network(), network()
    for net in (plain, sampled):
        net.fit(X, y, epochs=2, verbose=0)
        before = net.predict(X)
        if net is sampled:
            state = {name: array.copy() for name, array in net.get_weights().items()}
            mean = net.predict(X, samples=400)
            assert all(np.array_equal(state[name], array) for name, array in net.get_weights().items())
            assert np.array_equal(before, net.predict(X))
            # Only a linear layer follows the dropout: the mean is the prediction.
            assert np.abs(mean - before).mean() < 0.1 * before.std()
        net.fit(X, y, epochs=2, verbose=0)
    assert np.array_equal(plain.params, sampled.params)


def test_sequences_of_different_lengths():
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 3)) for length in (4, 1, 6)]
    layers = [fnn.LSTM(5, return_sequences=True), fnn.Dropout(0.4), fnn.Dense(4)]
    net = fnn.Network(layers, loss="gaussian_nll", dtype="float64", input_shape=(6, 3), seed=2)
    for options in ({}, {"samples": 3}):
        means, stds = net.predict(sequences, return_std=True, **options)
        assert [m.shape for m in means] == [s.shape for s in stds] == [(4, 2), (1, 2), (6, 2)]
        assert all((s > 0).all() for s in stds)
    whole, _ = net.predict(sequences[2][None], return_std=True)
    np.testing.assert_allclose(net.predict(sequences, return_std=True)[0][2], whole[0], rtol=1e-12)


def test_several_outputs():
    x = fnn.Input(3)
    h = fnn.Dropout(0.2)(fnn.Dense(6, "tanh")(x))
    options = {"inputs": x, "outputs": [fnn.Dense(2)(h), fnn.Dense(1)(h)], "seed": 1}
    net = fnn.Network(**options, loss=["gaussian_nll", "mse"])
    (mean, other), (std, other_std) = net.predict(X, return_std=True, samples=5)
    assert mean.shape == std.shape == other.shape == other_std.shape == (150, 1)
    with pytest.raises(ValueError, match="output 1 has no variance, its loss is 'mse'"):
        net.predict(X, return_std=True)
    means, stds = fnn.Network(**options, loss=["gaussian_nll", "mse"]).predict(X, samples=5, return_std=True)
    assert np.array_equal(means[0], mean) and np.array_equal(stds[1], other_std)


class Doubled(fnn.PythonLayer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy, x, y):
        return 2 * dy


def test_dropout_inside_of_other_layers():
    layers = [fnn.Residual(fnn.Dense(3), fnn.Dropout(0.5)), Doubled(), fnn.TransformerBlock(1, 4, dropout=0.2)]
    net = fnn.Network([fnn.Reshape((3, 1)), fnn.Dense(3), *layers, fnn.Flatten(), fnn.Dense(1)], input_shape=3, seed=0)
    _, std = net.predict(X, samples=5, return_std=True)
    assert (std > 0).all()


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, message", [
    ({"return_std": True}, "has no variance, its loss is 'mse'.*gaussian_nll.*samples="),
    ({"samples": 3}, "no Dropout with a rate above 0"),
    ({"samples": 1, "return_std": True}, "one sample has no standard deviation"),
    ({"samples": 0}, "samples"),
    ({"samples": 2.5}, "samples"),
    ({"return_std": "yes"}, "return_std must be True or False"),
    ({"seed": 3}, "seed is of the masks"),
    ({"samples": 3, "out": np.empty((150, 1), "float32")}, "out takes plain predictions"),
])  # fmt: skip
def test_refusals(options, message):
    net = fnn.Network([fnn.Dense(4, "relu"), fnn.Dropout(0.0), fnn.Dense(1)], input_shape=3, seed=0)
    before = net.predict(X)
    with pytest.raises((ValueError, TypeError), match=message):
        net.predict(X, **options)
    assert np.array_equal(before, net.predict(X))


def test_bad_values_are_named():
    net = gaussian_network(dropout=0.3)
    bad = X.copy()
    bad[7, 1] = np.nan
    for options in ({"return_std": True}, {"samples": 3}):
        with pytest.raises(ValueError, match="X"):
            net.predict(bad, **options)
    with pytest.raises(ValueError, match="seed"):
        net.predict(X, samples=3, seed=-1)
    with pytest.raises(fnn.NotFittedError):
        fnn.Network([fnn.Dense(2)], loss="gaussian_nll").predict(X, return_std=True)
    with pytest.raises(ValueError, match="epsilon"):
        fnn.losses.GaussianNLL(epsilon=0.0)


# ---- quantiles -------------------------------------------------------------------------------------------------------

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4, 1e30])
def test_quantiles_never_cross(scale, dtype):
    """Whatever the weights are: also where all increments are lost beside the first value."""
    net = fnn.Network([fnn.Dense(5), fnn.Ascending()], loss=fnn.losses.Quantile(LEVELS), dtype=dtype, input_shape=3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        net.params[:] = rng.standard_normal(net.params.size) * scale
        assert (np.diff(net.predict(X), axis=1) >= 0).all()


def test_ascending_after_the_definition():
    layers = [fnn.Dense(6), fnn.Reshape((2, 3)), fnn.Ascending()]
    net = fnn.Network(layers, dtype="float64", input_shape=3, seed=1)
    w = net.get_weights()
    z = (X @ w["layers.0.weight"] + w["layers.0.bias"]).reshape(-1, 2, 3)
    steps = np.concatenate([z[..., :1], np.log1p(np.exp(z[..., 1:]))], axis=-1)
    np.testing.assert_allclose(net.predict(X), np.cumsum(steps, axis=-1), rtol=1e-13, atol=1e-14)


def test_coverage_of_intervals():
    """The share of new y below each quantile is its level, to 0.02, everywhere in x to 0.05."""
    rng = np.random.default_rng(5)
    x, y = noisy(rng, 6000)
    layers = [fnn.Dense(24, "tanh"), fnn.Dense(24, "tanh"), fnn.Dense(5), fnn.Ascending()]
    schedule = fnn.schedules.Cosine(0.01, 60)
    net = fnn.Network(layers, loss=fnn.losses.Quantile(LEVELS), optimizer=fnn.Adam(schedule), seed=1)
    net.fit(x, y, epochs=60, batch_size=64, verbose=0)
    x, y = noisy(rng, 20000)
    below = y <= net.predict(x)
    np.testing.assert_allclose(below.mean(axis=0), LEVELS, atol=0.02)
    for low in (0.0, 0.5, 1.0, 1.5):
        inside = (x[:, 0] >= low) & (x[:, 0] < low + 0.5)
        np.testing.assert_allclose(below[inside].mean(axis=0), LEVELS, atol=0.05)


def test_pinball_loss_of_scikit_learn():
    """Its figure for our predictions is ours; a linear network ends where QuantileRegressor does."""
    linear_model, metrics = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    y = X @ [1.0, -2.0, 0.5] + (1 + 0.3 * X[:, 0]) * rng.standard_normal(150)
    for level in (0.1, 0.5, 0.8):
        schedule = fnn.schedules.Cosine(0.05, 3000)
        optimizer = fnn.Adam(schedule)
        net = fnn.Network([fnn.Dense(1)], loss=fnn.losses.Quantile(level), optimizer=optimizer, dtype="float64", seed=0)
        net.fit(X, y, epochs=3000, batch_size=150, verbose=0)
        ours = metrics.mean_pinball_loss(y, net.predict(X)[:, 0], alpha=level)
        assert net.evaluate(X, y)["loss"] == pytest.approx(ours, rel=1e-13)
        exact = linear_model.QuantileRegressor(quantile=level, alpha=0.0).fit(X, y).predict(X)
        assert ours <= metrics.mean_pinball_loss(y, exact, alpha=level) * 1.001
