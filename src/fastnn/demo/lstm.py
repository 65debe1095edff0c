"""A memory that lasts: LSTM reads the digits by rows, and adds two numbers that it saw some fifty steps apart.

The adding problem (Hochreiter and Schmidhuber 1997): a sequence of numbers from 0 to 1, two of them marked, one in each
half; the target is their sum. Who always answers 1 has an error of 1/6. To do better, a gradient has to reach back over
a hundred steps. In a plain RNN it is multiplied by the recurrent weights at every step and fades; LSTM's cell and GRU's
state pass it on through a gate that can stay open.
"""

import time
from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal
from ..benchmark.report import duration
from . import _reading, rnn

INTRODUCTION = "LSTM: the digits row by row once more, and then a memory over a hundred steps."
SIZE = (10, 4)
LENGTH = 100
GUESS = 1 / 6  # error of who always answers 1: twice the variance 1/12 of a number from 0 to 1
UNITS, SEQUENCES, BATCH_SIZE, LEARNING_RATE, CLIP_NORM = 32, 2_000, 32, 0.005, 1.0
MOST_EPOCHS, SOLVED = 60, 0.005  # epochs of new sequences each; the error at which training ends


@dataclass
class Adding:
    """How a network learned the adding problem."""

    layer: str
    errors: list[float]  # mean squared error of each epoch, on sequences that were new in it
    error: float  # on sequences for testing
    steps: int
    seconds: float


@dataclass
class Figures:
    """What `compute` found."""

    reading: rnn.Reading
    adding: list[Adding]  # LSTM, GRU, RNN


def compute(seed: int = 0, verbose="auto") -> Figures:
    """Read the digits; learn to add with each kind of layer."""
    kinds = (fnn.LSTM, fnn.GRU, fnn.RNN)
    return Figures(rnn.read(fnn.LSTM(rnn.UNITS), seed, verbose), [learn_to_add(kind(UNITS), seed) for kind in kinds])


def problem(count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences (count, LENGTH, 2) of numbers and marks, and the sums of the two marked numbers."""
    X = np.zeros((count, LENGTH, 2), dtype=np.float32)
    X[..., 0] = rng.random((count, LENGTH))
    rows, half = np.arange(count), LENGTH // 2
    for first in (0, half):
        X[rows, first + rng.integers(half, size=count), 1] = 1
    return X, (X[..., 0] * X[..., 1]).sum(axis=1)


def learn_to_add(layer: fnn.Layer, seed: int) -> Adding:
    """Train on new sequences in each epoch until the error is small, or for the most epochs."""
    rng = np.random.default_rng(seed)
    test = problem(1_000, rng)
    optimizer = fnn.Adam(LEARNING_RATE, clip_norm=CLIP_NORM)
    net = fnn.Network([layer, fnn.Dense(1)], optimizer=optimizer, input_shape=(LENGTH, 2), seed=seed)
    begin, errors = time.perf_counter(), []
    while len(errors) < MOST_EPOCHS and (not errors or errors[-1] > SOLVED):
        errors += net.fit(*problem(SEQUENCES, rng), batch_size=BATCH_SIZE, verbose=0)["loss"]
    return Adding(
        layer=type(layer).__name__,
        errors=errors,
        error=net.evaluate(*test)["loss"],
        steps=len(errors) * -(-SEQUENCES // BATCH_SIZE),
        seconds=time.perf_counter() - begin,
    )


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    yield from rnn.report(figures.reading, style)
    yield ""
    yield _terminal.paragraph(
        f"The adding problem: {LENGTH} numbers from 0 to 1, two of them marked, one in each half. What is their sum?"
        f" The answer 1 has a mean squared error of 1/6 = {GUESS:.4f}."
    )
    yield ""
    yield _terminal.side_by_side(*(
        _terminal.curve(adding.errors, style, title=f"{adding.layer}: error", log=True, width=16)
        for adding in figures.adding
    ))  # fmt: skip
    yield ""
    for adding in figures.adding:
        yield (
            f"  {adding.layer:<5} error {adding.error:.4f} after {adding.steps:>5,} steps of {BATCH_SIZE} sequences"
            f" in {duration(adding.seconds)}"
        )
    yield ""
    yield _terminal.paragraph(
        "The gates keep what was marked for as long as it takes. The plain RNN's gradient has faded before it reaches"
        " the marks, and it does no better than the guess."
    )


def draw(figures: Figures, figure) -> None:
    """Draw the learning curve of the digits, and the errors of the adding problem."""
    from .. import plot

    left, right = figure.subplots(1, 2)
    reading = figures.reading
    _reading.draw(reading.history, reading.accuracy, f"LSTM of {rnn.UNITS} units", left)
    plot.learning_curve({a.layer: a.errors for a in figures.adding}, right, ylabel="mean squared error", log=True)
    right.axhline(GUESS, color="grey", linewidth=1)
    right.set_title(f"adding two of {LENGTH} numbers")
    right.legend()
