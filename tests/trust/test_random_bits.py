"""Random networks give the same bits at any number of threads, on every target: fit, predict, evaluate, gradients.

    python tests/trust/test_random_bits.py --count 200      (of the target in use; FASTNN_TARGET takes another)
    python tests/trust/test_random_bits.py --targets        (of all targets, each in a process of its own)

Networks are wide enough, and batches long enough, for their work to be shared out.
"""

import hashlib
import os
import subprocess
import sys

import command
import networks
import numpy as np
import pytest

from fastnn._core import binding

THREADS = (1, 2, 3, 4, 5, 7, 8, 16)
QUICK = 6


def results(seed, threads):
    """A digest of everything that a network computes."""
    dtype = ("float32", "float64")[seed % 2]
    drawn = networks.draw(seed, dtype, size=(4, 10, 16)[seed % 3])
    net, digest = drawn.network, hashlib.sha256()
    rows = len(drawn.X[0] if isinstance(drawn.X, list) else drawn.X)
    os.environ["FASTNN_NUM_THREADS"] = str(threads)  # of the calls that do not say
    with np.errstate(all="ignore"):
        history = net.fit(drawn.X, drawn.y, epochs=2, batch_size=rows // 2 + 1, threads=threads, verbose=0)
        outputs = net.predict(drawn.X, threads=threads)
        loss, gradients = net.loss_and_gradients(drawn.X, drawn.y)
        evaluated = net.evaluate(drawn.X, drawn.y)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for array in (net.params, np.array([*history["loss"], loss, evaluated["loss"]]), *outputs, *gradients.values()):
        digest.update(array.tobytes())
    return digest.hexdigest()


def check(seed):
    """The network of this seed at every number of threads."""
    expected = results(seed, THREADS[0])
    differing = [threads for threads in THREADS[1:] if results(seed, threads) != expected]
    assert not differing, f"other bits than with one thread at {differing} threads"


def on_target(target, *arguments):
    """The exit status of this file as a command, in a process on that target."""
    return subprocess.run(
        [sys.executable, __file__, *arguments], env={**os.environ, "FASTNN_TARGET": target}
    ).returncode


@pytest.mark.parametrize("target", binding.targets())
def test_bits_at_any_number_of_threads(target):
    assert on_target(target, "--count", str(QUICK)) == 0


if __name__ == "__main__":
    if "--targets" in sys.argv:
        sys.argv.remove("--targets")
        for name in binding.targets():
            print(name, flush=True)
            if on_target(name, *sys.argv[1:]):
                sys.exit(1)
    else:
        command.main(__doc__, check, count=200)
