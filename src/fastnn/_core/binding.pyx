"""Chooses the kernel target at import and is the one extension that csrc is linked into.

FASTNN_TARGET forces a target (baseline, avx2, avx512, ...); a name that is unknown or that this CPU cannot run is an
ImportError, never a crash later. The two engine modules reach the kernels through `target`, exported in binding.pxd.
"""
import os

from cpython.pythread cimport PyThread_get_thread_ident

cdef extern from "fastnn.h":
    int fnn_targets(const fnn_target *const **list) nogil
    const fnn_target *fnn_find_target(const char *name) nogil
    unsigned fnn_flush_denormals() nogil
    void fnn_set_fp_mode(unsigned mode) nogil
    int fnn_cpu_count() nogil
    size_t fnn_cache_size(int level) nogil
    void fnn_assume_tiles(int there) nogil
    void fnn_parallel(int threads, int64_t chunks, fnn_task task, void *arg) nogil
    void fnn_set_watch(fnn_watch *watch) nogil
    int fnn_stopped() nogil
    int fastnn_get_num_threads() nogil
    int fnn_pool_size() nogil
    void fnn_pool_shutdown() nogil


cdef void run_parallel(int threads, int64_t chunks, fnn_task task, void *arg) noexcept nogil:
    fnn_parallel(threads, chunks, task, arg)


cdef void set_watch(fnn_watch *watch) noexcept nogil:
    fnn_set_watch(watch)


cdef bint stopped() noexcept nogil:
    return fnn_stopped()


cdef unsigned flush_denormals() noexcept nogil:
    return fnn_flush_denormals()


cdef void set_fp_mode(unsigned mode) noexcept nogil:
    fnn_set_fp_mode(mode)


def targets():
    """Names of the compiled targets that this CPU can run, best first."""
    cdef const fnn_target *const *known
    cdef int count = fnn_targets(&known), i
    return [known[i].name.decode() for i in range(count) if known[i].supported()]


cdef const fnn_target *_choose() except NULL:
    cdef const fnn_target *found
    wanted = os.environ.get("FASTNN_TARGET", "")
    if wanted:
        name = wanted.encode()
        found = fnn_find_target(name)
        if found is NULL:
            raise ImportError(f"FASTNN_TARGET={wanted!r}: expected one of {', '.join(targets())}")
        return found
    return fnn_find_target(NULL)


target = _choose()


def target_name():
    return target.name.decode()


def target_features():
    return target.features.decode()


def tiles():
    """Whether precision "high" and "medium" run on tiles of bfloat16; the first call asks the kernel for their use."""
    return bool(target.tiles())


def assume_tiles(bint there):
    """For tests, which emulate them: takes tiles for there, or asks again."""
    fnn_assume_tiles(there)


def cpu_count():
    """CPUs that this process may use: affinity and cgroup limits counted in."""
    return fnn_cpu_count()


def cache_size(int level):
    """Size in bytes of the cache of that level."""
    return fnn_cache_size(level)


def thread_limit():
    """The threads of calls that do not say, as a tool such as threadpoolctl has set them; 0 for not set."""
    return fastnn_get_num_threads()


cdef int precision_within(int precision) noexcept nogil:
    """The precision of matrix products that a program may ask for: the highest where there are no tiles for the others."""
    return precision if precision != 0 and target.tiles() else 0


cdef int threads_within(int threads) noexcept nogil:
    """`threads`, or the process's limit where that is lower."""
    cdef int limit = fastnn_get_num_threads()
    return limit if 0 < limit < threads else threads


def pool_size():
    """Worker threads now alive."""
    return fnn_pool_size()


def pool_shutdown():
    """Ends the worker threads; the next parallel work makes new ones."""
    with nogil:
        fnn_pool_shutdown()


def bytes_to_alignment(const uint8_t[::1] data, int alignment):
    """How many bytes after the first of `data` an address is a multiple of `alignment`."""
    return (alignment - <size_t>&data[0] % alignment) % alignment


cdef class Exclusive:
    """`with exclusive:` has one holder at a time; a second one gets RuntimeError(refusal) and does not wait.

    In C because it is held across Ctrl-C: a context manager written in Python can be interrupted at the first
    instruction of its __exit__, and then never lets go.
    """
    cdef str refusal
    cdef bint held
    cdef unsigned long holder

    def __init__(self, str refusal not None):
        self.refusal = refusal

    def __enter__(self):
        if self.held:
            raise RuntimeError(self.refusal)
        self.held, self.holder = True, PyThread_get_thread_ident()

    def __exit__(self, *error):
        self.held = False

    @property
    def is_mine(self):
        """Whether the calling thread holds it."""
        return self.held and self.holder == PyThread_get_thread_ident()
