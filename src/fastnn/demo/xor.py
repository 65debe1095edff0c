"""Exclusive or: what one neuron cannot learn and two hidden ones can, with tanh, sigmoid and relu.

No line separates (0, 0) and (1, 1) from (0, 1) and (1, 0). Two hidden neurons fold the plane so that one does. Whether
they find the fold depends on the weights that they start from, so every activation is tried from the same seeds.
"""

from dataclasses import dataclass

import numpy as np

import fastnn as fnn

from .. import _terminal

INTRODUCTION = "Exclusive or: 1 where exactly one input is 1. Two hidden neurons learn it."
SIZE = (10, 3.8)
X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0, 1, 1, 0])
EXTENT = (-0.5, 1.5, -0.5, 1.5)
EPOCHS, LEARNING_RATE, SEEDS = 1500, 0.03, 20


@dataclass
class Attempt:
    """One training from one seed."""

    seed: int
    loss: float
    outputs: np.ndarray  # the probabilities of 1 at the four points
    losses: list[float]
    hidden: np.ndarray  # the hidden neurons' outputs, (points, neurons)
    boundary: np.ndarray  # probabilities over the plane, (rows, columns), the first row at the top

    @property
    def solved(self) -> bool:
        """Whether every point is on its side, with some distance."""
        return bool(np.abs(self.outputs - Y).max() < 0.2)

    @property
    def folded(self) -> bool:
        """Whether two points with different answers have ended at the same hidden values."""
        apart = np.abs(self.hidden[Y == 0][:, None] - self.hidden[Y == 1][None]).max(axis=2)
        return bool(apart.min() < 0.05)

    @property
    def dead(self) -> bool:
        """Whether a hidden neuron is 0 at all four points."""
        return bool((self.hidden == 0).all(axis=0).any())


@dataclass
class Figures:
    """What `compute` found: all attempts by activation, and the best that a single neuron can do."""

    attempts: dict[str, list[Attempt]]
    without_hidden: np.ndarray  # the probabilities at the four points

    def shown(self, activation: str) -> Attempt:
        """The attempt from the first seed that works."""
        return next(attempt for attempt in self.attempts[activation] if attempt.solved)


def compute() -> Figures:
    """Train each activation from each seed, and a neuron without a hidden layer."""
    attempts = {
        activation: [attempt(activation, seed) for seed in range(SEEDS)] for activation in ("tanh", "sigmoid", "relu")
    }
    single, _ = train([fnn.Dense(1, activation="sigmoid")], seed=0)
    return Figures(attempts, single.predict(X)[:, 0])


def attempt(activation: str, seed: int) -> Attempt:
    """Train a 2-2-1 network and look at what became of it."""
    net, history = train([fnn.Dense(2, activation=activation), fnn.Dense(1, activation="sigmoid")], seed)
    first = fnn.Network([fnn.Dense(2, activation=activation)], input_shape=2, dtype="float64")
    first.set_weights({name: array for name, array in net.get_weights().items() if name.startswith("layers.0.")})
    return Attempt(
        seed=seed,
        loss=net.evaluate(X, Y)["loss"],
        outputs=net.predict(X)[:, 0],
        losses=history["loss"],
        hidden=first.predict(X),
        boundary=net.predict(plane())[:, 0].reshape(GRID, GRID),
    )


def train(layers, seed: int):
    """Train on the four points, all of them in each step."""
    net = fnn.Network(layers, optimizer=fnn.Adam(LEARNING_RATE), dtype="float64", seed=seed)
    return net, net.fit(X, Y, epochs=EPOCHS, batch_size=4, shuffle=False, verbose=0)


GRID = 61


def plane() -> np.ndarray:
    """Points over the plane, rows from the top."""
    left, right, bottom, top = EXTENT
    across, down = np.meshgrid(np.linspace(left, right, GRID), np.linspace(top, bottom, GRID))
    return np.column_stack([across.ravel(), down.ravel()])


def report(figures: Figures, style: _terminal.Style):
    """Yield the figures as text."""
    yield _terminal.paragraph(
        f"Without a hidden layer the answers to 00, 01, 10, 11 are {numbers(figures.without_hidden)}: no line separates"
        " the ones from the zeros, and one half everywhere is the best that is left. With two hidden neurons:"
    )
    yield ""
    for activation, attempts in figures.attempts.items():
        solved, shown = sum(a.solved for a in attempts), figures.shown(activation)
        yield (
            f"   {activation:<8}solved from {solved:2} of {len(attempts)} seeds;"
            f" seed {shown.seed} answers {numbers(shown.outputs)}"
        )
    yield ""
    yield _terminal.paragraph(why_some_fail(figures.attempts))
    yield ""
    yield "The boundary, dark where the answer is 1:"
    yield _terminal.side_by_side(
        *(
            _terminal.plane(figures.shown(name).boundary, EXTENT, X, Y, style, title=name, width=19, height=10)
            for name in figures.attempts
        ),
        gap=1,
    )


def why_some_fail(attempts: dict[str, list[Attempt]]) -> str:
    """Return a word on the seeds from which training does not get there."""
    failed = {name: [a for a in of_name if not a.solved] for name, of_name in attempts.items()}
    counts = ", ".join(f"{name} {sum(a.folded for a in f)} of {len(f)}" for name, f in failed.items())
    return (
        "Why some seeds fail: two points with different answers end at the same hidden values, where the activation is"
        f" flat, and without a slope nothing parts them again ({counts} failures). relu is flat on a whole side: from"
        f" {sum(a.dead for a in failed['relu'])} seeds a hidden neuron is 0 at all four points, dead, and the other one"
        " alone cannot fold the plane."
    )


def numbers(outputs) -> str:
    """Return probabilities in two digits."""
    return " ".join(f"{output:.2f}" for output in outputs)


def draw(figures: Figures, figure) -> None:
    """Draw the decision boundary of each activation."""
    from .. import plot

    for axes, activation in zip(figure.subplots(1, len(figures.attempts)), figures.attempts, strict=True):
        shown = figures.shown(activation)
        plot.decision_boundary(shown.boundary, EXTENT, X, Y, axes, title=f"{activation}, loss {shown.loss:.3f}")
