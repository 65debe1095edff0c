"""Ctrl-C at any moment: the call ends within 100 ms, the network stands at a completed step and goes on from there.

    python tests/trust/test_interrupts.py --count 500

Two instruments. One sends SIGINT at random moments of long calls and measures: calls of many steps, and of a long one.
The other interrupts short calls once at every place where the interpreter looks for signals: at the start of each
function of the package and after each call of a built-in one.
"""

import contextlib
import copy
import os
import signal
import sys
import threading
import time
from pathlib import Path

import command
import numpy as np
import pytest

import fastnn as fnn
from fastnn._problem import Problem

PACKAGE = str(Path(fnn.__file__).parent)
EPOCHS = 2
STRIDE = 23
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((24, 5)).astype("float32"), rng.standard_normal((24, 2)).astype("float32")


pytestmark = pytest.mark.usefixtures("interrupts")


def network(optimizer="adam", **options):
    layers = [fnn.Dense(6, "tanh"), fnn.BatchNorm(), fnn.Dense(2)] if optimizer == "adam" else [fnn.Dense(2, "tanh")]
    return fnn.Network(layers, optimizer=optimizer, metrics=["mae"], seed=1, **{"input_shape": 5, **options})


def bits(net):
    """All that training changes, but for slots that nothing has been written to."""
    state = net._state
    if state is None:
        return bits(network(net.optimizer.name))
    slots = tuple((name, slot.tobytes()) for name, slot in sorted(state.memory.slots.items()) if slot.any())
    return state.steps, state.epochs, net.params.tobytes(), state.memory.state.tobytes(), slots


# ---- at every place ---------------------------------------------------------------------------------------------


class Strike:
    """A profile function that raises KeyboardInterrupt at the k-th place."""

    def __init__(self, k):
        self.k, self.seen, self.where = k, 0, ""

    def __call__(self, frame, event, arg):
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(PACKAGE) or code.co_name == "<genexpr>":
            return  # a generator that is closed is called once more, which no signal could interrupt
        self.seen += 1
        if self.seen == self.k:
            sys.setprofile(None)
            after = f" after {arg.__name__}" if event == "c_return" else ""
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}{after}"
            raise KeyboardInterrupt


def struck(call, net, k):
    """(the Strike, whether it ended the call) of a call that is interrupted at the k-th place."""
    strike = Strike(k)
    sys.setprofile(strike)
    try:
        call(net)
    except KeyboardInterrupt:
        return strike, True
    finally:
        sys.setprofile(None)
    return strike, False


def fit(net, epochs=EPOCHS):
    net.fit(X, Y, epochs=epochs, batch_size=24, validation_data=(X[:4], Y[:4]), verbose=0)


def fit_batches(net, epochs=EPOCHS):
    net.fit(lambda: iter([(X, Y)]), epochs=epochs, verbose=0)


def set_weights(net, times=1):
    net.set_weights({name: np.ones_like(weight) for name, weight in net.get_weights().items()})


def search(net, times=1):
    before = bits(net)
    net.lr_find(X, Y, steps=4)
    assert bits(net) == before


# What makes a network; a call on it that makes up to so many steps; the most steps.
CALLS = {
    "fit": (network, fit, EPOCHS),
    "first fit": (lambda: network(input_shape=None), fit, EPOCHS),
    "fit on batches": (network, fit_batches, EPOCHS),
    "LBFGS": (lambda: network(fnn.LBFGS()), fit, EPOCHS),
    "LevenbergMarquardt": (lambda: network(fnn.LevenbergMarquardt()), fit, EPOCHS),
    "CoordinateSearch": (lambda: network(fnn.CoordinateSearch(0.1)), fit, 1),  # and each weight that it improved
    "lr_find": (network, search, 1),
    "train_on_batch": (network, lambda net, times=1: net.train_on_batch(X, Y), 1),
    "loss_and_gradients": (network, lambda net, times=1: net.loss_and_gradients(X, Y), 1),
    "evaluate": (network, lambda net, times=1: net.evaluate(X, Y), 1),
    "predict": (network, lambda net, times=1: net.predict(X), 1),
    "predict one": (network, lambda net, times=1: net.predict(X[:1]), 1),
    "set_weights": (network, set_weights, 1),
}


@contextlib.contextmanager
def improvements():
    """Collects the states in the midst of a step that a solver keeps, as {bits: None}."""
    keep, found = Problem.keep, {}

    def kept(problem):
        keep(problem)
        state = problem.state
        found[(state.steps, state.epochs, problem.params.tobytes(), state.memory.state.tobytes(), ())] = None

    Problem.keep = kept
    try:
        yield found
    finally:
        Problem.keep = keep


def after(make, call, times):
    """A network after so many steps of the call."""
    net = make()
    if times:
        call(net, times)
    return net


def check_all_places(name, stride=1):
    """Interrupts a call at every place, or every `stride`-th; the number of places that were tried."""
    make, call, most = CALLS[name]
    with improvements() as steps:
        steps |= {bits(after(make, call, times)): times for times in range(most + 1)}
    if call is fit_batches:  # whose epoch is over when the iterator says so, some time after its last step
        steps |= {(done, epochs - 1, *rest): None for done, epochs, *rest in steps if done}
    k, tried, bad = 1, 0, []
    while True:
        net = make()
        strike, ended = struck(lambda net: call(net, most), net, k)
        if not strike.where:
            break
        problem = "" if ended else "the interrupt was lost"
        if bits(net) not in steps:
            problem = f"left after {net._state.steps} steps and {net._state.epochs} epochs with other bits"
        times = steps.get(bits(net))
        twin = copy.deepcopy(net) if times is None else after(make, call, times)
        problem = problem or future(net, twin)
        if problem:
            bad.append(f"{strike.where}: {problem}")
        k, tried = k + stride, tried + 1
    assert not bad, f"{len(bad)} of {tried} places, such as\n" + "\n".join(dict.fromkeys(bad))
    return tried


def future(net, twin):
    """What is wrong with how an interrupted network goes on, compared with one that was not; "" if nothing."""
    fit(twin, 1)
    try:
        fit(net, 1)
    except RuntimeError as error:
        return f"of no more use: {error}"
    same = bits(net) == bits(twin) and np.array_equal(net.predict(X), twin.predict(X))
    return "" if same else "goes on to other bits"


@pytest.mark.parametrize("name", CALLS)
def test_interrupted_at_every_place(name):
    assert check_all_places(name, stride=STRIDE) > 5


def test_set_weights_interrupted_between_two_of_them():
    """The interpreter looks for signals as a loop turns, too, where the profile function is not called."""
    net, lines = network(), 0
    allowed = {bits(net), bits(after(network, set_weights, 1))}
    while True:
        left = lines

        def trace(frame, event, arg):
            nonlocal left
            if frame.f_code.co_name != "set_weights":
                return None
            left -= event == "line"
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        net = network()
        weights = {name: np.ones_like(weight) for name, weight in net.get_weights().items()}
        sys.settrace(trace)
        try:
            net.set_weights(weights)
            break
        except KeyboardInterrupt:
            assert bits(net) in allowed
        finally:
            sys.settrace(None)
        lines += 1
    assert lines > 2 * len(weights)


# ---- at random moments of long calls -----------------------------------------------------------------------------


LIMIT = 0.1  # seconds
BIG = rng.standard_normal((200_000, 20)).astype("float32")


def endless(seed):
    """(network, call that goes on for long, what to compare with) for a seed."""
    kind = seed % 4
    if kind == 0:
        net = fnn.Network([fnn.Dense(64, "relu"), fnn.Dropout(0.2), fnn.Dense(2)], input_shape=20, seed=seed)
        return net, lambda: net.fit(BIG[:5000], BIG[:5000, :2], epochs=10**6, verbose=0)
    if kind == 1:
        net = fnn.Network([fnn.Dense(200, "tanh"), fnn.Dense(2)], input_shape=20, seed=seed)
        return net, lambda: [net.predict(BIG) for _ in range(1000)]
    if kind == 2:
        net = fnn.Network([fnn.Dense(64, "relu"), fnn.Dense(2)], input_shape=20, seed=seed)
        return net, lambda: net.lr_find(BIG[:5000], BIG[:5000, :2], start=1e-9, end=1e-8, steps=10**6)
    net = fnn.Network([fnn.Dense(64, "tanh"), fnn.Dense(2)], input_shape=20, seed=seed,
                      optimizer=fnn.LBFGS(tolerance_change=0, tolerance_grad=0))  # fmt: skip
    return net, lambda: net.fit(BIG[:20_000], BIG[:20_000, :2], epochs=10**6, batch_size=1000, verbose=0)


def interrupted(seed):
    """Interrupts a long call at a random moment; the seconds from the signal to its end, of the clock and the CPU."""
    net, call = endless(seed)
    before, sent = net.params.copy(), []

    def send():
        sent.append((time.perf_counter(), time.process_time()))
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(float(np.random.default_rng(seed).uniform(0.02, 0.2)), send)
    timer.start()
    try:
        call()
        raise AssertionError("the call ended by itself")
    except KeyboardInterrupt:
        seconds = time.perf_counter() - sent[0][0], time.process_time() - sent[0][1]
    finally:
        timer.cancel()
    check_after(net, before, seed % 4 in (1, 2))
    return seconds


def check_after(net, before, untouched):
    """The network predicts, and trains on exactly as its saved copy does, which knows of no interrupt."""
    assert np.array_equal(net.params, before) or not untouched
    twin = copy.deepcopy(net)
    for one in (net, twin):
        one.fit(BIG[:500], BIG[:500, :2], epochs=2, verbose=0)
    assert np.isfinite(net.params).all() and net.params.tobytes() == twin.params.tobytes()


def test_interrupted_at_random_moments():
    """The best of each kind counts here: on a busy machine another process may have the CPU."""
    delays = [interrupted(seed)[0] for seed in range(12)]
    assert max(min(delays[kind::4]) for kind in range(4)) < LIMIT


# ---- within a step that takes long --------------------------------------------------------------------------------

LEAST = 0.3  # seconds that a step takes; it has as many samples as that needs
SLOW = {
    "dense": ((800,), [fnn.Dense(800, "relu"), fnn.Dense(800, "tanh"), fnn.Dense(2)]),
    "rows": ((8,), [fnn.Dense(8, "tanh"), fnn.Dense(2)]),
    "lstm": ((400, 16), [fnn.LSTM(64), fnn.Dense(2)]),
    "attention": ((1000, 16), [fnn.TransformerBlock(2, 32), fnn.GlobalAvgPool1D(), fnn.Dense(2)]),
    "conv": ((64, 64, 3), [fnn.Conv2D(16, 5), fnn.Conv2D(16, 3), fnn.GlobalAvgPool2D(), fnn.Dense(2)]),
}


def slow(kind):
    """(network, X, y, seconds of a fit) where a step takes LEAST seconds at least; the network has made none."""
    shape, layers = SLOW[kind]
    net = fnn.Network([type(layer).from_config(layer.config()) for layer in layers], input_shape=shape, seed=0)
    rows, seconds = 8, 0.0
    while seconds < LEAST:
        rows *= 2 if seconds > LEAST / 8 else 4
        X, y = np.zeros((rows, *shape), "float32"), np.zeros((rows, 2), "float32")
        X += rng.standard_normal(shape)
        twin, before = copy.deepcopy(net), time.perf_counter()
        one_step(twin, X, y)
        seconds = time.perf_counter() - before
    return net, X, y, seconds


def one_step(net, X, y):
    net.fit(X, y, epochs=1, batch_size=len(X), verbose=0)


def struck_after(seconds, call):
    """Seconds from SIGINT, sent so long after the call began, to its end; None where it ended before."""
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, send)
    timer.start()
    try:
        call()
        return None
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    finally:
        timer.cancel()


def check_dropped_or_done(net, twin, X, y):
    """The step is as if it had not been, or as if nobody had interrupted; the twin, that was before it, follows."""
    if net._state.steps != twin._state.steps:
        one_step(twin, X, y)
    assert bits(net) == bits(twin)


def check_within_a_step(kind, share, count):
    """Delays of so many interrupts within the first `share` of a step, and as many of a prediction."""
    net, X, y, seconds = slow(kind)
    delays = []
    for at in rng.uniform(0, share * seconds, count):
        twin = copy.deepcopy(net)
        delays.append(struck_after(at, lambda: one_step(net, X, y)))
        check_dropped_or_done(net, twin, X, y)
    before = time.perf_counter()
    answer = net.predict(X, batch_size=len(X))
    seconds = time.perf_counter() - before
    for at in rng.uniform(0, share * seconds, count):
        delays.append(struck_after(at, lambda: net.predict(X, batch_size=len(X))))
    assert np.array_equal(net.predict(X, batch_size=len(X)), answer)
    return [delay for delay in delays if delay is not None]


@pytest.mark.parametrize("kind", SLOW)
def test_interrupted_within_a_step(kind):
    """The step is dropped: all is as before it, and the network goes on as one that was not interrupted."""
    net, X, y, seconds = slow(kind)
    delays = []
    while min(delays, default=LIMIT) >= LIMIT and len(delays) < 12:  # on a busy machine others may have the CPU
        twin = copy.deepcopy(net)
        delay = struck_after(seconds / 6, lambda: one_step(net, X, y))
        check_dropped_or_done(net, twin, X, y)
        if delay is not None:  # the step may have been quicker this time
            delays.append(delay)
    assert min(delays) < LIMIT
    one_step(net, X, y)
    one_step(twin, X, y)
    assert bits(net) == bits(twin)


def test_interrupted_after_a_short_last_batch():
    """How long the next batch takes is not what the last one of an epoch took, of a single row."""
    net, X, y, seconds = slow("dense")
    X, y = (np.concatenate([array] * 4 + [array[:1]]) for array in (X, y))
    net.fit(X, y, epochs=1, batch_size=len(X) - 1, verbose=0)
    delays = []
    while min(delays, default=LIMIT) >= LIMIT and len(delays) < 12:
        net.fit(X, y, epochs=1, batch_size=len(X) - 1, verbose=0)
        delay = struck_after(seconds / 6, lambda: net.fit(X, y, epochs=9, batch_size=len(X) - 1, verbose=0))
        delays.append(delay)
    assert min(delays) < LIMIT


@pytest.mark.parametrize("optimizer", ["adam", fnn.SGD(0.01, momentum=0.9)], ids=["adam", "sgd"])
def test_steps_that_could_be_stopped_have_the_same_bits(optimizer):
    """The first step of a program may be; in later ones, known to be quick, ops apply the optimizer's rule."""
    many, single = (
        fnn.Network([fnn.Dense(256, "relu"), fnn.Dense(2)], input_shape=200, optimizer=optimizer, seed=0) for _ in "ab"
    )
    X = rng.standard_normal((96, 200)).astype("float32")
    many.fit(X, X[:, :2], epochs=4, batch_size=32, shuffle=False, verbose=0)
    for _ in range(4):
        for at in range(0, 96, 32):
            single._state.forget_programs()
            single.fit(X[at : at + 32], X[at : at + 32, :2], epochs=1, batch_size=32, shuffle=False, verbose=0)
    assert many.params.tobytes() == single.params.tobytes()


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    delays = []
    command.main(__doc__, lambda seed: delays.append(interrupted(seed)), count=500, end=lambda: finish(delays))


def finish(delays):
    """The figures of the random moments, and then every place of every call."""
    report(delays)
    for kind in SLOW:
        some = np.array(check_within_a_step(kind, 0.8, 30)) * 1e3
        print(f"within a step or a batch, {kind}, ms: {figures(some)} of {some.size}", flush=True)
    for name in CALLS:
        print(f"{name}: {check_all_places(name)} places", flush=True)


def report(delays):
    """Where other processes want the CPU, or stop this one, the CPU's seconds tell what the call itself took."""
    for kind, name in enumerate(("fit", "predict", "lr_find", "LBFGS")):
        for clock, some in zip(("the clock", "the CPU"), np.array(delays[kind::4]).T * 1e3, strict=True):
            print(f"{name}, ms by {clock}: {figures(some)}")


def figures(some):
    return f"median {np.median(some):.0f}, 99th percentile {np.percentile(some, 99):.0f}, longest {some.max():.0f}"


if __name__ == "__main__":
    main()
