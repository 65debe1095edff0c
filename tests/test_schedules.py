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


def torch_settings(make):
    """The rates and momenta that a scheduler sets at each of LENGTH steps; `make(optimizer, lr_scheduler)` makes it."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=0.3)
    scheduler = make(optimizer, torch.optim.lr_scheduler)
    settings = []
    for _ in range(LENGTH):
        settings.append([optimizer.param_groups[0][name] for name in ("lr", "momentum")])
        optimizer.step()
        scheduler.step()
    return np.array(settings).T


def one_cycle(optimizer, scheduler, cycle_momentum=False, **options):
    return scheduler.OneCycleLR(optimizer, 0.3, total_steps=LENGTH + 1, cycle_momentum=cycle_momentum, **options)


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
    "momentum": (
        s.OneCycle(0.3, LENGTH + 1, momentum=(0.85, 0.95)),
        lambda o, sch: one_cycle(o, sch, cycle_momentum=True),
    ),
    "momentum_linear_three_phases": (
        s.OneCycle(0.3, LENGTH + 1, shape="linear", three_phase=True, momentum=(0.5, 0.99)),
        lambda o, sch: one_cycle(
            o, sch, True, anneal_strategy="linear", three_phase=True, base_momentum=0.5, max_momentum=0.99
        ),
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
    rates, momenta = torch_settings(theirs)
    np.testing.assert_allclose(ours.rate(np.arange(LENGTH)), rates, rtol=1e-12)
    if ours.momentum is not None:
        np.testing.assert_allclose(ours.momentum_at(np.arange(LENGTH)), momenta, rtol=1e-12)


CYCLE = s.OneCycle(0.1, 15, momentum=(0.6, 0.95))
TRAININGS = {  # optimizer, the same in PyTorch, its scheduler, and what that counts
    "cosine": (
        fnn.SGD(s.Cosine(0.1, 3), momentum=0.9),
        lambda p, torch: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda o, sch: sch.CosineAnnealingLR(o, 3),
        "epoch",
    ),
    "one_cycle": (
        fnn.SGD(s.OneCycle(0.1, 15), momentum=0.9),
        lambda p, torch: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda o, sch: sch.OneCycleLR(o, 0.1, total_steps=15, cycle_momentum=False),
        "step",
    ),
    **{
        f"momentum of {name}": (
            ours,
            theirs,
            lambda o, sch: sch.OneCycleLR(o, 0.1, total_steps=15, base_momentum=0.6, max_momentum=0.95),
            "step",
        )
        for name, ours, theirs in [
            ("sgd", fnn.SGD(CYCLE), lambda p, torch: torch.optim.SGD(p, lr=0.1)),
            (
                "nesterov",
                fnn.SGD(CYCLE, momentum=0.5, nesterov=True),
                lambda p, torch: torch.optim.SGD(p, lr=0.1, momentum=0.5, nesterov=True),
            ),
            ("adam", fnn.Adam(CYCLE), lambda p, torch: torch.optim.Adam(p, lr=0.1)),
            ("adamw", fnn.AdamW(CYCLE), lambda p, torch: torch.optim.AdamW(p, lr=0.1)),
            ("rmsprop", fnn.RMSprop(CYCLE), lambda p, torch: torch.optim.RMSprop(p, lr=0.1)),
        ]
    },
}


@pytest.mark.torch
@pytest.mark.parametrize("name", TRAININGS)
def test_a_scheduled_training_is_that_of_pytorch(name):
    """The same weights after three epochs of five batches."""
    torch = pytest.importorskip("torch")
    ours, optimizer_of, scheduler_of, unit = TRAININGS[name]
    net = fnn.Network([fnn.Dense(1)], optimizer=ours, dtype="float64", seed=1, input_shape=3)
    weight = torch.tensor(net.get_weights()["layers.0.weight"].copy(), requires_grad=True)
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_of([weight, bias], torch)
    scheduler = scheduler_of(optimizer, torch.optim.lr_scheduler)
    net.fit(X, Y, epochs=3, batch_size=5, shuffle=False)
    for _ in range(3):
        for first in range(0, 23, 5):
            x, y = (torch.tensor(part[first : first + 5]) for part in (X, Y))
            optimizer.zero_grad()
            ((x @ weight + bias - y[:, None]) ** 2).mean().backward()
            optimizer.step()
            if unit == "step" and scheduler.last_epoch < 14:
                scheduler.step()
        if unit == "epoch":
            scheduler.step()
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


def test_the_momentum_mirrors_the_rate():
    cycle = s.OneCycle(1.0, 101, rise=0.31, momentum=(0.85, 0.95))
    t = np.arange(130)
    rates, momenta = cycle.rate(t), cycle.momentum_at(t)
    assert np.argmin(momenta) == np.argmax(rates) and momenta.min() == pytest.approx(0.85, abs=1e-3)
    assert momenta[0] == momenta[100] == momenta[129] == 0.95
    share = (rates[:31] - rates[0]) / (1 - rates[0])
    np.testing.assert_allclose(momenta[:31], 0.95 - 0.1 * share, rtol=1e-12)
    warm = s.Warmup(cycle, 7)
    assert warm.momentum == (0.85, 0.95)
    np.testing.assert_array_equal(warm.momentum_at(t), [0.95] * 7 + momenta[:-7].tolist())
    assert s.OneCycle(1.0, 10).momentum is None and s.Warmup(0.1, 3).momentum is None


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


def test_a_schedule_that_raises_counts_no_step():
    class Failing(s.Schedule):
        by = "step"

        def rate(self, t):
            if t.max() > 8:
                raise RuntimeError("no more rates")
            return np.full(t.shape, 0.1)

    def trained(rate):
        net = fnn.Network([fnn.Dense(1)], optimizer=fnn.Adam(rate), dtype="float64", seed=1)
        net.train_on_batch(X[:3], Y[:3])
        return net.fit(X, Y, epochs=4, batch_size=12) and net

    net, other = trained(Failing()), trained(0.1)
    with pytest.raises(RuntimeError, match="no more rates"):
        net.train_on_batch(X[:3], Y[:3])  # by a program whose own count is that of the first step
    net.optimizer.learning_rate = 0.1
    for each in (net, other):
        each.train_on_batch(X[:3], Y[:3])  # Adam's corrections are those of the tenth step
    assert np.array_equal(net.params, other.params)


def sgd_by_hand(epochs, batch_size, cycle):
    """SGD in NumPy with the rates and momenta of a cycle."""
    w, b, v = network(0.1, input_shape=3).get_weights()["layers.0.weight"][:, 0].copy(), 0.0, np.zeros(4)
    for t in range(epochs * -(-23 // batch_size)):
        rows = slice(t % -(-23 // batch_size) * batch_size, None)
        x, y = X[rows][:batch_size], Y[rows][:batch_size]
        error = 2 * (x @ w + b - y) / len(x)
        v = cycle.momentum_at(np.array([t]))[0] * v + np.append(x.T @ error, error.sum())
        w, b = w - cycle.rate(np.array([t]))[0] * v[:3], b - cycle.rate(np.array([t]))[0] * v[3]
    return np.append(w, b)


WAYS = {
    "fit": lambda net: net.fit(X, Y, epochs=3, batch_size=8, shuffle=False),
    "two fits": lambda net: [net.fit(X, Y, epochs=k, batch_size=8, shuffle=False) for k in (1, 2)],
    "watched": lambda net: net.fit(
        X, Y, epochs=3, batch_size=8, shuffle=False, callbacks=fnn.LambdaCallback(on_batch_end=lambda *_: None)
    ),
    "a batch at a time": lambda net: [
        net.train_on_batch(X[i : i + 8], Y[i : i + 8]) for _ in range(3) for i in (0, 8, 16)
    ],
    "batches that come": lambda net: net.fit([(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)], epochs=3),
    "gathered": lambda net: net.fit(X, Y, epochs=3, batch_size=4, accumulate=2, shuffle=False),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_momentum_is_cycled_in_every_way_to_train(way):
    cycle = s.OneCycle(0.1, 9, momentum=(0.2, 0.9), rise=0.4)
    net = network(cycle, input_shape=3)
    WAYS[way](net)
    np.testing.assert_allclose(net.params, sgd_by_hand(3, 8, cycle), rtol=1e-12)


def test_without_the_cycle_the_optimizers_own_momentum_holds_again():
    """The program of the steps with a cycle serves those after it."""
    cycled, own = network(s.OneCycle(0.1, 9, momentum=(0.2, 0.9))), network(0.05)
    for net in (cycled, own):
        net.fit(X, Y, epochs=2)
        net.optimizer.learning_rate = 0.05
    own.set_weights(cycled.get_weights())
    for net in (cycled, own):
        net.fit(X, Y, epochs=2, shuffle=False)
    assert np.array_equal(cycled.params, own.params)  # no momentum


def test_a_large_weight_whose_rule_is_fused_has_the_same_momentum():
    """A weight that is updated as its gradient is summed, beside one whose gradient is kept for a callback."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((40, 150)), rng.standard_normal((40, 150))
    nets = [
        fnn.Network([fnn.Dense(150)], loss="mse", optimizer=fnn.Adam(s.OneCycle(0.01, 15, momentum=(0.3, 0.9))), seed=1)
        for _ in range(2)
    ]
    nets[0].fit(x, y, epochs=5, batch_size=20)
    nets[1].fit(x, y, epochs=5, batch_size=20, callbacks=fnn.Callback())
    assert np.array_equal(nets[0].params, nets[1].params)


def test_a_network_with_a_cycle_is_saved_and_goes_on(tmp_path):
    nets = [network(s.Warmup(s.OneCycle(0.1, 12, momentum=(0.2, 0.9)), 3), input_shape=3) for _ in range(2)]
    for net in nets:
        net.fit(X, Y, epochs=2, batch_size=8)
    nets[0].save(tmp_path / "net")
    again = fnn.load(tmp_path / "net")
    assert again.optimizer == nets[1].optimizer
    for net in (again, nets[1]):
        net.fit(X, Y, epochs=3, batch_size=8)
    assert np.array_equal(again.params, nets[1].params)


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
        (lambda: s.OneCycle(0.1, 100, momentum=0.9), ValueError, r"momentum: expected \(lowest, highest\), got 0.9"),
        (lambda: s.OneCycle(0.1, 100, momentum=(0.9, 0.8)), ValueError, "got 0.9 before 0.8"),
        (lambda: s.OneCycle(0.1, 100, momentum=(0.9, 1)), ValueError, "each bound of momentum must be a number from 0"),
        (lambda: s.OneCycle(0.1, 9).momentum_at(np.arange(9)), ValueError, r"give it momentum=\(lowest, highest\)"),
        (lambda: fnn.Adagrad(s.OneCycle(0.1, 9, momentum=(0.8, 0.9))), ValueError, "Adagrad has no momentum"),
        (lambda: fnn.Rprop(s.Constant(0.1)), TypeError, "give a number, not a Schedule"),
        (lambda: fnn.Adam("cosine"), TypeError, "learning_rate must be a positive number"),
        (lambda: setattr(fnn.Adam(), "learning_rate", -1), ValueError, "learning_rate must be a positive number"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
