"""The bundled data sets: shapes, types, ranges and the figures that are promised of them."""

import doctest

import numpy as np
import pytest

from fastnn import datasets


@pytest.mark.parametrize(
    "load, x_shape, x_dtype, y_dtype",
    [
        (datasets.load_celsius, (12, 1), np.float64, np.float64),
        (datasets.load_vending, (50, 2), np.float64, np.float64),
        (datasets.load_digits, (1797, 64), np.float32, np.int64),
    ],
)
def test_arrays_are_as_documented(load, x_shape, x_dtype, y_dtype):
    X, y = load()
    assert X.shape == x_shape and X.dtype == x_dtype
    assert y.shape == x_shape[:1] and y.dtype == y_dtype
    for array in (X, y):
        assert array.flags.c_contiguous and array.flags.owndata and array.flags.writeable


def test_each_call_gives_arrays_of_its_own():
    first, _ = datasets.load_digits()
    first[:] = -1
    second, _ = datasets.load_digits()
    assert second.min() == 0


def test_examples_in_the_docstrings():
    failed, attempted = doctest.testmod(datasets)
    assert attempted >= 6 and failed == 0


def test_celsius_is_exact():
    X, y = datasets.load_celsius()
    assert np.abs(1.8 * X[:, 0] + 32 - y).max() < 1e-12
    assert X.min() == -40 and X.max() == 100


def test_vending_has_the_promised_errors():
    X, y = datasets.load_vending()
    visitors = X[:, 0]

    def error(weight):
        return np.mean((weight * visitors - y) ** 2)

    assert [round(error(w), 2) for w in (0.49, 0.50, 0.51)] == [621.41, 671.58, 723.72]
    grid = np.round(np.arange(0, 1, 0.01), 2)
    assert grid[np.argmin([error(w) for w in grid])] == 0.24
    assert round(visitors @ y / (visitors @ visitors), 5) == 0.23945


def test_digits_are_whole_numbers_and_balanced():
    X, y = datasets.load_digits()
    assert set(np.unique(X)) == set(range(17))
    assert set(np.unique(y)) == set(range(10))
    assert np.bincount(y).min() == 174 and np.bincount(y).max() == 183


def test_digits_equal_scikit_learns():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    X, y = datasets.load_digits()
    assert np.array_equal(X, images) and np.array_equal(y, labels)
