"""One table of layer x configuration x input shape, over which test_cases.py runs the whole battery.

Every layer class must have a row; a layer is covered by adding one. A row's layer stands inside a small network:

    6 features - Dense to the row's input shape - the layer - Flatten - Dense(2) - mse

so that the gradient with respect to the layer's input is checked too, through the weights before it. A layer that joins
several values gets one such Dense for each of its input shapes, and one that reads ids stands first.
"""

import re
from dataclasses import dataclass, field

import numpy as np

import fastnn as fnn

STATE = re.compile(r"\.(running_mean|running_variance|mean|deviation|median)$")
FEATURES, OUTPUTS = 6, 2


@dataclass(frozen=True)
class Case:
    """A row: what to call, with which arguments, on samples of which shape; a list of shapes for layers that join.

    tokens: where the layer reads ids, how many there are.
    """

    layer: type
    arguments: tuple = ()
    options: dict = field(default_factory=dict)
    shape: tuple | list = (5,)
    tokens: int = 0

    @property
    def name(self):
        inside = [short(a) for a in self.arguments] + [f"{k}={v!r}" for k, v in self.options.items()]
        return f"{self.layer.__name__}({', '.join(inside)}) on {self.shape}"

    def make(self):
        return self.layer(*self.arguments, **self.options)

    @property
    def random(self):
        """Whether training draws random numbers, so that it differs from prediction."""
        layer = self.make()
        return contains(layer, fnn.Dropout) or getattr(layer, "dropout", 0) > 0
        """Whether training draws random numbers."""
        return contains(self.make(), fnn.Dropout)

    @property
    def trains_otherwise(self):
        """Whether training computes something else than prediction."""
        return self.random or contains(self.make(), fnn.BatchNorm)

    @property
    def least_rows(self):
        """The fewest samples with gradients of their size: two that are normalized are -1 and 1 whatever they were."""
        return 5 if contains(self.make(), fnn.BatchNorm) and len(self.shape) == 1 else 1

    def network(self, dtype="float64", *, seed=3, **options):
        """The network around the layer, with its parameters made and every bias away from zero."""
        shapes = self.shape if isinstance(self.shape, list) else [self.shape]
        tail = [fnn.Flatten(), fnn.Dense(OUTPUTS)]
        fronts = [[fnn.Dense(int(np.prod(shape)), "tanh"), fnn.Reshape(shape)] for shape in shapes]
        given = (FEATURES,)
        if self.tokens:
            fronts, given = [[]], self.shape
        options = {"loss": "mse", "optimizer": "sgd", "dtype": dtype, "seed": seed, **options}
        if isinstance(self.shape, list):
            x = fnn.Input(FEATURES)
            node = self.make()([chain(front, x) for front in fronts])
            net = fnn.Network(inputs=x, outputs=chain(tail, node), **options)
        else:
            net = fnn.Network([*fronts[0], self.make(), *tail], input_shape=given, **options)
        net.build(given)
        rng = np.random.default_rng(seed)
        net.params[:] += rng.uniform(-0.2, 0.2, net.params.shape)
        weights = net.get_weights()
        state = {name: rng.uniform(0.5, 2, w.shape) for name, w in weights.items() if STATE.search(name)}
        net.set_weights({**weights, **state})
        return net

    def data(self, rows, dtype="float64", seed=5):
        """X and y for the network."""
        X, y = data(rows, dtype, seed)
        return (np.random.default_rng(seed).integers(0, self.tokens, (rows, *self.shape)) if self.tokens else X), y


def short(argument):
    """A constructor's argument in a test's name: a layer by its class, functions by their names."""
    if isinstance(argument, fnn.Layer):
        return type(argument).__name__
    if isinstance(argument, tuple) and callable(argument[0]):
        return "/".join(f.__name__ for f in argument)
    return repr(argument)


def chain(layers, node):
    for layer in layers:
        node = layer(node)
    return node


def contains(layer, kind):
    """Whether a layer is of a kind, or a layer inside of it."""
    return isinstance(layer, kind) or any(contains(one, kind) for one in getattr(layer, "layers", ()))


class Gate(fnn.PythonLayer):
    """y = x sigmoid(slope x), with a slope for each feature."""

    def __init__(self, start=1.0):
        self.start = start

    def parameters(self, shape):
        return {"slope": (shape[-1:], lambda shape: np.full(shape, self.start))}

    def forward(self, x, slope):
        return x / (1 + np.exp(-slope * x))

    def backward(self, dy, x, y, slope):
        open_share = 1 / (1 + np.exp(-slope * x))
        by_slope = dy * x * x * open_share * (1 - open_share)
        dx = dy * open_share * (1 + slope * x * (1 - open_share))
        return dx, {"slope": by_slope.sum(axis=tuple(range(x.ndim - 1)))}


class Product(fnn.PythonLayer):
    """The product of two values of one shape."""

    def output_shape(self, shapes):
        return shapes[0]

    def forward(self, x):
        return x[0] * x[1]

    def backward(self, dy, x, y):
        return [dy * x[1], dy * x[0]]


def data(rows, dtype="float64", seed=5):
    """X (rows, FEATURES) and y (rows, OUTPUTS), the same numbers for every dtype."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((rows, FEATURES)), rng.standard_normal((rows, OUTPUTS))
    # rounded to float32, so that both precisions see the very same numbers
    return tuple(a.astype("float32").astype(dtype) for a in (X, y))


ACTIVATIONS = (
    "linear", "relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "exponential", "silu", "gelu",
    "softmax",
)  # fmt: skip


CASES = [
    *(Case(fnn.Dense, (4, name)) for name in ACTIVATIONS),
    Case(fnn.Dense, (1,), shape=(1,)),
    Case(fnn.Dense, (3, "tanh"), {"use_bias": False}),
    Case(fnn.Dense, (17, "relu"), {"l1": 0.01, "l2": 0.02}, (19,)),
    Case(fnn.Dense, (4, "tanh"), {"max_norm": 0.7}),
    Case(fnn.Dense, (3, "sigmoid"), shape=(4, 5)),
    Case(fnn.Dense, (3, "softmax"), shape=(2, 3, 2)),
    Case(fnn.Dense, (4, (np.sin, np.cos))),
    *(Case(fnn.Conv2D, (3, 2), {"activation": name}, (4, 3, 2)) for name in ACTIVATIONS),
    Case(fnn.Conv2D, (3, 3), {"padding": "same", "activation": "relu"}, (5, 4, 2)),
    Case(fnn.Conv2D, (2, (2, 3)), {"stride": 2, "padding": "same"}, (5, 6, 1)),
    Case(fnn.Conv2D, (2, 2), {"stride": (3, 4)}, (5, 7, 2)),
    Case(fnn.Conv2D, (2, 3), {"padding": 1, "dilation": 2}, (5, 6, 2)),
    Case(fnn.Conv2D, (3, (2, 1)), {"padding": (3, 2), "dilation": (2, 1), "stride": (1, 2)}, (3, 4, 2)),
    Case(fnn.Conv2D, (4, 2), {"groups": 2, "padding": "same", "activation": "tanh"}, (3, 4, 6)),
    Case(fnn.Conv2D, (4, 3), {"groups": 2, "dilation": 2, "padding": "same", "stride": 2}, (4, 3, 2)),
    Case(fnn.Conv2D, (5, 3), {"groups": 5, "padding": "same", "activation": "sigmoid"}, (3, 4, 5)),
    Case(fnn.Conv2D, (4, 2), {"groups": 4, "stride": 2, "dilation": 2, "padding": 1, "use_bias": False}, (5, 6, 4)),
    Case(fnn.Conv2D, (4, 2), {"groups": 2, "padding": 1}, (3, 3, 2)),
    Case(fnn.Conv2D, (3, 1), {"activation": "tanh"}, (3, 2, 4)),
    Case(fnn.Conv2D, (4, 1), {"groups": 2}, (2, 3, 4)),
    Case(fnn.Conv2D, (3, 1), {"stride": 2}, (3, 4, 2)),
    Case(fnn.Conv2D, (2, 3), {"padding": "same"}, (1, 1, 3)),
    Case(fnn.Conv2D, (17, 1), {"use_bias": False}, (1, 1, 1)),
    Case(fnn.Conv2D, (2, 3), {"activation": "softmax", "l1": 0.01, "l2": 0.02}, (3, 4, 1)),
    Case(fnn.Conv2D, (2, 2), {"activation": (np.sin, np.cos), "max_norm": 0.5}, (3, 3, 2)),
    Case(fnn.Conv1D, (3, 3), {"activation": "relu"}, (6, 2)),
    Case(fnn.Conv1D, (4, 4), {"stride": 3, "padding": "same", "activation": "gelu"}, (7, 3)),
    Case(fnn.Conv1D, (2, 2), {"dilation": 3, "padding": 2, "stride": 2}, (5, 2)),
    Case(fnn.Conv1D, (6, 3), {"groups": 3, "padding": "same"}, (4, 3)),
    Case(fnn.Conv1D, (3, 2), {"groups": 3, "activation": "tanh"}, (4, 3)),
    Case(fnn.Conv1D, (1, 1), shape=(1, 1)),
    Case(fnn.MaxPool2D, (2,), shape=(4, 6, 3)),
    Case(fnn.MaxPool2D, ((3, 2),), {"stride": (2, 1)}, (5, 4, 2)),
    Case(fnn.MaxPool2D, (3,), {"stride": 2, "padding": "same"}, (4, 5, 1)),
    Case(fnn.MaxPool2D, (2,), {"stride": 3, "padding": 1}, (5, 6, 2)),
    Case(fnn.MaxPool2D, (2,), shape=(5, 3, 17)),
    Case(fnn.MaxPool2D, (1,), shape=(1, 1, 1)),
    Case(fnn.MaxPool1D, (2,), shape=(5, 3)),
    Case(fnn.MaxPool1D, (3,), {"stride": 1, "padding": "same"}, (4, 2)),
    Case(fnn.AvgPool2D, (2,), shape=(4, 5, 3)),
    Case(fnn.AvgPool2D, ((2, 3),), {"stride": 2, "padding": "same"}, (5, 4, 2)),
    Case(fnn.AvgPool2D, (3,), {"stride": (1, 2), "padding": (1, 2)}, (3, 4, 1)),
    Case(fnn.AvgPool1D, (2,), shape=(5, 3)),
    Case(fnn.AvgPool1D, (3,), {"stride": 2, "padding": 1}, (6, 18)),
    Case(fnn.GlobalMaxPool2D, shape=(3, 4, 2)),
    Case(fnn.GlobalMaxPool1D, shape=(5, 3)),
    Case(fnn.GlobalAvgPool2D, shape=(3, 4, 2)),
    Case(fnn.GlobalAvgPool2D, shape=(1, 1, 3)),
    Case(fnn.GlobalAvgPool1D, shape=(5, 3)),
    Case(fnn.LayerNorm),
    Case(fnn.LayerNorm, (0.1,), shape=(3, 17)),
    Case(fnn.LayerNorm, shape=(2, 1, 4)),
    Case(fnn.RMSNorm),
    Case(fnn.RMSNorm, (0.01,), shape=(1, 19)),
    Case(fnn.Standardize),
    Case(fnn.Standardize, (), {"missing": "mean", "indicator": True}, (17,)),
    Case(fnn.Standardize, (), {"missing": 0.5}, (4, 3)),
    Case(fnn.Standardize, (), {"missing": "median"}, (4, 3)),
    Case(fnn.Standardize, shape=(3, 2, 1)),
    Case(fnn.Standardize, (), {"missing": -1, "indicator": True}, (2, 5)),
    Case(fnn.OneHot, ([1, 3],), {"categories": [[0.5, 1], [2]]}),
    Case(fnn.OneHot, (0,), {"categories": [range(19)], "missing": True}, (3, 2)),
    Case(fnn.Residual, (fnn.Standardize(), fnn.OneHot([0], categories=[[1]]), fnn.Dense(5))),
    Case(fnn.Embedding, (7, 3), shape=(5,), tokens=7),
    Case(fnn.Embedding, (1, 2), shape=(1,), tokens=1),
    Case(fnn.Embedding, (40, 17), {"weight_init": "uniform"}, (2, 3), tokens=40),
    *(
        Case(fnn.PositionalEmbedding, (kind,), shape=shape)
        for kind in ("learned", "sinusoidal")
        for shape in ((4, 5), (1, 1), (3, 18))
    ),
    *(
        Case(fnn.MultiHeadAttention, (heads,), {"causal": causal}, shape)
        for causal in (False, True)
        for heads, shape in ((2, (5, 6)), (1, (3, 4)), (3, (4, 3)), (2, (1, 4)), (1, (7, 17)))
    ),
    Case(fnn.MultiHeadAttention, (2,), {"use_bias": False, "weight_init": "orthogonal"}, (3, 4)),
    Case(fnn.MultiHeadAttention, (2,), shape=[(3, 4), (5, 6)]),
    Case(fnn.MultiHeadAttention, (1,), {"use_bias": False}, [(2, 3), (3, 1)]),
    Case(fnn.MultiHeadAttention, (3,), shape=[(1, 3), (4, 3)]),
    *(
        Case(fnn.TransformerBlock, (2, 5), {"causal": causal, "pre_norm": pre_norm}, (3, 6))
        for causal in (False, True)
        for pre_norm in (False, True)
    ),
    Case(fnn.TransformerBlock, (1, 3), {"dropout": 0.2}, (1, 3)),
    *(
        Case(kind, (3,), {"return_sequences": sequences}, (4, 2))
        for kind in (fnn.RNN, fnn.GRU, fnn.LSTM)
        for sequences in (False, True)
    ),
    *(Case(kind, (5,), {"go_backwards": True}, (3, 2)) for kind in (fnn.RNN, fnn.GRU, fnn.LSTM)),
    *(Case(kind, (1,), shape=(1, 1)) for kind in (fnn.RNN, fnn.GRU, fnn.LSTM)),
    *(Case(kind, (17,), {"use_bias": False}, (2, 1)) for kind in (fnn.RNN, fnn.GRU, fnn.LSTM)),
    Case(fnn.RNN, (4, "relu"), {"return_sequences": True, "go_backwards": True}, (5, 3)),
    Case(fnn.LSTM, (4,), {"unit_forget_bias": False, "return_sequences": True, "go_backwards": True}, (2, 19)),
    Case(fnn.Bidirectional, (fnn.LSTM(3, return_sequences=True),), shape=(4, 2)),
    Case(fnn.Bidirectional, (fnn.GRU(2),), shape=(3, 4)),
    Case(fnn.Bidirectional, (fnn.RNN(3), "sum"), shape=(4, 2)),
    *(Case(fnn.Activation, (name,)) for name in ACTIVATIONS),
    Case(fnn.Activation, ("leaky_relu",), {"alpha": 0.2}),
    Case(fnn.Activation, ("elu",), {"alpha": 0.5}, (3, 4)),
    Case(fnn.Activation, ("softmax",), shape=(3, 4)),
    Case(fnn.Activation, ((np.sin, np.cos),), shape=(3, 4)),
    Case(fnn.Ascending),
    Case(fnn.Ascending, shape=(1,)),
    Case(fnn.Ascending, shape=(3, 17)),
    Case(fnn.BatchNorm),
    Case(fnn.BatchNorm, (), {"momentum": 0.3, "epsilon": 0.01}, (17,)),
    Case(fnn.BatchNorm, shape=(1,)),
    Case(fnn.BatchNorm, shape=(3, 4)),
    Case(fnn.BatchNorm, shape=(2, 3, 2)),
    Case(fnn.Residual, (fnn.Dense(5, use_bias=False), fnn.BatchNorm(), fnn.Activation("relu"))),
    Case(
        fnn.Residual,
        (fnn.Conv2D(2, 3, padding="same", use_bias=False), fnn.BatchNorm(), fnn.Activation("tanh")),
        shape=(3, 4, 2),
    ),
    Case(fnn.Residual, (fnn.BatchNorm(), fnn.Activation("gelu"), fnn.Dense(4)), shape=(3, 4)),
    Case(Gate),
    Case(Gate, (0.5,), shape=(2, 3)),
    Case(fnn.Residual, (Gate(), fnn.Dense(5))),
    Case(Product, shape=[(2, 3), (2, 3)]),
    Case(fnn.Dropout, (0.4,)),
    Case(fnn.Dropout, (0.0,), shape=(3, 2)),
    Case(fnn.Flatten, shape=(3, 4)),
    Case(fnn.Flatten, shape=(5,)),
    Case(fnn.Reshape, ((2, 6),), shape=(3, 4)),
    Case(fnn.Reshape, ((2, -1, 3),), shape=(12,)),
    Case(fnn.Residual, (fnn.Dense(5, "tanh"),)),
    Case(fnn.Residual, (fnn.Dense(7, "relu"), fnn.Dense(5))),
    Case(fnn.Residual, (fnn.Residual(fnn.Dense(5, "sigmoid")), fnn.Activation("gelu"), fnn.Dense(5))),
    Case(fnn.Residual, (fnn.Dense(4, "tanh"),), shape=(3, 4)),
    Case(fnn.Residual, (fnn.Dropout(0.3), fnn.Dense(5))),
    Case(fnn.Add, shape=[(4,), (4,)]),
    Case(fnn.Add, shape=[(2, 3), (2, 3), (2, 3)]),
    Case(fnn.Concat, shape=[(3,), (4,)]),
    Case(fnn.Concat, shape=[(2, 3), (2, 1), (2, 4)]),
    Case(fnn.Concat, (), {"axis": 1}, [(2, 3), (4, 3)]),
]
