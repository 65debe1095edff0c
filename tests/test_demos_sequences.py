"""The demos of recurrent networks: every figure that they promise, computed anew."""

import demo_checks
import numpy as np
import pytest

import fastnn as fnn
from fastnn import _terminal
from fastnn.demo import forecast, lstm, rnn

MODULES = {"rnn": rnn, "lstm": lstm, "forecast": forecast}


@pytest.fixture(scope="module")
def figures():
    return {name: module.compute(verbose=0) for name, module in MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
def test_report_fits_a_terminal(figures, name):
    demo_checks.report_fits_a_terminal(MODULES[name], figures[name])


@pytest.mark.parametrize("name", MODULES)
def test_picture_is_drawn_without_a_screen(figures, name, tmp_path):
    demo_checks.picture_is_drawn_without_a_screen(MODULES[name], figures[name], tmp_path / "picture.png")


@pytest.mark.parametrize("name, expected", [
    ("rnn", ["RNN of 64 units, 5,322 parameters", "8 of 8 rows   9", "has not seen: 9"]),
    ("lstm", ["LSTM of 64 units, 19,338 parameters", "1/6 = 0.1667", "LSTM  error 0.00", "GRU   error 0.00",
              "RNN   error 0.1"]),
    ("forecast", ["it stays as it is  0.8", "LSTM                               0.0", "one value at a time"]),
])  # fmt: skip
def test_report_says_the_figures(figures, name, expected):
    text = "\n".join(MODULES[name].report(figures[name], _terminal.ASCII))
    for words in expected:
        assert words in text


# ---- digits by rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "least"), [(fnn.RNN, 0.96), (fnn.LSTM, 0.975)])
def test_digits_are_read_by_rows(kind, least, seed):
    assert rnn.read(kind(rnn.UNITS), seed, verbose=0).accuracy >= least


def test_an_early_answer_is_that_of_the_rows_so_far(figures):
    """The last of the early answers is the answer; the first cannot be much better than chance."""
    for reading in (figures["rnn"], figures["lstm"].reading):
        assert reading.by_row[-1] == pytest.approx(reading.accuracy)
        assert reading.by_row[0] < 0.3
        assert reading.probabilities.shape == (8, 10)
        np.testing.assert_allclose(reading.probabilities.sum(axis=1), 1, rtol=1e-5)
        assert reading.history["val_accuracy"][-1] == reading.accuracy


# ---- the adding problem ----------------------------------------------------------------------------------------------


def test_adding_problem_is_as_described():
    X, y = lstm.problem(500, np.random.default_rng(1))
    assert X.shape == (500, 100, 2)
    assert set(np.unique(X[..., 1])) == {0, 1}
    assert (X[:, :50, 1].sum(axis=1) == 1).all() and (X[:, 50:, 1].sum(axis=1) == 1).all()
    np.testing.assert_allclose(y, [row[row[:, 1] == 1, 0].sum() for row in X], rtol=1e-6)
    assert np.mean((y - 1) ** 2) == pytest.approx(lstm.GUESS, rel=0.15)


@pytest.mark.parametrize("seed", range(2))
def test_gates_solve_the_adding_problem_and_a_plain_network_does_not(seed):
    """Below 0.01 for LSTM and GRU; a plain network is where a guess is, after more steps than they need."""
    gated = [lstm.learn_to_add(kind(lstm.UNITS), seed) for kind in (fnn.LSTM, fnn.GRU)]
    plain = lstm.learn_to_add(fnn.RNN(lstm.UNITS), seed)
    assert max(adding.error for adding in gated) < 0.01
    assert plain.error > 0.9 * lstm.GUESS
    assert plain.steps > max(adding.steps for adding in gated)


# ---- the forecast ----------------------------------------------------------------------------------------------------


def test_mackey_glass_obeys_its_equation():
    """While the delayed value is still the first, dx/dt = a - 0.1 x, whose solution is known."""
    a = 0.2 * 1.2 / (1 + 1.2**10)
    t = np.arange(17) + 0.1  # the first sample is one step of the method after the beginning
    known = 10 * a + (1.2 - 10 * a) * np.exp(-0.1 * t)
    np.testing.assert_allclose(forecast.mackey_glass(17, burn_in=0), known, rtol=1e-6)
    x = forecast.mackey_glass(1_000)
    assert 0.2 < x.min() < 0.5 and 1.2 < x.max() < 1.5  # where the attractor lies


def test_windows_hold_what_comes_later():
    X, y = forecast.windows(np.arange(300.0))
    assert X.shape == y.shape == ((300 - 100 - 6) // 5 + 1, 100, 1)
    assert np.array_equal(y, X + forecast.HORIZON)


def test_forecast_beats_the_naive_one(figures):
    f = figures["forecast"]
    assert f.error < 0.06 and f.naive_error > 0.7
    assert f.error == pytest.approx(np.sqrt(np.mean((f.forecasts - f.truth) ** 2)) / f.truth.std())


def test_live_is_what_predict_says(figures):
    f = figures["forecast"]
    assert f.at_once_difference < 1e-5
    assert f.seconds_per_step < 1e-3
    assert len(f.forecasts) == forecast.TEST
