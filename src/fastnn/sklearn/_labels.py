"""Labels of any kind (numbers, strings, booleans, indicator matrices) and what a network is trained on in their place.

Up to two classes are one output, a probability; more are one output each; several labels a sample, one output each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class Labels:
    """The classes of a classifier, in sorted order, and whether a sample may have several of them.

    sparse: whether indicator matrices came sparse, and go back so.
    """

    def __init__(self, classes: ArrayLike, several: bool = False, sparse: bool = False) -> None:
        self.classes = np.asarray(classes)
        self.several, self.sparse = several, sparse

    @classmethod
    def of(cls, y: Any, classes: ArrayLike | None = None) -> Labels:
        """The labels that occur in y, or of `classes` where y need not have them all.

        Raises ValueError for what is not classes: continuous numbers, several columns of classes.
        """
        if _kind_of(y) == "multilabel-indicator":
            known = np.arange(y.shape[1]) if classes is None else np.unique(classes)
            return cls(known, several=True, sparse=sparse.issparse(y))
        if classes is not None:
            _kind_of(classes)
        return cls(np.unique(y if classes is None else classes))

    @property
    def exclusive(self) -> bool:
        """Whether each class has an output of its own, and a sample one class."""
        return not self.several and len(self.classes) > 2

    @property
    def outputs(self) -> int:
        """How many outputs tell these labels apart."""
        return len(self.classes) if self.several or self.exclusive else 1

    def encode(self, y: Any, dtype: DTypeLike) -> NDArray[Any]:
        """y as class ids (n,), int32, where classes exclude each other; else as (n, outputs) of 0 and 1.

        Raises ValueError for labels that are not among the classes.
        """
        if self.several:
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                raise ValueError(f"y has the shape {y.shape}; expected a column for each of {len(self.classes)} labels")
            marks = np.ascontiguousarray(y.toarray() if sparse.issparse(y) else y, dtype=dtype)
            if not ((marks == 0) | (marks == 1)).all():
                raise ValueError("y: expected 0 and 1 in the columns of several labels a sample")
            return marks
        if y.ndim != 1:
            raise ValueError(f"y has the shape {y.shape}; expected one of the classes {self.classes} for each sample")
        ids = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        unknown = self.classes[ids] != y
        if unknown.any():
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {np.unique(y[unknown])} is not in {self.classes}"
            )
        return ids.astype(np.int32) if self.exclusive else ids.astype(dtype)[:, None]

    def decode(self, scores: NDArray[Any]) -> Any:
        """Labels from probabilities (n, outputs): the likeliest class, or what is above one half."""
        marks = self.marks(scores)
        if self.several:
            return sparse.csr_matrix(marks.astype(int)) if self.sparse else marks.astype(int)
        return self.classes[np.minimum(marks.ravel(), len(self.classes) - 1)]

    def marks(self, scores: NDArray[Any]) -> NDArray[Any]:
        """What `encode` would give for the labels that these probabilities say."""
        return scores.argmax(axis=1) if self.exclusive else (scores > 0.5).astype(np.intp)

    def accuracy(self, encoded: NDArray[Any], scores: NDArray[Any], weight: NDArray[Any] | None = None) -> float:
        """The share of samples all of whose labels are right."""
        right = self.marks(scores) == encoded
        return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=weight))

    def probabilities(self, scores: NDArray[Any]) -> NDArray[Any]:
        """A column for each class: of two classes that are one output, both."""
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 and not self.several else scores


def _kind_of(y):
    kind = type_of_target(y, input_name="y")
    if kind.endswith("multioutput"):
        raise ValueError("y has several columns of classes; expected one, or 0 and 1 for several labels a sample")
    if kind not in ("binary", "multiclass", "multilabel-indicator"):
        check_classification_targets(y)  # says what is wrong
    return kind


def checked_classes(estimator: Any, classes: ArrayLike | None) -> ArrayLike | None:
    """The `classes` of a call of partial_fit, after comparing them with those of the calls before."""
    known = getattr(estimator, "classes_", None)
    if known is None and classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit: y need not have them all")
    if known is not None and classes is not None and set(known) != set(np.unique(classes)):
        raise ValueError(f"classes={classes!r} is not what the calls before had: {known}")
    return classes
