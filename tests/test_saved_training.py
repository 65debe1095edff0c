"""What belongs to a training is saved with the network: schedules, what is frozen, where the schedule stood."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((30, 4))
Y = X[:, 0]


def from_file(net, folder):
    net.save(folder / "net.safetensors")
    return fnn.load(folder / "net.safetensors")


WAYS = [from_file, lambda net, _: pickle.loads(pickle.dumps(net)), lambda net, _: copy.deepcopy(net)]


@pytest.mark.parametrize("way", WAYS, ids=["file", "pickle", "deepcopy"])
@pytest.mark.parametrize("by", ["step", "epoch"])
def test_a_resumed_schedule_ends_where_the_uninterrupted_one_ends(way, by, tmp_path):
    """Also where the optimizer was not the network's first, so that its epochs are not all epochs."""
    schedule = fnn.schedules.Warmup(fnn.schedules.Cosine(0.05, 9, 0.001, by=by), 3)
    net = fnn.Network([fnn.Dense(5, "tanh"), fnn.Dropout(0.2), fnn.Dense(1)], optimizer="sgd", seed=1, dtype="float64")
    net.fit(X, Y, epochs=2)
    net.optimizer = fnn.Adam(schedule)
    net.fit(X, Y, epochs=4, batch_size=20)
    again = way(net, tmp_path)
    assert again.optimizer == net.optimizer
    a, b = (one.fit(X, Y, epochs=5, batch_size=20) for one in (net, again))
    assert a["loss"] == b["loss"] and a.learning_rates == b.learning_rates and np.array_equal(net.params, again.params)


@pytest.mark.parametrize("way", WAYS, ids=["file", "pickle", "deepcopy"])
def test_frozen_layers_stay_frozen(way, tmp_path):
    net = fnn.Network([fnn.Dense(5, "tanh"), fnn.Residual(fnn.Dense(5)), fnn.Dense(1)], seed=1, input_shape=4)
    net.layers[0].trainable, net.layers[1].layers[0].learning_rate_factor = False, 0.25
    again = way(net, tmp_path)
    assert not again.layers[0].trainable and again.layers[1].layers[0].learning_rate_factor == 0.25
    assert net.fit(X, Y, epochs=3)["loss"] == again.fit(X, Y, epochs=3)["loss"]
    assert np.array_equal(net.params, again.params)


@pytest.mark.parametrize("optimizer", [fnn.LBFGS(history=5), fnn.LevenbergMarquardt(damping=0.1)])
def test_solvers_are_saved_by_their_arguments(optimizer, tmp_path):
    net = fnn.Network([fnn.Dense(1)], optimizer=optimizer, input_shape=4)
    assert from_file(net, tmp_path).optimizer == optimizer


def test_a_checkpoint_goes_on_bitwise(tmp_path):
    """Saved within fit, at the end of an epoch: what follows is what followed."""
    net = fnn.Network([fnn.Dense(5, "tanh"), fnn.Dense(1)], optimizer=fnn.Adam(0.01), seed=1)
    keep = fnn.ModelCheckpoint(tmp_path / "{epoch}.safetensors")
    history = net.fit(X, Y, epochs=5, batch_size=8, callbacks=keep)
    again = fnn.load(tmp_path / "2.safetensors")
    assert again.fit(X, Y, epochs=3, batch_size=8)["loss"] == history["loss"][2:]
    assert np.array_equal(net.params, again.params)
