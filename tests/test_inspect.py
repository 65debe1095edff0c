"""Activations, input gradients and Jacobians against what prediction itself says, and against formulas."""

import numpy as np
import pytest
from cases import CASES

import fastnn as fnn

ROWS = 3
STEP = 1e-5  # of central differences in float64: error step^2 f''' / 6 + 1e-16 f / step, about 1e-10

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
case_of_reals = pytest.mark.parametrize("case", [c for c in CASES if not c.tokens], ids=lambda case: case.name)


def differences(f, values):
    """d f() / d values by central differences: (*f's shape, *values' shape)."""
    columns = []
    for place in np.ndindex(*values.shape):
        value = values[place]
        values[place] = value + STEP
        high = f()
        values[place] = value - STEP
        columns.append((high - f()) / (2 * STEP))
        values[place] = value
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *values.shape)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7 * max(1.0, np.abs(expected).max()))


# ---- every layer -----------------------------------------------------------------------------------------------------


@case_of_reals
def test_jacobian_by_inputs_agrees_with_differences_of_predictions(case):
    net = case.network()
    X, _ = case.data(ROWS)
    full = differences(lambda: net.predict(X), X)  # (n, outputs, n, inputs)
    expected = np.stack([full[i, :, i] for i in range(ROWS)])
    jacobian = net.jacobian(X)
    assert jacobian.shape == (ROWS, 2, 6) and jacobian.dtype == np.float64
    close(jacobian, expected)
    full[range(ROWS), :, range(ROWS)] = 0.0
    assert not full.any(), "a sample's prediction depends on another sample"


@every_case
def test_jacobian_by_params_agrees_with_differences_of_predictions(case):
    net = case.network()
    X, _ = case.data(ROWS)
    expected = differences(lambda: net.predict(X), net.params)
    jacobian = net.jacobian(X, wrt="params")
    assert jacobian.shape == (ROWS, 2, net.params.size)
    close(jacobian, expected)


@case_of_reals
def test_the_gradient_of_the_loss_agrees_with_differences_of_evaluate(case):
    """Penalties do not depend on X."""
    net = case.network()
    X, y = case.data(ROWS)
    got = net.input_gradient(X, y=y)
    for i in range(ROWS):
        x, target = X[i : i + 1], y[i : i + 1]
        close(got[i], differences(lambda x=x, t=target: np.array(net.evaluate(x, t)["loss"]), x)[0])


@every_case
def test_activations_end_in_the_prediction(case):
    """The last layer's are the prediction to the bit, and the network behind any layer goes on from its output."""
    net = case.network()
    X, _ = case.data(ROWS)
    found = net.activations(X)
    last = f"layers.{len(net.layers) - 1}"
    np.testing.assert_allclose(found[last], net.predict(X), rtol=1e-13, atol=1e-15)
    weights = net.get_weights()
    np.testing.assert_allclose(
        found[f"layers.{len(net.layers) - 2}"] @ weights[f"{last}.weight"] + weights[f"{last}.bias"], found[last],
        rtol=1e-12, atol=1e-14,
    )  # fmt: skip


@every_case
def test_nothing_changes(case):
    net = case.network()
    X, y = case.data(ROWS)
    net.loss_and_gradients(*case.data(max(ROWS, case.least_rows)))
    before, grads, weights = X.copy(), net.grads.copy(), net._snapshot()
    net.activations(X)
    net.jacobian(X, wrt="params")
    if not case.tokens:
        net.input_gradient(X, y=y)
        net.jacobian(X)
    assert np.array_equal(before, X) and np.array_equal(grads, net.grads)
    for old, new in zip(weights, net._snapshot(), strict=True):
        assert np.array_equal(old, new)


# ---- activations -----------------------------------------------------------------------------------------------------


def test_activations_are_what_the_layers_say():
    layers = [fnn.Dense(4, "relu"), fnn.Dropout(0.5), fnn.Residual(fnn.Dense(4, "gelu")), fnn.Dense(2, "softmax")]
    net = fnn.Network(layers, input_shape=3, dtype="float64", seed=1)
    X = np.random.default_rng(0).standard_normal((5, 3))
    w = net.get_weights()
    first = np.maximum(X @ w["layers.0.weight"] + w["layers.0.bias"], 0)
    found = net.activations(X)
    assert list(found) == ["layers.0", "layers.1", "layers.2", "layers.2.layers.0", "layers.3"]
    np.testing.assert_allclose(found["layers.0"], first, rtol=1e-14)
    assert np.array_equal(found["layers.0"], found["layers.1"])
    np.testing.assert_allclose(found["layers.2"], found["layers.2.layers.0"] + first, rtol=1e-14)
    assert np.array_equal(found["layers.3"], net.predict(X))


def test_fused_and_folded_layers_have_activations_of_their_own():
    """Convolution, normalization, relu and pooling are one or two ops when nobody looks in between."""
    layers = [fnn.Conv2D(3, 3, use_bias=False), fnn.BatchNorm(), fnn.Activation("relu"), fnn.MaxPool2D(2)]
    net = fnn.Network([*layers, fnn.Flatten(), fnn.Dense(2)], input_shape=(6, 6, 1), dtype="float64", seed=0)
    rng = np.random.default_rng(1)
    weights = {name: w + rng.uniform(0.1, 1, w.shape) for name, w in net.get_weights().items()}
    net.set_weights(weights)
    X = rng.standard_normal((4, 6, 6, 1))
    found = net.activations(X)
    deviation = np.sqrt(weights["layers.1.running_variance"] + 1e-5)
    scaled = (found["layers.0"] - weights["layers.1.running_mean"]) / deviation
    np.testing.assert_allclose(found["layers.1"], scaled * weights["layers.1.weight"] + weights["layers.1.bias"])
    assert np.array_equal(found["layers.2"], np.maximum(found["layers.1"], 0)) and (found["layers.1"] < 0).any()
    pooled = found["layers.2"].reshape(4, 2, 2, 2, 2, 3).max(axis=(2, 4))
    assert np.array_equal(found["layers.3"], pooled)
    assert np.array_equal(found["layers.4"], pooled.reshape(4, -1))
    np.testing.assert_allclose(found["layers.5"], net.predict(X), rtol=1e-13)


def test_named_layers_alone():
    net = fnn.Network([fnn.Dense(4), fnn.Dense(3), fnn.Dense(2)], input_shape=3, seed=0)
    X = np.ones((2, 3))
    everything = net.activations(X)
    assert list(net.activations(X, "layers.1")) == ["layers.1"]
    some = net.activations(X, ["layers.2", "layers.0"])
    assert list(some) == ["layers.2", "layers.0"]
    assert all(np.array_equal(some[name], everything[name]) for name in some)
    with pytest.raises(ValueError, match="unknown layer 'layers.7'; did you mean"):
        net.activations(X, ["layers.7"])


def test_activations_in_many_batches_and_threads(monkeypatch):
    net = fnn.Network([fnn.Dense(300, "tanh"), fnn.Dense(300, "relu"), fnn.Dense(2)], input_shape=20, seed=0)
    X = np.random.default_rng(0).standard_normal((3000, 20)).astype("float32")
    found = net.activations(X)
    monkeypatch.setenv("FASTNN_NUM_THREADS", "1")
    alone = net.activations(X)
    assert all(np.array_equal(found[name], alone[name]) for name in found)
    np.testing.assert_allclose(found["layers.2"], net.predict(X), rtol=1e-5, atol=1e-6)


def test_a_layer_of_several_calls_has_a_list():
    a, b = fnn.Input(3), fnn.Input(3)
    shared = fnn.Dense(2)
    net = fnn.Network(inputs=[a, b], outputs=fnn.Add()([shared(a), shared(b)]), seed=0)
    X = [np.eye(3), np.ones((3, 3))]
    found = net.activations(X)
    assert len(found["layers.0"]) == 2
    np.testing.assert_allclose(found["layers.0"][0] + found["layers.0"][1], found["layers.1"], rtol=1e-6)


def test_activations_of_ids_and_of_sequences_of_different_lengths():
    net = fnn.Network([fnn.Flatten(), fnn.Embedding(9, 2)], input_shape=(2, 2), seed=0)
    X = np.array([[[1, 2], [3, 4]]])
    assert net.activations(X)["layers.0"].tolist() == [[1, 2, 3, 4]]
    net = fnn.Network([fnn.Dense(2, "tanh"), fnn.LSTM(3), fnn.Dense(1)], input_shape=(4, 2), seed=0)
    X = [np.ones((2, 2)), np.ones((5, 2))]
    found = net.activations(X)
    assert [one.shape for one in found["layers.0"]] == [(2, 2), (5, 2)]
    assert np.array_equal(found["layers.2"], net.predict(X))


# ---- gradients -------------------------------------------------------------------------------------------------------


def classifier(**options):
    net = fnn.Network([fnn.Dense(7, "tanh"), fnn.Dense(4, "softmax")], input_shape=5, seed=2, **options)
    return net, np.random.default_rng(3).standard_normal((6, 5))


def test_the_default_output_is_the_largest():
    net, X = classifier(dtype="float64")
    largest = net.predict(X).argmax(axis=1)
    jacobian = net.jacobian(X)
    np.testing.assert_allclose(net.input_gradient(X), jacobian[range(6), largest], rtol=1e-13)
    np.testing.assert_allclose(net.input_gradient(X, output=2), jacobian[:, 2], rtol=1e-13)
    np.testing.assert_allclose(net.input_gradient(X, output=-1), jacobian[:, 3], rtol=1e-13)
    each = [3, 0, 1, 1, 2, 0]
    np.testing.assert_allclose(net.input_gradient(X, output=each), jacobian[range(6), each], rtol=1e-13)


def test_the_gradient_of_cross_entropy_is_that_of_its_formula():
    """-d log p_y / dx = -(dp_y / dx) / p_y, each row by itself whatever else is in X."""
    net, X = classifier(dtype="float64")
    y = np.array([0, 3, 1, 2, 2, 0])
    p, jacobian = net.predict(X), net.jacobian(X)
    expected = -jacobian[range(6), y] / p[range(6), y, None]
    np.testing.assert_allclose(net.input_gradient(X, y=y), expected, rtol=1e-11)
    np.testing.assert_allclose(net.input_gradient(X[:1], y=y[:1]), expected[:1], rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_is_off(dtype):
    plain, X = classifier(dtype=dtype)
    dense = plain.layers
    net = fnn.Network([fnn.Dropout(0.5), dense[0], fnn.Dropout(0.9), dense[1]], input_shape=5, dtype=dtype, seed=0)
    net.params[:] = plain.params
    y = [1, 2, 3, 0, 1, 2]
    assert np.array_equal(net.input_gradient(X), plain.input_gradient(X))
    assert np.array_equal(net.input_gradient(X, y=y), plain.input_gradient(X, y=y))
    assert np.array_equal(net.jacobian(X, wrt="params"), plain.jacobian(X, wrt="params"))


def test_float32_is_the_same_to_rounding():
    net, X = classifier()
    twin, _ = classifier(dtype="float64")
    twin.params[:] = net.params
    assert net.jacobian(X).dtype == net.input_gradient(X).dtype == net.jacobian(X, "params").dtype == np.float32
    np.testing.assert_allclose(net.jacobian(X), twin.jacobian(X), rtol=0, atol=2e-6)
    np.testing.assert_allclose(net.jacobian(X, "params"), twin.jacobian(X, "params"), rtol=0, atol=2e-6)


def test_any_number_of_batches_is_the_same(monkeypatch):
    net, _ = classifier(dtype="float64")
    X = np.random.default_rng(4).standard_normal((1300, 5))
    whole = net.jacobian(X), net.jacobian(X, wrt="params"), net.input_gradient(X, y=np.zeros(1300, int))
    part = slice(777, 800)
    parts = net.jacobian(X[part]), net.jacobian(X[part], wrt="params"), net.input_gradient(X[part], y=np.zeros(23, int))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one[part], other, rtol=1e-12, atol=1e-14)
    monkeypatch.setenv("FASTNN_NUM_THREADS", "1")
    assert np.array_equal(net.jacobian(X), whole[0])


def several():
    """Two inputs and two outputs of which the second depends on b alone, through a matrix (3, 2)."""
    a, b = fnn.Input(3), fnn.Input(2)
    h = fnn.Dense(4, "tanh")(fnn.Concat()([a, b]))
    outputs = [fnn.Dense(2)(h), fnn.Reshape((3, 2))(fnn.Dense(6)(b))]
    net = fnn.Network(inputs=[a, b], outputs=outputs, dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    return net, [rng.standard_normal((4, 3)), rng.standard_normal((4, 2))]


def test_several_inputs_and_outputs():
    net, X = several()
    jacobian = net.jacobian(X)
    assert [[one.shape for one in row] for row in jacobian] == [[(4, 2, 3), (4, 2, 2)], [(4, 3, 2, 3), (4, 3, 2, 2)]]
    for i in range(2):
        for j in range(2):
            full = differences(lambda i=i: net.predict(X)[i], X[j])
            close(jacobian[i][j], np.stack([full[(n, ..., n, slice(None))] for n in range(4)]))
    assert not jacobian[1][0].any()
    by_params = net.jacobian(X, wrt="params")
    for i in range(2):
        close(by_params[i], differences(lambda i=i: net.predict(X)[i], net.params))
    numbers = [0, 1, 2, 7]  # of both outputs, one after the other
    found = net.input_gradient(X, output=numbers)
    for j in range(2):
        rows = [jacobian[0][j][0, 0], jacobian[0][j][1, 1], jacobian[1][j][2, 0, 0], jacobian[1][j][3, 2, 1]]
        np.testing.assert_allclose(found[j], rows, rtol=1e-13, atol=1e-15)
    with pytest.raises(ValueError, match="has 2 outputs; say which of their 8 elements"):
        net.input_gradient(X)


def test_sequences_and_their_masks():
    net = fnn.Network([fnn.LSTM(3), fnn.Dense(2)], input_shape=(4, 2), dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((2, 2)), rng.standard_normal((5, 2))]
    found = net.input_gradient(X, output=1)
    assert [one.shape for one in found] == [(2, 2), (5, 2)]
    for sequence, gradient in zip(X, found, strict=True):
        np.testing.assert_allclose(gradient, net.input_gradient(sequence[None], output=1)[0], rtol=1e-12)
    x, mask = fnn.Input((4, 2)), fnn.Input(4)
    net = fnn.Network(inputs=[x, mask], outputs=fnn.Dense(1)(fnn.LSTM(3)(x, mask=mask)), seed=0)
    found = net.input_gradient([np.ones((1, 4, 2)), [[1, 1, 0, 0]]])
    assert found[0][0, :2].all() and not found[0][0, 2:].any() and found[1] is None


def test_a_loss_and_an_activation_of_ones_own():
    def quartic(y, p):
        return ((p - y) ** 4).mean(), 4 * (p - y) ** 3 / p.size

    net = fnn.Network([fnn.Dense(2, (np.sin, np.cos))], loss=quartic, input_shape=3, dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    p, jacobian = net.predict(X), net.jacobian(X)
    np.testing.assert_allclose(
        net.input_gradient(X, y=y), np.einsum("no,noi->ni", 4 * (p - y) ** 3 / 2, jacobian), rtol=1e-12
    )


def test_what_is_refused():
    tokens = fnn.Network([fnn.Embedding(5, 2), fnn.Flatten(), fnn.Dense(1)], input_shape=3, seed=0)
    for call in (tokens.input_gradient, tokens.jacobian, lambda X: tokens.input_gradient(X, y=[1.0])):
        with pytest.raises(ValueError, match="reads ids"):
            call([[0, 1, 2]])
    assert tokens.jacobian([[0, 1, 2]], wrt="params").shape == (1, 1, tokens.params.size)
    net, X = classifier()
    with pytest.raises(ValueError, match="has 4 outputs, 0 to 3, got 4"):
        net.input_gradient(X, output=4)
    with pytest.raises(TypeError, match="expected a whole number, or one for each of the 6 samples"):
        net.input_gradient(X, output=[0, 1])
    with pytest.raises(TypeError, match="expected a whole number"):
        net.input_gradient(X, output=0.5)
    with pytest.raises(ValueError, match="output or y, not both"):
        net.input_gradient(X, output=1, y=[0] * 6)
    with pytest.raises(ValueError, match="unknown wrt 'weights'"):
        net.jacobian(X, wrt="weights")
    with pytest.raises(fnn.ShapeError, match="expects 5 features, got 4"):
        net.jacobian(X[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        net.input_gradient(np.full((2, 5), np.nan))
    with pytest.raises(fnn.NotFittedError):
        fnn.Network([fnn.Dense(1)]).activations(X)


def test_an_error_in_a_layer_of_ones_own_reaches_the_caller():
    class Faulty(fnn.PythonLayer):
        def forward(self, x):
            return 2 * x

        def backward(self, dy, x, y):
            raise RuntimeError("no way back")

    net = fnn.Network([Faulty(), fnn.Dense(1)], input_shape=2, seed=0)
    with pytest.raises(RuntimeError, match="no way back"):
        net.input_gradient(np.ones((2, 2)))
    assert net.activations(np.ones((2, 2)))["layers.0"].tolist() == [[2, 2], [2, 2]]
