"""Layers in Python: what their methods see, and what a wrong one is told; the battery of cases.py has the rest."""

import threading
import traceback

import numpy as np
import pytest
from cases import Gate, Product

import fastnn as fnn


class Spy(fnn.PythonLayer):
    """The identity, with a parameter that does nothing; keeps what its methods get; may return otherwise."""

    def __init__(self, forward=None, backward=None):
        self.returns = forward, backward
        self.seen = []

    def config(self):
        return {}

    def parameters(self, shape):
        return {"idle": (2, "ones")}

    def forward(self, x, idle):
        self.seen.append(("forward", x, idle))
        return x if self.returns[0] is None else self.returns[0](x)

    def backward(self, dy, x, y, idle):
        self.seen.append(("backward", dy, x, y, idle))
        return (dy, {"idle": np.zeros(2)}) if self.returns[1] is None else self.returns[1](dy)


X = np.random.default_rng(0).standard_normal((6, 3))
Y = np.zeros((6, 2))


def network(layer, **options):
    return fnn.Network([fnn.Dense(3), layer, fnn.Dense(2)], input_shape=3, seed=0, loss="mse", **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_methods_see_the_rows_of_the_batch_in_the_networks_dtype(dtype):
    spy = Spy()
    net = network(spy, dtype=dtype)
    net.fit(X, Y, batch_size=4, verbose=0)
    assert [name for name, *_ in spy.seen] == ["forward", "backward"] * 2
    assert [arrays[0].shape for _, *arrays in spy.seen] == [(4, 3), (4, 3), (2, 3), (2, 3)]
    for _, *arrays in spy.seen:
        for array in arrays:
            assert array.dtype == dtype
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_it_trains_predicts_and_is_named_like_any_layer():
    net = network(Gate(), dtype="float64", optimizer=fnn.Adam(0.05))
    y = np.stack([X[:, 0] * (X[:, 0] > 0), X[:, 1]], axis=1)
    loss = net.fit(X, y, epochs=200, verbose=0)["loss"]
    assert loss[-1] < loss[0] / 100
    assert set(net.get_weights()) >= {"layers.1.slope"}
    assert abs(net.get_weights()["layers.1.slope"] - 1).max() > 0.01
    assert net.predictor()(X[0]) == pytest.approx(net.predict(X)[0], rel=1e-13)


def test_output_shape_and_several_inputs():
    class Outer(fnn.PythonLayer):
        """All products of two vectors' elements."""

        def output_shape(self, shapes):
            return shapes[0] + shapes[1]

        def forward(self, x):
            return np.einsum("ni,nj->nij", *x)

        def backward(self, dy, x, y):
            return [np.einsum("nij,nj->ni", dy, x[1]), np.einsum("nij,ni->nj", dy, x[0])]

    a, b = fnn.Input(3), fnn.Input(2)
    net = fnn.Network(inputs=[a, b], outputs=Outer()([a, b]), dtype="float64")
    np.testing.assert_allclose(net.predict([X, X[:, :2]]), X[:, :, None] * X[:, None, :2], rtol=1e-15)


def test_a_value_used_twice_gets_the_sum_of_both_gradients():
    x = fnn.Input(3)
    inner = fnn.Dense(3)(x)
    square = fnn.Network(inputs=x, outputs=fnn.Dense(2)(Product()([inner, inner])), dtype="float64", seed=0, loss="mse")
    _, gradients = square.loss_and_gradients(X, Y)
    weights = square.get_weights()
    z = X @ weights["layers.0.weight"]
    dp = 2 * (z * z @ weights["layers.2.weight"]) / 12
    expected = X.T @ (2 * z * (dp @ weights["layers.2.weight"].T))
    np.testing.assert_allclose(gradients["layers.0.weight"], expected, rtol=1e-12)


def test_an_error_reaches_the_caller_and_the_last_completed_step_stays():
    class Fails(Exception):
        pass

    def third_time(dy):
        if sum(name == "backward" for name, *_ in spy.seen) == 3:
            raise Fails("the third step")
        return dy, {"idle": np.ones(2)}

    spy = Spy(backward=third_time)
    net, twin = network(spy), network(Spy(backward=lambda dy: (dy, {"idle": np.ones(2)})))
    with pytest.raises(Fails, match="the third step") as caught:
        net.fit(X, Y, epochs=5, batch_size=6, shuffle=False, verbose=0)
    assert "third_time" in [frame.name for frame in traceback.extract_tb(caught.tb)]
    twin.fit(X, Y, epochs=2, batch_size=6, shuffle=False, verbose=0)
    assert np.array_equal(net.params, twin.params)
    net.fit(X, Y, epochs=1, batch_size=6, shuffle=False, verbose=0)


def test_an_error_in_prediction_reaches_the_caller():
    def fails(x):
        raise ZeroDivisionError("here")

    net = network(Spy(forward=fails))
    for call in (net.predict, net.predictor()):
        with pytest.raises(ZeroDivisionError, match="here"):
            call(X[:1])


@pytest.mark.parametrize(
    ("returns", "error", "message"),
    [
        ({"forward": lambda x: x[:, :2]}, ValueError, r"Spy.forward returned shape \(6, 2\), expected \(6, 3\)"),
        ({"forward": lambda x: "no"}, ValueError, "could not convert"),
        ({"backward": lambda dy: dy}, TypeError, r"must return \(dx, \{parameter: gradient\}\), got ndarray"),
        ({"backward": lambda dy: (dy, {})}, ValueError, "must return the gradients of idle, got none"),
        ({"backward": lambda dy: (dy, {"else": dy})}, ValueError, "must return the gradients of idle, got else"),
        ({"backward": lambda dy: (dy[0], {"idle": np.zeros(2)})}, ValueError, r"backward: dx returned shape \(3,\)"),
        ({"backward": lambda dy: (dy, {"idle": np.zeros(3)})}, ValueError, r"gradient of idle returned shape \(3,\)"),
    ],
)  # fmt: skip
def test_wrong_results(returns, error, message):
    net = network(Spy(**returns))
    before = net.params.copy()
    with pytest.raises(error, match=message):
        net.fit(X, Y, verbose=0)
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ({}, NotImplementedError, r"Wrong does not define forward\(self, x, \*\*parameters\)"),
        ({"forward": lambda self, x: x}, NotImplementedError, r"Wrong does not define backward"),
        ({"parameters": lambda self, shape: {"w": 3}}, TypeError, r"parameters\(\) says \(shape, initializer\) of 'w'"),
        ({"parameters": lambda self, shape: {"w": (-1, "ones")}}, ValueError, "the shape of 'w'"),
        ({"output_shape": lambda self, shape: (0,)}, ValueError, "output_shape"),
        ({"output_shape": lambda self, shape: ()}, ValueError, "output_shape"),
    ],
)
def test_wrong_methods(methods, error, message):
    layer = type("Wrong", (fnn.PythonLayer,), methods)()
    with pytest.raises(error, match=message):
        network(layer).fit(X, Y, verbose=0)


def test_a_layer_that_joins_says_its_shape():
    class Sum(fnn.PythonLayer):
        def forward(self, x):
            return x[0] + x[1]

    a, b = fnn.Input(3), fnn.Input(3)
    with pytest.raises(TypeError, match="Sum joins values and does not define output_shape"):
        fnn.Network(inputs=[a, b], outputs=Sum()([a, b]))


def test_threads_may_predict_at_once():
    net = network(Gate(), dtype="float64")
    rows = np.random.default_rng(1).standard_normal((2000, 3))
    expected, results = net.predict(rows), [None] * 6

    def work(i):
        results[i] = [net.predict(rows) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(got, expected) for some in results for got in some)
