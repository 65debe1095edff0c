"""Measures every peer side by side and writes the results.

    python benchmarks/run.py                  everything, into benchmarks/results/latest.json; some ten minutes
    python benchmarks/run.py --quick          the same in short rounds, to see that it works
    python benchmarks/run.py --only train --rungs 2,3 --peers fastnn,JAX
    python benchmarks/run.py --only gemm --rungs 64-32

Each peer runs in processes of its own, one for each number of threads, and they are measured in turns, round after
round, while all others are stopped. A run of a part or in short rounds writes no file unless --output names one.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import package  # noqa: E402
import peers  # noqa: E402
import results  # noqa: E402
import rungs  # noqa: E402
from machine import describe_machine, fma_peak, thread_counts  # noqa: E402

PARTS = (*results.TASKS, "memory", "package")
# Seconds of a measurement and rounds of it; products are short and many. `choose`: for each setting of a peer.
FULL = {"train": (0.15, 7), "predict": (0.12, 7), "gemm": (0.012, 5), "choose": 0.1}
QUICK = {"train": (0.05, 2), "predict": (0.03, 2), "gemm": (0.002, 2), "choose": 0.02}
# Two cores share these calls. Where a machine gives its second core only at times, as virtual ones do, their times come
# in two heaps, and of seven rounds the median fell now into the one, now into the other.
FULL |= {"architectures": (0.1, 15), "answers": (0.1, 15)}
QUICK |= {"architectures": (0.05, 2), "answers": (0.03, 2)}
MEMORY = ("fastnn", "PyTorch eager")  # whose memory in training is compared


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
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env=environment,
        )

    def order(self, **order):
        if self.process.poll() is None:
            self.send("SIGCONT")
            self.process.stdin.write(json.dumps(order) + "\n")

    def answer(self):
        line = self.process.stdout.readline()
        self.send("SIGSTOP")
        return json.loads(line) if line else {"missing": "its process ended"}

    def ask(self, **order):
        self.order(**order)
        return self.answer()

    def send(self, name):
        """Stops the process between its turns, or lets it go on: threads that wait by spinning would take a core."""
        if hasattr(signal, name) and self.process.poll() is None:
            self.process.send_signal(getattr(signal, name))


def stop(workers):
    for worker in workers:
        worker.send("SIGCONT")
        worker.process.stdin.close()
    for worker in workers:
        worker.process.wait(timeout=60)


def start(wanted, counts):
    """Workers of the peers that are there, for each number of threads; {peer: version}; {peer: why} of the others."""
    chosen = [peer for peer in peers.PEERS if peer.name in wanted]
    workers = [Worker(peer.name, n) for peer in chosen for n in (counts if peer.threaded else [1])]
    ready, versions, missing = [], {}, {}
    for worker in workers:  # all are started before the first is waited for
        answer = worker.answer()
        if "version" in answer:
            versions[worker.peer] = answer["version"]
            ready.append(worker)
        else:
            missing[worker.peer] = answer["missing"]
    return ready, versions, missing


def prepare(workers, task, index, seconds):
    """The workers that can do the rung, each with its fastest setting chosen; and {peer: what they said}."""
    for worker in workers:
        worker.order(task=task, rung=index)
    built = [(worker, worker.answer()) for worker in workers]
    ready, said = [], {}
    for worker, answer in built:
        if "ready" in answer:
            answer = worker.ask(choose=seconds)
        if "setting" in answer:
            ready.append(worker)
            said.setdefault(worker.peer, {})[str(worker.threads)] = answer
        elif not answer["missing"].startswith("Unfit"):
            print(f"  {worker.peer} on {worker.threads} threads: {answer['missing']}", flush=True)
    return ready, said


def measure(workers, task, index, plan):
    """{peer: entry} of one rung, the workers taking turns."""
    seconds, rounds = plan[task]
    ready, said = prepare(workers, task, index, plan["choose"] if task != "gemm" else seconds)
    times = {worker: [] for worker in ready}
    shuffled = random.Random(0)
    for _ in range(rounds):
        # In a new order: what one leaves in the machine's caches and clocks would always meet the same peer.
        for worker in shuffled.sample(ready, len(ready)):
            times[worker].append(worker.ask(seconds=seconds).get("time"))
    found = {}
    for worker, values in times.items():
        if None in values:
            continue
        answers = said[worker.peer]
        entry = found.setdefault(worker.peer, {"times": {}, "setting": {}})
        entry["times"][str(worker.threads)] = sorted(float(f"{value:.4g}") for value in values)
        entry["setting"][str(worker.threads)] = answers[str(worker.threads)]["setting"]
        for key in ("loss", "error", "steps"):
            if answers[str(worker.threads)].get(key) is not None:
                entry[key] = answers[str(worker.threads)][key]
    return found


def memory(names, words):
    """{architecture: {peer: bytes}}, each in a process of its own, on two threads where there are two."""
    found = {}
    for index, rung in chosen(rungs.ARCHITECTURES, words):
        for name in names:
            worker = Worker(name, max(thread_counts()))
            worker.answer()
            answer = worker.ask(memory=index)
            stop([worker])
            if "memory" in answer:
                found.setdefault(rung.name, {})[name] = answer["memory"]
        print(f"  {rung.name}: {({n: round(b / 1e6, 1) for n, b in found.get(rung.name, {}).items()})}", flush=True)
    return found


def chosen(ladder, words):
    """(number, rung) of the rungs asked for by number or a part of the name; what a call costs is always among them."""
    words = words.split(",") if words else [""]

    def wanted(i, rung):
        return rung in rungs.CALLS or any(w == str(i) or not w.isdigit() and w in rung.name for w in words)

    return [(i, rung) for i, rung in enumerate(ladder) if wanted(i, rung)]


def show(task, rung, found):
    ranked = sorted(results.figures(found).items(), key=lambda pair: pair[1].median)
    shown = ", ".join(f"{name} {f.median * 1e6:.4g} ({f.threads})" for name, f in ranked)
    print(f"  {rung.name}: {shown}" if shown else f"  {rung.name}: no peer", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short rounds")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone (repeat it for more)")
    parser.add_argument("--rungs", help="numbers of rungs, from 0, or parts of their names, with commas")
    parser.add_argument("--peers", help="names of peers, with commas: " + ", ".join(peer.name for peer in peers.PEERS))
    parser.add_argument("--output", type=Path, help="default: benchmarks/results/latest.json, for a full run alone")
    args = parser.parse_args()
    if not (args.quick or args.only or args.rungs or args.peers or args.output):
        args.output = HERE / "results" / "latest.json"
    known = [peer.name for peer in peers.PEERS]
    args.peers = args.peers.split(",") if args.peers else known
    if unknown := set(args.peers) - set(known):
        parser.error(f"--peers: no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return args


def main():
    args = arguments()
    plan = QUICK if args.quick else FULL
    parts = args.only or PARTS
    began = time.perf_counter()

    def progress(text):
        print(f"[{time.perf_counter() - began:4.0f} s] {text}", flush=True)

    progress("starting the peers")
    workers, versions, missing = start(args.peers, thread_counts())
    for name, why in missing.items():
        print(f"  missing: {name} ({why})")
    progress("multiply-add peak")
    peak = fma_peak()
    found = {
        "machine": describe_machine(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "python": platform.python_version(),
        "versions": versions,
        "missing": missing,
        "peak": peak,
    }
    for task in results.TASKS:
        if task not in parts:
            continue
        found[task] = {}
        ladder = chosen(rungs.TASKS[task], args.rungs)
        for done, (index, rung) in enumerate(ladder):
            if task != "gemm" or done % 15 == 0:
                progress(f"{task}, {done + 1} of {len(ladder)}; microseconds, threads in brackets")
            answer = measure(workers, task, index, plan)
            found[task][rung.name] = answer
            show(task, rung, answer)
    stop(workers)
    if "memory" in parts:
        progress("memory of a training step; MB")
        found["memory"] = memory([name for name in MEMORY if name in versions], args.rungs)
    if "package" in parts:
        progress("import time and wheel")
        found["import"], found["wheel"] = package.import_times(3 if args.quick else 15), package.wheel_size()
    # The machine may have been slower at first; the highest peak of the run counts.
    if peak:
        found["peak"] = {
            threads: max(rate, again) for (threads, rate), again in zip(peak.items(), fma_peak().values(), strict=True)
        }
    if args.output:
        results.write(args.output, found)
    progress(f"written: {args.output}" if args.output else "done; no file was asked for")


def commit():
    """The commit that was measured, marked where the files differ from it."""

    def git(*command):
        return subprocess.run(["git", "-C", str(HERE), *command], capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src", "../csrc")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


if __name__ == "__main__":
    main()
