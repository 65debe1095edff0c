"""Makes the pictures of the documents from the demos' own figures: `python docs/make_images.py`."""

from pathlib import Path

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


if __name__ == "__main__":
    plot.render(teaching_ladder, (14, 3.5), save=IMAGES / "teaching_ladder.png")
    print(IMAGES / "teaching_ladder.png")
