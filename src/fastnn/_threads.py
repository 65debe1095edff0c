"""How many threads a call may take."""

import os

from ._core import binding
from ._data import positive_int

MOST_THREADS = 1024


def thread_count(threads) -> int:
    """The most threads a call may take: its own argument, the process's limit (threadpoolctl), or the default."""
    if threads is not None:
        return min(positive_int(threads, "threads"), MOST_THREADS)
    return binding.thread_limit() or default_thread_count()


def default_thread_count() -> int:
    """What holds where nobody says: FASTNN_NUM_THREADS, or the CPUs that the process may use."""
    wanted = os.environ.get("FASTNN_NUM_THREADS", "")
    if not wanted:
        return binding.cpu_count()
    if not wanted.isascii() or not wanted.isdigit() or int(wanted) < 1:
        raise ValueError(f"FASTNN_NUM_THREADS must be a positive integer, got {wanted!r}")
    return min(int(wanted), MOST_THREADS)
