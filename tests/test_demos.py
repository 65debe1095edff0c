"""The teaching ladder: every figure that the demos promise, computed anew."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import demo_checks
import numpy as np
import pytest

import fastnn as fnn
from fastnn import _terminal, demo
from fastnn.demo import cnn, digits, dropout, neuron, transformer, vending, xor

LADDER = ("neuron", "vending", "xor", "digits", "cnn", "dropout", "transformer")  # the others have a file of their own


def lines(module, figures, style=_terminal.ASCII):
    return list(module.report(figures, style))


# ---- neuron ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def neuron_figures():
    return neuron.compute()


def test_neuron_set_by_hand_converts_exactly(neuron_figures):
    assert neuron_figures.by_hand == {-40.0: -40.0, 0.0: 32.0, 37.0: pytest.approx(98.6), 100.0: 212.0}


def test_neuron_learns_weight_and_bias_to_four_digits_in_every_way(neuron_figures):
    assert len(neuron_figures.trainings) == 3
    for training in neuron_figures.trainings:
        assert training.weight == pytest.approx(1.8, abs=5e-5)
        assert training.bias == pytest.approx(32.0, abs=5e-4)
        assert training.losses[-1] < neuron.PRECISE


def test_neuron_plain_descent_is_slow_because_the_bowl_is_steep(neuron_figures):
    flattest, steepest = neuron_figures.curvatures
    plain, momentum, scaled = neuron_figures.trainings
    # one step at 1 / steepest shrinks the error along the flattest direction by 1 - flattest / steepest
    per_epoch = (1 - flattest / steepest) ** 2
    assert np.divide(plain.losses[-1], plain.losses[-2]) == pytest.approx(per_epoch, rel=1e-3)
    assert scaled.epochs * 10 < momentum.epochs < plain.epochs / 10


def test_neuron_curvatures_are_the_second_derivatives_of_the_loss():
    X, y = fnn.datasets.load_celsius()
    net = fnn.Network([fnn.Dense(1)], input_shape=1, dtype="float64")

    def loss(weight, bias):
        net.set_weights({"layers.0.weight": [[weight]], "layers.0.bias": [bias]})
        return net.evaluate(X, y)["loss"]

    # a quadratic function: central differences with any step are exact
    by_weight = loss(1, 0) - 2 * loss(0, 0) + loss(-1, 0)
    by_bias = loss(0, 1) - 2 * loss(0, 0) + loss(0, -1)
    mixed = (loss(1, 1) - loss(1, -1) - loss(-1, 1) + loss(-1, -1)) / 4
    expected = np.linalg.eigvalsh([[by_weight, mixed], [mixed, by_bias]])
    assert neuron.curvatures(X[:, 0]) == pytest.approx(tuple(expected), rel=1e-6)


# ---- vending ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vending_figures():
    return vending.compute()


def test_vending_errors_around_the_start(vending_figures):
    assert {w: round(e, 2) for w, e in vending_figures.errors.items()} == {0.49: 621.41, 0.50: 671.58, 0.51: 723.72}


def test_vending_search_walks_down_step_by_step_and_stops(vending_figures):
    f = vending_figures
    # 26 steps of 0.01 from 0.50 to 0.24, and one epoch that finds nothing better
    assert len(f.search_losses) == len(f.search_weights) == 27
    expected = [*(0.5 - 0.01 * np.arange(1, 27)), 0.24]
    assert f.search_weights == pytest.approx(expected, abs=1e-12)
    errors = [np.mean((w * f.visitors - f.sold) ** 2) for w in f.search_weights]
    assert f.search_losses == pytest.approx(errors, rel=1e-12)
    assert f.search_stopped == "converged"


def test_vending_descent_reaches_least_squares(vending_figures):
    assert round(vending_figures.descent_weight, 4) == 0.2395
    assert vending_figures.descent_weight == pytest.approx(0.2394526029, abs=1e-9)
    assert round(vending_figures.descent_error, 2) == 5.18


def test_vending_second_input_explains_more(vending_figures):
    X, sold = fnn.datasets.load_vending()
    expected, *_ = np.linalg.lstsq(X, sold, rcond=None)
    assert vending_figures.two_weights == pytest.approx(tuple(expected), abs=1e-5)
    assert [round(w, 4) for w in vending_figures.two_weights] == [0.1878, 0.2822]
    assert round(vending_figures.two_error, 2) == 1.25


def test_vending_too_large_a_rate_diverges_and_says_so(vending_figures):
    f = vending_figures
    growth = np.divide(f.diverged_losses[1:20], f.diverged_losses[:19])
    # each step multiplies the distance by 1 - rate * 2 mean(x^2), here 1 - 20; the error by its square
    assert growth == pytest.approx(361.0, rel=1e-2)
    assert f"epoch {len(f.diverged_losses)}," in f.diverged_warning  # counted from 0: the first that is not finite
    assert "no longer finite" in f.diverged_warning
    stable = fnn.SGD(0.99 * f.stable_limit)
    below, _ = vending.train(vending.neuron(0.5, optimizer=stable), f.visitors, f.sold, epochs=2000)
    assert vending.weights(below)[0] == pytest.approx(0.23945, abs=1e-5)


# ---- xor -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def xor_figures():
    return xor.compute()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_xor_is_solved_by_two_hidden_neurons(xor_figures, activation):
    shown = xor_figures.shown(activation)
    assert shown.outputs.round().tolist() == [0, 1, 1, 0]
    assert np.abs(shown.outputs - xor.Y).max() < 0.05
    assert shown.loss < 0.05


def test_xor_is_not_solved_by_one_neuron(xor_figures):
    assert xor_figures.without_hidden == pytest.approx([0.5] * 4, abs=0.02)


def test_xor_seeds_that_fail_are_explained(xor_figures):
    relu = xor_figures.attempts["relu"]
    assert 0 < sum(a.dead for a in relu) <= sum(not a.solved for a in relu)
    for attempts in xor_figures.attempts.values():
        for attempt in attempts:
            if attempt.solved:
                assert not attempt.folded and not attempt.dead
            else:
                assert attempt.folded or attempt.dead
                assert attempt.loss > 0.3  # far from solved, not just short of it


def test_xor_boundary_is_the_networks_own(xor_figures):
    shown = xor_figures.shown("tanh")
    quarter, three_quarters = 15, 45  # of 61 points from -0.5 to 1.5: where 0 and 1 lie
    rows, columns = [three_quarters, quarter] * 2, [quarter] * 2 + [three_quarters] * 2
    corners = shown.boundary[rows, columns]
    assert corners == pytest.approx(shown.outputs, abs=1e-9)


# ---- digits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_digits_are_read_from_any_of_ten_seeds(seed):
    X, y, X_test, y_test = digits.split(seed)
    assert len(X_test) == 360 and len(X) == 1437
    net = digits.network(seed, hidden=True)
    begin = time.perf_counter()
    digits.train(net, X, y, verbose=0)
    assert time.perf_counter() - begin < 1
    assert net.evaluate(X_test, y_test)["accuracy"] >= 0.97


@pytest.fixture(scope="module")
def digits_figures():
    return digits.compute(verbose=0)


def test_digits_demo_figures(digits_figures):
    f = digits_figures
    assert f.parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert f.steps == 30 * 90
    assert f.accuracy >= 0.97
    assert f.accuracy > f.accuracy_without_hidden > 0.9
    assert len(f.history["loss"]) == len(f.history["val_accuracy"]) == 30
    assert f.history["loss"][-1] < f.history["loss"][0]
    assert f.history["val_accuracy"][-1] == f.accuracy


def test_digits_split_is_a_partition_that_follows_the_seed():
    X, y, X_test, y_test = digits.split(3)
    again = digits.split(3)
    assert all(np.array_equal(a, b) for a, b in zip((X, y, X_test, y_test), again, strict=True))
    assert not np.array_equal(X, digits.split(4)[0])
    everything, _ = fnn.datasets.load_digits()
    both = np.vstack([X, X_test])
    assert np.array_equal(np.sort((both + 1) * 8, axis=0), np.sort(everything, axis=0))


def test_digits_samples_are_what_they_say(digits_figures):
    right, wrong = digits_figures.samples[:4], digits_figures.samples[4:]
    assert all(s.read == s.label for s in right) and all(s.read != s.label for s in wrong)
    for sample in digits_figures.samples:
        assert sample.image.shape == (8, 8) and sample.image.min() >= 0 and sample.image.max() <= 1
        assert 0.1 <= sample.probability <= 1


def test_digits_pure_python_takes_the_same_steps():
    """The timed twin follows fastnn step by step: from the same weights and batches its losses agree to rounding."""
    from fastnn.benchmark import pure_python

    X, y, *_ = digits.split(0)
    X = X[:160].astype(np.float64)
    net = digits.network(0, hidden=True)
    net = fnn.Network(net.layers, loss=net.loss, optimizer=net.optimizer, seed=0, dtype="float64", input_shape=64)
    weights = net.get_weights()
    layers = [
        (weights[f"layers.{i}.weight"].tolist(), weights[f"layers.{i}.bias"].tolist(), activation)
        for i, activation in enumerate([digits.ACTIVATION, "softmax"])
    ]
    adam = pure_python.Adam(digits.LEARNING_RATE, weight_decay=digits.WEIGHT_DECAY)
    twin = pure_python.Network(layers, "cross_entropy", adam, label_smoothing=digits.SMOOTHING)
    theirs = twin.train(X.tolist(), y[:160].tolist(), range(160), digits.BATCH_SIZE)
    batches = (slice(i, i + digits.BATCH_SIZE) for i in range(0, 160, digits.BATCH_SIZE))
    ours = [net.train_on_batch(X[batch], y[batch]) for batch in batches]
    assert ours == pytest.approx(theirs, rel=1e-10)


def test_digits_times_are_measured(digits_figures):
    f = digits_figures
    assert f.pure_python.steps == digits.PURE_PYTHON_STEPS < f.pure_python.of_steps == f.steps
    assert f.pure_python.estimate == pytest.approx(f.pure_python.seconds / f.pure_python.steps * f.steps)
    assert f.pure_python.estimate > 10 * f.seconds
    assert 0 < f.predictor_seconds < 1e-3 and 0 < f.predict_seconds < 1e-3


# ---- transformer -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformer_figures():
    return transformer.compute(verbose=0)


def test_transformer_learns_to_foretell_text_it_has_not_seen(transformer_figures):
    bits = transformer_figures.test_bits
    assert len(bits) == transformer.ROUNDS
    assert transformer_figures.frequency_bits > 4.5 > bits[0] > bits[4] + 0.5 > bits[-1] + 0.5
    assert bits[-1] < 2.2


def test_transformer_writes_the_characters_of_the_text(transformer_figures):
    sample = transformer_figures.sample
    assert sample.startswith(transformer.PROMPT)
    assert len(sample) == len(transformer.PROMPT) + transformer.WRITTEN
    assert set(sample) <= set(transformer.documentation())


def test_transformer_never_trains_on_characters_of_the_test():
    ids = np.arange(40 * transformer.STRETCH)  # each character is its own place
    train_starts, test_starts = transformer.split(len(ids))
    (X, y), (X_test, y_test) = transformer.windows(ids, train_starts), transformer.windows(ids, test_starts)
    np.testing.assert_array_equal(y, X + 1)
    assert not np.intersect1d([X[:, 0], y[:, -1]], np.union1d(X_test, y_test)).size
    assert len(np.unique(y_test)) == y_test.size > 0.9 * len(ids) / transformer.HELD_OUT


def test_transformer_draws_by_what_the_whole_text_foretells():
    """A stream, begun anew from the second half when it is full, against predictions of all that it holds."""
    alphabet, length = list("abcdefg"), transformer.LENGTH
    anew = length // 2 + 1  # the character drawn when it was full comes after its second half
    net = transformer.network(len(alphabet), seed=0)
    net.params[:] *= 3  # far from uniform
    written = transformer.write(net, alphabet, "ab", 2 * length, seed=1)
    rng, text = np.random.default_rng(1), "ab"
    while len(text) < len(written):
        times = max(0, -(-(len(text) - length) // anew))  # that it began anew
        seen = [alphabet.index(character) for character in text[times * anew :]]
        p = net.predict([seen])[0, -1].astype(np.float64) ** (1 / transformer.TEMPERATURE)
        text += alphabet[rng.choice(len(p), p=p / p.sum())]
    assert text == written


# ---- cnn -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cnn_figures():
    return cnn.compute(verbose=0)


def test_cnn_reads_what_it_has_not_seen(cnn_figures):
    f = cnn_figures
    assert f.train_size + f.test_size == 1797 and f.test_size == 360
    assert f.accuracy >= 0.985
    assert f.accuracy == pytest.approx(f.history["val_accuracy"][-1])
    assert f.dense_accuracy >= 0.97


@pytest.mark.parametrize("seed", [1, 2])
def test_cnn_reads_from_other_seeds(seed):
    X, y, X_test, y_test = digits.split(seed)
    net = cnn.network(seed)
    cnn.train(net, X, y, verbose=0)
    assert net.evaluate(X_test, y_test)["accuracy"] >= 0.985


def test_cnn_shows_what_the_filters_answer(cnn_figures):
    """The answers are the filters, slid over the image; both are shown scaled to their largest."""
    f = cnn_figures
    assert f.filters.shape == (cnn.FILTERS, 5, 5) and f.answers.shape == (cnn.FILTERS, 8, 8)
    assert np.abs(f.filters).max(axis=(1, 2)) == pytest.approx(np.ones(cnn.FILTERS))
    X, y, X_test, _ = digits.split(0)
    net = cnn.network(0)
    cnn.train(net, X, y, verbose=0)
    weight, bias = (net.get_weights()[f"layers.1.{role}"] for role in ("weight", "bias"))
    image = np.pad(X_test[0].reshape(8, 8), 2)
    windows = np.lib.stride_tricks.sliding_window_view(image, (5, 5))
    answers = np.maximum(np.einsum("ijab,abf->fij", windows, weight[:, :, 0]) + bias[:, None, None], 0)
    np.testing.assert_allclose(f.answers, answers / answers.max(), atol=1e-5)
    np.testing.assert_allclose(f.filters[3] * np.abs(weight[..., 3]).max(), weight[:, :, 0, 3], rtol=1e-6)


# ---- dropout ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dropout_figures():
    return dropout.compute()


def test_dropout_narrows_the_gap(dropout_figures):
    plain, with_dropout = dropout_figures.without, dropout_figures.with_dropout
    assert dropout_figures.parameters > 500 * dropout.SAMPLES
    assert plain.gap > 0.4
    assert with_dropout.gap < plain.gap / 3
    assert with_dropout.test_loss[-1] < plain.test_loss[-1] - 0.05
    assert with_dropout.test_accuracy[-1] > plain.test_accuracy[-1] + 0.02


def test_dropout_keeps_it_from_learning_by_heart(dropout_figures):
    plain, with_dropout = dropout_figures.without, dropout_figures.with_dropout
    assert 0.1 * dropout.SAMPLES < dropout_figures.wrong < dropout.WRONG * dropout.SAMPLES
    assert plain.accuracy[-1] == plain.wrong_learned == 1.0
    assert with_dropout.wrong_learned < 0.6
    # without dropout the test loss has its best behind it
    assert plain.test_loss[-1] > min(plain.test_loss) + 0.08
    assert with_dropout.test_loss[-1] < min(with_dropout.test_loss) + 0.05


def test_dropout_narrows_the_gap_from_other_seeds():
    for seed in (1, 2):
        f = dropout.compute(seed)
        assert f.with_dropout.gap < f.without.gap / 3
        assert f.with_dropout.test_accuracy[-1] > f.without.test_accuracy[-1] + 0.02


# ---- what is printed and drawn ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_figures(
    neuron_figures, vending_figures, xor_figures, digits_figures, cnn_figures, dropout_figures, transformer_figures
):
    return {
        "neuron": neuron_figures, "vending": vending_figures, "xor": xor_figures, "digits": digits_figures,
        "cnn": cnn_figures, "dropout": dropout_figures, "transformer": transformer_figures,
    }  # fmt: skip


@pytest.mark.parametrize("name", LADDER)
def test_report_fits_a_terminal(all_figures, name):
    demo_checks.report_fits_a_terminal(demo.load(name), all_figures[name])


@pytest.mark.parametrize("name, expected", [
    ("neuron", ["weight 1.8000  bias 32.0000", "37 C = 98.6 F"]),
    ("vending", ["671.58 at w = 0.50", "w = 0.24, error   5.18", "w = 0.2395", "from 5.18 to 1.25.", "fit warns"]),
    ("xor", ["tanh", "sigmoid", "relu", "of 20 seeds"]),
    ("transformer", ["1,500 steps for 4", "Held-out text: 1.", "the characters' frequencies alone: 4."]),
    ("cnn", ["for 37,282 parameters", "has not seen: 99", "The 12 filters"]),
    ("dropout", ["88 of them with a wrong label, for 301,066", "gap between the two", "has learned 100% by"]),
    ("digits", ["2,700 steps for 2,410 parameters", "has not seen: 9", "60 of 2,700"]),
])  # fmt: skip
def test_report_says_the_figures(all_figures, name, expected):
    text = "\n".join(lines(demo.load(name), all_figures[name]))
    for words in expected:
        assert words in text


@pytest.mark.parametrize("name", LADDER)
def test_picture_is_drawn_without_a_screen(all_figures, name, tmp_path):
    demo_checks.picture_is_drawn_without_a_screen(demo.load(name), all_figures[name], tmp_path / "picture.png")


def imported_modules(path):
    """The names that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_matplotlib_is_imported_only_when_a_picture_is_drawn():
    for path in Path(fnn.__file__).parent.rglob("*.py"):
        assert not any(name.split(".")[0] == "matplotlib" for name in imported_modules(path)), path
    code = "import sys, fastnn, fastnn.plot, fastnn.cli; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_demo_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'neuron'"):
        demo.load("neurone")


def test_summaries_are_one_line_each():
    for name in demo.NAMES:
        assert 20 < len(demo.summary(name)) < 110 and "\n" not in demo.summary(name)
