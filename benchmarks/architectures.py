"""Networks beyond dense layers: convolutions, recurrent nets, transformers, as descriptions that each peer builds from.

A description is a tuple of layers, each a tuple of its kind and figures; `weights` holds the first weights of all
peers, in fastnn's layout and by its names. Training: Adam, float32, cross entropy of ten classes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CLASSES = 10


@dataclass(frozen=True)
class Architecture:
    """A network, the rows of a batch and the batches of an epoch; `tokens` where it reads ids below that number."""

    network: str
    shape: tuple[int, ...]
    layers: tuple
    batch: int
    steps: int
    tokens: int = 0
    what = "train"
    classes = True
    epochs = 1

    @property
    def name(self):
        return f"{self.network} [{self.batch}]"

    @property
    def rows(self):
        return self.batch * self.steps

    @property
    def images(self):
        return len(self.shape) == 3

    @cached_property
    def data(self):
        """X float32 or int64 ids (rows, *shape), y int64 (rows,)."""
        rng = np.random.default_rng(0)
        if self.tokens:
            X = rng.integers(0, self.tokens, (self.rows, *self.shape))
        else:
            X = rng.standard_normal((self.rows, *self.shape), dtype=np.float32)
        return X, rng.integers(0, CLASSES, self.rows)

    @cached_property
    def weights(self):
        """{fastnn's name: array}."""
        rng, shape, made = np.random.default_rng(1), self.shape, {}
        for i, (kind, *figures) in enumerate(self.layers):
            roles, shape = SHAPES[kind](shape, *figures)
            for role, size in roles.items():
                made[f"layers.{i}.{role}"] = first(rng, role, size)
        return made


@dataclass(frozen=True)
class Answer:
    """The prediction of an architecture for some rows, NumPy in and NumPy out."""

    of: Architecture
    rows: int
    what = "predict"
    classes = True

    @property
    def name(self):
        return f"{self.of.network}, {'one row' if self.rows == 1 else f'{self.rows} rows'}"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.of, name)  # weights, layers and shape are those of the network

    @cached_property
    def data(self):
        return self.of.data[0][: self.rows]

    def check(self, probabilities):
        """The mean cross entropy of what a peer predicts, which is the same for all."""
        truth = np.asarray(probabilities, np.float64)[np.arange(self.rows), self.of.data[1][: self.rows]]
        return {"loss": float(-np.log(truth).mean())}


def first(rng, role, size):
    """Glorot's uniform weights; ones and zeros where layers have them."""
    if role.endswith("bias"):
        return np.zeros(size, np.float32)
    if "norm" in role:
        return np.ones(size, np.float32)
    inside = np.prod(size[:-2], dtype=int)
    limit = np.sqrt(6 / (inside * (size[-2] + size[-1])))
    return rng.uniform(-limit, limit, size).astype(np.float32)


# ---- kind of layer -> ({role: shape of the weight}, shape of its output), from the shape of its input ----------------


def _conv(shape, filters, kernel, padding, activation):
    height, width, channels = shape
    less = 0 if padding == "same" else kernel - 1
    weights = {"weight": (kernel, kernel, channels, filters), "bias": (filters,)}
    return weights, (height - less, width - less, filters)


def _pool(shape, size):
    return {}, (shape[0] // size, shape[1] // size, shape[2])


def _flatten(shape):
    return {}, (int(np.prod(shape)),)


def _dense(shape, units, activation):
    return {"weight": (shape[-1], units), "bias": (units,)}, (*shape[:-1], units)


def _recurrent(gates, *more):
    def shapes(shape, units):
        weights = {"weight": (shape[-1], gates * units), "recurrent_weight": (units, gates * units)}
        return {**weights, **dict.fromkeys(("bias", *more), (gates * units,))}, (units,)

    return shapes


def _embedding(shape, tokens, units):
    return {"weight": (tokens, units)}, (*shape, units)


def _transformer(shape, heads, mlp):
    units = shape[-1]
    parts = {
        "attention.qkv": (units, 3 * units),
        "attention.output": (units, units),
        "mlp_in.": (units, mlp),
        "mlp_out.": (mlp, units),
        "attention_norm.": (units,),
        "mlp_norm.": (units,),
    }
    roles = {}
    for part, size in parts.items():
        joint = "" if part.endswith(".") else "_"
        roles[f"{part}{joint}weight"], roles[f"{part}{joint}bias"] = size, size[-1:]
    return roles, shape


def _mean(shape):
    return {}, shape[1:]


SHAPES = {
    "conv": _conv,
    "pool": _pool,
    "flatten": _flatten,
    "dense": _dense,
    "rnn": _recurrent(1),
    "gru": _recurrent(3, "recurrent_bias"),
    "lstm": _recurrent(4),
    "embedding": _embedding,
    "transformer": _transformer,
    "mean": _mean,
}


# ---- the ladder ------------------------------------------------------------------------------------------------------

OUT = ("dense", CLASSES, "softmax")
LENET = (
    ("conv", 6, 5, "same", "relu"), ("pool", 2), ("conv", 16, 5, "valid", "relu"), ("pool", 2), ("flatten",),
    ("dense", 120, "relu"), ("dense", 84, "relu"), OUT,
)  # fmt: skip
CNN = (*(part for n in (32, 64, 128) for part in (("conv", n, 3, "same", "relu"), ("pool", 2))), ("flatten",), OUT)


def transformer(units, blocks):
    return (("embedding", 1000, units), *(("transformer", 4, 4 * units),) * blocks, ("mean",), OUT)


ARCHITECTURES = [
    Architecture("LeNet-5, 28 x 28", (28, 28, 1), LENET, 64, 20),
    Architecture("CNN 32-64-128, 32 x 32 x 3", (32, 32, 3), CNN, 64, 5),
    Architecture("RNN 64, 50 steps of 16", (50, 16), (("rnn", 64), OUT), 32, 40),
    Architecture("GRU 64, 50 steps of 16", (50, 16), (("gru", 64), OUT), 32, 40),
    Architecture("LSTM 64, 50 steps of 16", (50, 16), (("lstm", 64), OUT), 32, 40),
    Architecture("LSTM 256, 100 steps of 32", (100, 32), (("lstm", 256), OUT), 32, 5),
    Architecture("transformer 64, 2 blocks, 32 tokens", (32,), transformer(64, 2), 32, 20, tokens=1000),
    Architecture("transformer 128, 4 blocks, 64 tokens", (64,), transformer(128, 4), 32, 3, tokens=1000),
]
ANSWERS = [Answer(one, rows) for one in ARCHITECTURES for rows in (1, one.batch)]
