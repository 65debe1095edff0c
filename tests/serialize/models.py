"""Networks of every kind that the tests of saving share, and the comparison to the bit."""

import copy

import numpy as np

import fastnn as fnn


def swish(x):
    return x / (1 + np.exp(-x))


def swish_derivative(x):
    s = 1 / (1 + np.exp(-x))
    return s + x * s * (1 - s)


def absolute(y, p):
    return float(np.abs(p - y).mean()), np.sign(p - y) / p.size


class Twice(fnn.Layer):
    """A layer of one's own, with an attribute that is no argument."""

    attributes = (*fnn.Layer.attributes, "mood")
    mood = "calm"

    def __init__(self, units=3):
        self.units = units

    def plan(self, g, x):
        return g.layer(fnn.Dense(self.units), "inner", x)


def sequence(dtype="float32", **options):
    layers = [
        fnn.Dense(8, "relu", l2=1e-3),
        fnn.Dropout(0.3),
        fnn.Residual(fnn.Dense(8, "tanh", max_norm=2.0), fnn.Activation("leaky_relu", alpha=0.2)),
        fnn.Reshape((4, 2)),
        fnn.Flatten(),
        fnn.Dense(3, "softmax", weight_init="he_normal"),
    ]
    options = {"input_shape": 4, "metrics": ["accuracy", fnn.metrics.TopKAccuracy(2)], "seed": 1, **options}
    return fnn.Network(layers, dtype=dtype, **options)


def images(dtype="float32", **options):
    layers = [
        fnn.Conv2D(4, (3, 2), stride=(1, 2), padding="same", activation="gelu"),
        fnn.MaxPool2D(2, padding=1),
        fnn.Conv2D(4, 2, groups=2, use_bias=False),
        fnn.GlobalAvgPool2D(),
        fnn.Dense(2),
    ]
    return fnn.Network(layers, input_shape=(6, 5, 2), loss=fnn.losses.Huber(0.5), dtype=dtype, seed=2, **options)


def graph(dtype="float32", **options):
    """Two inputs, two outputs, a shared layer, a join of three."""
    a, b = fnn.Input(4), fnn.Input(4)
    shared = fnn.Dense(5, "tanh")
    joined = fnn.Concat()([shared(a), shared(b), fnn.Dense(2)(a)])
    outputs = [fnn.Dense(1)(joined), fnn.Dense(2, "softmax")(fnn.Add()([shared(a), shared(b)]))]
    return fnn.Network(inputs=[a, b], outputs=outputs, loss=["mse", None], dtype=dtype, seed=3, **options)


def recurrent(dtype="float32", **options):
    """Calls with a mask, with states handed from one layer to another, and with several results; running statistics."""
    x, mask = fnn.Input((5, 3)), fnn.Input(5)
    y, h, _ = fnn.LSTM(4, return_sequences=True, return_state=True)(x, mask=mask)
    z = fnn.Bidirectional(fnn.GRU(4))(y, initial_state=[h, h])
    net = fnn.Network(inputs=[x, mask], outputs=fnn.Dense(2)(fnn.BatchNorm()(z)), dtype=dtype, seed=5, **options)
    assert net._state.graph.state_size
    return net


def tokens(dtype="float32", **options):
    layers = [
        fnn.Embedding(7, 4),
        fnn.PositionalEmbedding(),
        fnn.TransformerBlock(2, 6, causal=True, dropout=0.1),
        fnn.Dense(7, "softmax"),
    ]
    return fnn.Network(layers, input_shape=6, dtype=dtype, seed=6, **options)


def table(dtype="float32", **options):
    """Layers that have learned from a table with categories and missing values."""
    layers = [fnn.OneHot([0], missing=True), fnn.Standardize(missing="mean", indicator=True), fnn.Dense(3, "tanh")]
    X = np.random.default_rng(9).normal(size=(40, 4))
    X[:, 0] = np.arange(40) % 3
    X[::5] = np.nan
    return fnn.Network([*layers, fnn.Dense(1)], dtype=dtype, seed=7, **options).adapt(X)


def given_arrays(dtype="float32", **options):
    weight = np.arange(12.0).reshape(4, 3) / 10
    layers = [fnn.Dense(3, weight_init=weight, bias_init=fnn.initializers.Constant(0.5)), fnn.Dense(1)]
    options = {"input_shape": 4, **options}
    return fnn.Network(layers, loss=fnn.losses.Quantile([0.5]), dtype=dtype, seed=4, **options)


def unbuilt(dtype="float32", **options):
    return fnn.Network([fnn.Dense(3, "tanh"), fnn.Dense(2)], dtype=dtype, metrics="mae", **options)


KINDS = {
    "sequence": sequence,
    "images": images,
    "graph": graph,
    "given_arrays": given_arrays,
    "unbuilt": unbuilt,
    "recurrent": recurrent,
    "tokens": tokens,
    "table": table,
}
OPTIMIZERS = ["adam", "adamw", "rmsprop", "adagrad", "rprop", "sgd"]


def data(net, rows=50):
    """X and y that fit a network of KINDS: class ids where it ends with softmax, else reals."""
    rng = np.random.default_rng(0)
    graph = (net if net._state else copy.deepcopy(net).build(4))._state.graph
    X = [_input(value, rows, rng) for value in graph.inputs]
    masks = {given.mask for op in graph.ops for given in op.inputs}
    for i, value in enumerate(graph.inputs):
        if value in masks:
            X[i] = np.arange(value.size) < rng.integers(1, value.size + 1, (rows, 1))
    y = []
    for value in graph.outputs:
        last = graph.last_activation(value)
        classes = last is not None and last.activation == "softmax"
        ids = rng.integers(0, value.shape[-1], (rows, *value.shape[:-1]))
        y.append(ids if classes else rng.normal(size=(rows, *value.shape)))
    return (X if len(X) > 1 else X[0]), (y if len(y) > 1 else y[0])


def _input(value, rows, rng):
    if value.kind == "ids":
        return rng.integers(0, value.limit, (rows, *value.shape))
    return rng.normal(size=(rows, *value.shape))


def bits(net):
    """All that a network has learned and counted, as bytes."""
    state = net._state
    if state is None:
        return None
    weights = {name: array.tobytes() for name, array in net.get_weights().items()}
    slots = {name: slot.tobytes() for name, slot in state.memory.slots.items()}
    return weights, slots, state.steps, state.epochs


def assert_same(net, other):
    """Two networks of the same parts, bits and future."""
    assert type(other) is type(net)
    assert other.layers == net.layers
    for name in ("loss", "optimizer", "metrics", "input_shape", "dtype", "precision", "seed", "_seed"):
        assert getattr(other, name) == getattr(net, name), name
    assert bits(other) == bits(net)


def assert_same_future(net, other, **options):
    """Training goes on to the same bits; `other` is trained by itself, so that nothing shared hides a difference."""
    X, y = data(net)
    losses = net.fit(X, y, epochs=2, batch_size=8, verbose=0, **options)["loss"]
    assert other.fit(X, y, epochs=2, batch_size=8, verbose=0, **options)["loss"] == losses
    assert bits(other) == bits(net)
    first, second = net.predict(X), other.predict(X)
    for a, b in zip(*([p] if isinstance(p, np.ndarray) else p for p in (first, second)), strict=True):
        assert a.tobytes() == b.tobytes()
