"""NumPy with every buffer made ahead and `out=` everywhere: fastnn.benchmark.numpy_network."""

from functools import partial

from .base import EPSILON, LEARNING_RATE, Peer


class NumPy(Peer):
    name = "NumPy"

    def version(self):
        import numpy as np

        return np.__version__

    def network(self, rung, batch):
        from fastnn.benchmark import numpy_network

        layers = [(weight, bias, "relu") for weight, bias in rung.weights]
        layers[-1] = (*layers[-1][:2], "softmax" if rung.classes else None)
        optimizer = numpy_network.Adam(LEARNING_RATE, epsilon=EPSILON)
        return numpy_network.Network(layers, "cross_entropy" if rung.classes else "mse", optimizer, batch)

    def train(self, rung, shuffle=True):
        def make():
            import numpy as np

            X, y = rung.data
            net, rng = self.network(rung, rung.batch), np.random.default_rng(0)

            def run():
                order = rng.permutation(rung.rows) if shuffle else np.arange(rung.rows)
                return float(np.mean(net.train(X, y, order, rung.batch)))

            return run

        return {"": make}

    def predict(self, rung):
        return {"": lambda: partial(self.network(rung, 1).predict, rung.data)}

    def product(self, product):
        # np.dot goes to the BLAS with less ado than np.matmul, which has loops of its own for what the BLAS refuses.
        return {way: partial(self.into, product, way) for way in ("matmul", "dot")}

    def into(self, product, way):
        import numpy as np

        a, b, out = product.operands
        a = a.T if product.orientation == "tn" else a
        b = b.T if product.orientation == "nt" else b
        return partial(getattr(np, way), a, b, out=out)
