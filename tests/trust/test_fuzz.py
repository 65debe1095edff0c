"""Fuzzing of what users write: configurations of layers, arrays of odd shape, dtype and memory order.

    python tests/trust/test_fuzz.py --count 20000

Each input gives a result or ValueError, TypeError or MemoryError, within a second, and a network that refused is as it
was, to the bit. Configurations are those of random networks, changed in a few places; arrays carry what NumPy allows.
"""

import random
import time
from functools import partial

import command
import networks
import numpy as np

import fastnn as fnn
from fastnn.layers import Layer

ERRORS = (ValueError, TypeError, MemoryError)
SECONDS = 1.0
VALUES = (
    0, 1, 2, 3, 7, -1, 64, 2**31, 2**62, 2**63, 10**400, True, False, None, 0.5, -0.5, 1.0, 1e308, 5e-324,
    float("nan"), float("inf"), "", "relu", "same", "zeros", "x", b"relu", (), (2, 2), (2, 2, 2), (1, -1), [3], [0, 1],
    {}, [[]], 1j, np.float32(2), np.int8(2), np.array(2), np.array([2, 3]), np.zeros((2, 2)), (np.sin, np.cos), np.sin,
    object(),
)  # fmt: skip


def timed(call):
    """The call's result, or None for an error that is allowed."""
    begin = time.process_time()
    try:
        return call()
    except ERRORS as error:
        assert str(error), f"{type(error).__name__} without a word"
        assert len(str(error)) < 2000
        return None
    finally:
        assert time.process_time() - begin < SECONDS, "more than a second"


# ---- configurations of layers ------------------------------------------------------------------------------------


def configured(seed):
    """Layers of random networks with some of their arguments changed, chained in random order."""
    rng = random.Random(seed)
    layers = [layer for layer in networks.draw(seed).network.layers if type(layer) in Layer.known.values()]
    kinds = [kind for kind in Layer.known.values() if kind.__module__.startswith("fastnn.")]
    chain = []
    for layer in rng.sample(layers, min(len(layers), rng.randint(1, 4))):
        config = dict(layer.config())
        for _ in range(rng.choice([0, 1, 1, 2])):
            if config:
                config[rng.choice([*config])] = rng.choice(VALUES)
        kind = rng.choice(kinds) if rng.random() < 0.1 else type(layer)
        made = timed(lambda kind=kind, config=config: kind.from_config(config))
        if made is not None:
            chain.append(made)
    shape = tuple(rng.choice([1, 2, 3, 5, 8]) for _ in range(rng.randint(1, 3)))
    net = timed(lambda: fnn.Network(chain, input_shape=shape, seed=seed)) if chain else None
    if net is None or net._state is None or net.params.size > 10**6:  # some are built from data alone
        return
    outputs = [value.shape for value in net._state.graph.outputs]
    X = np.random.default_rng(seed).integers(0, 2, (4, *shape)).astype("float32")
    timed(lambda: net.predict(X))
    timed(lambda: net.fit(X, np.ones((4, *outputs[0]), "float32"), verbose=0))


# ---- arrays ------------------------------------------------------------------------------------------------------


DTYPES = ("f2", "f4", "f8", ">f4", ">f8", "g", "i1", "u1", "i2", ">i4", "i8", "u8", "?", "c8", "O", "U3", "S2", "M8[s]",
          "m8[s]", "V4", "f4,f4")  # fmt: skip


def odd_array(rng, shape):
    """An array near `shape`: of any dtype, order, strides, flags, class; or something that may be taken for one."""
    shape = [*shape]
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        at = rng.randrange(len(shape)) if shape else 0
        action = rng.randrange(5)
        if action == 0 and shape:
            shape[at] = rng.choice([0, 1, 2, 3, 5, 9])
        elif action == 1 and shape:
            del shape[at]
        elif action == 2:
            shape.insert(at, rng.choice([0, 1, 2]))
        elif action == 3:
            shape.reverse()
    values = np.random.default_rng(rng.randrange(2**32)).integers(0, 3, shape)
    array = dressed(rng, values.astype(rng.choice(DTYPES)) if rng.random() < 0.5 else values.astype("f4"))
    if rng.random() < 0.1 and array.size and array.dtype.kind == "f":
        array = array.copy()
        array.flat[rng.randrange(array.size)] = rng.choice([np.nan, np.inf, -np.inf, 3e38, 1e-45, -0.0])
    return rng.choice(FORMS)(array)


def unpacked(kind):
    """Its first axis in the hands of list, tuple or iter."""
    return lambda array: kind(array) if array.ndim else array


def memoryview_of(array):
    try:
        return memoryview(array)
    except (ValueError, BufferError):
        return array


FORMS = (
    *[lambda array: array] * 3, lambda array: array.tolist(), lambda array: [array], memoryview_of, unpacked(list),
    unpacked(tuple), unpacked(iter), np.ma.masked_array,
)  # fmt: skip


def dressed(rng, array):
    """The same numbers in other memory."""
    action = rng.randrange(8)
    if action == 0:
        return np.asfortranarray(array)
    if action == 1 and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if action == 2:
        return np.flip(np.ascontiguousarray(np.flip(array)))
    if action == 3 and array.dtype.hasobject is False:  # at an address that is no multiple of anything
        raw = np.zeros(array.nbytes + 1, "u1")[1:].view(array.dtype) if array.size else array.ravel()
        raw = raw.reshape(array.shape)
        raw[...] = array
        return raw
    if action == 4 and array.ndim:
        return np.broadcast_to(array[:1], array.shape)
    if action == 5:
        array.flags.writeable = False
    if action == 6 and array.ndim == 2 and array.dtype.kind in "fiu":
        return array.view(np.matrix)
    return array


def whole(array, dtype):
    """What the array means, in plain memory."""
    return np.array(array, dtype, order="C")


CALLS = (
    lambda net, X, y, weights, good, out: net.predict(X),
    lambda net, X, y, weights, good, out: net.predict(X, batch_size=3),
    lambda net, X, y, weights, good, out: net.predict(good, out=out),
    lambda net, X, y, weights, good, out: net.predictor()(X),
    lambda net, X, y, weights, good, out: net.evaluate(X, y, sample_weight=weights),
    lambda net, X, y, weights, good, out: net.loss_and_gradients(X, y),
    lambda net, X, y, weights, good, out: net.train_on_batch(X, y),
    lambda net, X, y, weights, good, out: net.fit(X, y, sample_weight=weights, verbose=0),
)


def arrays(seed):
    """One network, many odd arrays in each of its calls."""
    rng = random.Random(seed)
    drawn = networks.draw(seed, rng.choice(["float32", "float64"]), metrics=["mae"] if seed % 3 == 0 else ())
    net = drawn.network
    xs, ys = (part if isinstance(part, list) else [part] for part in (drawn.X, drawn.y))
    for _ in range(8):
        X = [odd_array(rng, x.shape) if rng.random() < 0.7 else x for x in xs]
        y = [odd_array(rng, t.shape) if rng.random() < 0.5 else t for t in ys]
        X, y = (part[0] if len(part) == 1 else part for part in (X, y))
        weights = odd_array(rng, (len(xs[0]),)) if rng.random() < 0.3 else None
        before, steps = net.params.tobytes(), net._state.steps
        out = odd_array(rng, ys[0].shape)
        with np.errstate(all="ignore"):
            timed(partial(rng.choice(CALLS), net, X, y, weights, drawn.X, out))
        assert net._state.steps > steps or net.params.tobytes() == before, "a refused call changed the network"
    same_as_plain(rng, net, xs)


def same_as_plain(rng, net, xs):
    """The same numbers in odd memory give the same bits."""
    odd = [dressed(rng, x.copy()) for x in xs]
    plain = [whole(x, x.dtype) for x in odd]
    odd, plain = (part[0] if len(part) == 1 else part for part in (odd, plain))
    first, second = net.predict(odd), net.predict(plain)
    for a, b in zip(*(p if isinstance(p, list) else [p] for p in (first, second)), strict=True):
        assert a.tobytes() == b.tobytes()


def check(seed):
    (configured, arrays)[seed % 2](seed)


def test_fuzz():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of what odd dtypes are cast to
        for seed in range(400):
            check(seed)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    command.main(__doc__, check, count=20_000)
