"""MLPClassifier and MLPRegressor: scikit-learn's estimators of these names, trained by fastnn's engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from ..errors import unknown_name
from ._labels import Labels, checked_classes
from ._mlp_base import MLP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LOSSES = {"squared_error": "identity", "poisson": "exp"}  # of the regressor: loss -> last activation


class MLPClassifier(ClassifierMixin, MLP):
    """scikit-learn's MLPClassifier: a multilayer perceptron for classes, trained on the log loss.

    Arguments, attributes and what they mean are those of `sklearn.neural_network.MLPClassifier`
    (https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.MLPClassifier.html).

    Args:
        hidden_layer_sizes: units of each hidden layer.
        activation: of the hidden layers: "identity", "logistic", "tanh" or "relu".
        solver: "adam", "sgd", or "lbfgs" (scipy's L-BFGS-B on all samples).
        alpha: of the penalty alpha / 2 sum(W^2), divided by the samples of a batch.
        batch_size: samples of a step; "auto" is min(200, n).
        learning_rate: with "sgd": "constant"; "invscaling", learning_rate_init / (t + 1)^power_t after t samples;
            "adaptive", divided by 5 each time the loss or the score no longer improves, down to 1e-6.
        learning_rate_init, power_t: the first learning rate, and the exponent above.
        max_iter: the most epochs, with "lbfgs" iterations.
        shuffle: whether each epoch has a new order of the samples.
        random_state: of the first weights, the split and the order.
        tol, n_iter_no_change: training ends after more than so many epochs in a row that are not better by tol.
        verbose: whether each epoch prints its figures.
        warm_start: whether a fit goes on from the weights of the one before.
        momentum, nesterovs_momentum: of "sgd".
        early_stopping, validation_fraction: whether that share of the samples is held out, whose score then decides
            when training ends and which weights are kept.
        beta_1, beta_2, epsilon: of "adam".
        max_fun: the most evaluations of the loss with "lbfgs".

    Attributes:
        classes_: the labels. coefs_, intercepts_: the parameters of each layer, (in, out) and (out,).
        n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_: the network's form.
        n_iter_, t_: epochs and samples seen. loss_, best_loss_, loss_curve_: last, best and all losses of epochs.
        validation_scores_, best_validation_score_: accuracies with early stopping, else None.

    >>> from fastnn.sklearn import MLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["same", "other", "other", "same"]
    >>> model = MLPClassifier(16, "tanh", solver="lbfgs", random_state=1).fit(X, y)
    >>> model.predict([[1, 0], [1, 1]]).tolist()
    ['other', 'same']
    """

    loss = "log_loss"
    _target_checks: dict[str, Any] = {}

    @available_if(MLP._is_stochastic)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """One epoch on X and y, from where the last call ended.

        Args:
            X, y, sample_weight: as for `fit`; y need not have all classes.
            classes: all classes, needed in the first call.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=checked_classes(self, classes))

    def _read_targets(self, y, dtype, keep, classes):
        if not hasattr(self, "classes_") or not keep:
            self._labels = Labels.of(y, classes)
            self.classes_, self.n_outputs_ = self._labels.classes, self._labels.outputs
        elif self.warm_start and not self._labels.several and set(np.unique(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {np.unique(y)}"
            )
        return self._labels.encode(y, dtype)

    def _last_activation(self):
        return "softmax" if self._labels.exclusive else "logistic"

    def _strata(self, y):
        # Two classes alone are stratified, as scikit-learn 1.9 does it.
        return self._labels.decode(y) if y.shape[1:] == (1,) and not self._labels.several else None

    def _figure_of_merit(self, samples, outputs):
        return self._labels.accuracy(samples.y, outputs, samples.weight)

    def predict(self, X: ArrayLike) -> Any:
        """The likeliest label of each sample, (n,); for several labels a sample 0 and 1, (n, labels)."""
        outputs = self._outputs(X)
        return self._labels.decode(outputs)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The probability of each of `classes_`, (n, classes)."""
        outputs = self._outputs(X)
        return self._labels.probabilities(outputs)

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, MLP):
    """scikit-learn's MLPRegressor: a multilayer perceptron for numbers, one or several a sample.

    Arguments, attributes and what they mean are those of `sklearn.neural_network.MLPRegressor`
    (https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.MLPRegressor.html).

    Args:
        loss: "squared_error", (p - y)^2 / 2; or "poisson", p - y + y log(y / p) with p = exp(last layer), y >= 0.
        hidden_layer_sizes, ..., max_fun: as for `MLPClassifier`.

    Attributes:
        coefs_, ..., loss_curve_: as for `MLPClassifier`. With several outputs the reported losses are means over them,
            the steps follow the gradient of the sum.
        validation_scores_, best_validation_score_: R^2 with early stopping, else None.

    >>> from fastnn.sklearn import MLPRegressor
    >>> X, y = [[0.0], [0.5], [1.0]], [32.0, 122.0, 212.0]
    >>> model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0.0, random_state=0).fit(X, y)
    >>> model.predict([[0.2]]).round(2).tolist()
    [68.0]
    """

    _target_checks: dict[str, Any] = {"y_numeric": True}

    def __init__(
        self,
        loss: str = "squared_error",
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
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.loss = loss

    @available_if(MLP._is_stochastic)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """One epoch on X and y, from where the last call ended; arguments as for `fit`."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _check_arguments(self):
        if self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES)
        return super()._check_arguments()

    def _read_targets(self, y, dtype, keep, classes):
        y = np.ascontiguousarray(y, dtype=dtype).reshape(len(y), -1)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"loss='poisson' is for counts and rates: y must not be negative, got {y.min():g}")
        if keep and hasattr(self, "coefs_") and y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {y.shape[1]} outputs, the fit before had {self.n_outputs_}")
        self.n_outputs_ = y.shape[1]
        return y

    def _last_activation(self):
        return LOSSES[self.loss]

    def _figure_of_merit(self, samples, outputs):
        if not np.isfinite(outputs).all():
            return math.nan
        return r2_score(samples.y, outputs, sample_weight=samples.weight)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The values for X: (n,), or (n, outputs) for several outputs."""
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
