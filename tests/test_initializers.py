"""Initializers: distributions, fans, determinism, and what they refuse."""

import doctest
import math

import numpy as np
import pytest

from fastnn import initializers
from fastnn.errors import ShapeError
from fastnn.initializers import (
    Constant,
    FromArray,
    FromFunction,
    GlorotUniform,
    HeUniform,
    Initializer,
    LecunNormal,
    Normal,
    Orthogonal,
    Uniform,
    default_for,
    fans,
)

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
KEY = (7, 3)
SCALED = ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal"]
RANDOM = [*SCALED, "orthogonal", "normal", "uniform"]
FIXED = ["zeros", "ones"]


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(initializers)
    assert attempted >= 7 and failed == 0


def test_the_names_are_the_promised_ones():
    assert set(Initializer.known) == {*RANDOM, *FIXED, "constant"}


@pytest.mark.parametrize("shape, expected", [
    ((64, 32), (64, 32)), ((3, 3, 16, 32), (144, 288)), ((5, 16, 32), (80, 160)), ((10,), (10, 10)), ((1, 1), (1, 1)),
])  # fmt: skip
def test_fans(shape, expected):
    assert fans(shape) == expected


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (1, 1), (3, 3, 2, 5)], ids=str)
@pytest.mark.parametrize("spec", [*RANDOM, *FIXED, Constant(2.5)], ids=str)
def test_each_gives_a_new_array_of_shape_and_dtype(spec, shape, dtype):
    initializer = Initializer.get(spec)
    values = initializer(shape, dtype, KEY)
    assert type(values) is np.ndarray and values.shape == shape and values.dtype == dtype
    assert values.flags.c_contiguous and values.flags.writeable and np.isfinite(values).all()
    again = initializer(shape, dtype, KEY)
    assert again is not values and again.tobytes() == values.tobytes()


@pytest.mark.parametrize("name", RANDOM)
def test_seed_and_stream_choose_the_numbers(name):
    initializer = Initializer.get(name)
    drawn = {initializer((4, 3), F64, key).tobytes() for key in [(7, 3), (8, 3), (7, 4), (2**64 - 1, 2**63)]}
    assert len(drawn) == 4


SHAPE = (400, 200)
CONVOLUTION = (3, 3, 50, 100)
EXPECTED = [  # name, shape, standard deviation, largest value where it is bounded
    ("glorot_uniform", SHAPE, math.sqrt(2 / 600), math.sqrt(6 / 600)),
    ("glorot_normal", SHAPE, math.sqrt(2 / 600), None),
    ("he_uniform", SHAPE, math.sqrt(2 / 400), math.sqrt(6 / 400)),
    ("he_normal", SHAPE, math.sqrt(2 / 400), None),
    ("lecun_normal", SHAPE, math.sqrt(1 / 400), None),
    ("normal", SHAPE, 0.05, None),
    ("uniform", SHAPE, 0.05 / math.sqrt(3), 0.05),
    (Normal(mean=0.0, deviation=2.0), SHAPE, 2.0, None),
    (Uniform(low=-3, high=3), SHAPE, math.sqrt(3), 3),
    ("glorot_uniform", CONVOLUTION, math.sqrt(2 / 1350), math.sqrt(6 / 1350)),
    ("he_normal", CONVOLUTION, math.sqrt(2 / 450), None),
    ("lecun_normal", CONVOLUTION, math.sqrt(1 / 450), None),
]


@pytest.mark.parametrize("spec, shape, deviation, bound", EXPECTED, ids=str)
def test_mean_and_deviation_are_the_formulas(spec, shape, deviation, bound):
    values = Initializer.get(spec)(shape, F64, KEY)
    n = values.size
    assert abs(values.mean()) < 5 * deviation / math.sqrt(n)  # five standard errors
    assert abs(values.std() / deviation - 1) < 5 / math.sqrt(2 * n)
    if bound:  # n uniform numbers come within 20 / n of their bound, but for one case in e^-20
        assert bound * (1 - 20 / n) < abs(values).max() <= bound
    else:
        assert abs(values).max() > 3.5 * deviation  # not truncated


def test_normal_and_uniform_take_their_arguments():
    values = Normal(mean=10.0, deviation=0.1)((50, 50), F64, KEY)
    assert abs(values.mean() - 10) < 0.01
    values = Uniform(low=2, high=3)((50, 50), F32, KEY)
    assert values.min() >= 2 and values.max() < 3
    assert (Normal(mean=4.0, deviation=0.0)((5,), F64, KEY) == 4).all()
    assert (Constant(-1.5)((2, 2), F32, KEY) == -1.5).all()


@pytest.mark.parametrize("dtype, tolerance", [(F32, 1e-6), (F64, 1e-14)], ids=str)
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (1, 4), (3, 3, 2, 5), (3, 3, 2, 40)], ids=str)
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthogonal_matrices(shape, gain, dtype, tolerance):
    matrix = Orthogonal(gain)(shape, dtype, KEY).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=4 * gain**2 * tolerance)


def test_orthogonal_matrices_have_no_preferred_sign():
    signs = [np.sign(Orthogonal()((3, 3), F64, (seed, 0))[0, 0]) for seed in range(100)]
    assert 30 <= signs.count(1.0) <= 70


def test_a_vector_cannot_be_orthogonal():
    with pytest.raises(ShapeError, match=r"orthogonal needs a matrix, got the shape \(3,\)"):
        Orthogonal()((3,), F64, KEY)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_arrays_and_functions_are_initializers(dtype):
    given = np.array([[1.0, 2.0], [3.0, 4.0]])
    initializer = Initializer.get(given)
    given[0, 0] = 99  # the initializer has a copy
    assert initializer((2, 2), dtype, KEY).dtype == dtype
    assert initializer((2, 2), dtype, KEY).tolist() == [[1, 2], [3, 4]]
    initializer((2, 2), dtype, KEY)[:] = 0
    assert initializer((2, 2), dtype, KEY).tolist() == [[1, 2], [3, 4]]
    assert Initializer.get([1, 2])((2,), dtype, KEY).tolist() == [1, 2]
    assert Initializer.get(np.eye)  # any callable
    assert Initializer.get(lambda shape: np.full(shape, 0.5))((2, 1), dtype, KEY).tolist() == [[0.5], [0.5]]


def wrong_shape(shape):
    return np.zeros(3)


@pytest.mark.parametrize("make, error, message", [
    (lambda: Initializer.get(np.zeros(3))((2, 2), F32, KEY), ShapeError, "initial array has shape (2, 2), got (3,)"),
    (lambda: Initializer.get([1.0, np.nan])((2,), F32, KEY), ValueError, "the initial array holds NaN at row 1"),
    (lambda: Initializer.get(["a"]), TypeError, "the initial array holds str 'a' at row 0"),
    (lambda: Initializer.get(wrong_shape)((2, 2), F32, KEY), ShapeError, "from wrong_shape has shape (2, 2), got (3,)"),
    (lambda: Initializer.get("he_unifrom"), ValueError, "unknown initializer 'he_unifrom'; did you mean 'he_uniform'?"),
    (lambda: Initializer.get(3), TypeError, "initializer: expected a name or a Initializer, got int"),
    (lambda: Uniform(1, 0), ValueError, "low must not be above high, got 1 and 0"),
    (lambda: Normal(deviation=-1), ValueError, "deviation must be a number not below 0, got -1"),
    (lambda: Constant("1"), TypeError, "value must be a finite number, got str '1'"),
    (lambda: Orthogonal(gain=math.nan), ValueError, "gain must be a finite number, got nan"),
])  # fmt: skip
def test_what_is_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("initializer", [
    *map(Initializer.get, [*RANDOM, *FIXED]), Constant(3.0), Normal(1, 2), Uniform(-1, 2), Orthogonal(2),
    FromArray([[1.0]]), FromFunction(wrong_shape),
], ids=repr)  # fmt: skip
def test_each_is_rebuilt_from_its_configuration(initializer):
    again = type(initializer).from_config(initializer.config())
    assert again == initializer and repr(again) == repr(initializer)
    assert again != Constant(4.0)


@pytest.mark.parametrize("activation, expected", [
    *((name, HeUniform) for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")),
    *((name, GlorotUniform) for name in ("linear", "tanh", "sigmoid", "softmax", None, (abs, abs))),
    ("selu", LecunNormal),
])  # fmt: skip
def test_the_default_follows_the_activation(activation, expected):
    assert default_for(activation) == expected()


ERF = np.vectorize(math.erf)
FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
}


def gains_over_ten_layers(function, initializer):
    """By what a normal signal grows on its way forward, and a normal gradient on its way back."""
    signal = Normal(0.0, 1.0)((32, 100), F64, (1, 0))
    gradient = Normal(0.0, 1.0)((32, 100), F64, (1, 1))
    steps = []
    for layer in range(10):
        weight = initializer((100, 100), F64, (2, layer))
        z = signal @ weight
        steps.append((weight, (function(z + 1e-5) - function(z - 1e-5)) / 2e-5))
        signal = function(z)
    for weight, slope in reversed(steps):
        gradient = (gradient * slope) @ weight.T
    return math.sqrt((signal**2).mean()), math.sqrt((gradient**2).mean())


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_the_default_keeps_gradients_better_than_glorot_does(activation):
    forward, backward = gains_over_ten_layers(FUNCTIONS[activation], default_for(activation))
    _, backward_glorot = gains_over_ten_layers(FUNCTIONS[activation], GlorotUniform())
    assert 0.05 < forward < 20 and 0.05 < backward < 20
    assert abs(math.log(backward)) < abs(math.log(backward_glorot))
