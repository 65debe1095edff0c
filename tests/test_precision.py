"""Precision "high" and "medium": on tiles of bfloat16, which an emulator brings where the CPU has none, and without.

The kernels are those that were installed; `csrc/tests/tile_emulator.c` handles the instructions that this CPU does not
know. Every shape, orientation and option is the C harness's affair; here it is what a network makes of them.
"""

import ctypes
import shutil
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn import selftest
from fastnn._core import binding

EMULATOR = Path(__file__).parent.parent / "csrc" / "tests" / "tile_emulator.c"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    if binding.target_name() != "avx512" or binding.tiles():
        yield None
        return
    library = tmp_path_factory.mktemp("emulator") / "tile_emulator.so"
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler for the emulator of tiles")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, EMULATOR], check=True)
    yield ctypes.CDLL(library)


@pytest.fixture
def tiles(emulator):
    """Tiles, the CPU's own or emulated."""
    if emulator is not None:
        if not emulator.emulate_tiles():
            pytest.skip("tiles are emulated beside the CPU's own AVX512-BF16, which it has not")
        binding.assume_tiles(True)
    elif not binding.tiles():
        pytest.skip(f"the target {binding.target_name()} has no tiles")
    yield
    binding.assume_tiles(False)


def report():
    with redirect_stdout(StringIO()):
        return fnn.show_config()["precision"]


def network(layers, precision, **settings):
    return fnn.Network(layers, precision=precision, seed=3, **settings)


def dense(precision, **settings):
    return network([fnn.Dense(128, "relu"), fnn.Dense(10, "softmax")], precision, **settings)


# Of each kind whose products may go to tiles, as wide as that takes, with an odd size.
NETWORKS = {
    "dense": ([fnn.Dense(70, "tanh"), fnn.Dense(65, "gelu")], (96, 70)),
    "conv": ([fnn.Conv2D(64, 3, padding="same"), fnn.Conv2D(72, 5, stride=2), fnn.Flatten()], (4, 12, 12, 64)),
    "pointwise": ([fnn.Conv2D(80, 1), fnn.GlobalAvgPool2D(), fnn.Dense(3)], (4, 9, 9, 66)),
    "lstm": ([fnn.LSTM(64, return_sequences=True), fnn.Dense(65)], (70, 5, 66)),
    "gru": ([fnn.GRU(64), fnn.Dense(2)], (66, 4, 64)),
    "transformer": ([fnn.TransformerBlock(4, 128), fnn.Dense(64)], (4, 24, 64)),
}


def gradients(kind, precision, dtype="float32"):
    layers, shape = NETWORKS[kind]
    X = np.random.default_rng(5).normal(size=shape).astype(dtype)
    net = network(layers, precision, dtype=dtype, loss="mse").build(shape[1:])
    y = np.random.default_rng(6).normal(size=net.predict(X).shape).astype(dtype)
    _, found = net.loss_and_gradients(X, y)
    return net.predict(X), np.concatenate([g.ravel() for g in found.values()])


def error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize("kind", NETWORKS)
def test_predictions_and_gradients_are_those_of_float32_as_far_as_the_precision_goes(tiles, kind):
    want = gradients(kind, "highest", "float64")
    single = [error(got, right) for got, right in zip(gradients(kind, "highest"), want, strict=True)]
    for precision, allowed in [("high", 1e-5), ("medium", 1e-2)]:
        for got, right, rounding in zip(gradients(kind, precision), want, single, strict=True):
            assert error(got, right) < allowed + 2 * rounding


def test_it_is_the_tiles_that_work(tiles, emulator):
    if emulator is None:
        pytest.skip("the CPU's own tiles are not counted")
    before = emulator.tiles_multiplied()
    gradients("dense", "high")
    high = emulator.tiles_multiplied() - before
    gradients("dense", "medium")
    assert high == 3 * (emulator.tiles_multiplied() - before - high) > 0
    before = emulator.tiles_multiplied()
    gradients("dense", "highest")
    assert emulator.tiles_multiplied() == before


def test_the_selftest_passes_on_tiles(tiles):
    selftest.CHECKS["products of bfloat16"]()


def test_training_on_tiles_learns_as_in_float32(tiles):
    X, y = fnn.datasets.load_digits()
    test = np.arange(len(X)) % 4 == 0
    runs = {}
    for precision in ("highest", "high", "medium"):
        net = dense(precision, optimizer=fnn.Adam(0.003), metrics=["accuracy"])
        history = net.fit(X[~test], y[~test], epochs=6, batch_size=64, verbose=False)
        runs[precision] = history["loss"], net.evaluate(X[test], y[test])
    losses, scores = runs["highest"]
    np.testing.assert_allclose(runs["high"][0], losses, rtol=1e-4)
    np.testing.assert_allclose(runs["medium"][0], losses, rtol=0.05)
    assert scores["accuracy"] > 0.95
    assert abs(runs["high"][1]["accuracy"] - scores["accuracy"]) < 0.004
    assert abs(runs["medium"][1]["accuracy"] - scores["accuracy"]) < 0.015


def test_the_bits_do_not_depend_on_the_threads(tiles):
    weights = []
    X = np.random.default_rng(0).normal(size=(192, 300)).astype("float32")
    for threads in (1, 2, 5):
        net = dense("high")
        net.fit(X, np.arange(192) % 10, epochs=2, batch_size=96, threads=threads, verbose=False)
        weights.append(net.params.tobytes())
    assert len(set(weights)) == 1


def test_the_report_says_what_the_names_mean(tiles):
    assert report() == {"highest": "float32", "high": "sums of bfloat16 products", "medium": "bfloat16 products"}


def test_without_tiles_every_precision_is_float32():
    if binding.tiles():
        pytest.skip("this CPU has tiles")
    assert set(report().values()) == {"float32"}
    X = np.random.default_rng(0).normal(size=(128, 100)).astype("float32")
    trained = []
    for precision in ("highest", "high", "medium"):
        net = dense(precision)
        net.fit(X, np.arange(128) % 10, epochs=2, verbose=False)
        trained.append(net.params.tobytes())
    assert len(set(trained)) == 1
