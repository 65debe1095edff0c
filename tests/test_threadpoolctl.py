"""threadpoolctl's limits hold for fastnn: seen in the threads of fresh processes, since a pool once made stays."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastnn as fnn
from fastnn._core import binding
from fastnn._threads import thread_count

threadpoolctl = pytest.importorskip("threadpoolctl", "3.2", reason="threadpoolctl 3.2 or newer is not installed")
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")

# Work enough for several threads, with the process's threads counted before and after.
PRELUDE = """
import os
import numpy as np

def work(**threads):
    "Fits and predicts; returns how many threads the process gained by each."
    X = np.linspace(-1, 1, 512 * 256, dtype=np.float32).reshape(512, 256)
    counts = [len(os.listdir("/proc/self/task"))]
    net = fastnn.Network([fastnn.Dense(256, activation="tanh"), fastnn.Dense(8)], seed=0)
    net.fit(X, X[:, :8], epochs=1, batch_size=512, verbose=False, **threads)
    counts.append(len(os.listdir("/proc/self/task")))
    net.predict(np.tile(X, (16, 1)), **threads)
    counts.append(len(os.listdir("/proc/self/task")))
    return counts[1] - counts[0], counts[2] - counts[1]

def known():
    return [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "fastnn"]
"""


def run(code, threads=3):
    """What a fresh process prints, whose default is `threads` threads."""
    code = PRELUDE + textwrap.dedent(code)
    env = {**os.environ, "FASTNN_NUM_THREADS": str(threads), "PYTHONPATH": ":".join(sys.path)}
    env["FASTNN_TARGET"] = binding.target_name()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_a_limit_holds_in_fit_and_predict_and_ends_with_its_block():
    assert run(
        """
        import threadpoolctl, fastnn
        with threadpoolctl.threadpool_limits(1):
            print(known(), *work())
        print(known(), *work())
        """
    ) == ["[1] 0 0", "[3] 2 0"]


def test_predict_alone_is_limited():
    assert run(
        """
        import threadpoolctl, fastnn
        X = np.ones((1 << 14, 256), np.float32)
        net = fastnn.Network([fastnn.Dense(256)], seed=0).build(256)
        before = len(os.listdir("/proc/self/task"))
        for limit in 1, 2, 3:
            with threadpoolctl.threadpool_limits(limit, user_api="fastnn"):  # BLAS would make threads of its own
                net.predict(X)
            print(len(os.listdir("/proc/self/task")) - before)
        """
    ) == ["0", "1", "2"]


def test_limits_may_be_for_fastnn_alone_or_for_others_alone():
    assert run(
        """
        import threadpoolctl, fastnn
        with threadpoolctl.threadpool_limits({"fastnn": 2}):
            print(known(), *work())
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            print(known(), *work())
        """
    ) == ["[2] 1 0", "[3] 1 0"]


def test_a_calls_own_threads_stand_above_the_limit():
    assert run(
        """
        import threadpoolctl, fastnn
        with threadpoolctl.threadpool_limits(1):
            print(known(), *work(threads=2))
        """
    ) == ["[1] 1 0"]


@pytest.mark.parametrize(
    "order",
    [
        "import threadpoolctl, fastnn",
        "import fastnn, threadpoolctl; fastnn.register_threadpoolctl(); fastnn.register_threadpoolctl()",
        "import fastnn, threadpoolctl; threadpoolctl.threadpool_info(); fastnn.Network([fastnn.Dense(1)])",
    ],
    ids=["before", "registered", "a network"],
)
def test_whichever_is_imported_first(order):
    assert run(f"{order}\nprint(known())") == ["[3]"]


def test_info_tells_where_and_which():
    fnn.register_threadpoolctl()
    (info,) = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "fastnn"]
    assert info["internal_api"] == "fastnn" and info["version"] == fnn.__version__
    assert Path(info["filepath"]) == Path(binding.__file__).resolve()
    assert info["num_threads"] == thread_count(None)


def test_after_a_limit_the_number_follows_the_environment_again(monkeypatch):
    fnn.register_threadpoolctl()
    monkeypatch.setenv("FASTNN_NUM_THREADS", "4")
    with threadpoolctl.threadpool_limits(2, user_api="fastnn"):
        with threadpoolctl.threadpool_limits(5, user_api="fastnn"):
            assert thread_count(None) == 5
        assert thread_count(None) == 2 and thread_count(7) == 7
    assert thread_count(None) == 4
    monkeypatch.setenv("FASTNN_NUM_THREADS", "6")
    assert thread_count(None) == 6


def test_importing_fastnn_does_not_import_threadpoolctl():
    code = "import fastnn, sys; fastnn.Network([fastnn.Dense(1)]); print('threadpoolctl' in sys.modules)"
    assert run(code) == ["False"]
