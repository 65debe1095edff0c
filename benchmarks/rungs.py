"""What is measured: networks from one neuron to wide ones, in training and in prediction, and the products inside them.

Training: Adam, float32, relu between layers; cross entropy with integer labels where the output has ten units, mean
squared error otherwise; shuffled epochs of minibatches, the gather of the rows included. Every peer starts from the
same weights and rows.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from architectures import ANSWERS, ARCHITECTURES

CHECKED_STEPS = 5  # of every peer's first epoch, in the order of the rows: their mean losses are compared


@dataclass(frozen=True)
class Training:
    """A network by its layer sizes, the rows of a batch, and the batches of an epoch."""

    sizes: tuple[int, ...]
    batch: int
    steps: int
    what = "train"

    @property
    def name(self):
        return f"{'-'.join(map(str, self.sizes))} [{self.batch}]"

    @property
    def rows(self):
        return self.batch * self.steps

    @property
    def wide(self):
        """Whether the products are nearly all of the work."""
        return min(self.sizes[:-1]) >= 512

    @property
    def small(self):
        """Whether it is trained for many epochs a call, as networks are whose epoch takes less than a millisecond."""
        return sum(self.sizes) < 200

    @cached_property
    def epochs(self):
        """Of one call, by every peer that has a call for many."""
        return max(1, 2000 // self.steps) if self.small else 1

    @property
    def classes(self):
        return self.sizes[-1] == 10

    @property
    def flops(self):
        """Of the products in one step: forward, gradients of the weights, and of all inputs but the network's own."""
        pairs = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.batch * (3 * sum(pairs) - pairs[0])

    @cached_property
    def data(self):
        """X float32 (rows, features), y int64 (rows,) or float32 (rows, outputs)."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.rows, self.sizes[0]), dtype=np.float32)
        if self.classes:
            return X, rng.integers(0, 10, self.rows)
        return X, np.tanh(X[:, : self.sizes[-1]]).astype(np.float32)

    @cached_property
    def weights(self):
        """(weight, bias) of each layer."""
        return initial_weights(self.sizes)


def beginning(rung):
    """A rung of training with the first batches of its own data alone, once."""
    short = replace(rung, steps=min(CHECKED_STEPS, rung.steps))
    vars(short).update(data=tuple(array[: short.rows] for array in rung.data), epochs=1)
    return short


@dataclass(frozen=True)
class Prediction:
    """A network and the rows of one call, NumPy in and NumPy out."""

    sizes: tuple[int, ...]
    rows: int
    what = "predict"

    @property
    def network(self):
        return "-".join(map(str, self.sizes))

    @property
    def name(self):
        return f"{self.network}, {'one row' if self.rows == 1 else f'{self.rows} rows'}"

    @property
    def classes(self):
        return self.sizes[-1] == 10

    @property
    def flops(self):
        return 2 * self.rows * sum(a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))

    @cached_property
    def data(self):
        return np.random.default_rng(0).standard_normal((self.rows, self.sizes[0]), dtype=np.float32)

    @cached_property
    def weights(self):
        return initial_weights(self.sizes)

    def check(self, answer):
        """How far a peer's answer is from float64's."""
        return {"error": float(abs(answer.reshape(self.rows, -1) - self.expected).max())}

    @cached_property
    def expected(self):
        """What every peer must answer, in float64."""
        y = self.data.astype(np.float64)
        for weight, bias in self.weights[:-1]:
            y = np.maximum(y @ weight + bias, 0)
        weight, bias = self.weights[-1]
        y = y @ weight + bias
        if self.classes:
            y = np.exp(y - y.max(axis=1, keepdims=True))
            y /= y.sum(axis=1, keepdims=True)
        return y


@dataclass(frozen=True)
class Product:
    """One product of a dense layer's training step, as a user of NumPy or PyTorch writes it."""

    inputs: int
    units: int
    batch: int
    kind: str  # a key of KINDS
    what = "product"

    KINDS = {"x @ W": "nn", "x.T @ dy": "tn", "dy @ W.T": "nt"}

    @property
    def name(self):
        return f"{self.inputs}-{self.units} [{self.batch}] {self.kind}"

    @property
    def orientation(self):
        return self.KINDS[self.kind]

    @property
    def square(self):
        return self.inputs == self.units == self.batch

    @property
    def flops(self):
        return 2 * self.inputs * self.units * self.batch

    @cached_property
    def operands(self):
        """The two arrays as they lie in memory, and one for the result."""
        i, u, n = self.inputs, self.units, self.batch
        shapes = {"nn": ((n, i), (i, u), (n, u)), "tn": ((n, i), (n, u), (i, u)), "nt": ((n, u), (i, u), (n, i))}
        rng = np.random.default_rng(0)
        a, b, out = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes[self.orientation])
        return a, b, out


def initial_weights(sizes):
    rng = np.random.default_rng(1)
    made = []
    for inputs, units in zip(sizes, sizes[1:], strict=False):
        limit = np.sqrt(6.0 / (inputs + units))
        made.append((rng.uniform(-limit, limit, (inputs, units)).astype(np.float32), np.zeros(units, np.float32)))
    return made


TRAINING = [
    Training((1, 1), 50, 1),
    Training((2, 2, 1), 4, 1),  # the four rows of XOR: an epoch is a step
    Training((64, 32, 10), 32, 45),
    Training((30, 64, 64, 1), 64, 45),
    Training((784, 128, 10), 64, 50),
    Training((784, 512, 512, 10), 128, 20),
    Training((1024, 1024, 1024, 1024, 10), 256, 8),
]

PREDICTION = [
    Prediction((2, 2, 1), 1),
    Prediction((64, 32, 10), 1),
    Prediction((784, 128, 10), 1),
    Prediction((784, 512, 512, 10), 1),
    Prediction((64, 32, 10), 100_000),
]

CALLS = [Product(1, 1, 1, kind) for kind in Product.KINDS]  # next to no product: what a call costs by itself
LAYERS = [(1, 32), (10, 32), (32, 1), (32, 10), (64, 32), (128, 10), (512, 1), (512, 10), (784, 128)]
BATCHES = [1, 32, 64, 128, 256]
SQUARES = [64, 128, 256, 512, 1024, 2048]
PRODUCTS = CALLS + [Product(i, u, n, kind) for i, u in LAYERS for n in BATCHES for kind in Product.KINDS]
PRODUCTS += [Product(s, s, s, kind) for s in SQUARES for kind in Product.KINDS]

TASKS = {
    "train": TRAINING,
    "predict": PREDICTION,
    "architectures": ARCHITECTURES,
    "answers": ANSWERS,
    "gemm": PRODUCTS,
}
