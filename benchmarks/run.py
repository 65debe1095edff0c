"""Measures every peer side by side and writes results, tables and plots.

    python benchmarks/run.py                  all rungs and peers, into benchmarks/results/
    python benchmarks/run.py --quick          short rounds, to see that it works
    python benchmarks/run.py --only train --rungs 2,3 --peers fastnn,JAX

Each peer runs in processes of its own, one for each number of threads, and they are measured in turns, round after round. The
figure of a peer is the median over the rounds with its better number of threads; min and max are kept beside it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import peers  # noqa: E402
import rungs  # noqa: E402
from machine import describe_machine, fma_peak  # noqa: E402


class Worker:
    """A process with one peer and one number of threads."""

    def __init__(self, peer, threads):
        self.peer, self.threads = peer, threads
        limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "FASTNN")}
        flags = "--xla_cpu_multi_thread_eigen=" + ("true" if threads > 1 else "false")
        environment = {**os.environ, **limits, "BENCH_THREADS": str(threads), "JAX_PLATFORMS": "cpu",
                       "XLA_FLAGS": f"{flags} intra_op_parallelism_threads={threads}"}  # fmt: skip
        command = [sys.executable, str(HERE / "worker.py"), peer]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1, env=environment
        )
        self.version, self.missing = None, None
        answer = self._answer()
        self.version, self.missing = answer.get("version"), answer.get("missing")

    def ask(self, **order):
        if self.missing:
            return {"missing": self.missing}
        self.process.stdin.write(json.dumps(order) + "\n")
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": "its process ended"}

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=20)


def measure(workers, task, index, seconds, rounds):
    """{peer: {median, min, max, threads, loss}} of one rung, the workers taking turns."""
    ready, losses = [], {}
    for worker in workers:
        answer = worker.ask(task=task, rung=index)
        if answer.get("ready"):
            ready.append(worker)
            losses[worker.peer] = answer["loss"]
        elif not answer.get("missing", "").startswith("LookupError"):
            print(f"{worker.peer}: {answer['missing']}")
    times = {worker: [] for worker in ready}
    for _ in range(rounds):
        for worker in ready:
            times[worker].append(worker.ask(seconds=seconds).get("time"))
    found = {}
    for worker, values in times.items():
        if None in values:
            continue
        figures = {"median": statistics.median(values), "min": min(values), "max": max(values), "threads": worker.threads,
                   "loss": losses[worker.peer]}  # fmt: skip
        if worker.peer not in found or figures["median"] < found[worker.peer]["median"]:
            found[worker.peer] = figures
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short rounds")
    parser.add_argument("--only", choices=["train", "predict"])
    parser.add_argument("--rungs", help="numbers of rungs, from 0, with commas")
    parser.add_argument("--peers", help="names of peers, with commas")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest.json")
    args = parser.parse_args()
    seconds, rounds = (0.05, 2) if args.quick else (0.3, 7)
    wanted = args.peers.split(",") if args.peers else [peer.name for peer in peers.PEERS]

    workers = [Worker(name, threads) for name in wanted for threads in thread_counts()]
    missing = {worker.peer: worker.missing for worker in workers if worker.missing}
    workers = [worker for worker in workers if not worker.missing]
    for name, why in missing.items():
        print(f"missing: {name} ({why})")
    results = {
        "machine": describe_machine(), "peak": fma_peak(), "versions": {w.peer: w.version for w in workers},
        "missing": missing, "commit": commit(), "date": time.strftime("%Y-%m-%d"), "python": platform.python_version(),
        "train": {}, "predict": {},
    }  # fmt: skip
    for task, ladder in (("train", rungs.TRAINING), ("predict", rungs.PREDICTION)):
        if args.only not in (None, task):
            continue
        for index, rung in enumerate(ladder):
            if args.rungs and str(index) not in args.rungs.split(","):
                continue
            found = measure(workers, task, index, seconds, rounds)
            results[task][rung.name] = found
            shown = ", ".join(f"{name} {f['median'] * 1e6:.4g} us ({f['threads']})" for name, f in found.items())
            print(f"{rung.name}: {shown}", flush=True)
    for worker in workers:
        worker.stop()
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written: {args.output}")


def thread_counts():
    return [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]


def commit():
    answer = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
