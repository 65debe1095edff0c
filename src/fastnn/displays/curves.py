"""Learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from .. import plot
from .base import Display

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..history import History


class HistoryDisplay(Display):
    """Learning curves: losses by epoch, and metrics on an axis at the right; those of validation data are dashed.

    Args:
        history: a History, or {name: value by epoch}.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], seed=0)
    >>> display = fnn.HistoryDisplay(net.fit([0.0, 1.0], [1.0, 3.0], epochs=3)).plot()
    >>> len(display.lines_["loss"].get_ydata())
    3
    """

    lines_: dict[str, Any]  # by name

    def __init__(self, history: History | Mapping[str, Sequence[float]]) -> None:
        self.figures = {name: list(values) for name, values in history.items()}

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draws the `history_`, or the `loss_curve_` and `validation_scores_`, of an estimator."""
        if hasattr(estimator, "history_"):
            return cls(estimator.history_).plot(ax)
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(
                f"estimator: {type(estimator).__name__} keeps no history; a Network's fit returns it: "
                "HistoryDisplay(history).plot()"
            )
        figures = {"loss": estimator.loss_curve_}
        if getattr(estimator, "validation_scores_", None):
            figures["val_score"] = estimator.validation_scores_
        return cls(figures).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draws it.

        Args:
            ax: axes of matplotlib; the default is a new figure.
        """
        ax = self._on(ax)
        before = list(self.figure_.axes)
        plot.history_curves(self.figures, ax)
        drawn = [ax, *(other for other in self.figure_.axes if other not in before)]
        self.lines_ = {line.get_label(): line for axes in drawn for line in axes.lines}
        return self
