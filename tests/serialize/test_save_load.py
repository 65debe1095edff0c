"""A network that is saved and loaded is the network: its parts, its bits, and all that training makes of it later."""

import builtins
import json
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from unittest import mock

import models
import numpy as np
import pytest

import fastnn as fnn
from fastnn import ModelFileError

every_kind = pytest.mark.parametrize("kind", models.KINDS)
both = pytest.mark.parametrize("dtype", ["float32", "float64"])


def saved(net, path, **options):
    net.save(path, **options)
    return fnn.load(path, **options)


# ---- round trips --------------------------------------------------------------------------------------------------


@every_kind
@both
def test_before_and_after_training(kind, dtype, tmp_path):
    net = models.KINDS[kind](dtype)
    models.assert_same(net, saved(net, tmp_path / "a"))
    X, y = models.data(net)
    net.fit(X, y, epochs=2, batch_size=16, verbose=0)
    again = saved(net, tmp_path / "a")
    models.assert_same(net, again)
    models.assert_same_future(net, again)


@both
@pytest.mark.parametrize("optimizer", [*models.OPTIMIZERS, fnn.SGD(0.1, momentum=0.9, nesterov=True, clip_norm=1.0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_training_resumed_ends_where_the_uninterrupted_ends(optimizer, dtype, threads, tmp_path):
    """To the bit, with dropout and shuffling, at any epoch; the second half may use other numbers of threads."""
    whole = models.sequence(dtype, optimizer=optimizer)
    X, y = models.data(whole)
    losses = whole.fit(X, y, epochs=5, batch_size=8, verbose=0)["loss"]
    for epochs in (1, 3):
        net = models.sequence(dtype, optimizer=optimizer)
        before = net.fit(X, y, epochs=epochs, batch_size=8, verbose=0)["loss"]
        net = saved(net, tmp_path / "checkpoint")
        after = net.fit(X, y, epochs=5 - epochs, batch_size=8, threads=threads, verbose=0)["loss"]
        assert before + after == losses
        assert models.bits(net) == models.bits(whole)


@pytest.mark.parametrize("optimizer", sorted(fnn.Optimizer.known))
def test_every_optimizer(optimizer, tmp_path):
    net = fnn.Network([fnn.Dense(2, "tanh"), fnn.Dense(1)], loss="mse", optimizer=optimizer, input_shape=4, seed=0)
    X, y = models.data(net, 12)
    net.fit(X, y, verbose=0)
    again = saved(net, tmp_path / "a")
    models.assert_same(net, again)
    models.assert_same_future(net, again)


def test_a_callback_saves_at_every_epoch(tmp_path):
    net = models.sequence()
    X, y = models.data(net)
    keep = fnn.LambdaCallback(on_epoch_end=lambda epoch, logs: net.save(tmp_path / f"{epoch}"))
    losses = net.fit(X, y, epochs=4, callbacks=[keep], verbose=0)["loss"]
    for epoch in range(4):
        again = fnn.load(tmp_path / f"{epoch}")
        assert again._state.epochs == epoch + 1
        assert again.fit(X, y, epochs=4 - epoch, verbose=0)["loss"][: 3 - epoch] == losses[epoch + 1 :]


def test_a_learning_rate_set_by_hand_is_kept(tmp_path):
    net = models.sequence()
    net.optimizer.learning_rate = 0.25
    assert saved(net, tmp_path / "a").optimizer.learning_rate == 0.25


def test_what_is_frozen_and_how_fast_layers_learn_is_kept(tmp_path):
    net = models.sequence()
    net.layers[0].trainable = False
    net.layers[2].layers[0].learning_rate_factor = 0.5
    again = saved(net, tmp_path / "a")
    assert not again.layers[0].trainable and again.layers[2].layers[0].learning_rate_factor == 0.5
    models.assert_same_future(net, again)


@pytest.mark.parametrize("by", ["epoch", "step"])
def test_a_schedule_goes_on_where_it_was(by, tmp_path):
    """After another optimizer has trained, so that the schedule's epochs are not the network's."""

    def network():
        net = models.sequence()
        X, y = models.data(net)
        net.fit(X, y, epochs=2, verbose=0)
        net.optimizer = fnn.Adam(fnn.schedules.Exponential(0.1, 0.5, by=by))
        return net, X, y

    whole, X, y = network()
    losses = whole.fit(X, y, epochs=4, verbose=0)["loss"]
    net, X, y = network()
    net.fit(X, y, epochs=2, verbose=0)
    again = saved(net, tmp_path / "a")
    assert again.fit(X, y, epochs=2, verbose=0)["loss"] == losses[2:]
    assert models.bits(again) == models.bits(whole)


def test_a_seed_from_the_system_is_kept(tmp_path):
    net = models.sequence(seed=None)
    again = saved(net, tmp_path / "a")
    assert again.seed is None
    models.assert_same_future(net, again)


def test_weights_that_are_not_finite_come_back(tmp_path):
    net = models.sequence()
    net.params[:3] = np.nan, np.inf, -0.0
    assert models.bits(saved(net, tmp_path / "a")) == models.bits(net)


def test_a_deep_graph(tmp_path):
    """Calls are numbered, not nested, so that depth is no limit."""
    x = fnn.Input(2)
    node, layer = x, fnn.Dense(2, "tanh")
    for _ in range(900):
        node = layer(node)
    net = fnn.Network(inputs=x, outputs=node, loss="mse", seed=0)
    again = saved(net, tmp_path / "a")
    X = np.ones((3, 2), dtype="float32")
    assert np.array_equal(net.predict(X), again.predict(X))


def test_what_is_loaded_does_not_draw_its_weights_first(tmp_path, monkeypatch):
    net = models.sequence()
    net.save(tmp_path / "a")
    monkeypatch.setattr("fastnn._vectors.Memory.initialize", None)
    models.assert_same(net, fnn.load(tmp_path / "a"))


# ---- the file -----------------------------------------------------------------------------------------------------


def test_the_safetensors_package_reads_it(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file

    net = models.given_arrays()
    X, y = models.data(net)
    net.fit(X, y, verbose=0)
    net.save(tmp_path / "a")
    tensors = load_file(tmp_path / "a")
    for name, weight in net.get_weights().items():
        assert np.array_equal(tensors.pop(name), weight)
    assert tensors.keys() == {"optimizer.m", "optimizer.v", "arrays.0"}
    with safetensors.safe_open(tmp_path / "a", "numpy") as file:
        assert file.metadata()["format"] == "fastnn"


def test_files_by_the_safetensors_package_are_told_apart(tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, tmp_path / "a")
    with pytest.raises(ModelFileError, match="not one that fastnn wrote"):
        fnn.load(tmp_path / "a")


def test_the_same_network_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        models.sequence().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_paths_of_any_kind(tmp_path):
    net = models.sequence()
    os.chdir(tmp_path)
    for path in ("plain", b"bytes", tmp_path / "ünïcode €", "x" * 255):
        net.save(path)
        models.assert_same(net, fnn.load(path))


# ---- what cannot be saved -----------------------------------------------------------------------------------------

OWN = {
    "activation": (
        lambda: [fnn.Dense(3, (models.swish, models.swish_derivative))],
        {},
        r"layers\.0 \(Dense\): activation is a Python function.*custom=\{'swish': swish\}",
    ),
    "initializer": (
        lambda: [fnn.Residual(fnn.Dense(4, weight_init=np.zeros))],
        {},
        r"layers\.0 \(Residual\): layers.* is a Python function",
    ),
    "layer": (lambda: [models.Twice(2)], {}, r"layers\.0 \(Twice\) is a class of your own.*custom=\{'Twice': Twice\}"),
    "loss": (lambda: [fnn.Dense(1)], {"loss": models.absolute}, r"loss \(Custom\): function is a Python function"),
    "metric": (lambda: [fnn.Dense(1)], {"metrics": models.absolute}, r"metrics \(FromFunction\): function is a Python"),
}


@pytest.mark.parametrize("own", OWN)
def test_python_code_is_refused_before_anything_is_written(own, tmp_path):
    layers, options, message = OWN[own]
    net = fnn.Network(layers(), input_shape=4, **options)
    with pytest.raises(ValueError, match=message):
        net.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("own", OWN)
def test_python_code_with_names(own, tmp_path):
    layers, options, _ = OWN[own]
    net = fnn.Network(layers(), input_shape=4, seed=0, **options)
    custom = {
        "swish": models.swish, "its derivative": models.swish_derivative, "zeros": np.zeros, "Twice": models.Twice,
        "absolute": models.absolute,
    }  # fmt: skip
    net.layers[0].mood = "merry"
    again = saved(net, tmp_path / "a", custom=custom)
    assert again.layers == net.layers
    assert own != "layer" or again.layers[0].mood == "merry"
    X = np.ones((3, 4), dtype="float32")
    assert np.array_equal(net.predict(X), again.predict(X))
    with pytest.raises(ModelFileError, match="not fastnn's; give it, fnn.load"):
        fnn.load(tmp_path / "a")


def test_a_class_of_your_own_does_not_take_the_place_of_fastnns(tmp_path):
    net = models.sequence()
    net.save(tmp_path / "a")
    known = dict(fnn.Layer.known)
    try:
        type("Dense", (fnn.Layer,), {"__module__": "theirs"})
        assert fnn.Layer.known["dense"] is not fnn.Dense
        models.assert_same(net, fnn.load(tmp_path / "a"))
    finally:
        fnn.Layer.known.update(known)


@pytest.mark.parametrize("custom", [[], "x", {1: np.zeros}, {"x": 3}])
def test_custom_that_is_none(custom, tmp_path):
    with pytest.raises(TypeError, match="custom: expected a dict from names to classes or functions"):
        models.sequence().save(tmp_path / "a", custom=custom)
    with pytest.raises(TypeError, match="custom: expected"):
        fnn.load(tmp_path / "a", custom=custom)


def test_layers_nested_too_deeply(tmp_path):
    layer = fnn.Dense(2)
    for _ in range(70):
        layer = fnn.Residual(layer)
    with pytest.raises(ValueError, match="more than 64 deep"):
        fnn.Network([layer], input_shape=2).save(tmp_path / "a")


def test_more_layers_than_a_file_may_describe(tmp_path):
    many = fnn.Network([fnn.Dense(1) for _ in range(5000)], input_shape=1)
    x = node = fnn.Input(1)
    for _ in range(3000):
        node = fnn.Activation("tanh")(node)
    for net, message in [(many, "too large"), (fnn.Network(inputs=x, outputs=node), "more than 8192")]:
        with pytest.raises(ValueError, match=f"the network cannot be saved: .*{message}"):
            net.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


# ---- threads ------------------------------------------------------------------------------------------------------


def test_saving_in_another_threads_fit_is_refused(tmp_path):
    net = models.sequence()
    X, y = models.data(net)
    errors = []

    def save():
        try:
            net.save(tmp_path / "a")
        except RuntimeError as error:
            errors.append(str(error))

    def from_outside(epoch, logs):
        thread = threading.Thread(target=save)
        thread.start()
        thread.join()

    net.fit(X, y, callbacks=[fnn.LambdaCallback(on_epoch_end=from_outside)], verbose=0)
    assert len(errors) == 1 and "in training" in errors[0]
    assert not list(tmp_path.iterdir())
    save()
    models.assert_same(net, fnn.load(tmp_path / "a"))


def test_threads_that_save_to_one_path_and_load_from_it(tmp_path):
    nets = [models.sequence(seed=seed) for seed in range(3)]
    whole = [models.bits(net) for net in nets]
    nets[0].save(tmp_path / "a")
    found, errors = [], []

    def work(net):
        try:
            for _ in range(15):
                net.save(tmp_path / "a")
                found.append(models.bits(fnn.load(tmp_path / "a")))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(net,)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(found) == 45 and all(bits in whole for bits in found)
    assert os.listdir(tmp_path) == ["a"]


# ---- what loading may do ------------------------------------------------------------------------------------------

AUDIT = """
import sys, fastnn as fnn
fnn.load(sys.argv[1])   # what NumPy imports at the first use of it is not the file's doing
events = []
sys.addaudithook(lambda event, args: events.append((event, str(args[:1]))))
fnn.load(sys.argv[1])
quiet = ("object.__getattr__", "object.__setattr__", "sys._getframe")
print(*(f"{event} {args}" for event, args in events if event not in quiet), sep="\\n")
"""


@pytest.mark.parametrize("kind", ["sequence", "graph"])
def test_loading_opens_the_file_and_does_nothing_else(kind, tmp_path):
    path = str(tmp_path / "a")
    models.KINDS[kind]().save(path)
    done = subprocess.run([sys.executable, "-c", AUDIT, path], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == [f"open ('{path}',)"]


def test_too_little_memory_for_reading_back_is_no_fault_of_the_network(monkeypatch, tmp_path):
    """What is written is first read as `load` reads it; too little memory there is MemoryError, not another error."""
    net = fnn.Network([fnn.Dense(2)], input_shape=3, seed=0)
    net.save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    monkeypatch.setattr(fnn.Dense, "from_config", mock.Mock(side_effect=MemoryError("none left")))
    with pytest.raises(MemoryError, match="none left"):
        net.save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before and os.listdir(tmp_path) == ["a"]


@both
def test_memory_stays_below_the_size_of_the_file_and_16_mb(dtype, tmp_path):
    rows = 1000
    weight = np.ones((rows, rows), dtype=dtype)
    net = fnn.Network([fnn.Dense(rows, weight_init=weight), fnn.Dense(rows)], input_shape=rows, dtype=dtype)
    for path, trained in (("a", False), ("b", True)):
        if trained:
            net.fit(np.ones((2, rows)), np.ones((2, rows)), verbose=0)
        net.save(tmp_path / path)
        fnn.load(tmp_path / path)
        tracemalloc.start()
        again = fnn.load(tmp_path / path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= os.path.getsize(tmp_path / path) + 2**24
        assert models.bits(again) == models.bits(net)


def test_a_missing_file_and_a_folder_are_the_systems_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        fnn.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        fnn.load(tmp_path)


def test_what_is_no_file_is_refused():
    with pytest.raises(ModelFileError, match="/dev/null is not a file"):
        fnn.load("/dev/null")


def test_import_of_fastnn_leaves_saving_for_later():
    code = (
        "import sys, fastnn; print([m for m in sys.modules if m.startswith('fastnn.serialize')], 'load' in dir(fastnn))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]")
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        fnn.lode  # noqa: B018


def test_description_of_a_file_is_json_and_says_everything(tmp_path):
    """The arguments stand in full, defaults too, so that a later version with other defaults reads it alike."""
    models.sequence().save(tmp_path / "a")
    header = (tmp_path / "a").read_bytes()
    length = int.from_bytes(header[:8], "little")
    described = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["network"])
    dense = described["structure"]["layers"][0]
    assert dense["class"] == "layer.Dense"
    assert set(dense["config"]) == set(fnn.Dense(1).config())
    assert stat.S_ISREG(os.stat(tmp_path / "a").st_mode) and builtins.len(header) > length
