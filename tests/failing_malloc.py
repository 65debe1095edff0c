"""Drives failing_malloc.c: calls a function again and again, each time with another allocation failing.

`build` compiles the library; a program that was started with it preloaded gives `survey` the operation and what must
hold after every failure. It is a module and not a plug-in of pytest, whose own allocations would fail too.
"""

import ctypes
import gc
import os
import shutil
import subprocess
import sys
from array import array
from pathlib import Path

HERE = Path(__file__).parent
SHORTAGES = ("once", "from then on")


def build(folder) -> Path | None:
    """The library, compiled into `folder`; None without a C compiler or on a system whose allocator is another."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or not sys.platform.startswith("linux") or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        return None
    library = Path(folder) / "failing_malloc.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", HERE / "failing_malloc.c", "-o", library], check=True)
    return library


def environment(library, every_object) -> dict:
    """For a program in which allocations may fail: those of arrays and larger blocks, or of every Python object too."""
    paths = [str(HERE), *sys.path]
    found = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(paths)}
    return {**found, "PYTHONMALLOC": "malloc"} if every_object else found


class Shortage:
    """The control of the preloaded library. Setting a number takes no memory."""

    def __init__(self):
        process = ctypes.CDLL(None)
        names = ("countdown", "onward", "failures", "live")
        self._at = {name: ctypes.c_long.in_dll(process, f"failing_malloc_{name}") for name in names}

    def call(self, function, n, onward):
        """(failed, error) of a call in which the n-th allocation fails; error is what it raised, or None."""
        countdown, always, failures = self._at["countdown"], self._at["onward"], self._at["failures"]
        failures.value = 0
        error = None
        always.value = onward
        countdown.value = n
        try:
            function()
        except BaseException as raised:  # whatever it is, it is told to the caller
            countdown.value = 0
            always.value = 0
            error = raised
        countdown.value = 0
        always.value = 0
        return failures.value, error

    def live(self):
        """Blocks that are allocated, after a collection."""
        gc.collect()
        return self._at["live"].value


def _others_forgot(error):
    """Whether it is what NumPy or CPython raises where code of its own finds no memory.

    NumPy's reductions and lookups of CPython (3.11: os.environ.get) end without an exception being set, which is a
    SystemError; of a path whose __fspath__ CPython could not look up it says that it is none.
    """
    if isinstance(error, TypeError):
        return str(error).endswith("os.PathLike object, not PosixPath")
    at = error.__traceback__
    while at.tb_next is not None:
        at = at.tb_next
    ours = Path(sys.modules["fastnn"].__file__).parent in Path(at.tb_frame.f_code.co_filename).parents
    return isinstance(error, SystemError) and not ours


def survey(function, check, *, numbers, onward, errors=(), repeats=4):
    """Fail allocation n of `function` for each of `numbers`, until one call needs fewer; returns how many calls failed.

    A call either succeeds (the failure was of no consequence, as that of a cache) or raises MemoryError or one of
    `errors`, and `check` must hold after both. Where a call failed it is repeated: the blocks alive must not grow
    with every repeat. Where they do they must grow in as many again, since caches can take a few calls to fill.
    """
    shortage, failed = Shortage(), 0
    counts = array("q", [0] * repeats)  # which keeps no objects alive
    for n in numbers:
        failures, error = shortage.call(function, n, onward)
        if not failures:
            return failed
        if error is not None and not isinstance(error, (MemoryError, *errors)) and not _others_forgot(error):
            raise AssertionError(f"allocation {n} failing gives {error!r}, not MemoryError") from error
        hash_copied = "not able to copy ctx" in str(getattr(error, "__cause__", None))
        error = None  # and with it the frames of the call
        check(n)
        failed += 1
        if hash_copied:  # hashlib of CPython 3.11 loses the copy of a hash that finds no memory
            continue
        for _ in range(2):
            for i in range(repeats):
                shortage.call(function, n, onward)
                counts[i] = shortage.live()
            grown = repeats and min(b - a for a, b in zip(counts, counts[1:], strict=False))
            if grown <= 0:
                break
        assert grown <= 0, f"allocation {n} leaks: {counts}"
    return failed
