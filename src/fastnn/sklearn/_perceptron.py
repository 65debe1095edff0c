"""A multilayer perceptron in the engine, with the loss, the penalty and the steps as scikit-learn defines them.

scikit-learn divides the L2 penalty of a batch by the samples of that batch, so the smaller last batch of an epoch has a
program of its own over the same parameters. It shuffles with NumPy's random numbers: an epoch's order comes from
outside; within it, steps run without the interpreter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import optimize, special

from .._compile import Head, compile_program
from .._graph import Value
from .._predict import CHUNK
from .._programs import KEPT
from .._rule import Rule
from .._threads import thread_count
from .._vectors import aligned_vector
from ..layers import Dense
from ..network import Network
from ..optimizers import SGD, Adam

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FAR = 2**62  # a step at which beta^t is 0 for every beta below 1
ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


class Objective(NamedTuple):
    """What a network of one kind of output is trained on.

    scale: by outputs, what fastnn's mean over a sample's outputs is multiplied with, so that its gradient with respect
    to the values before the last activation is p - y, as in scikit-learn.
    """

    activation: str
    loss: str
    scale: Callable[[int], float]


# By scikit-learn's name of the last activation. With exp, the loss takes logarithms of rates.
OBJECTIVES = {
    "softmax": Objective("softmax", "cross_entropy", lambda outputs: 1.0),
    "logistic": Objective("sigmoid", "binary_cross_entropy", float),
    "identity": Objective("linear", "mse", lambda outputs: outputs / 2),
    "exp": Objective("linear", "poisson", float),
}


class Samples(NamedTuple):
    """Checked arrays: X (n, features), y (n, outputs) or int32 (n,), weight (n,) or None."""

    X: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[Any] | None

    def part(self, rows: Any) -> Samples:
        """The samples of these rows."""
        return Samples(*(None if array is None else array[rows] for array in self))

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return float(len(self.X) if self.weight is None else self.weight.sum(dtype=np.float64))


def threads() -> int:
    """The threads of this process, and no more than OMP_NUM_THREADS, by which joblib shares the CPUs among workers."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    most = thread_count(None)
    return min(most, max(1, int(limit))) if limit.isdecimal() else most


class Stepper:
    """An optimizer on its way: its rule, the present learning rate, the steps so far and its slots.

    The engine's Adam is Kingma and Ba's Algorithm 1, scikit-learn's the form at the end of their section 2: there the
    corrections for the start are in the learning rate and do not touch epsilon. It is the same rule at a step so far
    out that the engine's own corrections are 1, with learning rates that have them.
    """

    def __init__(self, rule: SGD | Adam) -> None:
        self.rule = rule
        self.learning_rate = rule.learning_rate
        self.steps = 0
        self.first = FAR if isinstance(rule, Adam) else 0  # what the engine counts the steps from
        self.slots: dict[str, NDArray[Any]] = {}

    @property
    def epochs_ahead(self) -> int:
        """For how many epochs the rates are known: those of SGD are changed from outside."""
        return 50 if self.first else 1

    def rates(self, count: int) -> NDArray[Any]:
        """The learning rates of the next `count` steps."""
        if not self.first:
            return np.full(count, self.learning_rate)
        t = np.arange(self.steps + 1.0, self.steps + count + 1)
        return self.learning_rate * np.sqrt(1 - self.rule.beta2**t) / (1 - self.rule.beta1**t)

    @classmethod
    def adam(cls, learning_rate: float, beta1: float, beta2: float, epsilon: float) -> Stepper:
        """Adam with scikit-learn's arguments."""
        return cls(Adam(learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon))

    @classmethod
    def sgd(cls, learning_rate: float, momentum: float, nesterov: bool) -> Stepper:
        """Gradient descent; unlike `SGD` it takes a momentum of 1, as scikit-learn does."""
        rule = SGD(learning_rate)
        rule.momentum, rule.nesterov = float(momentum), bool(nesterov and momentum)
        return cls(rule)

    def change_rate(self, rate: float) -> None:
        """Goes on with another learning rate.

        The velocity v of scikit-learn has the learning rate in it, that of `SGD` has not: v = -learning_rate velocity.
        """
        for name, slot in self.slots.items():
            if name == "velocity":
                slot *= self.learning_rate / rate
        self.learning_rate = rate

    def attach(self, memory: Any) -> None:
        """Makes the slots those of a network's memory, with the values that they have here, or zeros."""
        for name in memory.engine.OPTIMIZERS[self.rule.update][1]:
            if self.slots.get(name) is not memory.slots.get(name, self):
                vector = memory.slots.setdefault(name, aligned_vector(memory.params.size, memory.dtype))
                vector[:] = self.slots.get(name, 0)
                self.slots[name] = vector


class Perceptron:
    """Dense layers with parameters like `coefs` (in, out) and `intercepts` (out,), which are copied.

    coefs, intercepts: views of the engine's own memory; writing to them changes the network.
    """

    def __init__(self, coefs: Sequence[Any], intercepts: Sequence[Any], activation: str, out_activation: str) -> None:
        self.kind = activation, out_activation
        self.objective = OBJECTIVES[out_activation]
        widths = [weight.shape[1] for weight in coefs]
        activations = [ACTIVATIONS[activation]] * (len(widths) - 1) + [self.objective.activation]
        self.network = Network(
            [Dense(units, name, weight_init="zeros") for units, name in zip(widths, activations, strict=True)],
            loss=self.objective.loss, input_shape=coefs[0].shape[0], dtype=coefs[0].dtype.name, seed=0,
        )  # fmt: skip
        self.outputs = widths[-1]
        self.memory = self.network._built().memory
        named = self.memory.named()
        self.coefs = [named[f"layers.{i}.weight"] for i in range(len(widths))]
        self.intercepts = [named[f"layers.{i}.bias"] for i in range(len(widths))]
        self._compiled: dict[tuple[Any, ...], Any] = {}
        for view, array in zip([*self.coefs, *self.intercepts], [*coefs, *intercepts], strict=True):
            view[...] = array

    @property
    def params(self) -> NDArray[Any]:
        """All parameters as one flat vector."""
        return self.memory.params

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """The outputs (n, outputs) after the last activation."""
        outputs = self.network.predict(X, threads=threads())
        return np.exp(outputs, out=outputs) if self.kind[1] == "exp" else outputs

    def compile(self, mode: str, rows: int, samples: Samples, penalty: float, rule: Any = None) -> Any:
        """A program for batches of `rows` such samples with the penalty `penalty` sum(W^2)."""
        weighted, ids = samples.weight is not None, samples.y.dtype == np.int32
        settings = () if rule is None else tuple(rule.config().items())
        key = mode, rows, weighted, penalty, settings
        compiled = self._compiled.get(key)
        if compiled is None:
            graph = self.network._built().graph
            for name, param in graph.params.items():
                param.l2 = penalty if name.endswith(".weight") else 0.0
            (loss,), (output,) = self.network.losses, graph.outputs
            target = Value((1,), "ids") if ids else Value((self.outputs,))
            head = Head(loss, output, target, share=self.objective.scale(self.outputs))
            compiled = compile_program(
                graph, self.memory, mode, rows, heads=[head], weighted=weighted,
                rule=None if rule is None else Rule(self.memory, rule, keeps_gradients=False),
            )  # fmt: skip
            compiled.program.check_finite = False  # a descent that diverges goes on to its end and is refused there
            while len(self._compiled) >= KEPT:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = compiled
        compiled.program.set_threads(threads())
        return compiled

    def feed(self, compiled: Any, samples: Samples) -> None:
        """Makes these the samples of a program."""
        y = samples.y[:, None] if samples.y.ndim == 1 else samples.y
        compiled.feed([samples.X], [y], [] if samples.weight is None else [samples.weight[:, None]])

    def reported(self, loss: float, samples: Samples, penalty: float) -> float:
        """The loss as scikit-learn says it, from that of the engine, which has `penalty` sum(W^2) in it.

        That is with the squared error the mean over outputs, though its gradient is that of their sum; and with the
        Poisson loss the deviance, which has terms of y alone.
        """
        out = self.kind[1]
        if out == "identity" and self.outputs > 1:
            share = penalty * sum(float(np.vdot(weight, weight)) for weight in self.coefs)
            return (loss - share) / self.outputs + share
        if out == "exp":
            loss += float(np.average((special.xlogy(samples.y, samples.y) - samples.y).sum(1), weights=samples.weight))
        return loss

    def minimize(
        self, samples: Samples, alpha: float, tol: float, max_iter: int, max_fun: int, watch: Callable[[float], None]
    ) -> tuple[Any, float]:
        """Goes to a minimum of the loss over all samples by L-BFGS-B; returns scipy's result and the loss.

        watch: called with the loss after each iteration.
        """
        penalty = alpha / (2 * samples.total)
        compiled = self.compile("gradient", len(samples.X), samples, penalty)
        self.feed(compiled, samples)
        compiled.program.set_rows(len(samples.X), False)
        program, params, grads = compiled.program, self.memory.params, self.memory.grads

        def value_and_gradient(x):
            params[:] = x
            program.reset()
            program.gradients(0)
            return program.loss_sum / program.weight_sum, grads.astype(np.float64)

        def iterated(intermediate_result):
            watch(self.reported(float(intermediate_result.fun), samples, penalty))

        try:
            result = optimize.minimize(
                value_and_gradient, params.astype(np.float64), jac=True, method="L-BFGS-B", callback=iterated,
                options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
            )  # fmt: skip
        finally:
            compiled.release()
        params[:] = result.x
        return result, self.reported(float(result.fun), samples, penalty)


class Descent:
    """Epochs of gradient steps on the same samples, in batches of `batch`.

    order: the rows of the samples in the order of the next epoch, to be changed in place.

    The penalty of a batch is alpha / 2 sum(W^2) over its samples, or over what their weights would sum up to if all had
    the mean weight.
    """

    def __init__(self, perceptron: Perceptron, stepper: Stepper, samples: Samples, batch: int, alpha: float) -> None:
        self.perceptron, self.stepper, self.samples = perceptron, stepper, samples
        n = len(samples.X)
        stepper.attach(perceptron.memory)
        self.order = np.arange(n)
        whole = n - n % batch
        orders = [order for order in (self.order[:whole], self.order[whole:]) if order.size]
        mean = samples.total / n
        sizes = [min(batch, order.size) for order in orders]
        self.parts = [
            perceptron.compile("train", size, samples, alpha / (2 * size * mean), stepper.rule) for size in sizes
        ]
        for compiled, order in zip(self.parts, orders, strict=True):
            perceptron.feed(compiled, samples)
            compiled.program.set_order(order)
        self.batches = -(-n // batch)
        self.penalty = alpha * self.batches / (2 * samples.total)  # the mean over the epoch
        self.rates = np.empty((0, self.batches))  # of the next epochs

    def epoch(self) -> float:
        """One pass over the samples; returns their mean loss, each batch's taken before its step."""
        if not len(self.rates):
            epochs = self.stepper.epochs_ahead
            self.rates = self.stepper.rates(epochs * self.batches).reshape(epochs, -1)
        loss, weight, first = 0.0, 0.0, 0
        for compiled in self.parts:
            program, end = compiled.program, first + compiled.program.batches
            program.schedule(0, self.rates[:, first:end])
            self._run(program)
            loss, weight, first = loss + program.loss_sum, weight + program.weight_sum, end
        self.rates = self.rates[1:]
        return self.perceptron.reported(loss / weight, self.samples, self.penalty)

    def _run(self, program):
        stepper, epoch, batch = self.stepper, 0, 0
        while epoch < 1:
            number = stepper.first + stepper.steps
            try:
                program.train(epoch, batch, 1, number, CHUNK)
            finally:  # Ctrl-C strikes on the way back from the engine: the steps are done all the same
                epoch, batch, stepper.steps = program.epoch, program.batch, program.steps - stepper.first

    def end(self) -> None:
        """Lets go of the samples."""
        for compiled in self.parts:
            compiled.release()
