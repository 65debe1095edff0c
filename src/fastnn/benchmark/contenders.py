"""The contenders behind one face, each set up as its users would set it up for speed.

`in_order(steps)` starts from the workload's weights and returns the mean loss of the first batches in the order of the
rows, by which one sees that all do the same work. `shuffled(steps)` is what is timed: training steps on shuffled
minibatches, with the gather, the loss and the optimizer included everywhere.
"""

import warnings
from importlib.util import find_spec

import numpy as np

import fastnn as fnn

from . import numpy_network, pure_python

LEARNING_RATE = 0.001


class Contender:
    """Base: `start` makes the model from the workload's weights, `train(order)` takes a step for each batch of rows."""

    package = None  # what must be installed, beside fastnn and NumPy

    def __init__(self, workload):
        self.workload = workload
        self.X, self.y = workload.data
        self.start()

    @classmethod
    def installed(cls):
        return cls.package is None or find_spec(cls.package) is not None

    def in_order(self, steps):
        """Mean loss of the first `steps` batches, from the workload's weights."""
        self.start()
        return float(np.mean(self.train(np.arange(steps * self.workload.batch_size))))

    def shuffled(self, steps):
        """Take about so many steps on shuffled batches: whole epochs, or a part of one; return how many."""
        rows = len(self.X)
        epochs = steps // self.workload.steps
        if not epochs:
            self.train(np.random.permutation(rows)[: steps * self.workload.batch_size])
            return steps
        for _ in range(epochs):
            self.train(np.random.permutation(rows))
        return epochs * self.workload.steps


class Fastnn(Contender):
    name = "fastnn"

    def start(self):
        sizes, layers = self.workload.sizes, self.workload.layers
        self.net = fnn.Network(
            [fnn.Dense(len(bias), activation) for _, bias, activation in layers],
            optimizer=fnn.Adam(LEARNING_RATE),
            input_shape=(sizes[0],),
        )
        self.net.set_weights(
            {
                f"layers.{i}.{role}": array
                for i, (weight, bias, _) in enumerate(layers)
                for role, array in (("weight", weight), ("bias", bias))
            }
        )

    def fit(self, rows, epochs, shuffle):
        options = {"batch_size": self.workload.batch_size, "epochs": epochs, "shuffle": shuffle, "verbose": False}
        return self.net.fit(self.X[:rows], self.y[:rows], **options)

    def in_order(self, steps):
        self.start()
        return self.fit(steps * self.workload.batch_size, 1, shuffle=False)["loss"][0]

    def shuffled(self, steps):
        epochs = max(1, steps // self.workload.steps)
        self.fit(len(self.X), epochs, shuffle=True)
        return epochs * self.workload.steps


class NumPy(Contender):
    """numpy_network.py, float32."""

    name = "NumPy"

    def start(self):
        self.net = numpy_network.Network(
            self.workload.layers, "cross_entropy", numpy_network.Adam(LEARNING_RATE), self.workload.batch_size
        )

    def train(self, order):
        return self.net.train(self.X, self.y, order, self.workload.batch_size)


class PurePython(Contender):
    """pure_python.py. Steps take so long that a part of an epoch is timed, in the same shuffled order."""

    name = "pure Python"

    def start(self):
        layers = [(weight.tolist(), bias.tolist(), activation) for weight, bias, activation in self.workload.layers]
        self.net = pure_python.Network(layers, "cross_entropy", pure_python.Adam(LEARNING_RATE))
        self.lists = self.X.tolist(), self.y.tolist()

    def train(self, order):
        return self.net.train(*self.lists, order.tolist(), self.workload.batch_size)


class ScikitLearn(Contender):
    """MLPClassifier with warm_start: an epoch goes on from the last weights, with a fresh Adam each fit."""

    name = "scikit-learn"
    package = "sklearn"

    def start(self):
        from sklearn.neural_network import MLPClassifier

        self.net = MLPClassifier(
            self.workload.sizes[1:-1],
            batch_size=self.workload.batch_size,
            learning_rate_init=LEARNING_RATE,
            alpha=0.0,
            tol=0.0,
            n_iter_no_change=10**6,
            max_iter=1,
            warm_start=True,
            shuffle=False,
        )
        self.fit(len(self.X), 1, shuffle=False)  # only after a fit are there weights to set
        for i, (weight, bias, _) in enumerate(self.workload.layers):
            self.net.coefs_[i][:], self.net.intercepts_[i][:] = weight, bias

    def fit(self, rows, epochs, shuffle):
        self.net.set_params(max_iter=epochs, shuffle=shuffle)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            self.net.fit(self.X[:rows], self.y[:rows])
        return self.net.loss_curve_[-1]

    def in_order(self, steps):
        self.start()
        return self.fit(steps * self.workload.batch_size, 1, shuffle=False)

    def shuffled(self, steps):
        epochs = max(1, steps // self.workload.steps)
        self.fit(len(self.X), epochs, shuffle=True)
        return epochs * self.workload.steps


class PyTorch(Contender):
    """Eager, with the fused Adam, on one thread, which is its best setting for networks of this size."""

    name = "PyTorch"
    package = "torch"

    def start(self):
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        modules = []
        for weight, bias, activation in self.workload.layers:
            linear = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight.T))
                linear.bias.copy_(torch.from_numpy(bias))
            modules += [linear, torch.nn.ReLU()] if activation == "relu" else [linear]
        self.net = torch.nn.Sequential(*modules)
        self.optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, fused=True)
        self.tensors = torch.from_numpy(self.X), torch.from_numpy(self.y)

    def train(self, order):
        x, y = self.tensors
        loss_of, optimizer = self.torch.nn.functional.cross_entropy, self.optimizer
        losses = []
        for index in self.torch.from_numpy(order).split(self.workload.batch_size):
            loss = loss_of(self.net(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return self.torch.stack(losses).numpy()


CONTENDERS = [Fastnn, NumPy, PurePython, ScikitLearn, PyTorch]
