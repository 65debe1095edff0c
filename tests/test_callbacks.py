"""The callbacks of the library: Keras's and PyTorch's definitions step for step, and every way out of a fit."""

import csv
import importlib.util
import sys
import types

import numpy as np
import pytest

import fastnn as fnn

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 3))
Y = X[:, 0] - 2 * X[:, 1]


def network(*layers, **options):
    options = {"seed": 1, "dtype": "float64", "optimizer": fnn.SGD(0.05), **options}
    return fnn.Network(list(layers or [fnn.Dense(4, "tanh"), fnn.Dense(1)]), **options)


class Played(fnn.Callback):
    """Lets the figure `monitor` take given values, as others see it, and remembers the weights of each epoch."""

    def __init__(self, values, then=lambda epoch: None):
        self.values, self.then, self.weights = values, then, []

    def on_epoch_end(self, epoch, logs):
        logs["loss"] = self.values[epoch]
        self.weights.append(self.network.params.copy())
        self.then(epoch)


def curves(count, length=30):
    """Figures that fall, rise, jump, repeat themselves and turn NaN."""
    random = np.random.default_rng(7)
    for i in range(count):
        values = np.abs(np.cumsum(random.normal(-0.1, 0.5, length)) + 2).round(i % 3)
        values[random.random(length) < 0.05] = np.nan
        yield values.tolist()


# ---- early stopping -------------------------------------------------------------------------------------------------


def keras_early_stopping(values, patience, min_delta, baseline, start, sign):
    """(stopped epoch or None, best epoch) by the definition of keras.callbacks.EarlyStopping, of Keras 3."""

    def improves(value, reference):
        return sign * value + min_delta < sign * reference if sign > 0 else value - min_delta > reference

    wait, best, best_epoch = 0, sign * np.inf, None
    for epoch, value in enumerate(values):
        if epoch < start:
            continue
        if best_epoch is None:
            best_epoch = epoch
        wait += 1
        if improves(value, best):
            best, best_epoch = value, epoch
            if baseline is None or improves(value, baseline):
                wait = 0
            continue
        if wait >= patience and epoch > 0:
            return epoch, best_epoch
    return None, best_epoch


def keras_model(optimizer=None):
    """What Keras's callbacks ask of a model."""
    return types.SimpleNamespace(
        stop_training=False, optimizer=optimizer, get_weights=lambda: [0], set_weights=lambda weights: None
    )


@pytest.mark.keras
@pytest.mark.parametrize("patience, min_delta, baseline, start, sign", [
    (0, 0, None, 0, 1), (3, 0, None, 0, 1), (5, 0.33, None, 0, 1), (4, 0, 1.04, 0, 1), (2, 0, None, 9, 1),
    (3, 0, None, 0, -1), (3, 0.23, 2.04, 0, -1),
])  # fmt: skip
def test_early_stopping_is_written_out_as_keras_has_it(keras, patience, min_delta, baseline, start, sign):
    for values in curves(12):
        values = np.nan_to_num(values, nan=10.0 * sign).tolist()  # a NaN that comes first is the best of all in Keras
        theirs = keras.callbacks.EarlyStopping(
            "loss", patience=patience, min_delta=min_delta, baseline=baseline, start_from_epoch=start,
            mode="min" if sign > 0 else "max", restore_best_weights=True,
        )  # fmt: skip
        model = keras_model()
        theirs.set_model(model)
        theirs.on_train_begin()
        stopped = None
        for epoch, value in enumerate(values):
            theirs.on_epoch_end(epoch, {"loss": value})
            if model.stop_training:
                stopped = epoch
                break
        expected, best = keras_early_stopping(values, patience, min_delta, baseline, start, sign)
        assert (stopped, theirs.best_epoch) == (expected, best)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 0},
        {"patience": 3},
        {"patience": 5, "min_delta": 0.3},
        {"patience": 4, "baseline": 1.0},
        {"patience": 2, "start_epoch": 9},
        {"patience": 3, "mode": "max"},
        {"patience": 3, "mode": "max", "min_delta": 0.2, "baseline": 2.0},
    ],
)
def test_early_stopping_is_that_of_keras(options):
    for values in curves(12):
        sign = -1.0 if options.get("mode") == "max" else 1.0
        expected, best = keras_early_stopping(
            values, options["patience"], options.get("min_delta", 0.0), options.get("baseline"),
            options.get("start_epoch", 0), sign,
        )  # fmt: skip
        net, played, stop = network(), Played(values), fnn.EarlyStopping("loss", **options)
        history = net.fit(X, Y, epochs=len(values), callbacks=[played, stop])
        assert (stop.stopped_epoch, stop.best_epoch) == (expected, best)
        assert len(history.epochs) == (len(values) if expected is None else expected + 1)
        assert np.array_equal(net.params, played.weights[best])
        assert history.stop_reason == ("all epochs done" if expected is None else "stopped by a callback")


def ctrl_c(epoch):
    if epoch == 6:
        raise KeyboardInterrupt


def breaks(epoch):
    if epoch == 6:
        raise OSError("disk full")


@pytest.mark.parametrize("way, error", [(ctrl_c, KeyboardInterrupt), (breaks, OSError)])
def test_the_best_weights_come_back_on_every_way_out(way, error):
    values = [5.0, 3.0, 1.0, 4.0, 4.0, 4.0, 4.0, 0.0]
    net, stop = network(), fnn.EarlyStopping("loss", patience=50)
    played = Played(values, way)
    with pytest.raises(error):
        net.fit(X, Y, epochs=8, callbacks=[stop, played])
    # The stopping callback saw the loss itself, before the player set it: its best is the last epoch's.
    assert np.array_equal(net.params, played.weights[stop.best_epoch])
    net, stop = network(), fnn.EarlyStopping("loss", patience=50)
    played = Played(values, way)
    with pytest.raises(error):
        net.fit(X, Y, epochs=8, callbacks=[played, stop])
    assert stop.best_epoch == 2 and np.array_equal(net.params, played.weights[2])


def test_the_best_weights_come_back_where_a_step_fails():
    """A loss of one's own that raises in the middle of an epoch."""
    calls = []

    def loss(y, p):
        calls.append(1)
        if len(calls) == 35:
            raise ZeroDivisionError("mine")
        return ((p - y) ** 2).mean(), 2 * (p - y) / p.size

    net, stop, played = network(loss=loss), fnn.EarlyStopping("loss"), Played([3.0, 1.0, 2.0, 2.0, 2.0])
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        net.fit(X, Y, epochs=5, batch_size=4, callbacks=[played, stop])
    assert np.array_equal(net.params, played.weights[1])
    assert caught.traceback[-1].name == "loss"


def test_without_restoring_the_last_weights_stay():
    net, played = network(), Played([1.0, 2.0, 3.0])
    stop = fnn.EarlyStopping("loss", patience=2, restore_best=False)
    net.fit(X, Y, epochs=9, callbacks=[played, stop])
    assert stop.best_epoch == 0 and np.array_equal(net.params, played.weights[2])


def test_a_callback_is_used_again_from_its_beginning():
    stop = fnn.EarlyStopping("loss", patience=1)
    for _ in range(2):
        net, played = network(), Played([2.0, 1.0, 3.0, 3.0])
        assert len(net.fit(X, Y, epochs=4, callbacks=[played, stop]).epochs) == 3
        assert stop.best == 1.0 and np.array_equal(net.params, played.weights[1])


@pytest.mark.parametrize("name, rising", [("val_loss", False), ("accuracy", True), ("val_f1", True), ("mae_1", False),
                                          ("top_k_accuracy", True), ("auc", True), ("r2", True)])  # fmt: skip
def test_which_way_is_better_goes_by_the_name(name, rising):
    assert fnn.EarlyStopping(name).is_better(2.0, 1.0) is rising


def test_a_figure_that_is_not_there_is_an_error_before_training():
    for callback in (fnn.EarlyStopping(), fnn.ReduceLROnPlateau("val_mae"), fnn.ModelCheckpoint("x", best_only=True)):
        net = network(metrics=["mae"], input_shape=3)
        before = net.params.copy()
        with pytest.raises(
            ValueError, match=f"{type(callback).__name__} monitors 'val_.*', this fit has loss, mae; give v"
        ):
            net.fit(X, Y, callbacks=callback)
        assert np.array_equal(before, net.params)
        net.fit(X, Y, validation_split=0.2)
    x = fnn.Input(3)
    two = fnn.Network(inputs=x, outputs=[fnn.Dense(1)(x), fnn.Dense(1)(x)], metrics=["mae"])
    with pytest.raises(ValueError, match="this fit has loss, mae_0, mae_1, val_loss, val_mae_0, val_mae_1"):
        two.fit(X, [Y, Y], validation_split=0.2, callbacks=fnn.EarlyStopping("mae"))


# ---- the learning rate ----------------------------------------------------------------------------------------------


def keras_reduce(values, rate, factor, patience, min_delta, cooldown, min_rate):
    """The rate after each epoch, by the definition of keras.callbacks.ReduceLROnPlateau."""
    best, wait, cooling, rates = np.inf, 0, 0, []
    for value in values:
        if cooling > 0:
            cooling -= 1
            wait = 0
        if value < best - min_delta:
            best, wait = value, 0
        elif cooling == 0:
            wait += 1
            if wait >= patience and rate > min_rate:
                rate = max(rate * factor, min_rate)
                cooling, wait = cooldown, 0
        rates.append(rate)
    return rates


@pytest.mark.keras
@pytest.mark.parametrize("factor, patience, min_delta, cooldown, min_rate", [
    (0.1, 1, 1e-4, 0, 0.0), (0.5, 3, 1e-4, 0, 0.0), (0.5, 2, 1e-4, 4, 0.0), (0.3, 2, 0.37, 0, 0.01),
])  # fmt: skip
def test_reduce_on_plateau_is_written_out_as_keras_has_it(keras, factor, patience, min_delta, cooldown, min_rate):
    for values in curves(12):
        theirs = keras.callbacks.ReduceLROnPlateau(
            "loss", factor=factor, patience=patience, min_delta=min_delta, cooldown=cooldown, min_lr=min_rate
        )
        values = np.nan_to_num(values, nan=10.0).tolist()
        model, rates = keras_model(keras.optimizers.SGD(0.05)), []
        theirs.set_model(model)
        theirs.on_train_begin()
        for epoch, value in enumerate(values):
            theirs.on_epoch_end(epoch, {"loss": value})
            rates.append(float(model.optimizer.learning_rate))
        expected = keras_reduce(values, 0.05, factor, patience, min_delta, cooldown, min_rate)
        assert rates == pytest.approx(expected, rel=1e-6)  # Keras keeps the rate in float32


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"patience": 3, "factor": 0.5},
        {"patience": 2, "cooldown": 4, "factor": 0.5},
        {"patience": 2, "min_delta": 0.37, "min_rate": 0.01, "factor": 0.3},
    ],
)
def test_reduce_on_plateau_is_that_of_keras(options):
    for values in curves(12):
        net, rates = network(), []
        callbacks = [
            Played(values),
            fnn.ReduceLROnPlateau("loss", **options),
            fnn.LambdaCallback(
                on_epoch_end=lambda e, logs, net=net, rates=rates: rates.append(net.optimizer.learning_rate)
            ),
        ]
        history = net.fit(X, Y, epochs=len(values), callbacks=callbacks)
        defaults = {"factor": 0.1, "min_delta": 1e-4, "cooldown": 0, "min_rate": 0.0, **options}
        assert rates == keras_reduce(values, 0.05, **defaults)
        assert history.learning_rates == [0.05, *rates[:-1]]
        changes = [(i, rate) for i, rate in enumerate(rates) if rate != [0.05, *rates][i]]
        assert callbacks[1].reductions == changes


def test_reduce_on_plateau_needs_a_rate_that_is_a_number():
    with pytest.raises(ValueError, match="this optimizer has Cosine"):
        network(optimizer=fnn.SGD(fnn.schedules.Cosine(0.1, 9))).fit(X, Y, callbacks=fnn.ReduceLROnPlateau("loss"))
    with pytest.raises(ValueError, match="this optimizer has LBFGS"):
        network(optimizer="lbfgs").fit(X, Y, callbacks=fnn.ReduceLROnPlateau("loss"))


def test_a_rate_set_in_a_batch_hook_holds_from_the_next_batch():
    net, twin = network(), network()

    def slow(batch, logs):
        net.optimizer.learning_rate = 0.05 / (batch + 2)

    net.fit(X, Y, batch_size=8, shuffle=False, callbacks=fnn.LambdaCallback(on_batch_end=slow))
    for batch in range(5):
        twin.optimizer.learning_rate = 0.05 / (batch + 1)
        twin.train_on_batch(X[8 * batch : 8 * batch + 8], Y[8 * batch : 8 * batch + 8])
    assert np.array_equal(net.params, twin.params)


# ---- what is not finite ---------------------------------------------------------------------------------------------


def test_terminate_on_nan_keeps_the_last_completed_step():
    net, twin = network(optimizer=fnn.SGD(1e200)), network(optimizer=fnn.SGD(1e200))
    with pytest.warns(fnn.NonFiniteWarning):
        history = net.fit(X, Y, epochs=9, batch_size=10, shuffle=False, callbacks=fnn.TerminateOnNaN())
    assert history.stop_reason == "the loss is no longer finite in epoch 0, batch 1"
    assert history.epochs == [] and net._state.steps == 1
    twin.train_on_batch(X[:10], Y[:10])
    assert np.array_equal(net.params, twin.params)


def test_terminate_on_nan_leaves_a_good_training_alone():
    one, other = network(), network()
    one.fit(X, Y, epochs=3, callbacks=fnn.TerminateOnNaN())
    other.fit(X, Y, epochs=3)
    assert np.array_equal(one.params, other.params)


def test_a_hook_hears_of_it_once():
    seen = []
    with pytest.warns(fnn.NonFiniteWarning):
        network(optimizer=fnn.SGD(1e200)).fit(
            X, Y, epochs=3, batch_size=10, callbacks=fnn.LambdaCallback(on_nonfinite=lambda *at: seen.append(at))
        )
    assert seen == [(0, 1)]


# ---- averages -------------------------------------------------------------------------------------------------------


class Steps(fnn.Callback):
    """The weights after each step."""

    def on_fit_begin(self):
        self.seen = []

    def on_batch_end(self, batch, logs):
        self.seen.append(self.network.params.copy())


@pytest.mark.torch
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_ema_is_pytorchs_averaged_model(decay):
    torch = pytest.importorskip("torch")
    utils = torch.optim.swa_utils
    net, ema, steps = network(), fnn.EMA(decay), Steps()
    net.fit(X, Y, epochs=4, batch_size=8, callbacks=[steps, ema])
    model = torch.nn.Linear(net.params.size, 1, bias=False, dtype=torch.float64)
    average = utils.AveragedModel(model, multi_avg_fn=utils.get_ema_multi_avg_fn(decay))
    for params in steps.seen:
        model.weight.data[0] = torch.tensor(params)
        average.update_parameters(model)
    np.testing.assert_allclose(net.params, average.module.weight.data[0].numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.torch
def test_swa_is_pytorchs_averaged_model():
    torch = pytest.importorskip("torch")
    net, swa, steps = network(), fnn.SWA(start_epoch=2), Steps()
    net.fit(X, Y, epochs=6, batch_size=8, callbacks=[steps, swa])
    model = torch.nn.Linear(net.params.size, 1, bias=False, dtype=torch.float64)
    average = torch.optim.swa_utils.AveragedModel(model)
    for epoch in range(2, 6):
        model.weight.data[0] = torch.tensor(steps.seen[5 * epoch + 4])
        average.update_parameters(model)
    assert swa.count == 4
    np.testing.assert_allclose(net.params, average.module.weight.data[0].numpy(), rtol=1e-12, atol=1e-14)


def test_an_exponential_average_by_its_formula():
    net, ema, steps = network(), fnn.EMA(0.8, every=2), Steps()
    net.fit(X, Y, epochs=3, batch_size=8, callbacks=[ema, steps])
    average = None
    for params in steps.seen[1::2]:
        average = params if average is None else 0.8 * average + 0.2 * params
    np.testing.assert_allclose(net.params, average, rtol=1e-12)
    assert ema.count == 7


def test_averages_leave_the_training_as_it_is():
    """The next epoch goes on from the trained weights, not from the average that the validation saw."""
    plain, averaged = network(), network()
    a = plain.fit(X, Y, epochs=5, batch_size=8, validation_split=0.2)
    b = averaged.fit(X, Y, epochs=5, batch_size=8, validation_split=0.2, callbacks=[fnn.EMA(0.9)])
    assert a["loss"] == b["loss"] and a["val_loss"] != b["val_loss"]
    assert b["val_loss"][-1] == averaged.evaluate(X[32:], Y[32:])["loss"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("then", [lambda epoch: None, ctrl_c])
def test_the_best_average_is_what_early_stopping_restores(order, then):
    values = [5.0, 3.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    played, stop, ema = Played(values, then), fnn.EarlyStopping("loss", patience=50), fnn.EMA(0.9)
    net = network()
    try:
        net.fit(X, Y, epochs=8, callbacks=[played, *[stop, ema][::order]])
    except KeyboardInterrupt:
        assert then is ctrl_c
    assert stop.best_epoch == 2 and np.array_equal(net.params, played.weights[2])


def test_the_average_is_there_after_ctrl_c_too():
    net, ema = network(), fnn.EMA(0.5)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=9, callbacks=[ema, Played([1.0] * 9, ctrl_c)])
    assert np.array_equal(net.params, ema.average) and ema.count == 14


def test_steps_of_several_batches_count_once():
    ema = fnn.EMA(0.5)
    network().fit(X, Y, epochs=2, batch_size=8, accumulate=2, callbacks=ema)
    assert ema.count == 6


# ---- files ----------------------------------------------------------------------------------------------------------


class Saved(fnn.Network):
    """Saves what tells its moment: the weights."""

    def save(self, path):
        np.save(path, self.params, allow_pickle=False)


def saving(**options):
    return Saved([fnn.Dense(1)], seed=1, dtype="float64", optimizer=fnn.SGD(0.05), **options)


def test_checkpoints_are_named_by_epoch_and_figures(tmp_path):
    net, played = saving(), Played([0.5, 0.25, 2.0, 0.125])
    keep = fnn.ModelCheckpoint(tmp_path / "{epoch:02d}-{loss:.2f}.npy", every=2)
    net.fit(X, Y, epochs=4, callbacks=[played, keep])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02-0.25.npy", "04-0.12.npy"]
    assert keep.saved == str(tmp_path / "04-0.12.npy")
    assert np.array_equal(np.load(tmp_path / "02-0.25.npy"), played.weights[1])


def test_only_the_best_are_kept(tmp_path):
    net, played = saving(), Played([0.5, 0.25, np.nan, 0.3, 0.2, 0.4])
    keep = fnn.ModelCheckpoint(tmp_path / "best.npy", "loss", best_only=True)
    net.fit(X, Y, epochs=6, callbacks=[played, keep])
    assert keep.best == 0.2 and np.array_equal(np.load(tmp_path / "best.npy"), played.weights[4])


def test_a_checkpoint_that_cannot_be_named_is_refused_before_training(tmp_path):
    for path in ("{val_loss}", "{}", "{epoch:q}", "{epoch"):
        with pytest.raises(ValueError, match="path: .* there is epoch, loss"):
            saving().fit(X, Y, callbacks=fnn.ModelCheckpoint(tmp_path / path))


def test_a_checkpoint_that_cannot_be_written_ends_training_with_the_last_step(tmp_path):
    net, twin = saving(), saving()
    with pytest.raises(OSError):
        net.fit(X, Y, epochs=5, callbacks=fnn.ModelCheckpoint(tmp_path / "missing" / "x.npy"))
    twin.fit(X, Y)
    assert np.array_equal(net.params, twin.params)


@pytest.mark.skipif(not hasattr(fnn.Network, "save"), reason="networks cannot be saved yet")
def test_a_checkpoint_is_a_network(tmp_path):
    net = network()
    history = net.fit(X, Y, epochs=2, callbacks=fnn.ModelCheckpoint(tmp_path / "{epoch}.safetensors"))
    again = fnn.load(tmp_path / "1.safetensors")
    assert history["loss"][1:] == again.fit(X, Y)["loss"] and np.array_equal(net.params, again.params)


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    net = network(metrics=["mae"])
    history = net.fit(X, Y, epochs=3, validation_split=0.25, callbacks=fnn.CSVLogger(path, separator=";"))
    with open(path, newline="") as file:
        header, *rows = csv.reader(file, delimiter=";")
    assert header == ["epoch", "loss", "mae", "val_loss", "val_mae", "learning_rate", "seconds"]
    assert [[float(cell) for cell in row[:-1]] for row in rows] == [
        [i, *(history[name][i] for name in header[1:5]), 0.05] for i in range(3)
    ]
    net.fit(X, Y, epochs=2, validation_split=0.25, callbacks=fnn.CSVLogger(path, separator=";", append=True))
    lines = path.read_text().splitlines()
    assert len(lines) == 6 and lines[4].startswith("0;")
    network().fit(X, Y, callbacks=fnn.CSVLogger(path))
    assert len(path.read_text().splitlines()) == 2


def test_csv_lines_are_there_when_training_breaks(tmp_path):
    path = tmp_path / "log.csv"
    log = fnn.CSVLogger(path)
    with pytest.raises(OSError, match="disk full"):
        network().fit(X, Y, epochs=9, callbacks=[log, Played([1.0] * 9, breaks)])
    assert len(path.read_text().splitlines()) == 8 and log._file is None


def test_csv_of_figures_that_are_no_numbers(tmp_path):
    path = tmp_path / "log.csv"
    net = network(fnn.Dense(3, "softmax"), metrics=["confusion_matrix"])
    history = net.fit(X, np.arange(40) % 3, callbacks=fnn.CSVLogger(path))
    with open(path, newline="") as file:
        row = [*csv.DictReader(file)][0]
    assert np.array_equal(eval(row["confusion_matrix"]), history["confusion_matrix"][0])


def test_tensorboard_writes_scalars_by_part(monkeypatch, tmp_path):
    written = []

    class Writer:
        def __init__(self, folder):
            self.part = folder.rpartition("/")[2]

        def add_scalar(self, name, value, epoch):
            written.append((self.part, name, value, epoch))

        def add_histogram(self, name, values, epoch):
            written.append((self.part, name, values.shape, epoch))

        def flush(self):
            pass

        def close(self):
            written.append((self.part, "closed"))

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    board = fnn.TensorBoard(tmp_path, histograms=True)
    history = network(fnn.Dense(1)).fit(X, Y, epochs=2, validation_split=0.2, callbacks=board)
    assert ("train", "epoch_loss", history["loss"][1], 1) in written
    assert ("validation", "epoch_loss", history["val_loss"][0], 0) in written
    assert ("train", "epoch_learning_rate", 0.05, 1) in written
    assert ("train", "layers.0.weight", (3, 1), 1) in written
    assert written[-2:] == [("train", "closed"), ("validation", "closed")]


def test_tensorboard_without_its_writer(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        fnn.TensorBoard()


@pytest.mark.skipif(importlib.util.find_spec("tensorboardX") is None, reason="tensorboardX is not installed")
def test_tensorboard_files_hold_the_figures(tmp_path):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401 - the format that is read below

    history = network().fit(X, Y, epochs=3, callbacks=fnn.TensorBoard(tmp_path))
    data, found = b"".join(path.read_bytes() for path in (tmp_path / "train").iterdir()), []
    while data:  # records of TensorFlow: length, its check sum, the event, its check sum
        length = int.from_bytes(data[:8], "little")
        found += [(v.tag, v.simple_value) for v in Event.FromString(data[12 : 12 + length]).summary.value]
        data = data[16 + length :]
    losses = [value for tag, value in found if tag == "epoch_loss"]
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-6)


# ---- all together ---------------------------------------------------------------------------------------------------


def test_every_callback_is_told_of_the_end_and_the_first_error_is_the_users():
    ended = []

    def bad():
        raise RuntimeError("first")

    callbacks = [
        fnn.LambdaCallback(on_fit_end=bad),
        fnn.LambdaCallback(on_fit_end=lambda: ended.append(1)),
    ]
    with pytest.raises(RuntimeError, match="first"):
        network().fit(X, Y, callbacks=callbacks)
    assert ended == [1]


def test_hooks_around_the_validation():
    moments = []
    names = ("on_epoch_begin", "on_epoch_trained", "on_epoch_end")
    watch = fnn.LambdaCallback(**{name: lambda *args, name=name: moments.append(name) for name in names})
    network().fit(X, Y, epochs=2, validation_split=0.2, callbacks=watch)
    assert moments == [*names, *names]


def test_callbacks_see_history_and_the_names_of_figures():
    seen = []

    class Look(fnn.Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append((self.figures, list(logs), self.history["loss"][-1] == logs["loss"], len(self.history.seconds)))

    network(metrics=["mae"]).fit(X, Y, epochs=2, validation_split=0.2, callbacks=Look())
    names = ("loss", "mae", "val_loss", "val_mae")
    assert seen == [(names, list(names), True, 1), (names, list(names), True, 2)]
