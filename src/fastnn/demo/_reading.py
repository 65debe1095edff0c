"""What the demos that read handwritten digits show alike: how it was learned, and how well the test images are read."""

from .. import _terminal


def report(history: dict[str, list[float]], accuracy: float, test_size: int, style: _terminal.Style):
    """Yield the curves of a training and the accuracy after it."""
    yield _terminal.side_by_side(
        _terminal.curve(history["loss"], style, title="training loss", log=True, width=30),
        _terminal.curve(history["val_accuracy"], style, title="accuracy on the test images", width=30),
    )
    yield ""
    yield f"Accuracy on {test_size} images that it has not seen: {accuracy:.1%}."


def draw(history: dict[str, list[float]], accuracy: float, name: str, axes) -> None:
    """Draw the accuracy after each epoch, on both parts of the images, for the network of that name."""
    from .. import plot

    curves = {"training images": history["accuracy"], "test images": history["val_accuracy"]}
    plot.learning_curve(curves, axes, ylabel="accuracy")
    axes.set_title(f"{name}: {accuracy:.1%} of the test images")
    axes.legend(loc="lower right")
