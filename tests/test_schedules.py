"""Schedules: PyTorch's own steps, closed forms at chosen times, and how fit counts steps and epochs."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import schedules as s

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((23, 3))
Y = X[:, 0]
LENGTH = 40


def network(rate, **options):
    return fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(rate), dtype="float64", seed=1, **options)


# ---- PyTorch's definitions, step for step --------------------------------------------------------------------------


def torch_rates(make):
    """What a scheduler of torch.optim sets, at each of LENGTH steps; `make(optimizer, lr_scheduler)` makes it."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=0.3)
    scheduler = make(optimizer, torch.optim.lr_scheduler)
    rates = []
    for _ in range(LENGTH):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


def one_cycle(optimizer, scheduler, **options):
    return scheduler.OneCycleLR(optimizer, 0.3, total_steps=LENGTH + 1, cycle_momentum=False, **options)


def warmed(optimizer, scheduler):
    first = scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=5)
    return scheduler.SequentialLR(optimizer, [first, scheduler.CosineAnnealingLR(optimizer, 35)], milestones=[5])


PAIRS = {
    "constant": (s.Constant(0.3), lambda o, sch: sch.ConstantLR(o, factor=1.0)),
    "step": (s.Step(0.3, 7, 0.5), lambda o, sch: sch.StepLR(o, 7, 0.5)),
    "milestones": (s.Step(0.3, [3, 3, 20], 0.2), lambda o, sch: sch.MultiStepLR(o, [3, 3, 20], 0.2)),
    "exponential": (s.Exponential(0.3, 0.9), lambda o, sch: sch.ExponentialLR(o, 0.9)),
    "linear": (s.Linear(0.3, 30, 0.03), lambda o, sch: sch.LinearLR(o, 1.0, 0.1, total_iters=30)),
    "cosine": (s.Cosine(0.3, LENGTH, 0.01), lambda o, sch: sch.CosineAnnealingLR(o, LENGTH, 0.01)),
    "warmup": (s.Warmup(s.Cosine(0.3, 35), 5, start=0.2), warmed),
    "one_cycle": (s.OneCycle(0.3, LENGTH + 1), one_cycle),
    "one_cycle_linear": (
        s.OneCycle(0.3, LENGTH + 1, rise=0.4, shape="linear", divide=10, final_divide=100),
        lambda o, sch: one_cycle(o, sch, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100),
    ),
    "three_phases": (
        s.OneCycle(0.3, LENGTH + 1, rise=0.35, three_phase=True),
        lambda o, sch: one_cycle(o, sch, pct_start=0.35, three_phase=True),
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", PAIRS)
def test_rates_are_those_of_pytorch(name):
    ours, theirs = PAIRS[name]
    np.testing.assert_allclose(ours.rate(np.arange(LENGTH)), torch_rates(theirs), rtol=1e-12)


@pytest.mark.torch
def test_a_scheduled_training_is_that_of_pytorch():
    """SGD with momentum, a cosine by epoch and a cycle by step: the same weights after three epochs of five batches."""
    torch = pytest.importorskip("torch")
    cases = [
        (s.Cosine(0.1, 3), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 3), "epoch"),
        (
            s.OneCycle(0.1, 15),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=15, cycle_momentum=False),
            "step",
        ),
    ]
    for schedule, scheduler, unit in cases:
        net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(schedule, momentum=0.9), dtype="float64", seed=1)
        net.build(3)
        weight = torch.tensor(net.get_weights()["layers.0.weight"].copy(), requires_grad=True)
        bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([weight, bias], lr=0.1, momentum=0.9)
        rates = scheduler(optimizer)
        net.fit(X, Y, epochs=3, batch_size=5, shuffle=False)
        for _ in range(3):
            for first in range(0, 23, 5):
                x, y = (torch.tensor(part[first : first + 5]) for part in (X, Y))
                optimizer.zero_grad()
                ((x @ weight + bias - y[:, None]) ** 2).mean().backward()
                optimizer.step()
                if unit == "step" and rates.last_epoch < 14:
                    rates.step()
            if unit == "epoch":
                rates.step()
        found = np.append(weight.detach().numpy().ravel(), bias.detach().numpy())
        np.testing.assert_allclose(net.params, found, rtol=1e-12)


# ---- closed forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule, times, expected",
    [
        (s.Constant(0.5), [0, 9], [0.5, 0.5]),
        (s.Step(1.0, 3, 0.5), [0, 2, 3, 5, 6, 30], [1, 1, 0.5, 0.5, 0.25, 0.5**10]),
        (s.Step(1.0, [2, 4]), [0, 1, 2, 3, 4, 99], [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (s.Exponential(2.0, 0.25, every=2), [0, 1, 2, 4], [2, 1, 0.5, 0.125]),
        (s.Cosine(3.0, 6, 1.0), [0, 2, 3, 4, 6, 7, 100], [3, 2.5, 2, 1.5, 1, 1, 1]),
        (s.Warmup(2.0, 4, start=0.0), [0, 1, 2, 3, 4, 9], [0, 0.5, 1, 1.5, 2, 2]),
        (s.Warmup(s.Exponential(2.0, 0.5), 2, start=0.5), [0, 1, 2, 3, 4], [1, 1.5, 2, 1, 0.5]),
        (s.OneCycle(1.0, 11, rise=0.5, divide=10, final_divide=10), [0, 10, 50], [0.1, 0.01, 0.01]),
    ],
)
def test_closed_forms(schedule, times, expected):
    np.testing.assert_allclose(schedule.rate(np.array(times)), expected, rtol=1e-12, atol=1e-15)


def test_a_cycle_is_highest_where_the_rise_ends_and_falls_evenly_around_its_middle():
    rates = s.OneCycle(1.0, 101, rise=0.31).rate(np.arange(101))
    assert rates.max() == pytest.approx(1.0, abs=1e-3) and abs(np.argmax(rates) - (0.31 * 101 - 1)) < 1
    assert all(np.diff(rates[:30]) > 0) and all(np.diff(rates[32:]) < 0)
    assert rates[0] == pytest.approx(1 / 25) and rates[-1] == pytest.approx(1 / 25e4)


# ---- in training ----------------------------------------------------------------------------------------------------


def by_hand(rates, epochs, batch_size):
    """Training in which somebody sets the rate of each batch: rates[epoch][batch]."""
    net = network(1.0)
    for epoch in range(epochs):
        for i, first in enumerate(range(0, 23, batch_size)):
            net.optimizer.learning_rate = float(rates[epoch][i])
            net.train_on_batch(X[first : first + batch_size], Y[first : first + batch_size])
    return net.params.copy()


@pytest.mark.parametrize("watched", [False, True])
def test_steps_and_epochs_are_counted_from_the_optimizers_first(watched):
    callbacks = [fnn.Callback()] if watched else []
    t = np.arange(20)
    for by, rates in (
        ("step", 0.2 * 0.9 ** t.reshape(4, 5)),
        ("epoch", np.repeat(0.2 * 0.9 ** t[:4, None], 5, axis=1)),
    ):
        net = network(s.Exponential(0.2, 0.9, by=by))
        history = net.fit(X, Y, epochs=4, batch_size=5, shuffle=False, callbacks=callbacks)
        assert np.array_equal(net.params, by_hand(rates, 4, 5)), by
        assert history.learning_rates == rates[:, -1].tolist()


def test_fits_go_on_where_the_schedule_stood_and_a_new_optimizer_starts_it_again():
    whole, parts = network(s.Exponential(0.2, 0.9)), network(s.Exponential(0.2, 0.9))
    expected = whole.fit(X, Y, epochs=5).learning_rates
    found = parts.fit(X, Y, epochs=2).learning_rates + parts.fit(X, Y, epochs=3).learning_rates
    assert found == expected and np.array_equal(whole.params, parts.params)
    parts.optimizer = fnn.SGD(s.Exponential(0.2, 0.9))
    assert parts.fit(X, Y, epochs=2).learning_rates == expected[:2]


def test_train_on_batch_follows_a_schedule_by_step():
    one, other = network(s.Exponential(0.2, 0.5, by="step")), network(1.0)
    for t in range(4):
        one.train_on_batch(X, Y)
        other.optimizer.learning_rate = 0.2 * 0.5**t
        other.train_on_batch(X, Y)
    assert np.array_equal(one.params, other.params)


def test_a_step_of_several_batches_counts_once():
    net, twin = network(s.Exponential(0.2, 0.5, by="step")), network(1.0)
    net.fit(X, Y, batch_size=4, accumulate=3, shuffle=False)
    for t, (first, end) in enumerate([(0, 12), (12, 23)]):
        twin.optimizer.learning_rate = 0.2 * 0.5**t
        twin.train_on_batch(X[first:end], Y[first:end])
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-13)


def test_long_fits_work_out_their_rates_in_pieces(monkeypatch):
    monkeypatch.setattr("fastnn._loops.MOST_RATES", 7)
    one, other = network(s.Cosine(0.1, 20, by="step")), network(s.Cosine(0.1, 20, by="step"))
    history = one.fit(X, Y, epochs=6, batch_size=6)
    monkeypatch.undo()
    assert history["loss"] == other.fit(X, Y, epochs=6, batch_size=6)["loss"]
    assert len(history.learning_rates) == len(history.seconds) == 6


def test_a_schedule_of_ones_own():
    class Harmonic(s.Schedule):
        by = "step"

        def rate(self, t):
            return 0.1 / (1 + t)

    assert network(Harmonic()).fit(X, Y, epochs=3, batch_size=23).learning_rates == [0.1, 0.05, 0.1 / 3]


def test_an_optimizer_with_a_schedule_is_its_arguments():
    optimizer = fnn.Adam(s.Warmup(s.Cosine(0.1, 10), 3))
    again = fnn.Adam.from_config(optimizer.config())
    assert again == optimizer and again.learning_rate.by == "epoch" and "Cosine(learning_rate=0.1" in repr(again)
    assert set(s.Schedule.known) >= {"constant", "step", "exponential", "cosine", "warmup", "one_cycle"}


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: s.Step(0.1, [5, 2]), ValueError, "rising order"),
        (lambda: s.Step(0.1, []), ValueError, "rising order"),
        (lambda: s.Step(0.1, 0), ValueError, "at must be a positive integer, got 0"),
        (lambda: s.Cosine(0.1, 10, by="batch"), ValueError, "unknown unit of a schedule 'batch'"),
        (lambda: s.Cosine(0.1, 1.5), TypeError, "length must be a positive integer"),
        (lambda: s.Exponential(-1, 0.5), ValueError, "learning_rate must be a positive number"),
        (lambda: s.Warmup(0.1, 5, start=1.0), ValueError, "start must be a number from 0 to below 1"),
        (lambda: s.OneCycle(0.1, 100, shape="cubic"), ValueError, "unknown shape of a cycle 'cubic'"),
        (lambda: s.OneCycle(0.1, 100, rise=0.6, three_phase=True), ValueError, "three phases"),
        (lambda: s.OneCycle(0.1, 3), ValueError, "no more than one step"),
        (lambda: fnn.Rprop(s.Constant(0.1)), TypeError, "give a number, not a Schedule"),
        (lambda: fnn.Adam("cosine"), TypeError, "learning_rate must be a positive number"),
        (lambda: setattr(fnn.Adam(), "learning_rate", -1), ValueError, "learning_rate must be a positive number"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
