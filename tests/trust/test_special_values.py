"""NaN, infinities, signed zeros, denormals and the largest numbers at every position that an op reads.

    python tests/trust/test_special_values.py          (prints what comes of them on the target in use)

What is promised stands in docs/numerics.md: what is not finite shows in every output that depends on it, as in the
formulas in NumPy (tests/reference.py), and which outputs those are is the same on all targets. Where products of the
largest number overflow in the midst of a layer, it depends on the order of the sum how far that spreads. The values
stand behind the check of the input, in a layer that puts them there, and in the gradient that comes back from a loss.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cases  # noqa: E402

import fastnn as fnn  # noqa: E402
from fastnn._core import binding  # noqa: E402

ROWS, MOST_POSITIONS = 3, 4
VALUES = {
    "float32": {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "-0": -0.0, "denormal": 1e-40, "largest": 3.4028234e38,
                "-largest": -3.4028234e38},
    "float64": {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "-0": -0.0, "denormal": 1e-310,
                "largest": 1.7976931348623157e308, "-largest": -1.7976931348623157e308},
}  # fmt: skip
ROWWISE = [case for case in cases.CASES if case.layer.__module__.startswith("fastnn.") and not case.tokens]


OVERFLOWS_INSIDE = (
    fnn.MultiHeadAttention, fnn.TransformerBlock, fnn.RNN, fnn.GRU, fnn.LSTM, fnn.Bidirectional, fnn.Residual,
)  # fmt: skip


class Put(fnn.PythonLayer):
    """y = x, but `value` at one position of one sample; and back again but for the same in the gradient."""

    def __init__(self, value=0.0, row=1, position=0, back=False):
        self.value, self.row, self.position, self.back = value, row, position, back

    def changed(self, array):
        result = array.copy()
        result[self.row].ravel()[self.position] = self.value
        return result

    def forward(self, x):
        return x.copy() if self.back else self.changed(x)

    def backward(self, dy, x, y):
        return self.changed(dy) if self.back else dy.copy()


def shapes_of(case):
    return case.shape if isinstance(case.shape, list) else [case.shape]


def network(case, dtype, put, behind):
    """The layer of a case on inputs of the network, with `put` before or behind it."""
    shapes = shapes_of(case)
    inputs = [fnn.Input(shape) for shape in shapes]
    first = inputs[0] if behind else put(inputs[0])
    y = case.make()([first, *inputs[1:]] if isinstance(case.shape, list) else first)
    net = fnn.Network(inputs=inputs, outputs=put(y) if behind else y, loss="mse", dtype=dtype, seed=3)
    rng = np.random.default_rng(3)
    net.params[:] += rng.uniform(-0.2, 0.2, net.params.shape)
    weights = net.get_weights()
    names = (name for name in weights if name.endswith((".mean", ".deviation", ".median")))
    learned = {name: rng.uniform(0.5, 2, weights[name].shape) for name in names}
    net.set_weights({**weights, **learned})
    return net


def classes(array):
    """A character for each number: n for NaN, + and - for infinities, f for what is finite."""
    array = np.asarray(array)
    letters = np.where(np.isnan(array), "n", np.where(np.isposinf(array), "+", np.where(np.isneginf(array), "-", "f")))
    return "".join(letters.ravel())


def samples(case, dtype):
    rng, shapes = np.random.default_rng(5), shapes_of(case)
    X = [rng.standard_normal((ROWS, *shape)).astype(dtype) for shape in shapes]
    return X if len(X) > 1 else X[0]


def positions(size):
    return sorted({int(i) for i in np.linspace(0, size - 1, MOST_POSITIONS)})


def values(case, dtype):
    """The names and values that are put into this case."""
    several = issubclass(case.layer, OVERFLOWS_INSIDE)
    return [(name, value) for name, value in VALUES[dtype].items() if not (several and "largest" in name)]


def forward(case, dtype):
    """(value, position, the network's outputs) for each value and position."""
    X, size = samples(case, dtype), int(np.prod(shapes_of(case)[0]))
    net = network(case, dtype, put := Put(), behind=False)
    for name, put.value in values(case, dtype):
        for put.position in positions(size):
            yield name, put.position, net, net.predict(X)


def backward(case, dtype):
    """(value, position, classes of all gradients) for values in the gradient of the layer's output."""
    X = samples(case, dtype)
    net = network(case, dtype, put := Put(back=True), behind=True)
    shape = net._state.graph.outputs[0].shape
    y = np.zeros((ROWS, *shape), dtype)
    for name, put.value in values(case, dtype):
        for put.position in positions(int(np.prod(shape))):
            _, gradients = net.loss_and_gradients(X, y)
            yield name, put.position, {key: classes(value) for key, value in gradients.items()}


def report():
    """A line for every case, precision, value and position."""
    with np.errstate(all="ignore"):
        for case in ROWWISE:
            for dtype in VALUES:
                for value, position, _, y in forward(case, dtype):
                    print(case.name, dtype, value, position, classes(y))
                if not case.random:
                    for value, position, found in backward(case, dtype):
                        print(case.name, dtype, value, position, found)


def test_the_same_on_all_targets():
    reports = {}
    for target in binding.targets():
        done = subprocess.run([sys.executable, __file__], env={**os.environ, "FASTNN_TARGET": target}, check=True,
                              capture_output=True, text=True)  # fmt: skip
        reports[target] = done.stdout.splitlines()
    first = reports[binding.targets()[0]]
    assert len(first) > 1000
    for target, lines in reports.items():
        assert [(a, b) for a, b in zip(lines, first, strict=True) if a != b] == [], target


def expected(case, dtype):
    """What the formulas in NumPy give, for each value and position."""
    import reference_network

    X = samples(case, dtype)
    for value, position, net, y in forward(case, dtype):
        yield value, position, y, reference_network.predict(net, X)


@pytest.mark.parametrize("case", [case for case in ROWWISE if not case.random], ids=lambda case: case.name)
def test_what_is_not_finite_shows_where_the_formulas_have_it(case):
    """And nowhere else: other samples of the batch are as they were."""
    with np.errstate(all="ignore"):
        for value, position, y, formula in expected(case, "float64"):
            assert np.isfinite(y[[0, 2]]).all(), f"{value} at {position} of sample 1 shows in other samples"
            assert classes(y) == classes(formula), f"{value} at {position}"


@pytest.mark.parametrize("dtype", VALUES)
def test_zeros_and_denormals(dtype):
    """A denormal counts as zero, in prediction as in training; what only moves numbers hands it on, and the signs."""
    denormal = VALUES[dtype]["denormal"]
    X = np.array([[denormal, -denormal, 0.0, -0.0]], dtype)
    for layer in (fnn.MaxPool1D(1), fnn.Reshape((4, 1)), fnn.Flatten()):
        y = fnn.Network([layer], input_shape=(4, 1), dtype=dtype).predict(X.reshape(1, 4, 1))
        assert y.tobytes() == X.tobytes(), layer
    for name in ("tanh", "elu", "relu", "silu", "selu", "leaky_relu", "gelu"):
        assert not fnn.Network([fnn.Activation(name)], input_shape=4, dtype=dtype).predict(X).any(), name
    net = fnn.Network([fnn.Dense(4, weight_init=np.eye(4), use_bias=False)], input_shape=4, dtype=dtype)
    assert not net.predict(X).any()
    before = net.params.copy()
    net.optimizer = fnn.SGD(1.0)
    net.fit(X, X + 1, verbose=0)
    assert np.array_equal(net.params, before)


if __name__ == "__main__":
    report()
