"""Displays: pictures of trained networks as scikit-learn has them, with matplotlib, an extra (fastnn[plot]).

A display holds the arrays that are drawn; `from_estimator` computes them from a Network or an estimator of
`fastnn.sklearn` (or any other), and `plot(ax=None)` draws them, as often as one likes. What was drawn is in `ax_`,
`figure_` and, by display, `surface_`, `im_`, `text_`, `lines_`. matplotlib is imported when something is drawn.
"""

from .boundary import DecisionBoundaryDisplay
from .confusion import ConfusionMatrixDisplay
from .curves import HistoryDisplay
from .weights import WeightsDisplay

__all__ = ["ConfusionMatrixDisplay", "DecisionBoundaryDisplay", "HistoryDisplay", "WeightsDisplay"]
