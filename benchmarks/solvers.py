"""L-BFGS and Levenberg-Marquardt beside scipy.optimize, on small fits: a table of losses and times.

    python benchmarks/solvers.py [--seeds 20] [--repeats 5]

Both start from the same weights and stop by the same rules. scipy gets the loss with its gradient, or the residuals
with their Jacobian, from NumPy code written for the one network: what an expert without a library would write. Times
are the best of the repeats, taken by turns, on one thread; figures are medians over the seeds, losses with their middle
half in brackets. A loss with many minima ends in one or another by chance, so the table also counts the seeds for which
fastnn's is the lower, the same, and the higher one.
"""

import argparse
import os
import time
import warnings

for library in ("OPENBLAS", "OMP", "MKL", "FASTNN"):  # products this small are no work for two threads
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import nist  # noqa: E402
import numpy as np  # noqa: E402

import fastnn as fnn  # noqa: E402

STEPS = 500  # at most; of the certified problems, some of which are hard on purpose, NIST_STEPS
NIST_STEPS = 2000
TIGHT = 1e-12


class Perceptron:
    """One hidden tanh layer and a linear output in NumPy, with the flat parameters in fastnn's order."""

    def __init__(self, X, y, units, l2=0.0):
        self.X, self.y, self.units, self.l2 = X, y, units, l2
        k = X.shape[1]
        self.cuts = np.cumsum([k * units, units, units])

    def parts(self, p):
        w1, b1, w2, b2 = np.split(p, self.cuts)
        return w1.reshape(-1, self.units), b1, w2, b2[0]

    def penalized(self, p):
        """The parameters with a penalty: the two weights."""
        kept = np.zeros(len(p))
        kept[: self.cuts[0]] = kept[self.cuts[1] : self.cuts[2]] = self.l2
        return kept

    def loss_and_gradient(self, p):
        w1, b1, w2, b2 = self.parts(p)
        h = np.tanh(self.X @ w1 + b1)
        r = h @ w2 + b2 - self.y
        dr = 2 * r / len(r)
        dz = np.outer(dr, w2) * (1 - h * h)
        l2 = self.penalized(p)
        gradient = np.concatenate([(self.X.T @ dz).ravel(), dz.sum(0), h.T @ dr, [dr.sum()]])
        return r @ r / len(r) + l2 @ (p * p), gradient + 2 * l2 * p

    def residuals(self, p):
        w1, b1, w2, b2 = self.parts(p)
        r = (np.tanh(self.X @ w1 + b1) @ w2 + b2 - self.y) / np.sqrt(len(self.y))
        return np.concatenate([r, np.sqrt(self.penalized(p)) * p]) if self.l2 else r

    def jacobian(self, p):
        w1, b1, w2, _ = self.parts(p)
        h = np.tanh(self.X @ w1 + b1)
        dz = (1 - h * h) * w2
        J = np.hstack([(self.X[:, :, None] * dz[:, None, :]).reshape(len(dz), -1), dz, h, np.ones((len(dz), 1))])
        J /= np.sqrt(len(self.y))
        return np.vstack([J, np.diag(np.sqrt(self.penalized(p)))]) if self.l2 else J


def sinc():
    x = np.linspace(-5, 5, 200)
    return Perceptron(x[:, None], np.sinc(x), 10)


def diabetes():
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return Perceptron((X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std(), 8, l2=1e-3)


FITS = {"sinc, 1-10-1": sinc, "diabetes, 10-8-1, l2": diabetes}


def network(fit, solver, seed):
    layers = [fnn.Dense(fit.units, "tanh", l2=fit.l2), fnn.Dense(1, l2=fit.l2)]
    return fnn.Network(layers, optimizer=solver, loss="mse", dtype="float64", seed=seed, input_shape=fit.X.shape[1])


def timed(run, repeats):
    """(result, best seconds) of each of the callables, taken by turns."""
    best, results = [np.inf] * len(run), [None] * len(run)
    for _ in range(repeats):
        for i, one in enumerate(run):
            begin = time.perf_counter()
            results[i] = one()
            best[i] = min(best[i], time.perf_counter() - begin)
    return list(zip(results, best, strict=True))


def ours(net, X, y, scale=1.0, steps=STEPS):
    """A function that fits the network from its present weights: (loss, steps)."""
    start = net.params.copy()

    def run():
        net.params[:] = start
        history = net.fit(X, y, epochs=steps, batch_size=len(X), verbose=0)
        return history["loss"][-1] * scale, len(history["loss"])

    return run


def lbfgs_row(fit, seed, repeats):
    from scipy import optimize

    net = network(fit, fnn.LBFGS(tolerance_grad=1e-7, tolerance_change=TIGHT), seed)
    start = net.params.copy()
    options = {"maxiter": STEPS, "maxcor": 10, "ftol": TIGHT, "gtol": 1e-7, "maxfun": 10 * STEPS}

    def theirs():
        found = optimize.minimize(fit.loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
        return found.fun, found.nit

    return timed([ours(net, fit.X, fit.y), theirs], repeats)


def marquardt_row(fit, seed, repeats):
    from scipy import optimize

    net = network(fit, fnn.LevenbergMarquardt(tolerance_change=TIGHT, tolerance_step=TIGHT), seed)
    start = net.params.copy()
    options = {"ftol": TIGHT, "xtol": TIGHT, "gtol": 1e-8, "max_nfev": STEPS, "method": "lm"}

    def theirs():
        found = optimize.least_squares(fit.residuals, start, fit.jacobian, **options)
        return 2 * found.cost, found.nfev

    return timed([ours(net, fit.X, fit.y), theirs], repeats)


def nist_row(problem, start, repeats):
    """The residual sum of squares; scipy differentiates the model itself, as its users let it."""
    from scipy import optimize

    solver = fnn.LevenbergMarquardt(tolerance_grad=TIGHT, tolerance_change=TIGHT, tolerance_step=TIGHT)

    def theirs():
        found = optimize.least_squares(
            lambda b: problem.model(b, problem.x) - problem.y, problem.starts[start], method="lm",
            max_nfev=10 * NIST_STEPS, ftol=TIGHT, xtol=TIGHT, gtol=TIGHT,
        )  # fmt: skip
        return 2 * found.cost, found.nfev

    net = problem.network(solver, start)
    return timed([ours(net, problem.x, problem.y, len(problem.x), NIST_STEPS), theirs], repeats)


SAME = 1e-4  # losses that are no further apart are one minimum


def row(name, runs):
    """A line of the table from [(ours, theirs) of every seed], each ((loss, steps), seconds)."""
    table = np.array([[(loss, steps, seconds * 1e3) for (loss, steps), seconds in run] for run in runs])
    (_, steps_a, ms_a), (_, steps_b, ms_b) = np.median(table, axis=0)
    ratio = np.median(table[:, 1, 2] / table[:, 0, 2])
    ours, theirs = table[:, 0, 0], table[:, 1, 0]
    higher, lower = int((ours > theirs * (1 + SAME)).sum()), int((ours < theirs * (1 - SAME)).sum())
    tally = f"{lower} / {len(runs) - lower - higher} / {higher}"
    times = f"{ms_a:.2f} | {ms_b:.2f} | {ratio:.1f}"
    return f"| {name} | {spread(ours)} | {spread(theirs)} | {tally} | {steps_a:.0f} | {steps_b:.0f} | {times} |"


def spread(losses):
    """The median, and between which numbers the middle half lies where there are several."""
    low, middle, high = np.quantile(losses, [0.25, 0.5, 0.75])
    return f"{middle:.6g}" if len(losses) == 1 else f"{middle:.4g} ({low:.3g} to {high:.3g})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # exponentials of points that are tried and left
    print(
        "| fit | loss, fastnn | loss, scipy | lower / same / higher | steps | steps, scipy | ms | ms, scipy "
        "| times as fast |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, make in FITS.items():
        fit = make()
        for solver, measure in (("L-BFGS", lbfgs_row), ("Levenberg-Marquardt", marquardt_row)):
            runs = [measure(fit, seed, options.repeats) for seed in range(options.seeds)]
            print(row(f"{name}, {solver}", runs), flush=True)
    for problem in nist.PROBLEMS:
        for start in (0, 1):
            name = f"{problem.name} from start {start + 1} (certified {problem.residual:.6g})"
            print(row(name, [nist_row(problem, start, options.repeats)]), flush=True)


if __name__ == "__main__":
    main()
