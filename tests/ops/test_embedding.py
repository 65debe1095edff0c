"""Embeddings: which ids are read, gradients of large tables, positions; the battery of cases.py has the rest."""

import numpy as np
import pytest
import reference

import fastnn as fnn

TOKENS, UNITS, STEPS = 9, 3, 4


def network(*layers, steps=STEPS, **options):
    options = {"dtype": "float64", "seed": 0, **options}
    return fnn.Network([fnn.Embedding(TOKENS, UNITS), *layers], input_shape=steps, **options)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float64])
def test_ids_of_any_dtype(dtype):
    net = network()
    ids = np.array([[0, 8, 3, 3], [1, 0, 8, 2]])
    np.testing.assert_array_equal(net.predict(ids.astype(dtype)), net.get_weights()["layers.0.weight"][ids])


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, 9, 1, 2]], ValueError, "9"),
        ([[0, -1, 1, 2]], ValueError, "-1"),
        ([[0, 1.5, 1, 2]], ValueError, "1.5"),
        ([[0, np.nan, 1, 2]], ValueError, "NaN|nan"),
        ([[0, 1, 2]], fnn.ShapeError, "learned|shape"),
        ([["a", "b", "c", "d"]], (TypeError, ValueError), "X"),
    ],
)
def test_what_is_no_id_is_refused(ids, error, message):
    net = network(fnn.Flatten(), fnn.Dense(1))
    before = net.params.copy()
    with pytest.raises(error, match=message):
        net.fit(ids, [[0.0]])
    with pytest.raises(error, match=message):
        net.predict(ids)
    np.testing.assert_array_equal(net.params, before)


def test_it_stands_first():
    with pytest.raises(fnn.ShapeError, match=r"layers.1 \(Embedding\) reads ids .* stands first"):
        fnn.Network([fnn.Dense(3), fnn.Embedding(TOKENS, UNITS)], input_shape=4)


@pytest.mark.parametrize("arguments", [(0, 3), (3, 0), (True, 3), (2.5, 3), (3, -1)])
def test_wrong_arguments(arguments):
    with pytest.raises((ValueError, TypeError), match="tokens|units"):
        fnn.Embedding(*arguments)


def test_the_default_start_is_normal():
    weight = fnn.Network([fnn.Embedding(500, 40)], input_shape=3, seed=1).get_weights()["layers.0.weight"]
    assert abs(weight.mean()) < 0.02
    assert abs(weight.std() - 1) < 0.02


def test_rows_that_no_token_reads_have_no_gradient():
    net = network(fnn.Flatten(), fnn.Dense(1))
    ids = np.array([[0, 3, 3, 7], [7, 0, 3, 3]])
    _, gradients = net.loss_and_gradients(np.full((2, STEPS), 5), [[1.0], [2.0]])  # leaves other gradients behind
    assert np.flatnonzero(gradients["layers.0.weight"].any(axis=1)).tolist() == [5]
    _, gradients = net.loss_and_gradients(ids, [[1.0], [2.0]])
    assert np.flatnonzero(gradients["layers.0.weight"].any(axis=1)).tolist() == [0, 3, 7]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_large_table_trains_as_with_stored_gradients(optimizer):
    """Its update is made row by row as its gradient is summed, to the same bits."""

    def trained(callbacks):
        layers = [fnn.Embedding(3000, 30), fnn.Flatten(), fnn.Dense(4, "softmax")]
        net = fnn.Network(layers, input_shape=6, optimizer=optimizer, seed=0)
        rng = np.random.default_rng(0)
        X, y = rng.integers(0, 3000, (50, 6)), rng.integers(0, 4, 50)
        net.fit(X, y, epochs=3, batch_size=16, callbacks=callbacks, verbose=0)
        return net.params

    kept = fnn.LambdaCallback(on_batch_end=lambda batch, figures: None)  # who may look at the gradients
    np.testing.assert_array_equal(trained([]), trained([kept]))


def test_a_shared_table():
    """Two calls add up."""
    a, b = fnn.Input(2), fnn.Input(3)
    embed = fnn.Embedding(TOKENS, UNITS)
    y = fnn.Concat(axis=1)([embed(a), embed(b)])
    net = fnn.Network(inputs=[a, b], outputs=y, dtype="float64", seed=0)
    X, target = [np.array([[1, 2]]), np.array([[2, 8, 2]])], np.random.default_rng(0).standard_normal((1, 5, UNITS))
    _, gradients = net.loss_and_gradients(X, target)
    dy = 2 * (net.predict(X) - target) / target.size
    table = net.get_weights()["layers.0.weight"]
    expected = reference.embedding_backward(dy, np.concatenate(X, axis=1), table)
    np.testing.assert_allclose(gradients["layers.0.weight"], expected, rtol=1e-13, atol=1e-16)


# ---- positions -------------------------------------------------------------------------------------------------------


def test_sinusoids():
    net = fnn.Network([fnn.PositionalEmbedding("sinusoidal")], input_shape=(40, 7), dtype="float64")
    np.testing.assert_allclose(net.predict(np.zeros((1, 40, 7)))[0], reference.sinusoids(40, 7), atol=1e-13)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_shorter_sequences_take_the_first_positions(kind):
    net = network(fnn.PositionalEmbedding(kind), steps=6)
    ids = np.arange(6)[None]
    np.testing.assert_array_equal(net.predict(ids[:, :4]), net.predict(ids)[:, :4])
    found = net.predict([ids[0], ids[0, :2]])
    np.testing.assert_array_equal(found[1], net.predict(ids)[0, :2])


def test_positions_beyond_short_sequences_have_no_gradient():
    net = network(fnn.PositionalEmbedding(), fnn.Dense(1), steps=6)
    net.loss_and_gradients([[1, 2, 3, 4, 5, 6]], np.ones((1, 6, 1)))
    _, gradients = net.loss_and_gradients([[1, 2, 3]], np.ones((1, 3, 1)))
    assert gradients["layers.1.weight"].any(axis=1).tolist() == [True] * 3 + [False] * 3


def test_learned_positions_end():
    net = network(fnn.PositionalEmbedding(), steps=3)
    with pytest.raises(fnn.ShapeError, match=r"layers.0 \(Embedding\) expects 3"):
        net.predict([[1, 2, 3, 4]])
    with pytest.raises(fnn.ShapeError, match="has learned 3 positions of 3 units, not for streams of 5 steps"):
        net.stream(length=5)
    assert network(fnn.PositionalEmbedding("sinusoidal"), steps=3).predict([[1, 2, 3, 4]]).shape == (1, 4, UNITS)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_a_stream_counts_positions(kind):
    net = network(fnn.PositionalEmbedding(kind))
    ids = np.array([3, 3, 1, 8])
    stream = net.stream()
    for _ in range(2):
        steps = [stream.step(token) for token in ids]
        np.testing.assert_array_equal(steps, net.predict(ids[None])[0])
        with pytest.raises(ValueError, match="the stream is full after 4 steps"):
            stream.step(0)
        stream.reset()


def test_wrong_kinds_and_shapes():
    with pytest.raises(ValueError, match="unknown kind of positional embedding 'sinusoid'; did you mean 'sinusoidal'"):
        fnn.PositionalEmbedding("sinusoid")
    with pytest.raises(fnn.ShapeError, match=r"layers.0 \(PositionalEmbedding\) expects sequences \(steps, units\)"):
        fnn.Network([fnn.PositionalEmbedding()], input_shape=5)
