"""What fastnn leaves as it was: signal handlers, warnings, random state, environment, floating-point mode, threads.

Import starts no thread; calls change nothing of the process but its worker threads, which belong to the pool, do not
grow from call to call, and sleep while nobody calls.
"""

import json
import locale
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn as fnn
from fastnn._core import binding

X = np.random.default_rng(0).standard_normal((256, 64)).astype("float32")
Y = np.random.default_rng(1).standard_normal((256, 2)).astype("float32")
# The mode of the processor, seen by its effects: denormals, the direction of rounding, and whether 1 / 0 traps.
DENORMAL, TINY = np.full(64, 1e-310), np.float64(2.0**-53)


def state_of_the_process():
    return {
        "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "warnings": [repr(one) for one in warnings.filters],
        "numpy random": repr(np.random.get_state()),
        "python random": hash(random.getstate()),
        "numpy errors": np.geterr(),
        "numpy printing": repr(np.get_printoptions()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "switch interval": sys.getswitchinterval(),
        "hooks": [sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace(), sys.getprofile()],
        "recursion": sys.getrecursionlimit(),
        "python threads": [thread.name for thread in threading.enumerate()],
        "denormals": float((DENORMAL * 0.5).sum()),
        "rounding": [float(np.float64(1.0) + TINY * 1.5), float(np.float64(-1.0) - TINY * 1.5), float(1.0 + TINY)],
        "path": [*sys.path],
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def everything(tmp_path):
    """Every public way to compute, errors included."""
    net = fnn.Network([fnn.Dense(64, "relu"), fnn.Dropout(0.1), fnn.Dense(2)], metrics=["mae"], seed=0)
    net.fit(X, Y, epochs=2, batch_size=256, validation_split=0.2, threads=4, verbose=0)
    net.predict(X, threads=4)
    net.predict(X[:1])
    net.predictor()(X[0])
    net.evaluate(X, Y)
    net.train_on_batch(X, Y)
    net.lr_find(X, Y, steps=5)
    net.save(tmp_path / "model")
    fnn.load(tmp_path / "model").predict(X)
    net.optimizer = fnn.LBFGS()
    net.layers[1].trainable = False
    with pytest.raises(ValueError):
        net.fit(X, Y[:3])
    with pytest.raises(ValueError):
        net.predict(np.full((1, 64), np.nan))
    fnn.Network([fnn.Dense(1)], loss=fnn.losses.MSE(), optimizer=fnn.LBFGS(), seed=0).fit(X, Y[:, :1], verbose=0)
    with pytest.warns(fnn.NonFiniteWarning):
        fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(1e30), seed=0).fit(X, Y[:, :1], epochs=9, verbose=0)
    fnn.Network([fnn.Dense(1)], seed=None).build(3)


def test_calls_leave_the_process_as_it_was(tmp_path):
    before = state_of_the_process()
    everything(tmp_path)
    after = state_of_the_process()
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {}


def test_import_leaves_the_process_as_it_was():
    """And starts no thread; nor do networks that are too small for one."""
    code = """
import json, os, signal, sys, threading, warnings, numpy as np
def state():
    tasks = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else threading.active_count()
    handlers = [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())]
    return [tasks, handlers, [repr(f) for f in warnings.filters], repr(np.random.get_state()),
            dict(os.environ), np.geterr(), sys.getswitchinterval(), os.getcwd()]
before = state()
import fastnn as fnn
after = state()
net = fnn.Network([fnn.Dense(2)], input_shape=2)
net.predict([[1, 2]])
print(json.dumps([before == after, after == state()]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, True]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts threads by /proc")
def test_threads_neither_grow_nor_work_while_nobody_calls():
    net = fnn.Network([fnn.Dense(512, "relu"), fnn.Dense(2)], seed=0)

    def work():
        net.fit(X, Y, epochs=3, batch_size=256, threads=3, verbose=0)
        net.predict(X, threads=3)

    most = max(2, binding.pool_size())  # tests before this one may have made more
    work()
    counts = []
    for _ in range(20):
        work()
        counts.append((len(os.listdir("/proc/self/task")), binding.pool_size()))
    assert len(set(counts)) == 1 and counts[0][1] <= most
    time.sleep(0.05)  # the workers look for more work for a twentieth of a millisecond
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
