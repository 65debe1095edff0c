"""Optimizers: how the gradient of a batch moves the parameters. Configuration; the rules are kernels.

Definitions and defaults are PyTorch's where both exist. `slots` are vectors of the parameters' layout that the rule
keeps.
weight_decay, clip_norm and clip_value mean the same everywhere; `SGD` says what. Optimizers that work on the loss over
all the data are in `solvers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._config import Configured
from ._data import fraction, non_negative, positive
from .schedules import Schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Optimizer(Configured, family="optimizer", elsewhere="fastnn.solvers"):
    """Base of the optimizers: rules, which take a step for a batch, and solvers, which see the loss as a function."""

    solver = False


class Rule(Optimizer):
    """Base of those whose step follows from the gradient of a batch.

    update: the engine's op; `settings` are its numbers; has_momentum: whether a schedule may go over one of them, the
    momentum or beta1.
    """

    update = ""
    has_momentum = False
    _reserved = {
        "learning_rate": 0.0, "weight_decay": 0.0, "momentum": 0.0, "beta1": 0.0, "beta2": 0.0, "epsilon": 0.0,
        "step_min": 0.0, "step_max": 0.0, "step": 0, "nesterov": False, "centered": False, "decoupled": False,
    }  # fmt: skip

    @property
    def learning_rate(self) -> Any:
        """A number above 0, or a Schedule; what is set holds from the next step on."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule) -> None:
        schedule = isinstance(value, Schedule)
        if schedule and value.momentum is not None and not self.has_momentum:
            name = type(self).__name__
            raise ValueError(f"learning_rate: {name} has no momentum for this schedule to go over; take momentum away")
        self._learning_rate = value if schedule else positive(value, "learning_rate")

    def _shared(self, learning_rate, weight_decay, clip_norm, clip_value):
        self.learning_rate = learning_rate
        self.weight_decay = non_negative(weight_decay, "weight_decay")
        self.clip_norm = None if clip_norm is None else positive(clip_norm, "clip_norm")
        self.clip_value = None if clip_value is None else positive(clip_value, "clip_value")

    def settings(self) -> dict[str, Any]:
        """The numbers of the rule, by the names of the engine's struct; each step brings its own learning rate."""
        own = {name: value for name, value in self.config().items() if name in self._reserved}
        return {**self._reserved, **own, "learning_rate": 0.0}

    def first_value(self, slot: str, factor: float) -> float:
        """What a slot is filled with before the first step; factor: of the learning rate of a layer."""
        return 0.0

    def rates(self, step: int, epoch: int, epochs: int, steps: int) -> NDArray[np.float64]:
        """The learning rates (epochs, steps), as `Schedule.rates` counts them."""
        rate = self.learning_rate
        if isinstance(rate, Schedule):
            return rate.rates(step, epoch, epochs, steps)
        if epochs * steps <= 1024:  # where the array costs less than the view
            return np.full((epochs, steps), rate)
        return np.broadcast_to(np.float64(rate), (epochs, steps))

    def momenta(self, step: int, epoch: int, epochs: int, steps: int) -> NDArray[np.float64] | None:
        """The momentum of each of these steps where the schedule has one, else None."""
        rate = self.learning_rate
        return rate.momenta(step, epoch, epochs, steps) if isinstance(rate, Schedule) else None


class SGD(Rule):
    """Gradient descent: v = momentum v + g; p -= learning_rate v, or with Nesterov p -= learning_rate (g + momentum v).

    Args:
        learning_rate: above 0, or a Schedule.
        momentum: in [0, 1).
        nesterov: needs a momentum.
        weight_decay: added to the gradient as weight_decay * p.
        clip_norm: gradients are scaled by min(1, clip_norm / (|g| + 1e-6)), |g| the norm of all of them.
        clip_value: every gradient is limited to [-clip_value, clip_value].

    >>> import fastnn as fnn
    >>> fnn.SGD(0.1, momentum=0.9).momentum
    0.9
    """

    name = update = "sgd"
    has_momentum = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self._shared(learning_rate, weight_decay, clip_norm, clip_value)
        self.momentum = fraction(momentum, "momentum")
        self.nesterov = bool(nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs a momentum above 0")


class RMSprop(Rule):
    """s = alpha s + (1 - alpha) g^2; p -= learning_rate g / (sqrt(s) + epsilon) (Tieleman and Hinton 2012).

    With momentum the quotient feeds a velocity; centered subtracts the squared mean gradient from s (Graves 2013).

    Args:
        learning_rate: above 0, or a Schedule.
        alpha: in [0, 1), how much of s stays.
        epsilon: not below 0.
        momentum: in [0, 1).
        centered: whether s is the variance of the gradient in place of its mean square.
        weight_decay, clip_norm, clip_value: as for SGD.

    >>> import fastnn as fnn
    >>> fnn.RMSprop(momentum=0.9).alpha
    0.99
    """

    name = update = "rmsprop"
    has_momentum = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        alpha: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self._shared(learning_rate, weight_decay, clip_norm, clip_value)
        self.alpha = fraction(alpha, "alpha")
        self.epsilon = non_negative(epsilon, "epsilon")
        self.momentum = fraction(momentum, "momentum")
        self.centered = bool(centered)

    def settings(self):
        return {**super().settings(), "beta2": self.alpha}


class Adagrad(Rule):
    """s += g^2; p -= learning_rate g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer 2011).

    Args:
        learning_rate: above 0, or a Schedule.
        initial_accumulator: what s starts from, not below 0.
        epsilon: not below 0.
        weight_decay, clip_norm, clip_value: as for SGD.

    >>> import fastnn as fnn
    >>> fnn.Adagrad(initial_accumulator=0.1).learning_rate
    0.01
    """

    name = update = "adagrad"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        initial_accumulator: float = 0.0,
        epsilon: float = 1e-10,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self._shared(learning_rate, weight_decay, clip_norm, clip_value)
        self.initial_accumulator = non_negative(initial_accumulator, "initial_accumulator")
        self.epsilon = non_negative(epsilon, "epsilon")

    def first_value(self, slot, factor):
        return self.initial_accumulator


class Adam(Rule):
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    p -= learning_rate m' / (sqrt(v') + epsilon), m' and v' being corrected for their start at 0 (Kingma and Ba 2015).

    Args:
        learning_rate: above 0, or a Schedule.
        beta1, beta2: in [0, 1), how much of m and of v stays.
        epsilon: not below 0.
        weight_decay, clip_norm, clip_value: as for SGD.

    >>> import fastnn as fnn
    >>> fnn.Adam().learning_rate
    0.001
    """

    name = update = "adam"
    has_momentum = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self._shared(learning_rate, weight_decay, clip_norm, clip_value)
        self.beta1, self.beta2 = fraction(beta1, "beta1"), fraction(beta2, "beta2")
        self.epsilon = non_negative(epsilon, "epsilon")


class AdamW(Adam):
    """Adam with decoupled weight decay: p -= learning_rate weight_decay p before the step (Loshchilov and Hutter 2019).

    Args:
        weight_decay: not below 0; independent of the gradient's size.
        learning_rate, beta1, beta2, epsilon, clip_norm, clip_value: as for Adam.

    >>> import fastnn as fnn
    >>> fnn.AdamW().weight_decay
    0.01
    """

    name = "adamw"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon, weight_decay=weight_decay,
                         clip_norm=clip_norm, clip_value=clip_value)  # fmt: skip

    def settings(self):
        return {**super().settings(), "decoupled": True}


class Rprop(Rule):
    """Each parameter has a step of its own, which grows while its gradient keeps its sign (Riedmiller and Braun 1993).

    Meant for full batches; the sign of the gradient alone is used.

    Args:
        learning_rate: the first step of every parameter.
        eta_minus, eta_plus: factors of the step after a change of sign and after none; eta_minus < 1 < eta_plus.
        step_min, step_max: bounds of the steps.
        clip_norm, clip_value: as for SGD.

    >>> import fastnn as fnn
    >>> fnn.Rprop(0.1).step_max
    50.0
    """

    name = update = "rprop"

    def __init__(
        self,
        learning_rate: float = 0.01,
        *,
        eta_minus: float = 0.5,
        eta_plus: float = 1.2,
        step_min: float = 1e-6,
        step_max: float = 50.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self._shared(learning_rate, 0.0, clip_norm, clip_value)
        del self.weight_decay
        if isinstance(self.learning_rate, Schedule):
            raise TypeError("learning_rate: Rprop takes its first step from it alone; give a number, not a Schedule")
        self.eta_minus, self.eta_plus = positive(eta_minus, "eta_minus"), positive(eta_plus, "eta_plus")
        if not self.eta_minus < 1 < self.eta_plus:
            raise ValueError(f"expected eta_minus < 1 < eta_plus, got {eta_minus} and {eta_plus}")
        self.step_min, self.step_max = positive(step_min, "step_min"), positive(step_max, "step_max")
        if self.step_min > self.step_max:
            raise ValueError(f"expected step_min <= step_max, got {step_min} and {step_max}")

    def settings(self):
        return {**super().settings(), "beta1": self.eta_minus, "beta2": self.eta_plus}

    def first_value(self, slot, factor):
        return self.learning_rate * factor if slot == "size" else 0.0
