"""What a peer is: a library at its best honest setting, behind one interface.

    train(rung, shuffle=True)  trains whole epochs, in a new order of the rows each time; the loss of the last
    predict(rung)              predicts the rung's rows, from a NumPy array to a NumPy array
    product(product)           one matrix product into an array that exists already

Each returns {setting: make}, where make() builds the model and returns the function that does it. Where a library has
more than one good way, all are offered and the fastest on this machine counts. A peer that cannot do a rung raises
Unfit. How many threads it may take is in its process's environment before it is imported; see run.py.
"""

import os

THREADS = int(os.environ.get("BENCH_THREADS", "1"))
LEARNING_RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8


class Unfit(Exception):
    """The peer has no way to do this."""


class Peer:
    name = ""
    threaded = True  # whether a second thread could change anything
    architectures = False  # whether it has more than dense layers

    def version(self):
        """Its version; ImportError where it is not installed."""
        raise NotImplementedError

    def train(self, rung, shuffle=True):
        raise Unfit

    def predict(self, rung):
        raise Unfit

    def product(self, product):
        raise Unfit

    def steps(self, rung):
        """Of one call of what `train` returns. An epoch; rung.epochs of them where the library has a call for that."""
        return rung.steps


class Reduced:
    """Beside a Peer: reduced precision, which is measured where products are most of the work."""

    architectures = False

    def train(self, rung, shuffle=True):
        if not rung.wide:
            raise Unfit
        return super().train(rung, shuffle)

    def predict(self, rung):
        raise Unfit

    def product(self, product):
        if not product.square:
            raise Unfit
        return super().product(product)
