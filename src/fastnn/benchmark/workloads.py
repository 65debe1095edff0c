"""What is trained: networks of dense layers with relu, softmax and cross entropy, on random data, with Adam.

Random data serve for time, which does not depend on the values. Every contender starts from the same weights, so their
losses after the same steps must agree; they are printed beside the times.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A network by its layer sizes, and the rows of a batch; an epoch is `steps` batches."""

    sizes: tuple[int, ...]
    batch_size: int
    steps: int = 50

    @property
    def name(self):
        return f"{'-'.join(map(str, self.sizes))} [{self.batch_size}]"

    @property
    def multiplications(self):
        """Multiply-adds in the products of one step: forward, gradients of weights, and of all inputs but the first."""
        pairs = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return self.batch_size * (3 * sum(pairs) - pairs[0])

    @cached_property
    def data(self):
        """X float32 (rows, features) and y int64 (rows,)."""
        rng = np.random.default_rng(0)
        rows = self.batch_size * self.steps
        X = rng.standard_normal((rows, self.sizes[0]), dtype=np.float32)
        return X, rng.integers(0, self.sizes[-1], rows)

    @cached_property
    def layers(self):
        """(weight, bias, activation) of each layer."""
        rng = np.random.default_rng(1)
        made = []
        for inputs, units in zip(self.sizes, self.sizes[1:], strict=False):
            limit = np.sqrt(6.0 / (inputs + units))
            weight = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
            made.append((weight, np.zeros(units, np.float32), "relu"))
        made[-1] = (*made[-1][:2], "softmax")
        return made


WORKLOADS = [Workload((64, 32, 10), 32), Workload((784, 128, 10), 64)]
