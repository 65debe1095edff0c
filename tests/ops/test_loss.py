"""Losses: values and gradients against the specification and central differences, weights, and far from zero."""

import numpy as np
import pytest
import reference
import reference_network

import fastnn as fnn
from fastnn.losses import Loss

ROWS, COLUMNS = 13, 5


def real(rng, rows, columns):
    return rng.standard_normal((rows, columns))


def unit(rng, rows, columns):
    return rng.random((rows, columns))


def ids(rng, rows, columns):
    return rng.integers(0, columns, rows)


def probabilities(rng, rows, columns):
    p = rng.random((rows, columns))
    return p / p.sum(axis=1, keepdims=True)


def counts(rng, rows, columns):
    return rng.poisson(2.0, (rows, columns))


def signs(rng, rows, columns):
    return rng.choice([-1.0, 1.0], (rows, columns))


def one_column(rng, rows, columns):
    return rng.standard_normal((rows, 1))


def half(rng, rows, columns):
    return rng.standard_normal((rows, columns // 2))


# loss, last activation, outputs (None: any), targets
LOSSES = [
    (fnn.losses.MSE(), None, None, real),
    (fnn.losses.MSE(), "sigmoid", None, real),
    (fnn.losses.MSE(), "softmax", 4, real),
    (fnn.losses.MAE(), None, None, real),
    (fnn.losses.Huber(), None, None, real),
    (fnn.losses.Huber(0.3), "tanh", None, real),
    (fnn.losses.BinaryCrossEntropy(), "sigmoid", None, unit),
    (fnn.losses.BinaryCrossEntropy(), None, None, unit),
    (fnn.losses.BinaryCrossEntropy(label_smoothing=0.1), "sigmoid", None, unit),
    (fnn.losses.CrossEntropy(), "softmax", COLUMNS, ids),
    (fnn.losses.CrossEntropy(), None, COLUMNS, ids),
    (fnn.losses.CrossEntropy(label_smoothing=0.1), "softmax", COLUMNS, ids),
    (fnn.losses.CrossEntropy(), "softmax", COLUMNS, probabilities),
    (fnn.losses.CrossEntropy(label_smoothing=0.2), None, COLUMNS, probabilities),
    (fnn.losses.Poisson(), None, None, counts),
    (fnn.losses.Poisson(log_input=False), "softplus", None, counts),
    (fnn.losses.GaussianNLL(), None, 6, half),
    (fnn.losses.Quantile((0.05, 0.5, 0.9, 0.99)), None, 4, one_column),
    (fnn.losses.Hinge(), "tanh", None, signs),
]


def name_of(row):
    loss, activation, outputs, target = row
    return f"{loss!r}-{activation}-{target.__name__}"


every_loss = pytest.mark.parametrize("row", LOSSES, ids=name_of)


def problem(row, dtype="float64", rows=ROWS, columns=COLUMNS, seed=2):
    """A network that ends in the loss's outputs, with data for it, in numbers that float32 holds too."""
    loss, activation, outputs, target = row
    columns = outputs or columns
    rng = np.random.default_rng(seed)
    net = fnn.Network(
        [fnn.Dense(4, "tanh"), fnn.Dense(columns, activation)], loss=loss, dtype=dtype, seed=seed, input_shape=3
    )
    y = target(rng, rows, columns)
    X = rng.standard_normal((rows, 3)).astype(np.float32)
    return net, X.astype(dtype), y if y.dtype.kind == "i" else y.astype(np.float32).astype(dtype)


def assert_agrees(net, X, y, bound, **options):
    loss, gradients = net.loss_and_gradients(X, y, **options)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y, **options)
    assert loss == pytest.approx(expected_loss, rel=bound)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=bound * np.abs(gradient).max(), err_msg=name)


def test_every_loss_is_here():
    ours = {name: cls for name, cls in Loss.known.items() if cls.__module__.startswith("fastnn.")}
    assert ours.keys() == {loss.name for loss, *_ in LOSSES} == reference.LOSSES.keys()


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_the_reference(row, weighted):
    net, X, y = problem(row)
    options = {"sample_weight": np.random.default_rng(0).uniform(0, 3, ROWS)} if weighted else {}
    assert_agrees(net, X, y, 1e-12, **options)
    evaluated = net.evaluate(X, y, **options)["loss"]
    assert evaluated == pytest.approx(net.loss_and_gradients(X, y, **options)[0], rel=1e-13)


@every_loss
def test_float32_agrees_with_the_reference(row):
    """To 2e-6: 33 units of rounding for sums over 13 rows, two small products, and functions of a few units each."""
    assert_agrees(*problem(row, "float32"), 2e-6)


@every_loss
@pytest.mark.parametrize("rows", [1, 2, 3, 8, 17, 64, 1000])
def test_every_number_of_rows(row, rows):
    assert_agrees(*problem(row, rows=rows), 1e-12)


@pytest.mark.parametrize("row", [row for row in LOSSES if row[2] is None], ids=name_of)
@pytest.mark.parametrize("columns", [1, 2, 8, 16, 17, 33])
def test_every_number_of_columns(row, columns):
    assert_agrees(*problem(row, columns=columns), 1e-12)


@pytest.mark.parametrize("columns", [2, 3, 7, 8, 9, 16, 17, 33, 100])
@pytest.mark.parametrize("target", [ids, probabilities])
def test_cross_entropy_of_every_width(columns, target):
    row = (fnn.losses.CrossEntropy(label_smoothing=0.1), "softmax", columns, target)
    assert_agrees(*problem(row, rows=19), 1e-12)


@every_loss
def test_gradients_agree_with_central_differences(row):
    net, X, y = problem(row)
    weights = np.random.default_rng(0).uniform(0, 3, ROWS)
    net.loss_and_gradients(X, y, sample_weight=weights)
    gradients, numeric, step = net.grads.copy(), np.empty_like(net.grads), 1e-5
    for i, value in enumerate(net.params.copy()):
        losses = []
        for moved in (value + step, value - step):
            net.params[i] = moved
            losses.append(net.loss_and_gradients(X, y, sample_weight=weights)[0])
        net.params[i] = value
        numeric[i] = (losses[0] - losses[1]) / (2 * step)
    np.testing.assert_allclose(gradients, numeric, rtol=0, atol=1e-6 * np.abs(numeric).max())


@every_loss
def test_sample_weight_equals_repetition(row):
    net, X, y = problem(row)
    repeats = np.arange(ROWS) % 4
    loss, gradients = net.loss_and_gradients(X, y, sample_weight=repeats)
    repeated, same = net.loss_and_gradients(X.repeat(repeats, axis=0), y.repeat(repeats, axis=0))
    assert loss == pytest.approx(repeated, rel=1e-13)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, same[name], rtol=0, atol=1e-13 * max(1, np.abs(gradient).max()))


@every_loss
def test_weights_of_one_change_nothing(row):
    net, X, y = problem(row)
    loss, gradients = net.loss_and_gradients(X, y)
    same, same_gradients = net.loss_and_gradients(X, y, sample_weight=np.full(ROWS, 2.5))
    assert same == pytest.approx(loss, rel=1e-14)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(same_gradients[name], gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("row", [row for row in LOSSES if row[2] is None or row[3] in (ids, one_column)], ids=name_of)
def test_targets_of_one_column_may_be_flat(row):
    """(n,) equals (n, 1)."""
    net, X, y = problem(row, columns=1)
    column = y.reshape(ROWS, 1)
    assert net.loss_and_gradients(X, column[:, 0])[0] == net.loss_and_gradients(X, column)[0]


def test_class_ids_equal_one_hot():
    net, X, y = problem(LOSSES[9])
    one_hot = np.eye(COLUMNS)[y]
    assert net.loss_and_gradients(X, y)[0] == pytest.approx(net.loss_and_gradients(X, one_hot)[0], rel=1e-14)


def test_hinge_takes_zeros_and_ones():
    net, X, y = problem(LOSSES[-1])
    assert net.loss_and_gradients(X, y)[0] == net.loss_and_gradients(X, (y + 1) / 2)[0]


def test_class_weight_equals_sample_weight():
    net, X, y = problem(LOSSES[9], rows=60)
    weight_of = {0: 1.0, 1: 0.5, 2: 3.0, 3: 1.5, 4: 0.0}

    def trained(**options):
        net, _, _ = problem(LOSSES[9])
        history = net.fit(X, y, epochs=3, batch_size=16, shuffle=False, verbose=0, **options)
        return net.params.copy(), history["loss"]

    by_class = trained(class_weight=weight_of)
    by_sample = trained(sample_weight=np.array([weight_of[c] for c in y]))
    assert np.array_equal(by_class[0], by_sample[0])
    assert by_class[1] == by_sample[1]
    balanced = trained(class_weight="balanced")
    shares = {c: 60 / (COLUMNS * n) for c, n in enumerate(np.bincount(y, minlength=COLUMNS))}
    np.testing.assert_allclose(balanced[0], trained(sample_weight=[shares[c] for c in y])[0], rtol=1e-12)


def far_network(activation, columns, loss, dtype):
    net = fnn.Network([fnn.Dense(columns, activation)], loss=loss, dtype=dtype, input_shape=columns)
    net.set_weights({"layers.0.weight": np.eye(columns), "layers.0.bias": np.zeros(columns)})
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [30.0, 100.0, 1000.0, 1e5])
def test_stable_far_from_zero(size, dtype):
    """Fused losses stay exact where the activation itself is 0 or 1 in floating point."""
    far = far_network("softmax", 3, "cross_entropy", dtype)
    X = np.array([[size, 0.0, -size], [-size, size, size]])
    loss, gradients = far.loss_and_gradients(X, [2, 0])
    assert loss == pytest.approx((2 * size + 2 * size + np.log(2)) / 2, rel=1e-6)
    np.testing.assert_allclose(gradients["layers.0.bias"], [0.0, 0.25, -0.25], atol=1e-6)

    far = far_network("sigmoid", 2, "binary_cross_entropy", dtype)
    loss, gradients = far.loss_and_gradients([[size, -size]], [[0.0, 1.0]])
    assert loss == pytest.approx(size, rel=1e-6)
    np.testing.assert_allclose(gradients["layers.0.bias"], [0.5, -0.5], rtol=1e-6)
    loss, gradients = far.loss_and_gradients([[size, -size]], [[1.0, 0.0]])
    assert 0 <= loss < 1e-12
    assert np.isfinite(gradients["layers.0.weight"]).all()


def test_a_function_of_your_own():
    """Returns loss and gradient; equals the loss that it copies."""

    def squares(y, p):
        return float(np.mean((p - y) ** 2)), 2 * (p - y) / p.size

    net, X, y = problem((fnn.losses.MSE(), "tanh", None, real))
    own = fnn.Network(net.layers, loss=squares, dtype="float64", input_shape=3, seed=2)
    for one in (net, own):
        one.fit(X, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(own.params, net.params, rtol=1e-11, atol=1e-13)


def test_softmax_that_is_reshaped_is_not_the_loss_s_own():
    """A softmax over six, seen as two rows of three, is not a softmax over the last axis: it is no part of the loss."""
    layers = [fnn.Dense(6, "softmax"), fnn.Reshape((2, 3))]
    net = fnn.Network(layers, loss="cross_entropy", dtype="float64", input_shape=4, seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5, 4)), rng.integers(0, 3, (5, 2))
    p = net.predict(X).reshape(10, 3)
    expected, _ = reference.weighted_loss("cross_entropy", p, y.ravel())
    assert net.loss_and_gradients(X, y)[0] == pytest.approx(expected, rel=1e-12)


def test_sequences_of_classes():
    """(n, T) class ids for outputs (n, T, k): the mean over all positions; weights are the samples'."""
    net = fnn.Network([fnn.Dense(3, "softmax")], loss="cross_entropy", dtype="float64", input_shape=(4, 5), seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 4, 5)), rng.integers(0, 3, (6, 4))
    flat = fnn.Network([fnn.Dense(3, "softmax")], loss="cross_entropy", dtype="float64", input_shape=5, seed=1)
    weights = rng.random(6)
    for options, of_rows in [({}, {}), ({"sample_weight": weights}, {"sample_weight": weights.repeat(4)})]:
        loss, gradients = net.loss_and_gradients(X, y, **options)
        same, same_gradients = flat.loss_and_gradients(X.reshape(24, 5), y.ravel(), **of_rows)
        assert loss == pytest.approx(same, rel=1e-14)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, same_gradients[name], rtol=1e-12, atol=1e-15)
