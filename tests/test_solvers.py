"""L-BFGS and Levenberg-Marquardt: their conditions at every step, problems with certified values, and scipy."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn.solvers import SMALL, _interpolate, _Pairs, _solution, _wolfe

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import nist  # noqa: E402

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((60, 3))
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1] ** 2 - X[:, 2]


def network(optimizer, *layers, **options):
    options = {"seed": 1, "dtype": "float64", **options}
    return fnn.Network(list(layers or [fnn.Dense(6, "tanh"), fnn.Dense(1)]), optimizer=optimizer, **options)


# ---- certified values -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # of points that are tried and left
@pytest.mark.parametrize("problem", nist.PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("start", [0, 1])
def test_certified_values_are_found(problem, start):
    """NIST's Statistical Reference Datasets: eight digits of every parameter and of the residual sum of squares."""
    # From the first start of BoxBOD full steps lead to the plateau exp(-b2 x) = 0, for MINPACK too: begin with care.
    damping = 100.0 if problem.name == "BoxBOD" and start == 0 else 1e-3
    tight = fnn.LevenbergMarquardt(damping=damping, tolerance_grad=1e-14, tolerance_step=1e-14, tolerance_change=0.0)
    net = problem.network(tight, start)
    history = net.fit(problem.x, problem.y, epochs=1000)
    assert history.stop_reason == "converged"
    found = problem.parameters(net)
    np.testing.assert_allclose(found, problem.certified, rtol=1e-8)
    assert history["loss"][-1] * len(problem.x) == pytest.approx(problem.residual, rel=1e-9)


@pytest.mark.parametrize("name", ["Rat42"])
def test_lbfgs_finds_a_certified_minimum_too(name):
    problem = next(problem for problem in nist.PROBLEMS if problem.name == name)
    net = problem.network(fnn.LBFGS(tolerance_grad=1e-9, tolerance_change=0.0), 1)
    history = net.fit(problem.x, problem.y, epochs=2000)
    assert history["loss"][-1] * len(problem.x) == pytest.approx(problem.residual, rel=1e-8)


# ---- L-BFGS ---------------------------------------------------------------------------------------------------------


def test_every_step_meets_the_strong_wolfe_conditions():
    seen = []

    class Watched(fnn.LBFGS):
        name = ""

        def epoch(self, problem):
            before = problem.get()
            f0, g0 = problem.gradient()
            result = super().epoch(problem)
            seen.append((f0, g0, problem.get() - before, *problem.gradient()))
            return result

    net = network(Watched())
    net.fit(X, Y, epochs=60, batch_size=60)
    assert len(seen) > 30
    for f0, g0, step, f, g in seen[:30]:
        assert f <= f0 + 1e-4 * (g0 @ step) * (1 - 1e-9) and abs(g @ step) <= 0.9 * abs(g0 @ step) * (1 + 1e-9)


@pytest.mark.parametrize("steps", [1, 3, 4, 9])
def test_two_loops_are_the_bfgs_matrix(steps):
    """H g of the recursion is that of BFGS, equation 6.17 for the inverse Hessian, over the last four pairs."""
    n, pairs, seen = 5, _Pairs(4, 5), []
    curvature = np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    g = RANDOM.standard_normal(n)
    assert np.array_equal(pairs.times(g), g)
    for _ in range(steps):
        s = RANDOM.standard_normal(n)
        pairs.add(s, curvature @ s)
        seen.append((s, curvature @ s))
    s, y = seen[-1]
    H = np.eye(n) * (s @ y) / (y @ y)
    for s, y in seen[-4:]:
        V = np.eye(n) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    np.testing.assert_allclose(pairs.times(g), H @ g, rtol=1e-12)
    pairs.add(g, -g)  # negative curvature is no pair
    np.testing.assert_allclose(pairs.times(g), H @ g, rtol=1e-12)


@pytest.mark.parametrize("first", [1e-4, 0.1, 1.0, 30.0])
@pytest.mark.parametrize(
    "f, c2",
    [
        (lambda a: ((a - 2) ** 2, 2 * (a - 2)), 0.1),
        (lambda a: (-a / (a * a + 2), (a * a - 2) / (a * a + 2) ** 2), 0.1),  # More and Thuente 1994, function 1
        # Their function 2, whose first slope is 5e-7 beside curvatures of 100: a tenth of it is below rounding.
        (lambda a: ((a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3), 0.9),
        (lambda a: (np.cos(3 * a) - a, -3 * np.sin(3 * a) - 1), 0.1),
        (lambda a: (np.nan if a > 1 else (a - 0.5) ** 2, np.nan if a > 1 else 2 * (a - 0.5)), 0.1),
    ],
)
def test_the_line_search_finds_a_wolfe_point(f, c2, first):
    f0, slope0 = f(0.0)
    step, value, _ = _wolfe(lambda a: (*f(a), None), f0, slope0, first, 1e-4, c2, 40)
    assert step > 0 and value == f(step)[0]
    assert value <= f0 + 1e-4 * step * slope0 and abs(f(step)[1]) <= c2 * abs(slope0)


def test_a_cubic_is_interpolated_by_its_minimum():
    def f(a):
        return (a - 0.3) ** 2 * (a + 2), 2 * (a - 0.3) * (a + 2) + (a - 0.3) ** 2

    assert _interpolate((0.0, *f(0.0), None), (1.0, *f(1.0), None)) == pytest.approx(0.3, rel=1e-12)
    assert _interpolate((1.0, *f(1.0), None), (0.0, *f(0.0), None)) == pytest.approx(0.3, rel=1e-12)
    assert _interpolate((0.0, 1.0, -1.0, None), (1.0, np.inf, np.nan, None)) == 0.5


def test_a_quadratic_is_solved_in_a_few_steps():
    """Linear least squares with three weights and a bias: the normal equations' solution, in at most 20 steps."""
    net = network(fnn.LBFGS(tolerance_change=0.0), fnn.Dense(1))
    history = net.fit(X, Y, epochs=50, batch_size=60)
    A = np.column_stack([X, np.ones(60)])
    np.testing.assert_allclose(net.params, np.linalg.lstsq(A, Y, rcond=None)[0], rtol=0, atol=1e-6)
    assert history.stop_reason == "converged" and len(history.epochs) <= 20


def test_batches_make_no_difference_but_rounding():
    one, other = network("lbfgs"), network("lbfgs")
    w = RANDOM.random(60)
    a = one.fit(X, Y, epochs=8, batch_size=60, sample_weight=w)["loss"]
    b = other.fit(X, Y, epochs=8, batch_size=7, sample_weight=w)["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-8)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_at_any_number_of_threads(threads):
    net, twin = network("lbfgs"), network("lbfgs")
    a = net.fit(X, Y, epochs=10, batch_size=16, threads=threads)["loss"]
    assert a == twin.fit(X, Y, epochs=10, batch_size=16, threads=1)["loss"]


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_losses_never_rise_and_are_those_of_the_network(optimizer):
    net = network(optimizer, fnn.Dense(6, "tanh", l2=1e-3), fnn.Dense(1, l2=1e-4), metrics=["mse"])
    history = net.fit(X, Y, epochs=30)
    losses = history["loss"]
    assert all(b <= a for a, b in zip(losses, losses[1:], strict=False)) and losses[-1] < 0.05 * losses[0]
    assert losses[-1] == pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-12)
    assert history["mse"][-1] == pytest.approx(((net.predict(X)[:, 0] - Y) ** 2).mean(), rel=1e-12)
    assert history.learning_rates == [] and len(history.seconds) == len(losses)


@pytest.mark.parametrize("loss, y, last", [("cross_entropy", np.arange(60) % 3, fnn.Dense(3, "softmax")),
                                           ("binary_cross_entropy", (Y > 0) * 1.0, fnn.Dense(1, "sigmoid")),
                                           ("poisson", np.arange(60) % 4, fnn.Dense(1))])  # fmt: skip
def test_lbfgs_takes_any_smooth_loss(loss, y, last):
    """At the minimum of a convex problem, with a penalty, the gradient is zero."""
    net = network(fnn.LBFGS(tolerance_change=0.0, tolerance_grad=1e-6), last, loss=loss)
    last.l2 = 1e-3
    history = net.fit(X, y, epochs=300)
    _, gradients = net.loss_and_gradients(X, y)
    assert history.stop_reason == "converged" and max(abs(g).max() for g in gradients.values()) <= 1e-6 * (1 + 1e-9)


def test_float32_converges_as_far_as_it_can():
    net = network("lbfgs", dtype="float32")
    wide = network("lbfgs")
    wide.build(3)
    net.build(3)
    wide.set_weights(net.get_weights())
    a, b = net.fit(X, Y, epochs=40, batch_size=60)["loss"], wide.fit(X, Y, epochs=40, batch_size=60)["loss"]
    np.testing.assert_allclose(a[:8], b[:8], rtol=1e-3)
    assert a[-1] < 0.1 * a[0]


# ---- Levenberg-Marquardt --------------------------------------------------------------------------------------------


def problem_of(net, X, y, sample_weight=None, batch=16):
    """What a solver sees of a network that is built."""
    from fastnn._problem import Problem

    state = net._state
    samples = net._samples(state, X, y, sample_weight)
    taken = state.take("evaluate", batch, losses=net.losses, targets=samples.kinds, weighted=bool(samples.weights))
    taken[1].feed(samples.inputs, samples.targets, samples.weights)
    taken[1].program.set_rows(samples.n, False)
    return Problem(net.losses, state, samples, taken[1].program, batch, 1)


NETS = {
    "dense": ([fnn.Dense(5, "tanh", l2=0.01), fnn.Dense(2, "sigmoid")], X, np.column_stack([Y > 0, Y])),
    "relu": ([fnn.Dense(5, "relu"), fnn.Dense(1)], X, Y),
    "residual": ([fnn.Residual(fnn.Dense(3, "tanh")), fnn.Dense(1)], X, Y),
    "conv": (
        [fnn.Conv1D(2, 3, activation="tanh"), fnn.Flatten(), fnn.Dense(1)],
        RANDOM.random((20, 6, 2)),
        np.arange(20.0),
    ),
    "python": ([fnn.Dense(2, (np.sin, np.cos)), fnn.Dense(1)], X, Y),
    "positions": ([fnn.Dense(2, "tanh")], RANDOM.random((9, 4, 3)), RANDOM.random((9, 4, 2))),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_the_jacobian_is_that_of_finite_differences(name, weighted):
    """J^T r is half the gradient of the loss; J^T J is built from residuals that are differentiated numerically."""
    layers, x, y = NETS[name]
    net = fnn.Network(
        layers, loss="mse", optimizer="levenberg_marquardt", input_shape=x.shape[1:], dtype="float64", seed=3
    )
    weight = RANDOM.random(len(x)) if weighted else None
    problem = problem_of(net, x, y, weight)
    loss, matrix, vector = problem.normal_equations()
    expected, gradient = problem.gradient()
    assert loss == pytest.approx(expected, rel=1e-12) == problem.loss()
    np.testing.assert_allclose(vector, gradient / 2, rtol=1e-9, atol=1e-14)
    at, h = problem.get(), 1e-5
    outputs = y.reshape(len(x), -1).shape[1]
    share = np.repeat(np.full(len(x), 1.0) if weight is None else weight, outputs)
    share = np.sqrt(share / share.sum())
    columns = []
    for i in range(len(at)):
        sides = []
        for side in (h, -h):
            problem.set(at + side * np.eye(len(at))[i])
            sides.append(net.predict(x).ravel() * share)
        columns.append((sides[0] - sides[1]) / (2 * h))
    problem.set(at)
    J = np.array(columns).T
    penalties = np.concatenate([np.full(p.size, p.l2) for p in net._state.graph.params.values()])
    np.testing.assert_allclose(matrix, J.T @ J + np.diag(penalties), rtol=1e-6, atol=1e-9)
    problem.close()


def test_blocks_of_the_jacobian_make_no_difference(monkeypatch):
    net = network("levenberg_marquardt", input_shape=3)
    whole = problem_of(net, X, Y).normal_equations()
    monkeypatch.setattr("fastnn._problem.BLOCK", 100)
    for one, other in zip(whole, problem_of(net, X, Y).normal_equations(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_linear_least_squares_in_one_step():
    """With hardly any damping the first step is the solution of the normal equations."""
    net = network(fnn.LevenbergMarquardt(damping=1e-12), fnn.Dense(1))
    net.fit(X, Y, epochs=1)
    A = np.column_stack([X, np.ones(60)])
    np.testing.assert_allclose(net.params, np.linalg.lstsq(A, Y, rcond=None)[0], rtol=1e-9)


@pytest.mark.parametrize("damping", [1e-3, 1.0, 30.0])
def test_where_the_model_is_exact_damping_goes(damping):
    """A gain of 1 in every step: a linear problem is solved in a few of them, however careful the first was."""
    net = network(fnn.LevenbergMarquardt(damping=damping), fnn.Dense(1))
    history = net.fit(X, Y, epochs=30)
    A = np.column_stack([X, np.ones(60)])
    np.testing.assert_allclose(net.params, np.linalg.lstsq(A, Y, rcond=None)[0], rtol=1e-9)
    assert history.stop_reason == "converged" and len(history.epochs) <= 4


@pytest.mark.parametrize("n", [1, 2, 7, SMALL, SMALL + 1])
def test_the_damped_system_is_solved(n):
    """By the engine and by LAPACK, of a matrix that lies within another: the residual is rounding."""
    A = RANDOM.standard_normal((2 * n, n + 1))
    damping, right = RANDOM.random(n), RANDOM.standard_normal(n)
    matrix = (A.T @ A)[:-1, :-1]
    x = _solution(matrix, damping, right)
    np.testing.assert_allclose((matrix + np.diag(damping)) @ x, right, rtol=0, atol=1e-11 * abs(right).max())
    assert _solution(np.zeros((n, n)), np.zeros(n), right) is None
    broken = matrix.copy()
    broken[0, 0] = np.nan
    assert _solution(broken, damping, right) is None


def test_a_system_that_is_not_positive_definite_has_no_solution():
    """Rounding can make J^T J so; the next mu is tried then, without an evaluation."""
    assert _solution(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2), np.ones(2)) is None


def test_steps_that_nobody_watches_are_the_same_steps():
    """Without callbacks a fit comes back after many steps; its figures are those of one that comes back after each."""
    alone, watched = network("levenberg_marquardt", input_shape=3), network("levenberg_marquardt", input_shape=3)
    seen = []
    a = alone.fit(X, Y, epochs=60)
    b = watched.fit(X, Y, epochs=60, callbacks=fnn.LambdaCallback(on_epoch_end=lambda epoch, _: seen.append(epoch)))
    assert a["loss"] == b["loss"] and a.epochs == b.epochs == seen and a.stop_reason == b.stop_reason
    assert len(a.seconds) == len(a.epochs) and min(a.seconds) > 0
    assert alone._state.steps == watched._state.steps == alone._state.epochs == len(seen)


def test_parameters_that_say_nothing_stay():
    """A relu unit that is off for all samples: its column of the Jacobian is empty."""
    net = network("levenberg_marquardt", fnn.Dense(3, "relu"), fnn.Dense(1), input_shape=3)
    net._state.graph.params["layers.0.bias"].view(net.params)[1] = -1e3
    before = net.get_weights()["layers.0.weight"][:, 1].copy()
    losses = net.fit(X, Y, epochs=20)["loss"]
    assert np.array_equal(before, net.get_weights()["layers.0.weight"][:, 1]) and losses[-1] < losses[0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt", fnn.CoordinateSearch(0.1)])
def test_frozen_layers_are_no_unknowns(optimizer):
    net = network(optimizer, fnn.Dense(4, "tanh"), fnn.Dense(1), input_shape=3)
    net.layers[0].trainable = False
    before = net.get_weights()["layers.0.weight"].copy()
    losses = net.fit(X, Y, epochs=30)["loss"]
    assert np.array_equal(before, net.get_weights()["layers.0.weight"]) and losses[-1] < losses[0]
    if not isinstance(optimizer, fnn.CoordinateSearch):  # what is left is linear least squares
        hidden = np.tanh(X @ before + net.get_weights()["layers.0.bias"])
        expected = np.linalg.lstsq(np.column_stack([hidden, np.ones(60)]), Y, rcond=None)[0]
        np.testing.assert_allclose(net.predict(X)[:, 0], np.column_stack([hidden, np.ones(60)]) @ expected, atol=1e-4)


# ---- every way out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer, call",
    [*(("lbfgs", call) for call in range(3, 36, 4)), *(("levenberg_marquardt", call) for call in range(5, 84, 11))],
)
def test_a_point_that_was_only_tried_is_not_kept(optimizer, call):
    """An error in the middle of a step: the weights are those after the last whole one."""
    calls, kept = [], []

    def f(x):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return np.tanh(x)

    net = network(optimizer, fnn.Dense(2, (f, lambda x: 1 - np.tanh(x) ** 2)), fnn.Dense(1), input_shape=3)
    kept.append(net.params.copy())
    watch = fnn.LambdaCallback(on_epoch_end=lambda *_: kept.append(net.params.copy()))
    with pytest.raises(KeyboardInterrupt):
        net.fit(X[:8], Y[:8], epochs=50, batch_size=8, callbacks=watch)
    assert np.array_equal(net.params, kept[-1])


def test_a_loss_that_is_not_finite_ends_training_with_a_warning():
    net = network("lbfgs", input_shape=3)
    net.params[0] = np.nan
    with pytest.warns(fnn.NonFiniteWarning, match="the first such value is in layers.0.weight$"):
        history = net.fit(X, Y, epochs=5)
    assert history.stop_reason == "the loss is no longer finite in epoch 0"


def test_early_stopping_stops_a_solver():
    net, stop = network("lbfgs"), fnn.EarlyStopping("val_loss", patience=3)
    history = net.fit(X[:20], Y[:20], epochs=500, validation_data=(X[20:], Y[20:]), callbacks=stop)
    assert history.stop_reason == "stopped by a callback"
    assert net.evaluate(X[20:], Y[20:])["loss"] == min(history["val_loss"])


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: network("lbfgs", fnn.Dense(3), fnn.Dropout(0.5), fnn.Dense(1)),
            r"LBFGS .* take out layers.1 \(Dropout\)",
        ),
        (lambda: network("lbfgs", fnn.Dense(1, max_norm=1.0)), "take max_norm away from layers.0.weight"),
        (lambda: network("levenberg_marquardt", fnn.Dense(1), loss="mae"), "with the loss 'mse', not 'mae'"),
        (lambda: network("levenberg_marquardt", fnn.Dense(1, l1=0.1)), "l1 penalty of layers.0.weight is no square"),
    ],
)
def test_networks_that_a_solver_cannot_train(make, message):
    net = make()
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    net.optimizer = "adam"
    net.fit(X, Y)


def test_solvers_have_no_learning_rates_by_layer():
    net = network("lbfgs", input_shape=3)
    net.layers[0].learning_rate_factor = 0.5
    with pytest.raises(ValueError, match="LBFGS has no learning rate"):
        net.fit(X, Y)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: fnn.LBFGS(history=0), "history must be a positive integer"),
        (lambda: fnn.LBFGS(c1=0.9, c2=0.5), "expected 0 < c1 < c2 < 1, got 0.9 and 0.5"),
        (lambda: fnn.LBFGS(tolerance_grad=-1), "tolerance_grad must be a number not below 0"),
        (lambda: fnn.LevenbergMarquardt(damping=0), "damping must be a positive number"),
    ],
)
def test_arguments_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- beside scipy ---------------------------------------------------------------------------------------------------


def test_the_minimum_is_not_above_scipys():
    """From the same weights, as many steps: the residual of scipy's MINPACK, or a lower one."""
    optimize = pytest.importorskip("scipy.optimize")
    x = np.linspace(-3, 3, 80)
    y = np.sinc(x)
    net = network("levenberg_marquardt", fnn.Dense(8, "tanh"), fnn.Dense(1), input_shape=1)
    problem = problem_of(net, x, y, batch=80)
    start = problem.get()

    def residuals(p):
        w1, b1, w2, b2 = p[:8], p[8:16], p[16:24], p[24]
        return np.tanh(np.outer(x, w1) + b1) @ w2 + b2 - y

    assert (residuals(start) ** 2).mean() == pytest.approx(problem.loss(), rel=1e-12)
    theirs = optimize.least_squares(residuals, start, method="lm", max_nfev=25 * 200)
    losses = net.fit(x, y, epochs=200)["loss"]
    assert losses[-1] <= 1.05 * (theirs.fun**2).mean()
