"""Metrics: how good predictions are, in the definitions of scikit-learn.

A metric sees targets in the form that the loss takes them and the outputs of the network, and knows nothing of either.
Everything is computed in float64 over all samples at once, never as a mean over batches: most metrics are not means.
"""

from typing import Any

import numpy as np

from ._config import Configured
from ._data import boolean, finite, positive_int, sample_weights, targets
from .errors import ShapeError, unknown_name

_FLOAT64 = np.dtype(np.float64)


class Metric(Configured, family="metric"):
    """A figure for predictions: `metric(y_true, y_pred, sample_weight=None)` returns a float.

    Arguments of the call:
        y_true: targets (n,) or (n, k): class ids, one-hot rows, probabilities or reals, as the metric needs.
        y_pred: outputs of the network (n, k); (n,) means (n, 1). Outputs with more axes, as of sequences, count as more
            samples for class metrics and as more columns for the others.
        sample_weight: (n,) weights of the samples, not negative; None counts every sample once.

    Raises ShapeError where the two do not fit, ValueError for class ids out of range.

    In place of a metric `Network` also takes its name or a function `f(y_true, y_pred)`, or
    `f(y_true, y_pred, sample_weight)`, that returns a float.

    >>> Metric.get("mae")([1.0, 2.0], [1.5, 2.5])
    0.5
    """

    def check(self, y_true, output_shape, sample_weight=None):
        """Raises what a call with such targets and outputs would raise, so that training need not begin first."""
        self(y_true, np.zeros((len(y_true), *output_shape)), sample_weight)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")

    @classmethod
    def from_other(cls, spec):
        if callable(spec):
            return FromFunction(spec)
        return super().from_other(spec)


class FromFunction(Metric):
    """A function of your own, `f(y_true, y_pred)` or `f(y_true, y_pred, sample_weight)`, under its own name.

    Raises TypeError when samples have weights and the function has no argument of the name `sample_weight`.

    >>> def worst(y_true, y_pred):
    ...     return abs(y_true - y_pred).max()
    >>> metric = Metric.get(worst)
    >>> metric.name, metric(np.array([1.0, 2.0]), np.array([1.5, 4.0]))
    ('worst', 2.0)
    """

    def __init__(self, function):
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def check(self, y_true, output_shape, sample_weight=None):
        """Calls nothing: what a function of one's own makes of made-up outputs tells nothing."""
        if sample_weight is None:
            return
        import inspect  # costs milliseconds, and only functions of one's own on weighted samples need it

        if "sample_weight" not in inspect.signature(self.function).parameters:
            raise TypeError(f"metric {self.name!r} has no argument sample_weight; give it one, sample_weight=None")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if sample_weight is None:
            return float(self.function(y_true, y_pred))
        self.check(y_true, np.shape(y_pred)[1:], sample_weight)
        return float(self.function(y_true, y_pred, sample_weight=sample_weight))


# ---- classes ----------------------------------------------------------------------------------------------------


def _outputs(y_pred):
    y_pred = np.asarray(y_pred)
    if y_pred.ndim == 0 or y_pred.size == 0:
        raise ShapeError(f"y_pred must have at least one sample, got shape {y_pred.shape}")
    if y_pred.dtype.kind != "f":
        y_pred = y_pred.astype(np.float64)
    return y_pred.reshape(-1, 1) if y_pred.ndim == 1 else y_pred


def _targets(y_true, kind, y_pred):
    n, *shape = y_pred.shape
    return targets(y_true, kind, shape, n, _FLOAT64, name="y_true", partner="y_pred")


def _weights(sample_weight, n, repeats):
    """float64 weights of n * repeats samples, or None."""
    if sample_weight is None:
        return None
    return np.repeat(sample_weights(sample_weight, n, _FLOAT64), repeats)


def _true_classes(y_true, y_pred):
    """Class ids (m,) from ids or rows, and the middle between the two labels that one output column has."""
    k = y_pred.shape[-1]
    if k == 1:
        y = _targets(y_true, "real", y_pred)
        signs = y.min() < 0
        y = _targets(y, "sign" if signs else "binary", y_pred)
        middle = 0.0 if signs else 0.5
        return (y.reshape(-1) > middle).astype(np.int64), middle
    y = _targets(y_true, "classes", y_pred)
    return y.reshape(-1) if y.dtype.kind == "i" else y.reshape(-1, k).argmax(axis=1), 0.5


def _classes(y_true, y_pred, sample_weight, threshold):
    """True ids (m,), predicted ids (m,), weights (m,) or None, number of classes."""
    y_pred = _outputs(y_pred)
    true, middle = _true_classes(y_true, y_pred)
    n, *_, k = y_pred.shape
    predicted = y_pred.reshape(-1, k)
    if k == 1:
        predicted = (predicted[:, 0] > (middle if threshold is None else threshold)).astype(np.int64)
    else:
        predicted = predicted.argmax(axis=1)
    return true, predicted, _weights(sample_weight, n, len(true) // n), max(k, 2)


def _labels(y_true, y_pred, sample_weight, threshold):
    """Several labels a sample: true (m, k) and predicted (m, k) as booleans, weights (m,) or None."""
    y_pred = _outputs(y_pred)
    n, *_, k = y_pred.shape
    true = _targets(y_true, "binary", y_pred).reshape(-1, k) > 0.5
    predicted = y_pred.reshape(-1, k) > (0.5 if threshold is None else threshold)
    return true, predicted, _weights(sample_weight, n, len(true) // n)


def _threshold(value):
    return None if value is None else finite(value, "threshold")


def _confusion(true, predicted, weights, k):
    return np.bincount(true * np.int64(k) + predicted, weights, minlength=k * k).reshape(k, k)


class Accuracy(Metric):
    """The share of samples whose class is right.

    The predicted class is the largest output; with one output column it is 1 where the output is above the threshold.
    With several labels a sample (multilabel) all of them must be right.

    Arguments:
        threshold: None is the middle between the two labels: 0.5, as suits a sigmoid output, or 0 where y_true has -1
            and 1. For logits give 0.
        multilabel: y_true has 0 or 1 in each of k columns, and each output is a label of its own.

    >>> Accuracy()([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    0.6666666666666666
    """

    name = "accuracy"

    def __init__(self, threshold: float | None = None, multilabel: bool = False) -> None:
        self.threshold = _threshold(threshold)
        self.multilabel = boolean(multilabel, "multilabel")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if self.multilabel:
            true, predicted, weights = _labels(y_true, y_pred, sample_weight, self.threshold)
            right = (true == predicted).all(axis=1)
        else:
            true, predicted, weights, _ = _classes(y_true, y_pred, sample_weight, self.threshold)
            right = true == predicted
        return float(np.average(right, weights=weights))


class TopKAccuracy(Metric):
    """The share of samples whose class is among the k largest outputs; of equal outputs the later class is taken first.

    Arguments:
        k: how many; with as many as there are classes it is 1.

    >>> TopKAccuracy(k=2)([0, 1, 2], [[0.5, 0.3, 0.2], [0.1, 0.3, 0.6], [0.4, 0.5, 0.1]])
    0.6666666666666666
    """

    name = "top_k_accuracy"

    def __init__(self, k: int = 5) -> None:
        self.k = positive_int(k, "k")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_pred = _outputs(y_pred)
        n, *_, columns = y_pred.shape
        if columns == 1:
            return 1.0 if self.k > 1 else Accuracy()(y_true, y_pred, sample_weight)
        true = _true_classes(y_true, y_pred)[0][:, None]
        scores = y_pred.reshape(-1, columns)
        own = np.take_along_axis(scores, true, axis=1)
        ahead = (scores > own) | ((scores == own) & (np.arange(columns) > true))
        hit = (ahead.sum(axis=1) < self.k) & ~np.isnan(own[:, 0])
        return float(np.average(hit, weights=_weights(sample_weight, n, len(true) // n)))


class _ClassRatio(Metric):
    """A ratio of counts for each class, and their average: what precision, recall and F1 have in common."""

    def __init__(
        self, average: str | None = None, threshold: float | None = None, multilabel: bool = False
    ) -> None:
        if average not in (None, "binary", "macro", "micro", "weighted"):
            raise unknown_name("average", average, ["binary", "macro", "micro", "weighted"])
        self.average = average
        self.threshold = _threshold(threshold)
        self.multilabel = boolean(multilabel, "multilabel")

    def counts(self, y_true, y_pred, sample_weight):
        """For each class: weight of hits, of its predictions, of its samples; whether it occurs."""
        if self.multilabel:
            true, predicted, weights = _labels(y_true, y_pred, sample_weight, self.threshold)
            weights = np.ones(len(true)) if weights is None else weights
            hits = weights @ (true & predicted)
            return hits, weights @ predicted, weights @ true, np.ones(len(hits), dtype=bool)
        true, predicted, weights, k = _classes(y_true, y_pred, sample_weight, self.threshold)
        table = _confusion(true, predicted, weights, k)
        occurs = np.bincount(true, minlength=k) + np.bincount(predicted, minlength=k) > 0
        return table.diagonal(), table.sum(axis=0), table.sum(axis=1), occurs

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        hits, predicted, actual, occurs = self.counts(y_true, y_pred, sample_weight)
        average = self.average or ("binary" if len(hits) == 2 and not self.multilabel else "macro")
        if average == "binary":
            if len(hits) != 2 or self.multilabel:
                raise ValueError(f"average='binary' needs two classes, got {len(hits)}; take 'macro' or 'micro'")
            hits, predicted, actual = hits[1], predicted[1], actual[1]
        elif average == "micro":
            hits, predicted, actual = hits.sum(), predicted.sum(), actual.sum()
        above, below = self.ratio(hits, predicted, actual)
        ratio = np.divide(above, below, out=np.zeros(np.shape(below)), where=below > 0)
        if average == "macro":
            return float(ratio[occurs].mean())
        if average == "weighted":
            return float(ratio @ actual / actual.sum()) if actual.any() else 0.0
        return float(ratio)


class Precision(_ClassRatio):
    """Of the samples predicted as a class, the share that is of it: hits / predictions.

    Arguments:
        average: "binary": of class 1 of two; "macro": the mean over the classes that occur in y_true or among the
            predictions; "micro": of the summed counts; "weighted": the mean weighted by the samples of each class. None
            is "binary" for one or two output columns and "macro" for more, or with several labels a sample.
        threshold: of a single output column, and of each label; None is the middle between the two labels, 0.5 or 0.
        multilabel: y_true has 0 or 1 in each of k columns, and each output is a label of its own.

    A ratio of nothing to nothing is 0.

    >>> Precision()([0, 1, 1, 0], [0.2, 0.9, 0.8, 0.7])
    0.6666666666666666
    """

    name = "precision"

    @staticmethod
    def ratio(hits, predicted, actual):
        return hits, predicted


class Recall(_ClassRatio):
    """Of the samples of a class, the share that was predicted as it: hits / samples.

    Arguments: as of `Precision`. A ratio of nothing to nothing is 0.

    >>> Recall()([0, 1, 1, 1], [0.2, 0.9, 0.8, 0.1])
    0.6666666666666666
    """

    name = "recall"

    @staticmethod
    def ratio(hits, predicted, actual):
        return hits, actual


class F1(_ClassRatio):
    """The harmonic mean of precision and recall: 2 hits / (predictions + samples).

    Arguments: as of `Precision`. A ratio of nothing to nothing is 0.

    >>> F1()([0, 1, 1, 1], [0.7, 0.9, 0.8, 0.1])
    0.6666666666666666
    """

    name = "f1"

    @staticmethod
    def ratio(hits, predicted, actual):
        return 2 * hits, predicted + actual


class ConfusionMatrix(Metric):
    """The array (k, k) whose entry (i, j) counts the samples of class i predicted as class j.

    int64, or float64 sums of weights where samples have weights. One output column makes two classes.

    Arguments:
        threshold: of a single output column; None is the middle between the two labels, 0.5 or 0.

    >>> ConfusionMatrix()([0, 1, 1], [0.1, 0.9, 0.2])
    array([[1, 0],
           [1, 1]])
    """

    name = "confusion_matrix"

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = _threshold(threshold)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return _confusion(*_classes(y_true, y_pred, sample_weight, self.threshold))


class AUC(Metric):
    """The area under the ROC curve: the chance that a sample of the class scores above one that is not, ties half.

    One or two output columns: of class 1, by its column. More: the mean over the classes, each against the rest,
    without those of which y_true has no or only samples. NaN where no class is left, or where a score is NaN.

    Arguments:
        multilabel: y_true has 0 or 1 in each of k columns; the mean is over the columns.

    >>> AUC()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """

    name = "auc"

    def __init__(self, multilabel: bool = False) -> None:
        self.multilabel = boolean(multilabel, "multilabel")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        scores = _outputs(y_pred)
        n, *_, k = scores.shape
        if self.multilabel:
            positive, _, weights = _labels(y_true, scores, sample_weight, 0.5)
        else:
            true, _ = _true_classes(y_true, scores)
            positive = true[:, None] == ([1] if k <= 2 else np.arange(k))
            weights = _weights(sample_weight, n, len(true) // n)
        scores = scores.reshape(-1, k)[:, -positive.shape[1] :]
        if weights is None:
            weights = np.ones(len(scores))
        areas = [_area(p, s, weights) for p, s in zip(positive.T, scores.T, strict=True)]
        areas = [area for area in areas if area is not None]
        return float(np.mean(areas)) if areas else float("nan")


def _area(positive, score, weights):
    """Area under the ROC curve of one class; None where it has no samples or nothing but samples."""
    order = np.argsort(score, kind="stable")
    score, positive, weights = score[order], positive[order], weights[order]
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # the last of each run of equal scores
    inside = np.append(0.0, np.cumsum(np.where(positive, weights, 0.0))[ends])
    outside = np.append(0.0, np.cumsum(np.where(positive, 0.0, weights))[ends])
    if inside[-1] == 0 or outside[-1] == 0:
        return None
    if np.isnan(score[-1]):  # NaN sorts last
        return float("nan")
    return float(np.diff(inside) @ (outside[1:] + outside[:-1]) / (2 * inside[-1] * outside[-1]))


# ---- reals ------------------------------------------------------------------------------------------------------


def _reals(y_true, y_pred, sample_weight):
    """y_true (n, k), y_pred (n, k), weights (n,) or None, all float64."""
    y_pred = _outputs(y_pred)
    n = len(y_pred)
    y_true = _targets(y_true, "real", y_pred)
    return y_true.reshape(n, -1), y_pred.reshape(n, -1).astype(np.float64), _weights(sample_weight, n, 1)


class _MeanError(Metric):
    """error(y_pred - y_true), averaged over the samples, then finish()ed, then averaged over the outputs."""

    error = np.square

    @staticmethod
    def finish(mean):
        return mean

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        true, predicted, weights = _reals(y_true, y_pred, sample_weight)
        return float(self.finish(np.average(self.error(predicted - true), axis=0, weights=weights)).mean())


class MSE(_MeanError):
    """The mean squared error over samples and outputs: mean((y_pred - y_true)^2).

    >>> MSE()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    name = "mse"


class MAE(_MeanError):
    """The mean absolute error over samples and outputs: mean(|y_pred - y_true|).

    >>> MAE()([1.0, 2.0], [1.0, 4.0])
    1.0
    """

    name, error = "mae", np.abs


class RMSE(_MeanError):
    """The root of the mean squared error: for each output over the samples, then the mean over the outputs.

    >>> RMSE()([1.0, 2.0], [4.0, 5.0])
    3.0
    """

    name, finish = "rmse", np.sqrt


class R2(Metric):
    """The share of the variance that is explained: 1 - sum((y_pred - y_true)^2) / sum((y_true - mean)^2).

    The mean over the outputs. A constant target counts 1 where it is met exactly and 0 otherwise; NaN for one sample.

    >>> R2()([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """

    name = "r2"

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        true, predicted, weights = _reals(y_true, y_pred, sample_weight)
        if len(true) < 2:
            return float("nan")
        weights = np.ones(len(true)) if weights is None else weights
        left = weights @ (predicted - true) ** 2
        total = weights @ (true - np.average(true, axis=0, weights=weights)) ** 2
        unexplained = np.divide(left, total, out=(left != 0).astype(np.float64), where=total != 0)
        return float(1 - unexplained.mean())
