"""Lists and floats: fastnn.benchmark.pure_python. A few steps are timed, since an epoch takes a minute."""

from .base import EPSILON, LEARNING_RATE, Peer, Unfit

NETWORKS = {(64, 32, 10): 4, (784, 128, 10): 1}  # the steps of one call


class PurePython(Peer):
    name = "pure Python"
    threaded = False

    def version(self):
        import platform

        return platform.python_version()

    def train(self, rung, shuffle=True):
        if rung.sizes not in NETWORKS:
            raise Unfit

        def make():
            import numpy as np

            from fastnn.benchmark import pure_python

            X, y = (array.tolist() for array in rung.data)
            layers = [(weight.tolist(), bias.tolist(), "relu") for weight, bias in rung.weights]
            layers[-1] = (*layers[-1][:2], "softmax")
            net = pure_python.Network(layers, "cross_entropy", pure_python.Adam(LEARNING_RATE, epsilon=EPSILON))
            if not shuffle:
                return lambda: float(np.mean(net.train(X, y, range(rung.rows), rung.batch)))
            rng = np.random.default_rng(0)
            count = NETWORKS[rung.sizes] * rung.batch
            return lambda: net.train(X, y, rng.permutation(rung.rows)[:count].tolist(), rung.batch)[-1]

        return {"": make}

    def steps(self, rung):
        return NETWORKS[rung.sizes]
