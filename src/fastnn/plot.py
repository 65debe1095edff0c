"""Pictures with matplotlib, an extra (`pip install fastnn[plot]`) that is imported only when a picture is drawn.

Functions draw into axes that they are given and return them, so pictures combine. Nothing here knows networks: what
is drawn are arrays, and functions of arrays. `render` alone decides between a file and a window, and a file needs no
screen, since pyplot and its global state are not touched for it.
"""

import numpy as np

_POINTS = {"s": 22, "color": "#1f4e79", "alpha": 0.75, "linewidths": 0, "zorder": 3}
_LINE = {"color": "#c8501e", "linewidth": 2}


def render(draw, size, *, save=None, show=False, dpi=150):
    """Make a figure of `size` inches, let `draw(figure)` fill it; save it to a path, show it in a window, or both."""
    if show:
        figure = _matplotlib("pyplot").figure(figsize=size, layout="constrained")
    else:
        figure = _matplotlib("figure").Figure(figsize=size, layout="constrained")
    draw(figure)
    if save is not None:
        figure.savefig(save, dpi=dpi)
    if show:
        _matplotlib("pyplot").show()


def plot_history(history, *, path=None):
    """Draw the curves of a History and return the figure; with a path it is saved there, otherwise made with pyplot."""
    return _picture(lambda axes: history_curves(history, axes), path)


def plot_rates(search, *, path=None):
    """Draw the losses of a learning rate search over the rates; otherwise as plot_history."""
    return _picture(
        lambda axes: rate_curve(search.rates, search.losses, search.smoothed, search.suggestion, axes), path
    )


def _picture(draw, path):
    """A figure with one pair of axes that `draw` fills: saved to the path, or made with pyplot where there is none."""
    if path is None:
        figure = _matplotlib("pyplot").figure(layout="constrained")
    else:
        figure = _matplotlib("figure").Figure(layout="constrained")
    draw(figure.subplots())
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def new_axes():
    """Axes in a new figure of pyplot."""
    return _matplotlib("pyplot").figure(layout="constrained").subplots()


def shades(colour):
    """A colour map from white to a colour."""
    return _matplotlib("colors").LinearSegmentedColormap.from_list("shades", ["white", colour])


def rate_curve(rates, losses, smoothed, suggestion, axes):
    """Draw losses over learning rates on a logarithmic axis, with a mark at the suggested one; return the axes."""
    axes.plot(rates, losses, color="C0", alpha=0.3)
    axes.plot(rates, smoothed, color="C0")
    axes.axvline(suggestion, color="C1", linestyle="--", label=f"suggestion {suggestion:.2g}")
    axes.set_xscale("log")
    axes.set(xlabel="learning rate", ylabel="loss")
    axes.legend(loc="upper left")
    return axes


def history_curves(history, axes):
    """Draw the losses of a history over its epochs, and its metrics on a second axis at the right; return the axes.

    `history` maps names to lists with a value for each epoch; `val_` in front of a name marks the validation data,
    which is drawn dashed in the colour of its partner.
    """
    losses = {name: values for name, values in history.items() if name in ("loss", "val_loss")}
    metrics = {name: values for name, values in history.items() if name not in losses and _is_curve(values)}
    learning_curve(losses, axes)
    if metrics:
        names = dict.fromkeys(name.removeprefix("val_") for name in metrics)
        learning_curve(metrics, axes.twinx(), ylabel=", ".join(names), first=len(losses) and 1)
    return axes


def learning_curve(curves, axes, *, ylabel="loss", log=False, first=0):
    """Draw named lists of values, one a completed epoch, as lines; `first` is the first colour of the cycle to use."""
    colours = {}
    for name, values in curves.items():
        partner = name.removeprefix("val_")
        colour = colours.setdefault(partner, f"C{first + len(colours)}")
        dashes = "--" if name.startswith("val_") else "-"
        axes.plot(np.arange(1, len(values) + 1), values, dashes, color=colour, label=name)
    if log:
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel=ylabel)
    if len(curves) > 1 or first:
        axes.legend(loc="center right" if first else "upper right")
    return axes


def fitted_line(x, y, line, axes, *, xlabel="", ylabel="", label=None):
    """Draw points (x, y) and `line(x)`, a function of an array, across them."""
    across = np.linspace(np.min(x), np.max(x), 200)
    axes.scatter(x, y, **_POINTS)
    axes.plot(across, line(across), label=label, **_LINE)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if label:
        axes.legend(loc="upper left")
    return axes


def decision_boundary(values, extent, points, classes, axes, *, title=""):
    """Draw a grid of probabilities as colours, the line where they are one half, and the points of both classes.

    values: (rows, columns), the first row at the top; extent: (left, right, bottom, top); points: (n, 2); classes: n of
    0 or 1.
    """
    values, points, classes = np.asarray(values), np.asarray(points), np.asarray(classes)
    axes.imshow(
        values, extent=extent, cmap="RdBu_r", vmin=0, vmax=1, alpha=0.8, aspect="equal", interpolation="bilinear"
    )
    if values.min() < 0.5 < values.max():
        axes.contour(values[::-1], levels=[0.5], extent=extent, colors="black", linewidths=1.2)
    for wanted, marker in ((0, "o"), (1, "s")):
        chosen = points[classes == wanted]
        axes.scatter(chosen[:, 0], chosen[:, 1], marker=marker, s=70, color="white", edgecolors="black", zorder=3)
    axes.set(title=title)
    return axes


def images(pictures, captions, figure, *, rows=1):
    """Draw small grey pictures, values in [0, 1], in rows of a figure, each under its caption."""
    columns = -(-len(pictures) // rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, picture, caption in zip(panels, pictures, captions, strict=False):
        panel.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(caption, fontsize=9)
    return panels


def _is_curve(values):
    """Whether a record can be drawn as one line: a number for each epoch."""
    return all(np.ndim(value) == 0 for value in values)


def _matplotlib(module):
    """A module of matplotlib, or an ImportError that says how to get it."""
    import importlib

    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install matplotlib (or fastnn[plot])") from error
