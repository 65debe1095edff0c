"""History: what an epoch has is a list to whoever looks, however it came."""

import pickle

import numpy as np
import pytest

import fastnn as fnn
from fastnn.history import History


def extended(history, first, count, as_arrays):
    numbers = range(first, first + count)
    losses, seconds = [0.5 / (i + 1) for i in numbers], [0.25 * i for i in numbers]
    if as_arrays:
        losses, seconds = np.array(losses), np.array(seconds)
    history.extend(numbers if as_arrays else [*numbers], {"loss": losses}, [0.1] * count, seconds)


@pytest.mark.parametrize(
    "as_arrays", [(True,) * 4, (False,) * 4, (True, False, True, False), (False, True, False, True)]
)
@pytest.mark.parametrize("looks", [(), (1, 2), (0, 1, 2, 3)])
def test_lists_and_arrays_keep_their_order(as_arrays, looks):
    history, plain = History(), History()
    for i, arrays in enumerate(as_arrays):
        extended(history, 3 * i, 3, arrays)
        extended(plain, 3 * i, 3, False)
        if i in looks:
            assert history["loss"] == plain["loss"] and history.epochs == [*range(3 * i + 3)]
    assert history.epochs == plain.epochs and history.seconds == plain.seconds
    assert history.learning_rates == plain.learning_rates and dict(history.items()) == dict(plain.items())
    assert [*history.values()] == [plain["loss"]] and repr(history) == repr(plain)
    assert {type(value) for value in history["loss"] + history.seconds} == {float}
    assert {type(number) for number in history.epochs} == {int}


def test_looking_twice_is_the_same_list():
    history = History()
    extended(history, 0, 5, True)
    assert history["loss"] is history["loss"] and history.epochs is history.epochs and len(history["loss"]) == 5
    assert pickle.loads(pickle.dumps(history)).seconds == history.seconds


@pytest.mark.parametrize("watched", [False, True])
def test_a_fit_records_the_same_whether_anybody_watches(watched):
    """Unwatched epochs come from the engine in one go, watched ones by and by."""
    seen = []
    callbacks = [fnn.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))] if watched else []
    net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.1), seed=0)
    history = net.fit([0.0, 0.5, 1.0], [1.0, 2.0, 3.0], epochs=7, callbacks=callbacks)
    again = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.1), seed=0)
    assert history["loss"] == [again.fit([0.0, 0.5, 1.0], [1.0, 2.0, 3.0])["loss"][0] for _ in range(7)]
    assert seen == (history["loss"] if watched else [])
    assert history.epochs == [*range(7)] and history.learning_rates == [0.1] * 7
    assert len(history.seconds) == 7 and all(seconds >= 0 for seconds in history.seconds)
