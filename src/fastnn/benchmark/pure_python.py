"""The twin: the same training in plain Python, with lists and floats alone.

It is what fastnn is compared with, so it is written the way a good Python programmer would: every product is a sum of
products over two sequences, which the interpreter runs in C, and matrices are lists of rows or columns so that no index
is computed in Python. It follows fastnn step by step: from the same weights and batches its losses agree to rounding.
"""

from functools import partial
from math import exp, log, log1p, sqrt, tanh

try:
    from math import sumprod  # Python 3.12
except ImportError:
    from operator import mul

    def products(row, matrix):
        """Return the inner product of row with each of the matrix's sequences."""
        return [sum(map(mul, row, other)) for other in matrix]

else:

    def products(row, matrix):
        """Return the inner product of row with each of the matrix's sequences."""
        return [sumprod(row, other) for other in matrix]


def transposed(matrix):
    """Return the columns of a list of rows, or the rows of a list of columns."""
    return list(zip(*matrix, strict=True))


# ---- activations: y = f(x) on a row, and dx from dy and y (silu: x) --------------------------------------------------


def linear(x):
    return x


def linear_backward(dy, y):
    return dy


def relu(x):
    return [v if v > 0.0 else 0.0 for v in x]


def relu_backward(dy, y):
    return [d if v > 0.0 else 0.0 for d, v in zip(dy, y, strict=True)]


def silu(x):
    return [v * u for v, u in zip(x, sigmoid(x), strict=True)]


def silu_backward(dy, x):
    return [d * u * (1.0 + v * (1.0 - u)) for d, v, u in zip(dy, x, sigmoid(x), strict=True)]


def tanh_row(x):
    return list(map(tanh, x))


def tanh_backward(dy, y):
    return [d * (1.0 - v * v) for d, v in zip(dy, y, strict=True)]


def sigmoid(x):
    # two branches, since exp(710.0) raises in Python
    return [1.0 / (1.0 + exp(-v)) if v >= 0.0 else 1.0 - 1.0 / (1.0 + exp(v)) for v in x]


def sigmoid_backward(dy, y):
    return [d * v * (1.0 - v) for d, v in zip(dy, y, strict=True)]


def softmax(x):
    largest = max(x)
    exps = [exp(v - largest) for v in x]
    total = sum(exps)
    return [v / total for v in exps]


def softmax_backward(dy, y):
    [mean] = products(dy, [y])
    return [v * (d - mean) for d, v in zip(dy, y, strict=True)]


ACTIVATIONS = {
    None: (linear, linear_backward),
    "linear": (linear, linear_backward),
    "relu": (relu, relu_backward),
    "silu": (silu, silu_backward),
    "tanh": (tanh_row, tanh_backward),
    "sigmoid": (sigmoid, sigmoid_backward),
    "softmax": (softmax, softmax_backward),
}
FROM_INPUT = {"silu"}  # the derivative is not a function of the output alone


# ---- losses: the mean over a batch, and its gradient -----------------------------------------------------------------


def mse(outputs, targets):
    """Mean of (p - y)^2 over samples and outputs; the targets are rows."""
    errors = [[p - y for p, y in zip(ps, ys, strict=True)] for ps, ys in zip(outputs, targets, strict=True)]
    count = len(errors) * len(errors[0])
    loss = sum(products(row, [row])[0] for row in errors) / count
    return loss, [[2.0 / count * e for e in row] for row in errors]


def binary_cross_entropy(logits, targets):
    """Mean of max(z, 0) - z y + log(1 + exp(-|z|)); the targets are rows."""
    count = len(logits) * len(logits[0])
    loss = sum(
        max(z, 0.0) - z * y + log1p(exp(-abs(z)))
        for zs, ys in zip(logits, targets, strict=True)
        for z, y in zip(zs, ys, strict=True)
    )
    gradient = [
        [(p - y) / count for p, y in zip(sigmoid(zs), ys, strict=True)] for zs, ys in zip(logits, targets, strict=True)
    ]
    return loss / count, gradient


def cross_entropy(logits, targets, label_smoothing=0.0):
    """Mean of log(sum(exp(z))) - sum(t z); the targets are class numbers, t is 1 at the class and 0 elsewhere.

    With smoothing s, t is (1 - s) at the class and s / (number of classes) is added everywhere.
    """
    count = len(logits)
    loss = 0.0
    gradient = []
    certain = 1.0 - label_smoothing
    for z, target in zip(logits, targets, strict=True):
        largest = max(z)
        exps = [exp(v - largest) for v in z]
        total = sum(exps)
        loss += log(total) + largest - certain * z[target]
        factor = 1.0 / (total * count)
        if label_smoothing:
            share = label_smoothing / len(z)
            loss -= share * sum(z)
            dz = [v * factor - share / count for v in exps]
        else:
            dz = [v * factor for v in exps]
        dz[target] -= certain / count
        gradient.append(dz)
    return loss / count, gradient


# A loss, and the last activation that it takes in, since the gradient of both together is simple and exact.
LOSSES = {
    "mse": (mse, None),
    "binary_cross_entropy": (binary_cross_entropy, "sigmoid"),
    "cross_entropy": (cross_entropy, "softmax"),
}


# ---- layers and the network ------------------------------------------------------------------------------------------


class Dense:
    """y = f(x W + b). W is kept by columns, one list a unit, so that each output is one sum of products."""

    def __init__(self, weight, bias, activation=None):
        self.columns = [list(column) for column in transposed(weight)]
        self.bias = list(bias)
        self.function, self.derivative = ACTIVATIONS[activation]
        self.from_input = activation in FROM_INPUT

    @property
    def parameters(self):
        return [*self.columns, self.bias]

    def forward(self, x):
        columns, bias, function = self.columns, self.bias, self.function
        self.x = x
        sums = [[p + b for p, b in zip(products(row, columns), bias, strict=True)] for row in x]
        y = [function(row) for row in sums]
        self.saved = sums if self.from_input else y
        return y

    def backward(self, dy, needs_dx):
        """Return dx (or None) and the gradients in the order of `parameters`."""
        derivative = self.derivative
        dz = [derivative(d, y) for d, y in zip(dy, self.saved, strict=True)]
        dz_columns, x_columns = transposed(dz), transposed(self.x)
        gradients = [products(column, x_columns) for column in dz_columns]
        gradients.append([sum(column) for column in dz_columns])
        if not needs_dx:
            return None, gradients
        weight = transposed(self.columns)
        return [products(d, weight) for d in dz], gradients


class Network:
    """Dense layers from (weight, bias, activation) triples, weight as rows (inputs, units); a loss and an optimizer.

    What more is named goes to the loss.
    """

    def __init__(self, layers, loss, optimizer, **loss_options):
        function, fused = LOSSES[loss]
        self.loss = partial(function, **loss_options)
        *hidden, (weight, bias, activation) = layers
        # a fused loss works on the last layer's sums, before its activation
        last = Dense(weight, bias, None if activation == fused else activation)
        self.output = ACTIVATIONS[activation if activation == fused else None][0]
        self.layers = [*(Dense(*layer) for layer in hidden), last]
        self.optimizer = optimizer
        self.parameters = [p for layer in self.layers for p in layer.parameters]

    def _forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def predict(self, x):
        return [self.output(row) for row in self._forward(x)]

    def train_on_batch(self, x, y):
        """Take one step and return the loss before it."""
        loss, dy = self.loss(self._forward(x), y)
        gradients = []
        for layer in reversed(self.layers):
            dy, of_layer = layer.backward(dy, needs_dx=layer is not self.layers[0])
            gradients[:0] = of_layer
        self.optimizer.step(self.parameters, gradients)
        return loss

    def train(self, x, y, order, batch_size):
        """Take one step for each batch of the rows in the given order; return the losses."""
        losses = []
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            losses.append(self.train_on_batch([x[i] for i in batch], [y[i] for i in batch]))
        return losses


# ---- optimizers: parameters and gradients are lists of lists ---------------------------------------------------------


class SGD:
    """p -= learning_rate g."""

    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def step(self, parameters, gradients):
        rate = self.learning_rate
        for p, g in zip(parameters, gradients, strict=True):
            p[:] = [a - rate * b for a, b in zip(p, g, strict=True)]


class Adam:
    """Kingma and Ba 2015, with epsilon outside of the root, as in PyTorch."""

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0):
        self.learning_rate, self.beta1, self.beta2, self.epsilon = learning_rate, beta1, beta2, epsilon
        self.weight_decay = weight_decay
        self.steps = 0
        self.means = self.squares = None

    def step(self, parameters, gradients):
        if self.means is None:
            self.means = [[0.0] * len(p) for p in parameters]
            self.squares = [[0.0] * len(p) for p in parameters]
        self.steps += 1
        beta1, beta2, epsilon = self.beta1, self.beta2, self.epsilon
        rest1, rest2 = 1.0 - beta1, 1.0 - beta2
        rate = self.learning_rate / (1.0 - beta1**self.steps)
        root = 1.0 / sqrt(1.0 - beta2**self.steps)
        for p, g, m, v in zip(parameters, gradients, self.means, self.squares, strict=True):
            if self.weight_decay:
                g = [b + self.weight_decay * a for a, b in zip(p, g, strict=True)]
            m[:] = [beta1 * a + rest1 * b for a, b in zip(m, g, strict=True)]
            v[:] = [beta2 * a + rest2 * b * b for a, b in zip(v, g, strict=True)]
            p[:] = [a - rate * b / (sqrt(c) * root + epsilon) for a, b, c in zip(p, m, v, strict=True)]
