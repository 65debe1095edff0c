"""The bar of tqdm: shown where tqdm is installed and somebody looks, with the last figures at its end."""

import io
import sys
import types

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _progress

X = np.random.default_rng(0).standard_normal((30, 3))


class FakeBar:
    """What is asked of tqdm, written down."""

    made: list = []

    def __init__(self, **options):
        self.options, self.n, self.calls = options, 0, []
        FakeBar.made.append(self)

    def update(self, amount):
        self.n += amount
        self.calls.append(("update", self.n))

    def set_postfix(self, figures, refresh):
        self.calls.append(("figures", figures))

    def close(self):
        self.calls.append(("close",))


@pytest.fixture
def tqdm(monkeypatch):
    FakeBar.made = []
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=FakeBar))
    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace())
    return FakeBar


def fit(**options):
    return fnn.Network([fnn.Dense(1)], seed=1).fit(X, X[:, 0], **options)


def test_the_bar_runs_over_the_epochs_and_ends_with_the_last_figures(tqdm):
    history = fit(epochs=5, verbose=1)
    (bar,) = tqdm.made
    assert bar.options["total"] == 5 and bar.n == pytest.approx(5) and bar.calls[-1] == ("close",)
    assert bar.calls[-3] == ("figures", {"loss": f"{history['loss'][-1]:.4g}"})


def test_the_bar_stays_where_training_stopped(tqdm):
    def stop(epoch):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(epochs=5, verbose=1, callbacks=fnn.LambdaCallback(on_epoch_begin=stop))
    (bar,) = tqdm.made
    assert bar.n == pytest.approx(1) and bar.calls[-1] == ("close",)


def test_nobody_looks_nothing_is_made(tqdm, capfd):
    for options in ({}, {"verbose": 0}, {"verbose": 2}):
        fit(epochs=2, **options)
    assert tqdm.made == []
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 2  # of verbose=2


def test_a_notebook_is_looked_at(tqdm, monkeypatch):
    class ZMQInteractiveShell:
        pass

    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=ZMQInteractiveShell))
    fit(epochs=2)
    assert len(tqdm.made) == 1


def test_without_tqdm_there_is_the_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    fit(epochs=3, verbose=1)
    assert stream.getvalue().rstrip("\n").rpartition("\r")[2].startswith("epoch 3/3 loss ")


def test_the_real_bar_writes_to_stderr_alone(capfd):
    pytest.importorskip("tqdm")
    fit(epochs=3, verbose=1)
    out, err = capfd.readouterr()
    assert out == "" and "100%" in err and "loss=" in err


def test_there_may_be_no_console(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert _progress.progress_of(1, 3).level == 0
    fit(verbose=1)
