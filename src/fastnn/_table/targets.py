"""What is predicted: classes or an amount; as a network is trained on it, as people read it, and how good it is.

Figures are those of `fastnn.metrics`; the trivial answer (the most frequent class, the mean) is measured by the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import metrics
from ..errors import ModelFileError, TableError
from .features import Feature, Lookup, center_and_scale, from_config, standardized

MOST_CLASSES = 1000
_FARTHEST = 1e100  # standard deviations: squares of what is nearer are finite


@dataclass(frozen=True)
class Target:
    """Base of the kinds; `outputs` and `activation` are those of the network's last layer."""

    name: str

    def config(self):
        """The target as a dict of JSON values."""
        return {"kind": self.kind, **Feature.config(self)}


@dataclass(frozen=True)
class Classes(Target):
    """One of `values`, in order; of two the second is what the one output is the probability of."""

    kind = "classification"
    values: list[str]

    @classmethod
    def learn(cls, table, name):
        """The classes of a column that has no missing cells.

        Raises TableError for one class alone, or for texts of which nearly all differ.
        """
        codes, levels = table.columns[name].texts()
        if len(levels) < 2:
            raise TableError(
                f"{table.name}, column {name!r}: all rows are of class {levels[0]!r}, nothing to tell apart"
            )
        if len(levels) > min(MOST_CLASSES, max(2, len(codes) // 2)):
            hint = "is it the right column?" if table.columns[name].numbers is None else "say --task regression"
            message = f"{len(levels)} classes in {len(codes)} rows are too many; {hint}"
            raise TableError(f"{table.name}, column {name!r}: {message}")
        numbers = [table.number(level) for level in levels]
        in_order = (
            sorted(levels) if None in numbers else [text for _, text in sorted(zip(numbers, levels, strict=True))]
        )
        return cls(name, in_order)

    @property
    def outputs(self):
        return 1 if len(self.values) == 2 else len(self.values)

    @property
    def activation(self):
        return "sigmoid" if len(self.values) == 2 else "softmax"

    def encode(self, table):
        """Class numbers (n,), -1 for a missing cell; TableError for a class that is not known."""
        codes, levels = table.columns[self.name].texts()
        positions = [Lookup(self.values)(level) for level in levels] if len(levels) else []
        if -1 in positions:
            code = positions.index(-1)
            row = int(np.argmax(codes == code))
            raise table.cell_error(row, self.name, f"{levels[code]!r:.60} is none of the classes of training")
        return np.array([*positions, -1])[codes]

    @staticmethod
    def fitted(encoded):
        """What the network is trained on."""
        return encoded

    def order(self, encoded):
        """By what a split keeps its parts alike, and which rows must not be set aside: the first of each class."""
        return encoded, np.unique(encoded, return_index=True)[1]

    def constant(self, encoded):
        """The outputs of a network that has learned nothing but how frequent each class is."""
        shares = np.bincount(encoded, minlength=len(self.values)) / len(encoded)
        return shares[1:] if self.outputs == 1 else shares

    trivial = "always the most frequent class"

    def probabilities(self, outputs):
        """(n, classes)."""
        return np.hstack([1.0 - outputs, outputs]) if self.outputs == 1 else outputs

    def predicted(self, outputs):
        """The most probable class of each row, as a list of texts."""
        numbers = (outputs[:, 0] > 0.5).astype(int) if self.outputs == 1 else outputs.argmax(axis=1)
        return [self.values[i] for i in numbers.tolist()]

    def figures(self, encoded, outputs):
        """{name: figure} of outputs for rows of which the class is known."""
        if self.outputs > 1:
            return {"accuracy": metrics.Accuracy()(encoded, outputs), "f1 (mean)": metrics.F1()(encoded, outputs)}
        found = {"accuracy": metrics.Accuracy(), f"f1 ({self.values[1]})": metrics.F1(), "auc": metrics.AUC()}
        return {name: metric(encoded, outputs) for name, metric in found.items()}

    def described(self):
        """What a person should know of it."""
        shown = ", ".join(self.values[:8]) + ", ..." * (len(self.values) > 8)
        return f"one of {len(self.values)} classes: {shown}"


@dataclass(frozen=True)
class Amount(Target):
    """A number; the network works on (y - mean) / scale."""

    kind = "regression"
    mean: float
    scale: float
    outputs = 1
    activation = "linear"

    @classmethod
    def learn(cls, table, name):
        """The amount in a column that has no missing cells; TableError where a cell is no number."""
        numbers = table.numeric(name, "; say --task classification if these are classes").numbers
        if numbers.min() == numbers.max():
            raise TableError(f"{table.name}, column {name!r}: all rows have {numbers[0]:g}, nothing to tell apart")
        return cls(name, *center_and_scale(numbers))

    def encode(self, table):
        """Numbers (n,), NaN for a missing cell."""
        return table.numeric(self.name).numbers

    def fitted(self, encoded):
        return standardized(encoded, self.mean, self.scale)

    def order(self, encoded):
        return encoded, np.empty(0, dtype=int)

    def constant(self, encoded):
        return np.zeros(1)

    trivial = "always the mean"

    def amounts(self, outputs):
        """float64 (n,), in the units of the column; infinite where these have no number so large."""
        with np.errstate(over="ignore"):
            return self.mean + self.scale * outputs[:, 0].astype(np.float64)

    def predicted(self, outputs):
        """The amounts, rounded to the digits that single precision resolves on this scale."""
        digits = 6 - int(np.floor(np.log10(self.scale)))
        return np.round(self.amounts(outputs), min(digits, 300)).tolist()

    def figures(self, encoded, outputs):
        # On the scale of the network, where squares of large amounts are finite too.
        with np.errstate(over="ignore"):
            true, predicted = self.fitted(encoded), outputs[:, 0].astype(np.float64)
            if np.abs(true).max() > _FARTHEST:
                raise TableError(f"column {self.name!r}: amounts too far from those of training for any figure")
            return {
                "r2": metrics.R2()(true, predicted),
                "mae": metrics.MAE()(true, predicted) * self.scale,
                "rmse": metrics.RMSE()(true, predicted) * self.scale,
            }

    def described(self):
        return f"a number, mean {self.mean:.4g}, standard deviation {self.scale:.4g}"


KINDS = {cls.kind: cls for cls in (Classes, Amount)}


def target_from(config) -> Target:
    """The target that `config` wrote down."""
    target = from_config(config, KINDS, "target")
    if target.kind == "classification" and len(set(target.values)) < 2:
        raise ModelFileError("its table has fewer than two classes")
    return target
