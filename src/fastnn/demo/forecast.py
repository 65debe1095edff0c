"""A chaotic signal forecast by LSTM, then live: one number in, one forecast out, a state kept in between.

The Mackey-Glass equation (1977) is a model of how blood cells are regulated with a delay tau:

    dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t)

For tau = 17 it is chaotic, and a standard test of forecasts. The network sees one value after the other and says, at
each, what the signal will be HORIZON steps later. The naive forecast is that it stays as it is.
"""

import time
from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal
from ..benchmark.report import duration

INTRODUCTION = "Mackey-Glass, a chaotic signal: what will it be six steps from now?"
SIZE = (9.5, 4)
TAU, HORIZON = 17.0, 6
TRAIN, TEST, WARM_UP = 2_000, 500, 100
WINDOW, STRIDE = 100, 5
UNITS, EPOCHS, BATCH_SIZE, LEARNING_RATE = 32, 40, 16, 0.01


@dataclass
class Figures:
    """What `compute` found."""

    history: dict[str, list[float]]
    seconds: float  # of the training
    truth: np.ndarray  # (TEST,): the signal HORIZON steps after each step of the test part
    forecasts: np.ndarray  # made for it live
    error: float  # root mean square of truth - forecast, over the signal's standard deviation
    naive_error: float
    at_once_difference: float  # the largest, between live forecasts and those of predict on the whole sequence
    seconds_per_step: float  # of the stream


def compute(seed: int = 0, verbose="auto") -> Figures:
    """Make the signal, train on its first part, and follow the rest live."""
    signal = mackey_glass(TRAIN + WARM_UP + TEST + HORIZON)
    signal = (signal - signal[:TRAIN].mean()) / signal[:TRAIN].std()
    net = network(seed)
    begin = time.perf_counter()
    history = train(net, *windows(signal[:TRAIN]), verbose=verbose)
    seconds = time.perf_counter() - begin
    seen, truth = signal[TRAIN:-HORIZON], signal[TRAIN + HORIZON :]
    live, seconds_per_step = follow(net, seen)
    at_once = net.predict(seen[None, :, None])[0, :, 0]
    kept = slice(WARM_UP, None)  # the state knows the last steps by then
    return Figures(
        history=dict(history.items()),
        seconds=seconds,
        truth=truth[kept],
        forecasts=live[kept],
        error=relative_error(live[kept], truth[kept]),
        naive_error=relative_error(seen[kept], truth[kept]),
        at_once_difference=float(np.abs(live - at_once).max()),
        seconds_per_step=seconds_per_step,
    )


def mackey_glass(count: int, per_unit: int = 10, burn_in: int = 300) -> np.ndarray:
    """Return x at `count` units of time, by Runge and Kutta's fourth-order method from x = 1.2, once it has settled.

    per_unit: steps of the method in a unit of time. Between two of them the delayed x is taken as linear.
    """

    def slope(x, delayed):
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * x

    h, lag = 1 / per_unit, round(TAU * per_unit)
    x = [1.2] * (lag + 1)
    for _ in range((burn_in + count) * per_unit):
        now, before, after = x[-1], x[-lag - 1], x[-lag]
        middle = (before + after) / 2
        k1 = slope(now, before)
        k2 = slope(now + h / 2 * k1, middle)
        k3 = slope(now + h / 2 * k2, middle)
        k4 = slope(now + h * k3, after)
        x.append(now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[-count * per_unit :: per_unit], dtype=np.float32)


def windows(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return stretches of the signal (n, WINDOW, 1), and for each of their steps the value HORIZON later."""
    starts = np.arange(0, len(signal) - WINDOW - HORIZON + 1, STRIDE)
    steps = starts[:, None] + np.arange(WINDOW)
    return signal[steps][..., None], signal[steps + HORIZON][..., None]


def network(seed: int) -> fnn.Network:
    """A forecast after every step."""
    layers = [fnn.LSTM(UNITS, return_sequences=True), fnn.Dense(1)]
    return fnn.Network(
        layers, optimizer=fnn.Adam(fnn.schedules.Linear(LEARNING_RATE, EPOCHS)), input_shape=(WINDOW, 1), seed=seed
    )


def train(net, X, y, **options):
    """Train for the demo's epochs, the learning rate falling to 0, and return the history."""
    return net.fit(X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, **options)


def follow(net, signal) -> tuple[np.ndarray, float]:
    """Hand the signal to a stream, a value at a time; return its forecasts, and the mean time of a step."""
    stream, forecasts = net.stream(), np.empty(len(signal), dtype=np.float32)
    begin = time.perf_counter()
    for i in range(len(signal)):
        forecasts[i] = stream.step(signal[i : i + 1])[0]
    return forecasts, (time.perf_counter() - begin) / len(signal)


def relative_error(forecasts, truth) -> float:
    """Root mean square error over the standard deviation: 1 for who always says the mean."""
    return float(np.sqrt(np.mean((forecasts - truth) ** 2)) / truth.std())


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    yield (
        f"LSTM of {UNITS} units, {EPOCHS} epochs of stretches of {WINDOW} from {TRAIN:,} steps, in"
        f" {duration(figures.seconds)}."
    )
    yield ""
    shown, across = figures.truth[:80], np.arange(80)
    yield _terminal.scatter(
        across,
        shown,
        lambda x: np.interp(x, across, figures.forecasts[:80]),
        style,
        title=f"the signal (points), and what was said {HORIZON} steps before (line)",
        x_label="step",
    )
    yield ""
    yield f"Error of the next {TEST} steps, over the signal's standard deviation:"
    yield f"  naive forecast, it stays as it is  {figures.naive_error:.3f}"
    yield f"  LSTM                               {figures.error:.3f}"
    yield ""
    yield _terminal.paragraph(
        f"The forecasts were made live: net.stream() took one value at a time, {duration(figures.seconds_per_step)}"
        " each, and kept the state. Their largest difference from those of net.predict on the whole sequence is"
        f" {figures.at_once_difference:.1g}."
    )


def draw(figures: Figures, figure) -> None:
    """Draw the training loss, and a stretch of the signal with its forecasts."""
    from .. import plot

    left, right = figure.subplots(1, 2, width_ratios=[1, 2])
    plot.learning_curve({"training": figures.history["loss"]}, left, log=True)
    across = np.arange(150)
    right.plot(across, figures.truth[:150], label="signal")
    right.plot(across, figures.forecasts[:150], "--", label=f"said {HORIZON} steps before")
    right.set(xlabel="step", title=f"error {figures.error:.3f}, naive forecast {figures.naive_error:.3f}")
    right.legend(loc="lower right")
