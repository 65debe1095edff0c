"""Batches that come one by one: the same training as over arrays, and what happens when they do not come so."""

import numpy as np
import pytest

import fastnn as fnn

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((46, 3))
Y = X[:, 0] - 2 * X[:, 1]
W = RANDOM.random(46)


def network(**options):
    layers = [fnn.Dense(4, "tanh", l2=0.01), fnn.Dropout(0.2), fnn.Dense(1)]
    return fnn.Network(layers, seed=1, dtype="float64", **options)


def batches(size=10, weighted=False):
    """A generator over the arrays, in their order."""
    for first in range(0, 46, size):
        rows = slice(first, first + size)
        yield (X[rows], Y[rows], W[rows]) if weighted else (X[rows], Y[rows])


class Loader:
    """An iterable with a length, which begins anew each time, as data loaders do."""

    def __iter__(self):
        return batches()

    def __len__(self):
        return 5


@pytest.mark.parametrize("source", [batches, Loader(), list(batches()), lambda: list(batches())])
@pytest.mark.parametrize("options", [{}, {"optimizer": fnn.SGD(fnn.schedules.Cosine(0.1, 15, by="step"))}])
def test_batches_one_by_one_train_as_the_arrays_do(source, options):
    """The same bits: losses, weights, steps, dropout."""
    one, other = network(metrics=["mae"], **options), network(metrics=["mae"], **options)
    a = one.fit(source, epochs=3, validation_data=(X, Y))
    b = other.fit(X, Y, epochs=3, batch_size=10, shuffle=False, validation_data=(X, Y))
    assert np.array_equal(one.params, other.params)
    assert dict(a.items()) == dict(b.items()) and a.learning_rates == b.learning_rates and len(a.seconds) == 3


def test_weights_come_with_their_batch():
    one, other = network(), network()
    a = one.fit(lambda: batches(weighted=True), epochs=2)
    b = other.fit(X, Y, epochs=2, batch_size=10, shuffle=False, sample_weight=W)
    assert a["loss"] == b["loss"] and np.array_equal(one.params, other.params)


def test_a_generator_serves_one_epoch():
    one, other = network(), network()
    assert one.fit(batches())["loss"] == other.fit(X, Y, batch_size=10, shuffle=False)["loss"]
    with pytest.raises(ValueError, match="X is a generator, which runs through once; pass the function"):
        one.fit(batches(), epochs=2)
    with pytest.raises(fnn.ShapeError, match="yields no batches in this epoch; pass a function"):
        made = batches()
        one.fit(lambda: made, epochs=2)


def test_hooks_run_around_each_batch_and_early_stopping_restores():
    seen, net = [], network()
    watch = fnn.LambdaCallback(on_batch_begin=seen.append, on_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    stop = fnn.EarlyStopping("val_loss", patience=2)
    history = net.fit(batches, epochs=200, validation_data=(X, Y), callbacks=[watch, stop, fnn.EMA(0.5)])
    assert seen[0] == 0 and len(seen) == 10 * len(history.epochs)
    assert net.evaluate(X, Y)["loss"] == stop.best


@pytest.mark.parametrize("at, steps", [(0, 0), (3, 3)])
def test_an_error_in_the_generator_reaches_the_user(at, steps):
    """With its traceback; the network keeps the last completed step."""

    def failing():
        for i, batch in enumerate(batches()):
            if i == at:
                raise ConnectionError("gone")
            yield batch

    net, twin = network(input_shape=3), network(input_shape=3)
    with pytest.raises(ConnectionError, match="gone") as caught:
        net.fit(failing)
    assert caught.traceback[-1].name == "failing" and net._state.steps == steps
    for i in range(steps):
        twin.train_on_batch(X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10])
    assert np.array_equal(net.params, twin.params)


def test_a_generator_is_closed_when_training_ends_early():
    closed = []

    def watched():
        try:
            yield from batches()
        finally:
            closed.append(1)

    def stop(batch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network().fit(watched, callbacks=fnn.LambdaCallback(on_batch_end=stop))
    assert closed == [1]


def test_a_batch_that_does_not_fit_is_an_error_after_those_that_did():
    net = network()
    with pytest.raises(fnn.ShapeError, match="expects 3 features, got 2"):
        net.fit([(X[:10], Y[:10]), (X[:10, :2], Y[:10])])
    assert net._state.steps == 1


@pytest.mark.parametrize(
    "source, error, message",
    [
        ([], ValueError, "X yields no batches"),
        (3, TypeError, "expected an iterable of .* got int"),
        ([X], TypeError, "expected batches .* got ndarray"),
        ([(X,)], TypeError, "got 1 parts"),
        (X, TypeError, "y must be an array or a list of numbers, got NoneType; X alone is for batches"),
        ([(X, Y[:5])], ValueError, "y has 5 samples, X has 46"),
    ],
)
def test_what_is_no_batch_leaves_the_network_as_it_was(source, error, message):
    net = network()
    with pytest.raises(error, match=message):
        net.fit(source)
    with pytest.raises(fnn.NotFittedError):
        net.predict(X)


@pytest.mark.parametrize("options", [{"validation_split": 0.1}, {"sample_weight": W}, {"class_weight": {0: 1.0}},
                                     {"accumulate": 2}])  # fmt: skip
def test_what_belongs_to_arrays_is_refused(options):
    with pytest.raises(ValueError, match="goes without validation_split, sample_weight, class_weight and accumulate"):
        network().fit(batches, **options)


def test_solvers_want_all_samples_at_once():
    with pytest.raises(ValueError, match="LBFGS works on whole data sets"):
        fnn.Network([fnn.Dense(1)], optimizer="lbfgs").fit(batches)


def test_a_loss_that_is_not_finite_is_said_once_and_may_end_it():
    with pytest.warns(fnn.NonFiniteWarning, match="epoch 0, batch 1") as caught:
        net = network(optimizer=fnn.SGD(1e200))
        net.fit(batches, epochs=2)
    assert len(caught) == 1 and caught[0].filename == __file__ and net._state.steps == 10
    with pytest.warns(fnn.NonFiniteWarning):
        net = network(optimizer=fnn.SGD(1e200))
        history = net.fit(batches, epochs=2, callbacks=fnn.TerminateOnNaN())
    assert history.stop_reason == "the loss is no longer finite in epoch 0, batch 1" and net._state.steps == 1


# ---- arrays on disk -------------------------------------------------------------------------------------------------


def test_memory_mapped_arrays_are_read_where_they_lie(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    one, other = network(), network()
    one.build(3)
    samples = one._samples(one._state, mapped, Y)
    assert np.shares_memory(samples.inputs[0], mapped)
    assert one.fit(mapped, Y, epochs=2)["loss"] == other.fit(X, Y, epochs=2)["loss"]
    assert np.array_equal(one.predict(mapped), other.predict(X))
