"""How parameters start: a function of shape, dtype and key alone, so that a seed means the same network everywhere.

All random numbers come from the counter-based generator of the kernels; NumPy's random state is neither used nor
changed. Which initializer suits which activation is answered here too (`default_for`), beside the reasons.
"""

import math
from typing import Any

import numpy as np

from ._arrays import numbers
from ._config import Configured
from ._core.kernels import random_normal, random_uniform
from ._data import finite, non_negative, weight
from .errors import ShapeError


class Initializer(Configured, family="initializer"):
    """The start of a parameter: `initializer(shape, dtype, key)` returns a new C-contiguous array.

    Arguments of the call:
        shape: (in, out) for dense weights, (kh, kw, in, out) for convolution, (n,) for biases.
        dtype: the NumPy dtype of the network, float32 or float64.
        key: (seed, stream), two integers that alone determine the random numbers.

    In place of an initializer a layer also takes its name, an array of the parameter's shape, or a function from the
    shape to such an array.

    >>> Initializer.get("zeros")((3,), np.dtype("float32"), (0, 0))
    array([0., 0., 0.], dtype=float32)
    """

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} does not say how it makes values")

    @classmethod
    def from_other(cls, spec):
        if isinstance(spec, (np.ndarray, list, tuple)):
            return FromArray(spec)
        if callable(spec):
            return FromFunction(spec)
        return super().from_other(spec)


def fans(shape):
    """How many inputs each output sums, and how many outputs each input feeds: (fan_in, fan_out).

    The axes before the last two are the receptive field of a convolution and count on both sides.

    >>> fans((64, 32)), fans((3, 3, 16, 32))
    ((64, 32), (144, 288))
    """
    if len(shape) == 1:
        return shape[0], shape[0]
    *field, fan_in, fan_out = shape
    size = math.prod(field)
    return size * fan_in, size * fan_out


class _VarianceScaling(Initializer):
    """Independent numbers with mean 0 and variance gain / fan, uniform or normal."""

    gain = 1.0

    @staticmethod
    def fan(fan_in, fan_out):
        return fan_in

    def deviation(self, shape):
        return math.sqrt(self.gain / self.fan(*fans(shape)))


class _ScaledUniform(_VarianceScaling):
    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        limit = math.sqrt(3.0) * self.deviation(shape)  # uniform on [-a, a] has variance a^2 / 3
        return random_uniform(shape, -limit, limit, *key, dtype)


class _ScaledNormal(_VarianceScaling):
    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return random_normal(shape, 0.0, self.deviation(shape), *key, dtype)


class _Average:
    """Both directions in one number: the variance of values and of gradients is kept as well as one number can."""

    @staticmethod
    def fan(fan_in, fan_out):
        return (fan_in + fan_out) / 2


class GlorotUniform(_Average, _ScaledUniform):
    """Uniform on [-a, a) with a = sqrt(6 / (fan_in + fan_out)): for tanh, sigmoid and linear units.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.

    >>> w = GlorotUniform()((4, 2), np.dtype("float64"), (0, 0))
    >>> w.shape, bool(abs(w).max() < 1)
    ((4, 2), True)
    """

    name = "glorot_uniform"


class GlorotNormal(_Average, _ScaledNormal):
    """Normal with variance 2 / (fan_in + fan_out), not truncated. Glorot and Bengio 2010."""

    name = "glorot_normal"


class HeUniform(_ScaledUniform):
    """Uniform on [-a, a) with a = sqrt(6 / fan_in): for relu, which passes half of the variance.

    He et al., Delving deep into rectifiers, 2015.
    """

    name, gain = "he_uniform", 2.0


class HeNormal(_ScaledNormal):
    """Normal with variance 2 / fan_in, not truncated. He et al. 2015."""

    name, gain = "he_normal", 2.0


class LecunNormal(_ScaledNormal):
    """Normal with variance 1 / fan_in, not truncated: what the fixed point of selu is derived for.

    LeCun et al., Efficient BackProp, 1998; Klambauer et al., Self-normalizing neural networks, 2017.
    """

    name = "lecun_normal"


class Orthogonal(Initializer):
    """A matrix whose columns (or rows, where these are fewer) are orthogonal and of length `gain`.

    The Q of the QR decomposition of a normal matrix with the signs of R's diagonal, which makes it uniform over all
    such matrices; all axes but the last are its rows. Saxe et al., Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks, 2014.

    Arguments:
        gain: the length of the columns.

    >>> q = Orthogonal()((4, 3), np.dtype("float64"), (0, 0))
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """

    name = "orthogonal"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = finite(gain, "gain")

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal needs a matrix, got the shape {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        # Always float64: the decomposition of a float32 matrix would be orthogonal to its rounding only.
        tall = random_normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, *key, np.dtype(np.float64))
        q, r = np.linalg.qr(tall)
        q *= np.where(np.diagonal(r) < 0, -self.gain, self.gain)
        return np.ascontiguousarray(q if rows >= columns else q.T, dtype=dtype).reshape(shape)


class Constant(Initializer):
    """Every element is `value`."""

    name = "constant"

    def __init__(self, value: float) -> None:
        self.value = finite(value, "value")

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return np.full(shape, self.value, dtype)


class Zeros(Initializer):
    """Every element is 0: the usual start of biases."""

    name = "zeros"

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """Every element is 1: the usual start of scales."""

    name = "ones"

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return np.ones(shape, dtype)


class Normal(Initializer):
    """Normal with this mean and standard deviation."""

    name = "normal"

    def __init__(self, mean: float = 0.0, deviation: float = 0.05) -> None:
        self.mean = finite(mean, "mean")
        self.deviation = non_negative(deviation, "deviation")

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return random_normal(shape, self.mean, self.deviation, *key, dtype)


class Uniform(Initializer):
    """Uniform on [low, high)."""

    name = "uniform"

    def __init__(self, low: float = -0.05, high: float = 0.05) -> None:
        self.low, self.high = finite(low, "low"), finite(high, "high")
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {low} and {high}")

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return random_uniform(shape, self.low, self.high, *key, dtype)


class FromArray(Initializer):
    """The values of a given array, whose shape must be the parameter's."""

    def __init__(self, values):
        self.values = np.array(numbers(values, "the initial array"))  # the caller's array may change later

    @classmethod
    def from_config(cls, config):
        """Takes the array over instead of copying it: what is loaded must not need its memory twice."""
        made = cls(())
        made.values = numbers(config["values"], "the initial array")
        return made

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        return np.array(weight(self.values, shape, dtype, name="the initial array"))

    def __eq__(self, other):
        return type(self) is type(other) and np.array_equal(self.values, other.values)

    __hash__ = object.__hash__


class FromFunction(Initializer):
    """What `function(shape)` returns, an array of that shape."""

    def __init__(self, function):
        self.function = function

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any], key: tuple[int, int]) -> np.ndarray[Any, Any]:
        name = getattr(self.function, "__name__", "the initializer")
        return np.array(weight(self.function(tuple(shape)), shape, dtype, name=f"the array from {name}"))


# Relu and its smooth relatives pass about half of the variance (0.5 for relu, 0.46 for gelu, 0.38 for silu, 0.29 for
# softplus, 0.67 for elu: the mean of f'(x)^2 for normal x), which the gain of 2 makes up for. Uniform, not normal: no
# single weight starts far out, which matters in the small layers that are common here.
_HALF_PASSED = frozenset({"relu", "leaky_relu", "elu", "gelu", "silu", "softplus"})


def default_for(activation):
    """The initializer for weights that lead to this activation, by its name.

    >>> default_for("relu"), default_for("selu"), default_for("tanh")
    (HeUniform(), LecunNormal(), GlorotUniform())
    """
    if activation in _HALF_PASSED:
        return HeUniform()
    return LecunNormal() if activation == "selu" else GlorotUniform()
