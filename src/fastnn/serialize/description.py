"""Layers, losses, optimizers and their like as JSON, and back, by a closed registry.

An object is its class's name and its arguments. The names are those of fastnn's own classes and of what the caller
hands over as `custom`; nothing is imported, called or looked up by what a file says. Values other than numbers,
strings, lists, arrays and such objects cannot be described.
"""

import math

import numpy as np

from .._config import Configured
from ..errors import ModelFileError
from ..initializers import Initializer
from ..layers import Layer
from ..losses import Loss
from ..metrics import Metric
from ..optimizers import Optimizer
from ..schedules import Schedule
from . import safetensors

MOST_PARTS = 8192  # layers, losses, calls and what they read in one file: each takes about a kilobyte once it is built
MOST_ITEMS = 4096  # in a list
MOST_LEVELS = 64  # of layers in layers
FAMILIES = (Initializer, Layer, Loss, Metric, Optimizer, Schedule)
_SCALARS = (bool, int, float, str, type(None))


def _own(cls):
    return cls.__module__.split(".")[0] == __package__.split(".")[0]


def _registry() -> dict:
    """{"layer.Dense": class} of every class of fastnn that is an object of a family, of those that are imported."""
    found = {}
    for base in FAMILIES:
        waiting = [base]
        while waiting:
            cls = waiting.pop()
            waiting.extend(cls.__subclasses__())
            if cls is not base and _own(cls) and not cls.__name__.startswith("_"):
                found[f"{cls.family}.{cls.__name__}"] = cls
    return found


def checked_custom(custom) -> dict:
    """What the caller names, {name: class or function}; TypeError for anything else."""
    custom = {} if custom is None else custom
    if not isinstance(custom, dict):
        raise TypeError(f"custom: expected a dict from names to classes or functions, got {type(custom).__name__}")
    for name, thing in custom.items():
        if not isinstance(name, str) or not callable(thing):
            raise TypeError(f"custom: expected a dict from names to classes or functions, got {name!r}: {thing!r}")
    return custom


class Encoder:
    """Turns objects into what JSON can hold. Arrays are put aside, into `arrays`, under names of their own."""

    def __init__(self, custom):
        self._names = {id(thing): name for name, thing in custom.items()}
        self._known = set(_registry().values())
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value, where, level=0):
        """`value` as JSON values; ValueError, beginning with `where`, for what cannot be described."""
        if level > MOST_LEVELS:
            raise ValueError(f"{where} cannot be saved: layers stand more than {MOST_LEVELS} deep in one another")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, Configured):
            return self._object(value, where, level)
        if isinstance(value, (list, tuple)):
            return [self.encode(one, where, level) for one in value]
        if isinstance(value, np.ndarray) and safetensors.can_hold(value):
            name = f"arrays.{len(self.arrays)}"
            self.arrays[name] = value
            return {"array": name}
        if isinstance(value, _SCALARS) and not (isinstance(value, float) and not math.isfinite(value)):
            return value
        if id(value) in self._names:
            return {"custom": self._names[id(value)]}
        if callable(value):
            raise ValueError(self._refusal(where, "is a Python function", getattr(value, "__name__", "f")))
        raise ValueError(f"{where} cannot be saved: a file holds no {type(value).__name__} such as {value!r:.80}")

    def _object(self, thing, where, level):
        cls = type(thing)
        where = where if where.endswith(")") else f"{where} ({cls.__name__})"
        described = {"config": self._values(thing.config(), where, level)}
        if cls.attributes:
            attributes = {name: getattr(thing, name) for name in cls.attributes}
            described["attributes"] = self._values(attributes, where, level)
        if cls in self._known:
            return {"class": f"{cls.family}.{cls.__name__}", **described}
        if id(cls) in self._names:
            return {"custom": self._names[id(cls)], **described}
        raise ValueError(self._refusal(where, "is a class of your own", cls.__name__))

    def _values(self, values, where, level):
        return {name: self.encode(value, f"{where}: {name}", level + 1) for name, value in values.items()}

    @staticmethod
    def _refusal(where, what, name):
        return (
            f"{where} {what}, which a file cannot hold; give it a name, net.save(path, custom={{{name!r}: {name}}}), "
            "and the same to fnn.load"
        )


class Decoder:
    """Makes objects of what `Encoder` wrote; `entries` are the tensors of the file, `read(entry)` gives one's array."""

    def __init__(self, custom, entries, read):
        self._custom, self._known = custom, _registry()
        self._entries, self._read = entries, read
        self.unread = {name for name in entries if name.startswith("arrays.")}
        self._parts = 0

    def count(self, parts):
        """Counts parts of the description; ModelFileError when there are too many."""
        self._parts += parts
        if self._parts > MOST_PARTS:
            raise ModelFileError(f"it describes more than {MOST_PARTS} layers and connections")

    def decode(self, value, where, level=0):
        """The object of a description; ModelFileError, beginning with `where`, for what describes none."""
        if level > 2 * MOST_LEVELS:
            raise ModelFileError(f"{where}: layers stand more than {MOST_LEVELS} deep in one another")
        if isinstance(value, list):
            if len(value) > MOST_ITEMS:
                raise ModelFileError(f"{where}: a list of {len(value)} items is too long")
            return [self.decode(one, where, level + 1) for one in value]
        if not isinstance(value, dict):
            return value
        keys = value.keys()
        if keys == {"array"}:
            return self._array(value["array"], where)
        if keys == {"custom"}:
            return self._given(value["custom"], where)
        given = keys - {"attributes"}
        if given == {"class", "config"}:
            cls = self._class(value["class"], where)
        elif given == {"custom", "config"}:
            cls = self._given(value["custom"], where)
        else:
            raise ModelFileError(f"{where}: expected a class with its arguments, got {sorted(keys)!r:.80}")
        return self._object(cls, value["config"], value.get("attributes", {}), where, level)

    def objects(self, values, base, where):
        """A list of descriptions as objects of the family `base`."""
        if not isinstance(values, list):
            raise ModelFileError(f"{where}: expected a list")
        return [self.object(one, base, f"{where}.{i}") for i, one in enumerate(values)]

    def object(self, value, base, where):
        """A description as an object of the family `base`."""
        found = self.decode(value, where)
        if not isinstance(found, base):
            raise ModelFileError(f"{where}: expected a {base.__name__}, got {type(found).__name__}")
        return found

    def _object(self, cls, config, attributes, where, level):
        self.count(1)
        if not isinstance(cls, type) or not issubclass(cls, Configured):
            raise ModelFileError(f"{where}: {cls!r:.80} is not a class of layers, losses and their like")
        where = f"{where} ({cls.__name__})"
        config, attributes = (self._values(values, where, level) for values in (config, attributes))
        if not attributes.keys() <= set(cls.attributes):
            raise ModelFileError(f"{where}: expected attributes {', '.join(cls.attributes)}, got others")
        try:
            made = cls.from_config(config)
            for name, value in attributes.items():
                setattr(made, name, value)
            return made
        except Exception as error:  # whatever a constructor says of arguments that it never gave itself
            raise ModelFileError(f"{where}: {error}") from error

    def _values(self, values, where, level):
        if not isinstance(values, dict):
            raise ModelFileError(f"{where}: its arguments are not named")
        return {name: self.decode(value, f"{where}: {name!r:.80}", level + 1) for name, value in values.items()}

    def _class(self, name, where):
        if not isinstance(name, str) or name not in self._known:
            for base in FAMILIES:
                base.import_all()
            self._known = _registry()
        cls = self._known.get(name) if isinstance(name, str) else None
        if cls is None:
            raise ModelFileError(f"{where}: there is no {name!r:.80} in this version of fastnn")
        return cls

    def _given(self, name, where):
        thing = self._custom.get(name) if isinstance(name, str) else None
        if thing is None:
            raise ModelFileError(f"{where}: {name!r:.80} is not fastnn's; give it, fnn.load(path, custom={{...: ...}})")
        return thing

    def _array(self, name, where):
        if not isinstance(name, str) or name not in self.unread:
            raise ModelFileError(f"{where}: there is no array {name!r:.80}, or it stands twice")
        self.unread.discard(name)
        return self._read(self._entries[name])
