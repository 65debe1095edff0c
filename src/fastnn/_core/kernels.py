"""Kernels as functions on arrays of either precision: random numbers, checks, elementary functions.

What initializers, the data edge and tests need of csrc without a program. Arrays of other dtypes are the caller's
mistake.
"""

import numpy as np

from . import f32


class _Engines(dict):
    """The engines by dtype. That of float64 is imported when it is first asked for: it takes a millisecond."""

    def __missing__(self, dtype):
        if dtype != np.float64:
            raise KeyError(dtype)
        from . import f64

        self[dtype] = f64
        return f64


_ENGINES = _Engines({np.dtype("float32"): f32})


def engine_of(dtype):
    """The engine module of a dtype: f32 or f64."""
    return _ENGINES[dtype if type(dtype) is np.dtype else np.dtype(dtype)]


def _filled(shape, dtype, fill) -> np.ndarray:
    out = np.empty(shape, dtype=dtype)
    if out.size:
        fill(out.reshape(-1))
    return out


def random_uniform(shape, low, high, seed, stream, dtype) -> np.ndarray:
    """Numbers in [low, high); number i is a function of (seed, stream, i) alone."""
    return _filled(shape, dtype, lambda out: engine_of(dtype).random_uniform(seed, stream, low, high, out))


def random_normal(shape, mean, deviation, seed, stream, dtype) -> np.ndarray:
    """Normally distributed numbers; number i is a function of (seed, stream, i) alone."""
    return _filled(shape, dtype, lambda out: engine_of(dtype).random_normal(seed, stream, mean, deviation, out))


def permutation(n, seed, stream) -> np.ndarray:
    """0 .. n-1 in a random order that is a function of (n, seed, stream) alone."""
    out = np.empty(n, dtype=np.int64)
    f32.permutation(seed, stream, out)
    return out


def first_nonfinite(array) -> int:
    """Flat index of the first infinite or NaN element of a C-contiguous array, or -1."""
    if not array.size:
        return -1
    return engine_of(array.dtype).first_nonfinite(array.reshape(-1))


def first_refused(array, missing) -> int:
    """Flat index of the first infinite element of a C-contiguous array, or NaN but in the features `missing`; or -1."""
    return engine_of(array.dtype).first_refused(array.reshape(-1, array.shape[-1]), missing)


def apply(name, array) -> np.ndarray:
    """exp, log, tanh, sigmoid or erf of every element of a C-contiguous array."""
    if not array.size:
        return array.copy()
    return engine_of(array.dtype).apply(name, array.reshape(-1)).reshape(array.shape)
