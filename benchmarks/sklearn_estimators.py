"""fastnn.sklearn's perceptrons beside scikit-learn's, on the data sets that scikit-learn brings along.

    python benchmarks/sklearn_estimators.py
    python benchmarks/sklearn_estimators.py --threads 1     # in seconds of the CPU: for a machine that is busy

Default arguments, float64 as the data come, five folds for each of five seeds; a seed is that of the folds and of both
estimators. Each fit is made by both in turn, with one thread and with all; the times of a library are those of its
better number of threads. Prints a table in Markdown: mean scores (accuracy, R^2) with scikit-learn's standard error
over the fits, medians of the seconds of a fit, and how many times longer all fits together took scikit-learn.
"""

import argparse
import statistics
import sys
import time
import warnings
from math import sqrt
from pathlib import Path

import sklearn
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

import fastnn
import fastnn.sklearn

sys.path.insert(0, str(Path(__file__).parent))

import machine  # noqa: E402

SETS = ("digits", "breast_cancer", "wine", "iris", "diabetes")
REGRESSION = {"diabetes"}
FOLDS, SEEDS = 5, 5
LIBRARIES = {"scikit-learn": neural_network, "fastnn": fastnn.sklearn}
HEAD = """| data | scikit-learn | fastnn | standard error | scikit-learn, ms | fastnn, ms | times faster |
| --- | --- | --- | --- | --- | --- | --- |"""


def splits(name, X, y, seeds):
    """(seed, rows to train on, rows to score on)."""
    folds = KFold if name in REGRESSION else StratifiedKFold
    for seed in range(seeds):
        for train, test in folds(FOLDS, shuffle=True, random_state=seed).split(X, y):
            yield seed, train, test


def measured(name, seeds, counts):
    """({library: scores}, {library: {threads: seconds of each fit}})."""
    clock = time.process_time if counts == [1] else time.perf_counter
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    kind = "MLPRegressor" if name in REGRESSION else "MLPClassifier"
    scores = {library: [] for library in LIBRARIES}
    times = {library: {threads: [] for threads in counts} for library in LIBRARIES}
    for seed, train, test in splits(name, X, y, seeds):
        for threads in counts:
            for library, module in LIBRARIES.items():
                model = clone(getattr(module, kind)(random_state=seed))
                with threadpool_limits(threads):
                    start = clock()
                    model.fit(X[train], y[train])
                    times[library][threads].append(clock() - start)
                if threads == counts[0]:  # fastnn's fits do not depend on it, and scikit-learn's but by rounding
                    scores[library].append(model.score(X[test], y[test]))
    return scores, times


def row(name, scores, times):
    """The line of a data set."""
    best = {library: min(found.values(), key=sum) for library, found in times.items()}
    theirs, ours = (statistics.mean(scores[library]) for library in LIBRARIES)
    error = statistics.stdev(scores["scikit-learn"]) / sqrt(len(scores["scikit-learn"]))
    slow, fast = (1e3 * statistics.median(best[library]) for library in LIBRARIES)
    ratio = sum(best["scikit-learn"]) / sum(best["fastnn"])
    return f"| {name} | {theirs:.4f} | {ours:.4f} | {error:.4f} | {slow:.1f} | {fast:.2f} | {ratio:.1f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--threads", type=int, nargs="+", default=machine.thread_counts())
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    about = machine.describe_machine()
    print(f"{about['cpu']}, {about['cores']} cores; fastnn {fastnn.__version__}, scikit-learn {sklearn.__version__}\n")
    print(HEAD)
    for name in arguments.sets:
        print(row(name, *measured(name, arguments.seeds, arguments.threads)), flush=True)


if __name__ == "__main__":
    main()
