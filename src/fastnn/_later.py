"""Names of a package that are imported when they are first asked for, by PEP 562: what a program does not use costs its
start nothing. Type checkers are told of the same names by imports under TYPE_CHECKING."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def later(package: dict[str, Any], names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    package: its globals(); names: {module in it: names that come from there, with spaces between}, where the module ""
    stands for the package itself, whose names are modules.
    """
    places = {name: module for module, listed in names.items() for name in listed.split()}

    def __getattr__(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        module = import_module(f".{places[name] or name}", package["__name__"])
        package[name] = getattr(module, name) if places[name] else module
        return package[name]

    def __dir__() -> list[str]:
        return sorted({*package, *places})

    return __getattr__, __dir__
