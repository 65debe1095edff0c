"""Sequences: of other lengths than a network was built for, of different lengths in one call, and step by step."""

import numpy as np
import pytest

import fastnn as fnn

STEPS, FEATURES, OUTPUTS = 5, 3, 2


def network(**options):
    options = {"input_shape": (STEPS, FEATURES), "seed": 0, "dtype": "float64", **options}
    return fnn.Network([fnn.Dense(8, "tanh"), fnn.Dropout(0.0), fnn.Dense(OUTPUTS)], **options)


@pytest.fixture
def ragged():
    rng = np.random.default_rng(0)
    lengths = 3, 5, 1, 4
    return [rng.standard_normal((n, FEATURES)) for n in lengths], [rng.standard_normal((n, OUTPUTS)) for n in lengths]


def joined(sequences):
    """The steps of all sequences as one sequence each of length 1."""
    return np.concatenate(sequences)[:, None]


# ---- other lengths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 5, 9])
def test_a_network_takes_other_lengths_than_it_was_built_for(steps):
    net = network()
    X = np.random.default_rng(1).standard_normal((3, steps, FEATURES))
    expected = net.predict(X.reshape(-1, 1, FEATURES)).reshape(3, steps, OUTPUTS)
    np.testing.assert_array_equal(net.predict(X), expected)


def test_it_trains_on_other_lengths_too():
    net, twin = network(), network(input_shape=(7, FEATURES))
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((6, 7, FEATURES)), rng.standard_normal((6, 7, OUTPUTS))
    assert net.fit(X, y, epochs=3)["loss"] == twin.fit(X, y, epochs=3)["loss"]
    np.testing.assert_array_equal(net.params, twin.params)


def test_a_length_that_shapes_a_parameter_is_fixed():
    net = fnn.Network([fnn.Flatten(), fnn.Dense(OUTPUTS)], input_shape=(STEPS, FEATURES))
    with pytest.raises(fnn.ShapeError, match=r"layers.0 \(Flatten\) expects X of shape \(n, 5, 3\), got \(4, 6, 3\)"):
        net.predict(np.zeros((4, 6, FEATURES)))


@pytest.mark.parametrize("shape", [(4, STEPS, FEATURES + 1), (4, STEPS), (4, 2, STEPS, FEATURES)])
def test_features_and_rank_are_fixed(shape):
    with pytest.raises(fnn.ShapeError, match="expects X of shape"):
        network().predict(np.zeros(shape))


# ---- different lengths in one call -----------------------------------------------------------------------------------


def test_predict_returns_a_list_of_the_same_lengths(ragged):
    X, _ = ragged
    found = network().predict(X)
    assert [one.shape for one in found] == [(len(one), OUTPUTS) for one in X]
    np.testing.assert_array_equal(np.concatenate(found), network().predict(joined(X))[:, 0])


def test_padding_does_not_count_in_the_loss(ragged):
    X, y = ragged
    loss, gradients = network().loss_and_gradients(X, y)
    expected, by_step = network().loss_and_gradients(joined(X), joined(y))
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, by_step[name], rtol=1e-12, atol=1e-15)


def test_padding_does_not_count_in_metrics_and_evaluate(ragged):
    X, y = ragged
    net = network(metrics=["mae"])
    found = net.evaluate(X, y)
    expected = np.abs(net.predict(joined(X)) - joined(y)).mean()
    assert found["mae"] == pytest.approx(expected, rel=1e-12)


def test_sample_weights_weigh_every_step_of_a_sample(ragged):
    X, y = ragged
    weight = np.array([1.0, 0.0, 3.0, 0.5])
    loss, _ = network().loss_and_gradients(X, y, sample_weight=weight)
    each = np.repeat(weight, [len(one) for one in X])
    expected, _ = network().loss_and_gradients(joined(X), joined(y), sample_weight=each)
    assert loss == pytest.approx(expected, rel=1e-12)


def test_classes_of_each_step(ragged):
    X, _ = ragged
    y = [np.arange(len(one)) % OUTPUTS for one in X]
    net = network(loss="cross_entropy", metrics=["accuracy"])
    history = net.fit(X, y, epochs=2, batch_size=3, validation_split=0.25)
    assert 0 <= history["val_accuracy"][-1] <= 1
    expected, _ = net.loss_and_gradients(joined(X), joined(y))
    assert net.loss_and_gradients(X, y)[0] == pytest.approx(expected, rel=1e-12)


def test_a_mask_in_call_syntax_is_that_of_padding(ragged):
    X, y = ragged
    x, mask = fnn.Input((STEPS, FEATURES)), fnn.Input(STEPS)
    layers = network().layers
    net = fnn.Network(inputs=[x, mask], outputs=layers[2](layers[0](x, mask=mask)), dtype="float64", seed=0)
    net.set_weights({name.replace("layers.2", "layers.1"): w for name, w in network().get_weights().items()})
    padded = np.zeros((len(X), STEPS, FEATURES))
    targets = np.zeros((len(X), STEPS, OUTPUTS))
    counts = np.zeros((len(X), STEPS))
    for i, (one, target) in enumerate(zip(X, y, strict=True)):
        padded[i, : len(one)], targets[i, : len(one)], counts[i, : len(one)] = one, target, 1
    assert net.loss_and_gradients([padded, counts], targets)[0] == network().loss_and_gradients(X, y)[0]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((2, 3)), np.zeros((4, 2))], r"X\[1\] needs the shape \(steps, 3\), got \(4, 2\)"),
        ([np.zeros((2, 3)), np.zeros((0, 3))], r"X\[1\] needs the shape \(steps, 3\), got \(0, 3\)"),
        ([np.zeros((2, 3)), np.full((4, 3), np.nan)], r"X\[1\] holds NaN"),
        ([np.zeros((2, 3)), np.zeros(3)], r"X\[1\] needs the shape \(steps, 3\), got \(3,\)"),
    ],
)
def test_wrong_sequences_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        network().predict(X)


def test_targets_of_other_lengths_are_refused(ragged):
    X, y = ragged
    y[1] = y[1][:-1]
    with pytest.raises(fnn.ShapeError, match=r"y\[1\] has shape \(4, 2\), and the sequence X\[1\] has 5 steps"):
        network().loss_and_gradients(X, y)


def test_a_layer_that_mixes_steps_takes_no_padding(ragged):
    net = fnn.Network([fnn.Flatten(), fnn.Dense(OUTPUTS)], input_shape=(STEPS, FEATURES))
    with pytest.raises(fnn.ShapeError, match=r"layers.0 \(Flatten\) mixes time steps"):
        net.predict(ragged[0])


@pytest.mark.parametrize("steps", [STEPS + 1, (STEPS, 1)])
def test_a_mask_has_one_value_a_step(steps):
    x, mask = fnn.Input((STEPS, FEATURES)), fnn.Input(steps)
    with pytest.raises(fnn.ShapeError, match="a mask of 5 steps has shape"):
        fnn.Network(inputs=[x, mask], outputs=fnn.Dense(1)(x, mask=mask))


def test_a_named_input_must_be_known():
    x = fnn.Input((STEPS, FEATURES))
    with pytest.raises(ValueError, match="unknown input of Dense 'masks'; did you mean 'mask'"):
        fnn.Dense(1)(x, masks=x)


# ---- step by step ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 4])
def test_a_stream_gives_what_the_whole_sequence_gives(rows):
    net = network()
    X = np.random.default_rng(1).standard_normal((rows, STEPS, FEATURES))
    expected, stream = net.predict(X), net.stream(rows)
    for t in range(STEPS):
        np.testing.assert_allclose(stream.step(X[:, t]), expected[:, t], rtol=1e-13)  # products of other sizes
    assert stream.position == STEPS
    stream.reset()
    assert stream.position == 0


def test_a_step_takes_lists_and_writes_to_out():
    stream, out = network().stream(), np.empty(OUTPUTS)
    assert stream.step([1, 2, 3], out=out) is out
    np.testing.assert_allclose(out, network().predict([[[1, 2, 3]]])[0, 0], rtol=1e-13)


@pytest.mark.parametrize("x", [[1, 2], [[1, 2, 3], [4, 5, 6]], [1, 2, np.nan], "text", None])
def test_a_wrong_step_is_refused_and_did_not_take_place(x):
    stream = network().stream()
    with pytest.raises((ValueError, TypeError)):
        stream.step(x)
    assert stream.position == 0


def test_what_needs_the_whole_sequence_cannot_be_streamed():
    net = fnn.Network([fnn.Dense(2), fnn.Flatten(), fnn.Dense(1)], input_shape=(STEPS, FEATURES))
    with pytest.raises(fnn.ShapeError, match=r"layers.1 \(Flatten\) mixes time steps"):
        net.stream()


def test_a_stream_needs_sequences():
    with pytest.raises(fnn.ShapeError, match=r"takes steps of sequences, and this network's samples have shape \(3,\)"):
        network(input_shape=(FEATURES,)).stream()
