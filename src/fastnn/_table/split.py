"""Rows set aside for validation, alike to the others: every class, or every range of an amount, in proportion."""

import numpy as np


def split(order, kept, share, seed):
    """(training rows, validation rows), each in rising order.

    order: (n,), by which both parts are to be alike. kept: rows that are never set aside. share: of the validation, in
    (0, 1). Rows are sorted by `order`, equal ones by chance, and taken at even distances (systematic sampling), so that
    the parts of all classes are right to one row at once.

    >>> train, validation = split(np.array([0, 0, 1, 1, 0, 0, 1, 1]), [], 0.5, seed=0)
    >>> len(train), np.bincount(np.array([0, 0, 1, 1, 0, 0, 1, 1])[validation]).tolist()
    (4, [2, 2])
    """
    random = np.random.default_rng(seed)
    n = len(order)
    shuffled = random.permutation(n)
    rows = shuffled[np.argsort(order[shuffled], kind="stable")]
    steps = np.floor(np.arange(n + 1) * share + random.random())
    aside = np.zeros(n, dtype=bool)
    aside[rows[np.diff(steps) > 0]] = True
    aside[kept] = False
    return np.flatnonzero(~aside), np.flatnonzero(aside)
