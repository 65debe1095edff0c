"""Whether the kernels compute on this machine what they should: `python -m fastnn selftest`, in a few seconds.

The full tests of the kernels need a compiler; these need nothing but the installed package, and are for a CPU, a
system or a build that nobody has seen before. Products and functions are compared with NumPy in float64, the layers'
gradients with differences of the loss, float32 with float64, and several threads with one, bit for bit. Only the
target that this process runs is checked; FASTNN_TARGET names another.
"""

import math
import platform

import numpy as np

from . import layers
from ._compile import PRECISIONS
from ._core import binding, kernels
from .network import Network

_DTYPES = ("float32", "float64")
_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100)  # around the widths of vectors
_THREADS = 3


class Mismatch(Exception):
    """A kernel's result is not what it should be."""


def _compare(what, got, want, bound):
    """Raise Mismatch unless every |got - want| is within bound, a number or an array."""
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    off = np.abs(got - want) - bound
    if not (off <= 0).all():
        at = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
        raise Mismatch(f"{what}: element {tuple(map(int, at))} is {got[at]:.9g}, expected {want[at]:.9g}")


def _functions():
    """exp, log, tanh, sigmoid and erf, within four units in the last place."""
    rng = np.random.default_rng(0)
    references = {
        "exp": (np.exp, -20, 20),
        "log": (np.log, 1e-6, 50),
        "tanh": (np.tanh, -10, 10),
        "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -20, 20),
        "erf": (np.vectorize(math.erf), -5, 5),
    }
    for dtype in _DTYPES:
        for name, (reference, low, high) in references.items():
            for n in _SIZES:
                x = rng.uniform(low, high, n).astype(dtype)
                want = reference(x.astype(np.float64))
                _compare(
                    f"{name}, {dtype}, {n} numbers",
                    kernels.apply(name, x),
                    want,
                    4 * np.spacing(np.abs(want).astype(dtype)),
                )


def _products():
    """Matrix products in three orientations, each element within the rounding of its sum."""
    rng = np.random.default_rng(1)
    for dtype in _DTYPES:
        _products_of(dtype, "highest", rng, _SIZES, 0)


def _tiles():
    """Products of the lower precisions, in sizes that go to tiles of bfloat16 where the CPU has those."""
    rng = np.random.default_rng(2)
    for precision, rounding in [("high", 2**-16), ("medium", 2**-7)]:
        _products_of("float32", precision, rng, (64, 65, 95, 100, 128, 130), rounding)


def _products_of(dtype, precision, rng, sizes, rounding):
    """`rounding`: how far off a product of two numbers may be, relatively, beside its own dtype's rounding."""
    gemm, epsilon = kernels.engine_of(dtype).gemm, np.finfo(dtype).eps
    for i in range(150):
        m, n, k = (int(rng.choice(sizes)) for _ in range(3))
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        kind = ("nn", "nt", "tn")[i % 3]
        left = np.ascontiguousarray(a.T) if kind == "tn" else a
        right = np.ascontiguousarray(b.T) if kind == "nt" else b
        c = np.full((m, n), np.nan, dtype)
        gemm(kind, left, right, c, threads=1 + i % _THREADS, precision=PRECISIONS[precision])
        wide = a.astype(np.float64), b.astype(np.float64)
        bound = ((k + 3) * epsilon + rounding) * (np.abs(wide[0]) @ np.abs(wide[1]))
        _compare(f"product {kind}, {dtype}, precision {precision}, {m} x {k} x {n}", c, wide[0] @ wide[1], bound)


def _random_numbers():
    """Ranges, moments and permutations; the same numbers for the same seed."""
    for dtype in _DTYPES:
        uniform = kernels.random_uniform(100_000, 0.0, 1.0, 7, 9, dtype)
        normal = kernels.random_normal(100_000, 0.0, 1.0, 7, 9, dtype)
        if not (uniform.min() >= 0 and uniform.max() < 1):
            raise Mismatch(f"uniform numbers, {dtype}: they lie in {uniform.min()} .. {uniform.max()}, not in [0, 1)")
        error = 6 / math.sqrt(uniform.size)  # six standard deviations of a mean of numbers of variance one
        _compare(f"uniform numbers, {dtype}: mean and variance", [uniform.mean(), uniform.var()], [0.5, 1 / 12], error)
        _compare(f"normal numbers, {dtype}: mean and variance", [normal.mean(), normal.var()], [0, 1], 2 * error)
        _compare(
            f"uniform numbers, {dtype}, again", kernels.random_uniform(1000, 0.0, 1.0, 7, 9, dtype), uniform[:1000], 0
        )
    _compare("permutation", np.sort(kernels.permutation(1000, 3, 4)), np.arange(1000), 0)


def _networks():
    """{name: (layers, shape of a sample)}: small networks that use every family of kernels."""
    dense = layers.Dense

    def flat():
        return [layers.Flatten(), dense(3)]

    return {
        "dense": (lambda: [dense(13, "tanh"), layers.LayerNorm(), dense(9, "gelu"), dense(3)], (17,)),
        "batch normalization": (lambda: [dense(9), layers.BatchNorm(), dense(3, "softplus")], (5,)),
        "convolution": (
            lambda: [layers.Conv2D(5, 3, padding="same", activation="tanh"), layers.AvgPool2D(2), *flat()],
            (8, 8, 3),
        ),
        "depthwise": (lambda: [layers.Conv2D(4, 3, groups=4), layers.GlobalAvgPool2D(), dense(3)], (7, 6, 4)),
        "RNN": (lambda: [layers.RNN(9), dense(3)], (6, 4)),
        "GRU": (lambda: [layers.GRU(9), dense(3)], (6, 4)),
        "LSTM": (lambda: [layers.LSTM(9), dense(3)], (6, 4)),
        "attention": (
            lambda: [layers.MultiHeadAttention(2, causal=True), layers.RMSNorm(), layers.GlobalAvgPool1D(), dense(3)],
            (7, 6),
        ),
    }  # fmt: skip


def _network(name, dtype):
    make, shape = _networks()[name]
    net = Network(make(), loss="mse", dtype=dtype, seed=4)
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(11, *shape)).astype(dtype), rng.normal(size=(11, 3)).astype(dtype)
    net.build(shape)
    return net, X, y


def _gradients():
    """The gradient along random directions in float64, against central differences; that in float32 beside it."""
    rng = np.random.default_rng(6)
    for name in _networks():
        net, X, y = _network(name, "float64")
        _, gradients = net.loss_and_gradients(X, y)
        weights = net.get_weights()
        start = {key: value.copy() for key, value in weights.items()}
        for _ in range(3):
            direction = {key: rng.normal(size=value.shape) * (key in gradients) for key, value in start.items()}
            step, losses = 1e-5, []
            for sign in (1, -1):
                moved = {key: value + sign * step * direction[key] for key, value in start.items()}
                net.set_weights(moved)
                losses.append(net.loss_and_gradients(X, y)[0])
            slope = sum(float((gradients[key] * direction[key]).sum()) for key in gradients)
            _compare(f"gradient of {name}", (losses[0] - losses[1]) / (2 * step), slope, 1e-6 * (1 + abs(slope)))
        net.set_weights(start)
        single, X32, y32 = _network(name, "float32")
        single.set_weights({key: value.astype(np.float32) for key, value in start.items()})
        for key, value in single.loss_and_gradients(X32, y32)[1].items():
            _compare(
                f"gradient of {name} in float32, {key}",
                value,
                gradients[key],
                1e-4 * (1 + np.abs(gradients[key]).max()),
            )


def _threads():
    """Training and prediction on several threads give the bits of one."""
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(600, 70)).astype(np.float32), rng.normal(size=(600, 3)).astype(np.float32)
    found = []
    for threads in (1, 2, _THREADS):
        net = Network([layers.Dense(300, "relu"), layers.Dense(200, "tanh"), layers.Dense(3)], seed=9)
        net.fit(X, y, epochs=1, batch_size=200, threads=threads, verbose=False)
        found.append((net.params.copy(), net.predict(X, threads=threads)))
    for params, predicted in found[1:]:
        _compare("parameters after training on several threads", params, found[0][0], 0)
        _compare("predictions on several threads", predicted, found[0][1], 0)


CHECKS = {
    "elementary functions": _functions,
    "matrix products": _products,
    "products of bfloat16": _tiles,
    "random numbers": _random_numbers,
    "gradients of layers": _gradients,
    "bits on several threads": _threads,
}


def selftest() -> list[str]:
    """Check the kernels of this process's target against NumPy; prints a line for each check.

    Returns the names of the checks that failed, so an empty list is good news. Nothing is written, and nothing is sent.

    >>> from fastnn.selftest import selftest
    >>> failed = selftest()  # doctest: +ELLIPSIS
    target ...
    >>> failed
    []
    """
    others = [name for name in binding.targets() if name != binding.target_name()]
    features, machine = binding.target_features(), platform.machine()
    print(f"target {binding.target_name()} ({features}) on {machine}, {binding.cpu_count()} CPUs")
    if others:
        print(f"not checked: {', '.join(others)} (FASTNN_TARGET={others[0]} python -m fastnn selftest)")
    failed = []
    for name, check in CHECKS.items():
        try:
            check()
        except Mismatch as error:
            failed.append(name)
            print(f"FAILED  {name}: {error}")
        else:
            print(f"ok      {name}")
    return failed
