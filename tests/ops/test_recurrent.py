"""Recurrent layers: states that are given and returned, padding, both directions, and what the layers refuse.

The battery of cases.py has the rest of the single layers.
"""

import numpy as np
import pytest
import reference_network
import reference_recurrent

import fastnn as fnn

STEPS, FEATURES, UNITS, ROWS = 5, 3, 4, 7
KINDS = {"RNN": fnn.RNN, "GRU": fnn.GRU, "LSTM": fnn.LSTM}
every_kind = pytest.mark.parametrize("kind", KINDS)
BOUND = {"rtol": 1e-12, "atol": 1e-12}


def graph(inputs, outputs, **options):
    net = fnn.Network(inputs=inputs, outputs=outputs, dtype="float64", seed=3, **{"loss": "mse", **options})
    rng = np.random.default_rng(0)
    net.params[:] += rng.uniform(-0.2, 0.2, net.params.shape)
    return net


def parameters_of(net, path="layers.0"):
    weights = net.get_weights()
    roles = ("weight", "recurrent_weight", "bias", "recurrent_bias")
    return [weights[f"{path}.{role}"] for role in roles if f"{path}.{role}" in weights]


def arrays(*shapes, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def some_mask():
    """Padding at the end, at the beginning, in between, everywhere, and none."""
    mask = np.ones((ROWS, STEPS))
    mask[0, 3:] = mask[1, :2] = mask[2, 2] = mask[3] = 0
    return mask


@every_kind
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True}])
def test_states_given_and_returned(kind, options, masked):
    """Outputs, last states, and the gradients of everything, from a loss on each of them."""
    layer = KINDS[kind](UNITS, return_state=True, **options)
    x, m = fnn.Input((STEPS, FEATURES)), fnn.Input(STEPS)
    given = [fnn.Input(2) for _ in range(layer.states)]
    first = [fnn.Dense(UNITS)(node) for node in given]
    named = {"mask": m} if masked else {}
    outputs = layer(x, initial_state=first if len(first) > 1 else first[0], **named)
    assert len(outputs) == layer.outputs == 1 + layer.states
    net = graph([x, *given, *([m] if masked else [])], outputs, loss="mse")
    X, *G = arrays((ROWS, STEPS, FEATURES), *[(ROWS, 2)] * layer.states)
    mask = some_mask() if masked else None
    inputs = [X, *G, *([mask] if masked else [])]

    path = next(f"layers.{i}" for i, one in enumerate(net.layers) if one is layer)
    dense = [f"layers.{i}" for i, one in enumerate(net.layers) if isinstance(one, fnn.Dense)]
    weights, parameters = net.get_weights(), parameters_of(net, path)
    states = [g @ weights[f"{d}.weight"] + weights[f"{d}.bias"] for g, d in zip(G, dense, strict=True)]
    reverse = options.get("go_backwards", False)
    y, history = reference_recurrent.recurrent_forward(kind, X, states, parameters, mask=mask, reverse=reverse)
    sequences = options.get("return_sequences", False)
    expected = [y if sequences else history[-1][0], *history[-1]]
    for got, want in zip(net.predict(inputs), expected, strict=True):
        np.testing.assert_allclose(got, want, **BOUND)

    targets = [np.zeros_like(a) for a in expected]
    loss, gradients = net.loss_and_gradients(inputs, targets)
    # the loss of a sequence is the mean over its steps, padding left out
    weights = [np.ones_like(a) / a.size for a in expected]
    if masked and sequences:
        weights[0] = np.broadcast_to(mask[..., None] / (mask.sum() * UNITS), y.shape)
    assert loss == pytest.approx(sum((w * a**2).sum() for w, a in zip(weights, expected, strict=True)), rel=1e-12)
    d_outputs = [2 * w * a for w, a in zip(weights, expected, strict=True)]
    dy, dstates = np.zeros_like(y), d_outputs[1:]
    if sequences:
        dy = d_outputs[0]
    else:
        dstates = [dstates[0] + d_outputs[0], *dstates[1:]]
    _, dfirst, dparameters = reference_recurrent.recurrent_backward(
        kind, dy, dstates, X, history, parameters, mask=mask, reverse=reverse
    )
    roles = ("weight", "recurrent_weight", "bias", "recurrent_bias")
    for role, want in zip(roles, dparameters, strict=False):
        np.testing.assert_allclose(gradients[f"{path}.{role}"], want, err_msg=role, **BOUND)
    for g, d, want in zip(G, dense, dfirst, strict=True):
        np.testing.assert_allclose(gradients[f"{d}.weight"], g.T @ want, **BOUND)


@every_kind
def test_a_part_of_what_is_returned(kind):
    """Only the last state is read, or only the output: the others have no gradient."""
    X, y = arrays((ROWS, STEPS, FEATURES), (ROWS, UNITS))
    for sequences in (False, True):
        x = fnn.Input((STEPS, FEATURES))
        *_, last = KINDS[kind](UNITS, return_sequences=sequences, return_state=True)(x)
        net = graph(x, last)
        parameters = parameters_of(net)
        states = [np.zeros((ROWS, UNITS)) for _ in range(1 + (kind == "LSTM"))]
        _, history = reference_recurrent.recurrent_forward(kind, X, states, parameters)
        np.testing.assert_allclose(net.predict(X), history[-1][-1], **BOUND)
        _, gradients = net.loss_and_gradients(X, y)
        dstates = [*states[1:], 2 * (history[-1][-1] - y) / y.size]
        none = np.zeros((ROWS, STEPS, UNITS))
        _, _, expected = reference_recurrent.recurrent_backward(kind, none, dstates, X, history, parameters)
        for got, want in zip(gradients.values(), expected, strict=True):
            np.testing.assert_allclose(got, want, **BOUND)


@every_kind
def test_a_shared_layer(kind):
    """Two calls add up their gradients, also those of the same input."""
    x = fnn.Input((STEPS, FEATURES))
    layer = KINDS[kind](UNITS, return_sequences=True)
    h = fnn.Dense(FEATURES, "tanh")(layer(x))
    net = graph(x, fnn.Dense(2)(fnn.Flatten()(fnn.Add()([layer(h), layer(x)]))))
    X, y = arrays((ROWS, STEPS, FEATURES), (ROWS, 2))
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name, want in expected.items():
        np.testing.assert_allclose(gradients[name], want, err_msg=name, **BOUND)


@every_kind
def test_padding_is_as_if_it_were_not_there(kind):
    """At the end, for each length: the output after the last step, and every output before it, whatever the padding."""
    X, junk = arrays((STEPS, STEPS, FEATURES), (STEPS, STEPS, FEATURES))
    lengths = np.arange(1, STEPS + 1)
    mask = (np.arange(STEPS) < lengths[:, None]).astype(float)
    for options in ({}, {"go_backwards": True}):
        x, m = fnn.Input((STEPS, FEATURES)), fnn.Input(STEPS)
        net = graph([x, m], KINDS[kind](UNITS, **options)(x, mask=m))
        got = net.predict([X, mask])
        assert np.array_equal(got, net.predict([np.where(mask[..., None] == 1, X, junk), mask]))
        for i, length in enumerate(lengths):
            short = fnn.Network([KINDS[kind](UNITS, **options)], input_shape=(length, FEATURES), dtype="float64")
            short.set_weights(net.get_weights())
            np.testing.assert_allclose(got[i], short.predict(X[i : i + 1, :length])[0], **BOUND)


@every_kind
def test_training_learns_to_look_at_the_mask(kind):
    """Sequences of different lengths as a list: trained on the last real step's value, found again in others."""
    rng = np.random.default_rng(0)
    X = [rng.uniform(-1, 1, (length, 1)) for length in rng.integers(1, 9, 400)]
    y = np.array([x[-1, 0] for x in X])
    net = fnn.Network([KINDS[kind](16), fnn.Dense(1)], optimizer=fnn.Adam(0.02), seed=0)
    net.fit(X, y, epochs=30, verbose=0)
    assert np.mean((net.predict(X[:100]).ravel() - y[:100]) ** 2) < 2e-3


def test_bidirectional_states():
    """[y, h, c, h', c'] and, the other way, four initial states."""
    x = fnn.Input((STEPS, FEATURES))
    layer = fnn.Bidirectional(fnn.LSTM(UNITS, return_sequences=True, return_state=True))
    outputs = layer(x)
    second = fnn.Bidirectional(fnn.LSTM(UNITS), "sum")
    net = graph(x, [*outputs, second(outputs[0], initial_state=outputs[1:])])
    [X] = arrays((ROWS, STEPS, FEATURES))
    y, h, c, h_back, c_back, last = net.predict(X)
    np.testing.assert_array_equal(y[:, -1, :UNITS], h)
    np.testing.assert_array_equal(y[:, 0, UNITS:], h_back)
    zeros = [np.zeros((ROWS, UNITS))] * 2
    one = [parameters_of(net, f"layers.0.layers.{i}") for i in range(2)]
    two = [parameters_of(net, f"layers.1.layers.{i}") for i in range(2)]
    histories = [reference_recurrent.recurrent_forward("LSTM", X, zeros, one[i], reverse=bool(i))[1] for i in range(2)]
    for got, want in zip([h, c, h_back, c_back], [*histories[0][-1], *histories[1][-1]], strict=True):
        np.testing.assert_allclose(got, want, **BOUND)
    ends = [
        reference_recurrent.recurrent_forward("LSTM", y, histories[i][-1], two[i], reverse=bool(i))[1][-1][0]
        for i in range(2)
    ]
    np.testing.assert_allclose(last, ends[0] + ends[1], **BOUND)


@every_kind
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_large_batches_on_threads(kind, threads):
    X, y = arrays((70, 12, 40), (70, 2))
    net = fnn.Network([KINDS[kind](90), fnn.Dense(2)], input_shape=(12, 40), dtype="float64", seed=1)
    np.testing.assert_allclose(net.predict(X, threads=threads), reference_network.predict(net, X), **BOUND)
    _, gradients = net.loss_and_gradients(X, y)
    _, expected = reference_network.loss_and_gradients(net, X, y)
    for name, want in expected.items():
        np.testing.assert_allclose(gradients[name], want, err_msg=name, **BOUND)


def test_how_they_begin():
    """Keras' defaults: Glorot's limits, orthogonal rows, zeros, and ones for the forget gate."""
    net = fnn.Network([fnn.LSTM(8)], input_shape=(3, 5), seed=0, dtype="float64")
    weights = net.get_weights()
    assert np.abs(weights["layers.0.weight"]).max() <= np.sqrt(6 / (5 + 32))
    recurrent = weights["layers.0.recurrent_weight"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(8), atol=1e-12)
    assert weights["layers.0.bias"].tolist() == [0] * 8 + [1] * 8 + [0] * 16
    plain = fnn.Network([fnn.LSTM(8, unit_forget_bias=False, bias_init="ones")], input_shape=(3, 5), seed=0)
    assert plain.get_weights()["layers.0.bias"].tolist() == [1] * 32


def test_summary_counts_every_step(capsys):
    """Multiply-adds: 10 steps of (3 + 8) x 32."""
    fnn.Network([fnn.LSTM(8)], input_shape=(10, 3)).summary()
    assert "3,520" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (fnn.LSTM(4), (28,), r"layers.0 \(LSTM\) expects sequences \(time, features\), got samples of shape \(28,\)"),
        (fnn.GRU(4), (8, 8, 1), r"layers.0 \(GRU\) expects sequences \(time, features\)"),
        (fnn.Bidirectional(fnn.RNN(4)), (3,), r"layers.0.layers.0 \(RNN\) expects sequences"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(fnn.ShapeError, match=message):
        fnn.Network([layer], input_shape=shape)


def test_wrong_initial_states():
    x, a, b = fnn.Input((STEPS, FEATURES)), fnn.Input(UNITS), fnn.Input(UNITS + 1)

    def built(layer, states):
        return fnn.Network(inputs=[x, *states], outputs=layer(x, initial_state=list(states)))

    with pytest.raises(fnn.ShapeError, match=r"initial_state is two values, h and c, got 1"):
        built(fnn.LSTM(UNITS), [a])
    with pytest.raises(fnn.ShapeError, match=r"initial_state is one value, h, got 2"):
        built(fnn.GRU(UNITS), [a, b])
    with pytest.raises(fnn.ShapeError, match=r"initial_state has shape \(4,\) each, got \(5,\)"):
        built(fnn.RNN(UNITS), [b])
    with pytest.raises(fnn.ShapeError, match=r"initial_state is a list of 2 values, got 1"):
        built(fnn.Bidirectional(fnn.RNN(UNITS)), [a])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="units must be a positive integer"):
        fnn.LSTM(0)
    with pytest.raises(ValueError, match="activation of RNN"):
        fnn.RNN(3, "sigmoid")
    with pytest.raises(TypeError, match="Bidirectional: expected an RNN, GRU or LSTM, got Dense"):
        fnn.Bidirectional(fnn.Dense(3))
    with pytest.raises(ValueError, match="merge"):
        fnn.Bidirectional(fnn.RNN(3), "mul")


# ---- sequences of different lengths, other lengths, streams ----------------------------------------------------------


@every_kind
def test_a_list_of_sequences_is_each_by_itself(kind):
    """Stacked and both ways: what is predicted for a list of arrays is predicted for each alone."""
    layers = [fnn.Bidirectional(KINDS[kind](3, return_sequences=True)), KINDS[kind](UNITS), fnn.Dense(2)]
    net = fnn.Network(layers, input_shape=(STEPS, FEATURES), dtype="float64", seed=1)
    X = arrays(*[(length, FEATURES) for length in (5, 1, 3, 9, 2)])
    for got, x in zip(net.predict(X), X, strict=True):
        np.testing.assert_allclose(got, net.predict(x[None])[0], **BOUND)


def test_gradients_of_a_list_are_those_of_each_by_itself():
    """The loss is the mean over the sequences, so the gradient is the mean of theirs."""
    net = fnn.Network([fnn.GRU(UNITS), fnn.Dense(2)], input_shape=(STEPS, FEATURES), dtype="float64", seed=1)
    X, y = arrays(*[(length, FEATURES) for length in (5, 1, 3)]), arrays((3, 2), seed=2)[0]
    _, together = net.loss_and_gradients(X, y)
    together = {name: gradient.copy() for name, gradient in together.items()}
    alone = []
    for x, target in zip(X, y, strict=True):
        gradients = net.loss_and_gradients(x[None], target[None])[1]
        alone.append({name: gradient.copy() for name, gradient in gradients.items()})
    for name, gradient in together.items():
        np.testing.assert_allclose(gradient, np.mean([one[name] for one in alone], axis=0), err_msg=name, **BOUND)


@every_kind
@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_gives_what_the_whole_sequence_gives(kind, rows, dtype):
    """After every step, stacked, with a dense layer behind; and again after a reset."""
    layers = [KINDS[kind](70, return_sequences=True), KINDS[kind](5, return_sequences=True), fnn.Dense(2)]
    net = fnn.Network(layers, input_shape=(STEPS, FEATURES), dtype=dtype, seed=1)
    [X] = arrays((rows, STEPS, FEATURES))
    X = X.astype(dtype)
    expected = net.predict(X)
    stream = net.stream(rows)
    for _ in range(2):
        got = np.stack([np.atleast_2d(stream.step(x if rows > 1 else x[0])) for x in X.swapaxes(0, 1)], axis=1)
        bound = 1e-6 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound)
        stream.reset()


def test_a_stream_of_a_layer_that_ends_the_sequence():
    """Its output after each step is that for the sequence so far; streams of one network do not disturb each other."""
    net = fnn.Network([fnn.LSTM(UNITS), fnn.Dense(2)], input_shape=(STEPS, FEATURES), dtype="float64", seed=1)
    [X] = arrays((2, STEPS, FEATURES))
    streams = [net.stream(), net.stream()]
    for t in range(STEPS):
        for stream, x in zip(streams, X, strict=True):
            np.testing.assert_allclose(stream.step(x[t]), net.predict(x[None, : t + 1])[0], **BOUND)
    assert [stream.position for stream in streams] == [STEPS] * 2


def test_a_stream_with_states_returned():
    """The state of LSTM that a call returns is the stream's own."""
    x = fnn.Input((STEPS, FEATURES))
    *_, c = fnn.LSTM(UNITS, return_sequences=True, return_state=True)(x)
    net = graph(x, c)
    [X] = arrays((1, STEPS, FEATURES))
    stream = net.stream()
    for t in range(STEPS):
        np.testing.assert_allclose(stream.step(X[0, t]), net.predict(X[:, : t + 1])[0], **BOUND)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            fnn.Bidirectional(fnn.GRU(3)),
            r"layers.0 \(Bidirectional\) reads its sequence from the end too, so it cannot",
        ),
        (
            fnn.LSTM(3, go_backwards=True),
            r"layers.0 \(LSTM\) starts at the end of its sequence, so it cannot be streamed",
        ),
    ],
)
def test_what_cannot_be_streamed(layer, message):
    net = fnn.Network([layer], input_shape=(STEPS, FEATURES))
    with pytest.raises(fnn.ShapeError, match=message):
        net.stream()


def test_a_state_that_is_given_cannot_be_streamed():
    x = fnn.Input((STEPS, FEATURES))
    h = fnn.GRU(UNITS)(x)
    net = graph(x, fnn.GRU(UNITS)(x, initial_state=h))
    with pytest.raises(fnn.ShapeError, match=r"layers.1 \(GRU\) starts from a state that it is given"):
        net.stream()
