"""The same training in NumPy, written well: the third contender.

All buffers exist before the first step and every large operation writes into one (`out=`), the parameters are one flat
vector so that the optimizer is a dozen calls for the whole network, and the products go to the BLAS without copies.
What remains is NumPy's own cost: a call for each operation, and a pass over memory for each call.
"""

import math

import numpy as np

# ---- activations in place; and dy times the derivative in place, where y is free to be scratch ----------------------


def linear(x):
    pass


def linear_backward(dy, y):
    pass


def relu(x):
    np.maximum(x, 0.0, out=x)


def relu_backward(dy, y):
    np.sign(y, out=y)
    np.multiply(dy, y, out=dy)


def tanh(x):
    np.tanh(x, out=x)


def tanh_backward(dy, y):
    np.multiply(y, y, out=y)
    np.subtract(1.0, y, out=y)
    np.multiply(dy, y, out=dy)


def sigmoid(x):
    # 1 / (1 + exp(-x)) by tanh, which cannot overflow
    np.multiply(x, 0.5, out=x)
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def sigmoid_backward(dy, y):
    np.multiply(dy, y, out=dy)
    np.subtract(1.0, y, out=y)
    np.multiply(dy, y, out=dy)


def softmax(x):
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)


def softmax_backward(dy, y):
    dy -= np.vecdot(dy, y)[:, None]
    dy *= y


ACTIVATIONS = {
    None: (linear, linear_backward),
    "linear": (linear, linear_backward),
    "relu": (relu, relu_backward),
    "tanh": (tanh, tanh_backward),
    "sigmoid": (sigmoid, sigmoid_backward),
    "softmax": (softmax, softmax_backward),
}


# ---- losses: the mean over a batch; its gradient goes to dp, and p is free to be scratch -----------------------------


def mse(p, y, dp, rows):
    np.subtract(p, y, out=dp)
    loss = float(np.vdot(dp, dp)) / dp.size
    dp *= 2.0 / dp.size
    return loss


def binary_cross_entropy(p, y, dp, rows):
    np.logaddexp(0.0, p, out=dp)
    loss = (float(dp.sum()) - float(np.vdot(p, y))) / p.size
    sigmoid(p)
    np.subtract(p, y, out=dp)
    dp /= p.size
    return loss


def cross_entropy(p, y, dp, rows):
    p -= p.max(axis=1, keepdims=True)
    np.exp(p, out=dp)
    total = dp.sum(axis=1, keepdims=True)
    loss = (float(np.log(total).sum()) - float(p[rows, y].sum())) / len(p)
    total *= len(p)
    dp /= total
    dp[rows, y] -= 1.0 / len(p)
    return loss


# A loss, and the last activation that it takes in, since the gradient of both together is simple and exact.
LOSSES = {
    "mse": (mse, None),
    "binary_cross_entropy": (binary_cross_entropy, "sigmoid"),
    "cross_entropy": (cross_entropy, "softmax"),
}


# ---- optimizers over one flat vector ---------------------------------------------------------------------------------


class SGD:
    """p -= learning_rate g."""

    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def step(self, p, g):
        g *= self.learning_rate
        p -= g


class Adam:
    """Kingma and Ba 2015, with epsilon outside of the root, as in PyTorch."""

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.learning_rate, self.beta1, self.beta2, self.epsilon = learning_rate, beta1, beta2, epsilon
        self.steps = 0
        self.mean = self.square = self.scratch = None

    def step(self, p, g):
        if self.mean is None:
            self.mean, self.square, self.scratch = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
        self.steps += 1
        m, v, s = self.mean, self.square, self.scratch
        np.multiply(g, 1.0 - self.beta1, out=s)
        m *= self.beta1
        m += s
        np.multiply(g, g, out=s)
        s *= 1.0 - self.beta2
        v *= self.beta2
        v += s
        np.sqrt(v, out=s)
        s *= 1.0 / math.sqrt(1.0 - self.beta2**self.steps)
        s += self.epsilon
        np.divide(m, s, out=s)
        s *= self.learning_rate / (1.0 - self.beta1**self.steps)
        p -= s


# ---- the network -----------------------------------------------------------------------------------------------------


class Batch:
    """Views of a network's buffers for n rows: made once for a full batch, and once for a smaller last one."""

    def __init__(self, network, n):
        self.x = network.inputs[:n]
        self.outputs = [y[:n] for y in network.outputs]
        self.deltas = [d[:n] for d in network.deltas]
        self.rows = np.arange(n)


class Network:
    """Dense layers from (weight, bias, activation) triples, a loss and an optimizer; batches of up to batch_size."""

    def __init__(self, layers, loss, optimizer, batch_size, dtype="float32"):
        self.loss, fused = LOSSES[loss]
        self.optimizer = optimizer
        sizes = [(np.shape(weight), np.shape(bias)) for weight, bias, _ in layers]
        total = sum(math.prod(shape) for pair in sizes for shape in pair)
        self.params, self.grads = np.empty(total, dtype), np.empty(total, dtype)
        self.weights, self.dweights = self._split(self.params, sizes), self._split(self.grads, sizes)
        for (w, b), (weight, bias, _) in zip(self.weights, layers, strict=True):
            w[:], b[:] = weight, bias
        self.activations = [ACTIVATIONS[activation] for _, _, activation in layers]
        self.output = linear
        if fused and layers[-1][2] == fused:
            # a fused loss works on the last layer's sums, before its activation
            self.output, _ = self.activations[-1]
            self.activations[-1] = ACTIVATIONS[None]
        self.inputs = np.empty((batch_size, sizes[0][0][0]), dtype)
        self.outputs = [np.empty((batch_size, *bias), dtype) for _, bias in sizes]
        self.deltas = [np.empty((batch_size, *bias), dtype) for _, bias in sizes]
        self.batches = {}

    @staticmethod
    def _split(flat, sizes):
        pieces = iter(np.split(flat, np.cumsum([math.prod(shape) for pair in sizes for shape in pair])[:-1]))
        return [tuple(next(pieces).reshape(shape) for shape in pair) for pair in sizes]

    def _forward(self, x, outputs):
        for (weight, bias), (function, _), y in zip(self.weights, self.activations, outputs, strict=True):
            np.matmul(x, weight, out=y)
            np.add(y, bias, out=y)
            function(y)
            x = y
        return x

    def _backward(self, batch):
        for i in range(len(self.weights) - 1, -1, -1):
            dy = batch.deltas[i]
            self.activations[i][1](dy, batch.outputs[i])
            dweight, dbias = self.dweights[i]
            x = batch.outputs[i - 1] if i else batch.x
            np.matmul(x.T, dy, out=dweight)
            np.add.reduce(dy, axis=0, out=dbias)
            if i:
                np.matmul(dy, self.weights[i][0].T, out=batch.deltas[i - 1])

    def predict(self, x):
        outputs = [np.empty((len(x), y.shape[1]), y.dtype) for y in self.outputs]
        y = self._forward(np.ascontiguousarray(x, self.params.dtype), outputs)
        self.output(y)
        return y

    def train(self, x, y, order, batch_size):
        """Take one step for each batch of the rows in the given order; return the losses."""
        losses = []
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            batch = self.batches.get(len(index))
            if batch is None:
                batch = self.batches[len(index)] = Batch(self, len(index))
            # mode="clip" lets take write into its out directly; the indices are known to be in range
            np.take(x, index, axis=0, out=batch.x, mode="clip")
            p = self._forward(batch.x, batch.outputs)
            losses.append(self.loss(p, y[index], batch.deltas[-1], batch.rows))
            self._backward(batch)
            self.optimizer.step(self.params, self.grads)
        return losses
