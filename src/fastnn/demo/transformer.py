"""A transformer learns to write, character by character, from the documentation that every Python carries.

Two blocks of causal attention see the last 64 characters and say how likely each character is to be the next. The
learning rate is what such networks are most sensitive to: it rises in the first round and falls to 0 along a cosine.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal
from ..benchmark.report import duration

INTRODUCTION = "A transformer reads Python's documentation character by character, and writes."
SIZE = (9.5, 4)
LENGTH, UNITS, HEADS, BLOCKS = 64, 128, 4, 2
ROUNDS, STEPS, BATCH_SIZE, LEARNING_RATE = 15, 100, 32, 3e-3
STRETCH, HELD_OUT = 4096, 20  # every 20th stretch of so many characters is held out
TEMPERATURE, WRITTEN, PROMPT = 0.7, 480, "The "


@dataclass
class Figures:
    """What `compute` found."""

    characters: int  # of the text, and how many different ones
    tokens: int
    parameters: int
    frequency_bits: float  # a character, by the frequencies of the characters alone
    train_bits: list[float]  # a character, after each round: while training, and on held-out text
    test_bits: list[float]
    seconds: float
    steps: int
    sample: str
    step_seconds: float  # for a character of the sample


def compute(seed: int = 0, rounds: int = ROUNDS, verbose="auto") -> Figures:
    """Train on most of the text, measure on the rest, and write a sample."""
    text = documentation()
    alphabet = sorted(set(text))
    ids = np.searchsorted(alphabet, list(text)).astype(np.int32)
    train_starts, test_starts = split(len(ids))
    X_test, y_test = windows(ids, test_starts)
    net = network(len(alphabet), seed, rounds * STEPS)
    rng = np.random.default_rng(seed)
    train_bits, test_bits = [], []
    begin = time.perf_counter()
    for _ in range(rounds):
        X, y = windows(ids, rng.choice(train_starts, STEPS * BATCH_SIZE))
        history = net.fit(X, y, batch_size=BATCH_SIZE, verbose=verbose)
        train_bits.append(history["loss"][-1] / math.log(2))
        test_bits.append(net.evaluate(X_test, y_test)["loss"] / math.log(2))
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    sample = write(net, alphabet, PROMPT, WRITTEN, seed)
    shares = np.bincount(ids) / len(ids)
    return Figures(
        characters=len(ids),
        tokens=len(alphabet),
        parameters=len(net.params),
        frequency_bits=float(-(shares * np.log2(shares)).sum()),
        train_bits=train_bits,
        test_bits=test_bits,
        seconds=seconds,
        steps=rounds * STEPS,
        sample=sample,
        step_seconds=(time.perf_counter() - begin) / WRITTEN,
    )


def documentation() -> str:
    """Return what `help("if")` and the like show, all of it."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def split(length: int):
    """Return where windows for training and for the test begin: none sees a character of the other kind."""
    starts = np.arange(length - LENGTH)
    stretch = starts // STRETCH
    inside = stretch == (starts + LENGTH) // STRETCH
    held_out = stretch % HELD_OUT == HELD_OUT // 2
    return starts[inside & ~held_out], starts[inside & held_out][::LENGTH]


def windows(ids, starts):
    """Return X, y (n, LENGTH): characters, and the one after each."""
    seen = np.lib.stride_tricks.sliding_window_view(ids, LENGTH + 1)[starts]
    return seen[:, :-1], seen[:, 1:]


def network(tokens: int, seed: int, steps: int = ROUNDS * STEPS) -> fnn.Network:
    """A small transformer in the manner of GPT-2: learned positions, norms before the layers, and one at the end.

    Its learning rate rises in the first 4 % of the steps, then falls along a cosine.
    """
    warm = steps // 25
    rates = fnn.schedules.Warmup(fnn.schedules.Cosine(LEARNING_RATE, steps - warm, by="step"), max(warm, 1))
    return fnn.Network(
        [
            fnn.Embedding(tokens, UNITS, weight_init=fnn.initializers.Normal(0, 0.1)),
            fnn.PositionalEmbedding(),
            *(fnn.TransformerBlock(HEADS, 4 * UNITS, causal=True) for _ in range(BLOCKS)),
            fnn.LayerNorm(),
            fnn.Dense(tokens, activation="softmax"),
        ],
        optimizer=fnn.AdamW(rates, beta2=0.99, weight_decay=0.01),
        input_shape=LENGTH,
        seed=seed,
    )


def write(net, alphabet, prompt: str, count: int, seed: int) -> str:
    """Return `prompt` and `count` characters that the network writes after it, each drawn by its probability.

    A stream keeps the keys and values of what is written, so that a character costs one step. When it is full it goes
    on from the second half of what it holds.
    """
    rng = np.random.default_rng(seed)
    stream, text = net.stream(), prompt
    told = 0
    while len(text) < len(prompt) + count:
        if stream.position == LENGTH:
            stream.reset()
            told = len(text) - LENGTH // 2
        for character in text[told:]:
            p = stream.step(alphabet.index(character))
        told = len(text)
        p = p.astype(np.float64) ** (1 / TEMPERATURE)
        text += alphabet[rng.choice(len(p), p=p / p.sum())]
    return text


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    yield (
        f"{figures.characters:,} characters of {figures.tokens} kinds. {figures.steps:,} steps for"
        f" {figures.parameters:,} parameters, in {duration(figures.seconds)}."
    )
    yield ""
    yield _terminal.curve(
        figures.test_bits, style, title="bits per character on held-out text", width=48, x_label=f"{STEPS} steps"
    )
    yield ""
    yield (
        f"Held-out text: {figures.test_bits[-1]:.2f} bits per character;"
        f" the characters' frequencies alone: {figures.frequency_bits:.2f}."
    )
    yield f"It wrote this, {duration(figures.step_seconds)} a character:"
    yield ""
    for line in shown(figures.sample, style):
        yield f"  {line}"


def shown(sample: str, style: _terminal.Style, width: int = 76) -> list[str]:
    """Return a text as lines of at most `width` characters, which the style's terminal can show."""
    if not style.braille:
        sample = sample.encode("ascii", "replace").decode()
    return [line[i : i + width].rstrip() for line in sample.split("\n") for i in range(0, max(len(line), 1), width)]


def draw(figures: Figures, figure) -> None:
    """Draw the learning curves beside the sample."""
    from .. import plot

    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    curves = {"training": figures.train_bits, "held out": figures.test_bits}
    plot.learning_curve(curves, left, ylabel="bits per character")
    left.set(xlabel=f"{STEPS} steps", title=f"{figures.test_bits[-1]:.2f} bits per character")
    lines = shown(figures.sample, _terminal.UNICODE, width=60)[:24]
    right.text(0, 1, "\n".join(lines), family="monospace", fontsize=6, va="top", transform=right.transAxes)
    right.set_axis_off()
