"""A file of results: how it is written, read, and what its figures mean.

    {"machine", "date", "commit", "python", "versions": {peer: version}, "missing": {peer: why},
     "peak": {threads: float32 operations a second},
     one of TASKS: {rung: {peer: {"times": {threads: [seconds of each round]}, "setting", ...}}},
     "memory": {architecture: {peer: bytes}},
     "import": {"numpy", "with fastnn", "beyond"}, "wheel": {"name", "bytes"}}

A peer's figure is the median of its rounds with its better number of threads.
"""

import json
import statistics
from dataclasses import dataclass

import rungs

REDUCED = ("fastnn high", "fastnn medium", "PyTorch medium")  # other arithmetic than the float32 of the rest
TASKS = ("train", "predict", "architectures", "answers", "gemm")


@dataclass(frozen=True)
class Figure:
    """Seconds: the median of the rounds, and the range of their middle half."""

    median: float
    low: float
    high: float
    threads: int

    @classmethod
    def of(cls, times, threads):
        if len(times) < 2:
            return cls(times[0], times[0], times[0], int(threads))
        low, median, high = statistics.quantiles(times, n=4, method="inclusive")
        return cls(median, low, high, int(threads))


def figure(entry, threads=None):
    """A peer's figure on one rung: with so many threads, or with the better number of them; None where it has none."""
    made = [Figure.of(times, n) for n, times in entry["times"].items() if threads in (None, int(n))]
    return min(made, key=lambda f: f.median, default=None)


def figures(rung_results, threads=None):
    """{peer: Figure} of one rung."""
    made = {peer: figure(entry, threads) for peer, entry in rung_results.items()}
    return {peer: one for peer, one in made.items() if one}


def is_peer(name):
    """Whether fastnn is compared with it in float32."""
    return not name.startswith("fastnn") and name not in REDUCED


def best_peer(found):
    """The name and figure of the fastest peer among {peer: Figure}, or None."""
    return min(((name, f) for name, f in found.items() if is_peer(name)), key=lambda pair: pair[1].median, default=None)


def peak(results, threads):
    """Measured float32 operations a second on so many threads, or None."""
    return (results.get("peak") or {}).get(str(threads))


def rung_of(task, name):
    """The rung of that name; None where it is no longer measured."""
    return next((rung for rung in rungs.TASKS[task] if rung.name == name), None)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, results):
    """As JSON with a line for each peer and rung, so that two files can be compared line by line."""
    parts = []
    for key, value in results.items():
        if key in TASKS:
            blocks = []
            for rung, peers in value.items():
                lines = ",\n".join(f"   {json.dumps(name)}: {json.dumps(entry)}" for name, entry in peers.items())
                blocks.append(f"  {json.dumps(rung)}: {{\n{lines}\n  }}")
            parts.append(f" {json.dumps(key)}: {{\n" + ",\n".join(blocks) + "\n }")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
