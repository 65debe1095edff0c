"""fastnn as its users call it: `fit`, `predict`, `predictor()`, and the kernels behind them."""

from contextlib import redirect_stdout
from functools import partial
from io import StringIO

from .base import EPSILON, LEARNING_RATE, THREADS, Peer, Reduced, Unfit


class Fastnn(Peer):
    name = "fastnn"
    architectures = True
    precision = "highest"

    def version(self):
        import fastnn as fnn

        with redirect_stdout(StringIO()):
            config = fnn.show_config()
        if self.precision != "highest" and config["precision"][self.precision] == "float32":
            raise Unfit(f"precision={self.precision!r} is float32 on this CPU")
        return f"{config['fastnn']} ({config['target']})"

    def network(self, rung):
        import fastnn as fnn

        layers, shape, weights = parts(rung)
        adam = fnn.Adam(LEARNING_RATE, epsilon=EPSILON)
        net = fnn.Network(layers, optimizer=adam, input_shape=shape, precision=self.precision, seed=0)
        net.set_weights(weights)
        return net

    def train(self, rung, shuffle=True):
        def make():
            X, y = rung.data
            net = self.network(rung)
            options = {"epochs": rung.epochs, "batch_size": rung.batch, "shuffle": shuffle, "verbose": 0}
            return lambda: net.fit(X, y, **options)["loss"][-1]

        return {"": make}

    def steps(self, rung):
        return rung.steps * rung.epochs

    def predict(self, rung):
        return {"": lambda: partial(self.network(rung).predict, rung.data)}

    def product(self, product):
        def make():
            from fastnn._core import f32

            precision = {"highest": 0, "high": 1, "medium": 2}[self.precision]
            call = partial(f32.gemm, product.orientation, *product.operands, THREADS, precision)
            # The loop over the repetitions is the kernel's own: the worker is told the seconds a time.
            call.repeat = call
            return call

        return {"": make}


def parts(rung):
    """Layers, the shape of a sample, and {name: weight}."""
    import fastnn as fnn

    if hasattr(rung, "layers"):
        make = {
            "conv": lambda filters, size, pad, act: fnn.Conv2D(filters, size, padding=pad, activation=act),
            "pool": fnn.MaxPool2D,
            "flatten": fnn.Flatten,
            "dense": fnn.Dense,
            "rnn": lambda units: fnn.RNN(units),
            "gru": lambda units: fnn.GRU(units),
            "lstm": lambda units: fnn.LSTM(units),
            "embedding": fnn.Embedding,
            "transformer": fnn.TransformerBlock,
            "mean": fnn.GlobalAvgPool1D,
        }
        return [make[kind](*figures) for kind, *figures in rung.layers], rung.shape, rung.weights
    *hidden, last = rung.sizes[1:]
    layers = [*(fnn.Dense(units, "relu") for units in hidden), fnn.Dense(last, "softmax" if rung.classes else None)]
    names = (f"layers.{i}.{role}" for i in range(len(rung.weights)) for role in ("weight", "bias"))
    weights = dict(zip(names, (array for layer in rung.weights for array in layer), strict=True))
    return layers, rung.sizes[0], weights


class High(Reduced, Fastnn):
    name = "fastnn high"
    precision = "high"


class Medium(Reduced, Fastnn):
    name = "fastnn medium"
    precision = "medium"


class Predictor(Fastnn):
    name = "fastnn predictor()"

    def train(self, rung, shuffle=True):
        raise Unfit

    def predict(self, rung):
        if rung.rows != 1:
            raise Unfit
        return {"": lambda: partial(self.network(rung).predictor(), rung.data)}

    def product(self, product):
        raise Unfit
