"""The learning rate range test: what it trains, what it suggests, and that nothing of it stays."""

import numpy as np
import pytest

import fastnn as fnn

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((50, 4))
Y = np.tanh(X @ RANDOM.standard_normal(4))


def network(optimizer="adam", **options):
    layers = [fnn.Dense(8, "tanh"), fnn.Dropout(0.1), fnn.Dense(1)]
    return fnn.Network(layers, optimizer=optimizer, dtype="float64", seed=1, **options)


@pytest.mark.parametrize("optimizer", [fnn.SGD(0.1, momentum=0.9), fnn.Adam(0.01)])
@pytest.mark.parametrize("before", [0, 2])
def test_everything_goes_back_to_the_bit(optimizer, before):
    searched, plain = network(optimizer), network(optimizer)
    for net in (searched, plain):
        if before:
            net.fit(X, Y, epochs=before, batch_size=8)
    found = searched.lr_find(X, Y, batch_size=8, steps=40)
    if before:
        assert np.array_equal(searched.params, plain.params) and np.array_equal(searched.grads, plain.grads)
    a = searched.fit(X, Y, epochs=3, batch_size=8)["loss"]
    assert a == plain.fit(X, Y, epochs=3, batch_size=8)["loss"] and np.array_equal(searched.params, plain.params)
    assert 2 < len(found.losses) == len(found.rates) <= 40


def test_the_losses_are_those_of_a_training_with_growing_rates():
    net, twin = network(fnn.SGD()), network(fnn.SGD())
    found = net.lr_find(X[:40], Y[:40], batch_size=40, start=1e-4, end=1e-1, steps=10)
    np.testing.assert_allclose(found.rates, 1e-4 * 10 ** (np.arange(10) / 3), rtol=1e-12)
    expected = []
    for rate in found.rates:
        twin.optimizer.learning_rate = float(rate)
        expected.append(twin.fit(X[:40], Y[:40], batch_size=40)["loss"][0])
    np.testing.assert_allclose(found.losses, expected, rtol=1e-12)


def test_losses_are_smoothed_in_a_centred_window():
    from fastnn._lr_find import RateSearch

    losses = RANDOM.random(30)
    smoothed = RateSearch(np.geomspace(1, 2, 30), losses, 5).smoothed
    expected = [losses[max(i - 2, 0) : i + 3].mean() for i in range(30)]
    np.testing.assert_allclose(smoothed, expected, rtol=1e-12)


def test_it_ends_where_the_loss_diverges():
    found = network(fnn.SGD()).lr_find(X, Y, batch_size=10, end=1e6, steps=200, diverges=3.0)
    means = np.array([found.losses[max(i - 19, 0) : i + 1].mean() for i in range(len(found.losses))])
    assert len(found.losses) < 200 and means[-1] > 3 * means.min()
    assert (means[:-1] <= 3 * np.minimum.accumulate(means)[:-1]).all()


def test_the_suggestion_is_where_the_loss_falls_fastest():
    from fastnn._lr_find import RateSearch

    rates = np.geomspace(1e-5, 1, 101)
    at = np.log10(rates)
    losses = 1 - 1 / (1 + np.exp(-4 * (at + 3))) + np.maximum(at + 1, 0) * 9  # falls at 1e-3, rises from 0.1 on
    search = RateSearch(rates, losses, 10)
    assert search.suggestion == pytest.approx(1e-3, rel=0.15) and repr(search).startswith("<RateSearch over 101")
    assert RateSearch(rates, at, 10).suggestion == rates[0]


def test_a_suggested_rate_trains():
    digits, classes = fnn.datasets.load_digits()
    for optimizer in (fnn.SGD(), fnn.Adam()):
        net = fnn.Network([fnn.Dense(32, "relu"), fnn.Dense(10, "softmax")], optimizer=optimizer, seed=0)
        net.optimizer.learning_rate = net.lr_find(digits / 16, classes).suggestion
        assert net.fit(digits / 16, classes, epochs=5)["loss"][-1] < 0.4


def test_its_picture(tmp_path):
    pytest.importorskip("matplotlib")
    figure = network().lr_find(X, Y).plot(path=tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 1000 and figure.axes[0].get_xscale() == "log"


@pytest.mark.parametrize(
    "optimizer, options, message",
    [
        ("lbfgs", {}, "LBFGS finds the length of its steps by itself"),
        ("rprop", {}, "Rprop finds the length"),
        ("adam", {"start": 1.0, "end": 0.1}, "expected start < end, got 1 and 0.1"),
        ("adam", {"steps": 1}, "expected at least 2"),
        ("adam", {"diverges": 0}, "diverges must be a positive number"),
    ],
)
def test_what_is_refused(optimizer, options, message):
    with pytest.raises(ValueError, match=message):
        network(optimizer).lr_find(X, Y, **options)
