"""What a solver sees of a network: the parameters as one vector, and the loss over all samples as a function of them.

Programs for the loss, its gradient and the residuals are borrowed when they are first asked for and given back by
`close`. Every sum over samples is made in the same order each time, so that equal parameters have equal losses.
"""

import numpy as np

from ._predict import CHUNK, mean_loss
from .losses import MSE

BLOCK = 1 << 18  # elements of the Jacobian that are held at once


def check_solver(optimizer, losses, state):
    """Raises ValueError where the network has what this solver would have to ignore."""
    name, graph = type(optimizer).__name__, state.graph
    params = list(zip(graph.params.values(), state.factors(), strict=True))
    for param, factor in params:
        if param.max_norm is not None:
            raise ValueError(f"{name} moves the weights by itself alone: take max_norm away from {param.name}")
        if factor not in (0.0, 1.0):
            raise ValueError(f"{name} has no learning rate: set the learning_rate_factor of {param.name}'s layer to 1")
    if optimizer.smooth:
        ops = state.memory.engine.OPS
        for op in graph.ops:
            if ops[op.kind].identity_in_predict:
                raise ValueError(f"{name} needs a loss that is the same at every call: take out {op.where}")
            if ops[op.kind].moves_state and op.is_trained:
                raise ValueError(
                    f"{name} needs a loss that is the same at every call: take out {op.where}, or freeze it"
                )
    optimizer.check(losses, [param for param, factor in params if factor])


class Problem:
    """The loss of a network on these samples.

    params: the network's own flat vector; free: the indices of its elements that are not frozen; memory: what the
    solver keeps from one epoch to the next.
    """

    def __init__(self, losses, state, samples, program, batch, threads):
        self.losses, self.state, self.samples, self.program = losses, state, samples, program
        self.batch, self.threads = batch, threads
        self.params, self.memory = state.memory.params, {}
        self.kept = self.params.copy()
        params, count = state.graph.params.values(), self.params.size
        frozen = [param for param, factor in zip(params, state.factors(), strict=True) if not factor]
        if frozen:
            self.free = self._index = np.flatnonzero(_spread(1.0, [(param, 0.0) for param in frozen], count))
        else:
            self.free, self._index = np.arange(count), slice(None)  # which is quicker than all indices one by one
        penalties = [(param, param.l2) for param in params if param.l2]
        self._l2 = _spread(0.0, penalties, count)[self._index] if penalties else None
        self._taken: dict = {}
        self._rows = None  # room for a block of the Jacobian beside its residuals

    def close(self):
        """Gives back what was borrowed."""
        for taken in self._taken.values():
            self.state.give(taken)
        self._taken.clear()

    def get(self) -> np.ndarray:
        """The free parameters, float64."""
        return self.params[self._index].astype(np.float64)

    def set(self, values):
        """Sets the free parameters."""
        self.params[self._index] = values

    def keep(self):
        """The present parameters are those that stay if the step is not completed."""
        self.kept[:] = self.params

    def loss(self) -> float:
        """Mean loss over all samples at the present parameters, penalties included."""
        return mean_loss(self.program)

    def gradient(self) -> tuple[float, np.ndarray]:
        """The loss and its gradient with respect to the free parameters."""
        batches = -(-self.samples.n // self.batch)
        program = self._take("gradient", self.batch, self.losses, accumulate=batches)
        program.reset()
        done = 0
        while done < batches:
            done = program.gradients(0, done, CHUNK)
        return program.loss_sum / program.weight_sum, self.state.memory.grads[self._index].astype(np.float64)

    def normal_equations(self) -> tuple[float, np.ndarray, np.ndarray]:
        """(loss, J^T J, J^T r), the loss being r^T r; penalties are residuals sqrt(l2) w."""
        memory, n = self.state.memory, self.samples.n
        output = self.samples.graph.outputs[0]
        program = self._take("jacobian", 1, [Residuals()])
        if self._rows is None:
            block = max(1, min(n, BLOCK // (output.size * self.params.size)))
            self._rows, self._residual_scale = np.empty((block * output.size, len(self.free) + 1)), self._scale(output)
        rows, grads, jacobian = self._rows, memory.grads, memory.engine.jacobian
        grads.fill(0.0)  # parameters that the output does not depend on have no gradient of their own
        block, products = len(rows) // output.size, None
        for first in range(0, n, block):
            part = rows[: min(block, n - first) * output.size]
            jacobian(program, grads, self.free, self._residual_scale, first, part)
            found = part.T @ part  # of [J r]: all three at once
            products = found if products is None else products + found
        if self._l2 is not None:
            x = self.get()
            pull = self._l2 * x
            products.flat[:: len(x) + 2] += np.append(self._l2, pull @ x)
            products[:-1, -1] += pull
        return float(products[-1, -1]), products[:-1, :-1], products[:-1, -1].copy()

    def _scale(self, output):
        """What a squared difference of weight 1 counts in the loss: the mean is over weights, and over outputs."""
        weights = self.samples.weights
        total = weights[0].sum(dtype=np.float64) if weights else self.samples.n * (output.size // output.shape[-1])
        return 1.0 / (output.shape[-1] * total)

    def _take(self, mode, batch, losses, accumulate=1):
        """The program of a mode, fed with all samples."""
        if mode not in self._taken:
            s = self.samples
            taken = self.state.take(
                mode, batch, graph=s.graph, losses=losses, targets=s.kinds, weighted=bool(s.weights),
                accumulate=accumulate, threads=self.threads if mode == "gradient" else 1,
            )  # fmt: skip
            self._taken[mode] = taken
            taken[1].feed(s.inputs, s.targets, s.weights)
            taken[1].program.set_rows(s.n, False)
        return self._taken[mode][1].program


def _spread(rest, values, size):
    """A vector of the parameters' layout with a value for each of some parameters, (param, value), and the rest."""
    vector = np.full(size, rest)
    for param, value in values:
        param.flat(vector)[:] = value
    return vector


class Residuals(MSE):
    """In the place of a loss: the residuals whose squares it is the mean of."""

    name = ""

    def op(self, target_kind):
        return "residual", {}
