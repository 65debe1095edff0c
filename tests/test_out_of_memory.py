"""The n-th allocation fails, n = 1, 2, ... until the call succeeds, once and from then on.

The call raises MemoryError (or succeeds without what it could not have), the parameters and the file on disk are as
they were, the next call gives the same bits, and no block of memory stays behind.

    python tests/test_out_of_memory.py            every object that Python makes, too: minutes
    python tests/test_out_of_memory.py fit save   of these operations alone
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import failing_malloc
import pytest

PROGRAM = Path(__file__).with_name("out_of_memory.py")
OPERATIONS = (
    "predict", "predict anew", "predictor", "a predictor", "fit", "fit anew", "train_on_batch", "solver", "lr_find",
    "evaluate", "loss_and_gradients", "activations", "input_gradient", "jacobian", "get_weights", "set_weights",
    "summary", "save", "load", "pickle",
)  # fmt: skip
# What these ask for is objects; or NumPy and print lose what they hold when they find no memory for an array.
OBJECTS_ALONE = ("predict anew", "fit anew", "predictor", "input_gradient", "summary")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    built = failing_malloc.build(tmp_path_factory.mktemp("library"))
    if built is None:
        pytest.skip("needs a C compiler and glibc")
    return built


def failures(library, operation, first, step, onward, every_object):
    environment = failing_malloc.environment(library, every_object)
    command = [sys.executable, PROGRAM, operation, str(first), str(step), str(onward)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return int(re.search(r": (\d+) failures$", done.stdout, re.M)[1])


@pytest.mark.parametrize("onward", [0, 1], ids=failing_malloc.SHORTAGES)
@pytest.mark.parametrize("operation", sorted({*OPERATIONS} - {*OBJECTS_ALONE}))
def test_no_array_or_block_is_taken_for_granted(library, operation, onward):
    assert failures(library, operation, 1, 1, onward, every_object=False) > 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_object_is_taken_for_granted(library, operation):
    """A sample, since Python makes thousands of objects; another part of it for every operation."""
    step = 211 if "anew" in operation or operation in ("save", "load") else 61  # few objects where there is a program
    assert failures(library, operation, 1 + len(operation) % 4, step, 0, every_object=True) > 0


def main(operations):
    """Every allocation of every operation fails once; one that breaks a promise ends the run with its number.

    Once, since CPython 3.11 does not outlive a lasting shortage of small objects: it enters a `finally` by way of a new
    int, tries again for ever where there is no memory for it, and gives up the process where an exception finds none.
    """
    with tempfile.TemporaryDirectory() as folder:
        built = failing_malloc.build(folder)
        if built is None:
            raise SystemExit("needs a C compiler and glibc")
        for operation in operations or OPERATIONS:
            began = time.monotonic()
            failed = failures(built, operation, 1, 1, 0, every_object=True)
            print(f"{operation}: {failed} allocations, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
