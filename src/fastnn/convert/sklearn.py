"""Multi-layer perceptrons of scikit-learn, which is not imported: estimators are known by their attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import layers as fnn
from ..errors import NotFittedError
from ._assemble import Group, assemble

if TYPE_CHECKING:
    from ..network import Network

_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "softmax": "softmax"}


def from_sklearn(estimator: Any, **options: Any) -> Network:
    """A network with the weights of a fitted MLPClassifier or MLPRegressor.

    It predicts what `predict` of the regressor does, one column for each target, and what `predict_proba` of the
    classifier does: for two classes one column, the probability of the second, else one for each class (of
    `estimator.classes_`) or label.

    Args:
        estimator: the estimator.
        options: of Network: loss, optimizer, metrics, seed, dtype (the default follows the weights), precision.

    Raises:
        TypeError: it is of another class. NotFittedError: it has no weights yet.
        ValueError: its output has no counterpart.

    >>> import fastnn as fnn, numpy as np
    >>> class MLPRegressor:                        # what scikit-learn's has after fit
    ...     coefs_, intercepts_ = [np.ones((2, 3)), np.ones((3, 1))], [np.zeros(3), np.ones(1)]
    ...     activation, out_activation_ = "relu", "identity"
    >>> fnn.from_sklearn(MLPRegressor()).predict([[1.0, 2.0]]).tolist()
    [[10.0]]
    """
    name = type(estimator).__name__
    if not any(cls.__name__ in ("MLPClassifier", "MLPRegressor") for cls in type(estimator).__mro__):
        raise TypeError(f"from_sklearn takes an MLPClassifier or MLPRegressor, got {name}")
    if not hasattr(estimator, "coefs_"):
        raise NotFittedError(f"{name} has no weights yet: fit it first")
    layers, groups = [], []
    last = len(estimator.coefs_) - 1
    for i, (weight, bias) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        activation = estimator.out_activation_ if i == last else estimator.activation
        if activation not in _ACTIVATIONS:
            raise ValueError(f"{name}: its activation {activation!r} has no counterpart")
        layers.append(fnn.Dense(weight.shape[1], _ACTIVATIONS[activation]))
        groups.append(Group(f"coefs_[{i}]", {"weight": weight, "bias": bias}, lambda layer, arrays: arrays))
    features = estimator.coefs_[0].shape[0]
    return assemble(layers, groups, features, channels_first=False, options=options)
