"""Arguments that contradict each other, and parts of one's own that leave out what they have to say: each in words.

What the values of single arguments are answered with is tested beside what they do; sizes in tests/trust/test_sizes.py.
"""

import sys
import types

import numpy as np
import pytest

import fastnn as fnn
from fastnn import ShapeError
from fastnn.solvers import Solver

X = np.random.default_rng(0).standard_normal((12, 4)).astype("float32")
Y = X.sum(axis=1)


def graph(*layers):
    """Two inputs of 4 features that are joined, and these layers after that."""
    a, b = fnn.Input(4), fnn.Input(4)
    node = fnn.Concat()([a, b])
    for layer in layers:
        node = layer(node)
    return fnn.Network(inputs=[a, b], outputs=[node])


class NoShape(fnn.PythonLayer):
    """A layer whose samples would have no axis."""

    def output_shape(self, shape):
        return ()


@pytest.mark.parametrize("call, error, words", [
    (lambda: fnn.SGD(0.1, nesterov=True), ValueError, "nesterov: needs a momentum above 0"),
    (lambda: fnn.Rprop(eta_minus=1.5), ValueError, "expected eta_minus < 1 < eta_plus, got 1.5 and 1.2"),
    (lambda: fnn.Rprop(step_min=2, step_max=1), ValueError, "expected step_min <= step_max, got 2 and 1"),
    (lambda: fnn.losses.Quantile((0.0, 0.5)), ValueError, "levels: expected numbers in (0, 1), got (0.0, 0.5)"),
    (lambda: fnn.EarlyStopping(3), TypeError, "monitor: expected the name of a figure, got int"),
    (lambda: fnn.EarlyStopping(mode="mx"), ValueError, "unknown mode 'mx'; did you mean 'max'?"),
    (lambda: fnn.ReduceLROnPlateau(factor=0), ValueError, "factor must be above 0"),
    (lambda: graph(fnn.Dense(2)).stream(), ValueError, "a stream needs a network of one input and one output"),
    (lambda: fnn.Network([fnn.Dense(2)], input_shape=4).stream(), ShapeError, "a stream takes steps of sequences"),
    (lambda: fnn.Network([fnn.LSTM(2, return_state=True)], input_shape=(3, 4)).build(), ShapeError,
     "layers.0 (LSTM) returns several values: call it on what fnn.Input(...) returned"),
    (lambda: fnn.Network([NoShape()], input_shape=4).build(), ShapeError,
     "output_shape must have at least one axis, got ()"),
])  # fmt: skip
def test_refused(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize("part, call, error, words", [
    (fnn.initializers.Initializer, lambda part: fnn.Network([fnn.Dense(2, weight_init=part())], input_shape=4).build(),
     NotImplementedError, "Mine does not say how it makes values"),
    (fnn.metrics.Metric, lambda part: part()([1.0], [1.0]), NotImplementedError,
     "Mine does not say how it is computed"),
    (fnn.schedules.Schedule, lambda part: part().rate(0), TypeError, "Mine does not define rate(t)"),
    (Solver, lambda part: part().epoch(None), TypeError, "Mine does not define epoch(problem)"),
])  # fmt: skip
def test_a_part_of_ones_own_that_defines_nothing(part, call, error, words):
    mine = type("Mine", (part,), {})
    with pytest.raises(error) as caught:
        call(mine)
    assert words in str(caught.value)


def test_weights_of_classes_that_are_signs():
    """class_weight of a hinge loss weighs -1 and 1, or 0 and 1, as sample weights do."""
    signs = np.where(Y > 0, 1.0, -1.0)
    made = []
    for y, options in ((signs, {"class_weight": {0: 1.0, 1: 3.0}}), (signs > 0, {"class_weight": {0: 1.0, 1: 3.0}}),
                       (signs, {"sample_weight": np.where(Y > 0, 3.0, 1.0)})):  # fmt: skip
        net = fnn.Network([fnn.Dense(1)], loss="hinge", optimizer="sgd", seed=0)
        net.fit(X, y, verbose=0, **options)
        made.append(net.params.tobytes())
    assert len(set(made)) == 1
    net.fit(X, signs, verbose=0)
    assert net.params.tobytes() not in made


def test_a_loss_of_ones_own_takes_no_weights():
    net = fnn.Network([fnn.Dense(1)], loss=lambda y, p: (float(((p - y) ** 2).mean()), 2 * (p - y) / p.size), seed=0)
    net.build(4)
    before = net.params.tobytes()
    with pytest.raises(ValueError, match="a loss function of your own takes no weights: weigh the samples inside it"):
        net.fit(X, Y.reshape(-1, 1), sample_weight=np.ones(12))
    with pytest.raises(ShapeError, match="y has 11 samples, X has 12"):
        net.fit(X, Y[1:].reshape(-1, 1))
    assert net.params.tobytes() == before


def test_a_thread_count_in_the_environment_that_is_none(monkeypatch):
    net = fnn.Network([fnn.Dense(1)], input_shape=4, seed=0)
    for wrong in ("many", "0", "-1", "1.5"):
        monkeypatch.setenv("FASTNN_NUM_THREADS", wrong)
        with pytest.raises(ValueError, match=f"FASTNN_NUM_THREADS must be a positive integer, got '{wrong}'"):
            net.predict(X)


@pytest.mark.parametrize("module, words", [
    (None, "limits of threadpoolctl need threadpoolctl: pip install threadpoolctl"),
    (types.SimpleNamespace(__version__="3.1.0"), "expected threadpoolctl 3.2 or newer, got 3.1.0: pip install -U"),
])  # fmt: skip
def test_threadpoolctl_that_is_not_there_or_too_old(monkeypatch, module, words):
    monkeypatch.setitem(sys.modules, "threadpoolctl", module)
    with pytest.raises(ImportError, match=words):
        fnn.register_threadpoolctl()


def test_a_history_names_its_last_figures():
    net = fnn.Network([fnn.Dense(1)], metrics=["mae"], seed=0)
    history = net.fit(X, Y, epochs=3, verbose=0)
    assert repr(history) == f"<History of 3 epochs: loss={history['loss'][-1]:.4g}, mae={history['mae'][-1]:.4g}>"


def test_lr_find_of_a_network_that_is_not_finite():
    net = fnn.Network([fnn.Dense(1)], seed=0)
    net.build(4)
    net.params[:] = np.nan
    with pytest.raises(ValueError, match="lr_find: the loss of the first batch is not finite"):
        net.lr_find(X, Y)
    assert np.isnan(net.params).all()
