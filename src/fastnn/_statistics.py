"""What layers learn of data before a network is trained on them: means and deviations, categories.

A learner looks at rows (n, features) part by part, in any number of parts, and says in the end what the state of its
layer is to be, by role. All sums are float64, and a part's are taken around its own mean, so that neither many rows nor
a mean far from 0 costs digits; medians alone need all values at once. Knows nothing of layers or graphs.
"""

import numpy as np


class Moments:
    """The mean and the deviation of each feature, of the values that are not NaN; and the median, if asked for.

    Parts are merged by Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample
    variances". The deviation is the root of the variance divided by n, and 1 for features that are constant to
    rounding: scikit-learn's StandardScaler.
    """

    def __init__(self, where, missing, median=False):
        self.where, self.missing = where, missing
        self.parts = [] if median else None  # copies of all rows
        self.count = self.mean = self.squares = 0.0

    @staticmethod
    def is_learned(state) -> bool:
        """Whether the state, arrays by role, is more than what it starts with."""
        return bool((state["deviation"] > 0).all())

    def add(self, rows):
        """One more part."""
        x = rows.astype(np.float64)
        there = ~np.isnan(x)
        count = there.sum(axis=0, dtype=np.float64)
        if not self.missing and not there.all():
            feature = int(np.argmin(there.all(axis=0)))
            fix = 'missing="mean", "median" or a number fills it'
            raise ValueError(f"{self.where}: feature {feature} holds NaN; {fix}")
        least = np.maximum(count, 1)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported at the end
            mean = np.where(there, x, 0).sum(axis=0) / least
            x = np.where(there, x - mean, 0)
            rest = x.sum(axis=0) / least  # what rounding left of the mean
            squares = (x * x).sum(axis=0) - count * rest * rest
            mean += rest
            total = np.maximum(self.count + count, 1)
            apart = mean - self.mean
            self.squares = self.squares + squares + apart * apart * self.count * count / total
            self.mean = self.mean + apart * count / total
        self.count = self.count + count
        if self.parts is not None:
            self.parts.append(rows.copy())

    def result(self, dtype):
        """{"mean": ..., "deviation": ...}, float64 numbers that `dtype` can hold; and "median", if asked for."""
        if not self.count.all():
            feature = int(np.argmin(self.count))
            raise ValueError(f"{self.where}: feature {feature} is missing in all samples; leave it out")
        variance = self.squares / self.count
        eps, info = np.finfo(np.float64).eps, np.finfo(dtype)
        constant = variance <= self.count * eps * variance + (self.count * self.mean * eps) ** 2
        deviation = np.sqrt(variance)
        good = np.isfinite(self.mean) & (deviation <= info.max)
        if not good.all():
            feature = int(np.argmin(good))
            raise ValueError(f"{self.where}: the values of feature {feature} lie too far apart for {dtype}; scale them")
        # Below this the engine, which takes denormals for 0, could not divide by it.
        constant |= deviation < 4 * info.tiny
        found = {"mean": self.mean, "deviation": np.where(constant, 1.0, deviation)}
        if self.parts is not None:
            columns = np.concatenate(self.parts).T
            found["median"] = np.array([np.median(x[~np.isnan(x)].astype(np.float64)) for x in columns])
        return found


class Categories:
    """The different values in each of some columns, in ascending order, NaN left out."""

    def __init__(self, where, columns, missing):
        self.where, self.columns, self.missing = where, columns, missing
        self.seen = [np.empty(0)] * len(columns)

    @staticmethod
    def is_learned(state) -> bool:
        """Whether the state is more than what it starts with: without categories there is none."""
        return True

    def add(self, rows):
        """One more part."""
        for i, column in enumerate(self.columns):
            values = np.unique(rows[:, column])
            there = values[~np.isnan(values)]
            if not self.missing and len(there) < len(values):
                raise ValueError(f"{self.where}: column {column} holds NaN; missing=True makes that a category")
            self.seen[i] = np.union1d(self.seen[i], there)

    def result(self, dtype):
        """{"categories.0": ...} for each column."""
        for column, seen in zip(self.columns, self.seen, strict=True):
            if not len(seen):
                raise ValueError(f"{self.where}: column {column} is missing in all samples; leave it out")
        return {f"categories.{column}": seen for column, seen in zip(self.columns, self.seen, strict=True)}
