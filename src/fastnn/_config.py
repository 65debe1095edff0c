"""Objects that are their constructor arguments: layers, losses, optimizers, initializers, metrics.

A family is a direct subclass of Configured made with `family="loss"`. A class enters its family's table by being
defined with a `name`; there is no list to keep. A family that lies in several modules, of which not every program needs
all, names the rest: `elsewhere`. Knows nothing of arrays or engines.
"""

from importlib import import_module
from typing import Any, Self

from .errors import unknown_name


def _argument_names(cls) -> tuple[str, ...]:
    """Names of the constructor's arguments, in order; `*layers` counts as `layers`."""
    code = cls.__init__.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[1:count]
    if code.co_flags & 0x04:  # has *args
        names = (code.co_varnames[count], *names)
    return names


def _accepts_varargs(cls) -> bool:
    return bool(cls.__init__.__code__.co_flags & 0x04)


class _Known:
    """`cls.known`: the classes of a family by their names. Those elsewhere are imported before it is seen."""

    def __get__(self, _: object, cls: type["Configured"]) -> dict[str, type[Any]]:
        cls.import_all()
        return cls.defined


class Configured:
    """An object whose attributes, named as its constructor's arguments, are all that it is.

    Subclasses set every argument as an attribute of the same name (a checked or resolved form of it is fine as long as
    the constructor takes it back).
    """

    name = ""
    family = ""
    attributes: tuple[str, ...] = ()  # beside the arguments: what is set later and saved with the object
    defined: dict[str, type[Any]] = {}  # of the family, so far
    elsewhere = ""  # a module with more of it: all that its __all__ names
    known = _Known()

    def __init__(self) -> None:
        pass

    def __init_subclass__(cls, family: str | None = None, elsewhere: str = "", **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if family is not None:
            cls.family, cls.defined, cls.elsewhere = family, {}, elsewhere
        elif "name" in cls.__dict__ and cls.name:
            cls.defined[cls.name] = cls

    @classmethod
    def import_all(cls) -> None:
        """Sees to it that all classes of the family are defined."""
        if cls.elsewhere:
            module = import_module(cls.elsewhere)
            for name in module.__all__:
                getattr(module, name)

    @classmethod
    def get(cls, spec: Any) -> Self:
        """An instance from a name, an instance, or what `from_other` of the family understands."""
        if isinstance(spec, cls):
            return spec
        if isinstance(spec, str):
            if spec not in cls.defined and spec not in cls.known:
                raise unknown_name(cls.family, spec, cls.known)
            return cls.defined[spec]()
        if isinstance(spec, type) and issubclass(spec, cls):
            return spec()
        return cls.from_other(spec)

    @classmethod
    def from_other(cls, spec: Any) -> Self:
        """Overridden by families that also take callables or arrays."""
        raise TypeError(f"{cls.family}: expected a name or a {cls.__name__}, got {type(spec).__name__}")

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as they are now: `type(x)(**x.config())` equals x.

        A class that takes `*layers` is rebuilt by `from_config`, which passes them by position.
        """
        return {name: getattr(self, name) for name in _argument_names(type(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The object that `config()` describes."""
        if not _accepts_varargs(cls):
            return cls(**config)
        first, *_ = _argument_names(cls)
        return cls(*config.get(first, ()), **{k: v for k, v in config.items() if k != first})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.config() == other.config()

    __hash__ = object.__hash__  # layers are told apart by identity where a graph shares them

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.config().items())
        return f"{type(self).__name__}({shown})"
