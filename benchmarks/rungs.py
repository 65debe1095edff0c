"""What is measured: networks from one neuron to wide ones, in training and in prediction.

Training: Adam, float32, relu between layers; cross entropy with integer labels where the output has ten units, mean squared error
otherwise; shuffled epochs of minibatches, the gather of the rows included. Every peer starts from the same weights.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Training:
    """A network by its layer sizes, the rows of a batch, and the batches of an epoch."""

    sizes: tuple[int, ...]
    batch: int
    steps: int

    @property
    def name(self):
        return f"{'-'.join(map(str, self.sizes))} [{self.batch}]"

    @property
    def rows(self):
        return self.batch * self.steps

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


@dataclass(frozen=True)
class Prediction:
    """A network and the rows of one call, NumPy in and NumPy out."""

    sizes: tuple[int, ...]
    rows: int

    @property
    def name(self):
        return f"{'-'.join(map(str, self.sizes))}, {'one row' if self.rows == 1 else f'{self.rows} rows'}"

    @property
    def classes(self):
        return self.sizes[-1] == 10

    @cached_property
    def data(self):
        return np.random.default_rng(0).standard_normal((self.rows, self.sizes[0]), dtype=np.float32)

    @cached_property
    def weights(self):
        return initial_weights(self.sizes)


def initial_weights(sizes):
    rng = np.random.default_rng(1)
    made = []
    for inputs, units in zip(sizes, sizes[1:], strict=False):
        limit = np.sqrt(6.0 / (inputs + units))
        made.append((rng.uniform(-limit, limit, (inputs, units)).astype(np.float32), np.zeros(units, np.float32)))
    return made


TRAINING = [
    Training((1, 1), 50, 1),
    Training((2, 2, 1), 4, 100),
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
