"""What displays have in common: axes to draw on, and what an estimator says of samples, whichever kind it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _figures, plot
from ..errors import ShapeError
from ..network import Network


class Display:
    """Base of the displays: where they are drawn."""

    ax_: Any
    figure_: Any

    def _on(self, ax):
        """The axes to draw on, new ones where there are none."""
        self.ax_ = plot.new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        return self.ax_


class Answers:
    """What an estimator says of some X.

    classes: the labels, None for numbers; values: numbers (n,), scores (n,) of the second of two classes, or
    probabilities (n, classes); level: where the second class begins.
    """

    def __init__(self, values, classes=None, level=None):
        self.values, self.classes, self.level = values, classes, level

    @classmethod
    def of(cls, estimator, X) -> Answers:
        if isinstance(estimator, Network):
            return cls._of_network(estimator, X)
        if not hasattr(estimator, "predict_proba"):
            return cls(column(np.asarray(estimator.predict(X))))
        probabilities, classes = estimator.predict_proba(X), np.asarray(estimator.classes_)
        if len(classes) == 2:
            return cls(probabilities[:, 1], classes, 0.5)
        return cls(probabilities, classes)

    @classmethod
    def _of_network(cls, network, X):
        graph = network._built().graph
        if len(graph.outputs) > 1:
            raise ValueError(f"estimator: the network has {len(graph.outputs)} outputs; a display is of one")
        (loss,) = losses = _figures.losses_of(graph, network.loss)
        (values,) = _figures.predictions(graph, losses, [network.predict(X)])
        if loss.target == "classes":
            return cls(values, np.arange(values.shape[-1]))
        if loss.target in ("binary", "sign"):
            return cls(column(values), np.arange(2), 0.5 if loss.target == "binary" else 0.0)
        return cls(column(values))

    def labels(self):
        """The class of each sample."""
        if self.classes is None:
            raise ValueError("estimator: its outputs are numbers; this display is for classes")
        chosen = self.values.argmax(axis=-1) if self.values.ndim > 1 else (self.values > self.level).astype(int)
        return self.classes[chosen]


def column(values):
    """(n,) or (n, 1) as (n,)."""
    if values.ndim == 1:
        return values
    if values.shape[1:] != (1,):
        raise ShapeError(f"estimator: expected one output, or classes with one label a sample, got {values.shape[1:]}")
    return values[:, 0]
