"""Small data sets that come with the package, each as a pair of arrays (X, y).

They are here so that the demos, the examples and the tests need no network. Nothing is scaled or shuffled: preparing
the data is part of what the demos show. README.md beside this file says where each set comes from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_celsius", "load_digits", "load_vending"]


def load_celsius() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return twelve temperatures in Celsius and in Fahrenheit: y = 1.8 x + 32, without noise.

    Returns
    -------
    X : float64 array of shape (12, 1), degrees Celsius from -40 to 100
    y : float64 array of shape (12,), degrees Fahrenheit

    >>> X, y = load_celsius()
    >>> X[4, 0], y[4]
    (np.float64(0.0), np.float64(32.0))
    """
    return _table("celsius.csv")


def load_vending() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return fifty days at a museum's bottle machine. The table is made up.

    Returns
    -------
    X : float64 array of shape (50, 2): visitors, and the temperature outside in degrees Celsius
    y : float64 array of shape (50,), bottles sold

    >>> X, y = load_vending()
    >>> X[:2].tolist(), y[:2].tolist()
    ([[105.0, 9.5], [90.0, 17.5]], [21.0, 21.0])
    """
    return _table("vending.csv")


def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return 1797 handwritten digits as 8 x 8 images, flattened.

    The test part of the "Optical Recognition of Handwritten Digits" of E. Alpaydin and C. Kaynak (1998), UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0; the same samples in the same order as
    ``sklearn.datasets.load_digits``.

    Returns
    -------
    X : float32 array of shape (1797, 64): ink from 0 (none) to 16, whole numbers; row by row, so
        ``X.reshape(-1, 8, 8)`` are the images
    y : int64 array of shape (1797,), the digit 0 to 9

    >>> X, y = load_digits()
    >>> X.shape, X.max().item(), y[:10].tolist()
    ((1797, 64), 16.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    with np.load(_path("digits.npz")) as arrays:
        return arrays["images"].astype(np.float32), arrays["labels"].astype(np.int64)


def _path(name):
    # not importlib.resources: importing it would take longer than the rest of the package
    return os.path.join(os.path.dirname(__file__), name)


def _table(name):
    """A CSV file with a header and the target in its last column."""
    table = np.loadtxt(_path(name), delimiter=",", skiprows=1, ndmin=2)
    return np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()
