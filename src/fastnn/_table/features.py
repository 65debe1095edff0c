"""How a column becomes columns of a matrix: learned from training rows, written down as JSON values.

A kind of feature is a class with a `kind`; it is found by being defined. Whoever reads one from a file gets a
ModelFileError for what `config` never wrote.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ..errors import ModelFileError

MOST_CATEGORIES = 256  # of a column, the most frequent ones; the rest have one in common
_FARTHEST = 1e6  # standard deviations: nothing that was learned holds there, and products stay finite
KINDS: dict = {}


@dataclass(frozen=True)
class Feature:
    """Base of the kinds: `encode(column, out, notes)` fills out (n, width), and counts in notes what was odd."""

    name: str

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        KINDS[cls.kind] = cls

    def config(self):
        """The feature as a dict of JSON values."""
        return {"kind": self.kind, **asdict(self)}


def from_config(config, kinds, what):
    """What `config` wrote down: a dataclass out of `kinds`, whose fields are bool, str, float or list[str].

    Raises ModelFileError, with `what` it is, for a dict that `config` never wrote: it may come from anyone.
    """
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise ModelFileError(f"its table has a {what} of an unknown kind")
    cls, config = kinds[kind], {key: value for key, value in config.items() if key != "kind"}
    if config.keys() != cls.__dataclass_fields__.keys():
        raise ModelFileError(f"its table expects {', '.join(cls.__dataclass_fields__)} for {cls.__name__}")
    for name, field in cls.__dataclass_fields__.items():
        value = config[name]
        if field.type == "list[str]":
            fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        elif field.type == "float":
            fits = type(value) in (int, float) and abs(value) <= 1e308
        else:
            fits = type(value).__name__ == field.type
        if not fits:
            raise ModelFileError(f"its table expects {field.type} as {name} of {cls.__name__}")
        if name == "scale" and not value > 0:
            raise ModelFileError(f"its table expects a scale above 0 of {cls.__name__}")
    return cls(**config)


def center_and_scale(values):
    """Mean and standard deviation of finite float64 values, without overflow; a scale of 1 for values all the same."""
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    scaled = values / largest
    mean, scale = float(scaled.mean()) * largest, float(scaled.std()) * largest
    return mean, scale if scale > 0 else 1.0


def standardized(numbers, mean, scale):
    """(numbers - mean) / scale, by halves, so that the difference of two large numbers stays finite."""
    return (numbers * 0.5 - mean * 0.5) / scale * 2.0


@dataclass(frozen=True)
class Number(Feature):
    """(x - mean) / scale; 0 for a missing x, and a column of its own that says so where training had some."""

    kind = "number"
    mean: float
    scale: float
    indicator: bool

    @classmethod
    def learn(cls, column):
        """The feature of a column of numbers, from the rows that are given."""
        missing = column.missing
        mean, scale = center_and_scale(column.numbers[~missing])
        return cls(column.name, mean, scale, bool(missing.any()))

    @property
    def width(self):
        return 1 + self.indicator

    def encode(self, column, out, notes):
        missing = column.missing
        with np.errstate(over="ignore"):
            values = standardized(column.numbers, self.mean, self.scale)
        values[missing] = 0.0
        if self.indicator:
            out[:, 1] = missing
        elif missing.any():
            notes.append(f"{self.name}: {missing.sum()} missing, unlike in training, taken as the mean")
        far = np.abs(values) > _FARTHEST
        if far.any():
            notes.append(f"{self.name}: {far.sum()} more than {_FARTHEST:,.0f} standard deviations from the mean")
        out[:, 0] = np.clip(values, -_FARTHEST, _FARTHEST)

    def described(self):
        """What a person should know of it."""
        return f"number, mean {self.mean:.4g}, standard deviation {self.scale:.4g}" + self.indicator * ", or missing"


@dataclass(frozen=True)
class Category(Feature):
    """One column for each category, 1 where it is that; one more for all others where training had missing or rare
    ones, and nothing but zeros for them where it had none."""

    kind = "category"
    values: list[str]
    other: bool

    @classmethod
    def learn(cls, column):
        """The feature of a column, from the rows that are given: its most frequent texts, in alphabetic order."""
        codes, levels = column.texts()
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        frequent = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
        values = sorted(levels[i] for i in frequent if counts[i])
        rare = (counts > 0).sum() > MOST_CATEGORIES
        return cls(column.name, values, bool(rare or (codes < 0).any()))

    @property
    def width(self):
        return len(self.values) + self.other

    def encode(self, column, out, notes):
        codes, levels = column.texts()
        positions = Lookup(self.values)
        known = np.array([*map(positions, levels), -1])[codes]
        unseen = (known < 0) & (codes >= 0)
        if unseen.any() and len(self.values) < MOST_CATEGORIES:
            named = ", ".join(repr(levels[code]) for code in np.unique(codes[unseen])[:3])
            notes.append(f"{self.name}: {unseen.sum()} of categories unseen in training, such as {named}")
        if (codes < 0).any() and not self.other:
            notes.append(f"{self.name}: {(codes < 0).sum()} missing, unlike in training")
        out[:] = 0.0
        rows = np.flatnonzero(known >= 0) if not self.other else np.arange(len(known))
        out[rows, np.where(known < 0, len(self.values), known)[rows]] = 1.0

    def described(self):
        """What a person should know of it."""
        shown = ", ".join(self.values[:6]) + ", ..." * (len(self.values) > 6)
        return f"category of {len(self.values)}: {shown}" + self.other * "; or another"


class Lookup:
    """The position of a text in a list, -1 if it is not there; "1.0" finds "1", as programs write either.

    >>> Lookup(["1", "b"])("1.0"), Lookup(["1", "b"])("a")
    (0, -1)
    """

    def __init__(self, values):
        self._texts = {value: i for i, value in enumerate(values)}
        self._numbers = {_number(value): i for i, value in enumerate(values)}
        self._numbers.pop(None, None)

    def __call__(self, text):
        found = self._texts.get(text)
        return self._numbers.get(_number(text), -1) if found is None else found


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
