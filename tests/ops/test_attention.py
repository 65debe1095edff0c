"""Attention: long sequences, masks, streams, and what its layers refuse; the battery of cases.py has the rest."""

import tracemalloc

import numpy as np
import pytest
import reference_network

import fastnn as fnn

STEPS, FEATURES = 6, 8


def network(*layers, steps=STEPS, **options):
    options = {"dtype": "float64", "seed": 0, **options}
    net = fnn.Network(list(layers), input_shape=(steps, FEATURES), **options)
    net.params[:] += np.random.default_rng(0).uniform(-0.3, 0.3, net.params.shape)  # biases away from zero
    return net


def sequences(*lengths, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, FEATURES)) for n in lengths]


BLOCKS = [
    fnn.MultiHeadAttention(2),
    fnn.MultiHeadAttention(2, causal=True),
    fnn.TransformerBlock(4, 12),
    fnn.TransformerBlock(4, 12, causal=True, pre_norm=False),
]


@pytest.mark.parametrize("steps", [63, 64, 65, 128, 130, 200])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_of_long_sequences_join(steps, causal):
    """Sizes around those of a block; against the whole matrix."""
    net = network(fnn.MultiHeadAttention(2, causal=causal), fnn.Flatten(), steps=steps)
    X, y = np.stack(sequences(steps, steps)), np.stack(sequences(steps, steps, seed=2)).reshape(2, -1)
    loss, gradients = net.loss_and_gradients(X, y)
    expected_loss, expected = reference_network.loss_and_gradients(net, X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    largest = max(np.abs(g).max() for g in expected.values())
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-12 * largest, err_msg=name)
    np.testing.assert_allclose(net.predict(X), reference_network.predict(net, X), rtol=1e-12, atol=1e-13)


def test_memory_grows_with_the_length_not_its_square():
    def peak(steps):
        net = fnn.Network([fnn.MultiHeadAttention(1)], input_shape=(steps, 4), seed=0)
        X = np.zeros((1, steps, 4), dtype=np.float32)
        tracemalloc.start()
        net.loss_and_gradients(X, X)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(4000) < 4000 * 4000 * 4 / 20


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("threads", [2, 5])
def test_threads(causal, threads):
    net = network(fnn.TransformerBlock(4, 32, causal=causal), steps=70)
    X = np.stack(sequences(*[70] * 9))
    np.testing.assert_array_equal(net.predict(X, threads=threads), net.predict(X, threads=1))


# ---- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", BLOCKS, ids=repr)
def test_a_padded_sequence_gives_what_it_gives_alone(layer):
    net = network(layer)
    X, y = sequences(3, 6, 1, 5), sequences(3, 6, 1, 5, seed=2)
    for one, found in zip(X, net.predict(X), strict=True):
        np.testing.assert_allclose(found, net.predict(one[None])[0], rtol=1e-12, atol=1e-13)
    loss, gradients = net.loss_and_gradients(X, y)
    alone = [net.loss_and_gradients(a[None], b[None]) for a, b in zip(X, y, strict=True)]
    alone = [(value, {name: g.copy() for name, g in gradients.items()}) for value, gradients in alone]
    shares = np.array([len(one) for one in X]) / sum(len(one) for one in X)
    assert loss == pytest.approx(sum(s * value for s, (value, _) in zip(shares, alone, strict=True)), rel=1e-12)
    net.loss_and_gradients(X, y)
    for name, gradient in gradients.items():
        expected = sum(s * g[name] for s, (_, g) in zip(shares, alone, strict=True))
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12, err_msg=name)


def with_mask(counts, layer, memory_steps=5):
    x, memory, mask = fnn.Input((STEPS, FEATURES)), fnn.Input((memory_steps, 3)), fnn.Input(memory_steps)
    net = fnn.Network(inputs=[x, memory, mask], outputs=layer([x, memory], mask=mask), dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((len(counts), STEPS, FEATURES)), rng.standard_normal((len(counts), memory_steps, 3))]
    return net, [*given, (np.arange(memory_steps) < np.array(counts)[:, None]).astype(float)]


def test_masked_steps_of_a_memory_are_not_seen():
    net, X = with_mask([5, 2, 1], fnn.MultiHeadAttention(2))
    seen = net.predict(X)
    X[1][X[2] == 0] = 1e6
    np.testing.assert_array_equal(net.predict(X), seen)


def test_without_any_key_the_output_is_the_bias():
    net, X = with_mask([0, 3], fnn.MultiHeadAttention(2))
    net.params[:] += 0.25
    bias = net.get_weights()["layers.0.output_bias"]
    np.testing.assert_array_equal(net.predict(X)[0], np.broadcast_to(bias, (STEPS, FEATURES)))
    _, gradients = net.loss_and_gradients(X, np.zeros((2, STEPS, FEATURES)))
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_the_padding_of_a_memory_is_not_that_of_the_output():
    """As many steps as the memory has, and still all of them count."""
    x, memory, mask = fnn.Input((5, FEATURES)), fnn.Input((5, 3)), fnn.Input(5)
    y = fnn.Flatten()(fnn.MultiHeadAttention(2)([x, memory], mask=mask))
    fnn.Network(inputs=[x, memory, mask], outputs=y)


# ---- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("layer", [layer for layer in BLOCKS if layer.causal], ids=repr)
def test_a_stream_gives_what_the_whole_sequence_gives(layer, rows):
    net = network(layer, fnn.Dense(3), steps=70)
    X = np.stack(sequences(*[70] * rows))
    expected, stream = net.predict(X), net.stream(rows)
    for _ in range(2):
        for t in range(70):
            np.testing.assert_allclose(stream.step(X[:, t]), expected[:, t], rtol=1e-11, atol=1e-12)
        with pytest.raises(ValueError, match="the stream is full after 70 steps"):
            stream.step(X[:, 0])
        stream.reset()


def test_a_stream_may_be_longer_than_the_network_was_built_for():
    net = network(fnn.MultiHeadAttention(2, causal=True))
    X = np.stack(sequences(20))
    stream = net.stream(length=20)
    found = [stream.step(x) for x in X[0]]
    np.testing.assert_allclose(found, net.predict(X)[0], rtol=1e-11, atol=1e-12)


def test_tokens_by_a_stream():
    layers = [
        fnn.Embedding(7, 8),
        fnn.PositionalEmbedding(),
        fnn.TransformerBlock(2, 16, causal=True),
        fnn.Dense(7, "softmax"),
    ]
    net = fnn.Network(layers, input_shape=9, dtype="float64", seed=0)
    ids = np.random.default_rng(0).integers(0, 7, 9)
    stream = net.stream()
    np.testing.assert_allclose([stream.step(token) for token in ids], net.predict(ids[None])[0], rtol=1e-11)


def test_two_streams_are_independent():
    net = network(fnn.MultiHeadAttention(2, causal=True))
    a, b = sequences(6, 6)
    first, second = net.stream(), net.stream()
    for t in range(6):
        first.step(a[t])
        np.testing.assert_allclose(second.step(b[t]), net.predict(b[None])[0, t], rtol=1e-11, atol=1e-12)


def test_attention_to_later_steps_cannot_be_streamed():
    for layer in (fnn.MultiHeadAttention(2), fnn.TransformerBlock(2, 8)):
        with pytest.raises(
            fnn.ShapeError, match="looks at later steps, so it cannot be streamed; causal=True does not"
        ):
            network(layer).stream()


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_wrong_shapes():
    with pytest.raises(fnn.ShapeError, match=r"layers.0 \(MultiHeadAttention\): 3 heads do not divide 8 features"):
        network(fnn.MultiHeadAttention(3))
    with pytest.raises(fnn.ShapeError, match=r"attention \(MultiHeadAttention\): 5 heads do not divide 8 features"):
        network(fnn.TransformerBlock(5, 8))
    for layer in (fnn.MultiHeadAttention(2), fnn.TransformerBlock(2, 8)):
        with pytest.raises(fnn.ShapeError, match=r"expects sequences \(steps, features\), got samples of shape \(8,\)"):
            fnn.Network([layer], input_shape=8)


def test_wrong_calls():
    x, memory = fnn.Input((STEPS, FEATURES)), fnn.Input((5, 3))
    with pytest.raises(fnn.ShapeError, match="takes one sequence, or the one that attends and its memory, got 3"):
        fnn.Network(inputs=[x, memory], outputs=fnn.MultiHeadAttention(2)([x, memory, memory]))
    with pytest.raises(fnn.ShapeError, match="attention to another sequence cannot be causal"):
        fnn.Network(inputs=[x, memory], outputs=fnn.MultiHeadAttention(2, causal=True)([x, memory]))


@pytest.mark.parametrize(
    ("layer", "arguments", "options", "message"),
    [
        (fnn.MultiHeadAttention, (0,), {}, "heads must be a positive integer"),
        (fnn.MultiHeadAttention, (2,), {"causal": 1}, "causal must be"),
        (fnn.MultiHeadAttention, (2,), {"weight_init": "glorot"}, "unknown initializer"),
        (fnn.TransformerBlock, (2, 0), {}, "mlp_units must be a positive integer"),
        (fnn.TransformerBlock, (2, 8), {"dropout": 1.0}, "dropout must be"),
        (fnn.TransformerBlock, (2, 8), {"pre_norm": "yes"}, "pre_norm must be"),
    ],
)
def test_wrong_arguments(layer, arguments, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layer(*arguments, **options)


def test_dropout_of_a_block():
    """In training only, in three places, from one seed."""
    net = network(fnn.TransformerBlock(2, 16, dropout=0.5))
    X = np.stack(sequences(6, 6))
    assert net.loss_and_gradients(X, X)[0] != network(fnn.TransformerBlock(2, 16)).loss_and_gradients(X, X)[0]
    np.testing.assert_array_equal(net.predict(X), network(fnn.TransformerBlock(2, 16)).predict(X))
    kinds = [op.where for op in net._state.graph.ops if op.kind == "dropout"]
    assert [where.split()[0].split(".")[-1] for where in kinds] == [
        "attention_dropout",
        "mlp_in_dropout",
        "mlp_out_dropout",
    ]
