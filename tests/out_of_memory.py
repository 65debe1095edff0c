"""One operation of a network with failing allocations: `python out_of_memory.py OPERATION FIRST STEP ONWARD`.

Run by test_out_of_memory.py, with the failing allocator preloaded. Leaks are looked for where only arrays and larger
blocks fail: what CPython itself loses when a small object finds no memory cannot be told from what fastnn would.
"""

import os
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
from failing_malloc import survey

import fastnn as fnn

TRAINS = ("fit", "train_on_batch", "solver")


def network():
    return fnn.Network(
        [fnn.Conv2D(3, 3, activation="relu"), fnn.Flatten(), fnn.Dense(5), fnn.BatchNorm(), fnn.Dense(3, "softmax")],
        seed=1,
    )


def main(operation, first, step, onward):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 40)
    folder = Path(tempfile.mkdtemp())
    net = network()
    net.fit(X, y, epochs=1, verbose=False)
    net.save(folder / "model")
    start = net.params.copy()
    expected = net.predict(X)

    def train():
        net.fit(X, y, epochs=2, batch_size=8, verbose=False)

    def predict():
        fnn.load(folder / "model").predict(X, threads=1)

    def train_anew():
        fnn.load(folder / "model").fit(X, y, epochs=2, batch_size=8, verbose=False, threads=1)

    solved = fnn.Network([fnn.Dense(4, "tanh"), fnn.Dense(1)], optimizer=fnn.LBFGS(), seed=1)
    solved.fit(X[:, 0, 0], X[:, 0, 1, :1], epochs=1, verbose=False)
    weights, copied = net.get_weights(), pickle.dumps(net)
    predictor, one = net.predictor(), X[0]

    operations = {
        "predictor": lambda: predictor(one),
        "a predictor": lambda: net.predictor()(one),
        "train_on_batch": lambda: net.train_on_batch(X, y),
        "loss_and_gradients": lambda: net.loss_and_gradients(X, y),
        "lr_find": lambda: net.lr_find(X, y, steps=5),
        "solver": lambda: solved.fit(X[:, 0, 0], X[:, 0, 1, :1], epochs=2, verbose=False),
        "get_weights": net.get_weights,
        "set_weights": lambda: net.set_weights(weights),
        "activations": lambda: net.activations(X[:4]),
        "input_gradient": lambda: net.input_gradient(X[:4]),
        "jacobian": lambda: net.jacobian(X[:2]),
        "summary": net.summary,
        "pickle": lambda: pickle.loads(copied),
        "predict": lambda: net.predict(X),
        "predict anew": predict,
        "fit": train,
        "fit anew": train_anew,
        "evaluate": lambda: net.evaluate(X, y),
        "save": lambda: net.save(folder / "model"),
        "load": lambda: fnn.load(folder / "model"),
    }

    def check(n):
        if operation in TRAINS:
            trained = solved if operation == "solver" else net
            assert np.isfinite(trained.params).all(), f"allocation {n}: the parameters are not finite"
        else:
            assert np.array_equal(net.params, start), f"allocation {n} changes the parameters"
            assert np.array_equal(net.predict(X), expected), f"allocation {n} changes predictions"
            assert np.array_equal(fnn.load(folder / "model").params, start), f"allocation {n} harms the file"
            assert [path.name for path in folder.iterdir()] == ["model"], f"allocation {n} leaves litter"

    operations[operation]()  # imports and caches
    # A model file whose network cannot be built is one that asks for too much, as far as a reader can tell.
    errors = (fnn.ModelFileError,) if operation in ("load", "predict anew", "fit anew") else ()
    repeats = 0 if os.environ.get("PYTHONMALLOC") == "malloc" else 4
    numbers = range(first, 10**9, step)
    failed = survey(operations[operation], check, numbers=numbers, onward=onward, errors=errors, repeats=repeats)
    operations[operation]()
    print(f"{operation}: {failed} failures")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
