"""What threadpoolctl has to know, so that `threadpool_limits(1)` holds for fastnn too.

threadpoolctl finds libraries among the shared objects of the process, by the name of the file and a symbol in it, and
whoever knows a library registers a controller for it. threadpoolctl is never imported on its behalf: who does not use
it does not pay for it.
"""

import sys

from ._core import binding
from ._threads import MOST_THREADS, default_thread_count, thread_count

_registered_with = None  # the module, once it knows fastnn


def register_threadpoolctl() -> None:
    """Makes ``threadpool_limits`` and ``threadpool_info`` of threadpoolctl cover fastnn's threads.

    Needed only where threadpoolctl is imported after fastnn and a limit is set before the first `Network` is made:
    importing fastnn and making a Network do the same when threadpoolctl is there by then. Doing it again changes
    nothing. A limit is of the whole process. It replaces ``FASTNN_NUM_THREADS`` and the number of CPUs as the threads
    of calls that do not say; a call's own ``threads=`` stands above it. Results do not depend on it.

    Raises:
        ImportError: threadpoolctl 3.2 or newer is not installed.

    >>> import fastnn as fnn
    >>> try:
    ...     import threadpoolctl
    ... except ImportError:
    ...     pass  # threadpoolctl is not installed: there is nothing to register with
    ... else:
    ...     fnn.register_threadpoolctl()
    ...     with threadpoolctl.threadpool_limits(1, user_api="fastnn"):
    ...         threads = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "fastnn"]
    ...     assert threads == [1]
    """
    try:
        import threadpoolctl
    except ImportError as error:
        raise ImportError("limits of threadpoolctl need threadpoolctl: pip install threadpoolctl") from error
    if not hasattr(threadpoolctl, "register"):
        raise ImportError(
            f"expected threadpoolctl 3.2 or newer, got {threadpoolctl.__version__}: pip install -U threadpoolctl"
        )
    _register(threadpoolctl)


def register_if_imported() -> None:
    """The same where threadpoolctl is imported already; otherwise nothing."""
    module = sys.modules.get("threadpoolctl")
    if module is not _registered_with and hasattr(module, "register"):
        _register(module)


def _register(module):
    global _registered_with
    if module is _registered_with:
        return

    class FastnnController(module.LibController):
        user_api = internal_api = "fastnn"
        # Other packages may have a "binding" too: the symbols tell them apart.
        filename_prefixes = (binding.__name__.rpartition(".")[2] + ".",)
        check_symbols = ("fastnn_get_num_threads", "fastnn_set_num_threads")

        def get_num_threads(self):
            return thread_count(None)

        def set_num_threads(self, num_threads):
            threads = min(max(int(num_threads), 1), MOST_THREADS)
            # Back at what holds without a limit, the number follows the environment and the CPUs again.
            self.dynlib.fastnn_set_num_threads(0 if threads == default_thread_count() else threads)

        def get_version(self):
            return sys.modules[__package__].__version__

    module.register(FastnnController)
    _registered_with = module
