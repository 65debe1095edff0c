"""All that turns a table into a matrix and predictions back into words, and its form as JSON values.

It is learned from training rows once, and then part of the model.
"""

from collections.abc import Callable

import numpy as np

from ..errors import ModelFileError, TableError
from .columns import MOST_COLUMNS
from .features import KINDS, Feature, from_config
from .targets import Target, target_from

VERSION = 1
_KEY = "table"  # of the network's metadata


class Encoding:
    """Features in the order of the matrix's columns, the target, and cells that stand for a missing value."""

    def __init__(self, features: list[Feature], target: Target, missing=()):
        self.features, self.target, self.missing = features, target, tuple(missing)

    @classmethod
    def learn(cls, table, kinds, target, missing=()):
        """The encoding by the rows of a table; kinds: {column: "number" or "category"}."""
        features = []
        for name, kind in kinds.items():
            column = table.numeric(name) if kind == "number" else table.columns[name]
            if not column.missing.all():  # what training rows have no value of cannot be learned from
                features.append(KINDS[kind].learn(column))
        if not features:
            raise TableError(f"{table.name}: no column is left to learn from")
        return cls(features, target, missing)

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return sum(feature.width for feature in self.features)

    def names(self, kind=None) -> frozenset:
        """The columns of that kind, or of any."""
        return frozenset(feature.name for feature in self.features if kind in (None, feature.kind))

    def matrix(self, table, note: Callable[[str], object]):
        """The features of all rows, float32 (n, width); note is told what was odd in each column.

        Raises TableError for a column that is not there or a cell that is no number.
        """
        absent = [feature.name for feature in self.features if feature.name not in table.columns]
        if absent:
            found = ", ".join(map(repr, table.names[:20]))
            named = ", ".join(map(repr, absent[:20]))
            raise TableError(f"{table.name} lacks {named}, which the model was trained on; it has {found}")
        out = np.empty((len(table), self.width), dtype=np.float32)
        begin, notes = 0, []
        for feature in self.features:
            column = table.numeric(feature.name) if feature.kind == "number" else table.columns[feature.name]
            feature.encode(column, out[:, begin : begin + feature.width], notes)
            begin += feature.width
        for line in notes:
            note(line)
        return out

    # ---- as metadata of a network ------------------------------------------------------------------------------------

    def metadata(self) -> dict:
        """The encoding as JSON values, under a key of its own."""
        return {
            _KEY: {
                "version": VERSION,
                "features": [feature.config() for feature in self.features],
                "target": self.target.config(),
                "missing": list(self.missing),
            }
        }

    @classmethod
    def of(cls, net) -> "Encoding | None":
        """The encoding that a network carries, None if it carries none.

        Raises ModelFileError where its metadata is not what `metadata` writes, or does not fit the network.
        """
        config = net.metadata.get(_KEY)
        if config is None:
            return None
        if not isinstance(config, dict) or config.keys() != {"version", "features", "target", "missing"}:
            raise ModelFileError("its table is not what this fastnn knows")
        if config["version"] != VERSION:
            raise ModelFileError(f"its table has version {config['version']!r:.20}; a later fastnn may read it")
        features, missing = config["features"], config["missing"]
        if not isinstance(features, list) or not 0 < len(features) <= MOST_COLUMNS:
            raise ModelFileError("its table has no columns")
        if not isinstance(missing, list) or not all(isinstance(text, str) for text in missing):
            raise ModelFileError("its table expects texts for missing values")
        encoding = cls([from_config(one, KINDS, "column") for one in features], target_from(config["target"]), missing)
        encoding._check_network(net)
        return encoding

    def _check_network(self, net):
        if net._state is None:
            raise ModelFileError("it has a table and no weights")
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names):
            raise ModelFileError("its table has a column twice")
        shapes = [value.shape for value in (*net._state.graph.inputs, *net._state.graph.outputs)]
        if shapes != [(self.width,), (self.target.outputs,)]:
            raise ModelFileError(f"its table makes {self.width} features of a row; its network expects others")
