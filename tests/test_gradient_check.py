"""Gradient checks: what is right passes, what is broken on purpose is found and named."""

import numpy as np
import pytest
from cases import CASES, Gate

import fastnn as fnn

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((8, 4)), RNG.standard_normal((8, 2))


class WrongInput(Gate):
    """A backward that hands on a wrong gradient, while that of its own parameter is right."""

    name = "wrong_input_for_the_check"

    def backward(self, dy, x, y, slope):
        dx, grads = super().backward(dy, x, y, slope)
        return 1.01 * dx, grads


class WrongSlope(Gate):
    """A backward whose gradient of its own parameter is wrong in one place."""

    name = "wrong_slope_for_the_check"

    def backward(self, dy, x, y, slope):
        dx, grads = super().backward(dy, x, y, slope)
        grads["slope"][1] *= 1.01
        return dx, grads


def network(*layers, **options):
    return fnn.Network([fnn.Dense(3, "tanh"), *layers, fnn.Dense(2)], input_shape=4, seed=1, **options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_layer_passes(case):
    net = case.network("float32")
    check = net.gradient_check(*case.data(7), samples=4)
    assert check.ok and check.error < 1e-5 and check.suspect == "", check
    expected = {*net.loss_and_gradients(*case.data(7))[1]} | (set() if case.tokens else {"X"})
    assert set(check.parameters) == expected


def test_a_wrong_gradient_of_the_input_names_its_layer():
    net = network(fnn.Dense(3), WrongInput(), fnn.Dense(3, "tanh"))
    check = net.gradient_check(X, Y)
    assert not check.ok
    assert check.suspect == "layers.2 (WrongInput)"
    wrong = {name for name, one in check.parameters.items() if one.error > check.tolerance}
    assert wrong == {"X", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"}
    assert check.error == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_a_wrong_gradient_of_a_parameter_is_named():
    net = network(WrongSlope())
    check = net.gradient_check(X, Y)
    assert not check.ok and check.worst.name == "layers.1.slope" and check.worst.index == (1,)
    assert check.worst.gradient == pytest.approx(1.01 * check.worst.difference, rel=1e-6)
    assert check.suspect == "layers.1 (WrongSlope)"
    assert all(one.error < 1e-5 for name, one in check.parameters.items() if name != "layers.1.slope")
    text = repr(check)
    assert text.startswith("gradients DIFFER from") and text.endswith("look at layers.1 (WrongSlope)")
    assert "layers.1.slope[1]: gradient" in text and text.count("<-") == 1


def test_a_wrong_derivative_of_an_activation_is_named():
    net = fnn.Network([fnn.Dense(3), fnn.Activation((np.sin, np.sin)), fnn.Dense(2)], input_shape=4, seed=0)
    assert net.gradient_check(X, Y).suspect == "layers.1 (Activation)"


def test_a_wrong_layer_that_stands_first_is_found_by_its_inputs():
    net = fnn.Network([WrongInput(), fnn.Dense(2)], input_shape=4, seed=0)
    check = net.gradient_check(X, Y)
    assert check.worst.name == "X" and check.suspect == "layers.0 (WrongInput)"


def test_one_of_two_layers_of_ones_own():
    """The second hands on a wrong gradient, so that the first cannot be told from it; a right one behind both can."""
    net = network(Gate(), WrongInput(), Gate())
    assert net.gradient_check(X, Y).suspect == "layers.1 (Gate) or layers.2 (WrongInput)"


def test_a_wrong_loss_is_named():
    def loss(y, p):
        return ((p - y) ** 2).mean(), 2 * (p - y) / len(p)

    assert network(loss=loss).gradient_check(X, Y).suspect == "the loss"


def test_relu_may_bend_in_between():
    """At w = 0 +- 5e-6 the difference of step 1e-5 sees both sides of the kink; the closer look does not."""
    net = fnn.Network([fnn.Dense(1, "relu", use_bias=False, weight_init=[[5e-6]])], input_shape=1, dtype="float64")
    check = net.gradient_check([[1.0]], [[1.0]])
    assert check.ok and check.parameters["layers.0.weight"].difference == pytest.approx(-2.0, rel=1e-4)
    assert not net.gradient_check([[1.0]], [[1.0]], epsilon=1e-2).ok


def test_dropout_draws_the_same_masks_on_both_sides():
    net = network(fnn.Dropout(0.5), Gate(), fnn.Dropout(0.3))
    assert net.gradient_check(X, Y, samples=None).ok
    net.fit(X, Y, epochs=3)
    assert net.gradient_check(X, Y, samples=None).ok


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_network_is_not_changed(dtype):
    net = network(fnn.BatchNorm(), Gate(), dtype=dtype)
    net.fit(X, Y, epochs=2)
    again = network(fnn.BatchNorm(), Gate(), dtype=dtype)
    again.fit(X, Y, epochs=2)
    given = X.copy()
    before, grads = net._snapshot(), net.grads.copy()
    assert net.gradient_check(given, Y).ok
    assert np.array_equal(given, X) and np.array_equal(grads, net.grads)
    for old, new in zip(before, net._snapshot(), strict=True):
        assert np.array_equal(old, new)
    assert net.fit(X, Y, epochs=2)["loss"] == again.fit(X, Y, epochs=2)["loss"]


def test_a_network_without_parameters_gets_none():
    net = fnn.Network([fnn.Dense(3, "tanh"), fnn.Dense(2)], seed=0)
    assert net.gradient_check(X, Y).ok
    with pytest.raises(fnn.NotFittedError):
        net.params  # noqa: B018


def test_how_many_elements_are_looked_at():
    net = network()
    check = net.gradient_check(X, Y, samples=5)
    assert {name: one.checked for name, one in check.parameters.items()} == {
        "X": 5, "layers.0.weight": 5, "layers.0.bias": 3, "layers.1.weight": 5, "layers.1.bias": 2,
    }  # fmt: skip
    everything = net.gradient_check(X, Y, samples=None)
    assert [one.checked for one in everything.parameters.values()] == [32, 12, 3, 6, 2]


def test_weights_penalties_and_several_outputs_take_part():
    a, b = fnn.Input(4), fnn.Input(2)
    h = fnn.Dense(3, "gelu", l1=0.01, l2=0.1)(fnn.Concat()([a, b]))
    net = fnn.Network(
        inputs=[a, b], outputs=[fnn.Dense(2)(h), fnn.Dense(3, "softmax")(h)], loss=["huber", "cross_entropy"], seed=0
    )
    check = net.gradient_check([X, Y], [Y, np.arange(8) % 3], sample_weight=np.arange(1.0, 9.0))
    assert check.ok and {"X[0]", "X[1]"} <= set(check.parameters)


def test_what_is_refused():
    net = network()
    with pytest.raises(ValueError, match="epsilon"):
        net.gradient_check(X, Y, epsilon=0)
    with pytest.raises(ValueError, match="samples"):
        net.gradient_check(X, Y, samples=0)
    with pytest.raises(fnn.ShapeError):
        net.gradient_check(X[:, :3], Y)
    with pytest.raises(ValueError, match="trains on 2 values"):
        network(fnn.BatchNorm()).gradient_check(X[:1], Y[:1])
