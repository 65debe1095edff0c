"""Which classes are taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .._data import sample_weights
from ..errors import ShapeError, unknown_name
from ..network import Network
from .base import Answers, Display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class ConfusionMatrixDisplay(Display):
    """How many samples of each class were taken for which.

    Args:
        confusion_matrix: (k, k); entry (i, j) counts the samples of class i predicted as class j.
        display_labels: names of the classes; the default is their numbers.

    >>> import fastnn as fnn
    >>> fnn.ConfusionMatrixDisplay.from_predictions(["a", "b", "b"], ["a", "b", "a"]).confusion_matrix
    array([[1, 0],
           [1, 1]])
    """

    im_: Any
    text_: NDArray[Any] | None  # of the figures, (k, k)

    def __init__(self, confusion_matrix: ArrayLike, *, display_labels: Sequence[Any] | None = None) -> None:
        self.confusion_matrix = np.asarray(confusion_matrix)
        shape = self.confusion_matrix.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ShapeError(f"confusion_matrix: expected (k, k), got {shape}")
        labels = range(len(self.confusion_matrix)) if display_labels is None else display_labels
        self.display_labels = list(labels)
        if len(self.display_labels) != len(self.confusion_matrix):
            raise ValueError(f"display_labels: {len(self.confusion_matrix)} classes, {len(self.display_labels)} names")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        normalize: str | None = None,
        display_labels: Sequence[Any] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Asks a Network or a classifier for the classes of X, and draws how they fit y.

        Args:
            estimator: fitted; of a network the largest output is the class, or whether the only one is above a half.
            X, y: samples and their classes (or one-hot rows).
            labels, sample_weight, normalize, display_labels, ax, kwargs: as for from_predictions.
        """
        true = np.asarray(y)
        if true.ndim == 2 and true.shape[1] > 1:
            true = true.argmax(axis=1)
        if isinstance(estimator, Network):
            answers = Answers.of(estimator, X)
            predicted, labels = answers.labels(), answers.classes if labels is None else labels
        else:
            predicted = np.asarray(estimator.predict(X))
        return cls.from_predictions(
            true, predicted, labels=labels, sample_weight=sample_weight, normalize=normalize,
            display_labels=display_labels, ax=ax, **kwargs,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        normalize: str | None = None,
        display_labels: Sequence[Any] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draws how classes that were predicted fit the true ones.

        Args:
            y_true, y_pred: labels (n,) of any kind.
            labels: which classes there are, in this order; samples of others are left out. The default is all, sorted.
            sample_weight: (n,), not negative.
            normalize: "true" makes the rows sum to 1, "pred" the columns, "all" everything.
            display_labels: names of the classes.
            ax, kwargs: as for plot.
        """
        true, predicted = np.ravel(y_true), np.ravel(y_pred)
        if true.shape != predicted.shape:
            raise ShapeError(f"y_true and y_pred: expected as many labels, got {len(true)} and {len(predicted)}")
        weights = None
        if sample_weight is not None:
            weights = sample_weights(sample_weight, len(true), np.dtype(np.float64))
        known = np.unique(np.concatenate([true, predicted])) if labels is None else np.asarray(labels)
        matrix = _normalized(_counts(true, predicted, known, weights), normalize)
        names = known.tolist() if display_labels is None else display_labels
        return cls(matrix, display_labels=names).plot(ax=ax, **kwargs)

    def plot(
        self,
        *,
        include_values: bool = True,
        cmap: Any = "Blues",
        xticks_rotation: str | float = "horizontal",
        values_format: str | None = None,
        ax: Any = None,
        colorbar: bool = True,
    ) -> Self:
        """Draws it.

        Args:
            include_values: whether the figures stand in the fields.
            cmap: the colour map.
            xticks_rotation: "horizontal", "vertical", or degrees.
            values_format: of the figures; the default is "d" for counts and ".2g" for others.
            ax: axes of matplotlib; the default is a new figure.
            colorbar: whether a bar tells what the colours mean.
        """
        matrix, ax = self.confusion_matrix, self._on(ax)
        self.im_ = ax.imshow(matrix, interpolation="nearest", cmap=cmap, vmin=0)
        self.text_ = None
        if include_values:
            form = values_format or ("d" if matrix.dtype.kind in "iu" else ".2g")
            pale, dark = self.im_.cmap(1.0), self.im_.cmap(0.0)
            middle = matrix.max() / 2
            self.text_ = np.empty(matrix.shape, dtype=object)
            for (i, j), value in np.ndenumerate(matrix):
                colour = dark if value > middle else pale
                self.text_[i, j] = ax.text(j, i, format(value, form), ha="center", va="center", color=colour)
        if colorbar:
            self.figure_.colorbar(self.im_, ax=ax)
        ticks = np.arange(len(matrix))
        ax.set(xticks=ticks, yticks=ticks, xlabel="Predicted label", ylabel="True label")
        ax.set_xticklabels([str(label) for label in self.display_labels], rotation=xticks_rotation)
        ax.set_yticklabels([str(label) for label in self.display_labels])
        return self


def _counts(true, predicted, labels, weights):
    """The confusion matrix, int64, or float64 sums of weights; samples of other classes than the labels are out."""
    places = {label: i for i, label in enumerate(labels.tolist())}
    if len(places) < len(labels):
        raise ValueError(f"labels: a class is listed twice: {labels.tolist()}")
    rows = np.array([places.get(label, -1) for label in true.tolist()], dtype=np.int64)
    columns = np.array([places.get(label, -1) for label in predicted.tolist()], dtype=np.int64)
    inside = (rows >= 0) & (columns >= 0)
    if not inside.any():
        raise ValueError("labels: no sample is of these classes")
    flat = (rows * len(labels) + columns)[inside]
    counts = np.bincount(flat, None if weights is None else weights[inside], minlength=len(labels) ** 2)
    return counts.reshape(len(labels), len(labels))


def _normalized(matrix, by):
    """Shares in the place of counts; those of a class without samples are 0."""
    if by is None:
        return matrix
    axes = {"true": 1, "pred": 0, "all": None}
    if by not in axes:
        raise unknown_name("normalize", by, axes)
    total = matrix.sum(axis=axes[by], keepdims=True)
    return np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
