"""Single arguments: which values each check takes, as what, and what it says of the others."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from fastnn._data import (
    boolean,
    finite,
    fraction,
    non_negative,
    non_negative_int,
    positive,
    positive_int,
    sample_shape,
)
from fastnn.errors import ShapeError

ODD = [True, np.True_, "3", b"3", None, [3], (3,), {}, 1j, object(), np.array([1, 2]), Decimal(3), Fraction(3)]


def identity(value):
    """Test ids; an integer of thousands of digits cannot be printed."""
    return "huge" if isinstance(value, int) and value.bit_length() > 64 else repr(value)[:30]


@pytest.mark.parametrize("value", [1, np.int8(3), np.uint64(3), np.int64(2**62), np.array(3), 2**63 - 1], ids=identity)
@pytest.mark.parametrize("check", [positive_int, non_negative_int])
def test_integers_become_int(check, value):
    assert check(value, "units") == int(value) and type(check(value, "units")) is int


@pytest.mark.parametrize("value", [*ODD, 1.5, 2.0, np.float32(2), math.nan, math.inf], ids=identity)
@pytest.mark.parametrize("check, kind", [
    (positive_int, "a positive integer"), (non_negative_int, "an integer not below 0"),
])  # fmt: skip
def test_what_is_no_integer_is_a_type_error(check, kind, value):
    with pytest.raises(TypeError) as caught:
        check(value, "units")
    given = "None" if value is None else type(value).__name__
    assert str(caught.value).startswith(f"units must be {kind}, got {given}")


@pytest.mark.parametrize("check, value, message", [
    (positive_int, 0, "units must be a positive integer, got 0"),
    (positive_int, -1, "units must be a positive integer, got -1"),
    (positive_int, np.int32(-7), "units must be a positive integer, got -7"),
    (non_negative_int, -1, "units must be an integer not below 0, got -1"),
    (positive_int, 2**63, "units must be a positive integer below 2**63, got a number of 64 bits"),
    (positive_int, -(10**5000), "units must be a positive integer below 2**63, got a number of 16610 bits"),
], ids=identity)  # fmt: skip
def test_integers_out_of_range(check, value, message):
    with pytest.raises(ValueError) as caught:
        check(value, "units")
    assert str(caught.value) == message


REALS = {
    positive: ("a positive number", [1e-300, 0.5, 7, np.float32(0.5), np.int64(3), 1e300], [0, -0.0, -1e-9, -3]),
    non_negative: ("a number not below 0", [0, 0.0, 0.5, np.float16(2)], [-1e-9, -3, np.float32(-1)]),
    fraction: ("a number from 0 to below 1", [0, 0.0, 0.5, np.float64(0.999)], [1, 1.0, -1e-9, 1.5, 3]),
    finite: ("a finite number", [0, -3, 1e300, np.float32(-0.5)], []),
}


@pytest.mark.parametrize("check, value", [(check, value) for check in REALS for value in REALS[check][1]])
def test_reals_become_float(check, value):
    assert check(value, "rate") == value and type(check(value, "rate")) is float


NOT_FINITE = [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400]


REFUSED = [(check, value) for check in REALS for value in [*REALS[check][2], *NOT_FINITE]]


@pytest.mark.parametrize("check, value", REFUSED, ids=identity)
def test_reals_out_of_range(check, value):
    with pytest.raises(ValueError) as caught:
        check(value, "rate")
    assert str(caught.value).startswith(f"rate must be {REALS[check][0]}, got ")


@pytest.mark.parametrize("check", REALS)
@pytest.mark.parametrize("value", ODD, ids=identity)
def test_what_is_no_real_is_a_type_error(check, value):
    with pytest.raises(TypeError) as caught:
        check(value, "rate")
    given = "None" if value is None else type(value).__name__
    assert str(caught.value).startswith(f"rate must be {REALS[check][0]}, got {given}")


def test_booleans():
    assert [boolean(v, "shuffle") for v in (True, False, np.True_, np.False_)] == [True, False, True, False]
    assert all(type(boolean(v, "shuffle")) is bool for v in (True, np.True_))
    for value in (0, 1, "yes", None, [], np.array([True])):
        with pytest.raises(TypeError, match="shuffle must be True or False, got "):
            boolean(value, "shuffle")


@pytest.mark.parametrize("value, shape", [
    (4, (4,)), (np.int64(4), (4,)), ((4,), (4,)), ([28, 28, 1], (28, 28, 1)), ((2**31, 2**31), (2**31, 2**31)),
])  # fmt: skip
def test_sample_shapes(value, shape):
    assert sample_shape(value, "input_shape") == shape


@pytest.mark.parametrize("value, error, message", [
    ((), ShapeError, "input_shape must have at least one axis, got ()"),
    (0, ValueError, "input_shape must be a positive integer, got 0"),
    ((28, -1), ValueError, "each size in input_shape must be a positive integer, got -1"),
    ((28, None), TypeError, "each size in input_shape must be a positive integer, got None"),
    (1.5, TypeError, "input_shape must be a positive integer, got float 1.5"),
    ("28", TypeError, "input_shape must be a positive integer, got str '28'"),
    ((2**32, 2**31), ValueError, "input_shape has more elements than memory can have: (4294967296, 2147483648)"),
])  # fmt: skip
def test_sample_shapes_that_are_refused(value, error, message):
    with pytest.raises(error) as caught:
        sample_shape(value, "input_shape")
    assert type(caught.value) is error and str(caught.value) == message
