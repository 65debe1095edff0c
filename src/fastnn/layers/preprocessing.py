"""Layers that learn from the data before the network is trained on them, and are saved with it.

What they have learned is state: `get_weights` shows it, files carry it, no optimizer moves it. The first `fit` learns
it from its training samples, `Network.adapt` anew from any.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .._data import boolean, finite, non_negative_int
from .._statistics import Categories, Moments
from ..errors import ShapeError, unknown_name
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Sequence

FILLINGS = ("mean", "median")
UNKNOWN = ("zeros", "error")


class Standardize(Layer):
    """Brings every feature to mean 0 and deviation 1: y = (x - mean) / deviation.

    Mean and deviation are those of the training samples, at the first `fit` (`partial_fit`, `train_on_batch`), without
    the part that is kept for validation and whatever the samples' weights; later fits leave them as they are, and
    `Network.adapt` learns them anew. Of sequences and images all steps and pixels count for their feature, padding does
    not. The deviation is the root of the variance divided by n, and 1 where a feature is constant (scikit-learn's
    StandardScaler).

    Args:
        missing: what stands for NaN: "mean", which becomes 0; "median", which a few values far off do not move, and
            for which learning needs memory for all values; or a number in the units of x. None: X may hold no NaN.
            Statistics are of the values that are there.
        indicator: whether one more feature for each says where it was missing: 1 there, else 0.

    Shapes: x (..., features); y (..., features), with `indicator` (..., 2 features), the values first; `mean`,
    `deviation` and, where it is asked for, `median` (features,), which start at 0: a network whose deviations are 0 has
    not learned them yet.

    Raises:
        ValueError, TypeError: an argument is out of range. At fit: a feature is missing in all samples, or its values
            lie too far apart for the network's dtype.
        NotFittedError: at predict, nothing was learned yet.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Standardize(missing="mean", indicator=True)], dtype="float64")
    >>> net = net.adapt([[1.0, 20.0], [3.0, float("nan")], [5.0, 40.0]])
    >>> net.predict([[3.0, 50.0], [float("nan"), 30.0]]).tolist()
    [[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """

    keeps_time = True

    def __init__(self, *, missing: float | str | None = None, indicator: bool = False) -> None:
        if isinstance(missing, str):
            if missing not in FILLINGS:
                raise unknown_name("filling of missing values", missing, FILLINGS)
        elif missing is not None:
            missing = finite(missing, "missing")
        self.missing, self.indicator = missing, boolean(indicator, "indicator")
        if self.indicator and missing is None:
            fix = 'give missing="mean", "median" or a number'
            raise ValueError(f"indicator: nothing is missing where X may hold no NaN; {fix}")

    def plan(self, g, x):
        *outer, features = x.shape
        median = ("median",) if self.missing == "median" else ()
        state = {role: g.state(role, (features,), 0.0) for role in ("mean", "deviation", *median)}
        learner = partial(Moments, g.where(), self.missing is not None, bool(median))
        return g.op(
            "standardize", [x], (*outer, 2 * features if self.indicator else features), state=state, learner=learner,
            missing=self.missing, indicator=self.indicator,
            takes_missing=() if self.missing is None else range(features),
        )  # fmt: skip


class OneHot(Layer):
    """Replaces columns of categories by an indicator for each category: 1 for the one that x has, 0 for the others.

    The other features come first, in their order, then the indicators of each column in the order of `columns`, those
    of a column in ascending order of its categories. Categories are numbers, compared as the network's dtype holds
    them. They are those of the training samples of the first `fit`, where the network is made; so its shapes are known
    only then, unless they are given.

    Args:
        columns: the features to replace, an int or several, counted from 0.
        categories: for each of `columns` its categories, a sequence of numbers; None: to be learned.
        missing: whether NaN is one more category, the last; else these columns may hold none.
        unknown: what a category is that was not there in training: "zeros", none of the known ones; or "error", a
            ValueError, for which the layer stands first, on an input of the network.

    Shapes: x (..., features); y (..., other features + categories); `categories.C` (categories,) for each column C.

    Raises:
        ValueError, TypeError: an argument is out of range; a category is not known.
        ShapeError: x has no such column; `Network.adapt` finds another number of categories than the network has.
        NotFittedError: the network is built before it has seen data.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.OneHot([0])], dtype="float64").adapt([[7, 0.5], [3, 0.25], [7, 1.0]])
    >>> net.predict([[3, 0.5], [7, 0.5], [4, 0.5]]).tolist()
    [[0.5, 1.0, 0.0], [0.5, 0.0, 1.0], [0.5, 0.0, 0.0]]
    """

    keeps_time = True

    def __init__(
        self,
        columns: int | Sequence[int],
        *,
        categories: Sequence[Sequence[float]] | None = None,
        missing: bool = False,
        unknown: str = "zeros",
    ) -> None:
        columns = columns if isinstance(columns, (list, tuple, range, np.ndarray)) else [columns]
        self.columns = [non_negative_int(column, "each of columns") for column in columns]
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: expected one or more different columns, got {self.columns}")
        self.categories = None if categories is None else _checked_categories(categories, len(self.columns))
        self.missing = boolean(missing, "missing")
        if unknown not in UNKNOWN:
            raise unknown_name("treatment of unknown categories", unknown, UNKNOWN)
        self.unknown = unknown

    def plan(self, g, x):
        *outer, features = x.shape
        if max(self.columns) >= features:
            raise ShapeError(f"{g.where()}: there is no column {max(self.columns)} among {features} features")
        if self.unknown == "error" and x.root not in g.inputs:
            raise ShapeError(f'{g.where()}: with unknown="error" it has to stand first, on an input of the network')
        learner = partial(Categories, g.where(), self.columns, self.missing)
        state, size = {}, 0
        for i, column in enumerate(self.columns):
            role = f"categories.{column}"
            known = None if self.categories is None else self.categories[i]
            count = g.learned_size(role, x, learner) if known is None else len(known)
            state[role] = g.state(role, (count,), 0.0 if known is None else known)
            size += count + self.missing
        rest = _Others(features, self.columns)
        return g.op(
            "one_hot", [x], (*outer, len(rest) + size), state=state,
            learner=learner if self.categories is None else None, columns=self.columns, rest=rest,
            missing=self.missing, unknown=self.unknown, passes=rest,
            takes_missing=self.columns if self.missing else (),
        )  # fmt: skip


class _Others:
    """The features that are none of `columns`, gone through by who needs them: planning makes no list of that size."""

    def __init__(self, features, columns):
        self.features, self.columns = features, columns

    def __iter__(self):
        return (feature for feature in range(self.features) if feature not in self.columns)

    def __len__(self):
        return self.features - len(self.columns)


def _checked_categories(categories, count):
    lists = [[finite(value, "each category") for value in one] for one in categories]
    if len(lists) != count:
        raise ValueError(f"categories: expected a sequence of numbers for each of {count} columns, got {len(lists)}")
    for known in lists:
        if not known or len(set(known)) < len(known):
            raise ValueError(f"categories: expected one or more different numbers for each column, got {known}")
    return lists
