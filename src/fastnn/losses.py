"""Losses: what a network is trained to lower. Configuration and the shape of targets; the arithmetic is in the engine.

Every loss is the weighted mean over the samples, sum(w_i l_i) / sum(w_i); l_i is the mean over a sample's outputs,
except for cross entropy, where it is the sum over the classes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._config import Configured
from ._data import fraction, positive
from .errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Loss(Configured, family="loss"):
    """Base of the losses.

    kernel: the engine's name; target: what `_data.targets` checks y against; fuses: the activation whose output this
    loss works on through its input (the logits); rejects: last activations that make no sense before it; has_variance:
    whether outputs say how far y spreads.
    """

    kernel = ""
    target = "real"
    fuses: str | None = None
    rejects: tuple[str, ...] = ()
    has_variance = False

    def op(self, target_kind: str) -> tuple[str, dict[str, Any]]:
        """Kind and attributes of the engine's op for real or id targets."""
        return "loss", {"loss": self.kernel or self.name, **self.attrs()}

    def attrs(self) -> dict[str, Any]:
        return {}

    def check_output(self, shape):
        """Raises ShapeError where this loss cannot read outputs of this shape."""

    def prediction(self, output, activation):
        """What metrics compare with y, from the output after `activation`: probabilities in place of logits."""
        return output

    def mean_and_variance(self, output):
        """What an output says of y, float64; the variance is None where this loss teaches the network none."""
        return output.astype(np.float64), None

    def positions(self, output_shape) -> int:
        """Losses in one sample: rows of the output's last axis."""
        return int(np.prod(output_shape[:-1], dtype=np.int64))

    @classmethod
    def from_other(cls, spec):
        if callable(spec):
            return Custom(spec)
        return super().from_other(spec)


class MSE(Loss):
    """Mean squared error: l = (p - y)^2."""

    name = "mse"


class MAE(Loss):
    """Mean absolute error: l = |p - y|; the gradient at 0 is 0."""

    name = "mae"


class Huber(Loss):
    """l = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2), with e = p - y (Huber 1964).

    Args:
        delta: where the parabola turns into a line; above 0.
    """

    name = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = positive(delta, "delta")

    def attrs(self):
        return {"param": self.delta}


class BinaryCrossEntropy(Loss):
    """l = -(y log p + (1 - y) log(1 - p)), y in [0, 1].

    After a sigmoid it is fused with it and stable; after any other layer that layer's outputs are taken as logits.

    Args:
        label_smoothing: s in [0, 1): y becomes y (1 - s) + s / 2.
    """

    name = "binary_cross_entropy"
    target = "binary"
    fuses = "sigmoid"
    rejects = ("softmax",)

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = fraction(label_smoothing, "label_smoothing")

    def attrs(self):
        return {"param": self.label_smoothing}

    def prediction(self, output, activation):
        return output if activation == self.fuses else 0.5 + 0.5 * np.tanh(0.5 * output)


class CrossEntropy(Loss):
    """l = -sum over classes of y log p, y a class id or a row of probabilities.

    After a softmax it is fused with it and stable; after any other layer that layer's outputs are taken as logits.

    Args:
        label_smoothing: s in [0, 1): y becomes y (1 - s) + s / classes.
    """

    name = "cross_entropy"
    target = "classes"
    fuses = "softmax"
    rejects = ("sigmoid",)

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = fraction(label_smoothing, "label_smoothing")

    def op(self, target_kind):
        kind, attrs = super().op(target_kind)
        return ("loss_of_ids" if target_kind == "ids" else kind), attrs

    def attrs(self):
        return {"param": self.label_smoothing}

    def prediction(self, output, activation):
        if activation == self.fuses:
            return output
        shares = np.exp(output - output.max(axis=-1, keepdims=True))
        return shares / shares.sum(axis=-1, keepdims=True)


class Poisson(Loss):
    """Negative log likelihood of counts, without the term that depends on y alone.

    Args:
        log_input: True: the outputs are log rates, l = exp(p) - y p; False: rates, l = p - y log(p + 1e-8).
    """

    name = "poisson"
    target = "count"

    def __init__(self, log_input: bool = True) -> None:
        self.log_input = bool(log_input)

    @property
    def kernel(self):
        return "poisson" if self.log_input else "poisson_rate"

    def prediction(self, output, activation):
        return np.exp(output) if self.log_input else output


class GaussianNLL(Loss):
    """Negative log likelihood of normal distributions: l = (log v + (y - m)^2 / v) / 2, without the constant.

    The network ends in `Dense(2 * k)`, linear, for y of k columns: the means m, then the logarithms s of the variances
    v = max(exp(s), epsilon), which no weights can make negative (Nix and Weigend 1994). In s the loss has no quotient:
    l = (s + (y - m)^2 exp(-s)) / 2. PyTorch's GaussianNLLLoss of exp(s), with its gradient too: below the floor that of
    s fades with exp(s) / epsilon. `net.predict(X, return_std=True)` returns means and standard deviations.

    Args:
        epsilon: the least variance, above 0, in the units of y squared.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(16, "tanh"), fnn.Dense(2)], loss="gaussian_nll", input_shape=3, seed=0)
    >>> mean, std = net.predict([[0.5, 1.0, -1.0]], return_std=True)
    >>> mean.shape, std.shape, bool(std > 0)
    ((1, 1), (1, 1), True)
    """

    name = "gaussian_nll"
    target = "mean_variance"
    has_variance = True

    def __init__(self, epsilon: float = 1e-6) -> None:
        self.epsilon = positive(epsilon, "epsilon")

    def attrs(self):
        return {"param": math.log(self.epsilon)}

    def prediction(self, output, activation):
        return output[..., : output.shape[-1] // 2]

    def mean_and_variance(self, output):
        mean, log_variance = np.split(output.astype(np.float64), 2, axis=-1)
        return mean, np.maximum(np.exp(log_variance), self.epsilon)


class Quantile(Loss):
    """The pinball loss: l = max(q e, (q - 1) e), e = y - p; one output for each level (Koenker and Bassett 1978).

    Quantiles of ascending levels do not cross where the network ends in `Dense(len(levels)), Ascending()`.

    Args:
        levels: quantiles in (0, 1), as many as the network has outputs.
    """

    name = "quantile"
    target = "column"

    def __init__(self, levels: float | Sequence[float] = (0.1, 0.5, 0.9)) -> None:
        levels = levels if isinstance(levels, (tuple, list, np.ndarray)) else (levels,)
        self.levels = tuple(fraction(q, "levels") for q in levels)
        if not self.levels or min(self.levels) <= 0:
            raise ValueError(f"levels: expected numbers in (0, 1), got {levels!r}")

    def check_output(self, shape):
        if shape[-1] != len(self.levels):
            raise ShapeError(f"the loss 'quantile' needs an output for each level of {self.levels}, got {shape[-1]}")

    def prediction(self, output, activation):
        median = min(range(len(self.levels)), key=lambda i: abs(self.levels[i] - 0.5))
        return output[..., median : median + 1]

    def attrs(self):
        return {"levels": np.array(self.levels, dtype=np.float64)}


class Hinge(Loss):
    """l = max(0, 1 - y p), y being -1 or 1 (0 counts as -1)."""

    name = "hinge"
    target = "sign"


class Custom(Loss):
    """A loss of your own: `function(y, p)` returns (mean loss of the batch, its gradient with respect to p)."""

    target = "any"

    def __init__(self, function: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        self.function = function

    def op(self, target_kind):
        return "python_loss", {"function": self.function}


# What a network's last activation suggests.
DEFAULTS = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}
