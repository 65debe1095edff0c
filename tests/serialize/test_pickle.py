"""Networks, layers, losses and their like pickle and copy; a copy has the same future and shares no memory."""

import copy
import multiprocessing
import pickle

import models
import numpy as np
import pytest

import fastnn as fnn
from fastnn.initializers import Initializer

every_kind = pytest.mark.parametrize("kind", models.KINDS)


def repickled(thing, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(thing, protocol))


COPIES = {
    "pickle": repickled,
    "oldest pickle": lambda thing: repickled(thing, 2),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@every_kind
@every_copy
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_before_and_after_training(kind, copied, dtype):
    net = models.KINDS[kind](dtype)
    models.assert_same(net, copied(net))
    X, y = models.data(net)
    net.fit(X, y, verbose=0)
    again = copied(net)
    models.assert_same(net, again)
    models.assert_same_future(net, again)


@pytest.mark.parametrize("optimizer", models.OPTIMIZERS)
def test_the_copy_shares_nothing(optimizer):
    net = models.sequence(optimizer=optimizer)
    X, y = models.data(net)
    net.fit(X, y, verbose=0)
    before = models.bits(net)
    for copied in COPIES.values():
        other = copied(net)
        other.fit(X, y, verbose=0)
        assert models.bits(net) == before != models.bits(other)


def test_python_functions_go_where_python_can_pickle_them():
    layers = [fnn.Dense(3, (models.swish, models.swish_derivative), weight_init=np.ones), models.Twice(2)]
    net = fnn.Network(layers, input_shape=4, loss=models.absolute, metrics=models.absolute, seed=0)
    for copied in COPIES.values():
        again = copied(net)
        models.assert_same(net, again)
        assert again.layers[0].activation[0] is models.swish
    net.layers[0].activation = (lambda x: x, lambda x: 1 + 0 * x)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(net)


class Labelled(fnn.Network):
    """A network with an attribute of its own."""

    def __init__(self, label):
        super().__init__([fnn.Dense(2)], input_shape=3, seed=0)
        self.label = label


def test_a_subclass_keeps_its_class_and_what_it_added():
    net = Labelled(["a"])
    for name in ("pickle", "deepcopy"):
        again = COPIES[name](net)
        models.assert_same(net, again)
        assert again.label == ["a"] and again.label is not net.label


def test_a_network_within_other_objects():
    net = models.sequence()
    one, (other, again) = repickled([net, (net, models.graph())])
    assert one is other and one is not again
    models.assert_same(net, one)


def test_a_deep_graph():
    x = node = fnn.Input(2)
    for _ in range(2500):
        node = fnn.Activation("tanh")(node)
    net = fnn.Network(inputs=x, outputs=node)
    for copied in COPIES.values():
        assert len(copied(net).layers) == 2500


def test_in_training():
    """In a callback the copy is of that moment."""
    net = models.sequence()
    X, y = models.data(net)
    copies = []
    keep = fnn.LambdaCallback(on_epoch_end=lambda epoch, logs: copies.append(copy.deepcopy(net)))
    losses = net.fit(X, y, epochs=3, callbacks=[keep], verbose=0)["loss"]
    assert [one.fit(X, y, verbose=0)["loss"][0] for one in copies[:2]] == losses[1:]


INSTANCES = {
    "layer": [fnn.Dense(3, "relu", weight_init="he_normal"), fnn.Residual(fnn.Dense(3)), fnn.Conv2D(3, 2, padding=1)],
    "loss": [fnn.losses.Huber(2.0), fnn.losses.Quantile((0.1, 0.9))],
    "optimizer": [fnn.Adam(0.1), fnn.SGD(0.1, momentum=0.5), fnn.Rprop(), fnn.CoordinateSearch(0.1)],
    "metric": [fnn.metrics.TopKAccuracy(2), fnn.metrics.F1()],
    "initializer": [fnn.initializers.Normal(1.0, 2.0), Initializer.get(np.ones((2, 2))), Initializer.get(np.ones)],
}


@every_copy
@pytest.mark.parametrize("thing", [one for kind in INSTANCES.values() for one in kind], ids=repr)
def test_parts(thing, copied):
    again = copied(thing)
    assert type(again) is type(thing) and again is not thing
    assert again == thing and repr(again) == repr(thing)


@every_copy
def test_history(copied):
    net = models.sequence()
    history = net.fit(*models.data(net), epochs=2, verbose=0)
    again = copied(history)
    assert list(again.items()) == list(history.items()) and again.epochs == history.epochs
    assert again.stop_reason == history.stop_reason


def predicted(net, X):
    return net.predict(X)


def test_processes_that_are_spawned():
    net = models.sequence()
    X, y = models.data(net)
    net.fit(X, y, verbose=0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(predicted, (net, X)), net.predict(X))


def test_joblib(tmp_path):
    joblib = pytest.importorskip("joblib")
    net = models.sequence()
    X, y = models.data(net)
    net.fit(X, y, verbose=0)
    joblib.dump(net, tmp_path / "net.joblib")
    models.assert_same(net, joblib.load(tmp_path / "net.joblib"))
    results = joblib.Parallel(n_jobs=2)(joblib.delayed(predicted)(net, X) for _ in range(3))
    assert all(np.array_equal(result, net.predict(X)) for result in results)
