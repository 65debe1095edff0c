"""The n-th allocation fails, n = 1, 2, ... until the call succeeds, once and from then on.

The call raises MemoryError (or succeeds without what it could not have), the parameters and the file on disk are as
they were, the next call gives the same bits, and no block of memory stays behind.
"""

import re
import subprocess
import sys
from pathlib import Path

import failing_malloc
import pytest

PROGRAM = Path(__file__).with_name("out_of_memory.py")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    built = failing_malloc.build(tmp_path_factory.mktemp("library"))
    if built is None:
        pytest.skip("needs a C compiler and glibc")
    return built


def failures(library, operation, first, step, onward, every_object):
    environment = failing_malloc.environment(library, every_object)
    command = [sys.executable, PROGRAM, operation, str(first), str(step), str(onward)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return int(re.search(r": (\d+) failures$", done.stdout, re.M)[1])


@pytest.mark.parametrize("onward", [0, 1], ids=failing_malloc.SHORTAGES)
@pytest.mark.parametrize("operation", ["predict", "fit", "save", "load"])
def test_no_array_or_block_is_taken_for_granted(library, operation, onward):
    assert failures(library, operation, 1, 1, onward, every_object=False) > 0


@pytest.mark.parametrize("operation", ["predict", "fit", "save", "load"])
def test_no_object_is_taken_for_granted(library, operation):
    """A sample, since Python makes thousands of objects; another part of it for every operation."""
    step = 61 if operation == "fit" else 211  # a fit that has its program makes few objects
    assert failures(library, operation, 1 + len(operation), step, 0, every_object=True) > 0
