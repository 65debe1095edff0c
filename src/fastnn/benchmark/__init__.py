"""`python -m fastnn bench`: this machine's fastnn beside pure Python and NumPy, and the peers that are installed.

Training steps of small networks, timed side by side in one run. The networks written in pure Python and in NumPy are
here too, to be read. The timing itself runs in a process of its own for each network, because the BLAS under NumPy
takes its number of threads from the environment, once: one thread or all, whichever is faster for that network.
"""

import argparse
import os
import subprocess
import sys

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def main(argv=None) -> int:
    """Run the comparison and print a table for each network."""
    parser = argparse.ArgumentParser(prog="python -m fastnn bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--network", type=_sizes, help="layer sizes, as 784-128-10 (default: two networks)")
    parser.add_argument("--batch", type=_positive, default=32, help="rows of a batch for --network (default: 32)")
    parser.add_argument("--seconds", type=_seconds, default=1.0, help="time for each contender (default: 1)")
    arguments = parser.parse_args(argv)

    from .contenders import CONTENDERS
    from .report import machine
    from .workloads import WORKLOADS, Workload

    print(machine())
    for contender in CONTENDERS:
        if not contender.installed():
            print(f"{contender.name} is not installed and left out.")
    workloads = [Workload(arguments.network, arguments.batch)] if arguments.network else WORKLOADS
    for workload in workloads:
        threads = min((1, os.cpu_count() or 1), key=lambda n: float(_child(workload, 0.2, n, "--probe")))
        print(f"\n{_child(workload, arguments.seconds, threads)}", flush=True)
        print(f"(NumPy's BLAS on {threads} of {os.cpu_count()} threads, the faster here)")
    return 0


def _child(workload, seconds, threads, *options) -> str:
    """What `python -m fastnn.benchmark` prints for this network, with so many threads for the BLAS."""
    sizes = "-".join(map(str, workload.sizes))
    command = [sys.executable, "-m", "fastnn.benchmark", sizes, str(workload.batch_size), str(seconds), *options]
    environment = {**os.environ, **dict.fromkeys(BLAS_THREADS, str(threads))}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _sizes(text):
    sizes = tuple(_positive(part) for part in text.split("-"))
    if len(sizes) < 2 or sizes[-1] < 2:
        raise argparse.ArgumentTypeError(
            f"expected layer sizes as 784-128-10, ending in two classes or more, got {text}"
        )
    return sizes


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return int(text)


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds
