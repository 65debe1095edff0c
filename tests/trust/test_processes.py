"""Forks and other ways to make processes, at bad moments: no hang, no wrong number.

python tests/trust/test_processes.py --count 25          (rounds of 8 children)
"""

import hashlib
import multiprocessing
import os
import select
import signal
import threading
import time

import command
import numpy as np
import pytest

import fastnn as fnn
from fastnn import _locks

CHILDREN, SECONDS = 8, 120
X = np.random.default_rng(0).standard_normal((300, 128)).astype("float32")
Y = np.random.default_rng(1).standard_normal((300, 3)).astype("float32")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def network(seed=0):
    """Wide enough for two threads."""
    return fnn.Network([fnn.Dense(256, "relu"), fnn.Dropout(0.1), fnn.Dense(3)], input_shape=128, seed=seed)


def trained(seed=0):
    """What a network of its own computes, as a digest."""
    net = network(seed)
    net.fit(X, Y, epochs=2, batch_size=150, threads=2, verbose=0)
    return hashlib.sha256(net.params.tobytes() + net.predict(X, threads=2).tobytes()).hexdigest()


def predicted(net):
    return hashlib.sha256(net.predict(X, threads=2).tobytes() + net.predict(X[:1]).tobytes()).hexdigest()


def forked(work):
    """(process, pipe that gets the text that `work` returns in it)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        text = "nothing"
        try:
            text = work()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, text.encode())
            os._exit(0)
    os.close(writing)
    return child, reading


def collected(children):
    """What each child said; one that says nothing in time is ended, and an error here."""
    said, deadline = [], time.monotonic() + SECONDS
    for child, reading in children:
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
        said.append(os.read(reading, 10_000).decode() if ready else "hangs")
        os.close(reading)
        os.waitpid(child, 0)
    return said


def in_a_thread(work):
    """The result of `work`, run in a thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(SECONDS)
    return results[0]


def warm_pool(seed=0):
    """Children of a process whose workers are awake: each trains its own network and predicts with its parent's."""
    net, expected = network(7), trained(seed)
    own = predicted(net)
    said = collected([forked(lambda: trained(seed) + predicted(net)) for _ in range(CHILDREN)])
    assert said == [expected + own] * CHILDREN
    assert trained(seed) == expected


def from_a_thread(seed=0):
    expected = trained(seed)
    assert in_a_thread(lambda: collected([forked(lambda: trained(seed)) for _ in range(2)])) == [expected] * 2


def during_a_fit(seed=0):
    """Another thread trains and others predict when the process forks, so that any lock may be held."""
    busy, shared, stop, ready = network(1), network(2), [], threading.Event()
    expected, own = trained(seed), predicted(shared)

    def look(*_):
        ready.set()
        busy.stop_training = bool(stop)

    def ask():
        while not stop:
            shared.predict(X[:40], batch_size=7)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads.append(threading.Thread(target=lambda: busy.fit(
        X, Y, epochs=10**6, batch_size=50, threads=2, verbose=0, callbacks=[fnn.LambdaCallback(on_epoch_end=look)]
    )))  # fmt: skip
    for thread in threads:
        thread.start()
    ready.wait(SECONDS)

    def work():
        np.testing.assert_array_equal(np.isfinite(busy.predict(X)), True)
        try:
            busy.fit(X, Y)
        except RuntimeError as error:
            return trained(seed) + predicted(shared) + str(error)[:27]
        return "a network that a lost thread trains was trained"

    try:
        said = collected([forked(work) for _ in range(CHILDREN)])
    finally:
        stop.append(True)
        for thread in threads:
            thread.join(SECONDS)
    assert said == [expected + own + "this network is in training"] * CHILDREN


def with_a_lock_held(seed=0):
    """A thread holds what networks share as the process forks; the child has no such thread that would let go."""
    net, expected, inside = network(3), trained(seed), threading.Event()
    own = predicted(net)

    def hold():
        with _locks.brief:
            inside.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(SECONDS)
    assert collected([forked(lambda: trained(seed) + predicted(net))]) == [expected + own]
    holder.join(SECONDS)


WAYS = (warm_pool, from_a_thread, during_a_fit, with_a_lock_held)


@needs_fork
@pytest.mark.parametrize("way", WAYS)
def test_fork(way):
    way()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_start_methods(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    expected = [trained(seed) for seed in range(2)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(trained, range(2)).get(SECONDS) == expected


def test_joblib():
    joblib = pytest.importorskip("joblib")
    expected = [trained(seed) for seed in range(3)]
    for backend in ("loky", "multiprocessing", "threading"):
        jobs = joblib.Parallel(n_jobs=2, backend=backend, timeout=SECONDS)
        assert jobs(joblib.delayed(trained)(seed) for seed in range(3)) == expected
        net = network(5)
        jobs = joblib.Parallel(n_jobs=2, backend=backend, timeout=SECONDS)
        assert jobs(joblib.delayed(predicted)(net) for _ in range(2)) == [predicted(net)] * 2


if __name__ == "__main__":
    command.main(__doc__, lambda seed: [way(seed) for way in WAYS], count=25)
