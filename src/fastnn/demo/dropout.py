"""Dropout against learning by heart: a network too large for its data, trained with and without it.

500 digits, a fifth of them with a label drawn by lot, and 300,000 weights: enough to learn every image by heart, wrong
labels and all. With dropout each step trains another random half of the units, so that none can rely on the others, and
what is learned is what many of them agree on (Srivastava et al. 2014).
"""

import time
from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal
from ..benchmark.report import duration
from . import digits

INTRODUCTION = "A network too large for its data learns by heart; dropout keeps it from that."
SIZE = (10, 3.8)
SAMPLES, WRONG, UNITS = 500, 0.2, 512
INPUT_RATE, RATE = 0.2, 0.5
EPOCHS, BATCH_SIZE = 80, 32


@dataclass
class Training:
    """One training, measured after each epoch without dropout."""

    seconds: float
    loss: list[float]  # on the training images, with the labels that they came with
    test_loss: list[float]
    accuracy: list[float]
    test_accuracy: list[float]
    wrong_learned: float  # the share of the wrong labels that the network gives back

    @property
    def gap(self) -> float:
        """How much larger the loss is on images that it has not seen."""
        return self.test_loss[-1] - self.loss[-1]


@dataclass
class Figures:
    """What `compute` found."""

    parameters: int
    wrong: int  # labels that are not the image's digit
    test_size: int
    without: Training
    with_dropout: Training


def compute(seed: int = 0) -> Figures:
    """Train the same network with and without dropout."""
    X, y, X_test, y_test = digits.split(seed)
    X, y = X[:SAMPLES], y[:SAMPLES]
    labels = mislabelled(y, seed)
    nets = [network(seed, dropout) for dropout in (False, True)]
    return Figures(
        parameters=len(nets[0].build(64).params),
        wrong=int((labels != y).sum()),
        test_size=len(X_test),
        without=train(nets[0], X, y, labels, X_test, y_test),
        with_dropout=train(nets[1], X, y, labels, X_test, y_test),
    )


def mislabelled(y, seed: int) -> np.ndarray:
    """Return the labels, a share of them drawn anew by lot."""
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(y)) < WRONG
    return np.where(drawn, rng.integers(0, 10, len(y)), y)


def network(seed: int, dropout: bool) -> fnn.Network:
    """64-512-512-10."""
    hidden = [[fnn.Dense(UNITS, "relu"), *([fnn.Dropout(RATE)] if dropout else [])] for _ in range(2)]
    layers = [*([fnn.Dropout(INPUT_RATE)] if dropout else []), *hidden[0], *hidden[1], fnn.Dense(10, "softmax")]
    return fnn.Network(layers, metrics=["accuracy"], seed=seed)


def train(net, X, y, labels, X_test, y_test) -> Training:
    """Train on the given labels, and look at both parts after each epoch."""
    figures: dict[str, list[float]] = {"loss": [], "test_loss": [], "accuracy": [], "test_accuracy": []}

    def look(epoch, _):
        for prefix, of in (("", (X, labels)), ("test_", (X_test, y_test))):
            for name, value in net.evaluate(*of).items():
                figures[prefix + name].append(value)

    callbacks = [fnn.LambdaCallback(on_epoch_end=look)]
    begin = time.perf_counter()
    net.fit(X, labels, epochs=EPOCHS, batch_size=BATCH_SIZE, callbacks=callbacks, verbose=0)
    seconds = time.perf_counter() - begin
    wrong = labels != y
    given_back = net.predict(X[wrong]).argmax(axis=1) == labels[wrong]
    return Training(seconds, **figures, wrong_learned=float(given_back.mean()))


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    plain, with_dropout = figures.without, figures.with_dropout
    yield _terminal.paragraph(
        f"{SAMPLES} images, {figures.wrong} of them with a wrong label, for {figures.parameters:,} parameters;"
        f" {EPOCHS} epochs, in {duration(plain.seconds)} and {duration(with_dropout.seconds)}."
    )
    yield ""
    yield _terminal.side_by_side(
        _terminal.curve(plain.test_loss, style, title="test loss without dropout", width=30),
        _terminal.curve(with_dropout.test_loss, style, title="test loss with dropout", width=30),
    )
    yield ""
    yield f"{'':<31}{'without':>10}{'with dropout':>15}"
    for name, show in ROWS.items():
        yield f"{name:<31}{show(plain):>10}{show(with_dropout):>15}"
    yield ""
    yield _terminal.paragraph(
        f"Of the wrong labels, which do not follow from the images, it has learned {plain.wrong_learned:.0%} by heart"
        f" without dropout, {with_dropout.wrong_learned:.0%} with it."
    )


ROWS = {
    "loss, training": lambda t: f"{t.loss[-1]:.3f}",
    "loss, test": lambda t: f"{t.test_loss[-1]:.3f}",
    "gap between the two": lambda t: f"{t.gap:.3f}",
    "accuracy, training": lambda t: f"{t.accuracy[-1]:.1%}",
    "accuracy, test": lambda t: f"{t.test_accuracy[-1]:.1%}",
}


def draw(figures: Figures, figure) -> None:
    """Draw both parts' losses, with and without dropout."""
    from .. import plot

    panels = figure.subplots(1, 2, sharey=True)
    named = {"without dropout": figures.without, "with dropout": figures.with_dropout}
    for axes, (name, training) in zip(panels, named.items(), strict=True):
        plot.learning_curve({"training images": training.loss, "test images": training.test_loss}, axes)
        axes.set_title(f"{name}: {training.test_accuracy[-1]:.1%} of the test images")
        axes.legend(loc="upper right")
