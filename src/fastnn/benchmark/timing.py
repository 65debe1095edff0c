"""Timing side by side: the contenders take turns in short blocks, so that what else the machine does hits all alike.

The result of a contender is the median over its blocks. A block is as many steps as fit into its share of the time; for
pure Python that is a fraction of an epoch, which is said in the table.
"""

import time
from dataclasses import dataclass
from statistics import median

ROUNDS = 5


@dataclass
class Result:
    """Seconds a step of each block, and the steps behind them."""

    name: str
    loss: float
    seconds: list[float]
    steps: int

    @property
    def step(self):
        return median(self.seconds)

    @property
    def spread(self):
        """Half the range of the middle blocks, relative to the median."""
        ordered = sorted(self.seconds)
        return (ordered[-2] - ordered[1]) / 2 / self.step


def clock(contender, steps):
    """Seconds a step, and the steps that were taken."""
    start = time.perf_counter()
    taken = contender.shuffled(steps)
    return (time.perf_counter() - start) / taken, taken


def steps_for(contender, seconds):
    """How many steps take about that long; doubles from one, so that neither the fast nor the slow wait."""
    steps = 1
    while True:
        each, taken = clock(contender, steps)
        if each * taken >= seconds / 2:
            return max(1, round(seconds / each))
        steps = taken * 2


def race(contenders, seconds, loss_steps=5):
    """Time the contenders, about `seconds` each; return a Result for each."""
    results = [Result(c.name, c.in_order(loss_steps), [], 0) for c in contenders]
    blocks = [steps_for(c, seconds / ROUNDS) for c in contenders]
    for _ in range(ROUNDS):
        for contender, block, result in zip(contenders, blocks, results, strict=True):
            each, taken = clock(contender, block)
            result.seconds.append(each)
            result.steps += taken
    return results
