"""Threads of Python on shared networks and their own, the interpreter changing threads at every turn: the same bits.

python tests/trust/test_threads.py --count 1000
"""

import contextlib
import pickle
import sys
import tempfile
import threading
from pathlib import Path

import command
import numpy as np

import fastnn as fnn

COUNTS = (2, 4, 8, 16, 32)
X = np.random.default_rng(0).standard_normal((200, 40)).astype("float32")
Y = np.random.default_rng(1).standard_normal((200, 3)).astype("float32")


def network(seed=0, width=48):
    layers = [fnn.Dense(width, "tanh"), fnn.BatchNorm(), fnn.Dropout(0.2), fnn.Dense(3)]
    return fnn.Network(layers, input_shape=40, seed=seed)


@contextlib.contextmanager
def impatient():
    """The interpreter asked to change threads every microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def together(works):
    """Runs functions in threads that begin at once; their results, or the first error."""
    start, results, errors = threading.Barrier(len(works)), [None] * len(works), []

    def run(i):
        try:
            start.wait(60)
            results[i] = works[i]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    with impatient():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def sharing_a_network(seed, count):
    """Predictions of many forms at once: one row, many rows, small batches, a predictor each, evaluate."""
    net, whole = network(seed), None
    whole = net.predict(X)
    loss, one = net.evaluate(X, Y), net.predict(X[3:4])

    def ask(i):
        predictor, out = net.predictor(), np.empty((200, 3), "float32")
        for k in range(3):
            rows = slice(k, 30 + i)
            np.testing.assert_array_equal(net.predict(X[3:4]), one)
            np.testing.assert_array_equal(net.predict(X, out=out, threads=1 + i % 3), whole)
            np.testing.assert_array_equal(net.predict(X[rows], batch_size=200), net.predict(X, batch_size=200)[rows])
            np.testing.assert_array_equal(predictor(X[3:4]), one)
            assert net.evaluate(X, Y) == loss

    together([lambda i=i: ask(i) for i in range(count)])


def fitting_their_own(seed, count):
    def train(i):
        net = network(i % 3, width=32)
        net.fit(X, Y, epochs=2, batch_size=64, threads=1 + i % 3, verbose=0)
        return net.params.tobytes()

    expected = [train(i) for i in range(3)]
    assert together([lambda i=i: train(i) for i in range(count)]) == [expected[i % 3] for i in range(count)]


def saving_while_fitting(seed, count):
    """One trains and the others save; who comes while another is at it is refused, and what is saved is whole."""
    net, twin = network(seed), network(seed)
    refused, saved = [], []

    def train():
        done = 0
        while done < 4:
            with contextlib.suppress(RuntimeError):
                net.fit(X, Y, epochs=1, batch_size=50, verbose=0)
                done += 1

    def save(path):
        for _ in range(4):
            assert np.isfinite(net.predict(X[:5])).all()
            try:
                net.save(path)
            except RuntimeError as error:
                refused.append(str(error))
                continue
            saved.append(fnn.load(path)._state.steps)

    with tempfile.TemporaryDirectory() as folder:
        together([train, *(lambda i=i: save(Path(folder) / str(i)) for i in range(count - 1))])
    assert all("in training" in text for text in refused) and len(refused) + len(saved) == 4 * (count - 1)
    assert set(saved) <= {0, 4, 8, 12, 16}, "a file of a network between two steps of a fit"
    for _ in range(4):
        twin.fit(X, Y, epochs=1, batch_size=50, verbose=0)
    assert net.params.tobytes() == twin.params.tobytes()


def two_fits_at_once(seed, count):
    """Exactly the fits that were not refused have trained."""
    net, twin, done = network(seed), network(seed), []

    def train():
        try:
            net.fit(X, Y, epochs=2, batch_size=50, verbose=0)
        except RuntimeError as error:
            assert "in training" in str(error)
        else:
            done.append(1)

    together([train] * count)
    for _ in done:
        twin.fit(X, Y, epochs=2, batch_size=50, verbose=0)
    assert done and pickle.dumps(net) == pickle.dumps(twin)


WAYS = (sharing_a_network, fitting_their_own, saving_while_fitting, two_fits_at_once)


def check(seed):
    for way in WAYS:
        way(seed, COUNTS[seed % len(COUNTS)])


def test_threads():
    for seed in range(len(COUNTS)):
        check(seed)


def test_a_second_fit_is_refused_while_the_first_runs():
    net, errors = network(), []

    def second():
        with np.testing.assert_raises_regex(RuntimeError, "in training"):
            net.fit(X, Y)
        errors.append(1)

    def look(*_):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(60)

    net.fit(X, Y, verbose=0, callbacks=[fnn.LambdaCallback(on_epoch_end=look)])
    assert errors == [1]


if __name__ == "__main__":
    command.main(__doc__, check, count=1000)
