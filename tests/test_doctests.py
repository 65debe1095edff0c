"""Every example in a docstring of the package runs and prints what it says."""

import doctest
import importlib.util
import pkgutil

import pytest

import fastnn

# Commands for a terminal, which are run by tests of their own.
COMMANDS = ("fastnn.__main__", "fastnn.cli", "fastnn.demo", "fastnn.benchmark")
NEEDS = {"fastnn.sklearn": "sklearn", "fastnn.displays": "matplotlib"}
EXTRAS = tuple(name for name, other in NEEDS.items() if not importlib.util.find_spec(other))

FOUND = ["fastnn", *(module.name for module in pkgutil.walk_packages(fastnn.__path__, "fastnn."))]
MODULES = [name for name in FOUND if not name.startswith(COMMANDS + EXTRAS)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


# What a reader of the documentation meets first has an example.
SHOWN = {
    cls
    for family in (fastnn.Layer, fastnn.Optimizer)
    for cls in family.known.values()
    if cls.__module__.startswith("fastnn.")
}


@pytest.mark.parametrize("cls", [fastnn.Network, fastnn.Input, *sorted(SHOWN, key=lambda cls: cls.__name__)])
def test_public_classes_show_an_example(cls):
    assert ">>> " in cls.__doc__, cls
    assert cls.__name__ in cls.__doc__.split(">>> ", 1)[1]
