"""What a network says across a plane of two features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import plot
from .._arrays import numbers
from .._data import positive, positive_int
from ..errors import ShapeError, unknown_name
from .base import Answers, Display

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class DecisionBoundaryDisplay(Display):
    """What a network says across a plane of two features.

    Two classes are drawn as the probability of the second one, with a line where it is one half; more classes each in
    a colour of their own, the fuller the more probable; numbers as a coloured surface.

    Args:
        xx0, xx1: (rows, columns), the features on a grid, as np.meshgrid gives them.
        response: (rows, columns), or for more than two classes probabilities (rows, columns, classes).
        classes: their labels; None for numbers.
        level: of two classes, where the second begins: the line.
        points, labels: samples (n, 2) that are drawn too, and their classes or values.
        xlabel, ylabel: names of the features.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(8, "tanh"), fnn.Dense(1, "sigmoid")], optimizer=fnn.Adam(0.1), seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = net.fit(X, y, epochs=200, batch_size=4)
    >>> display = fnn.DecisionBoundaryDisplay.from_estimator(net, X, y, grid_resolution=21, eps=0.5)
    >>> bool(display.response[0, 0] < 0.5 < display.response[0, -1])  # (-0.5, -0.5) and (1.5, -0.5)
    True
    """

    surface_: Any  # what matplotlib returned; a list of one for each of more than two classes
    boundary_: Any  # the line between two classes, or None

    def __init__(
        self,
        xx0: ArrayLike,
        xx1: ArrayLike,
        response: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        level: float | None = None,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
    ) -> None:
        self.xx0, self.xx1, self.response = np.asarray(xx0), np.asarray(xx1), np.asarray(response)
        if self.xx0.ndim != 2 or self.xx1.shape != self.xx0.shape or self.response.shape[:2] != self.xx0.shape:
            raise ShapeError(
                "xx0, xx1 and response: expected grids of one shape (rows, columns), got "
                f"{self.xx0.shape}, {self.xx1.shape}, {self.response.shape}"
            )
        self.classes, self.level = None if classes is None else np.asarray(classes), level
        self.points = None if points is None else np.asarray(points)
        self.labels = None if labels is None else _one_each(np.asarray(labels), self.points)
        self.xlabel, self.ylabel = xlabel, ylabel

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        grid_resolution: int = 100,
        eps: float = 1.0,
        plot_method: str = "auto",
        xlabel: str | None = None,
        ylabel: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Asks a Network or an estimator on a grid around X, and draws the answers.

        Args:
            estimator: fitted, on two features.
            X: samples (n, 2) whose range the grid covers; names of a data frame's columns become those of the axes.
            y: their classes or values: they are drawn as points.
            grid_resolution: points of the grid in each direction.
            eps: how far the grid goes beyond the samples.
            plot_method, ax, kwargs: as for plot.

        Raises:
            ShapeError: X has not two features. Otherwise what predict raises.
        """
        array = numbers(X, "X").astype(float)
        if array.ndim != 2 or array.shape[1] != 2:
            raise ShapeError(f"X: a plane has two features, expected (n, 2), got {array.shape}")
        count, eps = positive_int(grid_resolution, "grid_resolution"), positive(eps, "eps")
        sides = [np.linspace(side.min() - eps, side.max() + eps, count) for side in array.T]
        xx0, xx1 = np.meshgrid(*sides)
        grid: Any = np.column_stack([xx0.ravel(), xx1.ravel()])
        names = [None, None]
        if hasattr(X, "iloc"):
            names = [str(name) for name in X.columns]
            grid = type(X)(grid, columns=X.columns)
        answers = Answers.of(estimator, grid)
        display = cls(
            xx0, xx1, answers.values.reshape(*xx0.shape, *answers.values.shape[1:]), classes=answers.classes,
            level=answers.level, points=None if y is None else array, labels=y,
            xlabel=names[0] if xlabel is None else xlabel, ylabel=names[1] if ylabel is None else ylabel,
        )  # fmt: skip
        return display.plot(plot_method, ax=ax, **kwargs)

    def plot(
        self,
        plot_method: str = "auto",
        ax: Any = None,
        *,
        xlabel: str | None = None,
        ylabel: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draws it.

        Args:
            plot_method: "contourf", "contour" or "pcolormesh"; "auto" is pcolormesh for more than two classes.
            ax: axes of matplotlib; the default is a new figure.
            kwargs: for that method of the axes.
        """
        several = self.response.ndim == 3
        if plot_method == "auto":
            plot_method = "pcolormesh" if several else "contourf"
        if plot_method not in ("contourf", "contour", "pcolormesh"):
            raise unknown_name("plot_method", plot_method, ["auto", "contourf", "contour", "pcolormesh"])
        draw = getattr(self._on(ax), plot_method)
        self.boundary_ = None
        if several:
            self.surface_ = self._draw_classes(draw, plot_method, kwargs)
        else:
            self.surface_ = self._draw_values(draw, plot_method, kwargs)
        if self.points is not None:
            self._draw_points()
        wanted = self.xlabel if xlabel is None else xlabel, self.ylabel if ylabel is None else ylabel
        self.ax_.set(xlabel=wanted[0] or "", ylabel=wanted[1] or "")
        return self

    def _draw_values(self, draw, plot_method, kwargs):
        if self.classes is None:
            return draw(self.xx0, self.xx1, self.response, **kwargs)
        reach = max(abs(self.response - self.level).max(), 1e-9) if self.level == 0 else 0.5
        low, high = self.level - reach, self.level + reach
        options = {"cmap": "RdBu_r", "alpha": 0.8, "vmin": low, "vmax": high}
        if plot_method != "pcolormesh":
            options["levels"] = np.linspace(low, high, 21)
        surface = draw(self.xx0, self.xx1, self.response, **options | kwargs)
        if self.response.min() < self.level < self.response.max():
            line = {"levels": [self.level], "colors": "black", "linewidths": 1.2}
            self.boundary_ = self.ax_.contour(self.xx0, self.xx1, self.response, **line)
        return surface

    def _draw_classes(self, draw, plot_method, kwargs):
        winners, surfaces = self.response.argmax(axis=2), []
        for i in range(self.response.shape[2]):
            share = np.ma.array(self.response[:, :, i], mask=winners != i)
            options = {"cmap": plot.shades(f"C{i % 10}"), "vmin": 0.0, "vmax": 1.0, "alpha": 0.8}
            surfaces.append(draw(self.xx0, self.xx1, share, **options | kwargs) if share.count() else None)
        return surfaces

    def _draw_points(self):
        style = {"edgecolors": "black", "linewidths": 0.8, "zorder": 3}
        x = self.points
        if self.labels is None or self.classes is None:
            colours = {} if self.labels is None else {"c": self.labels}
            self.ax_.scatter(x[:, 0], x[:, 1], **style, **colours)
            return
        several = self.response.ndim == 3
        for i, label in enumerate(self.classes):
            chosen = x[self.labels == label]
            colour = f"C{i % 10}" if several else ("#4393c3", "#d6604d")[i]
            self.ax_.scatter(chosen[:, 0], chosen[:, 1], color=colour, label=str(label), **style)
        self.ax_.legend(loc="upper right")


def _one_each(labels, points):
    """The labels as (n,); one-hot rows are class numbers."""
    if points is None or len(labels) != len(points):
        raise ShapeError(f"labels: {len(labels)} for {0 if points is None else len(points)} points")
    return labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.ravel()
