"""Celsius to Fahrenheit: one neuron, its two parameters set by hand and learned from observations.

The lesson beside the neuron is that raw units make gradient descent slow. The loss is a quadratic bowl over (weight,
bias), far steeper along one direction than along the other: the steep one limits the learning rate, and the flat one
then needs thousands of epochs. Momentum shortens that, and scaling the input removes the cause.
"""

from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal

INTRODUCTION = "One neuron: fahrenheit = weight * celsius + bias. What are weight and bias?"
SIZE = (9, 4)
PRECISE = 1e-10  # the mean squared error at which weight and bias are right to five digits


@dataclass
class Training:
    """One way to learn the two parameters, and where it led."""

    way: str
    learning_rate: float
    weight: float
    bias: float
    epochs: int  # until the loss was below PRECISE
    losses: list[float]


@dataclass
class Figures:
    """What `compute` found."""

    celsius: np.ndarray
    fahrenheit: np.ndarray
    by_hand: dict[float, float]  # prediction for a few temperatures with weight 1.8 and bias 32
    curvatures: tuple[float, float]  # of the loss: the flattest and the steepest direction
    trainings: list[Training]


def compute(seed: int = 0) -> Figures:
    """Set the neuron by hand, then learn it by gradient descent in three ways."""
    X, y = fnn.datasets.load_celsius()
    flattest, steepest = curvatures(X[:, 0])
    momentum, rate = heavy_ball(flattest, steepest)
    plain = learn(X, y, fnn.SGD(1 / steepest), 40_000, seed, way="plain gradient descent")
    heavy = learn(X, y, fnn.SGD(rate, momentum=momentum), 2_000, seed, way=f"with momentum {momentum:.2f}")
    mean, deviation = X.mean(), X.std()
    scaled = learn((X - mean) / deviation, y, fnn.SGD(0.25), 100, seed, way="on scaled input")
    # the neuron on z = (x - mean) / deviation is a neuron on x: w z + b = (w / deviation) x + (b - w mean / deviation)
    scaled.weight /= deviation
    scaled.bias -= scaled.weight * mean
    return Figures(X[:, 0], y, by_hand(), (flattest, steepest), [plain, heavy, scaled])


def by_hand() -> dict[float, float]:
    """Return what a neuron answers whose weight and bias were not learned but set."""
    net = fnn.Network([fnn.Dense(1)], input_shape=1, dtype="float64")
    net.set_weights({"layers.0.weight": [[1.8]], "layers.0.bias": [32.0]})
    temperatures = [-40.0, 0.0, 37.0, 100.0]
    return dict(zip(temperatures, net.predict(temperatures)[:, 0].tolist(), strict=True))


def curvatures(x) -> tuple[float, float]:
    """Return the eigenvalues of the second derivatives of mean((w x + b - y)^2) by (w, b), smallest first."""
    hessian = 2 * np.array([[np.mean(x * x), np.mean(x)], [np.mean(x), 1.0]])
    flattest, steepest = np.linalg.eigvalsh(hessian)
    return float(flattest), float(steepest)


def heavy_ball(flattest: float, steepest: float) -> tuple[float, float]:
    """Return the momentum and learning rate that descend fastest on such a bowl (Polyak 1964)."""
    low, high = flattest**0.5, steepest**0.5
    return ((high - low) / (high + low)) ** 2, (2 / (high + low)) ** 2


def learn(X, y, optimizer, epochs: int, seed: int, way: str) -> Training:
    """Train one neuron with all observations in each step."""
    net = fnn.Network([fnn.Dense(1)], optimizer=optimizer, dtype="float64", seed=seed)
    history = net.fit(X, y, epochs=epochs, batch_size=len(X), shuffle=False, verbose=0)
    losses = history["loss"]
    needed = next((epoch for epoch, loss in enumerate(losses, 1) if loss < PRECISE), len(losses))
    weights = net.get_weights()
    weight, bias = weights["layers.0.weight"].item(), weights["layers.0.bias"].item()
    return Training(way, optimizer.learning_rate, weight, bias, needed, losses[:needed])


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    yield "Set by hand, weight = 1.8 and bias = 32:"
    yield "   " + ", ".join(f"{c:g} C = {f:g} F" for c, f in figures.by_hand.items())
    yield ""
    flattest, steepest = figures.curvatures
    yield f"Learned from {len(figures.celsius)} observations, with weight and bias unknown at the start:"
    for training in figures.trainings:
        yield (
            f"   {training.way:<23} weight {training.weight:.4f}  bias {training.bias:.4f}"
            f"  after {training.epochs:6,} epochs"
        )
    yield ""
    yield _terminal.paragraph(
        "Why plain gradient descent takes so long: the loss is a bowl, curved"
        f" {steepest / flattest:,.0f} times as much along one direction as along the other. The steep direction forbids"
        f" learning rates above {2 / steepest:.2g}, and with these the flat one is descended slowly. Momentum gathers"
        " speed along it; scaled input makes the bowl round, so that a large learning rate suits every direction:"
        f" {figures.trainings[-1].learning_rate:g} in place of {figures.trainings[0].learning_rate:.2g}."
    )
    yield ""
    learned = figures.trainings[-1]
    yield _terminal.scatter(
        figures.celsius,
        figures.fahrenheit,
        lambda x: learned.weight * x + learned.bias,
        style,
        title="observations and learned line, degrees Fahrenheit",
        x_label="degrees Celsius",
    )


def draw(figures: Figures, figure) -> None:
    """Draw the learned line, and the loss of the three ways."""
    from .. import plot

    left, right = figure.subplots(1, 2)
    learned = figures.trainings[-1]
    plot.fitted_line(
        figures.celsius,
        figures.fahrenheit,
        lambda x: learned.weight * x + learned.bias,
        left,
        xlabel="degrees Celsius",
        ylabel="degrees Fahrenheit",
        label=f"{learned.weight:.4f} x + {learned.bias:.4f}",
    )
    plot.learning_curve({training.way: training.losses for training in figures.trainings}, right, log=True)
    right.set(xscale="log", ylabel="mean squared error")
    right.legend(loc="lower left")
