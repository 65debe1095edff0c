"""Training: the order of the samples, what is recorded, callbacks, the progress line, and every way to be stopped."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn as fnn
from fastnn import NonFiniteWarning

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((23, 3))
Y = X[:, 0] - 2 * X[:, 1]
IDS = np.arange(23) % 3


def network(*layers, **options):
    options = {"seed": 1, "dtype": "float64", **options}
    return fnn.Network(list(layers or [fnn.Dense(4, "tanh"), fnn.Dense(1)]), **options)


def classifier(**options):
    return network(fnn.Dense(4, "tanh"), fnn.Dense(3, "softmax"), **options)


class Batches:
    """A loss that remembers the targets of each batch: mse, but for what it keeps."""

    def __init__(self):
        self.seen = []

    def __call__(self, y, p):
        self.seen.append(y[:, 0].tolist())
        return ((p - y) ** 2).mean(), 2 * (p - y) / p.size


def orders(net, epochs, **options):
    """The sample numbers in the order in which `fit` shows them, a list an epoch."""
    net.loss = batches = Batches()
    net.fit(X, np.arange(23.0), epochs=epochs, **options)
    flat = [int(y) for batch in batches.seen for y in batch]
    return [flat[23 * i : 23 * (i + 1)] for i in range(epochs)], [len(batch) for batch in batches.seen]


# ---- history ------------------------------------------------------------------------------------------------------


def test_history_has_a_figure_for_each_epoch():
    history = classifier(metrics=["accuracy"]).fit(X, IDS, epochs=3, validation_split=0.2)
    assert history.epochs == [0, 1, 2] and history.stop_reason == "all epochs done"
    assert list(history) == list(history.keys()) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 3 and all(np.isfinite(values)) for values in history.values())
    assert "loss" in history and "precision" not in history and len(history) == 4
    assert dict(history.items())["loss"] is history["loss"]
    with pytest.raises(KeyError, match="'precision' was not recorded; there is loss, accuracy, val_loss, val_accuracy"):
        history["precision"]


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples():
    """Of 23 samples in batches of 5 the last 3 count 3/23, not a fifth."""
    net = network(optimizer=fnn.SGD(1e-300))  # stays where it is
    history = net.fit(X, Y, epochs=1, batch_size=5)
    assert history["loss"][0] == pytest.approx(((net.predict(X)[:, 0] - Y) ** 2).mean(), rel=1e-12)


def test_what_is_watched_does_not_change_the_training():
    """Without callbacks, metrics and validation all epochs run in one stretch of the engine."""
    histories = []
    for options in ({}, {"verbose": 2}, {"callbacks": [fnn.Callback()]}, {"validation_data": (X, Y)}):
        net = network(fnn.Dense(4, "tanh"), fnn.Dropout(0.2), fnn.Dense(1))
        histories.append((net.fit(X, Y, epochs=4, batch_size=5, **options)["loss"], net.params.tobytes()))
    assert histories.count(histories[0]) == 4


def test_two_fits_are_one_longer_fit():
    one, two = network(), network()
    losses = one.fit(X, Y, epochs=5, batch_size=4)["loss"]
    assert two.fit(X, Y, epochs=2, batch_size=4)["loss"] + two.fit(X, Y, epochs=3, batch_size=4)["loss"] == losses
    assert np.array_equal(one.params, two.params)


def test_penalties_are_part_of_the_loss():
    net = network(fnn.Dense(1, l2=0.5, l1=0.25), optimizer=fnn.SGD(1e-300))
    history = net.fit(X, Y)
    weight = net.get_weights()["layers.0.weight"]
    mse = ((net.predict(X)[:, 0] - Y) ** 2).mean()
    expected = mse + 0.5 * (weight**2).sum() + 0.25 * abs(weight).sum()
    assert history["loss"][0] == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(expected, rel=1e-12)


# ---- the order of the samples -------------------------------------------------------------------------------------


def test_every_epoch_sees_each_sample_once_in_an_order_of_its_own():
    found, sizes = orders(network(), 4, batch_size=5)
    assert sizes == [5, 5, 5, 5, 3] * 4
    assert all(sorted(order) == list(range(23)) for order in found)
    assert len({tuple(order) for order in found}) == 4
    assert list(range(23)) not in found


def test_orders_repeat_with_the_seed_and_go_on_in_the_next_fit():
    found, _ = orders(network(), 4)
    net = network()
    assert orders(net, 2)[0] + orders(net, 2)[0] == found
    assert orders(network(seed=2), 4)[0] != found


def test_orders_do_not_depend_on_the_batch_size():
    assert orders(network(), 2, batch_size=4)[0] == orders(network(), 2, batch_size=23)[0]


def test_without_shuffle_the_order_is_that_of_the_arrays():
    assert orders(network(), 2, shuffle=False)[0] == [list(range(23))] * 2


def test_metrics_see_samples_and_outputs_in_the_same_order():
    def pairs(y, p):
        return float(abs(y[:, 0] - p[:, 0]).max())

    net = network(fnn.Dense(1), metrics=[pairs], optimizer=fnn.SGD(1e-300))
    net.build(3)
    net.set_weights({"layers.0.weight": [[1], [0], [0]], "layers.0.bias": [0]})
    assert net.fit(X, X[:, 0], batch_size=5)["pairs"] == [0.0]


# ---- validation ---------------------------------------------------------------------------------------------------


def test_validation_split_takes_the_last_samples_and_trains_on_the_others():
    split, parts = network(), network()
    a = split.fit(X, Y, epochs=2, validation_split=0.3)
    b = parts.fit(X[:17], Y[:17], epochs=2, validation_data=(X[17:], Y[17:]))
    assert a["loss"] == b["loss"] and a["val_loss"] == b["val_loss"]
    assert np.array_equal(split.params, parts.params)


def test_validation_is_evaluated_without_dropout_and_with_its_weights():
    net = network(fnn.Dense(4, "tanh"), fnn.Dropout(0.5), fnn.Dense(1), metrics=["mae"])
    w = np.arange(23.0)
    history = net.fit(X, Y, epochs=2, validation_data=(X, Y, w))
    final = net.evaluate(X, Y, sample_weight=w)
    assert (history["val_loss"][-1], history["val_mae"][-1]) == (final["loss"], final["mae"])


@pytest.mark.parametrize(
    "options,message",
    [
        ({"validation_data": (X, Y), "validation_split": 0.1}, "not both"),
        ({"validation_data": (X,)}, r"expected \(X, y\)"),
        ({"validation_split": 0.01}, "leaves a part empty"),
        ({"validation_split": 0.1, "sample_weight": [1] * 21 + [0] * 2}, "all have the weight 0"),
        ({"validation_split": 0.9, "sample_weight": [0] * 3 + [1] * 20}, "all have the weight 0"),
    ],
)
def test_validation_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        network().fit(X, Y, **options)


# ---- weights ------------------------------------------------------------------------------------------------------


def test_a_weight_of_two_is_the_sample_twice():
    counts = np.arange(23) % 3
    weighted, repeated = classifier(), classifier()
    weighted.fit(X, IDS, sample_weight=counts, batch_size=23, epochs=3, shuffle=False)
    repeated.fit(np.repeat(X, counts, 0), np.repeat(IDS, counts), batch_size=60, epochs=3, shuffle=False)
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-9)


def test_weights_are_relative():
    one, other = network(), network()
    w = RANDOM.random(23)
    a = one.fit(X, Y, sample_weight=w, batch_size=5)["loss"]
    b = other.fit(X, Y, sample_weight=4 * w, batch_size=5)["loss"]
    assert a == b and np.array_equal(one.params, other.params)


def test_the_weighted_loss_of_an_epoch_is_the_weighted_mean():
    net = network(optimizer=fnn.SGD(1e-300))
    w = RANDOM.random(23) * (np.arange(23) > 7)  # the first batch of 5 weighs nothing
    history = net.fit(X, Y, sample_weight=w, batch_size=5, shuffle=False)
    expected = np.average((net.predict(X)[:, 0] - Y) ** 2, weights=w)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(X, Y, sample_weight=w)["loss"] == pytest.approx(expected, rel=1e-12)


def test_class_weights_are_sample_weights_by_class():
    by_class, by_sample = classifier(), classifier()
    by_class.fit(X, IDS, class_weight={0: 2.0, 2: 0.5}, epochs=2)
    by_sample.fit(X, IDS, sample_weight=np.array([2.0, 1.0, 0.5])[IDS], epochs=2)
    assert np.array_equal(by_class.params, by_sample.params)


def test_class_and_sample_weights_multiply():
    both, product = classifier(), classifier()
    w = 1 + RANDOM.random(23)
    both.fit(X, IDS, class_weight="balanced", sample_weight=w)
    balanced = (23 / (3 * np.bincount(IDS)))[IDS]
    product.fit(X, IDS, sample_weight=w * balanced)
    np.testing.assert_allclose(both.params, product.params, rtol=1e-12)


def test_weights_that_cancel_out_are_refused():
    with pytest.raises(ValueError, match="together give every sample the weight 0"):
        classifier().fit(X, IDS, class_weight={0: 0.0, 1: 0.0}, sample_weight=IDS < 2)


def test_weights_of_several_outputs():
    """Each sample has one weight, whatever the shapes of the outputs."""
    x = fnn.Input(3)
    outputs = [fnn.Dense(1)(x), fnn.Reshape((2, 3))(fnn.Dense(6)(x))]
    net = fnn.Network(inputs=x, outputs=outputs, loss="mse", seed=1, dtype="float64")
    w, targets = RANDOM.random(23), [Y, RANDOM.random((23, 2, 3))]
    a, b = net.predict(X)
    expected = np.average((a[:, 0] - Y) ** 2, weights=w) + np.average(((b - targets[1]) ** 2).mean((1, 2)), weights=w)
    assert net.evaluate(X, targets, sample_weight=w)["loss"] == pytest.approx(expected, rel=1e-12)
    assert net.loss_and_gradients(X, targets, sample_weight=w)[0] == pytest.approx(expected, rel=1e-12)


# ---- callbacks ----------------------------------------------------------------------------------------------------


class Diary(fnn.Callback):
    """Writes down every call, and raises or acts where it is told to."""

    def __init__(self, name="", acts=None):
        self.name, self.acts, self.entries = name, acts or {}, []

    def note(self, hook, *args):
        self.entries.append((hook, *args))
        if hook in self.acts:
            self.acts[hook](self)

    def on_fit_begin(self):
        self.note("fit_begin")

    def on_fit_end(self):
        self.note("fit_end")

    def on_epoch_begin(self, epoch):
        self.note("epoch_begin", epoch)

    def on_epoch_end(self, epoch, logs):
        self.note("epoch_end", epoch, logs)


class BatchDiary(Diary):
    def on_batch_begin(self, batch):
        self.note("batch_begin", batch)

    def on_batch_end(self, batch, logs):
        self.note("batch_end", batch, logs)


def raising(error):
    def act(diary):
        raise error

    return act


def test_hooks_come_in_their_order():
    diary = BatchDiary()
    net = network()
    history = net.fit(X, Y, epochs=2, batch_size=10, callbacks=[diary])
    names = [entry[:2] for entry in diary.entries if entry[0] in ("fit_begin", "fit_end")]
    assert names == [("fit_begin",), ("fit_end",)]
    batches = [(when, i) for i in range(3) for when in ("batch_begin", "batch_end")]
    middle = [entry[:2] for entry in diary.entries[1:-1]]
    assert middle == [("epoch_begin", 0), *batches, ("epoch_end", 0), ("epoch_begin", 1), *batches, ("epoch_end", 1)]
    logs = [entry[2] for entry in diary.entries if entry[0] == "epoch_end"]
    assert [log["loss"] for log in logs] == history["loss"]
    assert diary.network is net


def test_the_loss_of_a_batch_is_that_before_its_step():
    diary, net = BatchDiary(), network()
    twin = network()
    net.fit(X, Y, batch_size=10, shuffle=False, callbacks=[diary])
    logs = [entry[2]["loss"] for entry in diary.entries if entry[0] == "batch_end"]
    assert logs == [twin.train_on_batch(X[i : i + 10], Y[i : i + 10]) for i in (0, 10, 20)]


def test_batch_hooks_do_not_change_the_training():
    nets = [network(fnn.Dense(4, "tanh"), fnn.Dropout(0.2), fnn.Dense(1)) for _ in range(2)]
    nets[0].fit(X, Y, epochs=3, batch_size=4, callbacks=[BatchDiary()])
    nets[1].fit(X, Y, epochs=3, batch_size=4)
    assert np.array_equal(nets[0].params, nets[1].params)


def test_several_callbacks_are_called_in_turn():
    calls = []
    callbacks = [fnn.LambdaCallback(on_epoch_end=lambda epoch, logs, i=i: calls.append((epoch, i))) for i in range(3)]
    network().fit(X, Y, epochs=2, callbacks=callbacks)
    assert calls == [(epoch, i) for epoch in range(2) for i in range(3)]


def test_a_lambda_listens_to_batches_only_where_it_says_so():
    batches = []
    network().fit(X, Y, batch_size=10, callbacks=fnn.LambdaCallback(on_batch_end=lambda b, logs: batches.append(b)))
    assert batches == [0, 1, 2]


@pytest.mark.parametrize(
    "hooks,message",
    [
        ({"on_epoch": print}, "unknown hook 'on_epoch'; known: on_fit_begin"),
        ({"on_fit_end": 3}, "expected a function, got int"),
    ],
)
def test_hooks_that_cannot_be(hooks, message):
    with pytest.raises(TypeError, match=message):
        fnn.LambdaCallback(**hooks)


def test_stop_training_ends_after_the_epoch():
    def stop(epoch, logs):
        net.stop_training = epoch == 2

    net = network()
    history = net.fit(X, Y, epochs=10, callbacks=[fnn.LambdaCallback(on_epoch_end=stop)])
    assert history.epochs == [0, 1, 2] and history.stop_reason == "stopped by a callback"
    assert net.fit(X, Y, epochs=2).epochs == [0, 1]  # the next fit starts afresh


@pytest.mark.parametrize("hook", ["fit_begin", "epoch_begin", "batch_begin", "batch_end", "epoch_end"])
def test_an_error_in_a_hook_reaches_the_user(hook):
    diary, net = BatchDiary(acts={hook: raising(KeyError("mine"))}), network()
    with pytest.raises(KeyError, match="mine"):
        net.fit(X, Y, callbacks=[diary])
    assert diary.entries[-1] == ("fit_end",)
    net.fit(X, Y)


def test_a_learning_rate_that_a_callback_sets_holds_from_the_next_epoch():
    def halve(epoch, logs):
        net.optimizer.learning_rate /= 2

    net, twin = network(optimizer=fnn.SGD(0.1)), network(optimizer=fnn.SGD(0.1))
    net.fit(X, Y, epochs=3, shuffle=False, callbacks=[fnn.LambdaCallback(on_epoch_end=halve)])
    for rate in (0.1, 0.05, 0.025):
        twin.optimizer.learning_rate = rate
        twin.fit(X, Y, shuffle=False)
    assert np.array_equal(net.params, twin.params)


@pytest.mark.parametrize(
    "act",
    [
        lambda net: net.fit(X, Y),
        lambda net: net.train_on_batch(X, Y),
        lambda net: net.loss_and_gradients(X, Y),
        lambda net: setattr(net, "optimizer", "sgd"),
        lambda net: setattr(net, "loss", "mae"),
        lambda net: setattr(net, "metrics", ["mae"]),
    ],
)
def test_a_network_in_training_is_not_changed_by_others(act):
    diary, net, twin = Diary(acts={"epoch_begin": lambda diary: act(diary.network)}), network(), network()
    with pytest.raises(RuntimeError, match="in training"):
        net.fit(X, Y, callbacks=[diary])
    assert net.optimizer.name == "adam" and net.loss is None and net.metrics == []
    net.fit(X, Y)
    twin.fit(X, Y)
    assert np.array_equal(net.params, twin.params)


def test_a_second_fit_in_another_thread_is_refused():
    net, refused = network(), []

    def second():
        try:
            net.fit(X, Y)
        except RuntimeError as error:
            refused.append(str(error))

    def begin():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    net.fit(X, Y, callbacks=[fnn.LambdaCallback(on_fit_begin=begin)])
    assert len(refused) == 1 and "in training" in refused[0]


def test_a_callback_may_predict_and_evaluate():
    def look(batch, logs):
        found.append((net.predict(X), net.evaluate(X, Y)))

    found, net = [], network(fnn.Dense(4), fnn.Dropout(0.5), fnn.Dense(1))
    net.fit(X, Y, callbacks=[fnn.LambdaCallback(on_batch_end=look)])
    assert np.array_equal(found[-1][0], net.predict(X)) and found[-1][1] == net.evaluate(X, Y)


# ---- Ctrl-C -------------------------------------------------------------------------------------------------------


def interrupted(net, *args, **options):
    """Runs a fit that SIGINT ends after 0.2 s; returns the seconds from the signal to the return."""
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.2, send)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(*args, **options)
    return time.perf_counter() - sent[0]


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("options", [{}, {"validation_split": 0.2}, {"batch_size": 1}], ids=str)
def test_an_interrupt_returns_at_once_and_keeps_the_last_step(options):
    net, twin = network(), network()
    delays = [interrupted(net, X, Y, epochs=10**9, **options) for _ in range(3)]
    assert min(delays) < 0.1  # the best of three: another process may hold the CPU
    steps, first = net._state.steps, net.params.copy()
    assert steps > 100
    assert np.isfinite(net.predict(X)).all() and np.array_equal(net.params, first)
    if not options:  # a batch holds all samples: an epoch is a step, and the twin takes as many
        assert net._state.epochs == steps
        twin.fit(X, Y, epochs=steps)
        np.testing.assert_allclose(net.params, twin.params, rtol=1e-6)
    net.fit(X, Y, epochs=2)
    assert net._state.steps > steps


@pytest.mark.usefixtures("interrupts")
def test_an_interrupted_network_goes_on_exactly_as_if_it_had_not_been():
    net, twin = network(), network()
    interrupted(net, X, Y, epochs=10**9, shuffle=False)
    twin.fit(X, Y, epochs=net._state.steps, shuffle=False)
    assert np.array_equal(net.params, twin.params)
    net.fit(X, Y, epochs=3, shuffle=False)
    twin.fit(X, Y, epochs=3, shuffle=False)
    assert np.array_equal(net.params, twin.params)


def test_steps_before_an_error_count():
    """Fifty steps, then a loss function that fails: Adam's corrections and the orders go on from there."""
    calls = []

    def loss(y, p):
        calls.append(1)
        if len(calls) == 51:
            raise ZeroDivisionError("mine")
        return ((p - y) ** 2).mean(), 2 * (p - y) / p.size

    net, twin = network(loss=loss), network()
    with pytest.raises(ZeroDivisionError, match="mine"):
        net.fit(X, Y, epochs=1000, batch_size=23)
    assert net._state.steps == net._state.epochs == 50
    twin.fit(X, Y, epochs=50, batch_size=23)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-9)


# ---- a loss that is no longer finite ------------------------------------------------------------------------------


def warnings_of(net, *args, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = net.fit(*args, **options)
    return [(w.category, str(w.message), w.filename) for w in caught], history


def test_the_warning_names_epoch_batch_and_layer():
    def poison(batch):
        if net._state.steps == 3 + 2:  # the third batch of the second epoch
            net.params[net._state.graph.params["layers.1.weight"].offset] = np.nan

    net = network(optimizer=fnn.SGD(0.01))
    hook = fnn.LambdaCallback(on_batch_begin=poison)
    found, history = warnings_of(net, X, Y, epochs=4, batch_size=10, callbacks=[hook])
    assert [category for category, *_ in found] == [NonFiniteWarning]  # said once
    assert "in epoch 1, batch 2: the first such value is in layers.1.weight" in found[0][1]
    assert "a learning rate below 0.01" in found[0][1]
    assert found[0][2] == __file__
    assert np.isfinite(history["loss"][0]) and np.isnan(history["loss"][3]) and history.epochs == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "layers,where",
    [
        ([fnn.Dense(4), fnn.Dense(4), fnn.Dense(1)], "layers.2 (Dense)"),
        ([fnn.Dropout(0.1), fnn.Dense(4), fnn.Dropout(0.1), fnn.Dense(4), fnn.Dense(1)], "layers.4 (Dense)"),
        ([fnn.Dense(4), fnn.Dense(4), fnn.Residual(fnn.Dense(4)), fnn.Dense(1)], "layers.2.layers.0 (Dense)"),
    ],
)
def test_the_warning_names_the_layer_that_overflows(layers, where):
    net = network(*layers, dtype="float32", input_shape=3)
    net.params[:] = 1e13
    found, _ = warnings_of(net, abs(X), Y)
    assert [text for _, text, _ in found if f"in {where};" in text], found


def test_a_loss_that_overflows_by_itself():
    net = network(fnn.Dense(1), loss=lambda y, p: (np.inf, 0 * p), optimizer=fnn.CoordinateSearch())
    net.optimizer = "sgd"
    found, history = warnings_of(net, X, Y)
    assert "epoch 0, batch 0: the first such value is in the loss" in found[0][1] and history["loss"] == [np.inf]


def test_a_warning_as_an_error_leaves_the_network_before_that_step():
    net = network(input_shape=3)
    net.params[0] = np.nan
    before = net.params.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NonFiniteWarning):
            net.fit(X, Y)
    assert np.array_equal(net.params, before, equal_nan=True)


def test_batch_hooks_stay_in_pairs_when_the_loss_goes_wrong():
    diary, net = BatchDiary(), network(input_shape=3)
    net.params[0] = np.nan
    with pytest.warns(NonFiniteWarning):
        net.fit(X, Y, batch_size=10, callbacks=[diary])
    assert [entry[:2] for entry in diary.entries if "batch" in entry[0]] == [
        (when, i) for i in range(3) for when in ("batch_begin", "batch_end")
    ]


# ---- coordinate search --------------------------------------------------------------------------------------------


def test_coordinate_search_walks_down_in_steps():
    """w and b start at 0; y = 0.3 x + 0.2 is met in three steps of 0.1, and then nothing is better."""
    net = network(fnn.Dense(1, weight_init="zeros"), optimizer=fnn.CoordinateSearch(0.1))
    x = np.array([-1.0, 0.0, 1.0])
    history = net.fit(x, 0.3 * x + 0.2, epochs=50)
    np.testing.assert_allclose(net.params, [0.3, 0.2], rtol=0, atol=1e-12)
    assert history.stop_reason == "converged" and history.epochs == [0, 1, 2, 3]
    assert all(a > b for a, b in zip(history["loss"][:2], history["loss"][1:3], strict=True))
    assert history["loss"][-1] == pytest.approx(0, abs=1e-20)


def test_coordinate_search_sees_the_loss_over_all_batches():
    net = network(fnn.Dense(1), optimizer=fnn.CoordinateSearch(0.05), metrics=["mse"])
    history = net.fit(X, Y, epochs=3, batch_size=5)
    assert history["loss"][-1] == pytest.approx(((net.predict(X)[:, 0] - Y) ** 2).mean(), rel=1e-12)
    assert history["mse"] == pytest.approx(history["loss"], rel=1e-12)


@pytest.mark.parametrize("call", range(2, 12))
def test_a_weight_that_was_only_tried_is_not_kept(call):
    """Ctrl-C in the middle of a trial: the weights are then those of the best loss so far."""
    losses = []

    def loss(y, p):
        losses.append(((p - y) ** 2).mean())
        if len(losses) == call:
            raise KeyboardInterrupt
        return losses[-1], 2 * (p - y) / p.size

    net = network(fnn.Dense(1), loss=loss, optimizer=fnn.CoordinateSearch(0.1), input_shape=3)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=3, batch_size=23)
    assert ((net.predict(X)[:, 0] - Y) ** 2).mean() == pytest.approx(min(losses[:-1]), rel=1e-12)


# ---- what is printed ----------------------------------------------------------------------------------------------

SCRIPT = """
import sys; sys.modules["tqdm.auto"] = None  # its bar has tests of its own
import numpy as np, fastnn as fnn
net = fnn.Network([fnn.Dense(16, "tanh"), fnn.Dense(1)], metrics=["mae", "mse", "rmse", "r2"], seed=1)
X = np.random.default_rng(0).standard_normal((4000, 3))
net.fit(X, X[:, 0], epochs=EPOCHS, batch_size=4OPTIONS)
"""


def script(options, epochs):
    return [sys.executable, "-c", SCRIPT.replace("OPTIONS", options).replace("EPOCHS", str(epochs))]


def printed(options="", epochs=60, columns=80):
    """What the script writes to a terminal of so many columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(script(options, epochs), stdout=child, stderr=child, stdin=child)
    os.close(child)
    text = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # Linux: the other end is closed
            piece = b""
        if not piece:
            break
        text += piece
    os.close(parent)
    assert process.wait() == 0
    return text.decode()


def test_nothing_is_printed_where_there_is_no_terminal():
    done = subprocess.run(script("", 3), capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_a_line_is_rewritten_on_a_terminal():
    text = printed(epochs=600, columns=200)  # about a second: the line is written ten times a second
    lines = [line for line in text.replace("\r\n", "").split("\r") if line]
    assert text.count("\n") == 1 and text.endswith("\n") and len(lines) >= 3
    assert "[=" in lines[-2] and "loss" in lines[0]
    assert lines[-1].startswith("epoch 600/600 loss ") and lines[-1].rstrip().endswith(" s") and "r2" in lines[-1]


@pytest.mark.parametrize("columns", [20, 50, 80])
def test_the_line_never_wraps(columns):
    text = printed(columns=columns)
    assert max(map(len, text.replace("\n", "").split("\r"))) < columns


def test_silence_on_a_terminal():
    assert printed(", verbose=0", epochs=3) == ""
    assert printed(", verbose=False", epochs=3) == ""


def test_a_line_for_each_epoch():
    lines = printed(", verbose=2", epochs=3).splitlines()
    assert [line.split(" loss ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


@pytest.mark.parametrize("verbose", ["loud", 3, None, -1])
def test_verbose_that_cannot_be(verbose):
    with pytest.raises(ValueError, match=r'verbose: expected "auto", 0, 1 or 2'):
        network().fit(X, Y, verbose=verbose)


def test_predict_prints_nothing(capfd):
    net = network()
    net.fit(X, Y)
    net.predict(X)
    net.predictor()(X[0])
    net.evaluate(X, Y)
    assert capfd.readouterr() == ("", "")


WIDE = RANDOM.standard_normal((70, 150))


FUSED = [fnn.SGD(0.001, momentum=0.9), fnn.RMSprop(0.001, centered=True), fnn.Adagrad(), fnn.AdamW()]


@pytest.mark.parametrize("optimizer", FUSED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fused_rule_gives_the_same_bits(optimizer, dtype):
    """Large weights are updated as their gradient is summed, unless a callback may look at the gradients."""

    def trained(callbacks, threads):
        net = network(fnn.Dense(130, "relu"), fnn.Dense(130, "tanh"), fnn.Dense(1), dtype=dtype, optimizer=optimizer)
        history = net.fit(WIDE, WIDE[:, 0], epochs=3, batch_size=32, verbose=0, callbacks=callbacks, threads=threads)
        return net.params.copy(), history["loss"]

    params, losses = trained([fnn.LambdaCallback(on_batch_end=lambda *_: None)], 1)
    assert np.isfinite(losses).all() and losses[0] != losses[-1]
    for threads in (1, 2, 3):
        found = trained([], threads)
        assert np.array_equal(found[0], params) and found[1] == losses


def test_gradients_stay_for_those_who_may_look():
    net = network(fnn.Dense(130, "relu"), fnn.Dense(1))
    net.fit(WIDE, WIDE[:, 0], epochs=1, verbose=0)
    expected = net.loss_and_gradients(WIDE, WIDE[:, 0])[1]["layers.0.weight"].copy()
    net.grads[:] = np.nan
    net.train_on_batch(WIDE, WIDE[:, 0])
    assert np.array_equal(net.grads[: expected.size].reshape(expected.shape), expected)
    seen = []
    watch = fnn.LambdaCallback(on_epoch_end=lambda *_: seen.append(net.grads.copy()))
    net.fit(WIDE, WIDE[:, 0], epochs=1, verbose=0, callbacks=[watch])
    assert np.isfinite(seen[0]).all() and not np.array_equal(seen[0][: expected.size], expected.ravel())
