"""What MLPClassifier and MLPRegressor have in common: scikit-learn's training of perceptrons on fastnn's engine.

What holds of scikit-learn's holds here: arguments, defaults, attributes, warnings, and the random numbers, so that the
same random_state means the same start, the same split and the same order of samples, and fits differ by rounding
alone. The attributes are the model; what the engine has of it (`_engine`) is made from them when it is missing.
"""

from __future__ import annotations

import copy
import math
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._data import fraction, non_negative, positive, positive_int
from ..errors import unknown_name
from ._perceptron import ACTIVATIONS, Descent, Perceptron, Samples, Stepper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

CHOICES = {
    "activation": tuple(ACTIVATIONS),
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
}
NUMBERS = {
    "alpha": non_negative, "learning_rate_init": positive, "power_t": non_negative, "max_iter": positive_int,
    "tol": non_negative, "validation_fraction": fraction, "beta_1": fraction, "beta_2": fraction, "epsilon": positive,
    "max_fun": positive_int,
}  # fmt: skip
LEAST_RATE = 1e-6  # learning_rate="adaptive" ends below it
RATE_DIVISOR = 5.0


def dense(X: Any) -> NDArray[Any]:
    """X as a C-contiguous array, whether it is sparse or not."""
    return np.ascontiguousarray(X.toarray() if sparse.issparse(X) else X)


class MLP(BaseEstimator):
    """What the classifier and the regressor have in common.

    Subclasses say how targets are read (`_read_targets`), what the last activation is (`_last_activation`) and how good
    outputs are (`_figure_of_merit`).
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    # ---- arguments and data ------------------------------------------------------------------------------------------

    def _check_arguments(self):
        """Every argument, before anything is changed; returns the units of the hidden layers."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown_name(name, getattr(self, name), choices)
        for name, check in NUMBERS.items():
            check(getattr(self, name), name)
        if self.momentum != 1:
            fraction(self.momentum, "momentum")
        if self.n_iter_no_change != math.inf:
            positive_int(self.n_iter_no_change, "n_iter_no_change")
        if self.batch_size != "auto":
            positive_int(self.batch_size, "batch_size")
        sizes = self.hidden_layer_sizes
        return [
            positive_int(size, "a size in hidden_layer_sizes") for size in (sizes if np.iterable(sizes) else [sizes])
        ]

    def _read(self, X, y, sample_weight, classes, keep):
        """The samples of a fit, checked and as the engine takes them.

        keep: whether what a fit before has left is gone on with.
        """
        fresh = not hasattr(self, "coefs_") or not keep
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32), reset=fresh,
            **self._target_checks,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        dtype = X.dtype if fresh else self.coefs_[0].dtype
        weight = None
        if sample_weight is not None:
            weight = np.ascontiguousarray(_check_sample_weight(sample_weight, X), dtype=dtype)
            if not weight.sum() > 0:
                raise ValueError(f"sample_weight has the sum {weight.sum():g}; at least one sample must count")
        return Samples(dense(X).astype(dtype, copy=False), self._read_targets(y, dtype, keep, classes), weight)

    # ---- training ----------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Trains on X and y; with warm_start from where the last fit ended.

        Args:
            X: (n, features), dense or sparse; float32 is trained in float32, all else in float64.
            y: (n,) or (n, outputs).
            sample_weight: (n,).

        Raises:
            ValueError, TypeError: an argument or the data are not as needed, or the descent diverged.

        Warns:
            ConvergenceWarning: max_iter or max_fun came before the end.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _is_stochastic(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit takes gradient steps: it needs solver='adam' or 'sgd', got 'lbfgs'")
        return True

    def _fit(self, X, y, sample_weight, incremental, classes=None):
        hidden = self._check_arguments()
        random = check_random_state(self.random_state)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: one pass has no end to look for")
        keep = self.warm_start or incremental
        samples = self._read(X, y, sample_weight, classes, keep)
        if not hasattr(self, "coefs_") or not keep:
            self._start([samples.X.shape[1], *hidden, self.n_outputs_], samples.X.dtype, random)
        if self.solver == "lbfgs":
            self._minimize(samples)
        else:
            self._descend(samples, random, incremental)
        if not np.isfinite(self._perceptron().params).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed: scale them, or lower learning_rate_init"
            )
        return self

    def _start(self, units, dtype, random):
        """Parameters and figures as they are before the first step."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = self._last_activation()
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out in pairwise(units):
            # Glorot and Bengio 2010, with scikit-learn's narrower bounds for the logistic function.
            bound = math.sqrt((2.0 if self.activation == "logistic" else 6.0) / (fan_in + fan_out))
            self.coefs_.append(random.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype))
            self.intercepts_.append(random.uniform(-bound, bound, fan_out).astype(dtype))
        self._engine = None
        self._best_params = self._perceptron().params.copy()
        if self.solver != "lbfgs":
            self._start_figures()

    def _start_figures(self):
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -math.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else math.inf

    def _minimize(self, samples):
        perceptron, done = self._perceptron(), 0

        def watch(loss):
            nonlocal done
            done += 1
            if self.verbose:
                print(f"Iteration {done}, loss = {loss:.8f}")

        result, self.loss_ = perceptron.minimize(samples, self.alpha, self.tol, self.max_iter, self.max_fun, watch)
        self.n_iter_ = min(result.nit, self.max_iter)
        if not result.success:
            warnings.warn(
                f"lbfgs failed to converge after {result.nit} iterations ({result.message}): raise max_iter or max_fun,"
                " or scale the data",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _descend(self, samples, random, incremental):
        perceptron = self._perceptron()
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._make_optimizer()
        if not hasattr(self, "loss_curve_"):  # so far it was trained by L-BFGS
            self._start_figures()
        validation = None
        if self.early_stopping:
            samples, validation = self._split(samples, random)
        n = len(samples.X)
        descent = Descent(perceptron, self._optimizer, samples, self._batch(n), self.alpha)
        self.n_iter_ = 0
        try:
            while self.n_iter_ < self.max_iter:
                if self.shuffle:
                    moves = np.arange(n)
                    random.shuffle(moves)
                    descent.order[:] = descent.order[moves]
                if self._ends_after(descent.epoch(), n, validation) or incremental:
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization"
                        " hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        finally:
            descent.end()
        if self.early_stopping:
            perceptron.params[:] = self._best_params

    def _make_optimizer(self):
        if self.solver == "adam":
            return Stepper.adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return Stepper.sgd(self.learning_rate_init, self.momentum, self.nesterovs_momentum)

    def _batch(self, n):
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(f"batch_size={self.batch_size} is clipped to the {n} samples", stacklevel=5)
        return min(self.batch_size, n)

    def _split(self, samples, random):
        """(samples to train on, samples to judge by); stratified where the target is one column of two classes."""
        rows = np.arange(len(samples.X))
        kept, held = train_test_split(
            rows, random_state=random, test_size=self.validation_fraction, stratify=self._strata(samples.y)
        )
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset: early"
                f" stopping needs 2 samples, got {len(held)}"
            )
        return samples.part(kept), samples.part(held)

    def _strata(self, y):
        return None

    def _ends_after(self, loss, n, validation):
        """Books an epoch; returns whether it was the last one."""
        self.n_iter_ += 1
        self.t_ += n
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if validation is None:
            self._judge_loss(loss)
        else:
            self._judge_score(validation)
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            self._optimizer.change_rate(self.learning_rate_init / (self.t_ + 1) ** self.power_t)
        return self._no_improvement_count > self.n_iter_no_change and self._gives_up(validation is not None)

    def _judge_loss(self, loss):
        best = math.inf if self.best_loss_ is None else self.best_loss_
        self._no_improvement_count = self._no_improvement_count + 1 if loss > best - self.tol else 0
        self.best_loss_ = loss if loss < best else best

    def _judge_score(self, validation):
        outputs = self._perceptron().predict(validation.X)
        score = self._figure_of_merit(validation, outputs)
        best = -math.inf if self.best_validation_score_ is None else self.best_validation_score_
        self.validation_scores_ = [*(self.validation_scores_ or []), score]
        if self.verbose:
            print(f"Validation score: {score:f}")
        self._no_improvement_count = self._no_improvement_count + 1 if score < best + self.tol else 0
        if score > best:
            best = score
            self._best_params[:] = self._perceptron().params
        self.best_validation_score_ = best

    def _gives_up(self, early_stopping):
        """Whether an epoch without improvement too many is the end; with an adaptive rate that is lowered first."""
        what = "Validation score" if early_stopping else "Training loss"
        text = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        ends, what_now = True, "Stopping."
        if self.solver == "sgd" and self.learning_rate == "adaptive":
            rate = self._optimizer.learning_rate
            ends, what_now = rate <= LEAST_RATE, "Learning rate too small. Stopping."
            if not ends:
                self._optimizer.change_rate(rate / RATE_DIVISOR)
                self._no_improvement_count, what_now = 0, f"Setting learning rate to {rate / RATE_DIVISOR:f}"
        if self.verbose:
            print(text, what_now)
        return ends

    # ---- the engine --------------------------------------------------------------------------------------------------

    def _perceptron(self) -> Perceptron:
        """The engine's side of coefs_ and intercepts_, which are its memory; arrays put in their place count."""
        engine, kind = getattr(self, "_engine", None), (self.activation, self.out_activation_)
        given = [*self.coefs_, *self.intercepts_]
        held = [] if engine is None else [*engine.coefs, *engine.intercepts]
        if [a.shape for a in given] != [a.shape for a in held] or engine.kind != kind:
            self._engine = engine = Perceptron(self.coefs_, self.intercepts_, *kind)
            if hasattr(self, "_optimizer"):
                self._optimizer.attach(engine.memory)
        elif all(a is b for a, b in zip(given, held, strict=True)):
            return engine
        else:
            for view, array in zip(held, given, strict=True):
                view[...] = array
        self.coefs_, self.intercepts_ = list(engine.coefs), list(engine.intercepts)
        return engine

    def _outputs(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._perceptron().predict(dense(X))

    def __getstate__(self) -> Any:
        state = {**super().__getstate__()}
        state.pop("_engine", None)
        if "_optimizer" in state:  # whoever gets it attaches it to memory of its own
            state["_optimizer"] = copy.copy(self._optimizer)
            state["_optimizer"].slots = dict(self._optimizer.slots)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
