"""Digits read row by row: a recurrent network, and how its answer settles while it reads.

The images of the digits demo are sequences here, eight rows of eight pixels from the top down. The network sees one row
at a time and keeps a state of 64 numbers; after the last row a dense layer reads the digit off the state. The same
weights serve sequences of any length, so it can also be asked after each row. lstm.py takes the same recipe.
"""

import time
from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal
from ..benchmark.report import duration
from . import _reading, digits

INTRODUCTION = "Handwritten digits, read from the top down, a row of eight pixels at a time."
SIZE = (9.5, 4)
ROWS = 8
UNITS = 64
EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, SMOOTHING = 40, 16, 0.004, 1e-4, 0.1


@dataclass
class Reading:
    """How a network that reads row by row was trained, and how well it reads."""

    layer: str
    parameters: int
    history: dict[str, list[float]]
    seconds: float  # of the training, the test after each epoch included
    test_size: int
    accuracy: float
    by_row: list[float]  # accuracy when asked after 1, 2, ..., 8 rows
    image: np.ndarray  # a test image, and the probability of each digit after each of its rows
    label: int
    probabilities: np.ndarray  # (8, 10)


def compute(seed: int = 0, verbose="auto") -> Reading:
    """Train a plain recurrent network, and ask it after each row."""
    return read(fnn.RNN(UNITS), seed, verbose)


def read(layer: fnn.Layer, seed: int, verbose="auto") -> Reading:
    """Train a recurrent layer and a dense one behind it on the digits' rows."""
    X, y, X_test, y_test = digits.split(seed)
    X, X_test = X.reshape(-1, ROWS, 8), X_test.reshape(-1, ROWS, 8)
    net = network(layer, seed)
    begin = time.perf_counter()
    history = train(net, X, y, validation_data=(X_test, y_test), verbose=verbose)
    seconds = time.perf_counter() - begin
    after = [net.predict(X_test[:, :rows]) for rows in range(1, ROWS + 1)]
    return Reading(
        layer=type(layer).__name__,
        parameters=len(net.params),
        history=dict(history.items()),
        seconds=seconds,
        test_size=len(X_test),
        accuracy=net.evaluate(X_test, y_test)["accuracy"],
        by_row=[float(np.mean(outputs.argmax(axis=1) == y_test)) for outputs in after],
        image=(X_test[0] + 1) / 2,
        label=int(y_test[0]),
        probabilities=np.stack([outputs[0] for outputs in after]),
    )


def network(layer: fnn.Layer, seed: int) -> fnn.Network:
    """The recurrent layer, then ten probabilities from its last state."""
    return fnn.Network(
        [layer, fnn.Dense(10, activation="softmax")],
        loss=fnn.losses.CrossEntropy(label_smoothing=SMOOTHING),
        optimizer=fnn.Adam(fnn.schedules.Linear(LEARNING_RATE, EPOCHS), weight_decay=WEIGHT_DECAY),
        metrics=["accuracy"],
        seed=seed,
    )


def train(net, X, y, **options):
    """Train for the demo's epochs, the learning rate falling to 0, and return the history."""
    return net.fit(X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, **options)


def report(reading: Reading, style: _terminal.Style):
    """Yield the figures as text."""
    yield (
        f"{reading.layer} of {UNITS} units, {reading.parameters:,} parameters, {EPOCHS} epochs"
        f" in {duration(reading.seconds)}."
    )
    yield ""
    yield from _reading.report(reading.history, reading.accuracy, reading.test_size, style)
    yield ""
    yield "Asked early, though it has learned to answer after the last row alone:"
    yield ""
    for rows, accuracy in enumerate(reading.by_row, 1):
        yield f"  {rows} of {ROWS} rows  {accuracy:6.1%}  {style.shades[-1] * round(40 * accuracy)}"
    yield ""
    yield _terminal.paragraph(f"A test image, a {reading.label}; beside each row, what it then takes the digit for:")
    yield ""
    yield _terminal.side_by_side(_terminal.images([reading.image], [""], style), beside_rows(reading))


def beside_rows(reading: Reading) -> str:
    """For each row of the image, the likeliest digit after it."""
    return "\n".join(f"{row.argmax()} ({row.max():.0%})" for row in reading.probabilities)


def draw(reading: Reading, figure) -> None:
    """Draw the learning curve, and the accuracy after each row."""
    left, right = figure.subplots(1, 2)
    _reading.draw(reading.history, reading.accuracy, f"{reading.layer} of {UNITS} units", left)
    right.bar(range(1, ROWS + 1), reading.by_row)
    right.set(xlabel="rows read", ylabel="accuracy on the test images", title="asked early")
