"""What the comparison prints: the machine, and a table for each network."""

import os
import platform
import sys

import numpy as np

HEADER = ("", "time a step", "+-", "fastnn is", "steps timed", "first loss")


def cpu_name():
    """The processor's name as the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine():
    """A line on the machine and the versions."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{cpu_name()}, {os.cpu_count()} CPUs; Python {python}, NumPy {np.__version__}"


def duration(seconds):
    """Three digits with a fitting unit."""
    for factor, unit in ((1e6, "us"), (1e3, "ms")):
        if seconds * factor < 1000:
            return f"{seconds * factor:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds:#.3g} s"


def table(workload, results):
    """Rows for the contenders, times relative to the first of them."""
    fastnn = results[0].step
    rows = [HEADER]
    for result in results:
        ratio = result.step / fastnn
        steps = f"{result.steps:,}"
        if result.steps < workload.steps:
            steps += f" ({result.steps / workload.steps:.0%} of an epoch)"
        rows.append(
            (
                result.name,
                duration(result.step),
                f"{result.spread:.0%}",
                "" if result is results[0] else f"{ratio:,.1f}x faster" if ratio < 100 else f"{ratio:,.0f}x faster",
                steps,
                f"{result.loss:.6f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    title = (
        f"{workload.name}: relu, softmax and cross entropy, Adam; minibatches in brackets, an epoch of {workload.steps}"
    )
    return "\n".join([title, *lines])
