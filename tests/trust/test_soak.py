"""Millions of calls: resident memory, threads and descriptors stay flat.

python tests/trust/test_soak.py --count 1000000          (predictions; and a hundredth as many fits, saves and loads)
"""

import argparse
import contextlib
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn

GROWTH = 2 << 20  # bytes that allocators may take later on: pages of the heap that happen to be touched
QUICK = 20_000
ROUNDS = 10
X = np.random.default_rng(0).standard_normal((64, 8)).astype("float32")
Y = np.random.default_rng(1).standard_normal((64, 2)).astype("float32")


def used():
    """(resident bytes, threads, descriptors) of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE"), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def network():
    layers = [fnn.Dense(16, "relu"), fnn.BatchNorm(), fnn.Dropout(0.1), fnn.Dense(2)]
    return fnn.Network(layers, input_shape=8, seed=0, metrics=["mae"])


def predictions(net, count, folder):
    """Of one row, of many, of changing numbers of rows, with errors between."""
    for i in range(count):
        net.predict(X[: 1 + i % 64])
        if i % 100 == 0:
            net.predict(X, batch_size=1 + i % 50, threads=1 + i % 2)
            with contextlib.suppress(ValueError):
                net.predict(X[:, :3])


def fits(net, count, folder):
    for i in range(count // 100):
        net.fit(X, Y, batch_size=(2, 3, 4, 6, 8, 12, 16, 24)[i % 8], validation_split=0.25, verbose=0)
        if i % 10 == 0:
            network().fit(X, Y, verbose=0)


def saves(net, count, folder):
    path = os.path.join(folder, "model")
    for _ in range(count // 100):
        net.save(path)
        fnn.load(path).predict(X)


def soak(work, count, say=lambda text: None):
    """Runs `count` calls in rounds; the growth of (memory, threads, descriptors) after the first few of them."""
    with tempfile.TemporaryDirectory() as folder:
        net, seen = network(), []
        net.fit(X, Y, verbose=0, threads=2)
        for number in range(ROUNDS):
            begin = time.perf_counter()
            work(net, count // ROUNDS, folder)
            seen.append(used())
            say(f"{work.__name__} {number + 1} of {ROUNDS}: {seen[-1][0] / 2**20:.1f} MB, {seen[-1][1]} threads, "
                f"{seen[-1][2]} descriptors, {time.perf_counter() - begin:.0f} s")  # fmt: skip
    first = seen[ROUNDS // 3]
    return [last - before for last, before in zip(seen[-1], first, strict=True)]


WORKS = (predictions, fits, saves)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="measures by /proc")
@pytest.mark.parametrize("work", WORKS)
def test_soak(work):
    memory, threads, descriptors = soak(work, QUICK)
    assert memory <= GROWTH and threads <= 0 and descriptors <= 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    count, failed = parser.parse_args().count, False
    for work in WORKS:
        memory, threads, descriptors = soak(work, count, lambda text: print(text, flush=True))
        print(
            f"{work.__name__}: {memory / 1024:+.0f} KB, {threads:+d} threads, {descriptors:+d} descriptors", flush=True
        )
        failed |= memory > GROWTH or threads > 0 or descriptors > 0
    sys.exit(failed)
