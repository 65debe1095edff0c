"""Solvers: optimizers that see the loss over all the data as a function of the parameters.

A solver has `epoch(problem)`, which takes one step, or one sweep, and returns (loss, whether it is done). The Problem
gives it the parameters as one vector and evaluates the loss, its gradient, or the normal equations of a least squares
fit. Vectors are float64 NumPy arrays whatever the network's dtype: their arithmetic is nothing beside an evaluation.
What a solver keeps from epoch to epoch is in `problem.memory`, which lasts for one fit, since the next one may bring
other data.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._core.kernels import engine_of
from ._data import fraction, non_negative, positive, positive_int
from .optimizers import Optimizer

if TYPE_CHECKING:
    from ._problem import Problem

__all__ = ["CoordinateSearch", "LBFGS", "LevenbergMarquardt"]

SMALL = 48  # unknowns: up to here the engine's few loops take less time than the way to LAPACK and back
EPSILON, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)


class Solver(Optimizer):
    """Base of the solvers.

    smooth: whether it needs a loss that is the same function at every call, and parameters that nothing else moves.
    """

    solver = True
    smooth = False

    def check(self, losses: list[Any], params: list[Any]) -> None:
        """Raises ValueError where this solver cannot work on these losses and parameters."""

    def epoch(self, problem: Problem) -> tuple[float, bool]:
        """One step; returns the loss after it and whether there is nothing more to gain."""
        raise TypeError(f"{type(self).__name__} does not define epoch(problem)")


class CoordinateSearch(Solver):
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

    def __init__(self, step: float = 0.01) -> None:
        self.step = positive(step, "step")

    def epoch(self, problem):
        """One sweep over the weights; returns the loss and whether nothing was better."""
        weights, best = problem.params, problem.loss()
        moved = False
        for i in problem.free:
            start = weights[i]
            for candidate in (start + self.step, start - self.step):
                weights[i] = candidate
                loss = problem.loss()
                if loss < best:
                    best, moved = loss, True
                    problem.keep()
                    break
                weights[i] = start
        return best, not moved


class LBFGS(Solver):
    """Limited-memory BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright 2006, 7.4, 3.5, 3.6).

    The quasi-Newton method for full batches: the direction is -H g, H being the inverse Hessian as the last `history`
    steps show it. One epoch is one step, of one gradient over all the data and seldom more; `epochs` is the most steps.
    Training has converged where no element of the gradient exceeds `tolerance_grad`, or where a step lowered the loss
    by no more than tolerance_change * max(|loss|, |loss before|, 1), SciPy's rules. Each fit begins with the steepest
    descent, whose first trial is a step of length 1, as in L-BFGS-B (Zhu et al. 1997): it decides which minimum is
    found, and shorter ones, as 1 over the sum of |gradient|, led to higher minima.

    Args:
        history: steps that are remembered, PyTorch's and SciPy's m; 10 in most codes.
        tolerance_grad, tolerance_change: not below 0.
        max_evaluations: the most evaluations of one line search.
        c1, c2: of the Wolfe conditions, 0 < c1 < c2 < 1: f(a) <= f(0) + c1 a f'(0) and |f'(a)| <= c2 |f'(0)|.

    Dropout is refused, since its loss is another function at each call; so is max_norm, which moves the weights.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(4, "tanh"), fnn.Dense(1)], optimizer=fnn.LBFGS(), dtype="float64", seed=1)
    >>> x = np.linspace(-2, 2, 40)
    >>> history = net.fit(x, np.sin(x), epochs=200, batch_size=40)
    >>> history["loss"][-1] < 1e-3
    True
    """

    name = "lbfgs"
    smooth = True

    def __init__(
        self,
        *,
        history: int = 10,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        max_evaluations: int = 25,
        c1: float = 1e-4,
        c2: float = 0.9,
    ) -> None:
        self.history = positive_int(history, "history")
        self.max_evaluations = positive_int(max_evaluations, "max_evaluations")
        self.tolerance_grad = non_negative(tolerance_grad, "tolerance_grad")
        self.tolerance_change = non_negative(tolerance_change, "tolerance_change")
        self.c1, self.c2 = fraction(c1, "c1"), fraction(c2, "c2")
        if not 0 < self.c1 < self.c2:
            raise ValueError(f"expected 0 < c1 < c2 < 1, got {c1} and {c2}")

    def epoch(self, problem):
        """One step along the quasi-Newton direction."""
        memory = problem.memory
        if not memory:
            loss, gradient = problem.gradient()
            memory.update(pairs=_Pairs(self.history, len(gradient)), loss=loss, gradient=gradient)
        x, loss, gradient, pairs = problem.get(), memory["loss"], memory["gradient"], memory["pairs"]
        if not np.abs(gradient).max(initial=0.0) > self.tolerance_grad:
            return loss, True
        direction = -pairs.times(gradient)
        if not direction @ gradient < 0:  # curvature lost to rounding
            pairs.forget()
            direction = -gradient
        first = 1.0 if pairs.count else 1.0 / np.linalg.norm(gradient)

        def along(step):
            problem.set(x + step * direction)
            found, slope = problem.gradient()
            return found, slope @ direction, slope

        step, new_loss, new_gradient = _wolfe(
            along, loss, gradient @ direction, first, self.c1, self.c2, self.max_evaluations
        )
        if not step:
            problem.set(x)
            retry = pairs.count > 0  # once more, downhill; if that leads nowhere either, this is the bottom
            pairs.forget()
            return loss, not retry
        problem.set(x + step * direction)
        pairs.add(problem.get() - x, new_gradient - gradient)
        memory.update(loss=new_loss, gradient=new_gradient)
        small = self.tolerance_change * max(abs(loss), abs(new_loss), 1.0)
        done = loss - new_loss <= small or np.abs(new_gradient).max() <= self.tolerance_grad
        return new_loss, bool(done)


class _Pairs:
    """The last steps s and the changes y of the gradient along them, in a ring; `times` multiplies by their matrix."""

    def __init__(self, history, size):
        self.s, self.y = np.empty((history, size)), np.empty((history, size))
        self.inverse = np.empty(history)  # 1 / (s y)
        self.forget()

    def forget(self):
        self.count, self.newest = 0, -1

    def add(self, s, y):
        """Takes a pair in, unless its curvature is not positive."""
        product = s @ y
        if not product > EPSILON * (y @ y):
            return
        self.newest = (self.newest + 1) % len(self.s)
        self.count = min(self.count + 1, len(self.s))
        self.s[self.newest], self.y[self.newest], self.inverse[self.newest] = s, y, 1.0 / product

    def times(self, gradient):
        """H gradient; the gradient itself where there is no pair."""
        result = gradient.copy()
        if self.count:
            engine_of("float64").two_loops(self.s, self.y, self.inverse, self.newest, self.count, result)
        return result


def _wolfe(along, f0, slope0, step, c1, c2, most):
    """A step with the strong Wolfe conditions, algorithms 3.5 and 3.6: (step, f, gradient); step 0 if none is found.

    along(step) returns f, its slope along the direction, and the gradient. Where evaluations run out, the lowest point
    with sufficient decrease is taken.
    """
    low = (0.0, f0, slope0, None)  # the best point so far with sufficient decrease
    high = None  # the other end of an interval that holds a good point
    for _ in range(most):
        f, slope, gradient = along(step)
        here = (step, f, slope, gradient)
        enough = f <= f0 + c1 * step * slope0 and f < low[1]
        if not enough or not math.isfinite(slope):  # NaN is too high as well
            high = here
        elif abs(slope) <= -c2 * slope0:
            return step, f, gradient
        else:
            if slope * ((step if high is None else high[0]) - low[0]) >= 0:
                high = low
            low = here
        if high is None:
            step *= 2.0 if step < 1 else 4.0
        else:
            step = _interpolate(low, high)
            if step in (low[0], high[0]):  # the interval is as small as numbers are
                break
    return low[0], low[1], low[3]


def _interpolate(a, b):
    """The minimum of the cubic through two points with slopes, kept a tenth of the interval away from its ends."""
    (a, fa, da, _), (b, fb, db, _) = a, b
    width = b - a
    best = a + width / 2
    if math.isfinite(fb) and math.isfinite(db):
        d1 = da + db - 3 * (fa - fb) / (a - b)
        square = d1 * d1 - da * db
        if square >= 0:
            d2 = math.copysign(math.sqrt(square), width)
            bottom = db - da + 2 * d2
            if bottom:
                best = b - width * (db + d2 - d1) / bottom
    edge = 0.1 * abs(width)
    return min(max(best, min(a, b) + edge), max(a, b) - edge)


class LevenbergMarquardt(Solver):
    r"""The method for least squares: (J^T J + mu D) step = -J^T r, r the residuals and J their Jacobian.

    For networks of up to a few thousand parameters with the loss "mse" and one output; L2 penalties are part of the
    sum of squares. D holds the largest diagonal of J^T J so far (Marquardt 1963, More 1978), so that the scale of a
    parameter does not matter; mu follows the gain, actual over predicted decrease, much as Nielsen 1999 has it:
    mu max(min(1/3, |1 - gain|), 1 - (2 gain - 1)^3) after a step that lowers the loss, else mu 2, 4, 8, ... times.
    One epoch is one step that lowers the loss; `epochs` is the most steps.

    Training has converged where the cosine between r and every column of J is at most `tolerance_grad` (MINPACK's
    gtol), a step is shorter than tolerance_step * (tolerance_step + |parameters|), or a step lowered the loss by less
    than tolerance_change of it while the model held (SciPy's ftol). A last step is taken on the model's word where the
    losses can no longer be told apart: the gradient is known to more digits than the loss.

    A step costs n k passes of one sample forward and backward, for n samples of k outputs; n k P^2 multiply-adds for
    J^T J, with P parameters; and P^3 / 3 for the solution, at each mu that is tried. J itself is never whole in memory.

    Args:
        damping: the first mu, above 0; larger is more careful, where full steps would lead far off.
        tolerance_grad, tolerance_step, tolerance_change: not below 0.

    Raises (in fit):
        ValueError: the loss is not "mse", there are several outputs, an l1 penalty, a max_norm, or Dropout.

    >>> import fastnn as fnn
    >>> layers, solver = [fnn.Dense(4, "tanh"), fnn.Dense(1)], fnn.LevenbergMarquardt()
    >>> net = fnn.Network(layers, optimizer=solver, dtype="float64", seed=1)
    >>> x = np.linspace(-2, 2, 40)
    >>> history = net.fit(x, np.sin(x), epochs=50)
    >>> history["loss"][-1] < 1e-6
    True
    """

    name = "levenberg_marquardt"
    smooth = True
    BLUR = EPSILON**0.75  # share of a loss that rounding hides: residuals are small beside outputs
    MOST_REJECTED = 30  # mu has then grown by 2^465: no number is left between here and the next point

    def __init__(
        self,
        *,
        damping: float = 1e-3,
        tolerance_grad: float = 1e-8,
        tolerance_step: float = 1e-8,
        tolerance_change: float = 1e-8,
    ) -> None:
        self.damping = positive(damping, "damping")
        self.tolerance_grad = non_negative(tolerance_grad, "tolerance_grad")
        self.tolerance_step = non_negative(tolerance_step, "tolerance_step")
        self.tolerance_change = non_negative(tolerance_change, "tolerance_change")

    def check(self, losses, params):
        if len(losses) != 1 or losses[0].name != "mse":
            found = ", ".join(repr(loss.name) for loss in losses)
            raise ValueError(
                f"LevenbergMarquardt fits least squares: it takes one output with the loss 'mse', not {found}"
            )
        for param in params:
            if param.l1:
                raise ValueError(f"LevenbergMarquardt fits least squares: the l1 penalty of {param.name} is no square")

    def epoch(self, problem):
        """One step that lowers the sum of squares, at whatever mu that takes."""
        memory = problem.memory
        if not memory:
            memory.update(mu=self.damping, scale=0.0)
        x = problem.get()
        loss, matrix, gradient = problem.normal_equations()
        lengths = matrix.diagonal()
        # All cosines are small; squared, and without their quotient, since a column may be empty and the loss 0.
        if (gradient * gradient <= self.tolerance_grad**2 * loss * lengths).all():
            return loss, True
        memory["scale"] = np.maximum(memory["scale"], lengths)
        found = self._descend(problem, memory, x, loss, matrix, gradient)
        if found is None:
            problem.set(x)
            return loss, True
        return found

    def _descend(self, problem, memory, x, loss, matrix, gradient):
        """Tries growing mu until the loss falls; (loss, converged), or None where nothing lowers it."""
        # A parameter that nothing depends on has an empty column; a little of the largest scale keeps it where it is.
        scale = np.maximum(memory["scale"], EPSILON * memory["scale"].max())
        short = self.tolerance_step * (self.tolerance_step + math.sqrt(x @ x))
        mu, growth, descent = memory["mu"], 2.0, -gradient
        for _ in range(self.MOST_REJECTED):
            damping = mu * scale
            step = _solution(matrix, damping, descent)
            if step is not None:
                problem.set(x + step)
                new_loss = problem.loss()
                predicted = float(step @ (damping * step + descent))
                gain = (loss - new_loss) / predicted if predicted > 0 else 0.0
                tiny = math.sqrt(step @ step) <= short
                if gain > 0 and math.isfinite(new_loss):
                    memory["mu"] = max(mu * _eased(gain), TINY)
                    held = loss - new_loss <= self.tolerance_change * loss and gain > 0.25
                    return new_loss, bool(tiny or held)
                blur = self.BLUR * loss
                if predicted <= blur and new_loss - loss <= blur:  # higher by nothing but rounding
                    return new_loss, True
                if tiny:
                    return None
            mu *= growth
            growth *= 2.0
        return None


def _eased(gain):
    """The factor of mu after a step with this gain.

    Nielsen's is no less than 1/3. One that goes to 0 where the model was exact leaves no damping in the last steps,
    which then come as close as those of Gauss and Newton do: MGH17 takes 13 of them from its second start, not 23.
    """
    return max(min(1 / 3, abs(1 - gain)), 1 - (2 * gain - 1) ** 3)


def _solution(matrix, damping, vector):
    """The x of (matrix + diag(damping)) x = vector, or None where that is singular."""
    if len(vector) <= SMALL:
        found = engine_of("float64").solve_damped(matrix, damping, vector)
    else:
        damped = matrix.copy()
        damped.flat[:: len(vector) + 1] += damping
        try:
            found = np.linalg.solve(damped, vector)
        except np.linalg.LinAlgError:
            return None
    return found if found is not None and math.isfinite(found @ found) else None
