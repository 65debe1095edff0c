"""Optimizers: how a gradient, or the loss alone, moves the parameters. Configuration; the rules are kernels.

Definitions and defaults are PyTorch's where both exist. `slots` are vectors of the parameters' layout that the rule
keeps.
weight_decay, clip_norm and clip_value mean the same everywhere; `SGD` says what.
"""

from ._config import Configured
from ._data import fraction, non_negative, positive


class Optimizer(Configured, family="optimizer"):
    """Base of the optimizers.

    update: the engine's op; settings: its numbers. An optimizer whose `solver` is true sees whole epochs through
    `epoch`.
    """

    update = ""
    solver = False
    _reserved = {
        "learning_rate": 0.0, "weight_decay": 0.0, "momentum": 0.0, "beta1": 0.0, "beta2": 0.0, "epsilon": 0.0,
        "step_min": 0.0, "step_max": 0.0, "step": 0, "nesterov": False, "centered": False, "decoupled": False,
    }  # fmt: skip

    def _shared(self, learning_rate, weight_decay, clip_norm, clip_value):
        self.learning_rate = positive(learning_rate, "learning_rate")
        self.weight_decay = non_negative(weight_decay, "weight_decay")
        self.clip_norm = None if clip_norm is None else positive(clip_norm, "clip_norm")
        self.clip_value = None if clip_value is None else positive(clip_value, "clip_value")

    def settings(self) -> dict:
        """The numbers of the rule, by the names of the engine's struct."""
        own = {name: value for name, value in self.config().items() if name in self._reserved}
        return {**self._reserved, **own}

    def first_value(self, slot) -> float:
        """What a slot is filled with before the first step."""
        return 0.0


class SGD(Optimizer):
    """Gradient descent: v = momentum v + g; p -= learning_rate v, or with Nesterov p -= learning_rate (g + momentum v).

    Args:
        learning_rate: above 0.
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

    def __init__(
        self,
        learning_rate: float = 0.01,
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


class RMSprop(Optimizer):
    """s = alpha s + (1 - alpha) g^2; p -= learning_rate g / (sqrt(s) + epsilon) (Tieleman and Hinton 2012).

    With momentum the quotient feeds a velocity; centered subtracts the squared mean gradient from s (Graves 2013).

    Args:
        learning_rate: above 0.
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

    def __init__(
        self,
        learning_rate: float = 0.01,
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


class Adagrad(Optimizer):
    """s += g^2; p -= learning_rate g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer 2011).

    Args:
        learning_rate: above 0.
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
        learning_rate: float = 0.01,
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

    def first_value(self, slot):
        return self.initial_accumulator


class Adam(Optimizer):
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    p -= learning_rate m' / (sqrt(v') + epsilon), m' and v' being corrected for their start at 0 (Kingma and Ba 2015).

    Args:
        learning_rate: above 0.
        beta1, beta2: in [0, 1), how much of m and of v stays.
        epsilon: not below 0.
        weight_decay, clip_norm, clip_value: as for SGD.

    >>> import fastnn as fnn
    >>> fnn.Adam().learning_rate
    0.001
    """

    name = update = "adam"

    def __init__(
        self,
        learning_rate: float = 0.001,
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
        learning_rate: float = 0.001,
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


class Rprop(Optimizer):
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
        self.eta_minus, self.eta_plus = positive(eta_minus, "eta_minus"), positive(eta_plus, "eta_plus")
        if not self.eta_minus < 1 < self.eta_plus:
            raise ValueError(f"expected eta_minus < 1 < eta_plus, got {eta_minus} and {eta_plus}")
        self.step_min, self.step_max = positive(step_min, "step_min"), positive(step_max, "step_max")
        if self.step_min > self.step_max:
            raise ValueError(f"expected step_min <= step_max, got {step_min} and {step_max}")

    def settings(self):
        return {**super().settings(), "beta1": self.eta_minus, "beta2": self.eta_plus}

    def first_value(self, slot):
        return self.learning_rate if slot == "size" else 0.0


class CoordinateSearch(Optimizer):
    """The plain derivative-free search: moves each weight by +step and by -step and keeps what lowers the loss.

    One epoch tries every weight once, in order, on the loss over all the data. Training stops when an epoch finds
    nothing better. Costs two passes over the data for each weight, so it is for the smallest of networks; it is how one
    would begin without knowing derivatives.

    Args:
        step: how far a weight is moved, above 0.

    >>> import fastnn as fnn
    >>> fnn.CoordinateSearch(0.01).step
    0.01
    """

    name = "coordinate_search"
    solver = True

    def __init__(self, step: float = 0.01) -> None:
        self.step = positive(step, "step")

    def epoch(self, problem) -> tuple[float, bool]:
        """One sweep over the weights; returns the loss and whether nothing was better."""
        weights, best = problem.params, problem.loss()
        moved = False
        for i in range(weights.size):
            start = weights[i]
            for candidate in (start + self.step, start - self.step):
                weights[i] = candidate
                try:
                    loss = problem.loss()
                except BaseException:  # Ctrl-C: a weight that is only tried is not kept
                    weights[i] = start
                    raise
                if loss < best:
                    best, moved = loss, True
                    break
                weights[i] = start
        return best, not moved
