"""The dense layer and activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import initializers
from .._core import kernels
from .._data import boolean, non_negative, positive, positive_int
from ..errors import ShapeError, unknown_name
from .base import Layer

if TYPE_CHECKING:
    from .._typing import ActivationLike, InitializerLike

# The parameter of the activations that have one, PyTorch's defaults.
ALPHA = {"leaky_relu": 0.01, "elu": 1.0}

ACTIVATIONS = [*kernels.engine_of("float32").ACTIVATIONS, "softmax"]


def checked_activation(activation):
    """None as "linear", a known name, or a pair of callables (f, its derivative)."""
    if activation is None:
        return "linear"
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        return activation
    if isinstance(activation, (tuple, list)) and len(activation) == 2 and all(callable(f) for f in activation):
        return tuple(activation)
    raise TypeError(
        f"activation: expected a name, None, or a pair of callables (f, derivative), got {activation!r}; "
        "fastnn does not differentiate Python functions itself"
    )


def activate(g, x, activation, alpha=None):
    """Applies an activation in graph `g`; linear adds no op."""
    if activation == "linear":
        return x
    if activation == "softmax":
        if x.shape[-1] < 2:
            raise ShapeError(f"{g.where()}: softmax needs at least 2 units; for one output use sigmoid")
        return g.op("softmax", [x], x.shape)
    if isinstance(activation, tuple):
        return g.op("python_activation", [x], x.shape, functions=activation)
    if alpha is None:
        alpha = ALPHA.get(activation, 0.0)
    return g.op("activation", [x], x.shape, activation=activation, alpha=alpha)


class Dense(Layer):
    r"""A fully connected layer: y = f(x W + b), on the last axis.

    Args:
        units: outputs.
        activation: a name (see `Activation`), None for linear, or a pair of callables (f, derivative).
        use_bias: whether b is there.
        weight_init, bias_init: a name, an Initializer, an array or a callable shape -> array. The weight's default
            follows the activation.
        l1, l2: penalties l1 sum|W| and l2 sum(W^2), added to the loss.
        max_norm: largest Euclidean norm of a unit's incoming weights, held after each step (Srivastava et al. 2014).

    Shapes: x (..., features), W `weight` (features, units), b `bias` (units,), y (..., units).

    Raises:
        ValueError, TypeError: an argument is out of range or unknown.

    >>> import fastnn as fnn
    >>> fnn.Dense(64, activation="relu", l2=1e-4).units
    64
    """

    keeps_time = True

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        *,
        use_bias: bool = True,
        weight_init: InitializerLike | None = None,
        bias_init: InitializerLike = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.units = positive_int(units, "units")
        self.activation = checked_activation(activation)
        self.use_bias = boolean(use_bias, "use_bias")
        self.weight_init = None if weight_init is None else initializers.Initializer.get(weight_init)
        self.bias_init = initializers.Initializer.get(bias_init)
        self.l1, self.l2 = non_negative(l1, "l1"), non_negative(l2, "l2")
        self.max_norm = None if max_norm is None else positive(max_norm, "max_norm")

    def plan(self, g, x):
        features = x.shape[-1]
        init = self.weight_init or initializers.default_for(self.activation)
        params = {
            "weight": g.param("weight", (features, self.units), init, l1=self.l1, l2=self.l2, max_norm=self.max_norm)
        }
        if self.use_bias:
            params["bias"] = g.param("bias", (self.units,), self.bias_init)
        y = g.op("dense", [x], (*x.shape[:-1], self.units), params)
        return activate(g, y, self.activation)


class Activation(Layer):
    """An activation as a layer of its own.

    Args:
        activation: linear, sigmoid, tanh, relu, leaky_relu, elu, selu, gelu (exact), silu, softplus, exponential,
            softmax (over the last axis), or a pair of callables (f, derivative) on arrays.
        alpha: the slope of leaky_relu for x < 0 (default 0.01), the scale of elu for x < 0 (default 1).

    >>> import fastnn as fnn
    >>> layers = [fnn.Dense(8), fnn.Activation("leaky_relu", alpha=0.2), fnn.Dense(1)]
    """

    keeps_time = True

    def __init__(self, activation: ActivationLike, *, alpha: float | None = None) -> None:
        self.activation = checked_activation(activation)
        if alpha is not None:
            if self.activation not in ALPHA:
                raise ValueError(f"alpha belongs to {' and '.join(ALPHA)}; {self.activation!r} has none")
            alpha = positive(alpha, "alpha")
        self.alpha = alpha

    def plan(self, g, x):
        return activate(g, x, self.activation, self.alpha)
