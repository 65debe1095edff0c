"""One peer with one number of threads, in a process of its own, which waits on a pipe while the others are measured.

Lines of JSON in, each with one line out:
    {"task": ..., "rung": i}   builds the peer's settings for the rung      -> {"ready": true} or {"missing": why}
    {"memory": i}              trains architecture i                        -> {"memory": bytes}
    {"choose": s}              tries each setting for about s seconds       -> {"setting", and "loss" or "error"}
    {"seconds": s}             measures the chosen one for about s seconds  -> {"time": seconds a step or call}
"""

import gc
import json
import os
import statistics
import sys
import time
import warnings
from itertools import repeat
from pathlib import Path

BLOCKS = 8  # of a measurement, whose median counts


class Clock:
    """Times a function in blocks of as many calls as fit, so that the clock itself costs nothing."""

    def __init__(self, call):
        self.call = call
        self.repeat = getattr(call, "repeat", self._repeat)
        call()
        self.each = self.repeat(1)
        if self.each < 0.02:
            self.each = min(self.repeat(1) for _ in range(3))

    def _repeat(self, times):
        """Seconds a call."""
        call, start = self.call, time.perf_counter()
        for _ in repeat(None, times):
            call()
        return (time.perf_counter() - start) / times

    def measure(self, seconds):
        """Seconds a call: the median of blocks that take about so long together, at least one call."""
        gc.collect()
        times = max(1, round(seconds / BLOCKS / self.each))
        if self.each < seconds:
            self.repeat(times)  # brings back the caches that others used
        blocks, end = [], time.perf_counter() + seconds
        while not blocks or time.perf_counter() < end:
            blocks.append(self.repeat(times))
        self.each = statistics.median(blocks)
        return self.each


class Session:
    """What the orders work on: a peer and, once prepared, the clocks of its settings for a rung."""

    def __init__(self, peer):
        self.peer = peer
        self.clocks, self.chosen = {}, None

    def prepare(self, task, rung):
        import rungs

        self.clocks, self.chosen = {}, None
        gc.collect()
        self.rung = rungs.TASKS[task][rung]
        if hasattr(self.rung, "layers") and not self.peer.architectures:
            from peers import Unfit

            raise Unfit
        failed = None
        for setting, make in getattr(self.peer, self.rung.what)(self.rung).items():
            try:
                self.clocks[setting] = Clock(make())
            except Exception as error:  # the others may do
                failed = error
        if not self.clocks:
            raise failed
        return {"ready": True}

    def choose(self, seconds):
        """Keep the fastest setting, and check what it computes."""
        import rungs

        best = min(self.clocks, key=lambda name: self.clocks[name].measure(seconds)) if len(self.clocks) > 1 else ""
        best = best or next(iter(self.clocks))
        self.chosen = self.clocks[best]
        self.clocks = {}
        answer = {"setting": best}
        if self.rung.what == "train":
            answer["steps"] = self.peer.steps(self.rung)
            answer["loss"] = self.peer.train(rungs.beginning(self.rung), shuffle=False)[best]()()
        elif self.rung.what == "predict":
            answer.update(self.rung.check(self.chosen.call()))
        return answer

    def measure(self, seconds):
        steps = self.peer.steps(self.rung) if self.rung.what == "train" else 1
        return {"time": self.chosen.measure(seconds) / steps}

    def memory(self, rung):
        """Bytes that training needs at its peak, beyond the library and the data, in a process that did no more."""
        import rungs

        def train(one):
            call = next(iter(self.peer.train(one).values()))()
            call()
            call()

        train(rungs.TRAINING[2])  # the library's own first time
        rung = rungs.ARCHITECTURES[rung]
        rungs.beginning(rung)  # makes the data
        gc.collect()
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts here again
        train(rung)
        return {"memory": resident("VmHWM") - before}

    def obey(self, order):
        try:
            if "task" in order:
                return self.prepare(order["task"], order["rung"])
            if "memory" in order:
                return self.memory(order["memory"])
            return self.choose(order["choose"]) if "choose" in order else self.measure(order["seconds"])
        except Exception as error:  # a peer that cannot do a rung is named, and the others go on
            return {"missing": f"{type(error).__name__}: {error}"}


def resident(which):
    """Bytes of memory that the process holds, or has held at most."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(which)) * 1024


def main():
    # Whatever a library prints goes to stderr; the pipe carries the answers alone.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    if os.environ["BENCH_THREADS"] == "1":
        # Whatever a library is told: JAX, told one thread, took 110 % of a core's peak on the widest network.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import peers

    peer = next(p for p in peers.PEERS if p.name == sys.argv[1])()

    def say(answer):
        out.write(json.dumps(answer) + "\n")

    try:
        say({"version": peer.version()})
    except (ImportError, peers.Unfit) as error:
        say({"missing": str(error)})
        return
    session = Session(peer)
    for line in sys.stdin:
        say(session.obey(json.loads(line)))


if __name__ == "__main__":
    main()
