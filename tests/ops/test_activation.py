"""Activations over the whole range of numbers, with their derivatives; fused with a dense layer and alone."""

import numpy as np
import pytest
import reference

import fastnn as fnn
from fastnn._core import kernels

NAMES = [name for name in reference.ACTIVATIONS if name != "linear"]

# Around zero, through the usual range, into the tails; 745 and 88 are where exp of float64 and float32 underflows.
POINTS = np.concatenate(
    [
        np.linspace(-8, 8, 201),
        [s * x for x in (1e-300, 1e-40, 1e-8, 1e-3, 19.0, 37.0, 88.8, 104.0, 709.8, 746.0, 1e4, 1e30) for s in (-1, 1)],
    ]
)

UNIT = {"float32": 2.0**-23, "float64": 2.0**-52}  # in the last place of 1


def points(dtype, name):
    largest = 1e30 if dtype == "float64" else 1e18
    end = np.log(np.finfo(dtype).max) if name == "exponential" else largest  # above, it is infinite
    return POINTS[(np.abs(POINTS) <= largest) & (end >= POINTS)].astype(dtype)


def as_taken(x):
    """x in float64, as programs take it: denormals are zero."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, 0.0, x.astype(np.float64))


def total(y, p):
    """A loss whose gradient is 1 for every output."""
    return float(p.sum()), np.ones_like(p)


def one_unit(name, dtype, fused):
    """f(x) of one feature, with weight 1 and bias 0."""
    layers = [fnn.Dense(1, name)] if fused else [fnn.Reshape((1, 1)), fnn.Dense(1), fnn.Activation(name), fnn.Flatten()]
    net = fnn.Network(layers, loss=total, dtype=dtype, input_shape=1)
    net.params[:] = [1.0, 0.0]
    return net


def assert_within(bounds, x, got, expected):
    wrong = ~(np.abs(got - expected) <= bounds)
    assert not wrong.any(), np.column_stack([x, got, expected])[wrong][:5]


def size_of_terms(name, x, y):
    """What rounding is relative to: the value, but for gelu x, since 1 + erf cancels below zero."""
    return np.maximum(np.abs(y), np.minimum(np.abs(x), 40.0) if name == "gelu" else 1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "alone"])
@pytest.mark.parametrize("name", NAMES)
def test_values(name, fused, dtype):
    """To 8 units in the last place: silu and gelu add a few roundings to a kernel's own few."""
    x = points(dtype, name)
    y = one_unit(name, dtype, fused).predict(x)[:, 0]
    wide = as_taken(x)
    expected = reference.activation_forward(name, wide)
    assert_within(8 * UNIT[dtype] * size_of_terms(name, wide, expected), wide, y, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "alone"])
@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name, fused, dtype):
    """To 8 units in the last place of 1, or of x where the derivative has x (1 - sigmoid(x)) in it.

    Some follow from the output, which is rounded: then no more can be had where the output is near 1.
    """
    net = one_unit(name, dtype, fused)
    x = points(dtype, name)
    slopes = [net.loss_and_gradients([value], [0.0])[1] for value in x]
    bias = "layers.0.bias" if fused else "layers.1.bias"
    got = np.array([slope[bias][0] for slope in slopes])
    wide = as_taken(x)
    expected = reference.activation_backward(name, 1.0, wide)
    terms = np.clip(np.abs(wide), 1.0, 40.0) if name in ("silu", "gelu") else 1.0
    assert_within(8 * UNIT[dtype] * np.maximum(np.abs(expected), terms), wide, got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponential_overflows_to_infinity(dtype):
    y = one_unit("exponential", dtype, fused=True).predict([[-1e4], [0.0], [1e4]])
    assert y[:, 0].tolist() == [0.0, 1.0, np.inf]


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu"])
def test_derivative_at_zero(name):
    """relu's is 0; the others follow the branch x <= 0."""
    expected = {"relu": 0.0, "leaky_relu": 0.01, "elu": 1.0, "selu": reference.SELU_SCALE * reference.SELU_ALPHA}
    _, gradients = one_unit(name, "float64", fused=True).loss_and_gradients([0.0], [0.0])
    assert gradients["layers.0.bias"][0] == pytest.approx(expected[name], rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [2, 3, 7, 8, 10, 16, 17, 64, 100])
def test_softmax(columns, dtype):
    """Rows sum to 1 and keep their order, however large the numbers."""
    rng = np.random.default_rng(columns)
    net = fnn.Network([fnn.Dense(columns, "softmax")], dtype=dtype, input_shape=columns)
    net.set_weights({"layers.0.weight": np.eye(columns), "layers.0.bias": np.zeros(columns)})
    for scale in (0.1, 3.0, 1e3, 1e6):
        x = (rng.standard_normal((9, columns)) * scale).astype(dtype)
        y = net.predict(x)
        expected = reference.softmax_forward(x.astype(np.float64))
        np.testing.assert_allclose(y, expected, rtol=32 * UNIT[dtype], atol=np.finfo(dtype).tiny)
        np.testing.assert_allclose(y.sum(axis=1), 1.0, rtol=8 * UNIT[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementary_functions(dtype):
    """exp, log, tanh, sigmoid and erf over random numbers of all sizes: 4 units in the last place."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(20_000) * 10.0 ** rng.integers(-6, 2, 20_000)).astype(dtype)
    wide = x.astype(np.float64)
    few = 4 * np.finfo(dtype).eps
    inside = np.abs(wide) < (700 if dtype == "float64" else 80)
    for name, f, where in [
        ("exp", np.exp, inside),
        ("log", np.log, x > 0),
        ("tanh", np.tanh, slice(None)),
        ("sigmoid", reference.sigmoid, inside),
        ("erf", reference._erf, slice(None)),
    ]:
        chosen = np.ascontiguousarray(x[where])
        expected = f(wide[where])
        absolute = few if name == "log" else 0  # log crosses zero at 1, where the argument's own rounding rules
        np.testing.assert_allclose(kernels.apply(name, chosen), expected, rtol=few, atol=absolute * 1e-3, err_msg=name)


def test_a_pair_of_functions():
    """Python functions take part as named activations do."""
    ours = fnn.Network(
        [fnn.Dense(5, (np.tanh, lambda x: 1 - np.tanh(x) ** 2)), fnn.Dense(2)], input_shape=3, dtype="float64", seed=4
    )
    named = fnn.Network([fnn.Dense(5, "tanh"), fnn.Dense(2)], input_shape=3, dtype="float64", seed=4)
    named.set_weights(ours.get_weights())
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    for net in (ours, named):
        net.fit(X, y, epochs=3, batch_size=6, shuffle=False, verbose=0)
    np.testing.assert_allclose(ours.params, named.params, rtol=1e-10, atol=1e-12)
