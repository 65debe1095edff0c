"""Bottles sold by visitors: one weight found by trying steps, then by gradient descent; then a second input.

The ladder from search to learning. A neuron without a bias has one weight, so its error is a curve that can be walked
down by trial. The gradient says where down is without a trial, and reaches what lies between the steps; with too large
a learning rate it runs away, which the engine reports. A second input explains more of what was sold.
"""

import warnings
from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal

INTRODUCTION = "Fifty days at a bottle machine: sold = w * visitors. What is w?"
SIZE = (10, 4)
START, STEP = 0.5, 0.01


@dataclass
class Figures:
    """What `compute` found."""

    visitors: np.ndarray
    sold: np.ndarray
    errors: dict[float, float]  # mean squared error by weight: the start and a step up and down
    search_losses: list[float]  # after each epoch of the coordinate search
    search_weights: list[float]
    search_stopped: str  # why it stopped
    stable_limit: float  # of the learning rate
    descent_rate: float
    descent_weight: float
    descent_losses: list[float]
    descent_error: float
    diverged_rate: float
    diverged_losses: list[float]
    diverged_warning: str
    two_weights: tuple[float, float]  # for visitors and temperature
    two_error: float


def compute() -> Figures:
    """Measure the errors around the start, search, descend, run away, and learn from two inputs."""
    X, sold = fnn.datasets.load_vending()
    visitors = X[:, :1]
    errors = {w: neuron(w).evaluate(visitors, sold)["loss"] for w in (START - STEP, START, START + STEP)}
    search_history, search_weights = search(visitors, sold)
    # the error is mean(x^2) w^2 + ..., so descent is stable below a learning rate of 1 / mean(x^2)
    limit = float(1 / np.mean(visitors**2))
    slow, fast = 0.25 * limit, 10 * limit
    descended, descent_history = train(neuron(START, optimizer=fnn.SGD(slow)), visitors, sold, epochs=40)
    diverged_losses, warning = run_away(visitors, sold, fast)
    two, _ = train(neuron(START, START, optimizer=fnn.SGD(0.8 * limit)), X, sold, epochs=2_000)
    return Figures(
        visitors=visitors[:, 0],
        sold=sold,
        errors=errors,
        search_losses=search_history["loss"],
        search_weights=search_weights,
        search_stopped=search_history.stop_reason,
        stable_limit=limit,
        descent_rate=slow,
        descent_weight=weights(descended)[0],
        descent_losses=descent_history["loss"],
        descent_error=descended.evaluate(visitors, sold)["loss"],
        diverged_rate=fast,
        diverged_losses=diverged_losses,
        diverged_warning=warning,
        two_weights=weights(two),
        two_error=two.evaluate(X, sold)["loss"],
    )


def neuron(*start: float, optimizer="sgd") -> fnn.Network:
    """One neuron without a bias, a weight for each input, set to its start."""
    net = fnn.Network([fnn.Dense(1, use_bias=False)], optimizer=optimizer, input_shape=len(start), dtype="float64")
    net.set_weights({"layers.0.weight": np.reshape(start, (-1, 1))})
    return net


def weights(net) -> tuple[float, ...]:
    """Return the weights of such a neuron."""
    return tuple(net.get_weights()["layers.0.weight"][:, 0].tolist())


def train(net, X, sold, epochs: int):
    """Train with all rows in each step; return the network and its history."""
    return net, net.fit(X, sold, epochs=epochs, batch_size=len(X), shuffle=False, verbose=0)


def search(visitors, sold):
    """Walk down by trial; return the history and the weight after each epoch."""
    net, walked = neuron(START, optimizer=fnn.CoordinateSearch(STEP)), []
    note = fnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: walked.append(weights(net)[0]))
    return net.fit(visitors, sold, epochs=100, verbose=0, callbacks=[note]), walked


def run_away(visitors, sold, learning_rate: float) -> tuple[list[float], str]:
    """Train with a learning rate far too large; return the losses as long as they are finite, and the warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, history = train(neuron(START, optimizer=fnn.SGD(learning_rate)), visitors, sold, epochs=300)
    losses = history["loss"]
    finite = next((epoch for epoch, loss in enumerate(losses) if not np.isfinite(loss)), len(losses))
    said = [str(w.message) for w in caught if issubclass(w.category, fnn.NonFiniteWarning)]
    return losses[:finite], " ".join(said)


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    yield "Mean squared error: " + ",  ".join(f"{error:.2f} at w = {w:.2f}" for w, error in figures.errors.items())
    yield ""
    losses, walked = figures.search_losses, figures.search_weights
    yield f"1. Search: try w + {STEP} and w - {STEP}, keep what lowers the error."
    for epoch in epochs_to_show(len(losses)):
        yield f"   epoch {epoch:2}: w = {walked[epoch - 1]:.2f}, error {losses[epoch - 1]:6.2f}"
    yield f"   Neither lowers it any more: {figures.search_stopped}."
    yield ""
    yield _terminal.paragraph(
        f"2. Gradient descent, learning rate {figures.descent_rate:.2g}: the slope says where down is, and how far to"
        f" go. After {len(figures.descent_losses)} epochs w = {figures.descent_weight:.4f},"
        f" error {figures.descent_error:.3f}.",
        hanging="   ",
    )
    yield ""
    yield _terminal.paragraph(
        f"3. The same with learning rate {figures.diverged_rate:.2g}: above {figures.stable_limit:.3g} each step"
        " overshoots by more than the one before.",
        hanging="   ",
    )
    for epoch in (1, 2, 3, 10, 100):
        yield f"   epoch {epoch:3}: error {figures.diverged_losses[epoch - 1]:.3g}"
    yield _terminal.paragraph(f"fit warns: {figures.diverged_warning}", indent="   ")
    yield ""
    yield (
        "4. Two inputs, visitors and temperature: the error falls"
        f" from {figures.descent_error:.2f} to {figures.two_error:.2f}."
    )
    yield "   sold = {:.4f} * visitors + {:.4f} * temperature".format(*figures.two_weights)
    yield ""
    yield _terminal.scatter(
        figures.visitors,
        figures.sold,
        lambda x: figures.descent_weight * x,
        style,
        title=f"bottles sold, and the line {figures.descent_weight:.4f} * visitors",
        x_label="visitors",
    )
    yield ""
    yield _terminal.side_by_side(
        _terminal.curve(losses, style, title="error: search", log=True, height=6, width=28),
        _terminal.curve(figures.descent_losses, style, title="error: gradient descent", log=True, height=6, width=28),
    )


def epochs_to_show(count: int) -> list[int]:
    """The first three epochs and the last two."""
    return sorted({1, 2, 3, count - 1, count} & set(range(1, count + 1)))


def draw(figures: Figures, figure) -> None:
    """Draw the data, the fitted line, and the learning curves."""
    from .. import plot

    left, right = figure.subplots(1, 2)
    plot.fitted_line(
        figures.visitors,
        figures.sold,
        lambda x: figures.descent_weight * x,
        left,
        xlabel="visitors",
        ylabel="bottles sold",
        label=f"{figures.descent_weight:.4f} * visitors",
    )
    curves = {"search, step 0.01": figures.search_losses, "gradient descent": figures.descent_losses}
    plot.learning_curve(curves, right, ylabel="mean squared error", log=True)
