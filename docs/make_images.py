"""Makes the pictures of the documents, from the demos' own figures and bundled data: `python docs/make_images.py`."""

from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import plot
from fastnn.demo import digits, neuron, vending, xor

IMAGES = Path(__file__).parent / "images"


def teaching_ladder(figure) -> None:
    """Draw one panel for each step, from one neuron to digits."""
    first, second, third, fourth = figure.subfigures(1, 4, width_ratios=[1, 1, 1, 1])
    draw_neuron(first.subplots())
    draw_vending(second.subplots())
    draw_xor(third.subplots())
    draw_digits(fourth)


def draw_neuron(axes) -> None:
    figures = neuron.compute()
    learned = figures.trainings[-1]
    plot.fitted_line(
        figures.celsius, figures.fahrenheit, lambda x: learned.weight * x + learned.bias, axes,
        xlabel="degrees Celsius", ylabel="degrees Fahrenheit",
    )  # fmt: skip
    axes.set_title(f"one neuron: {learned.weight:.1f} x + {learned.bias:.1f}")


def draw_vending(axes) -> None:
    figures = vending.compute()
    plot.fitted_line(
        figures.visitors,
        figures.sold,
        lambda x: figures.descent_weight * x,
        axes,
        xlabel="visitors",
        ylabel="bottles sold",
    )
    axes.set_title(f"least squares: {figures.descent_weight:.4f} x")


def draw_xor(axes) -> None:
    shown = xor.compute().shown("tanh")
    plot.decision_boundary(shown.boundary, xor.EXTENT, xor.X, xor.Y, axes, title="2-2-1: exclusive or")


def draw_digits(figure) -> None:
    figures = digits.compute(verbose=0)
    figure.suptitle(f"64-32-10: {figures.accuracy:.1%} of new digits", fontsize="large")
    samples = figures.samples[:4] + figures.samples[4:6]
    plot.images([s.image for s in samples], [digits.caption(s) for s in samples], figure, rows=3)


def displays(figure) -> None:
    """Draw a plane of three classes, and what a small network makes of the digits."""
    plane, matrix, weights, gradient = figure.subplots(1, 4, width_ratios=[1, 1.15, 1.15, 1])
    X, y = spirals()
    net = fnn.Network([fnn.Dense(32, "relu"), fnn.Dense(32, "relu"), fnn.Dense(3, "softmax")], seed=0)
    net.optimizer = fnn.Adam(0.01)
    net.fit(X, y, epochs=200, verbose=0)
    fnn.DecisionBoundaryDisplay.from_estimator(net, X, y, eps=0.2, ax=plane)
    plane.set_title("DecisionBoundaryDisplay")
    X, y = fnn.datasets.load_digits()
    X = X / 16
    net = fnn.Network([fnn.Dense(32, "relu", l2=3e-3), fnn.Dense(10, "softmax")], seed=0)
    net.fit(X[:1500], y[:1500], epochs=40, verbose=0)
    fnn.ConfusionMatrixDisplay.from_estimator(net, X[1500:], y[1500:], ax=matrix)
    matrix.set_title("ConfusionMatrixDisplay")
    fnn.WeightsDisplay.from_estimator(net, ax=weights)
    weights.set_title("WeightsDisplay")
    pull = net.input_gradient(X[1500:1509], output=y[1500:1509])
    pull /= np.abs(pull).max(axis=1, keepdims=True)
    fnn.WeightsDisplay(pull.reshape(-1, 8, 8)).plot(gradient, colorbar=False)
    gradient.set_title(f"what makes {' '.join(map(str, y[1500:1509]))}")


def spirals():
    """Three arms of 60 points, and the number of the arm of each."""
    rng, along = np.random.default_rng(0), np.linspace(0.1, 1, 60)
    arms = [np.column_stack([along * np.sin(a + 4 * along), along * np.cos(a + 4 * along)]) for a in (0.0, 2.1, 4.2)]
    return np.concatenate(arms) + 0.03 * rng.standard_normal((180, 2)), np.repeat(range(3), 60)


def network_pictures() -> None:
    """Write a trained network of 12 units, and the layers of a convolutional one."""
    net = fnn.Network([fnn.Dense(8, "tanh"), fnn.Dense(1, "sigmoid")], optimizer=fnn.Adam(0.1), seed=1)
    net.fit(xor.X, xor.Y, epochs=200, batch_size=4, verbose=0)
    net.plot().save(IMAGES / "network_units.svg")
    image, age = fnn.Input((28, 28, 1)), fnn.Input(1)
    seen = fnn.Flatten()(fnn.MaxPool2D(2)(fnn.Conv2D(8, 3, activation="relu")(image)))
    joined = fnn.Concat()([seen, age])
    outputs = [fnn.Dense(10, "softmax")(joined), fnn.Dense(1)(fnn.Dense(16, "relu")(joined))]
    fnn.Network(inputs=[image, age], outputs=outputs, seed=0).plot().save(IMAGES / "network_layers.svg")


if __name__ == "__main__":
    plot.render(teaching_ladder, (14, 3.5), save=IMAGES / "teaching_ladder.png")
    plot.render(displays, (14, 3.6), save=IMAGES / "displays.png", dpi=80)
    network_pictures()
    print(*sorted(IMAGES.glob("*")), sep="\n")
